"""The settings of the protocols, and how a network comes to its preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tubelet.clips.recipes import get_recipe
from tubelet.errors import UsageError
from tubelet.models.registry import model_info
from tubelet.protocols.presets import SMALL, WEIZMANN, protocol_settings, round_settings
from tubelet.training.config import TrainConfig


def test_weizmann_is_trained_as_the_trials_said() -> None:
    # The issue: a "quarter-width, batch-normed 5-layer C3D (56×56)" with "random scale and color jitter" and "the
    # whole frame kept in view". Steps and rates may be tuned (before the seeds are run), so they are not fixed here.
    settings = protocol_settings("weizmann", flip=True)
    assert settings.model == "c3d_small"
    assert settings.train == WEIZMANN
    jitter = settings.train.jitter
    assert jitter.crop == "none"
    assert settings.recipe.resize_hw == settings.recipe.crop_hw == (56, 56)
    assert jitter.scale is not None
    assert min(jitter.brightness, jitter.contrast, jitter.saturation, jitter.white_balance) > 0
    # C3D paper, section 3.3: fc6 of clips at stride 8, mean, L2, linear SVM; DESIGN: C = 1.
    assert (settings.stride_frames, settings.svm_c, settings.with_svm, settings.layer) == (8, 1.0, True, None)


@pytest.mark.parametrize("protocol", ["folder", "ucf101"])
def test_other_protocols_train_as_small_data(protocol: str) -> None:
    assert protocol_settings(protocol, flip=False).train == SMALL
    assert protocol_settings(protocol, "sr18", flip=False).model == "sr18"


def test_only_weizmann_averages_mirror_images() -> None:
    assert protocol_settings("weizmann", flip=True).recipe.average_flip
    assert not protocol_settings("weizmann", flip=False).recipe.average_flip
    assert not protocol_settings("folder", flip=True).recipe.average_flip


def test_flip_goes_into_the_recipe() -> None:
    assert round_settings(flip=True).recipe.flip
    assert not round_settings(flip=False).recipe.flip
    assert round_settings(flip=True).recipe.hash != round_settings(flip=False).recipe.hash


@pytest.mark.parametrize("model", ["c3d_depth3", "res3d_18", "c3d_small"])
def test_the_recipe_is_the_one_that_the_network_names(model: str) -> None:
    assert round_settings(model).recipe.name == model_info(model).input.recipe


def test_c3d_without_its_mean_volume_says_what_it_takes_instead(caplog: pytest.LogCaptureFixture) -> None:
    settings = round_settings("c3d")
    assert settings.recipe.name == "c3d_channel_mean"
    assert settings.recipe.mean == (90.25, 97.66, 101.41)
    assert "c3d is trained with c3d_channel_mean, since no mean volume was given (--mean)" in caplog.text


def test_asked_for_by_name_the_mean_volume_is_needed() -> None:
    with pytest.raises(UsageError, match="needs its mean volume"):
        round_settings("c3d", recipe="c3d_sports1m")


def test_a_mean_volume_makes_the_published_recipe(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.save(tmp_path / "mean.npy", np.full((3, 16, 128, 171), 100, dtype=np.float32))
    settings = round_settings("c3d", mean=tmp_path / "mean.npy")
    assert settings.recipe.name == "c3d_sports1m"
    assert settings.recipe.mean_volume is not None
    assert caplog.text == ""


def test_the_recipe_follows_the_side_of_the_network() -> None:
    # 128 × 171 cropped to 112, at half the size: 64 × 86 (85.5 rounded up) cropped to 56.
    recipe = round_settings("c3d_depth3", options={"side": 56}).recipe
    assert (recipe.resize_hw, recipe.crop_hw) == ((64, 86), (56, 56))


def test_a_recipe_that_weights_bring_along_is_taken_as_it_is() -> None:
    bound = get_recipe("c3d_v11")
    settings = round_settings("c3d_small", recipe=bound, flip=True)
    assert settings.recipe == bound.with_flip(True)


def test_what_is_given_is_kept() -> None:
    config = TrainConfig(iterations=7)
    settings = round_settings("c3d_small", options={"depth": 1}, train=config, with_svm=False, svm_c=0.5)
    assert (settings.options, settings.train, settings.with_svm, settings.svm_c) == ({"depth": 1}, config, False, 0.5)


def test_an_unknown_model_is_told_with_what_was_meant() -> None:
    with pytest.raises(UsageError, match="did you mean 'c3d_small'"):
        protocol_settings("folder", "c3d_smal", flip=True)
