"""``tubelet evaluate fuse``: options of several values, the table, JSON, the folder, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tubelet.cli.fuse import repeat_options
from tubelet.protocols.score_file import ScoreFile

Tubelet = Callable[..., Any]


def scored(name: str, seed: int, prefix: str = "v", part: str = "test") -> ScoreFile:
    labels = np.arange(24) % 3
    scores = np.random.default_rng(seed).normal(size=(24, 3)) + 1.5 * np.eye(3)[labels]
    ids = tuple(f"{prefix}{i}" for i in range(24))
    return ScoreFile(
        ids, ("bend", "jack", "run"), labels, ids, scores, softmax(scores, axis=1), np.ones(24, np.int64),
        settings={"stream": name, "part": part, "weights_sha256": name, "recipe_hash": "r"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scores")
    for index, name in enumerate(("rgb", "flow", "warped")):
        scored(name, index).save(root / f"{name}.npz")
        scored(name, 10 + index, "t", "train").save(root / f"{name}_train.npz")
    return root


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a b --weights 1 1.5", "a b --weights 1 --weights 1.5"),
        ("--weights 1 1 0.5 a b c", "--weights 1 --weights 1 --weights 0.5 a b c"),
        ("--weights 1 --weights 2 a b", "--weights 1 --weights 2 a b"),
        ("a b --by scores svm --json", "a b --by scores --by svm --json"),
        ("--by svm a b", "--by svm a b"),
        ("a --train-scores c d -o e f", "a --train-scores c --train-scores d -o e f"),
        ("a b --weights -1 2", "a b --weights -1 --weights 2"),
        ("a b --weights=1 2", "a b --weights=1 2"),
    ],
)
def test_an_option_takes_several_values(typed: str, meant: str) -> None:
    assert repeat_options(typed.split()) == meant.split()


def test_a_marked_file_marks_every_figure_made_of_it(tubelet: Tubelet, folder: Path, tmp_path: Path) -> None:
    leak = "the weights were trained on 2 of the 24 test groups"
    marked = replace(scored("rgb", 0, part="all"), notes=(leak,)).save(tmp_path / "rgb.npz")
    found = tubelet("evaluate", "fuse", marked, folder / "flow.npz", "-o", tmp_path / "out", "--json")
    assert found.code == 0, found.err
    assert found.json["notes"] == [leak]
    assert [row["notes"] for row in found.json["streams"]] == [[leak], []]
    assert [row["notes"] for row in found.json["fused"]] == [[leak]]
    assert (tmp_path / "out" / "report.html").read_text().count(f"Note: {leak}") == 1
    assert f"note: {leak}" in tubelet("evaluate", "fuse", marked, folder / "flow.npz").out
    refused = tubelet("evaluate", "fuse", folder / "rgb_train.npz", folder / "flow.npz")
    assert refused.complaint.startswith("these are scores of videos that the network was trained on")


def test_two_streams_by_the_issues_command(tubelet: Tubelet, folder: Path) -> None:
    files = (folder / "rgb.npz", folder / "flow.npz")
    found = tubelet("evaluate", "fuse", *files, "--weights", 1, 1.5, "--json")
    assert found.code == 0, found.err
    a, b = ScoreFile.load(files[0]), ScoreFile.load(files[1])
    share = float(((a.scores + 1.5 * b.scores).argmax(1) == a.labels).mean())
    assert found.json["fused"][0]["value"] == pytest.approx(share)
    assert found.json["weights"] == [1, 1.5]
    assert set(found.json["provenance"]["scores"]) == {str(path) for path in files}
    assert found.json["settings"]["hashes"] == [a.hash, b.hash]
    table = tubelet("evaluate", "fuse", *files, "--weights", 1, 1.5)
    assert table.err == ""
    assert f"{share:.1%} (" in next(line for line in table.out.splitlines() if "sum of scores" in line)
    assert tubelet("evaluate", "fuse", *files, "--weights", 1, 1.5).out == table.out, "it is repeatable"


def test_three_streams_every_way(tubelet: Tubelet, folder: Path) -> None:
    names = ("rgb", "flow", "warped")
    found = tubelet(
        "evaluate", "fuse", *(folder / f"{name}.npz" for name in names), "--weights", 1, 1, 0.5,
        "--by", "scores", "softmax", "svm", "--train-scores", *(folder / f"{name}_train.npz" for name in names),
        "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert [one["protocol"] for one in found.json["fused"]] == [
        "sum of scores before softmax", "mean of softmax", "linear SVM on softmax",
    ]  # fmt: skip
    assert found.json["report"] is None


def test_the_report_has_every_figure(tubelet: Tubelet, folder: Path, tmp_path: Path) -> None:
    found = tubelet("evaluate", "fuse", folder / "rgb.npz", folder / "flow.npz", "-o", tmp_path / "out")
    assert found.code == 0, found.err
    assert found.err == f"report: {tmp_path / 'out' / 'report.html'}\n"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    for one in (*record["streams"], *record["fused"]):
        assert f"{100 * one['value']:.1f}\u00a0%" in page
    assert record["provenance"]["command"]
    plots = {path.name for path in (tmp_path / "out" / "plots").iterdir()}
    assert plots >= {"accuracy.png", "classes_flow_minus_rgb.png"}


def test_what_is_wrong_is_said_with_the_file(tubelet: Tubelet, folder: Path, tmp_path: Path) -> None:
    rgb, flow = folder / "rgb.npz", folder / "flow.npz"
    fewer = ScoreFile.load(flow).take(range(20)).save(tmp_path / "fewer.npz")
    for arguments, code, complaint in (
        ([rgb, flow, "--weights", 1], 2, "1 weights for 2 streams"),
        ([rgb, rgb, "--names", "a,a"], 2, "the streams' names are not distinct"),
        ([rgb, flow, "--by", "vote"], 2, "--by cannot be 'vote'"),
        ([rgb, flow, "--by", "svm"], 2, "the SVM needs the scores of training videos"),
        ([rgb, "--train-scores", folder / "rgb_train.npz"], 2, "--train-scores are for the SVM"),
        ([folder / "rgb_train.npz"], 2, "these are scores of videos that the network was trained on: "),
        ([rgb, tmp_path / "none.npz"], 4, f"there is no such score file: {tmp_path / 'none.npz'}"),
        ([rgb, fewer], 4, f"the videos are not those of {rgb}: {fewer} (4: v20, v21, v22"),
        ([], 2, "missing argument 'scores'"),
    ):
        found = tubelet("evaluate", "fuse", *arguments)
        assert (found.code, found.out) == (code, ""), arguments
        assert found.complaint.startswith(complaint), found.complaint
    kept = tubelet("evaluate", "fuse", rgb, fewer, "--common")
    assert kept.code == 0
    assert "note: 4 of 24 videos are not in all files and are not counted" in kept.out


def test_classes_may_stand_in_another_order(tubelet: Tubelet, folder: Path, tmp_path: Path) -> None:
    names = ("rgb", "flow")
    command = ("--by", "svm", "--json", "--train-scores")
    plain = tubelet(
        "evaluate", "fuse", *(folder / f"{name}.npz" for name in names), *command,
        *(folder / f"{name}_train.npz" for name in names),
    )  # fmt: skip
    turned = []
    for name in ("flow.npz", "rgb_train.npz", "flow_train.npz"):
        file = ScoreFile.load(folder / name)
        turned.append(replace(file.take(range(24), [2, 0, 1])).save(tmp_path / name))
    found = tubelet("evaluate", "fuse", folder / "rgb.npz", turned[0], *command, *turned[1:])
    assert found.code == 0, found.err
    assert found.json["fused"][0]["value"] == plain.json["fused"][0]["value"]
    assert found.json["streams"][1]["confusion"] == plain.json["streams"][1]["confusion"]
