"""Flow as a value against plain arithmetic: what mirroring, resizing and bytes do to vectors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.errors import NumericalError, UsageError
from tubelet.flow.field import Flow, dequantize, quantize


def random_flow(shape: tuple[int, int, int] = (3, 7, 9), scale: float = 8.0, **values: Any) -> Flow:
    vectors = np.random.default_rng(0).normal(0, scale, (*shape, 2)).astype(np.float32)
    return Flow(vectors, "made", **values)


def dense_flow_level(value: float, bound: float) -> int:
    """The rule as dense_flow's macro has it, in Python's integers and floats (round takes halves to even)."""
    if value > bound:
        return 255
    if value < -bound:
        return 0
    return round(255 * (value + bound) / (2 * bound))


def test_levels_are_those_of_dense_flow() -> None:
    values = np.concatenate(
        [np.random.default_rng(1).normal(0, 15, 500), np.arange(-21, 21.5, 0.5), 20 * np.arange(-255, 256) / 255]
    ).astype(np.float32)
    levels, saturated = quantize(values, 20.0)
    assert levels.tolist() == [dense_flow_level(float(v), 20.0) for v in values]
    assert saturated == sum(abs(float(v)) > 20 for v in values)


@pytest.mark.parametrize("bound", [1.7, 15.0, 20.0, 32.0])
def test_ends_and_middle(bound: float) -> None:
    field = np.array([[bound, -bound], [0.0, -0.0], [3 * bound, -3 * bound]]).reshape(1, 3, 1, 2)
    levels, saturated = Flow(field, "made", bound=bound).quantize()
    assert levels.reshape(3, 2).tolist() == [[255, 0], [128, 128], [255, 0]]
    assert saturated == 2  # exactly at the bound nothing is lost (to float32's precision of the bound)
    ends = dequantize(np.array([0, 255], np.uint8), bound)
    assert ends.tolist() == np.array([-bound, bound], np.float32).tolist()


@settings(max_examples=60)
@given(st.floats(0.1, 200.0), st.integers(0, 2**32 - 1))
def test_the_round_trip_is_within_half_a_level(bound: float, seed: int) -> None:
    vectors = np.random.default_rng(seed).uniform(-bound, bound, (1, 8, 8, 2)).astype(np.float32)
    flow = Flow(vectors, "made", bound=bound)
    levels, _ = flow.quantize()
    back = Flow.from_levels(levels, algorithm="made", bound=bound)
    # Half a level is bound / 255 pixels; the rest is float32.
    assert np.abs(back.vectors - vectors).max() <= bound / 255 * (1 + 1e-4)
    assert (back.bound, back.algorithm) == (flow.bound, "made")
    again, saturated = back.quantize()
    assert (again == levels).all()
    assert saturated == 0


def test_no_motion_comes_back_as_half_a_level() -> None:
    levels, saturated = Flow(np.zeros((2, 3, 4, 2)), "made").quantize()
    assert (levels == 128).all()
    assert saturated == 0
    np.testing.assert_allclose(Flow.from_levels(levels, algorithm="made").vectors, 20 / 255, rtol=1e-6)


def test_mirrored_levels_are_exactly_opposite() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert (dequantize(255 - levels) == -dequantize(levels)).all()


def test_saturated_components_are_counted_in_every_field() -> None:
    vectors = np.zeros((4, 5, 6, 2), np.float32)
    vectors[0, 0, 0] = (20.1, -20.1)
    vectors[3, 4, 5] = (-500.0, 19.9)
    levels, saturated = Flow(vectors, "made").quantize()
    assert saturated == 3
    assert levels[0, 0, 0].tolist() == [255, 0]
    assert levels[3, 4, 5].tolist() == [0, 254]  # 255 * 39.9 / 40 = 254.4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    vectors = np.zeros((2, 3, 4, 2), np.float32)
    vectors[1, 2, 3, 1] = bad
    with pytest.raises(NumericalError, match="not finite"):
        Flow(vectors, "made").quantize()


def test_mirroring_negates_x() -> None:
    flow = random_flow(direction="backward", bound=15.0)
    mirrored = flow.flip()
    for y, x in ((0, 0), (3, 2), (6, 8)):
        u, v = flow.vectors[1, y, x]
        assert mirrored.vectors[1, y, 8 - x].tolist() == [-u, v]
    assert (mirrored.direction, mirrored.bound, mirrored.algorithm) == ("backward", 15.0, "made")
    assert (mirrored.flip().vectors == flow.vectors).all()


@pytest.mark.parametrize("to_hw", [(14, 18), (5, 23), (1, 1), (31, 4)])
def test_resizing_scales_vectors(to_hw: tuple[int, int]) -> None:
    flow = random_flow()
    resized = flow.resize(to_hw)
    for field, out in zip(flow.vectors, resized.vectors, strict=True):
        expected = cv2.resize(field, to_hw[::-1], interpolation=cv2.INTER_LINEAR).reshape(*to_hw, 2)
        expected = expected * (to_hw[1] / 9, to_hw[0] / 7)
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)
    assert resized.bound == flow.bound


def test_resizing_follows_a_zooming_camera() -> None:
    """A zoom d(p) = 0.1 (p - center) looks the same at any size, in the pixels of that size."""

    def zoom(height: int, width: int) -> np.ndarray:
        y, x = np.mgrid[:height, :width] + 0.5
        return np.stack([0.1 * (x - width / 2), 0.1 * (y - height / 2)], -1)[None].astype(np.float32)

    small = Flow(zoom(20, 30), "made").resize((40, 90)).vectors
    # Half a pixel from the border the small field has no values to go on from.
    np.testing.assert_allclose(small[:, 2:-2, 3:-3], zoom(40, 90)[:, 2:-2, 3:-3], atol=1e-5)


def test_the_same_size_is_the_same_flow() -> None:
    flow = random_flow()
    assert flow.resize((7, 9)) is flow


def test_cropping_takes_the_window() -> None:
    flow = random_flow()
    crop = flow.crop((2, 3), (4, 5))
    assert crop.size_hw == (4, 5)
    assert (crop.vectors == flow.vectors[:, 2:6, 3:8]).all()
    assert len(crop) == 3


@pytest.mark.parametrize(
    ("corner", "size"), [((-1, 0), (2, 2)), ((0, 0), (8, 9)), ((0, 5), (7, 5)), ((0, 0), (0, 3)), ((7, 9), (1, 1))]
)
def test_crops_outside_are_refused(corner: tuple[int, int], size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="leaves the flow"):
        random_flow().crop(corner, size)


def test_played_backward() -> None:
    """A dot moves 0, 2, 3, 7: forward flow 2, 1, 4; played backward its backward flow leads 7 <- 3 <- 2 <- 0."""
    steps = np.array([2.0, 1.0, 4.0])
    vectors = np.zeros((3, 1, 9, 2))
    vectors[..., 0] = steps[:, None, None]
    back = Flow(vectors, "made").reverse()
    assert back.direction == "backward"
    places = [7, 3, 2, 0]  # of the dot, played backward
    for t in range(3):  # backward: from frame t + 1 to frame t
        assert places[t + 1] + back.vectors[t, 0, places[t + 1], 0] == places[t]
    assert back.reverse().direction == "forward"


@pytest.mark.parametrize(
    ("vectors", "values", "says"),
    [
        (np.zeros((3, 4, 2)), {}, "(T, H, W, 2)"),
        (np.zeros((1, 3, 4, 3)), {}, "(T, H, W, 2)"),
        (np.zeros((1, 0, 4, 2)), {}, "(T, H, W, 2)"),
        (np.zeros((1, 3, 4, 2), np.uint8), {}, "from_levels"),
        (np.zeros((1, 3, 4, 2)), {"bound": 0.0}, "positive"),
        (np.zeros((1, 3, 4, 2)), {"bound": np.nan}, "positive"),
        (np.zeros((1, 3, 4, 2)), {"direction": "up"}, "forward or backward"),
        (np.zeros((1, 3, 4, 2)), {"order": "yx"}, "xy"),
    ],
)
def test_refusals(vectors: np.ndarray, values: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Flow(vectors, "made", **values)
    assert says in str(caught.value)


def test_levels_must_be_bytes_of_the_shape() -> None:
    with pytest.raises(UsageError, match="uint8"):
        Flow.from_levels(np.zeros((1, 3, 4, 2)), algorithm="made")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="T, H, W, 2"):
        Flow.from_levels(np.zeros((3, 4, 2), np.uint8), algorithm="made")


def test_a_flow_of_no_fields_has_no_levels() -> None:
    levels, saturated = Flow(np.zeros((0, 3, 4, 2)), "made").quantize()
    assert levels.shape == (0, 3, 4, 2)
    assert saturated == 0
