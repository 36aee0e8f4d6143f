"""``tubelet extract``: what is described, what is skipped, what failed, and what a wrong command is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import lancedb
import numpy as np
import pytest

from tubelet.descriptors.runner import model_source_of
from tubelet.protocols.views import views_by_name

Tubelet = Callable[..., Any]


def frame_folder(path: Path, source: Path, count: int) -> Path:
    """The first frames of a video as ``000001.jpg`` …, written by PyAV alone."""
    path.mkdir(parents=True)
    with av.open(str(source)) as container:
        for number, frame in zip(range(1, count + 1), container.decode(video=0), strict=False):
            _save(frame, path / f"{number:06d}.jpg")
    return path


def _save(frame: av.VideoFrame, path: Path) -> None:
    with av.open(str(path), "w", format="image2") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuvj420p"
        for packet in [*stream.encode(frame.reformat(format="yuvj420p")), *stream.encode(None)]:
            out.mux(packet)


@pytest.fixture(scope="module")
def mixed(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good video, one that is none, and three folders of frames without a frame rate."""
    root = tmp_path_factory.mktemp("mixed") / "videos"
    source = motion_folder / "test" / "up" / "up_00000.avi"
    for name, count in (("a", 20), ("b", 24), ("c", 7)):
        frame_folder(root / "frames" / name, source, count)
    (root / "good.avi").write_bytes(source.read_bytes())
    (root / "damaged.avi").write_bytes(b"RIFF\x00\x00\x00\x00AVI " + bytes(500))
    return root


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("table") / "t"


@pytest.fixture(scope="module")
def first(tubelet: Tubelet, mixed: Path, table: Path, trained_run: Any) -> Any:
    return tubelet("extract", mixed, "--model", trained_run.folder, "-o", table, "--layers", "fc6,prob", "--json")


def rows_of(table: Path) -> list[dict[str, Any]]:
    rows = lancedb.connect(table).open_table("descriptors").to_arrow().to_pylist()
    return sorted(rows, key=lambda row: (row["video_id"], row["clip_index"]))


def test_a_damaged_video_is_listed_and_the_code_is_3(first: Any, table: Path, mixed: Path) -> None:
    assert first.code == 3
    assert (first.json["videos"], first.json["done"], first.json["failed"]) == (5, 4, 1)
    failed = [json.loads(line) for line in (table / "failed.jsonl").read_text().splitlines()]
    assert [(row["video_id"], row["path"]) for row in failed] == [("damaged.avi", str(mixed / "damaged.avi"))]
    assert "cannot open as a video" in failed[0]["error"]
    assert failed == first.json["failures"]


def test_every_other_video_has_its_rows(first: Any, table: Path) -> None:
    rows = rows_of(table)
    # Clips of 16 at stride 8: 20 frames give 1 (the tail is dropped), 24 give 2, 7 are looped into 1.
    found = [(row["video_id"], row["start_frame"], row["end_frame"], row["padded"]) for row in rows]
    assert found == [
        ("frames/a", 0, 16, False),
        ("frames/b", 0, 16, False),
        ("frames/b", 8, 24, False),
        ("frames/c", 0, 7, True),
        ("good.avi", 0, 16, False),
        ("good.avi", 8, 24, False),
    ]
    assert {row["video_id"]: row["fps_source"] for row in rows} == {
        "frames/a": "assumed", "frames/b": "assumed", "frames/c": "assumed", "good.avi": "container",
    }  # fmt: skip
    assert first.json["rows"] == 6
    assert all(len(row["vector_fc6"]) == 512 and len(row["vector_prob"]) == 10 for row in rows)


def test_an_assumed_frame_rate_is_told_once(first: Any) -> None:
    told = [line for line in first.err.splitlines() if "frame rate" in line]
    assert len(told) == 2
    assert "25 frames/s is assumed" in told[0]
    assert "--fps" in told[0]
    assert told[1].startswith("tubelet: 2 more: ")


def test_progress_goes_to_standard_error(first: Any) -> None:
    assert "5 videos, c3d_small" in first.err
    assert "extracting 5/5 videos" in first.err


def test_run_again_it_skips_what_is_there(
    first: Any, tubelet: Tubelet, mixed: Path, table: Path, trained_run: Any, files_of: Any
) -> None:
    before, rows = files_of(table), rows_of(table)
    command = ("extract", mixed, "--model", trained_run.folder / "model", "-o", table, "--layers", "fc6")
    plan = tubelet(*command, "--dry-run", "--json")
    assert (plan.code, plan.json["todo"], plan.json["skipped"]) == (0, 1, 4)
    assert files_of(table) == before, "a dry run writes nothing"
    again = tubelet(*command)
    assert again.code == 3
    assert (
        again.out.strip()
        == f"{table}: 0 described, 4 already there, 1 failed, see {table / 'failed.jsonl'}; 0 rows written"
    )
    assert rows_of(table) == rows


def test_untrained_on_purpose_with_an_export(
    tubelet: Tubelet, motion_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = tubelet(
        "extract", motion_folder / "test", "--model", "untrained:c3d_small", "--limit", 1, "--format", "npz", "--json"
    )
    assert found.code == 0
    assert found.err.count("c3d_small is untrained") == 1
    assert "1 videos, c3d_small" in found.err
    table = Path("runs/extract/test")  # the default: runs/extract/<source>
    assert found.json["exported"] == [str(table / "descriptors.npz")]
    assert {row["weights_sha256"] for row in rows_of(table)} == {"untrained:0"}
    with np.load(table / "descriptors.npz", allow_pickle=False) as arrays:
        assert arrays["vector_fc6"].shape == (2, 512)
        assert arrays["end_s"].tolist() == [0.64, 0.96]


def test_without_a_model_three_ways_are_named(tubelet: Tubelet, motion_folder: Path, tmp_path: Path) -> None:
    found = tubelet("extract", motion_folder, "-o", tmp_path / "t")
    assert found.code == 2
    for way in ("tubelet train folder --data DIR", "--model DIR", "--model untrained:NAME"):
        assert way in found.complaint
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--layers", "fc9"], 2, "fc9"),
        (["--short", "stretch"], 2, "--short cannot be 'stretch'; use one of loop, repeat-last, refuse"),
        (["--precision", "int8"], 2, "--precision cannot be 'int8'"),
        (["--format", "pickle"], 2, "--format cannot be 'pickle'"),
        (["--device", "tpu"], 2, "--device cannot be 'tpu'"),
        (
            ["--mean", "absent.npy"],
            2,
            "--mean is the mean volume of recipe c3d_sports1m, and c3d_small takes c3d_small",
        ),
        (["--clip-length", "7", "--layers", "fc6"], 2, "clip"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tubelet: Tubelet, motion_folder: Path, tmp_path: Path, arguments: list[str], code: int, complaint: str
) -> None:
    found = tubelet("extract", motion_folder, "--model", "untrained:c3d_small", "-o", tmp_path / "t", *arguments)
    assert found.code == code
    assert complaint in found.complaint
    assert found.out == ""
    assert not (tmp_path / "t").exists()


def test_no_videos_are_bad_data(tubelet: Tubelet, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, why in (("empty", "the folder holds no video"), ("absent", "there is no such file or folder")):
        found = tubelet("extract", tmp_path / name, "--model", "untrained:c3d_small", "-o", tmp_path / "t")
        assert found.code == 4
        assert found.complaint.startswith(why)


def test_a_network_without_fc6_is_described_by_its_pool5(tubelet: Tubelet, motion_folder: Path, tmp_path: Path) -> None:
    found = tubelet("extract", motion_folder, "--model", "untrained:res3d_18", "--dry-run", "-o", tmp_path / "t")
    assert found.code == 0
    assert "layers pool5 ->" in found.err
    missing = tubelet(
        "extract", motion_folder, "--model", "untrained:c3d", "--mean", "absent.npy", "-o", tmp_path / "t"
    )
    assert missing.code == 4
    assert "absent.npy" in missing.complaint


def test_the_clips_of_p3d_are_those_that_evaluate_tests(
    tubelet: Tubelet, mixed: Path, trained_run: Any, tmp_path: Path
) -> None:
    command = (
        "extract",
        mixed / "frames",
        "--model",
        trained_run.folder,
        "-o",
        tmp_path,
        "--fps",
        25,
        "--layers",
        "prob",
    )
    found = tubelet(*command, "--views", "p3d", "--seed", 4, "--json")
    assert found.code == 0, found.err
    rows = rows_of(tmp_path)
    assert [sum(row["video_id"] == name for row in rows) for name in ("a", "b", "c")] == [20, 20, 20]
    starts = [row["start_frame"] for row in rows if row["video_id"] == "b"]
    assert starts == views_by_name("p3d", 4).indices("b", 24, 16, 1).start_frames.tolist()
    assert set(starts) <= set(range(9))
    assert len(set(starts)) > 4
    assert json.loads(rows[0]["sampling"]) == {
        "policy": "random", "clip_length": 16, "step_frames": 1, "short": "loop", "n_clips": 20, "seed": 4,
    }  # fmt: skip
    assert model_source_of(tmp_path) == str(trained_run.folder / "model"), "which says what it was trained on"
    again = tubelet(*command, "--views", "random:20", "--seed", 4, "--dry-run", "--json")
    assert (again.json["todo"], again.json["skipped"]) == (0, 3)
    other = tubelet(*command, "--views", "p3d", "--seed", 5, "--dry-run", "--json")
    assert (other.json["todo"], other.json["skipped"]) == (3, 0)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--views", "25x10"), "the views 25x10 hold 10 crops of each clip"),
        (("--views", "p3d", "--stride-frames", 4), "--stride-frames is for dense clips, and the views are p3d"),
        (("--views", "sparse"), "there are no test views 'sparse'"),
        (("--short", "mirror"), "--short cannot be 'mirror'"),
    ],
)
def test_clips_that_a_table_cannot_have(
    tubelet: Tubelet, mixed: Path, tmp_path: Path, options: tuple[Any, ...], complaint: str
) -> None:
    found = tubelet("extract", mixed, "--model", "untrained:c3d_small", "-o", tmp_path / "out", *options)
    assert (found.code, found.out) == (2, "")
    assert found.complaint.startswith(complaint)
    assert not (tmp_path / "out").exists()
