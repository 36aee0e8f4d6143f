"""Reading the table, against the rows that were put in."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tubelet.descriptors.store import TABLE_FOLDER, DescriptorTable, has_table
from tubelet.descriptors.writer import TableWriter
from tubelet.errors import InputDataError, UsageError

sys.path.insert(0, str(Path(__file__).parent))
from made_rows import DIMENSIONS, finished, made_vectors

COUNTS = {"walk/b": 3, "run/a": 2, "walk/it's": 4}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> DescriptorTable:
    folder = tmp_path_factory.mktemp("table")
    with TableWriter(folder, DIMENSIONS) as writer:
        writer.commit([finished("walk/b", 3), finished("run/a", 5, "w0")])
        writer.commit([finished("walk/it's", 4), finished("run/a", 2)], {"run/a": 5})
    return DescriptorTable(folder)


def test_clips_come_in_the_order_of_video_and_clip(table: DescriptorTable) -> None:
    clips = table.clips("fc6")
    order = sorted((video_id, index) for video_id, n in COUNTS.items() for index in range(n))
    assert list(zip(clips.video_id.tolist(), clips.clip_index.tolist(), strict=True)) == order
    for row, (video_id, index) in enumerate(order):
        expected = made_vectors(video_id, COUNTS[video_id], "w1")["fc6"][index]
        assert np.array_equal(clips.vectors[row], expected)
        assert clips.path[row] == f"/data/{video_id}"
        assert clips.start_s[row] == 8 * index / 25
        assert clips.end_s[row] == (8 * index + 16) / 25


def test_some_videos_only(table: DescriptorTable) -> None:
    assert set(table.clips("fc6", ["walk/it's", "unknown"]).video_id) == {"walk/it's"}
    assert table.videos("fc6", ["run/a"]).video_id.tolist() == ["run/a"]


def test_video_descriptors_are_mean_then_l2(table: DescriptorTable) -> None:
    videos = table.videos("fc6")
    assert videos.video_id.tolist() == sorted(COUNTS)
    assert videos.label == ("run", "walk", "walk")
    for row, video_id in enumerate(sorted(COUNTS)):
        mean = made_vectors(video_id, COUNTS[video_id], "w1")["fc6"].astype(np.float64).sum(0) / COUNTS[video_id]
        assert videos.vectors[row] == pytest.approx(mean / np.sqrt((mean**2).sum()), abs=1e-6)
        assert videos.n_clips[row] == COUNTS[video_id]
        assert (videos.start_s[row], videos.end_s[row]) == (0.0, (8 * (COUNTS[video_id] - 1) + 16) / 25)


def test_vectors_can_be_taken_by_name(table: DescriptorTable) -> None:
    videos = table.videos("fc6")
    taken = videos.take(["walk/it's", "run/a", "walk/it's"])
    assert np.array_equal(taken, videos.vectors[[2, 0, 2]])
    with pytest.raises(InputDataError, match="1 videos have no descriptors, among them nowhere"):
        videos.take(["run/a", "nowhere"])


def test_states_and_counts(table: DescriptorTable) -> None:
    assert len(table) == sum(COUNTS.values())
    assert table.clip_counts() == COUNTS
    states = table.states()
    assert set(states) == set(COUNTS)
    assert states["run/a"]["weights_sha256"] == "w1"
    assert states["walk/b"]["frames_decoded"] == 32
    assert table.without([]) == set()


def test_a_column_on_which_all_rows_agree(table: DescriptorTable) -> None:
    assert table.only("weights_sha256") == "w1"
    assert table.only("video_id") is None


def test_rows_with_a_condition(table: DescriptorTable) -> None:
    rows = table.rows(["clip_index", "padded"], "video_id = 'run/a'")
    assert sorted(rows["clip_index"]) == [0, 1]
    assert rows["padded"] == [False, False]


def test_an_unknown_layer_is_a_usage_error(table: DescriptorTable) -> None:
    with pytest.raises(UsageError, match=r"no layer 'fc7'.*it has fc6"):
        table.clips("fc7")


def test_no_table_is_an_input_error(tmp_path: Path) -> None:
    assert not has_table(tmp_path)
    with pytest.raises(InputDataError, match=r"no descriptor table here.*tubelet extract"):
        DescriptorTable(tmp_path)


def test_a_table_without_manifest_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / TABLE_FOLDER / "_versions").mkdir(parents=True)
    with pytest.raises(InputDataError, match="cannot be opened"):
        DescriptorTable(tmp_path)


def test_importing_the_store_is_light() -> None:
    import subprocess

    code = "import tubelet.descriptors.store, sys; print('lancedb' in sys.modules, 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "False False"
