"""Differences of two systems, of the same videos and of others, against formulas and other resampling."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.protocols.answers import Answers, difference_interval, figure_interval
from tubelet.protocols.bootstrap import paired_interval
from tubelet.protocols.diagnosis import Expected, diagnose
from tubelet.protocols.result import Result


def answers(right: list[bool] | np.ndarray, first: int = 0, labels: str = "a", groups: int = 1) -> Answers:
    n = len(right)
    ids = tuple(f"v{number:04d}" for number in range(first, first + n))
    return Answers(
        ids,
        tuple(labels[number % len(labels)] for number in range(n)),
        tuple(f"g{number // groups}" for number in range(first, first + n)),
        np.asarray(right, dtype=np.bool_),
    )


def test_the_same_videos_are_paired() -> None:
    rng = np.random.default_rng(0)
    first, second = answers(rng.random(80) < 0.5), answers(rng.random(80) < 0.7)
    found = difference_interval(first, second, level=0.9)
    expected = paired_interval(first.right, second.right, first.groups, draws=10_000, level=0.9)
    assert found == expected


def test_of_other_videos_the_variances_add_up() -> None:
    rng = np.random.default_rng(1)
    first, second = answers(rng.random(400) < 0.4), answers(rng.random(600) < 0.8, first=400)
    p, q = first.right.mean(), second.right.mean()
    reach = 1.959964 * np.sqrt(p * (1 - p) / 400 + q * (1 - q) / 600)
    found = difference_interval(first, second)
    assert (found.low, found.high) == pytest.approx((q - p - reach, q - p + reach), abs=0.006)
    assert found.n_units == 1000


def test_videos_of_both_are_drawn_for_both() -> None:
    """A half of a set against the whole: the common half cancels, so the interval is narrower than of two sets."""
    rng = np.random.default_rng(2)
    right = rng.random(400) < 0.5
    whole, half = answers(right), answers(right[:200])
    found = difference_interval(whole, half)
    # half - whole = (half - other half) / 2, of two independent halves.
    p, q = right[:200].mean(), right[200:].mean()
    reach = 1.959964 / 2 * np.sqrt(p * (1 - p) / 200 + q * (1 - q) / 200)
    middle = (p - q) / 2
    assert (found.low, found.high) == pytest.approx((middle - reach, middle + reach), abs=0.006)


def test_means_over_classes_count_each_class_alike() -> None:
    first = answers([True, False] * 100, labels="ab")
    second = answers([True, True] * 100, first=200, labels="ab")
    found = difference_interval(first, second, over_classes=True)
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.5)
    value, _ = figure_interval(answers([True] * 3 + [False], labels="aaab"), over_classes=True)
    assert value == 0.5


def test_two_systems_without_any_spread_have_an_interval() -> None:
    """Every video wrong, and every other one right: exact intervals, not a difference that is sure."""
    found = difference_interval(answers([False] * 30), answers([True] * 30, first=30))
    end = 0.025 ** (1 / 30)  # p^30 = 0.025
    assert (found.method, found.high) == ("exact binomial", 1.0)
    assert found.low == pytest.approx(end - (1 - end))


def test_a_part_that_is_easier_than_the_whole_does_not_flatter_a_variant() -> None:
    """Ours is right on 50 of 100, of the part scored again on 30 of 40; the variant is right where ours is not."""
    base = answers([True] * 30 + [False] * 10)
    variant = answers([False] * 30 + [True] * 10)
    result = Result("test", "accuracy", 0.5, 100, figure_interval(answers([True, False] * 50))[1])
    (tried,) = diagnose(result, base, [("mean", "opposite", variant)], Expected(0.5, "arithmetic")).tried
    # On the part it is right on 10 of 40, on all it is right where ours is wrong: on 50 of 100.
    assert tried.value == pytest.approx(0.5)
    assert tried.difference == pytest.approx(0.0)
    alike = diagnose(result, base, [("mean", "the same", base)], Expected(0.5, "arithmetic")).tried[0]
    assert (alike.value, alike.difference, alike.moves) == (pytest.approx(0.5), pytest.approx(0.0), 0)
