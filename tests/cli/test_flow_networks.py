"""``--flow`` through the commands: what is asked for, what a trained network remembers, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tubelet.models.precision import PrecisionReport

Tubelet = Callable[..., Any]

EXPERIMENT = """
name = "temporal"
source = "a test"
dataset = "folder"
model = "two_stream_temporal"
recipe = "two_stream_flow"
flow = "required"
[options]
flow_fields = 2
width = 0.0625
side = 48
[train]
iterations = 2
batch_size = 4
precision = "float32"
[train.jitter]
crop = "inclusive"
"""


@pytest.fixture(scope="module")
def folder(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """Four videos of two actions, in folders named after these."""

    def make(root: Path) -> None:
        from tubelet.video.synthetic import make_video

        for label in ("left", "right"):
            for seed in range(2):
                (root / label).mkdir(parents=True, exist_ok=True)
                make_video(root / label / f"{seed}.avi", label, seed)

    return made_once("motion_folder", make)


@pytest.fixture(scope="module")
def trained(folder: Path, tubelet: Tubelet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the experiment, ``flow``, and ``run`` that was trained on it."""
    root = tmp_path_factory.mktemp("flow_networks")
    (root / "temporal.toml").write_text(EXPERIMENT)
    assert tubelet("flow", folder, "-o", root / "flow", "--workers", 1).code == 0
    with pytest.MonkeyPatch.context() as patch:  # the proof of the gradients takes seconds and has tests of its own
        proved = lambda model, dtype, memory_format: PrecisionReport(dtype, memory_format, 1, ())  # noqa: E731
        patch.setattr("tubelet.training.precision.check_gradients", proved)
        done = tubelet(
            "train", root / "temporal.toml", "--data", folder, "--flow", root / "flow", "--test-fraction", 0,
            "--flip", "--no-svm", "--out", root / "run", "--workers", 1, "--json",
        )  # fmt: skip
    assert done.code == 0, done.err
    return root


def test_the_model_remembers_the_kind_of_flow(trained: Path) -> None:
    saw = json.loads((trained / "run" / "model" / "provenance.json").read_text())["flow"]
    assert (saw["algorithm"], saw["bound"], saw["step"], saw["quality"]) == ("dis_medium", 20.0, 1, 95)
    recipe = json.loads((trained / "run" / "model" / "preprocessor_config.json").read_text())
    assert (recipe["color"], recipe["flow_mean"]) == ("flow", "field")
    config = (trained / "run" / "config.toml").read_text()
    assert "[stored_flow]" in config
    assert f'flow = ["{trained / "flow"}"]' in config


def test_flow_is_asked_for_where_it_is_needed_and_refused_where_not(
    trained: Path, folder: Path, tubelet: Tubelet, tmp_path: Path
) -> None:
    for command in (
        ("train", trained / "temporal.toml", "--data", folder),
        ("classify", folder, "--model", trained / "run"),
        ("extract", folder, "--model", trained / "run", "-o", tmp_path / "table"),
        ("evaluate", "folder", "--data", folder, "--model", "two_stream_temporal", "--dry-run"),
    ):
        told = tubelet(*command)
        assert told.code == 2, command
        assert "tubelet flow" in told.complaint
        assert "--flow DIR" in told.complaint
    told = tubelet("evaluate", "folder", "--data", folder, "--flow", trained / "flow", "--dry-run")
    assert (told.code, told.complaint.split(";")[0]) == (2, "c3d_small takes frames, and stored flow is given")
    plan = tubelet(
        "evaluate", "folder", "--data", folder, "--model", "two_stream_temporal", "--flow", trained / "flow",
        "--test-fraction", 0.5, "--dry-run", "--json",
    )  # fmt: skip
    assert plan.code == 0, plan.err
    assert plan.json["recipe"]["name"] == "two_stream_flow"


def test_classify_and_extract_read_the_flow(trained: Path, folder: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    found = tubelet(
        "classify", folder, "--model", trained / "run", "--flow", trained / "flow", "--no-plots",
        "--out", tmp_path / "classified", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    videos = found.json["videos"]
    assert [video["video_id"] for video in videos] == ["left/0.avi", "left/1.avi", "right/0.avi", "right/1.avi"]
    assert found.json["notes"] == []
    # 24 frames are 23 fields: stacks of two begin at 0, 8 and 16 and show three frames of 40 ms each.
    spans = [(round(clip["start_s"], 6), round(clip["end_s"], 6)) for clip in videos[0]["clips"]]
    assert spans == [(0.0, 0.12), (0.32, 0.44), (0.64, 0.76)]
    assert (videos[0]["frames_decoded"], videos[0]["fps"], videos[0]["fps_source"]) == (23, 25.0, "flow")
    extract = (
        "extract", folder, "--model", trained / "run", "--flow", trained / "flow", "--out", tmp_path / "table", "--json"
    )  # fmt: skip
    first, second = tubelet(*extract), tubelet(*extract)
    assert (first.json["done"], first.json["rows"]) == (4, 12)
    assert (second.json["done"], second.json["skipped"]) == (0, 4)


def test_evaluate_scores_the_views_of_stacks(trained: Path, folder: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    """Three stacks, each of its four corners, its center and their mirror images, against the same made by hand."""
    import numpy as np
    import torch

    from tubelet.clips.resize import resize_field
    from tubelet.flow.store import open_flow
    from tubelet.models.folder import load_model

    command = (
        "evaluate", "folder", "--data", folder, "--model", trained / "run", "--flow", trained / "flow", "--part", "all",
        "--views", "3x10", "--allow-leak", "--keep-views", "--workers", 1, "--out", tmp_path / "scored", "--json",
    )  # fmt: skip
    done = tubelet(*command)
    assert done.code == 0, done.err
    with np.load(tmp_path / "scored" / "scores.npz") as file:
        assert file["video_ids"].tolist() == ["left/0.avi", "left/1.avi", "right/0.avi", "right/1.avi"]
        assert file["view_counts"].tolist() == [30] * 4
        scores = file["view_scores"][:30]
        assert json.loads(file["record"].tobytes())["settings"]["flow"]["algorithm"] == "dis_medium"
    model = load_model(trained / "run" / "model")
    assert model.recipe is not None
    assert (model.recipe.size, model.recipe.crop_hw) == (55, (48, 48))  # 256 cropped to 224, at 48 pixels
    with open_flow(trained / "flow" / "left" / "0") as flow:
        levels = resize_field(flow.levels(range(23)), (55, 55))
    vectors = levels / 255 * 40 - 20
    inputs = []
    for start in (0, 11, 21):  # of 22 starts, evenly spaced
        fields = vectors[start : start + 2]
        fields = fields - fields.mean(axis=(1, 2), keepdims=True)
        for mirrored in (False, True):
            for y, x in ((0, 0), (0, 7), (7, 0), (7, 7), (3, 3)):
                crop = fields[:, y : y + 48, x : x + 48]
                crop = crop[:, :, ::-1] * (-1, 1) if mirrored else crop
                inputs.append(crop.transpose(0, 3, 1, 2).reshape(4, 1, 48, 48))
    with torch.inference_mode():
        expected = model(torch.from_numpy(np.stack(inputs)).float()).numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-5)
    told = tubelet(*(part for part in command if part not in ("--flow", trained / "flow")), "--overwrite")
    assert told.code == 2
    assert "no stored flow is given" in told.complaint


def test_flow_of_another_kind_is_refused_or_marked(
    trained: Path, folder: Path, tubelet: Tubelet, tmp_path: Path
) -> None:
    assert tubelet("flow", folder, "-o", tmp_path / "flow", "--bound", 10, "--workers", 1).code == 0
    command = (
        "classify", folder, "--model", trained / "run", "--flow", tmp_path / "flow", "--no-plots",
        "--out", tmp_path / "classified",
    )  # fmt: skip
    told = tubelet(*command)
    assert told.code == 2
    assert "bound 10 instead of 20" in told.complaint
    assert told.complaint.endswith(f"run: tubelet flow {folder} -o DIR, or mark the result with --any-flow")
    marked = tubelet(*command, "--any-flow", "--json")
    assert marked.code == 0, marked.err
    assert "bound 10 instead of 20" in marked.json["notes"][0]


def test_incomplete_flow_is_one_error_with_the_command(
    trained: Path, folder: Path, tubelet: Tubelet, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(trained / "flow", tmp_path / "flow")
    shutil.rmtree(tmp_path / "flow" / "left" / "1")
    told = tubelet(
        "train", trained / "temporal.toml", "--data", folder, "--flow", tmp_path / "flow", "--out", tmp_path / "run"
    )
    assert told.code == 4
    assert "the stored flow of 1 of 4 videos cannot be used" in told.complaint
    assert told.complaint.endswith(f"run: tubelet flow {folder} -o {tmp_path / 'flow'}")
    assert not (tmp_path / "run").exists()
