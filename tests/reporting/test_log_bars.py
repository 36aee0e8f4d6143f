"""Bars on a logarithmic axis: their lengths, and what a reader who cannot see them is told."""

from __future__ import annotations

import re

import pytest

from tubelet.errors import UsageError
from tubelet.reporting.bars import Bar
from tubelet.reporting.log_bars import log_bars
from tubelet.reporting.style import ACCENT


def lengths(svg: bytes) -> list[float]:
    """Widths of the bars in the accent color, from the drawing's own paths."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: {ACCENT.light}', svg.decode())
    found = [[float(x) for x in re.findall(r"[ML] ([\d.]+)", path)] for path in paths]
    return [max(xs) - min(xs) for xs in found]


def test_ten_times_as_much_is_one_step_longer() -> None:
    figure = log_bars([Bar("a", 2.0), Bar("b", 20.0), Bar("c", 200.0)], unit="frames/s", title="t")
    assert figure.svg is not None
    a, b, c = lengths(figure.svg)
    assert b - a == pytest.approx(c - b, rel=1e-3)
    assert a / (b - a) == pytest.approx(0.30103, rel=1e-2)  # from 1 to 2: log10(2) of a step


def test_words_and_diamonds() -> None:
    figure = log_bars(
        [Bar("c3d", 15.1, 14.0, 16.0, 313.0, "paper: 313"), Bar("iDT <b>", 4.6)],
        unit="frames/s", published_name="the paper's", title="t",
    )  # fmt: skip
    assert figure.alt == (
        "Bars on a logarithmic axis: c3d 15.1 frames/s (from 14 to 16), the paper's 313; iDT <b> 4.6 frames/s."
    )
    for svg in (figure.svg, figure.narrow_svg):
        assert svg is not None
        for words in ("paper: 313", "the paper", "1,000"):
            assert words in svg.decode()
    assert "the paper" not in (log_bars([Bar("a", 1.0)], unit="u", title="t").svg or b"").decode()


@pytest.mark.parametrize("bars", [[], [Bar("a", 0.0)], [Bar("a", 1.0, -1.0, 2.0)], [Bar("a", float("inf"))]])
def test_nothing_and_nonsense_are_refused(bars: list[Bar]) -> None:
    with pytest.raises(UsageError):
        log_bars(bars, unit="u", title="t")
