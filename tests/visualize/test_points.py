"""What a map shows is what its table holds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tubelet.baselines.idt.vectors import TrajectoryVectors
from tubelet.descriptors.spool import RowSpool
from tubelet.descriptors.writer import FinishedVideo, TableWriter
from tubelet.errors import InputDataError, UsageError
from tubelet.visualize import read_points
from tubelet.visualize.points import draw_rows

sys.path.insert(0, str(Path(__file__).parent.parent / "descriptors"))
sys.path.insert(0, str(Path(__file__).parent.parent / "baselines/idt"))
from made_rows import DIMENSIONS, finished, made_vectors, record, spans
from made_vectors import NAMES, store

COUNTS = {"walk/b": 3, "run/a": 2, "walk/c": 4, "run/d": 1}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "c3d" / "descriptors"
    with TableWriter(folder, DIMENSIONS) as writer:
        writer.commit(
            [finished(video, n, label=None if video == "run/d" else video[:-2]) for video, n in COUNTS.items()]
        )
    return folder


def test_videos_of_a_table(table: Path) -> None:
    points = read_points(table)
    assert (points.name, points.layer, points.unit, points.total) == ("c3d", "fc6", "video", 4)
    assert points.video_id.tolist() == sorted(COUNTS)
    assert points.label == ("run", None, "walk", "walk")
    assert points.known.tolist() == [True, False, True, True]
    assert points.labels_from == "the table"
    assert points.file is not None
    assert points.file[0] == "/data/run/a"
    assert points.clip is None
    mean = made_vectors("walk/b", 3, "w1")["fc6"].astype(np.float64).mean(0)
    assert points.vectors[2] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert points.start_s is not None
    assert points.end_s is not None
    assert (points.start_s[2], points.end_s[2]) == (0.0, 32 / 25)


def test_clips_of_a_table_have_length_one_and_their_videos_label(table: Path) -> None:
    points = read_points(table, clips=True)
    assert (points.unit, len(points), points.total) == ("clip", 10, 10)
    assert points.clip is not None
    assert list(zip(points.video_id.tolist(), points.clip.tolist(), strict=True)) == sorted(
        (video, index) for video, n in COUNTS.items() for index in range(n)
    )
    for row in range(10):
        video, index = str(points.video_id[row]), int(points.clip[row])
        vector = made_vectors(video, COUNTS[video], "w1")["fc6"][index]
        assert points.vectors[row] == pytest.approx(vector / np.linalg.norm(vector), abs=1e-6)
        assert points.label[row] == (None if video == "run/d" else video[:-2])


@pytest.mark.parametrize("clips", [False, True])
def test_a_draw_is_a_part_of_all_and_repeats(table: Path, clips: bool) -> None:
    every, some = read_points(table, clips=clips), read_points(table, clips=clips, limit=3, seed=1)
    assert (len(some), some.total) == (3, len(every))
    rows = draw_rows(len(every), 3, 1)
    assert some.video_id.tolist() == every.video_id[rows].tolist()
    np.testing.assert_array_equal(some.vectors, every.vectors[rows])
    assert some.label == tuple(every.label[row] for row in rows)
    assert every.end_s is not None
    assert some.end_s is not None
    assert some.end_s.tolist() == every.end_s[rows].tolist()
    assert len(read_points(table, clips=clips, limit=100)) == len(every)


def test_draws_differ_by_seed_and_take_everyone_equally_often() -> None:
    assert draw_rows(5, None, 0).tolist() == draw_rows(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    draws = [draw_rows(6, 2, seed) for seed in range(600)]
    assert all(len(set(draw.tolist())) == 2 for draw in draws)
    counts = np.bincount(np.concatenate(draws), minlength=6)
    assert (abs(counts - 200) < 5 * np.sqrt(200 * 2 / 3)).all()  # binomial: 600 draws of probability 1/3


IDS = ["b", "a", "b"]
ROWS = np.array([[3.0, 0.0], [0.0, 2.0], [3.0, 8.0]])


def write_npz(folder: Path) -> Path:
    np.savez(folder / "idt.npz", video_id=np.array(IDS), label=np.array(["run", "", "run"]), vector=ROWS)
    return folder / "idt.npz"


def write_csv(folder: Path) -> Path:
    (folder / "idt.csv").write_text("label,x,video_id,y\nrun,3,b,0\n,0,a,2\nrun,3,b,8\n", encoding="utf-8")
    return folder / "idt.csv"


def write_parquet(folder: Path) -> Path:
    pq.write_table(
        pa.table({"video_id": IDS, "label": ["run", None, "run"], "x": ROWS[:, 0], "y": ROWS[:, 1]}),
        folder / "idt.parquet",
    )
    return folder / "idt.parquet"


@pytest.mark.parametrize("write", [write_npz, write_csv, write_parquet])
def test_files_of_other_tools_bring_their_labels(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    points = read_points(write(tmp_path))
    assert (points.name, points.video_id.tolist(), points.label) == ("idt", ["a", "b"], (None, "run"))
    assert points.vectors == pytest.approx(np.array([[0, 1], [0.6, 0.8]]))
    assert (points.clip, points.start_s, points.file) == (None, None, None)


def test_numbers_as_labels_are_no_descriptors(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"video_id": ["a", "b"], "label": [7, 8], "x": [1.0, 1.0], "y": [0.0, 0.0]}), tmp_path / "t.parquet"
    )
    points = read_points(tmp_path / "t.parquet")
    assert points.vectors.tolist() == [[1, 0], [1, 0]]
    assert points.label == ("7", "8")


def test_files_without_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", video_id=np.array(["a", "b"]), vector=np.eye(2))
    pq.write_table(pa.table({"video_id": ["a", "b"], "vector": np.eye(2).tolist()}), tmp_path / "t.parquet")
    for name in ("t.npz", "t.parquet"):
        points = read_points(tmp_path / name)
        assert (points.label, points.labels_from) == ((None, None), "")


def test_labels_of_a_data_set(table: Path) -> None:
    points = read_points(table).with_labels({"walk/b": "slow", "elsewhere": "fast"}, "data")
    assert points.label == (None, None, "slow", None)
    assert points.labels_from == "data"
    with pytest.raises(InputDataError, match="it has run/a, there is elsewhere"):
        points.with_labels({"elsewhere": "fast"}, "data")


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_what_is_not_finite_is_named(tmp_path: Path) -> None:
    spool = RowSpool(DIMENSIONS)
    spool.append(spans(2), {"fc6": np.array([[1.0] * 8, [np.inf] * 8], dtype=np.float32)})
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished("run/a", 2), FinishedVideo(record("walk/b", 2), spool)])
    for clips in (False, True):
        with pytest.raises(InputDataError, match="NaN or infinity in walk/b"):
            read_points(tmp_path, clips=clips)
    np.savez(tmp_path / "t.npz", video_id=np.array(["a", "b"]), vector=np.array([[1, 2], [np.inf, 1]]))
    with pytest.raises(InputDataError, match="NaN or infinity in b"):
        read_points(tmp_path / "t.npz")


def test_clips_of_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave --clips away"):
        read_points(write_npz(tmp_path), clips=True)


def test_trajectories_are_encoded_by_what_all_of_the_videos_teach(tmp_path: Path) -> None:
    trajectories = store(tmp_path / "idt")
    points = read_points(tmp_path / "idt", "bow4")
    assert points.video_id.tolist() == sorted(NAMES)
    assert points.vectors.shape == (len(NAMES), 5 * 4)
    # Shares of each channel, then length one: the channels' sums are all alike.
    sums = points.vectors.reshape(len(NAMES), 5, 4).sum(axis=2)
    assert sums == pytest.approx(np.repeat(sums[:, :1], 5, axis=1), rel=1e-5)
    assert np.linalg.norm(points.vectors, axis=1) == pytest.approx(1, abs=1e-6)
    learned = {path.name for path in (tmp_path / "idt" / "encoded").iterdir()}
    assert learned == {TrajectoryVectors(trajectories, "bow4").folder(NAMES).name}
    with pytest.raises(UsageError, match="tells clips apart"):
        read_points(tmp_path / "idt", "bow4", clips=True)
