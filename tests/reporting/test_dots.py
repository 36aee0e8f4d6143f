"""Variants of one figure as dots with intervals."""

from __future__ import annotations

import re

import pytest

from tubelet.errors import UsageError
from tubelet.reporting.dots import Dot, interval_dots

DOTS = [
    Dot("color order", "BGR", 0.819, 0.8, 0.84, strong=True),
    Dot("mean", "<b>none</b>", 0.6, 0.5, 0.7),
    Dot("split", "the training part", 0.99, 0.98, 1.0, hollow=True),
]


def test_dots_say_their_figures() -> None:
    figure = interval_dots(DOTS, base=(0.676, 0.65, 0.69), expected=0.823)
    assert figure.alt.startswith(
        "Dots of variants: ours 67.6\u00a0%, expected 82.3\u00a0%; color order, BGR 81.9\u00a0% (80.0\u00a0% to "
    )
    for drawing in (figure.svg, figure.narrow_svg):
        assert drawing is not None
        for text in ("color order", "BGR", "81.9\u00a0%", "ours 67.6\u00a0%", "expected 82.3\u00a0%", "&lt;b&gt;none"):
            assert text in drawing.decode()


def test_names_of_lines_that_are_near_to_each_other_do_not_overlap() -> None:
    heights = []
    for expected in (0.68, 0.95):
        svg = interval_dots(DOTS, base=(0.676, 0.65, 0.69), expected=expected).svg
        assert svg is not None
        lines = [line for line in svg.decode().splitlines() if ">ours" in line or ">expected" in line]
        heights.append(len({found[1] for line in lines if (found := re.search(r' y="([\d.]+)"', line))}))
    assert heights == [2, 1]


def test_names_that_are_moved_inwards_at_the_end_of_the_axis_do_not_overlap() -> None:
    """67 % and 100 % are far enough apart, but the name of 100 % is moved towards the other."""
    figure = interval_dots(DOTS, base=(0.667, 0.6, 0.7), expected=1.0)
    assert figure.narrow_svg is not None
    lines = [line for line in figure.narrow_svg.decode().splitlines() if ">ours" in line or ">expected" in line]
    assert len({found[1] for line in lines if (found := re.search(r' y="([\d.]+)"', line))}) == 2


@pytest.mark.parametrize("dots", [[], [Dot("a", "percent", 87.0, 0.1, 0.2)], [Dot("a", "low", 0.5, -0.1, 0.6)]])
def test_dots_that_are_no_fractions_are_refused(dots: list[Dot]) -> None:
    with pytest.raises(UsageError):
        interval_dots(dots, base=(0.5, 0.4, 0.6), expected=0.5)
    with pytest.raises(UsageError):
        interval_dots(DOTS, base=(0.5, 0.4, 0.6), expected=50)
