"""From resized frames to network input, against a slow loop written from the formula of C3D (spec, 1.3)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.clips.transforms import Jitter, jittered_input, resize, to_input
from tubelet.errors import UsageError

DATA = Path(os.environ.get("TUBELET_DATA", Path(__file__).parents[3] / "shared" / "data"))
BGR = {0: 2, 1: 1, 2: 0}  # network channel -> channel of an RGB frame


def pixel(
    frames: np.ndarray, recipe: Recipe, offset: tuple[int, int], flip: bool, c: int, t: int, h: int, w: int
) -> np.float32:
    """One value of the input. Mirroring is of the finished crop, so it reads the mirrored place."""
    if flip:
        w = recipe.crop_hw[1] - 1 - w
    h, w = h + offset[0], w + offset[1]
    level = np.float32(frames[t, h, w, BGR[c] if recipe.color == "bgr" else c])
    if recipe.mean_volume is not None:
        level -= recipe.mean_volume[c, t, h, w]
    elif recipe.mean is not None:
        level -= np.float32(recipe.mean[c])
    return level * np.float32(recipe.scale)


def slowly(frames: np.ndarray, recipe: Recipe, offset: tuple[int, int], flip: bool) -> np.ndarray:
    out = np.empty((3, len(frames), *recipe.crop_hw), np.float32)
    for place in np.ndindex(out.shape):
        out[place] = pixel(frames, recipe, offset, flip, *place)
    return out


def noise(t: int, hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (t, *hw, 3), dtype=np.uint8)


@settings(max_examples=60)
@given(
    st.sampled_from(["rgb", "bgr"]),
    st.sampled_from(["volume", "levels", "none"]),
    st.sampled_from([1.0, 1 / 127.5]),
    st.booleans(),
    st.integers(0, 4),
    st.integers(0, 5),
    st.integers(1, 3),
)
def test_it_is_the_formula(color: Any, mean: str, scale: float, flip: bool, y: int, x: int, n_frames: int) -> None:
    values: dict[str, Any] = {"color": color, "scale": scale}
    if mean == "volume":
        values["mean_volume"] = np.random.default_rng(1).uniform(0, 255, (3, 3, 9, 13))
    elif mean == "levels":
        values["mean"] = (90.25, 97.66, 101.41)
    recipe = Recipe("test", (9, 13), (5, 8), **values)
    frames = noise(n_frames, (9, 13))
    result = to_input(frames, recipe, offset_yx=(y, x), flip=flip)
    assert result.shape == (3, n_frames, 5, 8)
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    # A float32 subtraction and a product: nothing to round differently.
    assert (result.numpy() == slowly(frames, recipe, (y, x), flip)).all()


def test_c3d_sports1m_with_its_real_mean() -> None:
    path = DATA / "means" / "train01_16_128_171_mean.npy.bz2"
    if not path.exists():
        pytest.skip(f"no mean volume in {DATA}")
    recipe = get_recipe("c3d_sports1m", path)
    frames = noise(16, (128, 171))
    rng = np.random.default_rng(2)
    for flip in (False, True):
        result = to_input(frames, recipe, flip=flip)
        assert result.shape == (3, 16, 112, 112)
        for c, t, h, w in rng.integers(0, (3, 16, 112, 112), (2000, 4)):
            assert result[c, t, h, w] == pixel(frames, recipe, (8, 29), flip, c, t, h, w)


def test_it_is_what_c3d_does_with_opencv() -> None:
    """From full-size frames on, with OpenCV's resize and NumPy: at most one gray level from the resize."""
    frames = noise(4, (120, 160), 3)
    volume = np.random.default_rng(4).uniform(40, 120, (3, 16, 128, 171)).astype(np.float32)
    recipe = Recipe("c3d", (128, 171), (112, 112), "bgr", mean_volume=volume)
    result = to_input(resize(frames, recipe.resize_hw), recipe, flip=True).numpy()
    for t, frame in enumerate(frames):
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        scaled = cv2.resize(bgr, (171, 128)).astype(np.float32)
        crop = scaled[8:120, 29:141] - volume[:, t, 8:120, 29:141].transpose(1, 2, 0)
        expected = cv2.flip(crop, 1)
        assert np.abs(result[:, t].transpose(1, 2, 0) - expected).max() <= 1.001


def test_the_test_crop_is_the_default() -> None:
    recipe = get_recipe("res3d")
    frames = noise(2, (128, 171))
    assert torch.equal(to_input(frames, recipe), to_input(frames, recipe, offset_yx=(8, 29)))
    assert not torch.equal(to_input(frames, recipe), to_input(frames, recipe, offset_yx=(8, 28)))


def test_arrays_tensors_and_read_only_memory_are_the_same_and_stay_unchanged() -> None:
    recipe = get_recipe("c3d_small")
    frames = noise(3, (56, 56))
    before = frames.copy()
    read_only = np.frombuffer(frames.tobytes(), np.uint8).reshape(frames.shape)
    expected = slowly(frames, recipe, (0, 0), False)
    for given_ in (frames, torch.from_numpy(frames), read_only, frames[:, ::-1][:, ::-1]):
        assert (to_input(given_, recipe).numpy() == expected).all()
    assert (frames == before).all()


def test_a_volume_is_not_changed_by_use() -> None:
    volume = np.random.default_rng(1).uniform(0, 255, (3, 2, 6, 8)).astype(np.float32)
    recipe = Recipe("v", (6, 8), (6, 8), "bgr", mean_volume=volume, scale=0.5)
    first = to_input(noise(2, (6, 8)), recipe)
    assert recipe.mean_volume is not None
    assert (recipe.mean_volume == volume).all()
    assert torch.equal(first, to_input(noise(2, (6, 8)), recipe))


@pytest.mark.parametrize("jitter", [Jitter("none", flip_p=0), Jitter("published"), Jitter("inclusive")])
def test_a_plain_jittered_clip_is_an_exact_crop(jitter: Jitter) -> None:
    volume = np.random.default_rng(1).uniform(0, 255, (3, 4, 20, 30))
    recipe = Recipe("v", (20, 30), (12, 12), "bgr", mean_volume=volume)
    frames = noise(4, (20, 30))
    for seed in range(20):
        draw = jitter.draw(recipe, np.random.default_rng(seed))
        result = jittered_input(frames, recipe, jitter, np.random.default_rng(seed))
        assert (result.numpy() == slowly(frames, recipe, draw.offset_yx, draw.flip)).all()


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ((16, 112, 112, 3), {}, "call resize(frames, recipe.size) first"),
        ((17, 128, 171, 3), {}, "17 frames"),
        ((16, 128, 171, 4), {}, "(T, H, W, 3)"),
        ((16, 128, 171, 3), {"offset_yx": (17, 0)}, "from (0, 0) to (16, 59)"),
        ((16, 128, 171, 3), {"offset_yx": (0, -1)}, "leaves the frame"),
    ],
)
def test_refusals(shape: tuple[int, ...], options: dict[str, Any], says: str) -> None:
    volume = np.zeros((3, 16, 128, 171), np.float32)
    recipe = Recipe("c3d", (128, 171), (112, 112), "bgr", mean_volume=volume)
    with pytest.raises(UsageError) as caught:
        to_input(np.zeros(shape, np.uint8), recipe, **options)
    assert says in str(caught.value)
