"""Bars with intervals, for systems and for classes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import binomtest

from tubelet.errors import UsageError
from tubelet.reporting import Bar, class_accuracy, interval_bars, wilson_interval


@pytest.mark.parametrize(("right", "total"), [(0, 1), (0, 20), (8, 10), (20, 20), (365, 420)])
def test_wilson_interval_agrees_with_scipy(right: int, total: int) -> None:
    reference = binomtest(right, total).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, total) == pytest.approx((reference.low, reference.high), abs=1e-6)


def test_wilson_interval_of_nothing_is_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_bars_say_their_figures() -> None:
    figure = interval_bars(
        [Bar("3-D", 0.87, 0.84, 0.9, note="1.2 M"), Bar("frame", 0.11, published=0.163, strong=False)], chance=0.1
    )
    assert figure.alt == (
        "Bars: 3-D 87.0\u00a0% (interval 84.0\u00a0% to 90.0\u00a0%); frame 11.0\u00a0%, published 16.3\u00a0%; "
        "chance is 10.0\u00a0%."
    )
    for drawing in (figure.svg, figure.narrow_svg):
        assert drawing is not None
        for text in ("3-D", "1.2 M", "87.0\u00a0%", "published figure", "chance 10\u00a0%"):
            assert f">{text}<" in drawing.decode()


def test_long_names_take_two_lines_and_stay_apart() -> None:
    long = "network, mean of dense views of the videos"
    figure = interval_bars([Bar(f"{long} ({run})", 0.5, note="1 M") for run in ("first_run", "second_run")])
    assert figure.svg is not None
    assert figure.narrow_svg is not None
    for run in ("first_run", "second_run"):
        assert re.search(rf">[^<>…]*\({run}\)<", figure.svg.decode()), "whole, on its second line"
        assert f"({run})<" in figure.narrow_svg.decode()


def test_bars_without_chance_or_publication() -> None:
    figure = interval_bars([Bar("all", 1.0, 1.0, 1.0), Bar("none", 0.0)])
    assert figure.svg is not None
    assert b"published" not in figure.svg
    assert b"chance" not in figure.svg


@pytest.mark.parametrize("bars", [[], [Bar("percent", 87.0)], [Bar("a", 0.5, low=-0.1)]])
def test_bars_that_are_no_fractions_are_refused(bars: list[Bar]) -> None:
    with pytest.raises(UsageError):
        interval_bars(bars)


def test_class_bars_count() -> None:
    figure = class_accuracy([[3, 1, 0], [0, 4, 0], [0, 0, 0]], ["a", "b", "empty"], chance=1 / 3)
    assert figure.svg is not None
    for text in ("3 / 4", "4 / 4", "0 / 0", "empty"):
        assert f">{text}<".encode() in figure.svg
    assert figure.alt == "Bars of accuracy for 3 classes, from 75.0\u00a0% (a) to 100.0\u00a0% (b)."


def test_counts_that_are_not_independent_have_no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr("tubelet.reporting.class_bars.whisker", lambda axes, row, *ends: drawn.append(row))
    class_accuracy([[3, 1], [0, 4]], ["a", "b"], intervals=False)
    assert drawn == []
    class_accuracy([[3, 1], [0, 4]], ["a", "b"])
    assert set(drawn) == {0, 1}


@pytest.mark.parametrize(("k", "wide"), [(25, False), (61, True)])
def test_many_classes_stand_in_columns(k: int, wide: bool) -> None:
    figure = class_accuracy(np.eye(k, dtype=int) * 2, [f"class {i}" for i in range(k)])
    assert figure.wide is wide
    for drawing in (figure.svg, figure.narrow_svg):
        assert drawing is not None
        assert drawing.count(b">2 / 2<") == k
