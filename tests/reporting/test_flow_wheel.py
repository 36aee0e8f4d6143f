"""Colors of motion against the convention's hues, counted by hand and made into colors by colorsys."""

from __future__ import annotations

import base64
import colorsys
import io
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from tubelet.errors import UsageError
from tubelet.reporting import flow_colors, flow_film, flow_legend
from tubelet.reporting.flow_wheel import wheel_maximum

WHITE, BLACK = [255, 255, 255], [0, 0, 0]


def color(x: float, y: float, max_px: float = 1.0) -> list[int]:
    return flow_colors(np.array((x, y)), max_px).tolist()


def at(steps: float, speed: float = 1.0) -> list[int]:
    """The color of motion ``steps`` of the wheel's 55 steps clockwise from the right."""
    angle = 2 * math.pi * steps / 55
    return color(speed * math.cos(angle), speed * math.sin(angle), 1.0000001)


def test_the_six_pure_colors_stand_where_the_convention_counts_them() -> None:
    # 15 steps from red to yellow, 6 to green, 4 to cyan, 11 to blue, 13 to magenta, 6 back to red.
    assert at(0) == [255, 0, 0]
    assert at(15) == [255, 255, 0]
    assert at(21) == [0, 255, 0]
    assert at(25) == [0, 255, 255]
    assert at(36) == [0, 0, 255]
    assert at(49) == [255, 0, 255]
    assert at(54.9999) == [255, 0, 0]


def test_what_the_eye_expects() -> None:
    assert color(0, 0) == WHITE
    right, down, left, up = color(3, 0, 3), color(0, 3, 3), color(-3, 0, 3), color(0, -3, 3)
    assert right == [255, 0, 0]
    assert down[0] == 255
    assert down[1] > 200  # yellow: a step and a quarter before pure yellow
    assert left[0] == 0
    assert left[2] == 255  # between cyan and blue
    assert up[2] == 255
    assert up[1] == 0  # between blue and magenta


@given(st.floats(0, 6, exclude_max=True), st.floats(0, 1))
def test_colors_are_hue_saturation_and_full_value(sixths: float, speed: float) -> None:
    counts = (15, 6, 4, 11, 13, 6)
    whole = int(sixths)
    steps = sum(counts[:whole]) + (sixths - whole) * counts[whole]
    expected = colorsys.hsv_to_rgb(sixths / 6, speed, 1.0)
    np.testing.assert_allclose(at(steps, speed), 255 * np.array(expected), atol=0.51)


def test_faster_than_the_maximum_is_three_quarters_as_bright() -> None:
    assert color(2, 0, 1) == [191, 0, 0]  # 0.75 x 255 = 191.25
    assert color(1, 0, 1) == [255, 0, 0]
    assert color(0.5, 0, 1) == [255, 128, 128]  # 127.5, to the even level
    assert color(4, 0, 8) == color(0.5, 0, 1)


def test_unknown_motion_is_black() -> None:
    picture = flow_colors(np.array([[[np.nan, 0], [0, np.inf], [0, 0]]]), 1.0)
    assert picture.tolist() == [[BLACK, BLACK, WHITE]]


@pytest.mark.parametrize(
    ("speeds", "expected"),
    [([0.0], 1.0), ([0.3] * 5, 1.0), ([3.0] * 5, 3.0), ([3.2] * 5, 4.0), ([12.0] * 5, 20.0), ([np.nan, 7.5], 8.0)],
)
def test_round_maxima(speeds: list[float], expected: float) -> None:
    assert wheel_maximum(np.array([(0.0, -speed) for speed in speeds])) == expected


def test_one_outlier_does_not_bleach_the_picture() -> None:
    vectors = np.full((1, 20, 20, 2), (1.5, 0.0))
    vectors[0, 0, 0] = 400.0
    assert wheel_maximum(vectors) == 2.0


def pictures(body: str) -> list[np.ndarray]:
    found = re.findall(r'href="data:image/png;base64,([^"]+)"', body)
    return [imread(io.BytesIO(base64.b64decode("".join(one.split())))) for one in found]


def film_input() -> tuple[np.ndarray, np.ndarray]:
    frames = np.stack([np.full((12, 16, 3), 20 * t, np.uint8) for t in range(7)])
    vectors = np.zeros((6, 12, 16, 2))
    vectors[..., 0] = np.arange(6)[:, None, None]  # field t: t pixels to the right
    return frames, vectors


def test_frames_stand_above_their_own_motion() -> None:
    frames, vectors = film_input()
    figure = flow_film(frames, vectors, max_px=5, frames_shown=3, times_s=[0.5 * t for t in range(7)])
    assert figure.svg is not None
    shown = pictures(figure.svg.decode())
    assert len(shown) == 7  # three frames, three fields, the wheel
    for column, index in enumerate((0, 2, 5)):
        photo, motion = shown[2 * column], shown[2 * column + 1]
        np.testing.assert_allclose(photo[..., :3], 20 * index / 255, atol=0.01)
        red, green, blue = motion[5, 7, :3]
        np.testing.assert_allclose((red, green, blue), (1, 1 - index / 5, 1 - index / 5), atol=0.01)
    text = figure.svg.decode()
    assert all(words in text for words in ("0.0\u00a0s", "1.0\u00a0s", "2.5\u00a0s", "px per frame", "−5"))
    assert "5 pixels per frame" in figure.caption
    assert figure == flow_film(frames, vectors, max_px=5, frames_shown=3, times_s=[0.5 * t for t in range(7)])


def test_the_legend_has_its_scale_and_its_colors() -> None:
    figure = flow_legend(2.5)
    assert figure.svg is not None
    picture = imread(io.BytesIO(figure.png))
    # The wheel's center, in a PNG of two pixels to one; beside the cross, which is drawn in ink.
    y, x = 2 * (12 + 8 + 64) + 4, 2 * (12 + 56 + 64) + 4
    np.testing.assert_allclose(picture[y, x, :3], 1, atol=0.1)
    half = round(128 / 1.15 / 2)  # half of the maximum: half way from white
    for place, angle in (((y, x + half), 0.0), ((y + half, x), 0.25), ((y, x - half), 0.5), ((y - half, x), 0.75)):
        expected = (np.array(at(55 * angle, 0.5)) / 255).tolist()
        np.testing.assert_allclose(picture[place][:3], expected, atol=0.12)
    assert picture[2 * 12 + 18, 2 * (12 + 56) + 2, :3].tolist() == [1, 1, 1]  # the page shows at the corners
    assert "−2.5" in figure.svg.decode()
    assert figure.narrow_svg is None


def test_what_does_not_fit_is_refused() -> None:
    frames, vectors = film_input()
    for bad in (
        lambda: flow_film(frames[:4], vectors),
        lambda: flow_film(frames, vectors[:0]),
        lambda: flow_film(frames.astype(float), vectors),
        lambda: flow_film(frames, vectors, frames_shown=9),
        lambda: flow_film(frames, vectors, times_s=[0.0]),
        lambda: flow_film(frames, vectors, labels=["one too few"] * (len(frames) - 1)),
        lambda: flow_colors(np.zeros((3, 3)), 1.0),
        lambda: flow_colors(vectors, 0.0),
    ):
        with pytest.raises(UsageError):
            bad()
