"""Stacks against the papers' formulas, written as loops over pixels in Python's floats."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from tubelet.errors import NumericalError, UsageError
from tubelet.flow.field import Flow, dequantize
from tubelet.flow.stack import (
    bidirectional_stack,
    center_levels,
    flip_stack,
    flow_stack,
    flow_volume,
    rgb_difference,
    subtract_mean,
    trajectory_stack,
    tsn_stack,
)
from tubelet.flow.trajectory import trajectories


def fields(count: int = 4, height: int = 5, width: int = 7, *, scale: float = 2.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, (count, height, width, 2))


def bilinear(field: np.ndarray, x: float, y: float) -> np.ndarray:
    """One vector of a field, the place clamped to the frame; the four pixels weighted by areas."""
    height, width = field.shape[:2]
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    total = np.zeros(2)
    for row in range(height):
        for column in range(width):
            total += field[row, column] * max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
    return total


def followed_by_hand(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equations (2) and (3), pixel by pixel: the stack ``(2L, H, W)`` and the places ``(L, H, W, 2)``."""
    count, height, width, _ = vectors.shape
    stack, places = np.zeros((2 * count, height, width)), np.zeros(vectors.shape)
    for v in range(height):
        for u in range(width):
            p = np.array((u, v), float)
            for k in range(count):
                if k:
                    p = p + bilinear(vectors[k - 1], *p)
                places[k, v, u] = p
                stack[2 * k : 2 * k + 2, v, u] = bilinear(vectors[k], *p)
    return stack, places


def test_stacking_interleaves_x_and_y() -> None:
    vectors = fields()
    stack = flow_stack(vectors)
    assert stack.shape == (8, 5, 7)
    assert stack.is_contiguous()
    for k in range(4):
        assert (stack[2 * k].numpy() == vectors[k, ..., 0]).all()
        assert (stack[2 * k + 1].numpy() == vectors[k, ..., 1]).all()


def test_levels_stay_bytes_and_read_only_memory_is_read() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 2), dtype=np.uint8)
    levels.flags.writeable = False
    stack = flow_stack(levels)
    assert stack.dtype == torch.uint8
    assert stack.shape == (10, 3, 4)
    assert stack[9, 2, 3] == levels[4, 2, 3, 1]


def test_volumes_keep_time() -> None:
    vectors = fields()
    volume = flow_volume(vectors[None])
    assert volume.shape == (1, 2, 4, 5, 7)
    assert volume[0, 1, 3, 2, 6] == vectors[3, 2, 6, 1]


@pytest.mark.parametrize(("scale", "seed"), [(0.3, 0), (2.0, 1), (30.0, 2)])  # 30: nearly all leave the frame
def test_following_is_the_loop_over_pixels(scale: float, seed: int) -> None:
    vectors = fields(scale=scale, seed=seed)
    stack, places = followed_by_hand(vectors)
    np.testing.assert_allclose(trajectory_stack(vectors).numpy(), stack, atol=1e-10)
    np.testing.assert_allclose(trajectories(torch.from_numpy(vectors)).numpy(), places, atol=1e-10)
    single = trajectory_stack(vectors.astype(np.float32))
    assert single.dtype == torch.float32
    # A float32 vector is off by 1e-7 of itself, and a field changes by a few scales per pixel.
    np.testing.assert_allclose(single.numpy(), stack, atol=1e-5 * scale**2 + 1e-5)


def test_following_without_motion_is_stacking() -> None:
    vectors = fields(5)
    vectors[:4] = 0.0
    assert trajectory_stack(np.zeros((3, 4, 5, 2))).count_nonzero() == 0
    # Nothing moved before the last field, so it is read where it is.
    np.testing.assert_allclose(trajectory_stack(vectors), flow_stack(vectors), atol=1e-12)
    single = vectors.astype(np.float32)
    assert (trajectory_stack(single) == flow_stack(single)).all()
    assert (trajectory_stack(vectors[:1]) == flow_stack(vectors[:1])).all()  # one field: nothing to follow


def test_whole_pixels_are_read_as_they_are() -> None:
    """Motion by whole pixels: the second field is read (2, -1) pixels on, the border's pixels repeated."""
    vectors = fields(2)
    vectors[0] = (2.0, -1.0)
    stack = trajectory_stack(vectors).numpy()
    for v in range(5):
        for u in range(7):
            expected = vectors[1, max(v - 1, 0), min(u + 2, 6)]
            np.testing.assert_allclose(stack[2:, v, u], expected, atol=1e-12)


@settings(max_examples=25)
@given(st.floats(-9, 9), st.floats(-9, 9), st.integers(1, 6))
def test_constant_motion_moves_in_a_straight_line(a: float, b: float, count: int) -> None:
    vectors = np.broadcast_to(np.array((a, b)), (count, 3, 4, 2))
    places = trajectories(torch.from_numpy(vectors.copy())).numpy()
    for k in range(count):
        for v in range(3):
            for u in range(4):
                np.testing.assert_allclose(places[k, v, u], (u + k * a, v + k * b), atol=1e-9)
    np.testing.assert_allclose(trajectory_stack(vectors), flow_stack(vectors), atol=1e-12)


@pytest.mark.parametrize("stack", [flow_stack, trajectory_stack])
def test_batches_are_their_members(stack: Callable[[np.ndarray], Tensor]) -> None:
    batch = fields(12).reshape(2, 2, 3, 5, 7, 2)
    together = stack(batch)
    assert together.shape == (2, 2, 6, 5, 7)
    for i in range(2):
        for j in range(2):
            assert torch.allclose(together[i, j], stack(batch[i, j]), atol=1e-12)
    assert trajectories(torch.from_numpy(batch)).shape == batch.shape


@pytest.mark.parametrize("follow", [False, True])
def test_both_directions_begin_at_the_frame(follow: bool) -> None:
    forward, backward = fields(3, seed=3), fields(3, seed=4)
    stack = bidirectional_stack(forward, backward, follow=follow).numpy()
    assert stack.shape == (12, 5, 7)
    # backward[2] leads from the frame to the one before it, backward[0] is the farthest in the past.
    halves = (forward, np.stack([backward[2], backward[1], backward[0]]))
    for half, vectors in enumerate(halves):
        plain = vectors.transpose(0, 3, 1, 2).reshape(6, 5, 7)
        expected = followed_by_hand(vectors)[0] if follow else plain
        np.testing.assert_allclose(stack[6 * half : 6 * half + 6], expected, atol=1e-10)


def test_both_directions_of_a_steady_motion_and_of_a_dot() -> None:
    """A dot at 1, 2, 4, 7 in frames 0 to 3, seen from frame 2: 3 pixels on; 2 back, 1 back."""
    places = [1, 2, 4, 7]
    forward, backward = np.zeros((3, 1, 9, 2)), np.zeros((3, 1, 9, 2))
    for t in range(3):
        forward[t, 0, places[t], 0] = places[t + 1] - places[t]
        backward[t, 0, places[t + 1], 0] = places[t] - places[t + 1]
    stack = bidirectional_stack(np.repeat(forward[2:], 2, 0), backward[:2], follow=True)
    dot = stack[::2, 0, 4].tolist()
    assert dot == [3.0, 0.0, -2.0, -1.0]


def test_sides_of_two_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="as many fields on both sides"):
        bidirectional_stack(fields(3), fields(2))


def test_every_field_loses_its_mean_vector() -> None:
    vectors = fields(4, 6, 8) + np.array((5.0, -3.0))
    stack = flow_stack(vectors[None])
    centered = subtract_mean(stack)
    np.testing.assert_allclose(centered.mean(dim=(-2, -1)), np.zeros((1, 8)), atol=1e-12)
    mean_x = math.fsum(vectors[2, ..., 0].ravel()) / 48
    np.testing.assert_allclose(centered[0, 4], vectors[2, ..., 0] - mean_x, atol=1e-12)
    with pytest.raises(UsageError, match="dequantize"):
        subtract_mean(torch.zeros(4, 3, 3, dtype=torch.uint8))


LEVELS = arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.just(2)))


@settings(max_examples=60)
@given(LEVELS, st.floats(0.5, 50))
def test_mirroring_levels_inverts_even_channels_and_is_mirroring_the_flow(levels: np.ndarray, bound: float) -> None:
    stack = flow_stack(levels).numpy()
    mirrored = flip_stack(stack).numpy()
    assert mirrored.dtype == np.uint8
    for channel in range(len(stack)):
        plain = stack[channel, :, ::-1]
        assert (mirrored[channel] == (255 - plain if channel % 2 == 0 else plain)).all()
    # The same through vectors, to the last bit.
    flow = Flow.from_levels(levels, algorithm="made", bound=bound)
    assert (dequantize(mirrored, bound) == flow_stack(flow.flip().vectors).numpy()).all()
    assert (flip_stack(flow_stack(flow.vectors)) == flow_stack(flow.flip().vectors)).all()
    assert (flip_stack(mirrored).numpy() == stack).all()
    assert (flow_stack(levels).numpy() == stack).all()  # the input is not written to


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_following_a_mirrored_flow_is_mirroring(seed: int, scale: float) -> None:
    flow = Flow(fields(3, scale=scale, seed=seed), "made")
    mirrored = trajectory_stack(flow.flip().vectors.astype(np.float64))
    expected = flip_stack(trajectory_stack(flow.vectors.astype(np.float64)))
    assert torch.allclose(mirrored, expected, atol=1e-8 * (1 + scale) ** 3)
    both = bidirectional_stack(flow.vectors, flow.vectors)
    assert (flip_stack(both) == bidirectional_stack(flow.flip().vectors, flow.flip().vectors)).all()


def test_tsn_reads_levels_about_128() -> None:
    levels = np.array([0, 127, 128, 255, 20, 200], np.uint8).reshape(1, 1, 3, 2)
    stack = tsn_stack(np.repeat(levels, 5, 0))
    assert stack.shape == (10, 1, 3)
    assert stack.dtype == torch.float32
    assert stack[0::2].tolist() == [[[-128.0, 0.0, -108.0]]] * 5
    assert stack[1::2].tolist() == [[[-1.0, 127.0, 72.0]]] * 5
    assert center_levels(flow_volume(levels))[:, 0, 0].tolist() == [[-128.0, 0.0, -108.0], [-1.0, 127.0, 72.0]]
    with pytest.raises(UsageError, match="quantize"):
        tsn_stack(fields(5))


def test_six_frames_give_fifteen_channels_of_differences() -> None:
    frames = np.random.default_rng(5).integers(0, 256, (2, 6, 3, 4, 3), dtype=np.uint8)
    difference = rgb_difference(frames)
    assert difference.shape == (2, 15, 3, 4)
    assert difference.dtype == torch.float32
    for k in range(5):
        for color in range(3):
            later, sooner = (frames[1, t, ..., color].astype(int) for t in (k + 1, k))
            assert (difference[1, 3 * k + color].numpy() == later - sooner).all()
    extremes = np.zeros((2, 1, 1, 3), np.uint8)
    extremes[0] = 255
    assert rgb_difference(extremes).flatten().tolist() == [-255.0] * 3
    assert (rgb_difference(frames[..., ::-1])[:, :3] == difference[:, :3].flip(1)).all()  # BGR


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: flow_stack(np.zeros((5, 7, 2))), "(..., L, H, W, 2)"),
        (lambda: flow_stack(np.zeros((4, 5, 7, 3))), "(..., L, H, W, 2)"),
        (lambda: flow_volume(np.zeros((0, 5, 7, 2))), "(..., L, H, W, 2)"),
        (lambda: trajectory_stack(np.zeros((4, 5, 7, 2), np.uint8)), "dequantize"),
        (lambda: flip_stack(np.zeros((3, 5, 7))), "(..., 2L, H, W)"),
        (lambda: flip_stack(np.zeros((4, 5, 7), np.int16)), "uint8"),
        (lambda: subtract_mean(np.zeros((5, 7))), "(..., 2L, H, W)"),
        (lambda: rgb_difference(np.zeros((1, 5, 7, 3), np.uint8)), "T of at least 2"),
        (lambda: rgb_difference(np.zeros((6, 5, 7, 2), np.uint8)), "T of at least 2"),
    ],
)
def test_refusals(call: Callable[[], Tensor], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert says in str(caught.value)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_pixels_are_not_followed_to_nowhere(bad: float) -> None:
    vectors = fields()
    vectors[1, 2, 3, 0] = bad
    with pytest.raises(NumericalError, match="not finite"):
        trajectory_stack(vectors)
