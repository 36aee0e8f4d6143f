"""``tubelet evaluate ... --diagnose``: options, what is printed and written, and that nothing is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.descriptors.network import ClipNetwork
from tubelet.models.precision import PrecisionReport
from tubelet.protocols.diagnosis import Diagnosis

Tubelet = Callable[..., Any]


EXPERIMENT = """
name = "narrow"
source = "a test"
dataset = "folder"
model = "c3d_small"
recipe = "c3d_small"
[options]
width = 0.125
[train]
iterations = 3
batch_size = 4
precision = "float32"
"""


@pytest.fixture(scope="module")
def model(motion_folder: Path, tubelet: Tubelet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow network after three steps: each of many variants runs it over all videos again."""
    root = tmp_path_factory.mktemp("narrow")
    (root / "narrow.toml").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patch:  # the proof of the gradients takes seconds and has tests of its own
        proved = lambda model, dtype, memory_format: PrecisionReport(dtype, memory_format, 1, ())  # noqa: E731
        patch.setattr("tubelet.training.precision.check_gradients", proved)
        done = tubelet(
            "train", root / "narrow.toml", "--data", motion_folder, "--no-svm", "--no-flip", "-o", root / "run",
            "--workers", 1, "--device", "cpu",
        )  # fmt: skip
    assert done.code == 0, done.err
    return root / "run"


@pytest.fixture(scope="module")
def command(model: Path, motion_folder: Path) -> tuple[object, ...]:
    common = ("--data", motion_folder, "--model", model, "--device", "cpu", "--workers", 1)
    return ("evaluate", "folder", *common, "--views", "1x1")


def test_a_networks_figure_is_diagnosed(
    tubelet: Tubelet, command: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three steps of training leave nothing that the five could explain."""
    plain = tubelet(*command, "-o", tmp_path / "run", "--json")
    assert plain.code == 0, plain.err
    asked = (*command, "-o", tmp_path / "run", "--diagnose", "--expected", "0.999")
    found = tubelet(*asked, "--json")
    assert found.code == 0, found.err
    said = found.json["diagnosis"]
    assert said["expected"] == {"value": 0.999, "source": "given with --expected", "over_classes": False}
    assert (said["value"], said["used"]) == (plain.json["value"], 10)
    tried = [(one["suspect"], one["name"]) for one in said["tried"]]
    assert {suspect for suspect, _ in tried} == {"color order", "mean", "stride", "normalization", "split"}
    assert ("split", "the training part") in tried
    assert said["culprit"] is None
    assert "variants on 10 videos, about " in found.err
    assert "1/" in found.err
    kept = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert kept["diagnosis"] == said
    assert Diagnosis.from_dict(said).sentence() == said["sentence"]
    assert (tmp_path / "run" / "plots" / "diagnosis.png").is_file()
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Diagnosis" in page
    assert "None of the five explains it" in page
    monkeypatch.setattr(ClipNetwork, "__call__", lambda *arguments: pytest.fail("it is in the folder"))
    monkeypatch.setattr(ClipNetwork, "_measure", lambda *arguments: {"fc8": 10})
    again = tubelet(*asked)
    assert again.code == 0, again.err
    assert said["sentence"] in again.out
    assert "  color order    BGR" in again.out


def test_a_tables_figure_is_diagnosed(tubelet: Tubelet, model: Path, motion_folder: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "table", tmp_path / "run"
    with_model = ("--model", model, "--device", "cpu", "--workers", 1)
    extracted = tubelet("extract", motion_folder, *with_model, "--layers", "fc6", "-o", table)
    assert extracted.code == 0, extracted.err
    evaluated = ("evaluate", "descriptors", "--data", motion_folder, "--kind", "folder", "--table", table)
    asked = (*evaluated, "-o", out, "--diagnose", "--expected", "0.999", "--diagnose-videos", 15)
    found = tubelet(*asked, "--json")
    assert found.code == 0, found.err
    said = found.json["diagnosis"]
    assert {one["suspect"] for one in said["tried"]} == {"color order", "mean", "stride", "normalization", "split"}
    assert ("split", "training and test part exchanged") in [(one["suspect"], one["name"]) for one in said["tried"]]
    assert [note for note in said["notes"] if "described again unchanged" in note] == []
    assert said["notes"][0].startswith("variants were fitted and tested on 15 of 30 videos")
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))["diagnosis"] == said
    again = tubelet(*asked)
    assert said["sentence"] in again.out
    assert "variants on" not in again.err, "all of them lie in the folder"


def test_what_cannot_be_diagnosed_is_refused_before_anything_is_done(
    tubelet: Tubelet, command: tuple[object, ...], tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "run")
    refused = tubelet(*command, *out, "--diagnose")
    assert refused.code == 2
    assert "nothing in print is comparable with a figure on " in refused.complaint
    assert "--expected" in refused.complaint
    assert "add --diagnose" in tubelet(*command, *out, "--expected", "0.5").complaint
    assert "give a share between 0 and 1" in tubelet(*command, *out, "--diagnose", "--expected", "82.3").complaint
    training = tubelet("evaluate", *command[1:4], "--diagnose", "--expected", "0.5", *out)
    assert training.complaint.startswith("--diagnose: these test a trained model")
    assert not (tmp_path / "run").exists()


def test_one_table_and_one_split_are_diagnosed_at_a_time(tubelet: Tubelet, motion_folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "idt.npz", video_id=np.array(["a"]), vectors=np.ones((1, 2)))
    two = ("--table", tmp_path / "idt.npz") * 2
    data = ("evaluate", "descriptors", "--data", motion_folder, "--kind", "folder", "-o", tmp_path / "run")
    refused = tubelet(*data, *two, "--diagnose", "--expected", "0.5")
    assert (refused.code, refused.complaint) == (
        2,
        "--diagnose takes one table, not 2; diagnose each by itself",
    )
