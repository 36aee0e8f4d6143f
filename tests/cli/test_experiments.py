"""``tubelet train experiments/….toml``: the published experiments on the official lists, and starting weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.clips.recipes import get_recipe
from tubelet.models.registry import create_model
from tubelet.training.config import Experiment, load_experiment
from tubelet.video.encode import encode

Tubelet = Callable[..., Any]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def ucf101(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """UCF101 in its official layout, cut down to three videos of 16 frames."""
    root = tmp_path_factory.mktemp("ucf") / "UCF-101"
    frames = np.random.default_rng(0).integers(0, 255, (16, 32, 43, 3), np.uint8)
    lists = root.parent / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\n2 Bowling\n")
    listed: dict[str, list[str]] = {"train": [], "test": []}
    for number, (label, group, split) in enumerate(
        [("Archery", 8, "train"), ("Bowling", 9, "train"), ("Archery", 1, "test")]
    ):
        name = f"{label}/v_{label}_g{group:02d}_c01.avi"
        encode(root / name, np.roll(frames, number, axis=1), codec="mpeg4")
        listed[split].append(f"{name} {1 + (label == 'Bowling')}" if split == "train" else name)
    for split, lines in listed.items():
        (lists / f"{split}list01.txt").write_text("\n".join(lines) + "\n")
    return root


def test_fine_tuning_without_weights_names_the_remedy(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    found = tubelet("train", EXPERIMENTS / "c3d_ucf101_finetune.toml", "--data", ucf101, "-o", tmp_path / "run")
    assert (found.code, found.out) == (2, "")
    assert found.complaint == (
        "the experiment c3d_ucf101_finetune starts from trained weights, and none ship; "
        "give a model folder with --weights DIR"
    )


def test_weights_bring_their_preprocessing_along(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    model = create_model("c3d", 7, seed=0, width=0.0625)
    model.save(tmp_path / "run" / "model", recipe=get_recipe("c3d_v11"))
    command = (
        "train", EXPERIMENTS / "c3d_ucf101_finetune.toml", "--data", ucf101, "--dry-run", "--json",
        "-o", tmp_path / "run",
    )  # fmt: skip
    for weights in (tmp_path / "run", tmp_path / "run" / "model"):
        plan = tubelet(*command, "--weights", weights).json
        # Theirs, not the experiment's c3d_sports1m, whose mean volume would have to be given.
        assert plan["recipe"]["name"] == "c3d_v11"
        assert plan["recipe"]["flip"] is True
        assert plan["weights"] == str(tmp_path / "run" / "model")
        assert plan["model"] == "c3d"
    np.save(tmp_path / "mean.npy", np.full((3, 16, 128, 171), 100, np.float32))
    given = tubelet(*command, "--weights", tmp_path / "run", "--mean", tmp_path / "mean.npy").json
    assert given["recipe"]["name"] == "c3d_sports1m", "a mean that was given is used"
    (tmp_path / "run/model/preprocessor_config.json").unlink()
    needs = tubelet(*command, "--weights", tmp_path / "run")
    assert needs.code == 2
    assert "needs its mean volume" in needs.complaint


def test_an_experiment_keeps_what_the_command_does_not_say(
    tubelet: Tubelet, motion_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text(
        'name = "own"\nsource = "a test"\ndataset = "folder"\nmodel = "c3d_small"\nrecipe = "c3d_small"\n'
        '[train]\nprecision = "float32"\nseed = 7\n'
    )
    command = ("train", tmp_path / "own.toml", "--data", motion_folder, "--dry-run", "--json")
    plan = tubelet(*command).json["train"]
    assert (plan["precision"], plan["seed"]) == ("float32", 7)
    plan = tubelet(*command, "--seed", 3, "--precision", "auto").json["train"]
    assert (plan["precision"], plan["seed"]) == ("auto", 3)


def test_without_an_experiment_the_weights_name_the_network(
    tubelet: Tubelet, motion_folder: Path, tmp_path: Path
) -> None:
    create_model("c3d_depth1", 7, seed=0, width=0.0625).save(tmp_path / "model")
    plan = tubelet(
        "train", "folder", "--data", motion_folder, "--weights", tmp_path / "model", "--dry-run", "--json"
    ).json
    assert (plan["model"], plan["recipe"]["name"]) == ("c3d_depth1", "c3d_channel_mean")


@pytest.mark.slow
def test_the_published_experiment_runs_on_the_official_lists(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    """One step of the full-size net with two clips: the real command, as far as two cores can go."""
    found = tubelet(
        "train", EXPERIMENTS / "c3d_ucf101_scratch.toml", "--data", ucf101, "-o", tmp_path / "run", "--iterations", 1,
        "--batch-size", 2, "--no-svm", "--precision", "float32", "--workers", 1, "--device", "cpu", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert "ucf101-split1: 2 videos of 2 classes to train on, 1 to test (the official groups" in found.err
    assert found.json["net"]["n"] == 1
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert (config["name"], config["num_classes"]) == ("c3d_depth3", 2)
    # 17,444,965 at 101 classes (spec section 2); 99 outputs of 2048 inputs and a bias less.
    assert config["parameters"] == 17_444_965 - 99 * 2049
    row = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[1].split(",")
    assert float(row[2]) == 0.003
    assert row[5], "clip accuracy on the test split is measured after the last step"


def test_the_experiments_dry_run_on_the_real_lists(tubelet: Tubelet, shared_data: Path, tmp_path: Path) -> None:
    found = tubelet(
        "train", EXPERIMENTS / "c3d_ucf101_scratch.toml", "--data", shared_data / "ucf101" / "frames_5fps", "--fps", 5,
        "--split", 2, "-o", tmp_path / "run", "--dry-run", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    experiment: Experiment = load_experiment(EXPERIMENTS / "c3d_ucf101_scratch.toml")
    plan = found.json
    assert plan["training"] + plan["test"] == 90
    assert plan["test"] > 0
    assert plan["train"]["iterations"] == experiment.train.iterations
    assert plan["recipe"]["name"] == "c3d_channel_mean"
    assert not (tmp_path / "run").exists()
