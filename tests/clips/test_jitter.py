"""Jitter: the settings, and what is drawn from them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from tubelet.clips.jitter import Jitter
from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.clips.transforms import drawn_input, jittered_input, to_input
from tubelet.errors import UsageError

ALL = Jitter("none", scale=(0.7, 1.3), shift=0.1, brightness=0.3, contrast=0.3, saturation=0.3, white_balance=0.3)


def noise(t: int, hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (t, *hw, 3), dtype=np.uint8)


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
