"""Tables of any kind say the same, and say what they do not know."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.export import export
from tubelet.descriptors.request import item_id, span_of
from tubelet.errors import InputDataError, UsageError

sys.path.insert(0, str(Path(__file__).parent))
from toy import HandMade


def test_an_export_says_what_the_table_says(table: Path, tmp_path: Path) -> None:
    shutil.copy(table / "provenance.json", tmp_path)
    tables = [RecordedTable(table)]
    for kind in ("npz", "parquet"):
        (path,) = export(table, tmp_path / f"t.{kind}", kind)  # type: ignore[arg-type]
        tables.append(RecordedTable(path))
    ids = ["walk/a.mp4", "run/it's ü.mp4"]
    expected = tables[0].vectors("fc6", ids)
    for other in tables[1:]:
        places, vectors = other.vectors("fc6", ids)
        assert np.array_equal(places, expected[0])
        assert np.array_equal(vectors, expected[1])
        assert other.dimensions == {"fc6": 6}
        for name in ("video_id", "clip_index", "start_s", "end_s"):
            assert np.array_equal(getattr(other.places, name), getattr(tables[0].places, name))
        for video_id, facts in other.videos.items():
            for name in ("weights_sha256", "recipe_hash", "sampling", "precision", "model"):
                assert facts[name] == tables[0].videos[video_id][name]
    assert tables[1].places.start_frame.tolist() == [-1] * 9  # npz does not say
    assert np.array_equal(tables[2].places.start_frame, tables[0].places.start_frame)
    assert list(tables[0].videos) == ["run/c.mp4", "run/it's ü.mp4", "walk/a.mp4", "walk/b.mp4"]
    assert len(tables[0]) == 9


def test_rows_and_their_places(table: Path, toy: HandMade, pixels: dict[str, np.ndarray]) -> None:
    found = RecordedTable(table)
    places, vectors = found.vectors("fc6", ["walk/a.mp4"])
    spans, expected = toy.clips(pixels["walk/a.mp4"])
    assert np.array_equal(vectors, expected)
    assert found.places.clip_index[places].tolist() == [span.clip_index for span in spans]
    assert found.places.end_frame[places].tolist() == [span.end_frame for span in spans]
    assert found.vectors("fc6", [])[1].shape == (0, 6)
    with pytest.raises(UsageError, match="no layer 'pool5'"):
        found.vectors("pool5", ["walk/a.mp4"])


def test_a_parquet_file_of_plain_lists_and_rows_without_a_layer(tmp_path: Path) -> None:
    columns = {
        "video_id": ["b", "a", "a"],
        "clip_index": [0, 1, 0],
        "vector_fc6": pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float64())),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = RecordedTable(tmp_path / "t.parquet")
    assert (found.dimensions, len(found)) == ({"fc6": 2}, 3)
    places, vectors = found.vectors("fc6", ["a", "b"])
    assert (places.tolist(), vectors.tolist()) == ([0, 2], [[3.0, 4.0], [1.0, 2.0]])
    assert found.only("weights_sha256") is None
    assert np.isnan(found.places.start_s).all()


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("t.parquet", b"PAR1", InputDataError, "cannot be read"),
        ("t.npz", b"no archive", InputDataError, "cannot be read"),
        ("t.csv", b"video_id,x\n", UsageError, "says nothing of how"),
        (None, b"", InputDataError, "there is no such descriptor table"),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, name: str | None, content: bytes, error: type[Exception], words: str
) -> None:
    if name is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=words):
        RecordedTable(tmp_path / (name or "absent.npz"))


def test_files_without_ids_or_vectors_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", vector_fc6=np.zeros((2, 3)))
    np.savez(tmp_path / "b.npz", video_id=np.array(["a", "b"]))
    np.savez(tmp_path / "c.npz", video_id=np.array(["a", "b"]), vector_fc6=np.zeros((3, 3)))
    for name, words in (("a", "no array video_id"), ("b", "has no layer"), ("c", "does not fit 2 rows")):
        with pytest.raises(InputDataError, match=words):
            RecordedTable(tmp_path / f"{name}.npz")
    pq.write_table(pa.table({"vector_fc6": [[1.0]]}), tmp_path / "d.parquet")
    with pytest.raises(InputDataError, match="no column video_id"):
        RecordedTable(tmp_path / "d.parquet")


@pytest.mark.parametrize(
    ("video_id", "expected"),
    [
        ("a/b.mp4", ("a/b.mp4", None, None)),
        ("a/b.mp4#t=1.5,3", ("a/b.mp4", 1.5, 3.0)),
        ("a/b.mp4#t=1e-05", ("a/b.mp4", 1e-05, None)),
        ("a/b.mp4#t=,3", ("a/b.mp4", None, 3.0)),
        ("a/b.mp4#t=", ("a/b.mp4#t=", None, None)),
        ("x#t=2.mp4#t=4,5", ("x#t=2.mp4", 4.0, 5.0)),
    ],
)
def test_a_span_is_read_back_from_its_name(video_id: str, expected: tuple[str, float | None, float | None]) -> None:
    assert span_of(video_id) == expected
    from tubelet.datasets.manifest import Item

    if expected[1] is not None or expected[2] is not None:
        assert item_id(Item(expected[0], None, start_s=expected[1], end_s=expected[2])) == video_id
