"""Trajectories of textures whose motion is known, and descriptors against loops over pixels."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from tubelet.baselines.idt import trajectories as module
from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.trajectories import all_trajectories, level_sizes, trajectories
from tubelet.errors import UsageError
from tubelet.flow.algorithms import Farneback
from tubelet.flow.camera import Camera
from tubelet.flow.estimate import gray

sys.path.insert(0, str(Path(__file__).parent))
from moving_textures import filmed, object_in_front, panning, world

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


@pytest.mark.parametrize(("step", "without"), [((3, 1), 500), ((6, 0), 500), ((1, 2), 500), ((9, 4), 150)])
def test_pure_camera_motion_leaves_nothing(step: tuple[int, int], without: int) -> None:
    frames = panning(17, step, 120, 160)
    assert len(all_trajectories(frames, PLAIN)) > without
    assert len(all_trajectories(frames, IdtSettings())) == 0


@pytest.fixture(scope="module")
def picture():
    return world()


@pytest.mark.parametrize("motion", [{"step": (1.3, 0.4)}, {"turn": 1.5}, {"zoom": 1.02}], ids=["pan", "turn", "zoom"])
def test_no_whole_pixels_grain_and_edges_leave_at_most_a_twentieth(picture, motion: dict) -> None:
    frames = filmed(17, picture, **motion)
    without = len(all_trajectories(frames, PLAIN))
    assert without > 400
    assert len(all_trajectories(frames, IdtSettings())) <= without / 20


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


# A pan that is not the frames', with a little of everything else that a homography can do.
CAMERA = np.array([[1.004, -0.006, -1.1], [0.005, 0.997, 0.8], [2e-5, -1e-5, 1.0]])


@pytest.fixture(scope="module")
def followed_by_camera(diagonal: list):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "estimate_camera", lambda *given: Camera(CAMERA, 100, 100, found=True))
        return all_trajectories(diagonal, IdtSettings())


def slow_warp(first, second, across: float, down: float):
    """The second frame of a level as the camera of the first would have seen it: every pixel's middle is taken to the
    video's pixels, moved there by the camera, and taken back; bilinear in float64."""
    height, width = first.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    place = np.tensordot(CAMERA, np.stack([(x + 0.5) / across - 0.5, (y + 0.5) / down - 0.5, np.ones_like(x)]), 1)
    u, v = (place[0] / place[2] + 0.5) * across - 0.5, (place[1] / place[2] + 0.5) * down - 0.5
    inside = (u >= 5) & (u <= width - 6) & (v >= 5) & (v <= height - 6)  # the margin that warping does not trust
    left, top = np.where(inside, u, 0).astype(int), np.where(inside, v, 0).astype(int)
    a, b, values = u - left, v - top, second.astype(np.float64)
    upper = (1 - a) * values[top, left] + a * values[top, left + 1]
    lower = (1 - a) * values[top + 1, left] + a * values[top + 1, left + 1]
    return np.where(inside, (1 - b) * upper + b * lower, first).round().astype(np.uint8)


def median_at(field, x: float, y: float):
    """The median of each part over the 3 x 3 pixels around the nearest one."""
    column, row = round(x), round(y)
    around = np.pad(field, ((1, 1), (1, 1), (0, 0)), mode="edge")[row : row + 3, column : column + 3]
    return np.median(around.reshape(9, 2), axis=0)


@pytest.fixture(scope="module")
def slow_fields(diagonal: list) -> dict:
    """By level: the frames, flow, and flow without the camera."""
    solve = Farneback().solver()
    whole = [gray(frame) for frame in diagonal]
    found = {}
    for level, (height, width) in ((0, (96, 112)), (1, (68, 79)), (2, (48, 56))):
        frames = whole = [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in whole]
        pairs = list(pairwise(frames))
        scales = width / 112, height / 96
        found[level] = (
            frames,
            [solve(*pair).astype(np.float64) for pair in pairs],
            [solve(first, slow_warp(first, second, *scales)).astype(np.float64) for first, second in pairs],
            scales,
        )
    return found


@pytest.mark.parametrize(("level", "first"), [(0, 0), (0, 2), (1, 0), (1, 2), (2, 0)])
def test_flow_without_a_given_camera_equals_loops_over_pixels(
    slow_fields: dict, followed_by_camera, level: int, first: int
) -> None:
    here = np.flatnonzero((followed_by_camera.scale == level) & (followed_by_camera.first_frame == first))
    frames, fields, stills, scales = slow_fields[level]
    row = here[len(here) // 2]
    x, y = (followed_by_camera.points[row, 0].astype(np.float64) + 0.5) * scales - 0.5
    way, steps = [(x, y)], []
    parts = {name: np.zeros((3, 4, 9 if name == "hof" else 8)) for name in ("hof", "mbhx", "mbhy")}
    height, width = frames[0].shape
    for t in range(15):
        field, still = fields[first + t], stills[first + t]
        x0, y0 = min(max(round(x) - 16, 0), width - 32), min(max(round(y) - 16, 0), height - 32)
        pairs = {
            "hof": (still[..., 0], still[..., 1]),
            "mbhx": slow_gradient(still[..., 0]),
            "mbhy": slow_gradient(still[..., 1]),
        }
        for name, pair in pairs.items():
            parts[name][t // 5] += slow_votes(*pair, x0, y0, 0.4 if name == "hof" else None)
        steps.append(median_at(still, x, y))
        dx, dy = median_at(field, x, y)
        x, y = x + dx, y + dy
        way.append((x, y))
    points = (np.array(way) + 0.5) / scales - 0.5
    np.testing.assert_allclose(followed_by_camera.points[row], points, atol=1e-3)
    shape = np.array(steps) / np.linalg.norm(steps, axis=1).sum()
    np.testing.assert_allclose(followed_by_camera.channels["shape"][row], shape.ravel(), atol=1e-4)
    for name, sums in parts.items():
        flat = sums.reshape(-1)
        np.testing.assert_allclose(followed_by_camera.channels[name][row], np.sqrt(flat / flat.sum()), atol=5e-4)
