"""One vector per video, from files of other tools and from a table of ours, by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tubelet.descriptors.export import export
from tubelet.descriptors.runner import model_source_of
from tubelet.descriptors.store import DescriptorTable
from tubelet.descriptors.video_vectors import open_vectors
from tubelet.errors import InputDataError, UsageError

IDS = ["b.avi", "a.avi", "b.avi"]
ROWS = np.array([[3.0, 0.0], [0.0, 2.0], [3.0, 8.0]])
# a: (0, 2) has the direction (0, 1); b: the mean of (3, 0) and (3, 8) is (3, 4), of length 5.
EXPECTED = np.array([[0.0, 1.0], [0.6, 0.8]])


def write_npz(path: Path) -> Path:
    np.savez(path / "idt.npz", video_id=np.array(IDS), descriptor=ROWS, start_s=np.zeros(3))
    return path / "idt.npz"


def write_csv(path: Path) -> Path:
    lines = ["x,video_id,y", *(f"{x},{name},{y}" for name, (x, y) in zip(IDS, ROWS, strict=True))]
    (path / "idt.csv").write_text("\n".join(lines), encoding="utf-8")
    return path / "idt.csv"


def write_lists(path: Path) -> Path:
    pq.write_table(pa.table({"video_id": IDS, "vector": ROWS.tolist(), "start_s": [0.0] * 3}), path / "idt.parquet")
    return path / "idt.parquet"


def write_numbers(path: Path) -> Path:
    pq.write_table(pa.table({"video_id": IDS, "x": ROWS[:, 0], "y": ROWS[:, 1]}), path / "idt.parquet")
    return path / "idt.parquet"


@pytest.mark.parametrize("write", [write_npz, write_csv, write_lists, write_numbers])
def test_rows_are_averaged_and_scaled_to_length_one(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    found = open_vectors(write(tmp_path))
    assert (found.name, found.video_ids.tolist()) == ("idt", ["a.avi", "b.avi"])
    assert found.vectors == pytest.approx(EXPECTED)
    assert found.take(["b.avi", "a.avi"]) == pytest.approx(EXPECTED[::-1])
    assert found.facts == {}
    assert open_vectors(write(tmp_path), name="other").hash == found.hash, "the name is not in the hash"


def test_a_table_of_ours_and_its_exports_agree(trained_run: Any, tmp_path: Path) -> None:
    folder = trained_run.folder / "descriptors"
    found = open_vectors(folder)
    assert found.layer == "fc6", "prob is no descriptor"
    assert found.vectors == pytest.approx(DescriptorTable(folder).videos("fc6").vectors)
    assert found.facts["model"] == "c3d_small"
    assert found.facts["recipe"] == "c3d_small"
    assert Path(found.facts["model_source"]) == trained_run.folder / "model"
    for kind in ("npz", "parquet"):
        (file,) = export(folder, tmp_path / f"table.{kind}", kind)  # type: ignore[arg-type]
        again = open_vectors(file, "fc6")
        assert again.layer == "vector_fc6"
        assert again.video_ids.tolist() == found.video_ids.tolist()
        assert again.vectors == pytest.approx(found.vectors, abs=1e-6)
    assert open_vectors(folder, "prob").vectors.shape[1] == 10


def test_a_table_made_by_a_training_run_knows_the_model_in_it(tmp_path: Path) -> None:
    """``extract --model RUN`` remembers the run; leaks are looked for in the model's provenance, one folder below."""
    table, run = tmp_path / "table", tmp_path / "run"
    (run / "model").mkdir(parents=True)
    table.mkdir()
    (table / "provenance.json").write_text(json.dumps({"model_source": str(run)}), encoding="utf-8")
    assert model_source_of(table) == str(run)
    (run / "model" / "config.json").write_text("{}", encoding="utf-8")
    assert model_source_of(table) == str(run / "model")


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("none.npz", None, InputDataError, "there is no such descriptor table"),
        ("a.txt", b"", UsageError, "descriptors of this kind of file are not read"),
        ("a.npz", b"PK broken", InputDataError, "the descriptor table cannot be read"),
        ("a.parquet", b"broken", InputDataError, "the descriptor table cannot be read"),
        ("a.csv", b"", InputDataError, "the descriptor table cannot be read"),
        ("a.csv", b"x,y\n1,2\n", InputDataError, "has no video_id"),
        ("a.csv", b"video_id,y\na,2\nb\n", InputDataError, "line 3 has 1 cells, not 2"),
        ("a.csv", b"video_id,y\na,much\n", InputDataError, "could not convert"),
        ("a.csv", b"video_id,y\na,nan\n", InputDataError, "a descriptor is not finite"),
        ("a.csv", b"video_id\na\n", InputDataError, "the descriptors do not fit the videos"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception], says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=says):
        open_vectors(tmp_path / name)


def test_a_layer_is_chosen_or_asked_for(tmp_path: Path) -> None:
    ids = np.array(["a"])
    np.savez(tmp_path / "two.npz", video_id=ids, vector_x=np.ones((1, 2)), vector_y=np.ones((1, 3)))
    np.savez(tmp_path / "papers.npz", video_id=ids, vector_pool5=np.ones((1, 2)), vector_fc6=np.ones((1, 3)))
    with pytest.raises(UsageError, match=r"the table has several layers.*--layer: x, y"):
        open_vectors(tmp_path / "two.npz")
    assert open_vectors(tmp_path / "two.npz", "y").vectors.shape == (1, 3)
    assert open_vectors(tmp_path / "papers.npz").layer == "vector_fc6"
    with pytest.raises(UsageError, match="the table has no layer 'z'"):
        open_vectors(tmp_path / "two.npz", "z")
    with pytest.raises(InputDataError, match="there is no descriptor table here"):
        open_vectors(tmp_path)
