"""The table in other formats, read back by other libraries."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tubelet.descriptors.export import export
from tubelet.descriptors.writer import TableWriter
from tubelet.errors import InputDataError, UsageError

sys.path.insert(0, str(Path(__file__).parent))
from made_rows import finished, made_vectors

DIMENSIONS = {"fc6": 4, "prob": 2}
ROWS = [("run/it's ü", 0), ("run/it's ü", 1), ("walk/a", 0), ("walk/a", 1), ("walk/a", 2)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    with TableWriter(folder, DIMENSIONS) as writer:
        writer.commit([finished("walk/a", 3, dimensions=DIMENSIONS)])
        writer.commit([finished("run/it's ü", 2, dimensions=DIMENSIONS)])
    return folder


def expected(layer: str) -> np.ndarray:
    parts = {name: made_vectors(name, 3, "w1", DIMENSIONS)[layer] for name, _ in ROWS}
    return np.stack([parts[name][index] for name, index in ROWS])


def check_columns(columns: Any) -> None:
    assert list(zip(columns["video_id"], [int(i) for i in columns["clip_index"]], strict=True)) == ROWS
    assert [float(s) for s in columns["start_s"]] == [8 * index / 25 for _, index in ROWS]
    assert list(columns["path"]) == [f"/data/{name}" for name, _ in ROWS]


def test_npz(table: Path, tmp_path: Path) -> None:
    (file,) = export(table, tmp_path / "vectors.npz", "npz")
    assert file == tmp_path / "vectors.npz"
    with np.load(file, allow_pickle=False) as arrays:
        assert set(arrays) == {"vector_fc6", "vector_prob", "video_id", "path", "clip_index", "start_s", "end_s"}
        check_columns({name: arrays[name].tolist() for name in arrays})
        for layer in DIMENSIONS:
            assert arrays[f"vector_{layer}"].dtype == np.float32
            assert np.array_equal(arrays[f"vector_{layer}"], expected(layer))


def test_npz_of_videos(table: Path, tmp_path: Path) -> None:
    (file,) = export(table, tmp_path / "videos", "npz", level="video")
    with np.load(file, allow_pickle=False) as arrays:
        assert arrays["video_id"].tolist() == ["run/it's ü", "walk/a"]
        assert arrays["label"].tolist() == ["run", "walk"]
        mean = expected("fc6")[2:].astype(np.float64).mean(axis=0)
        assert arrays["vector_fc6"][1] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_npy(table: Path, tmp_path: Path) -> None:
    files = export(table, tmp_path / "npy", "npy")
    assert [file.name for file in files] == ["vector_fc6.npy", "vector_prob.npy", "rows.csv"]
    assert np.array_equal(np.load(files[1], allow_pickle=False), expected("prob"))
    with files[2].open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    check_columns({name: [row[name] for row in rows] for name in rows[0]})


def test_parquet(table: Path, tmp_path: Path) -> None:
    (file,) = export(table, tmp_path / "rows.parquet", "parquet")
    rows = pq.read_table(file).sort_by([("video_id", "ascending"), ("clip_index", "ascending")])
    check_columns(rows.select(["video_id", "clip_index", "start_s", "path"]).to_pydict())
    assert rows.column("vector_fc6").to_pylist() == expected("fc6").tolist()
    assert set(rows.column("weights_sha256").to_pylist()) == {"w1"}


def test_projector(table: Path, tmp_path: Path) -> None:
    files = export(table, tmp_path / "projector", "projector")
    assert [file.name for file in files] == ["fc6.tsv", "prob.tsv", "metadata.tsv"]
    assert np.loadtxt(files[0], delimiter="\t") == pytest.approx(expected("fc6"), rel=1e-6)
    lines = files[2].read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t") == ["video_id", "path", "clip_index", "start_s", "end_s"]
    assert len(lines) == 1 + len(ROWS)


def test_what_cannot_be_exported(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no export format 'pickle'"):
        export(table, tmp_path / "x", "pickle")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no level 'frame'"):
        export(table, tmp_path / "x", level="frame")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="parquet holds the table's rows"):
        export(table, tmp_path / "x", "parquet", level="video")
    with pytest.raises(InputDataError, match="no descriptor table"):
        export(tmp_path, tmp_path / "x")


def test_layers_must_cover_the_same_videos(tmp_path: Path) -> None:
    with TableWriter(tmp_path, {"fc6": 4}) as writer:
        writer.commit([finished("a", 2, dimensions={"fc6": 4})])
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished("b", 2, dimensions=DIMENSIONS)])
    with pytest.raises(InputDataError, match="not all videos of the table have the layer prob"):
        export(tmp_path, tmp_path / "x.npz")
