"""Jitter: what is drawn, and what a draw does to geometry and color, against NumPy and OpenCV."""

from __future__ import annotations

import json
from collections import Counter
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
from tubelet.clips.recipes import get_recipe
from tubelet.clips.transforms import drawn_input, jittered_input, to_input
from tubelet.errors import UsageError

ALL = Jitter("none", scale=(0.7, 1.3), shift=0.1, brightness=0.3, contrast=0.3, saturation=0.3, white_balance=0.3)


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


@settings(deadline=None, max_examples=60)
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


@settings(deadline=None, max_examples=80)
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


def test_published_crops_never_draw_the_last_offset() -> None:
    recipe = get_recipe("res3d")
    rng = np.random.default_rng(0)
    n = 30_000
    seen = [Jitter().draw(recipe, rng).offset_yx for _ in range(n)]
    rows, columns = Counter(y for y, _ in seen), Counter(x for _, x in seen)
    assert sorted(rows) == list(range(128 - 112))
    assert sorted(columns) == list(range(171 - 112))
    # Chi square, 15 and 58 degrees of freedom: above 37.7 and 97.0 once in a thousand.
    assert sum((count - n / 16) ** 2 / (n / 16) for count in rows.values()) < 37.7
    assert sum((count - n / 59) ** 2 / (n / 59) for count in columns.values()) < 97.0


def test_inclusive_crops_do() -> None:
    rng = np.random.default_rng(0)
    seen = [Jitter("inclusive").draw(get_recipe("res3d"), rng).offset_yx for _ in range(5000)]
    assert {y for y, _ in seen} == set(range(17))
    assert {x for _, x in seen} == set(range(60))


def test_crops_that_fill_the_frame_stay() -> None:
    for crop in ("published", "inclusive", "none"):
        jitter = Jitter(crop)  # type: ignore[arg-type]
        assert jitter.draw(get_recipe("c3d_small"), np.random.default_rng(1)).offset_yx == (0, 0)
    assert Jitter("none").draw(get_recipe("res3d"), np.random.default_rng(1)).offset_yx == (8, 29)


def test_draws_stay_in_their_ranges_and_reach_the_ends() -> None:
    rng = np.random.default_rng(0)
    recipe = get_recipe("c3d_small")
    draws = [ALL.draw(recipe, rng) for _ in range(4000)]
    ranges = {
        "scale": (0.7, 1.3),
        "brightness": (0.7, 1.3),
        "contrast": (0.7, 1.3),
        "saturation": (0.7, 1.3),
    }
    for name, (low, high) in ranges.items():
        values = [getattr(draw, name) for draw in draws]
        assert low <= min(values) < low + 0.01
        assert high - 0.01 < max(values) <= high
        assert np.mean(values) == pytest.approx(1, abs=0.01)
    for channel in range(3):
        gains = [draw.gains_rgb[channel] for draw in draws]
        assert 0.7 <= min(gains) < 0.71
        assert 1.29 < max(gains) <= 1.3
    assert np.abs(np.corrcoef([draw.gains_rgb for draw in draws], rowvar=False) - np.eye(3)).max() < 0.07
    for axis in (0, 1):
        shifts = [draw.shift_yx[axis] for draw in draws]
        assert -5.6 <= min(shifts) < -5.5
        assert 5.5 < max(shifts) <= 5.6


def test_flips() -> None:
    recipe = get_recipe("c3d_small")
    rng = np.random.default_rng(0)
    flips = sum(Jitter().draw(recipe, rng).flip for _ in range(4000))
    assert 1880 < flips < 2120  # four standard deviations
    directional = recipe.with_flip(False)
    assert not any(Jitter(flip_p=1.0).draw(directional, rng).flip for _ in range(200))
    assert all(Jitter(flip_p=1.0).draw(recipe, rng).flip for _ in range(200))
    assert not any(Jitter(flip_p=0.0).draw(recipe, rng).flip for _ in range(200))


def test_settings_that_differ_in_one_respect_share_all_other_chance() -> None:
    recipe = get_recipe("res3d")
    plain = Jitter().draw(recipe, np.random.default_rng(7))
    more = Jitter(scale=(0.5, 2), brightness=0.5).draw(recipe, np.random.default_rng(7))
    assert (plain.offset_yx, plain.flip) == (more.offset_yx, more.flip)


def test_one_draw_a_clip_and_the_same_draw_for_the_same_seed() -> None:
    recipe = get_recipe("c3d_small")
    frames = np.repeat(noise(1, (56, 56)), 16, axis=0)
    clip = jittered_input(frames, recipe, ALL, np.random.default_rng(3))
    assert clip.shape == (3, 16, 56, 56)
    assert clip.dtype == torch.float32
    assert clip.is_contiguous()
    assert (clip == clip[:, :1]).all(), "equal frames stay equal"
    assert clip.abs().max() <= 1
    assert torch.equal(clip, jittered_input(frames, recipe, ALL, np.random.default_rng(3)))
    assert not torch.equal(clip, jittered_input(frames, recipe, ALL, np.random.default_rng(4)))
    assert (frames == np.repeat(noise(1, (56, 56)), 16, axis=0)).all()


def test_no_jitter_is_the_test_input() -> None:
    recipe = get_recipe("c3d_channel_mean")
    frames = noise(2, (128, 171))
    clip = jittered_input(frames, recipe, Jitter("none", flip_p=0), np.random.default_rng(0))
    assert torch.equal(clip, to_input(frames, recipe))


def test_dictionaries() -> None:
    for jitter in (ALL, Jitter(), TSN, Jitter(lighting=0.1)):
        assert Jitter.from_dict(json.loads(json.dumps(jitter.to_dict()))) == jitter
    assert Jitter.from_dict({"scale": [0.8, 1.2]}) == Jitter(scale=(0.8, 1.2))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"crop": "random"}, "choose one of published"),
        ({"scale": [1.2, 0.8]}, "low, high"),
        ({"scale": [0, 1]}, "low, high"),
        ({"scale": [1]}, "low, high"),
        ({"scale": [0.5, float("inf")]}, "low, high"),
        ({"brightness": 1.5}, "brightness = 1.5"),
        ({"shift": -0.1}, "shift = -0.1"),
        ({"flip_p": float("nan")}, "flip_p = nan"),
        ({"white_balance": 2}, "white_balance = 2"),
        ({"hue": 0.1}, "jitter has no hue"),
        ({"sizes": [1.0]}, 'set crop = "corners"'),
        ({"crop": "corners", "sizes": []}, "fractions of the shorter side"),
        ({"crop": "corners", "sizes": [1, 1.1]}, "fractions of the shorter side"),
        ({"crop": "corners", "scale": [0.9, 1.1]}, "scale and shift are given"),
        ({"crop": "corners", "shift": 0.1}, "scale and shift are given"),
        ({"crop": "corners", "positions": 9}, "choose 5 or 13"),
        ({"max_distort": -1}, "whole number from 0"),
        ({"max_distort": 0.5}, "whole number from 0"),
        ({"lighting": 2}, "lighting = 2"),
    ],
)
def test_nonsense(values: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Jitter.from_dict(values)


TSN = Jitter("corners", positions=13, sizes=(1, 0.875, 0.75, 0.66))


def test_newer_settings_leave_the_first_twelve_numbers_alone() -> None:
    """What a draw was before there were corners and lighting: runs begun then go on with the same clips."""
    recipe = get_recipe("res3d")
    jitter = Jitter("inclusive", scale=(0.5, 2), shift=0.1, brightness=0.2, saturation=0.4, white_balance=0.3)
    for seed in range(20):
        y, x, scale, down, across, brightness, _, saturation, flip, *gains = np.random.default_rng(seed).random(12)
        draw = jitter.draw(recipe, np.random.default_rng(seed))
        assert draw.offset_yx == (int(17 * y), int(60 * x))
        assert draw.scale == 0.5 + 1.5 * scale
        assert draw.shift_yx == pytest.approx((11.2 * (2 * down - 1), 11.2 * (2 * across - 1)))
        assert (draw.brightness, draw.contrast) == (pytest.approx(0.8 + 0.4 * brightness), 1)
        assert draw.saturation == pytest.approx(0.6 + 0.8 * saturation)
        assert draw.flip == (flip < 0.5)
        assert draw.gains_rgb == pytest.approx([0.7 + 0.6 * gain for gain in gains])
        assert (draw.box_hw, draw.lighting_rgb) == (None, (0, 0, 0))


def test_tsn_draws_every_pair_of_sizes_at_every_place() -> None:
    recipe = get_recipe("tsn_rgb")
    rng = np.random.default_rng(0)
    draws = [TSN.draw(recipe, rng) for _ in range(8000)]
    boxes = Counter((draw.box_hw, draw.offset_yx) for draw in draws)
    # A 256-high box has no room above and below: of its 13 places only the columns differ.
    pairs = Counter(draw.box_hw for draw in draws)
    assert len(pairs) == 10
    # Chi square, 9 degrees of freedom: above 27.9 once in a thousand.
    assert sum((count - 800) ** 2 / 800 for count in pairs.values()) < 27.9
    places = {offset for box, offset in boxes if box == (224, 224)}
    assert len(places) == 13
    counts = [boxes[(224, 224), place] for place in places]
    expected = pairs[224, 224] / 13
    assert sum((count - expected) ** 2 / expected for count in counts) < 32.9  # 12 degrees of freedom
    assert {x for box, (_, x) in boxes if box == (256, 256)} == {0, 21, 42, 63, 84}
    assert 0.47 < np.mean([draw.flip for draw in draws]) < 0.53
    assert not any(draw.moves_box or draw.changes_color or draw.adds_light for draw in draws)


def test_t3d_draws_five_crops_of_the_crop_size() -> None:
    jitter = Jitter("corners", positions=5)
    rng = np.random.default_rng(0)
    draws = [jitter.draw(get_recipe("t3d_rgb"), rng, (256, 340)) for _ in range(500)]
    assert {draw.box_hw for draw in draws} == {(224, 224)}
    assert {draw.offset_yx for draw in draws} == {(0, 0), (0, 116), (32, 0), (32, 116), (16, 58)}


def test_p3d_and_two_stream_crop_anywhere_in_the_whole_frame() -> None:
    rng = np.random.default_rng(0)
    jitter = Jitter("inclusive")
    seen = [jitter.draw(get_recipe("p3d_rgb"), rng).offset_yx for _ in range(3000)]
    assert {y for y, _ in seen} == set(range(182 - 160 + 1))
    assert {x for _, x in seen} == set(range(242 - 160 + 1))
    wide = [jitter.draw(get_recipe("two_stream_rgb"), rng, (256, 455)).offset_yx for _ in range(9000)]
    assert {y for y, _ in wide} == set(range(33))
    assert {x for _, x in wide} == set(range(455 - 224 + 1))
    with pytest.raises(UsageError, match="give frame_hw"):
        jitter.draw(get_recipe("two_stream_rgb"), rng)


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


def test_lighting_moves_all_colors_along_imagenets_principal_components() -> None:
    recipe = Recipe("r", (8, 8), (8, 8))
    rng = np.random.default_rng(0)
    jitter = Jitter("none", lighting=0.1, flip_p=0)
    lights = np.array([jitter.draw(recipe, rng).lighting_rgb for _ in range(20_000)])
    # fb.resnet.torch, datasets/imagenet.lua, for pixels of 0 to 1: rows are red, green, blue.
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    spread = 25.5 * np.array([0.2175, 0.0188, 0.0045])
    assert np.abs(np.cov(lights.T) - (vectors * spread**2) @ vectors.T).max() < 0.7  # of 10
    assert np.abs(lights.mean(axis=0)).max() < 0.1
    along = lights @ vectors / spread  # the components are orthogonal to four digits
    assert np.abs(along.std(axis=0) - 1).max() < 0.03
    assert (np.abs(along) > 2).mean() == pytest.approx(0.0455, abs=0.005), "normal, not uniform"
    draw = jitter.draw(recipe, np.random.default_rng(7))
    clip = noise(3, (8, 8))
    result = drawn_input(clip, recipe, draw).numpy()
    expected = clip.transpose(3, 0, 1, 2) + np.array(draw.lighting_rgb).reshape(3, 1, 1, 1)
    assert np.abs(result - expected).max() < 1e-4, "one light for the clip, and nothing cut off"
    assert np.abs(draw.lighting_rgb).min() > 0


def test_flow_shares_the_geometry_and_has_no_colors() -> None:
    jitter = Jitter("corners", sizes=(1, 0.875), brightness=0.5, white_balance=0.3, lighting=0.1)
    rgb, flow = Recipe("r", (40, 52), (28, 28)), Recipe("f", (40, 52), (28, 28), "flow")
    for seed in range(20):
        of_rgb = jitter.draw(rgb, np.random.default_rng(seed))
        of_flow = jitter.draw(flow, np.random.default_rng(seed))
        assert (of_rgb.offset_yx, of_rgb.box_hw, of_rgb.flip) == (of_flow.offset_yx, of_flow.box_hw, of_flow.flip)
        assert of_rgb.changes_color
        assert of_rgb.adds_light
        assert not of_flow.changes_color
        assert not of_flow.adds_light
    fields = np.random.default_rng(1).integers(0, 256, (3, 40, 52, 2), dtype=np.uint8)
    result = jittered_input(fields, flow, jitter, np.random.default_rng(2))
    draw = jitter.draw(flow, np.random.default_rng(2))
    assert torch.equal(result, drawn_input(fields, flow, draw))


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
