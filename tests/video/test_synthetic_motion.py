"""Only the order of frames tells a class from its reverse: the state's distribution, exactly and by test.

The distribution tests draw with fixed seeds, so they pass or fail for good; their thresholds are
Bonferroni's: one percent over all tests of a function.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tubelet.errors import UsageError
from tubelet.provenance import derive_seed
from tubelet.video.synthetic import (
    MOTION_CLASSES,
    REVERSED,
    TURN,
    Difficulty,
    Motion,
    draw_motion,
)

PER_CLASS = 400
FRAMES = (0, 7, 15, 23)
COORDINATES = ("x", "y", "size", "angle")


@pytest.fixture(scope="module")
def states() -> dict[str, np.ndarray]:
    """Class → (400, 24, 4) int64 states, each video with a seed of its own as in a data set."""
    return {
        label: np.stack([draw_motion(label, derive_seed(11, label, n)).states(24) for n in range(PER_CLASS)])
        for label in MOTION_CLASSES
    }


def test_ten_classes_in_five_pairs() -> None:
    assert len(MOTION_CLASSES) == len(set(MOTION_CLASSES)) == 10
    assert {frozenset(pair) for pair in REVERSED.items()} == {
        frozenset(pair)
        for pair in (
            ("left", "right"),
            ("up", "down"),
            ("clockwise", "counterclockwise"),
            ("grow", "shrink"),
            ("up_right", "down_left"),
        )
    }


def test_every_coordinate_is_uniform_at_every_frame_in_every_class(states: dict[str, np.ndarray]) -> None:
    worst = min(
        stats.kstest((states[label][:, frame, axis] + 0.5) / TURN, "uniform").pvalue
        for label in MOTION_CLASSES
        for frame in FRAMES
        for axis in range(4)
    )
    assert worst > 0.01 / (len(MOTION_CLASSES) * len(FRAMES) * 4)


def test_coordinates_are_independent_at_every_frame_in_every_class(states: dict[str, np.ndarray]) -> None:
    pairs = [(a, b) for a in range(4) for b in range(a)]
    worst = 1.0
    for label in MOTION_CLASSES:
        for frame in FRAMES:
            quarter = states[label][:, frame] // (TURN // 4)
            for a, b in pairs:
                table = np.zeros((4, 4))
                np.add.at(table, (quarter[:, a], quarter[:, b]), 1)
                worst = min(worst, stats.chisquare(table.ravel()).pvalue)
    assert worst > 0.01 / (len(MOTION_CLASSES) * len(FRAMES) * len(pairs))


def test_a_class_and_its_reverse_move_at_the_same_speeds(states: dict[str, np.ndarray]) -> None:
    pairs = {tuple(sorted(pair)) for pair in REVERSED.items()}
    for one, other in pairs:
        speed = []
        for label in (one, other):
            step = (states[label][:, 1] - states[label][:, 0] + TURN // 2) % TURN - TURN // 2
            speed.append(np.abs(step).max(axis=1))
        assert stats.ks_2samp(*speed).pvalue > 0.01 / len(pairs)


@given(
    start=st.tuples(*[st.integers(0, TURN - 1)] * 4),
    step=st.tuples(*[st.integers(-TURN // 4, TURN // 4)] * 4),
    count=st.integers(1, 60),
)
def test_reversing_is_exact_and_undoes_itself(
    start: tuple[int, int, int, int], step: tuple[int, int, int, int], count: int
) -> None:
    motion = Motion(start, step)
    backward = motion.reversed(count)
    np.testing.assert_array_equal(backward.states(count), motion.states(count)[::-1])
    assert backward.reversed(count) == motion
    # A frame's state is the first one shifted by a constant, a bijection of the torus: uniform stays uniform.
    expected = [[(s + t * d) % TURN for s, d in zip(start, step, strict=True)] for t in range(count)]
    np.testing.assert_array_equal(motion.states(count), expected)


@pytest.mark.parametrize("label", MOTION_CLASSES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_reversed_video_is_a_draw_of_the_other_class(label: str, seed: int) -> None:
    motion, other = draw_motion(label, seed), draw_motion(REVERSED[label], seed)
    backward = motion.reversed(24)
    # With one seed both classes start from the same state at the same speed, in opposite directions …
    assert other.start == motion.start
    assert other.step == backward.step == tuple(-d for d in motion.step)
    # … so one walked backward is the other class's walk from another start, and starts are uniform.
    assert backward == Motion(backward.start, other.step)
    ahead, back = motion.trajectory(), backward.trajectory()
    for name in ("x", "y", "size", "angle", "visibility"):
        np.testing.assert_array_equal(getattr(back, name), getattr(ahead, name)[::-1])


@pytest.mark.parametrize(
    ("label", "axis", "sign"),
    [
        ("left", "x", -1),
        ("right", "x", 1),
        ("up", "y", -1),
        ("down", "y", 1),
        ("clockwise", "angle", 1),
        ("counterclockwise", "angle", -1),
        ("grow", "size", 1),
        ("shrink", "size", -1),
    ],
)
def test_directions_and_speeds_are_what_the_names_say(label: str, axis: str, sign: int) -> None:
    difficulty = Difficulty()
    period = {"x": 64.0, "y": 64.0, "angle": 2 * math.pi, "size": math.log(2)}[axis]
    least, most = {
        "x": (0.375 * 64, 0.875 * 64),
        "y": (0.375 * 64, 0.875 * 64),
        "angle": (math.radians(90), math.radians(200)),
        "size": (math.log(1.6), math.log(2)),
    }[axis]
    passed = []
    for seed in range(60):
        path = draw_motion(label, seed, difficulty).trajectory(difficulty)
        for name in {"x", "y", "size", "angle"} - {axis}:
            assert len(np.unique(getattr(path, name))) == 1
        values = np.log(path.size) if axis == "size" else getattr(path, axis)
        step = (np.diff(values) + period / 2) % period - period / 2
        np.testing.assert_allclose(step, step[0], atol=1e-9)
        passed.append(sign * step[0] * 16)
    tolerance = 16 * period / TURN
    assert least - tolerance <= min(passed) < max(passed) <= most + tolerance
    assert max(passed) - min(passed) > 0.8 * (most - least)


def test_diagonals_cover_the_same_way_as_straight_lines() -> None:
    for label, signs in (("up_right", (1, -1)), ("down_left", (-1, 1))):
        motion = draw_motion(label, 5)
        straight = draw_motion("right", 5).step[0]
        assert np.sign(motion.step[:2]).tolist() == list(signs)
        assert motion.step[2:] == (0, 0)
        assert math.hypot(*motion.step[:2]) == pytest.approx(straight, rel=1e-4)


def test_ground_truth_stays_in_its_ranges() -> None:
    difficulty = Difficulty(frames=100)
    for label in MOTION_CLASSES:
        path = draw_motion(label, 3, difficulty).trajectory(difficulty)
        assert len(path) == 100
        for values, low, high in (
            (path.x, 0, 64),
            (path.y, 0, 64),
            (path.angle, 0, 2 * math.pi),
            (path.size, 11, 22),
        ):
            assert values.min() >= low
            assert values.max() < high + 1e-12
        assert (path.visibility == 1).all()


def test_draws_depend_on_the_seed_alone() -> None:
    assert draw_motion("left", 8) == draw_motion("left", 8)
    assert draw_motion("left", 8) != draw_motion("left", 9)


def test_unknown_class() -> None:
    with pytest.raises(UsageError, match="counterclockwise"):
        draw_motion("sideways", 0)


def test_difficulty_is_printed_and_survives_json() -> None:
    difficulty = Difficulty(travel=(0.2, 0.3))
    assert Difficulty.from_dict(difficulty.to_dict()) == difficulty
    text = difficulty.describe()
    for said in ("64×64", "25 fps", "24 frames", "0.2–0.3", "90–200°", "×1.6–2", "11–22 px", "2 distractors"):
        assert said in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"radius_px": (11.0, 40.0)},
        {"radius_px": (12.0, 12.0)},
        {"distractor_radius_px": (0.0, 5.0)},
        {"frames": 0},
        {"travel": (0.5, 0.4)},
        {"scale_factor": (1.0, 2.0)},
    ],
)
def test_a_difficulty_that_cannot_be_drawn_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Difficulty(**wrong)  # type: ignore[arg-type]
