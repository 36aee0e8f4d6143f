"""Curves over sizes: where points lie, which are ringed, and what a reader who cannot see them is told."""

from __future__ import annotations

import re

import pytest

from tubelet.errors import UsageError
from tubelet.reporting.size_curves import SizeLine, SizePoint, size_curves
from tubelet.reporting.style import SERIES


def test_sizes_lie_by_their_logarithms() -> None:
    points = tuple(SizePoint(size, 0.5, 0.4, 0.6, chosen=size == 100) for size in (10, 100, 1000))
    dashed = SizeLine("c3d, int8", (SizePoint(10, 0.3), SizePoint(1000, 0.4)), dashed=True)
    figure = size_curves([SizeLine("c3d <b>", points), dashed], axis="numbers", chance=0.1, title="t", caption="c")
    assert figure.svg is not None
    assert figure.narrow_svg is not None
    svg = figure.svg.decode()
    marks = re.findall(rf'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: {SERIES[0].light}', svg)
    x = [float(one) for one, _ in marks[:3]]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], rel=1e-3)
    assert len({y for _, y in marks[:3]}) == 1
    for words in ("c3d &lt;b&gt;", "c3d, int8", "chosen", "chance", "1,000", "numbers"):
        assert words in svg
    assert figure.alt == (
        "Accuracy over numbers. c3d <b>: 50.0 % at 10, 50.0 % at 100 (chosen), 50.0 % at 1,000; "
        "c3d, int8: 30.0 % at 10, 40.0 % at 1,000."
    ).replace(" %", "\u00a0%")


def test_a_line_below_another_is_wider() -> None:
    def widths(*values: tuple[float, ...]) -> list[float]:
        lines = [
            SizeLine(f"line {place}", tuple(SizePoint(10.0**at, one) for at, one in enumerate(each)), place)
            for place, each in enumerate(values)
        ]
        svg = size_curves(lines, axis="numbers").svg
        assert svg is not None
        found = []
        for place in range(len(values)):
            strokes = re.findall(rf"fill: none; stroke: {SERIES[place].light}; stroke-width: ([\d.]+)", svg.decode())
            found.append(max(map(float, strokes)))
        return found

    plain = widths((0.2, 0.5, 0.9), (0.3, 0.6, 0.8))
    assert plain[0] == plain[1]
    shared = widths((0.2, 0.5, 0.9), (0.2, 0.5, 0.8), (0.3, 0.7, 0.9))
    assert shared[0] > 2 * shared[1]
    assert shared[1:] == [plain[0], plain[0]], "one point in common is a crossing"
    assert widths((0.2, 0.5), (0.2, 0.5), (0.2, 0.5))[0] > shared[0]


@pytest.mark.parametrize(
    "lines",
    [[], [SizeLine("a", ())], [SizeLine("a", (SizePoint(0, 0.5),))], [SizeLine("a", (SizePoint(1, 1.5),))],
     [SizeLine("a", (SizePoint(1, float("nan")),))]],
)  # fmt: skip
def test_nothing_and_nonsense_are_refused(lines: list[SizeLine]) -> None:
    with pytest.raises(UsageError):
        size_curves(lines, axis="bytes")
