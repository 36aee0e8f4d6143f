"""``tubelet evaluate compactness``: official splits and their mean, what is printed, failures and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.protocols import compactness

Tubelet = Callable[..., Any]
LABELS = ("Run", "Sit", "Walk")


@pytest.fixture(scope="module")
def ucf101(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of four groups named as UCF101's, lists of two splits, and two tables of vectors."""
    root = tmp_path_factory.mktemp("ucf")
    rng = np.random.default_rng(0)
    names = [
        (f"{label}/v_{label}_g{group:02d}_c01.avi", place, group)
        for place, label in enumerate(LABELS)
        for group in range(1, 5)
    ]
    for name, _, _ in names:
        (root / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "videos" / name).write_bytes(name.encode())
    lists = root / "videos" / "annotations"
    lists.mkdir()
    lists.joinpath("classInd.txt").write_text("".join(f"{n} {label}\n" for n, label in enumerate(LABELS, 1)))
    for split in (1, 2):
        train = [f"{name} {place + 1}\n" for name, place, group in names if group % 2 == split % 2]
        lists.joinpath(f"trainlist0{split}.txt").write_text("".join(train))
        test = [f"{name}\n" for name, _, group in names if group % 2 != split % 2]
        lists.joinpath(f"testlist0{split}.txt").write_text("".join(test))
    for table, length in (("good", 8), ("long", 12)):
        rows = np.array([3 * np.eye(length)[place] + 0.1 * rng.normal(size=length) for _, place, _ in names])
        np.savez(root / f"{table}.npz", video_id=np.array([name for name, _, _ in names]), features=rows)
    return root


def command(ucf101: Path, *tables: str) -> tuple[object, ...]:
    given = [each for table in tables for each in ("--table", f"{table}={ucf101 / table}.npz")]
    return ("evaluate", "compactness", "--data", ucf101 / "videos", "--splits", "1,2", "--dims", "2,50", *given)


def test_two_tables_on_two_splits(
    tubelet: Tubelet, ucf101: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (*command(ucf101, "good", "long"), "-o", tmp_path / "out")
    found = tubelet(*run)
    assert found.code == 0, found.err
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    assert lines[0].startswith("ucf101 (mean of splits 1, 2): accuracy of a linear SVM on 12 videos")
    assert lines[1] == "numbers stored as bytes good long"
    assert [line.split()[0] for line in lines[2:4]] == ["2", "2"]
    assert lines[3].startswith("2 int8 2 100.0% (73.5% to 100.0%)")
    assert any(line.startswith("all 12 float32 48 - 100.0%") for line in lines)
    assert (
        "left out: good: 50 principal components, because the 6 training videos of split 1 span 5 directions" in lines
    )
    assert "good: 8 numbers" not in found.out
    same = "right on the same videos as all numbers in float32; a loss of up to 26.5 points is not excluded"
    assert f"good: 2 principal components, int8, 2 bytes a video for 32, {same}" in lines
    assert "good: 12 videos, features of 8 numbers" in found.err
    for name in ("report.html", "result.json", "compactness.csv", "plots/bytes.png", "split2/report.html"):
        assert (tmp_path / "out" / name).is_file(), name

    def fit(*arguments: Any) -> Any:
        raise AssertionError("it is in the folder")

    monkeypatch.setattr(compactness, "fitted_decisions", fit)
    again = tubelet(*run, "--json")
    assert again.json["tables"]["good"]["smallest"] == "pca2_int8"
    assert again.json["missing"] == []
    other = tubelet(*run, "--C", 2)
    assert other.complaint.startswith("the output folder holds a run with other settings")


def test_videos_without_a_vector_are_listed(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    with np.load(ucf101 / "good.npz") as whole:
        np.savez(tmp_path / "some.npz", video_id=whole["video_id"][:-1], features=whole["features"][:-1])
    found = tubelet(
        "evaluate", "compactness", "--data", ucf101 / "videos", "--table", f"some={tmp_path / 'some.npz'}", "--splits",
        "1", "--dims", "2", "--bits", "float32", "-o", tmp_path / "out", "--json",
    )  # fmt: skip
    assert found.code == 3
    lost = "Walk/v_Walk_g04_c01.avi"
    assert found.json["missing"] == [lost]
    assert json.loads((tmp_path / "out" / "failed.jsonl").read_text())["video_id"] == lost
    assert [point["variant"] for point in found.json["tables"]["some"]["points"]] == ["pca2_float32", "all_float32"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dims", "ten"), "--dims cannot be 'ten'"),
        (("--dims", "0"), "numbers of components cannot be 0"),
        (("--bits", "int8"), "bits cannot be int8 (losses are measured against the descriptor in float32)"),
    ],
)
def test_nonsense_is_refused(
    tubelet: Tubelet, ucf101: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    found = tubelet(*command(ucf101, "good"), *options, "-o", tmp_path / "out")
    assert found.code == 2
    assert found.complaint.startswith(message)


def test_nothing_is_fitted_on_a_dry_run(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    found = tubelet(*command(ucf101, "good"), "-o", tmp_path / "out", "--dry-run", "--json")
    assert found.json["dims"] == [2, 50]
    assert found.json["parts"] == ["split1", "split2"]
    assert not (tmp_path / "out").exists()


def test_a_table_has_to_be_given(tubelet: Tubelet, ucf101: Path) -> None:
    assert tubelet(*command(ucf101)).complaint.startswith("there is no table to reduce; give --table NAME=DIR")
