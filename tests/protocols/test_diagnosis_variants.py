"""What each suspect is changed to: recipes against arithmetic, and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.clips.sampling import Sampling
from tubelet.clips.transforms import to_input
from tubelet.errors import UsageError
from tubelet.models.registry import build_meta
from tubelet.protocols.diagnosis_variants import clip_variants, pixel_variants, sampling_variants, turned
from tubelet.protocols.views import PRESETS

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 128, 171, 3), dtype=np.uint8)


def test_the_other_color_order_takes_the_mean_with_it() -> None:
    recipe = get_recipe("r3d_kinetics")
    plain, other = (to_input(FRAMES, one).numpy() for one in (recipe, turned(recipe)))
    assert other == pytest.approx(plain[::-1])
    assert turned(turned(recipe)) == recipe


def test_a_mean_volume_is_turned_with_its_channels() -> None:
    volume = np.random.default_rng(1).random((3, 2, 128, 171)).astype(np.float32) * 200
    recipe = Recipe("volume", (128, 171), (112, 112), "bgr", mean_volume=volume)
    assert to_input(FRAMES, turned(recipe)).numpy() == pytest.approx(to_input(FRAMES, recipe).numpy()[::-1])
    names = [one.name for one in pixel_variants(recipe)]
    assert names[:2] == ["RGB", "RGB, the mean in the old order"]
    assert "Sports-1M's channel means" in names


def test_means_come_in_the_order_of_the_recipe() -> None:
    found = {one.name: one.recipe for one in pixel_variants(replace(get_recipe("c3d_v11"), color="rgb"))}
    assert found["ImageNet's channel means (Caffe)"].mean == (123.0, 117.0, 104.0)
    assert found["Sports-1M's channel means"].mean == (101.41, 97.66, 90.25)
    assert found["pixels from 0 to 1, no mean"].scale == 1 / 255
    assert "128 subtracted" not in found, "it is what the recipe does"
    assert "its mean in the other color order" not in found, "it is the same in both"
    assert {one.crop_hw for one in found.values()} == {(112, 112)}


def test_no_variant_is_the_recipe_itself_or_another_variant() -> None:
    for name in ("c3d_channel_mean", "c3d_small", "resnet_rgb", "caffenet", "two_stream_rgb", "lrcn_rgb"):
        recipe = get_recipe(name)
        variants = [recipe, *(one.recipe for one in pixel_variants(recipe))]
        assert len({one.hash for one in variants}) == len(variants)
        assert len(variants) > 7


def test_differences_of_frames_have_no_mean() -> None:
    recipe = get_recipe("tsn_rgb_difference")
    means = [one for one in pixel_variants(recipe, differences=True) if one.suspect == "mean"]
    assert means
    assert all(one.recipe.scale != recipe.scale for one in means)


def test_a_mean_volume_that_is_at_hand_is_tried(tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", np.full((3, 16, 128, 171), 90, np.float32) + np.arange(3)[:, None, None, None])
    found = {one.name: one.recipe for one in pixel_variants(get_recipe("c3d_mmaction"), mean=tmp_path / "mean.npy")}
    volume = found["the mean volume"].mean_volume
    assert volume is not None
    assert volume[:, 0, 0, 0].tolist() == [92, 91, 90], "the file is BGR, the recipe RGB"
    with pytest.raises(UsageError, match="the mean volume fits frames of 128x171"):
        pixel_variants(get_recipe("c3d_small"), mean=tmp_path / "mean.npy")


def test_clips_lie_elsewhere_and_have_other_steps() -> None:
    found = clip_variants(build_meta("t3d_121", 5, {}).input, PRESETS["t3d"][0])
    assert [(one.name, one.views.policy, one.views.n_clips, one.step_frames) for one in found] == [
        ("neighboring frames", "non_overlapping", None, 1),
        ("every 4th frame", "non_overlapping", None, 4),
        ("clips every 8 frames", "dense", None, 2),
        ("10 clips at equal spacing", "uniform", 10, 2),
        ("one clip, in the middle", "uniform", 1, 2),
    ]
    frames = clip_variants(build_meta("two_stream_spatial", 5, {}).input, PRESETS["25x10"][0])
    assert {one.step_frames for one in frames} == {1}, "a single frame has no step"
    assert {one.views.crops for one in frames} == {"ten"}


def test_descriptors_are_sampled_otherwise() -> None:
    found = sampling_variants(Sampling("dense", 16, 8))
    assert [(one.sampling.stride_frames, one.sampling.step_frames) for one in found] == [
        (8, 2), (8, 4), (4, 1), (16, 1),
    ]  # fmt: skip
