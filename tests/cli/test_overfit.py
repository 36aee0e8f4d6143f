"""Two of the families that ``make overfit`` fits, and what the experiment files of all of them have to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import overfit
from tubelet.clips.jitter import Jitter
from tubelet.clips.recipes import RECIPES
from tubelet.models import registry
from tubelet.training.config import load_experiment

NAMES = sorted(path.stem for path in overfit.EXPERIMENTS.glob("*.toml"))


@pytest.mark.parametrize("name", ["search_nets", "tsn_resnet"])
def test_a_small_network_is_fitted_to_twenty_videos(name: str, motion_folder: Path, tmp_path: Path) -> None:
    """A 3-D network of one clip, and frames of three segments: all right, and no tensor without a gradient."""
    fit = overfit.overfit(name, motion_folder / "train", tmp_path)
    assert (fit.right, fit.of) == (20, 20), fit
    assert fit.fitted_at is not None, fit
    assert fit.fitted_at <= 300
    assert fit.unmoved == ()
    assert fit.ok


def test_every_papers_networks_are_fitted() -> None:
    """A paper is a file in ``models``."""
    fitted = {registry._BUILDERS[load_experiment(overfit.EXPERIMENTS / f"{name}.toml").model] for name in NAMES}
    papers = {builder.partition(":")[0] for builder in registry._BUILDERS.values()}
    assert {builder.partition(":")[0] for builder in fitted} == papers


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_only_fits(name: str) -> None:
    """All videos in every batch, 300 steps at most, and neither chance nor decay works against the fit."""
    experiment = load_experiment(overfit.EXPERIMENTS / f"{name}.toml")
    assert experiment.name == f"overfit_{name}"
    assert experiment.dataset == "folder"
    assert experiment.recipe in RECIPES
    assert experiment.weights == "none"
    train = experiment.train
    assert train.iterations <= 300
    assert train.batch_size == overfit.VIDEOS
    # Decay would move a tensor that no gradient reaches.
    assert train.weight_decay == 0
    assert train.jitter == Jitter(crop="none", flip_p=0)
    options = {**registry.model_options(experiment.model), **experiment.options}
    assert all(value == 0 for key, value in options.items() if "dropout" in key), options
