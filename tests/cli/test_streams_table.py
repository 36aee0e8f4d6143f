"""``tubelet evaluate streams`` with SVMs: on a layer, on a network as it is, on both; resumed, added later, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.catalog import open_dataset
from tubelet.descriptors import extractor
from tubelet.models.registry import create_model
from tubelet.protocols import round_model, score_stream, shared_frames
from tubelet.protocols.rounds import resolved_settings, run_round
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.stream_experiment import load_stream_experiment
from tubelet.protocols.streams_open import open_folds, open_streams
from tubelet.training.run_folder import RunFolder, safe_name

Tubelet = Callable[..., Any]

TABLE = """name = "table"
source = "a test"
dataset = "weizmann"
primary = ["net full6 + SVM", "image"]
[[streams]]
name = "net"
model = "two_stream_spatial"
recipe = "two_stream_rgb"
views = "2x1"
svm = "full6"
[streams.options]
width = 0.0625
side = 48
[streams.train]
iterations = 2
batch_size = 4
precision = "float32"
workers = 1
[streams.train.jitter]
crop = "inclusive"
[[features]]
name = "image"
model = "squeezenet"
layer = "pool10"
stride_frames = 9
workers = 1
[[combinations]]
name = "net + image"
of = ["net", "image"]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the experiment and a small image network."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "table.toml").write_text(TABLE)
    create_model("squeezenet", num_classes=7, seed=1, width=0.125, side=48).save(folder / "image")
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_decoder() -> Iterator[None]:
    """Decoding processes take seconds to start, so all runs here use the same."""
    with ClipDecoder(1) as frames, pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "close", lambda: None)
        for module in (shared_frames, score_stream, round_model):
            patch.setattr(module, "ClipDecoder", lambda workers: nullcontext(frames))
        patch.setattr(extractor, "ClipDecoder", lambda workers: frames)
        yield


@pytest.fixture(autouse=True)
def no_proof_of_gradients(gradients_taken_for_right: None) -> None:
    """It takes seconds, and has tests of its own."""


def command(root: Path, videos: Path, *more: object, table: str = "table.toml", out: str = "run") -> tuple[object, ...]:
    return (
        "evaluate", "streams", root / table, "--data", videos, "--weights", root / "image", "-o", root / out,
        "--device", "cpu", *more,
    )  # fmt: skip


def test_one_command_gives_one_table(
    root: Path,
    weizmann_folder: Path,
    tubelet: Tubelet,
    files_of: Callable[[Path], dict[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One long test: the run is made once, and looked at from all sides."""
    # First without SVMs, then with them: what was trained stays.
    network, _, _ = TABLE.replace('svm = "full6"\n', "").partition("[[features]]")
    (root / "plain.toml").write_text(network.replace('primary = ["net full6 + SVM", "image"]\n', ""))
    given = ("--data", weizmann_folder, "-o", root / "run", "--device", "cpu", "--json")
    with monkeypatch.context() as patch:
        patch.setattr("tubelet.protocols.streams_report.write_streams", lambda *arguments: "none")
        plain = tubelet("evaluate", "streams", root / "plain.toml", *given)
    assert plain.code == 0, plain.err
    run = root / "run"
    models = {fold: files_of(run / "net" / fold / "model") for fold in ("ann", "bob")}
    found = tubelet(*command(root, weizmann_folder, "--json"))
    assert found.code == 0, found.err
    assert {fold: files_of(run / "net" / fold / "model") for fold in ("ann", "bob")} == models
    assert ", described in " in found.err
    assert "image: pool10 of squeezenet as it is in " in found.err

    rows = {row["protocol"]: row for row in (*found.json["streams"], *found.json["svms"])}
    assert list(rows) == ["net", "net full6 + SVM", "image", "net + image"]
    assert {row["n"] for row in rows.values()} == {4}
    assert rows["net"]["predictions"] == plain.json["streams"][0]["predictions"]
    numbers = [rows[name]["settings"]["numbers"] for name in ("net full6 + SVM", "image", "net + image")]
    assert numbers[0] + numbers[1] == numbers[2]
    assert rows["net + image"]["made_of"] == f"SVM on full6 of net + pool10 of image, {numbers[2]:,} numbers"
    assert all(row["interval"]["low"] <= row["value"] <= row["interval"]["high"] for row in rows.values())
    first = found.json["differences"][0]
    assert (first["second"], first["first"]) == ("net full6 + SVM", "image")

    # The SVM of a stream is that of a round of evaluate with the same network.
    plan = load_stream_experiment(root / "table.toml")
    manifest, folds = open_folds(plan, open_dataset("weizmann", weizmann_folder))
    (stream,) = open_streams(plan, manifest, folds)
    settings = replace(stream.settings, with_svm=True, layer="full6")
    pooled = ScoreFile.load(run / safe_name("net full6 + SVM") / "scores.npz")
    fold = folds[0]
    RunFolder(root / "round", resolved_settings(fold.train, fold.test, settings, "cpu"))
    shutil.copytree(run / "net" / fold.name / "model", root / "round" / "model")  # so it is not trained again
    alone = run_round(fold.train, fold.test, settings, root / "round")
    assert alone.svm is not None
    assert pooled.scores[:2] == pytest.approx(alone.svm, abs=1e-6)
    assert pooled.video_ids[:2] == alone.video_ids

    page = (run / "report.html").read_text(encoding="utf-8")
    for words in ("Networks, descriptors and fusions on weizmann", "held out", "squeezenet, frozen", "1 frame in 9"):
        assert words in page, words
    assert {"classes.png", "folds.png", "accuracy.png"} <= {path.name for path in (run / "plots").iterdir()}

    # Typed again, nothing is done again.
    monkeypatch.setattr("tubelet.protocols.streams_report.write_streams", lambda *arguments: "none")
    kept = [run / "net" / "ann", run / "net" / "bob", run / "image" / "descriptors" / "descriptors.lance"]
    before = [files_of(folder) for folder in kept]
    times = json.loads((run / "image" / "timing.json").read_text())
    again = tubelet(*command(root, weizmann_folder))
    assert again.code == 0, again.err
    assert "2 of 2 rounds are finished already" in again.err
    assert [files_of(folder) for folder in kept] == before
    assert json.loads((run / "image" / "timing.json").read_text()) == times
    assert "  net + image = SVM on full6 of net + pool10 of image" in again.out

    # Features alone, without any training.
    one = tubelet(*command(root, weizmann_folder, "--streams", "image", "--json", out="alone"))
    assert one.code == 0, one.err
    assert [row["protocol"] for row in one.json["svms"]] == ["image"]
    assert one.json["streams"] == []
    assert one.json["svms"][0]["predictions"] == rows["image"]["predictions"]


def test_what_does_not_fit_is_one_error_before_anything_is_done(
    root: Path, weizmann_folder: Path, tubelet: Tubelet, tmp_path: Path
) -> None:
    create_model("two_stream_temporal", num_classes=3, seed=1, width=0.0625, side=48).save(tmp_path / "flow")
    for text, weights, complaint in (
        (TABLE, None, "the features image are those of a trained network, and none ship; give a model folder"),
        (TABLE.replace('"pool10"', '"fc6"'), root / "image", "image has no layer 'fc6'; its network has conv1, "),
        (TABLE.replace("full6", "fc6"), root / "image", "net has no layer 'fc6'; its network has conv1, "),
        (TABLE.replace('"squeezenet"', '"alexnet"'), root / "image",
         "the features image are those of alexnet, and the weights are of squeezenet"),
        (TABLE.replace('"squeezenet"', '"two_stream_temporal"'), tmp_path / "flow",
         "the features image would read optical flow, and features are made of frames"),
    ):  # fmt: skip
        (tmp_path / "table.toml").write_text(text)
        given = ("evaluate", "streams", tmp_path / "table.toml", "--data", weizmann_folder, "-o", tmp_path / "out")
        found = tubelet(*given, *(() if weights is None else ("--weights", weights)))
        assert (found.code, found.out) == (2, ""), found.err
        assert found.complaint.startswith(complaint), found.complaint
        assert not (tmp_path / "out").exists()
    named = TABLE.replace('layer = "pool10"', f'layer = "pool10"\nweights = "{tmp_path / "none"}"')
    (tmp_path / "table.toml").write_text(named)
    found = tubelet("evaluate", "streams", tmp_path / "table.toml", "--data", weizmann_folder, "-o", tmp_path / "out")
    assert (found.code, found.complaint.partition(":")[0]) == (4, "this is no model folder")
