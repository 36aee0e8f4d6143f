"""Bars of what one system gains over another in every class."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tubelet.errors import UsageError
from tubelet.reporting.class_differences import class_differences


def test_gains_come_first_and_counts_are_told() -> None:
    figure = class_differences([1, 3, 4, 0], [3, 3, 1, 0], [4, 4, 5, 0], ["jump", "run", "walk", "never"])
    assert figure.svg is not None
    text = figure.svg.decode()
    assert text.index(">jump<") < text.index(">run<") < text.index(">walk<")
    assert "1 → 3 of 4" in text
    assert ">never<" not in text, "a class without videos has no accuracy"
    assert figure.alt == (
        "Bars of the difference in 3 classes: 1 better (jump by 50 points), 1 worse (walk by 60 points)."
    )


def test_ticks_say_where_they_stand() -> None:
    figure = class_differences([0, 8], [8, 0], [100, 100], ["a", "b"])  # the axis goes to 10 points at least
    assert figure.svg is not None
    ticks = sorted({float(text) for text in re.findall(r">([+\u2212-]\d[\d.]*|0)<", figure.svg.decode())})
    steps = {round(b - a, 6) for a, b in pairwise(ticks)}
    assert len(ticks) > 4
    assert len(steps) == 1, "evenly spaced"


def test_of_many_classes_those_that_differ_most_are_drawn() -> None:
    labels = [f"class{index:02d}" for index in range(50)]
    figure = class_differences([0] * 50, list(range(50)), [100] * 50, labels, caption="Gain.")
    assert figure.svg is not None
    assert ">class49<" in figure.svg.decode()
    assert ">class09<" not in figure.svg.decode()
    assert figure.caption == "Gain. Of 50 classes the 40 that differ most."


def test_counts_that_do_not_fit_are_refused() -> None:
    for first, second, counts in (([1], [1, 1], [1, 1]), ([2, 0], [0, 0], [1, 1]), ([0, -1], [0, 0], [1, 1])):
        with pytest.raises(UsageError, match="counts by class do not fit"):
            class_differences(first, second, counts, ["a", "b"])
    with pytest.raises(UsageError, match="no class with videos"):
        class_differences([0], [0], [0], ["a"])
