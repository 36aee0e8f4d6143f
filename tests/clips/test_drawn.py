"""What a draw does to geometry and color, against NumPy and OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.clips.drawn import Draw, change_color, sample_box
from tubelet.clips.jitter import Jitter
from tubelet.clips.recipe import Recipe
from tubelet.clips.transforms import drawn_input
from tubelet.errors import UsageError


def noise(t: int, hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (t, *hw, 3), dtype=np.uint8)


def planes(t: int, hw: tuple[int, int], seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(noise(t, hw, seed).transpose(3, 0, 1, 2).astype(np.float32))


def box_by_loop(frame: np.ndarray, draw: Draw, crop_hw: tuple[int, int]) -> np.ndarray:
    """Bilinear box of one plane in float64, pixel by pixel, edge repeated."""
    height, width = frame.shape
    out = np.empty(crop_hw)
    for i, j in np.ndindex(crop_hw):
        place = []
        for k, crop, corner, shift, full in (
            (i, crop_hw[0], draw.offset_yx[0], draw.shift_yx[0], height),
            (j, crop_hw[1], draw.offset_yx[1], draw.shift_yx[1], width),
        ):
            at = corner + crop / 2 + shift + (k + 0.5 - crop / 2) * draw.scale - 0.5
            place.append(min(max(at, 0.0), full - 1.0))
        y, x = place
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        top = frame[y0, x0] * (1 - (x - x0)) + frame[y0, x1] * (x - x0)
        bottom = frame[y1, x0] * (1 - (x - x0)) + frame[y1, x1] * (x - x0)
        out[i, j] = top * (1 - (y - y0)) + bottom * (y - y0)
    return out


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.floats(0.2, 3),
    st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
)
def test_the_box_is_bilinear_with_the_edge_repeated(
    crop_hw: tuple[int, int], extra: tuple[int, int], scale: float, shift: tuple[float, float]
) -> None:
    full = (crop_hw[0] + extra[0], crop_hw[1] + extra[1])
    draw = Draw((extra[0] // 2, extra[1]), scale, shift)
    clip = planes(2, full)
    result = sample_box(clip, draw, crop_hw)
    assert result.shape == (3, 2, *crop_hw)
    for c, t in np.ndindex(3, 2):
        expected = box_by_loop(clip[c, t].double().numpy(), draw, crop_hw)
        # Places are float32: an error of 1e-5 pixels between levels 255 apart.
        assert np.abs(result[c, t].numpy() - expected).max() < 0.02


@pytest.mark.parametrize("seed", range(12))
def test_the_box_is_opencvs_affine_warp(seed: int) -> None:
    recipe = Recipe("wide", (60, 80), (40, 48))
    jitter = Jitter(scale=(0.6, 1.6), shift=0.3)
    draw = jitter.draw(recipe, np.random.default_rng(seed))
    # Smooth, because OpenCV rounds places to 1/32 pixel.
    y, x = np.mgrid[:60, :80].astype(np.float32)
    image = 120 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7)
    clip = torch.from_numpy(image.astype(np.float32)).expand(3, 1, 60, 80).contiguous()
    center_y = draw.offset_yx[0] + 20 + draw.shift_yx[0]
    center_x = draw.offset_yx[1] + 24 + draw.shift_yx[1]
    s = draw.scale
    inverse = np.array([[s, 0, center_x - 24 * s + (s - 1) / 2], [0, s, center_y - 20 * s + (s - 1) / 2]])
    expected = cv2.warpAffine(
        image.astype(np.float32),
        inverse,
        (48, 40),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # The slope is at most 60 / 9 + 60 / 7 levels a pixel, and the rounding 1/64 of one.
    assert np.abs(sample_box(clip, draw, (40, 48))[0, 0].numpy() - expected).max() < 0.3


def test_a_box_that_does_not_move_is_the_crop() -> None:
    clip = planes(2, (20, 30))
    box = sample_box(clip, Draw((3, 7)), (12, 12))
    assert torch.allclose(box, clip[:, :, 3:15, 7:19], atol=0.02)
    half_in = sample_box(clip, Draw((0, 0), shift_yx=(0.0, -6.0)), (20, 12))
    assert torch.allclose(half_in[..., :6], clip[..., :1].expand(3, 2, 20, 6), atol=0.02)
    assert torch.allclose(half_in[..., 6:], clip[..., :6], atol=0.02)


def color_in_steps(clip: np.ndarray, draw: Draw) -> np.ndarray:
    """Brightness, contrast, saturation, white balance one after the other, as their definitions say, in float64."""
    luma = np.array([0.299, 0.587, 0.114])

    def gray(rgb: np.ndarray) -> np.ndarray:
        return np.tensordot(luma, rgb, 1)

    clip = clip.astype(float) * draw.brightness
    middle = gray(clip).mean()
    clip = middle + (clip - middle) * draw.contrast
    clip = gray(clip) + (clip - gray(clip)) * draw.saturation
    clip = clip * np.array(draw.gains_rgb).reshape(3, 1, 1, 1)
    return clip.clip(0, 255)


@settings(max_examples=80)
@given(st.lists(st.floats(0, 2), min_size=6, max_size=6), st.integers(0, 1000))
def test_colors(factors: list[float], seed: int) -> None:
    brightness, contrast, saturation, red, green, blue = factors
    draw = Draw((0, 0), brightness=brightness, contrast=contrast, saturation=saturation, gains_rgb=(red, green, blue))
    clip = planes(3, (7, 9), seed)
    result = change_color(clip, draw)
    assert result.shape == clip.shape
    assert np.abs(result.numpy() - color_in_steps(clip.numpy(), draw)).max() < 0.01


def test_saturation_zero_is_opencvs_gray() -> None:
    frame = noise(1, (20, 30))
    clip = torch.from_numpy(frame.transpose(3, 0, 1, 2).astype(np.float32))
    gray = change_color(clip, Draw((0, 0), saturation=0.0)).numpy()
    assert np.abs(gray[0, 0] - cv2.cvtColor(frame[0], cv2.COLOR_RGB2GRAY)).max() <= 0.51
    assert np.abs(gray - gray[0]).max() < 1e-4


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_order_of_the_whole(color: Any) -> None:
    """Box, colors, channel order, mean of the same place, scale, mirror."""
    volume = np.random.default_rng(1).uniform(0, 255, (3, 2, 16, 18)).astype(np.float32)
    recipe = Recipe("v", (16, 18), (10, 12), color, mean_volume=volume, scale=0.5)
    frames = noise(2, (16, 18))
    draw = Draw((3, 2), 1.3, (1.5, -2.25), 1.1, 0.8, 1.2, (0.9, 1.0, 1.25), True)
    result = drawn_input(frames, recipe, draw).numpy()
    boxes = np.stack([[box_by_loop(frames[t, :, :, c], draw, (10, 12)) for t in range(2)] for c in range(3)])
    means = np.stack([[box_by_loop(volume[c, t], draw, (10, 12)) for t in range(2)] for c in range(3)])
    pixels = color_in_steps(boxes, draw)
    pixels = pixels if color == "rgb" else pixels[::-1]
    expected = ((pixels - means) * 0.5)[..., ::-1]
    assert result.shape == (3, 2, 10, 12)
    assert np.abs(result - expected).max() < 0.05


@pytest.mark.parametrize("channels", [3, 10])
def test_a_box_of_another_size_is_opencvs_resize_of_the_crop(channels: int) -> None:
    frames = np.random.default_rng(5).integers(0, 256, (2, 40, 52, channels), dtype=np.uint8)
    recipe = Recipe("r", (40, 52), (28, 30), "rgb" if channels == 3 else "flow")
    for box_hw in ((40, 40), (35, 28), (21, 26), (28, 30), (28, 40)):
        result = drawn_input(frames, recipe, Draw((0, 9), box_hw=box_hw))
        assert result.shape == (channels, 2, 28, 30)
        assert result.is_contiguous()
        for t, c in np.ndindex(2, channels):
            crop = np.ascontiguousarray(frames[t, : box_hw[0], 9 : 9 + box_hw[1], c])
            assert np.abs(result[c, t].numpy() - cv2.resize(crop, (30, 28))).max() <= 1


def test_the_mean_of_a_resized_box_is_that_of_its_place() -> None:
    volume = np.random.default_rng(1).uniform(0, 255, (3, 2, 16, 18)).astype(np.float32)
    recipe = Recipe("v", (16, 18), (10, 12), "bgr", mean_volume=volume)
    frames = np.zeros((2, 16, 18, 3), np.uint8)
    result = drawn_input(frames, recipe, Draw((2, 4), flip=True, box_hw=(14, 7)))
    for c, t in np.ndindex(3, 2):
        expected = -cv2.resize(np.ascontiguousarray(volume[c, t, 2:16, 4:11]), (12, 10))[:, ::-1]
        assert np.abs(result[c, t].numpy() - expected).max() < 0.01


def test_boxes_leave_no_frame() -> None:
    frames = noise(1, (40, 52))
    with pytest.raises(UsageError, match="40x30 pixels are cut out of 40x52"):
        drawn_input(frames, Recipe("r", (40, 52), (28, 28)), Draw((0, 23), box_hw=(40, 30)))


def test_a_flip_of_levels_after_the_resize_is_255_minus() -> None:
    fields = np.random.default_rng(1).integers(0, 256, (3, 40, 52, 4), dtype=np.uint8)
    recipe = Recipe("f", (40, 52), (28, 28), "flow")
    plain = drawn_input(fields, recipe, Draw((3, 2), box_hw=(35, 40)))
    mirrored = drawn_input(fields, recipe, Draw((3, 2), flip=True, box_hw=(35, 40)))
    assert torch.equal(mirrored[0::2], 255 - plain[0::2].flip(-1))
    assert torch.equal(mirrored[1::2], plain[1::2].flip(-1))
    # A box between pixels, as small nets are trained with: the same, within float32.
    moved = Draw((3, 2), scale=1.2, shift_yx=(0.5, 1.5))
    plain = drawn_input(fields, recipe, moved)
    mirrored = drawn_input(fields, recipe, Draw((3, 2), scale=1.2, shift_yx=(0.5, 1.5), flip=True))
    assert torch.equal(mirrored[0::2], 255 - plain[0::2].flip(-1))
    assert torch.equal(mirrored[1::2], plain[1::2].flip(-1))
