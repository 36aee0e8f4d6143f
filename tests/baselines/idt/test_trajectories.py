"""Trajectories of textures whose motion is known, and descriptors against loops over pixels."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.trajectories import all_trajectories, level_sizes, trajectories
from tubelet.errors import UsageError
from tubelet.flow.algorithms import Farneback
from tubelet.flow.estimate import gray

sys.path.insert(0, str(Path(__file__).parent))
from moving import object_in_front, panning

PLAIN = IdtSettings(camera=None)
DIAGONAL = (2, -1)


@pytest.fixture(scope="module")
def diagonal() -> list:
    return panning(18, DIAGONAL)


@pytest.fixture(scope="module")
def followed(diagonal: list):
    return all_trajectories(diagonal, PLAIN)


def test_a_translating_texture_is_followed_straight_and_as_far_as_it_moved(followed) -> None:
    assert len(followed) > 300
    steps = np.diff(followed.points, axis=1)
    inner = (np.abs(followed.points - np.array([56, 48])).max(axis=1) < np.array([40, 32])).all(axis=1)
    inner &= followed.scale == 0
    assert inner.sum() > 50
    way = followed.points[inner, -1] - followed.points[inner, 0]
    np.testing.assert_allclose(way, np.broadcast_to(np.array([30.0, -15.0]), way.shape), atol=1.0)
    # Straight: no step leads more than a quarter of a pixel away from the motion.
    assert np.abs(steps[inner] - np.array(DIAGONAL)).max() < 0.25
    expected = np.tile(np.array(DIAGONAL) / (15 * math.sqrt(5)), 15)
    np.testing.assert_allclose(followed.channels["shape"][inner], np.tile(expected, (inner.sum(), 1)), atol=0.01)


def test_an_object_over_a_plain_background_is_taken_for_the_camera() -> None:
    """Nothing else can be followed, so that its motion is all there is to fit; --no-camera keeps it."""
    (square,) = panning(1, (0, 0), 48, 48, seed=2)
    frames = []
    for t in range(17):
        frame = np.full((96, 128, 3), 128, np.uint8)
        frame[24:72, 10 + 3 * t : 58 + 3 * t] = square[:, : 128 - 10 - 3 * t]
        frames.append(frame)
    assert len(all_trajectories(frames, PLAIN)) > 50
    assert len(all_trajectories(frames, IdtSettings())) == 0


def test_every_scale_measures_the_same_way(followed) -> None:
    assert level_sizes(96, 112, PLAIN) == [(96, 112), (68, 79), (48, 56), (34, 40)]
    # 2.2 pixels of the video are 0.8 of the last level: too little to be told from the background there.
    assert set(followed.scale.tolist()) == {0, 1, 2}
    for level in range(3):
        ways = (followed.points[:, -1] - followed.points[:, 0])[followed.scale == level]
        np.testing.assert_allclose(np.median(ways, axis=0), [30, -15], atol=2)


@pytest.mark.parametrize(("step", "direction"), [((2, 0), 0), ((2, 2), 1), ((0, 2), 2), ((-2, 0), 4), ((0, -2), 6)])
def test_hof_votes_for_the_direction_of_the_motion(step: tuple[int, int], direction: int) -> None:
    found = all_trajectories(panning(17, step, 64, 64), IdtSettings(camera=None, scales=1))
    hof = found.channels["hof"].reshape(len(found), 12, 9) ** 2
    assert len(found) > 20
    share = np.median(hof.sum(axis=1), axis=0)
    assert share.argmax() == direction
    assert share[direction] > 0.8
    assert share[8] < 0.02  # nothing stands still


def test_descriptors_are_roots_of_shares(followed) -> None:
    for name, size in (("hog", 96), ("hof", 108), ("mbhx", 96), ("mbhy", 96)):
        values = followed.channels[name]
        assert values.shape == (len(followed), size)
        np.testing.assert_allclose((values.astype(np.float64) ** 2).sum(axis=1), 1.0, atol=1e-5)


def test_pure_camera_motion_leaves_nothing() -> None:
    frames = panning(18, (3, 1), 120, 160)
    assert len(all_trajectories(frames, PLAIN)) > 500
    assert len(all_trajectories(frames, IdtSettings())) == 0


def test_what_moves_in_front_of_a_panning_camera_is_kept_and_alone() -> None:
    frames, corners = object_in_front(18, camera=(2, 0), moves=(-1, 2))
    found = all_trajectories(frames, IdtSettings(scales=1))
    assert len(found) > 30
    shown = found.first_frame[:, None] + np.arange(16)
    offset = found.points - np.array(corners)[shown]
    # On the object, or met by it: the flow's window reaches over its edge.
    near = ((offset > -12) & (offset < 60)).all(axis=2)
    assert near.any(axis=1).all()
    inside = ((offset > 12) & (offset < 36)).all(axis=(1, 2))
    assert inside.sum() > 10
    # Its shape is its motion in the world: (-1, 2) on the screen, minus the background's (2, 0).
    steps = found.channels["shape"][inside].reshape(-1, 15, 2).mean(axis=1)
    np.testing.assert_allclose(np.median(steps, axis=0), np.array([-3, 2]) / math.hypot(3, 2) / 15, atol=0.004)


def test_what_stands_still_is_left_out() -> None:
    assert len(all_trajectories([panning(1, (0, 0))[0]] * 18, PLAIN)) == 0


def test_too_short_or_too_small_is_nothing_and_no_error(diagonal: list) -> None:
    assert len(all_trajectories(diagonal[:15], PLAIN)) == 0
    assert len(all_trajectories(diagonal[:16], PLAIN)) > 0
    assert len(all_trajectories([frame[:31] for frame in diagonal], PLAIN)) == 0
    assert all_trajectories([], PLAIN).channels["hof"].shape == (0, 108)


def test_trajectories_begin_where_they_say(diagonal: list) -> None:
    ends = [(set(part.first_frame.tolist()), len(part)) for part in trajectories(diagonal, PLAIN)]
    # A square of 5 pixels is free again when its point has gone from 2 by way of 4 to 6.
    assert [first for first, _ in ends] == [{0}, {2}]


def test_frames_of_two_sizes_are_refused(diagonal: list) -> None:
    with pytest.raises(UsageError, match="one size"):
        all_trajectories([*diagonal[:2], diagonal[2][:90]], PLAIN)


def test_settings_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="divide evenly"):
        IdtSettings(length=16)
    with pytest.raises(UsageError, match="scale_step"):
        IdtSettings(scale_step=1.0)


def slow_votes(across, down, x0: int, y0: int, least: float | None) -> dict:
    """Histograms of a 32 x 32 square, 2 x 2 cells, pixel by pixel in float64."""
    bins = 8 if least is None else 9
    cells = np.zeros((4, bins))
    for y in range(y0, y0 + 32):
        for x in range(x0, x0 + 32):
            length = math.hypot(across[y, x], down[y, x])
            cell = 2 * ((y - y0) // 16) + (x - x0) // 16
            if least is not None and length < least:
                cells[cell, 8] += 1
                continue
            place = (math.atan2(down[y, x], across[y, x]) % (2 * math.pi)) / (math.pi / 4)
            low = int(place)
            cells[cell, low % 8] += length * (1 - (place - low))
            cells[cell, (low + 1) % 8] += length * (place - low)
    return cells


def slow_gradient(values):
    padded = np.pad(values.astype(np.float64), 1, mode="edge")
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


@pytest.mark.parametrize("which", [0, 40, -1])
def test_descriptors_equal_loops_over_pixels(diagonal: list, followed, which: int) -> None:
    first = (followed.scale == 0) & (followed.first_frame == 0)
    row = np.flatnonzero(first)[which]
    solve = Farneback().solver()
    grays = [gray(frame) for frame in diagonal[:16]]
    parts = {name: np.zeros((3, 4, 9 if name == "hof" else 8)) for name in ("hog", "hof", "mbhx", "mbhy")}
    for t, (frame, following) in enumerate(pairwise(grays)):
        field = solve(frame, following).astype(np.float64)
        x, y = (round(float(value)) for value in followed.points[row, t])
        x0, y0 = min(max(x - 16, 0), 112 - 32), min(max(y - 16, 0), 96 - 32)
        pairs = {
            "hog": slow_gradient(frame),
            "hof": (field[..., 0], field[..., 1]),
            "mbhx": slow_gradient(field[..., 0]),
            "mbhy": slow_gradient(field[..., 1]),
        }
        for name, pair in pairs.items():
            parts[name][t // 5] += slow_votes(*pair, x0, y0, 0.4 if name == "hof" else None)
    for name, sums in parts.items():
        flat = sums.reshape(-1)
        np.testing.assert_allclose(followed.channels[name][row], np.sqrt(flat / flat.sum()), atol=2e-3)
