"""Dots on a logarithmic axis: where they are drawn, and what a reader who cannot see them is told."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.reporting.log_dots import LEAST, DotRow, log_dots
from tubelet.reporting.style import ACCENT, BAD


def marks(svg: bytes, color: str) -> list[float]:
    """x of the dots of a color, from the drawing's own marks."""
    return [float(x) for x in re.findall(rf'<use [^>]*x="([\d.]+)"[^>]*style="fill: {color}', svg.decode())]


def test_dots_lie_by_their_powers_of_ten() -> None:
    figure = log_dots([DotRow("fc6", [1e-6, 1e-4, 1e-2], [False, False, True])], limit=1e-3, title="t")
    assert figure.svg is not None
    right, wrong = marks(figure.svg, ACCENT.light), marks(figure.svg, BAD.light)
    assert (len(right), len(wrong)) == (2, 1)
    assert right[1] - right[0] == pytest.approx(wrong[0] - right[1], rel=1e-3)  # two decades each


def test_what_is_too_small_or_infinite_lies_at_the_edges() -> None:
    figure = log_dots([DotRow("a", [0.0, LEAST / 100, LEAST, 1.0, np.inf])])
    assert figure.svg is not None
    x = marks(figure.svg, ACCENT.light)
    assert x[0] == x[1] == x[2] < x[3] == x[4]


def test_the_words_say_what_is_drawn() -> None:
    figure = log_dots([DotRow("fc6", [1e-3, 1e-5, 1e-4]), DotRow("p <b>", [2.0])], limit=1e-2)
    assert "fc6: 3 values, median 1.0e-04, largest 1.0e-03" in figure.alt
    assert "allowed is 1.0e-02" in figure.alt
    assert figure.narrow_svg is not None
    assert figure.png.startswith(b"\x89PNG")


@pytest.mark.parametrize("rows", [[], [DotRow("a", [])], [DotRow("a", [-1.0])], [DotRow("a", [np.nan])]])
def test_nothing_and_nonsense_are_refused(rows: list[DotRow]) -> None:
    with pytest.raises(UsageError):
        log_dots(rows)
