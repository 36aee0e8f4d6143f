"""One level's points: where they begin, and which are thrown away, by fields that are given."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.tracks import ScaleTracks, joined, new_points

sys.path.insert(0, str(Path(__file__).parent))
from moving_textures import colored, noise

SETTINGS = IdtSettings(camera=None)
FRAME = np.ascontiguousarray(colored(noise(80, 100, seed=3))[..., 0])


def constant(x: float, y: float) -> np.ndarray:
    return np.broadcast_to(np.array([x, y], np.float32), (80, 100, 2)).copy()


def followed(fields: list, still: list | None = None):
    tracks = ScaleTracks(0, (1.0, 1.0), SETTINGS)
    tracks.sample(FRAME)
    found = [
        tracks.follow(FRAME, field, other, index)
        for index, (field, other) in enumerate(zip(fields, still or fields, strict=True))
    ]
    assert all(part is None for part in found[:-1])
    return joined([part for part in found if part is not None], SETTINGS)


def test_the_points_of_an_empty_frame_are_the_middles_of_squares() -> None:
    points = new_points(FRAME, np.zeros((0, 2), np.float32), SETTINGS)
    assert set(np.unique(points % 5)) == {2.0}
    assert len(points) == len({tuple(point) for point in points.tolist()}) == 16 * 20


def test_squares_that_hold_a_point_get_none() -> None:
    rng = np.random.default_rng(0)
    there = (rng.random((40, 2)) * np.array([99, 79])).astype(np.float32)
    taken = {(int(x // 5), int(y // 5)) for x, y in there.tolist()}
    points = new_points(FRAME, there, SETTINGS)
    squares = {(int(x // 5), int(y // 5)) for x, y in points.tolist()}
    assert squares == {(x, y) for x in range(20) for y in range(16)} - taken


def test_where_there_is_no_texture_nothing_is_sampled() -> None:
    half = FRAME.copy()
    half[:, 50:] = 128
    points = new_points(half, np.zeros((0, 2), np.float32), SETTINGS)
    assert points[:, 0].max() < 53
    assert len(new_points(np.full_like(FRAME, 90), np.zeros((0, 2), np.float32), SETTINGS)) == 0


def test_points_follow_the_field_and_leave_with_it() -> None:
    found = followed([constant(2, 0)] * 15)
    # 30 pixels to the right: those from x > 69 have left the frame of 100.
    assert found.points[:, 0, 0].max() == 67
    assert len(found) == 16 * 14
    np.testing.assert_allclose(found.points[:, -1] - found.points[:, 0], [[30, 0]] * len(found), atol=1e-4)


@pytest.mark.parametrize(("step", "kept"), [(0.9, False), (1.1, True)])
def test_slow_ones_are_the_background(step: float, kept: bool) -> None:
    assert bool(len(followed([constant(step, 0)] * 15))) is kept


def test_one_fast_step_is_enough_to_stay_and_most_of_the_way_too_much() -> None:
    slow, fast = constant(0.9, 0), constant(3, 0)
    assert len(followed([slow] * 14 + [fast]))  # 3 of 15.6 pixels
    jump = constant(33, 0)  # 33 of 45.6 pixels are 72 %
    assert not len(followed([slow] * 14 + [jump]))
    assert len(followed([slow] * 14 + [constant(25, 0)]))  # 25 of 37.6 are 66 %


def test_what_moves_with_the_camera_alone_is_left_out() -> None:
    moving = [constant(2, 0)] * 15
    assert not len(followed(moving, [constant(0.5, 0)] * 15))
    kept = followed(moving, [constant(0, 1.5)] * 15)
    assert len(kept)
    # Shape and HOF are of the motion that is left.
    np.testing.assert_allclose(kept.channels["shape"], np.tile([0, 1 / 15], (len(kept), 15)), atol=1e-6)
    assert (kept.channels["hof"].reshape(-1, 12, 9)[:, :, 2] > 0.28).all()


def test_a_level_counts_in_the_pixels_of_the_video() -> None:
    tracks = ScaleTracks(2, (2.0, 2.0), SETTINGS)
    tracks.sample(FRAME)
    for index in range(15):
        found = tracks.follow(FRAME, constant(2, 0), constant(2, 0), index)
    assert found is not None
    assert set(found.scale.tolist()) == {2}
    # The middle of pixel 2 at half size lies between pixels 4 and 5.
    assert found.points[:, 0].min() == 4.5
    np.testing.assert_allclose(found.points[:, -1] - found.points[:, 0], [[60, 0]] * len(found), atol=1e-4)
