"""The table under normal use and under kill -9."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tubelet.descriptors.store import TABLE_FOLDER, DescriptorTable
from tubelet.descriptors.writer import TableWriter
from tubelet.errors import UsageError

sys.path.insert(0, str(Path(__file__).parent))
from made_rows import DIMENSIONS, finished, made_vectors


def contents(folder: Path, layer: str = "fc6") -> dict[str, dict[int, tuple[str, list[float]]]]:
    """video_id -> clip_index -> (weights, vector), read through LanceDB itself; duplicates are an error."""
    import lancedb

    rows: dict[str, dict[int, tuple[str, list[float]]]] = defaultdict(dict)
    table = lancedb.connect(folder).open_table("descriptors").to_arrow()
    for row in table.to_pylist():
        clips = rows[row["video_id"]]
        assert row["clip_index"] not in clips, f"duplicate row of {row['video_id']}"
        clips[row["clip_index"]] = (row["weights_sha256"], row[f"vector_{layer}"])
    return rows


def assert_holds(rows: dict[str, dict[int, tuple[str, list[float]]]], video_id: str, n: int, weights: str) -> None:
    assert sorted(rows[video_id]) == list(range(n)), video_id
    expected = made_vectors(video_id, n, weights)["fc6"]
    for index, (found_weights, vector) in rows[video_id].items():
        assert found_weights == weights
        assert vector == expected[index].tolist()


def test_the_columns_are_the_designs(tmp_path: Path) -> None:
    with TableWriter(tmp_path, {"fc6": 8, "pool5": 3}):
        schema = DescriptorTable(tmp_path).schema
    assert schema.names == [
        "video_id", "path", "clip_index", "start_frame", "end_frame", "start_s", "end_s", "fps", "fps_source",
        "padded", "vector_fc6", "vector_pool5", "model", "weights_sha256", "recipe_hash", "sampling", "precision",
        "decode_status", "frames_declared", "frames_decoded", "file_size", "file_mtime_ns", "content_sha256",
        "label", "tool_version",
    ]  # fmt: skip
    assert schema.field("vector_fc6").type == pa.list_(pa.float32(), 8)


def test_committed_rows_are_there(tmp_path: Path) -> None:
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        assert writer.commit([]) == 0
        assert writer.commit([finished("walk/it's ü.avi", 3), finished("b", 1)]) == 4
        rows = contents(tmp_path)
    assert set(rows) == {"walk/it's ü.avi", "b"}
    assert_holds(rows, "walk/it's ü.avi", 3, "w1")
    assert_holds(rows, "b", 1, "w1")


@pytest.mark.parametrize("n", [2, 5, 9])
def test_a_replaced_video_has_only_its_new_rows(tmp_path: Path, n: int) -> None:
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished("a", 5), finished("it's", 5)])
        writer.commit([finished("it's", n, "w2"), finished("new", 2, "w2")], {"it's": 5})
        rows = contents(tmp_path)
    assert_holds(rows, "a", 5, "w1")
    assert_holds(rows, "it's", n, "w2")
    assert_holds(rows, "new", 2, "w2")


def test_a_replacement_of_equal_length_is_one_commit(tmp_path: Path) -> None:
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished("a", 5)])
        before = writer._table.version
        writer.commit([finished("a", 5, "w2"), finished("b", 7)], {"a": 5})
        assert writer._table.version == before + 1


def test_a_long_video_goes_through_a_file_in_blocks(tmp_path: Path) -> None:
    dimensions = {"fc6": 1024}  # 4 KB a row: 2,500 rows are 10 MB, beyond what the spool keeps in memory
    with TableWriter(tmp_path, dimensions) as writer:
        video = finished("long", 2500, "w1", dimensions)
        assert video.rows._file._rolled  # type: ignore[attr-defined]
        assert len(list(video.rows.blocks())) == 3
        assert writer.commit([video]) == 2500
    clips = DescriptorTable(tmp_path).clips("fc6")
    assert np.array_equal(clips.vectors, made_vectors("long", 2500, "w1", dimensions)["fc6"])
    assert clips.clip_index.tolist() == list(range(2500))


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_rows_do_not_depend_on_how_they_are_batched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr("tubelet.descriptors.writer.BLOCK_BYTES", block_bytes)
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished(f"v{number}", number + 1) for number in range(5)])
    rows = contents(tmp_path)
    for number in range(5):
        assert_holds(rows, f"v{number}", number + 1, "w1")


def test_a_new_layer_is_a_new_column(tmp_path: Path) -> None:
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished("old", 2)])
    with TableWriter(tmp_path, {"fc6": 8, "pool5": 3}) as writer:
        writer.commit([finished("new", 2, dimensions={"fc6": 8, "pool5": 3})])
    with TableWriter(tmp_path, DIMENSIONS) as writer:  # one layer of the two
        writer.commit([finished("part", 2)])
    table = DescriptorTable(tmp_path)
    assert table.layers == ("fc6", "pool5")
    assert table.without(["pool5"]) == {"old", "part"}
    assert table.without(["fc6"]) == set()
    assert np.array_equal(table.clips("pool5").vectors, made_vectors("new", 2, "w1", {"fc6": 8, "pool5": 3})["pool5"])


def test_vectors_of_another_length_are_refused(tmp_path: Path) -> None:
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished("a", 2)])
    with pytest.raises(UsageError, match=r"fc6 vectors of 8 values, this model gives 16.*another folder"):
        TableWriter(tmp_path, {"fc6": 16})
    with TableWriter(tmp_path, DIMENSIONS):  # the refusal let go of the lock
        pass


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with (
        TableWriter(tmp_path, DIMENSIONS),
        pytest.raises(UsageError, match="another process is writing this table"),
    ):
        TableWriter(tmp_path, DIMENSIONS)


def test_compaction_joins_files_and_keeps_rows(tmp_path: Path) -> None:
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        for number in range(10):
            writer.commit([finished(f"v{number}", 3)])
        assert writer._table.stats()["fragment_stats"]["num_fragments"] == 10
        writer.compact()
        assert writer._table.stats()["fragment_stats"]["num_fragments"] == 1
    rows = contents(tmp_path)
    for number in range(10):
        assert_holds(rows, f"v{number}", 3, "w1")


def test_a_half_made_table_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".new" / TABLE_FOLDER / "data").mkdir(parents=True)
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished("a", 2)])
    assert len(DescriptorTable(tmp_path)) == 2
    assert not (tmp_path / ".new").exists()


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_kill_9_loses_no_acknowledged_row_and_leaves_no_half_video(tmp_path: Path) -> None:
    rng = random.Random(3)
    promised: dict[str, tuple[int, str]] = {}
    script = Path(__file__).with_name("writer_process.py")
    for round_number in range(2):  # 30 rounds were run by hand
        first, old, new = 100_000 * (round_number + 1), f"old{round_number}", f"new{round_number}"
        process = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path), str(first), old, new],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        said = [process.stdout.readline() for _ in range(rng.randint(2, 40))]
        time.sleep(rng.uniform(0.0, 0.03))  # about one commit, so that the kill falls anywhere within one
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().splitlines(keepends=True)
        process.wait()
        acknowledged = [line.split() for line in said if line.endswith("\n")]
        promised |= {video_id: (int(n), weights) for video_id, n, weights in acknowledged}

        rows = contents(tmp_path)
        for video_id, (n, weights) in promised.items():
            mine = rows[video_id]
            if weights == old and {found for found, _ in mine.values()} != {old}:
                n, weights = 4, new  # the commit that replaces it was done, its word not yet out
            if weights == old and len(mine) < n:
                n = 4  # killed between the two commits of a replacement: surplus rows gone, new ones not yet there
            assert_holds(rows, video_id, n, weights)
        for video_id in set(rows) - set(promised):  # committed, not yet acknowledged: whole all the same
            assert_holds(rows, video_id, 5, old)
            promised[video_id] = (5, old)
        promised = {video_id: (len(rows[video_id]), rows[video_id][0][0]) for video_id in promised}
