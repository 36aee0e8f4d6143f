"""Colors of equal brightness: gray pictures and optical flow are the same in all of them, frames are not."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest

from tubelet.video.synthetic import (
    COLORS,
    MOTION_CLASSES,
    Difficulty,
    draw_motion,
    draw_scene,
    draw_texture,
    looks_of,
    make_video,
    render,
)
from tubelet.video.synthetic_colors import draw_tones, tinted

COLORED = Difficulty(looks="colors")


def in_all_colors(motion: str, seed: int) -> np.ndarray:
    """(5, T, H, W, 3): one scene and motion in every color."""
    trajectory = draw_motion(motion, seed, COLORED).trajectory(COLORED)
    return np.stack([render(draw_scene(seed, COLORED, texture=color), trajectory) for color in range(len(COLORS))])


def test_tints_keep_the_brightness_and_stay_in_range() -> None:
    for brightness in np.linspace(0.05, 0.95, 19):
        for angle in np.linspace(0, 2 * math.pi, 73):
            red, green, blue = tinted(float(brightness), float(angle))
            assert 0.299 * red + 0.587 * green + 0.114 * blue == pytest.approx(brightness, abs=1e-12)
            assert min(red, green, blue) >= 0
            assert max(red, green, blue) <= 1


def test_colors_are_what_they_are_called() -> None:
    # Hue in degrees as OpenCV has it: 0 red, 60 yellow, 120 green, 240 blue, 300 magenta.
    named = {"red": 0, "yellow": 60, "green": 120, "blue": 240, "magenta": 300}
    assert set(named) == set(COLORS)
    for name, wanted in named.items():
        for seed in range(20):
            for tone in draw_tones(name, np.random.default_rng(seed)):
                hue = float(cv2.cvtColor(np.array([[tone]], np.float32), cv2.COLOR_RGB2HSV)[0, 0, 0])
                assert abs((hue - wanted + 180) % 360 - 180) < 25


@pytest.mark.parametrize("motion", MOTION_CLASSES[:8:2])
def test_gray_videos_differ_by_rounding_alone(motion: str) -> None:
    videos = in_all_colors(motion, seed=5)
    gray = np.stack([[cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video] for video in videos]).astype(int)
    # Red, green and blue are rounded, then their sum: at most half a level each time.
    assert np.ptp(gray, axis=0).max() <= 2
    assert np.ptp(videos.astype(int), axis=0).max() > 60


def test_flow_is_the_same_in_all_colors() -> None:
    videos = in_all_colors("right", seed=5)[:, :4]
    solver = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    fields = [
        [solver.calc(cv2.cvtColor(a, cv2.COLOR_RGB2GRAY), cv2.cvtColor(b, cv2.COLOR_RGB2GRAY), None)
         for a, b in pairwise(video)]
        for video in videos
    ]  # fmt: skip
    apart = np.linalg.norm(np.ptp(np.array(fields), axis=0), axis=-1)
    speed = np.linalg.norm(fields[0], axis=-1)
    assert np.percentile(speed, 99) > 1
    assert apart.mean() < 0.02 * speed.max()


def test_a_scene_changes_in_its_color_alone() -> None:
    one, other = (draw_scene(9, COLORED, texture=color) for color in (0, 3))
    assert (one.thing.shape, one.thing.pattern, one.thing.phase) == (
        other.thing.shape, other.thing.pattern, other.thing.phase,
    )  # fmt: skip
    assert np.array_equal(one.background, other.background)
    assert one.thing.colors != other.thing.colors
    assert one.thing.pattern != "solid"


def test_colors_come_equally_often_whatever_the_motion() -> None:
    drawn = np.bincount([draw_texture(seed, COLORED) for seed in range(5000)], minlength=5)
    assert looks_of(COLORED) == COLORS
    # Five classes of 1000 expected, standard deviation 28.
    assert abs(drawn - 1000).max() < 4 * 28.3
    assert draw_scene(3, COLORED).texture == draw_texture(3, COLORED)


def test_compression_keeps_the_brightness_too(tmp_path: object) -> None:
    import av

    seed_of_color = next(seed for seed in range(40) if COLORS[draw_texture(seed, COLORED)] == "red")
    path = make_video(f"{tmp_path}/red.avi", "left", seed_of_color, difficulty=COLORED)
    with av.open(str(path)) as container:
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    trajectory = draw_motion("left", seed_of_color, COLORED).trajectory(COLORED)
    blue = render(draw_scene(seed_of_color, COLORED, texture=COLORS.index("blue")), trajectory)
    gray = [
        np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video]).astype(int) for video in (decoded, blue)
    ]
    # The decoded red video and the drawn blue one: what differs is what the codec changes.
    assert np.abs(gray[0] - gray[1]).mean() < 2.5
