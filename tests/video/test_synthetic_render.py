"""The pictures: right outlines (against OpenCV), soft edges, wrapping, and equal looks in all classes."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from scipy import stats

from tubelet.provenance import derive_seed
from tubelet.video import synthetic_render
from tubelet.video.synthetic import (
    MOTION_CLASSES,
    REVERSED,
    SHAPES,
    TEXTURES,
    Difficulty,
    Scene,
    Thing,
    Trajectory,
    draw_motion,
    draw_scene,
    render,
    visible_area,
)


def still(x: float, y: float, size: float, angle: float, side: int = 64) -> Trajectory:
    """One frame of an object."""
    return Trajectory(
        x=np.array([x]),
        y=np.array([y]),
        size=np.array([size]),
        angle=np.array([angle]),
        visibility=np.ones(1),
        side=side,
    )


def white_on_black(shape: str, pattern: str = "solid", side: int = 64) -> Scene:
    """A scene whose picture is the object's mask."""
    thing = Thing(shape, pattern, ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), phase=0.25)
    return Scene(thing, 0, np.zeros((side, side, 3), np.float32))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.4, 4.0])
def test_outlines_are_those_of_filled_polygons(shape: str, angle: float) -> None:
    x, y, radius = 31.3, 33.8, 19.0
    picture = render(white_on_black(shape), still(x, y, radius, angle))[0, :, :, 0] / 255
    # OpenCV fills them at 16 times the resolution; where y points down, the usual rotation matrix turns
    # clockwise on the screen.
    fine = np.zeros((64 * 16, 64 * 16), np.uint8)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    for corners in synthetic_render._SHAPES[shape]:
        points = np.array(corners) @ turn.T * radius + (x, y)
        cv2.fillPoly(fine, [np.round(points * 16 - 0.5).astype(np.int32)], 1)
    expected = fine.reshape(64, 16, 64, 16).mean(axis=(1, 3))
    assert np.abs(picture - expected).max() < 0.35  # a corner's pixel
    assert np.abs(picture - expected).mean() < 0.004
    assert visible_area(white_on_black(shape), still(x, y, radius, angle))[0] == pytest.approx(expected.sum(), rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_looks_the_same_after_a_part_of_a_turn(shape: str) -> None:
    area = visible_area(white_on_black(shape), still(32, 32, 16, 0.0))[0]
    pictures = np.stack(
        [render(white_on_black(shape), still(32, 32, 16, 2 * math.pi * k / 64))[0, :, :, 0] / 255 for k in range(64)]
    )
    changed = np.abs(pictures[1:] - pictures[0]).sum(axis=(1, 2)) / area
    assert changed[[0, -1]].min() > 0.04  # 5.6 degrees, as slow as a turn in a video gets per frame
    assert changed[3:-3].min() > 0.15  # up to a whole turn


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_fit_their_circle(shape: str) -> None:
    corners = np.concatenate([np.array(part) for part in synthetic_render._SHAPES[shape]])
    assert 0.85 < np.hypot(*corners.T).max() <= 1.005


@pytest.mark.parametrize("pattern", ["solid", "stripes", "checker", "dots", "rings"])
def test_objects_wrap_around_the_borders(pattern: str) -> None:
    scene = white_on_black("arrow", pattern)
    middle = render(scene, still(32, 32, 20, 1.1))
    corner = render(scene, still(0, 0, 20, 1.1))
    np.testing.assert_array_equal(np.roll(middle, (32, 32), axis=(1, 2)), corner)
    assert visible_area(scene, still(0, 63.9, 22, 2.0))[0] == pytest.approx(
        visible_area(scene, still(32, 31.9, 22, 2.0))[0], rel=1e-5
    )


@pytest.mark.parametrize("pattern", ["stripes", "checker", "dots", "rings"])
def test_patterns_show_both_colors_at_every_size(pattern: str) -> None:
    for radius in (11, 16, 22):
        scene = white_on_black("shield", pattern)
        state = still(32, 32, radius, 0.3)
        picture = render(scene, state)[0, :, :, 0] / 255
        ground = picture.sum() / visible_area(scene, state)[0]
        assert 0.3 < ground < 0.8
        inner = picture[28:37, 28:37]
        assert inner.max() > 0.9
        assert inner.min() < 0.1


def test_motion_is_subpixel_and_smooth() -> None:
    scene = white_on_black("kite")
    pictures = [render(scene, still(30 + k / 8, 32, 15, 0.0))[0].astype(float) for k in range(9)]
    np.testing.assert_array_equal(pictures[8], np.roll(pictures[0], 1, axis=1))
    steps = [np.abs(b - a).sum() for a, b in itertools.pairwise(pictures)]
    assert max(steps) < 1.5 * min(steps)


@pytest.mark.parametrize("label", MOTION_CLASSES)
def test_a_reversed_motion_has_the_same_pictures_in_reverse(label: str) -> None:
    for seed in range(6):
        scene, motion = draw_scene(seed), draw_motion(label, seed)
        ahead = render(scene, motion.trajectory())
        back = render(scene, motion.reversed(24).trajectory())
        np.testing.assert_array_equal(back[::-1], ahead)
        # Anything a network without order can pool over time is therefore the same for both.
        assert (np.diff(ahead.astype(int), axis=0) != 0).any(axis=(1, 2, 3)).all()


def test_the_same_frame_in_both_classes_of_a_pair() -> None:
    for label in MOTION_CLASSES:
        ahead = render(draw_scene(4), draw_motion(label, 4).trajectory())
        other = render(draw_scene(4), draw_motion(REVERSED[label], 4).trajectory())
        np.testing.assert_array_equal(ahead[0], other[0])
        assert (ahead[8] != other[8]).any()


def test_visible_area_and_texture_have_the_same_distribution_in_all_classes() -> None:
    difficulty = Difficulty()
    areas, textures = [], []
    for label in MOTION_CLASSES:
        rows, counts = [], np.zeros(len(TEXTURES))
        for number in range(120):
            seed = derive_seed(5, label, number)
            scene = draw_scene(seed, difficulty)
            path = draw_motion(label, seed, difficulty).trajectory(difficulty)
            some = [0, 15, 23]
            part = Trajectory(
                x=path.x[some],
                y=path.y[some],
                size=path.size[some],
                angle=path.angle[some],
                visibility=path.visibility[some],
                side=path.side,
            )
            rows.append(visible_area(scene, part))
            counts[scene.texture] += 1
        areas.append(np.array(rows))
        textures.append(counts)
    tests = [
        stats.ks_2samp(one[:, k], np.concatenate([a[:, k] for a in areas if a is not one])).pvalue
        for one in areas
        for k in range(3)
    ]
    assert min(tests) > 0.01 / len(tests)
    # Frame by frame: an average over frames may tell growing from moving, only not growing from shrinking.
    assert min(stats.kruskal(*(a[:, k] for a in areas)).pvalue for k in range(3)) > 0.01 / 3
    assert stats.chi2_contingency(np.array(textures)).pvalue > 0.01
    assert stats.chisquare(np.sum(textures, axis=0)).pvalue > 0.01


def test_the_object_stands_out_by_its_color() -> None:
    for seed in range(20):
        scene = draw_scene(seed)
        spread = scene.background.max(axis=2) - scene.background.min(axis=2)
        assert spread.max() < 0.3  # background and distractors are nearly gray
        red, _, blue = scene.thing.colors[0]
        assert (red > blue) == TEXTURES[scene.texture].startswith("warm")
        assert abs(red - blue) > 0.3


def test_scenes_depend_on_the_seed_alone() -> None:
    np.testing.assert_array_equal(draw_scene(3).background, draw_scene(3).background)
    assert draw_scene(3).thing == draw_scene(3).thing
    assert (draw_scene(3).background != draw_scene(4).background).any()
    assert len(TEXTURES) == len(set(TEXTURES)) == 10


def test_other_sizes_and_no_distractors() -> None:
    difficulty = Difficulty(side=96, frames=5, radius_px=(12.0, 46.0), distractors=0)
    frames = render(draw_scene(1, difficulty), draw_motion("grow", 1, difficulty).trajectory(difficulty))
    assert frames.shape == (5, 96, 96, 3)
    assert frames.dtype == np.uint8
