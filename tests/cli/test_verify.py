"""``tubelet verify`` and ``tubelet explain`` on the tables of a trained network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tubelet.descriptors.store import open_lance

Tubelet = Callable[..., Any]


@pytest.fixture(scope="module")
def table(trained_run: Any) -> Path:
    """The descriptors of the run: 30 videos of two clips each, layers fc6 and prob."""
    return Path(trained_run.folder / "descriptors")


@pytest.fixture(scope="module")
def other(tubelet: Tubelet, trained_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same videos by the same network whose frames are in the other color order."""
    folder = tmp_path_factory.mktemp("other")
    shutil.copytree(trained_run.folder / "model", folder / "model")
    recipe = folder / "model" / "preprocessor_config.json"
    recipe.write_text(recipe.read_text().replace('"rgb"', '"bgr"'))
    made = tubelet(
        "extract", trained_run.videos / "test", "--model", folder / "model", "-o", folder / "table", "--limit", 4
    )
    assert made.code == 0, made.err
    return Path(folder / "table")


def test_a_table_is_as_recorded(tubelet: Tubelet, table: Path, tmp_path: Path) -> None:
    found = tubelet("verify", table, "--clips", 3, "-o", tmp_path / "out")
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    assert lines[0].startswith("as recorded: 3 of 60 rows, from 3 of 30 videos, came out again; ")
    assert [line.split()[0] for line in lines[1:4]] == ["layer", "fc6", "prob"]
    assert "(float32 with the same versions on the same kind of machine)" in found.out
    assert (tmp_path / "out" / "report.html").exists()
    assert not (tmp_path / "out" / "failed.jsonl").exists()


def test_a_row_that_was_changed_is_named(tubelet: Tubelet, table: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(table, tmp_path / "table")
    one = "test/down/down_00000.avi"
    rows = open_lance(copy)
    row = rows.search().where(f"video_id = '{one}' AND clip_index = 1").to_list()[0]
    rows.update(f"video_id = '{one}' AND clip_index = 1", values={"vector_fc6": [-x for x in row["vector_fc6"]]})
    found = tubelet("verify", copy, "--share", "100%", "--json", "-o", tmp_path / "out")
    assert found.code == 3
    (off,) = [check for check in found.json["checks"] if check["reason"]]
    assert (off["video_id"], off["clip_index"], off["layer"]) == (one, 1, "fc6")
    assert off["cosine"] == pytest.approx(-1.0)
    assert (found.json["as_recorded"], found.json["rows"]) == (False, 60)
    listed = [json.loads(line) for line in (tmp_path / "out" / "failed.jsonl").read_text().splitlines()]
    assert [entry["video_id"] for entry in listed] == [one]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--share", "half"], 2, "--share cannot be 'half'; give a part of the rows: 5%, or 0.05; 100% is all"),
        (["--share", "0"], 2, "--share cannot be '0'"),
        (["--precision", "half"], 2, "--precision cannot be 'half'; use one of float32, bfloat16"),
        (["--data", "nowhere"], 4, "say with --data which folder its name is relative to"),
        (["--model", "nowhere"], 4, "this is no model folder: nowhere"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    tubelet: Tubelet, table: Path, arguments: list[str], code: int, complaint: str
) -> None:
    found = tubelet("verify", table, "--clips", 1, *arguments)
    assert (found.code, found.out) == (code, "")
    assert complaint in found.complaint


def test_a_run_instead_of_its_table_is_told_where_the_table_lies(tubelet: Tubelet, table: Path) -> None:
    for command in (("verify", table.parent), ("explain", table.parent, table)):
        found = tubelet(*command)
        assert (found.code, found.complaint) == (
            4, f"there is no descriptor table here: {table.parent}; give {table}, where there is one",
        )  # fmt: skip


def test_of_one_missing_video_it_is_not_said_that_data_is_to_be_given(
    tubelet: Tubelet, trained_run: Any, table: Path, tmp_path: Path
) -> None:
    films = shutil.copytree(trained_run.videos, tmp_path / "films")
    (films / "test/down/down_00000.avi").unlink()
    found = tubelet("verify", table, "--share", "100%", "--data", films, "--json")
    assert found.code == 3
    (missing,) = [video for video in found.json["video_checks"] if video["state"] == "missing"]
    assert missing["detail"] == f"there is no such video below --data: {films / 'test/down/down_00000.avi'}"


def test_a_table_whose_model_went_names_the_option(tubelet: Tubelet, table: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(table, tmp_path / "table")
    record = json.loads((copy / "provenance.json").read_text())
    record["model_source"] = str(tmp_path / "gone")
    (copy / "provenance.json").write_text(json.dumps(record))
    found = tubelet("verify", copy, "--clips", 1)
    assert found.code == 4
    assert found.complaint.endswith("say with --model where it lies now")
    (copy / "provenance.json").unlink()
    found = tubelet("verify", copy, "--clips", 1)
    assert (found.code, found.complaint) == (
        2, f"the table does not say where its model lies: {copy}; name it with --model",
    )  # fmt: skip
    assert tubelet("verify", "nowhere").code == 4


def test_two_tables_are_explained(tubelet: Tubelet, table: Path, other: Path, trained_run: Any, tmp_path: Path) -> None:
    # The ids of the small table are relative to its own folder.
    renamed = shutil.copytree(other, tmp_path / "table")
    open_lance(renamed).update(values_sql={"video_id": "'test/' || video_id"})
    found = tubelet("explain", table, renamed, "--videos", 2, "-o", tmp_path / "out")
    assert found.code == 0, found.err
    first = found.out.splitlines()[0]
    assert first.startswith("the vectors differ: median cosine ")
    assert "they differ in color; color accounts for most: 100% of the squared difference" in first
    words = [line.split() for line in found.out.splitlines()]
    assert ["color", "RGB", "BGR", "the", "vectors"] in words
    assert "4; 26 only in A, 0 only in B" in found.out
    assert (tmp_path / "out" / "report.html").exists()
    record = tubelet("explain", table, renamed, "--videos", 0, "--json").json
    assert (record["attribution"], record["coverage"]["rows"]) == (None, 8)


def test_a_missing_table_or_model_is_told(tubelet: Tubelet, table: Path, tmp_path: Path) -> None:
    assert tubelet("explain", table, tmp_path / "absent").code == 4
    copy = shutil.copytree(table, tmp_path / "table")
    (copy / "provenance.json").unlink()
    found = tubelet("explain", copy, table)
    assert found.code == 0
    assert "the table does not say where its model lies" in found.err
    assert tubelet("explain", table, copy, "--model", "nowhere").complaint.startswith("this is no model folder")
