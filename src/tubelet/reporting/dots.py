"""Many variants of one figure: dots with intervals in groups, against the figure as it is and the one expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, Figure, place, render, resize
from tubelet.reporting.intervals import share_axis, whisker
from tubelet.reporting.style import ACCENT, INK, MUTED, REST, RULE, SERIES, SURFACE
from tubelet.reporting.text import percent, printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_ROW, _HEADING, _FONT = 25.0, 31.0, 12.0


@dataclass(frozen=True)
class Dot:
    """One variant; all figures are fractions in [0, 1].

    Attributes
    ----------
    group
        What it is a variant of; dots of a group follow each other.
    label
        Its name.
    value, low, high
        Its figure and the ends of its interval.
    strong
        Whether it is drawn in the accent color.
    hollow
        Whether it rests on other data than the figure as it is.
    """

    group: str
    label: str
    value: float
    low: float
    high: float
    strong: bool = False
    hollow: bool = False


def interval_dots(
    dots: Sequence[Dot],
    *,
    base: tuple[float, float, float],
    expected: float,
    title: str = "Variants",
    caption: str = "",
) -> Figure:
    """Rows of dots from 0 to 100 % under the name of their group, a band for the figure as it is, a line for another.

    Parameters
    ----------
    dots
        From top to bottom.
    base
        The figure as it is, and the ends of its interval, which are drawn as a band.
    expected
        The figure that was expected, drawn as a line.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        No dots, or a value is not a fraction in [0, 1].
    """
    if not dots:
        raise UsageError("there are no variants to draw")
    for dot in dots:
        _require_shares(dot.label, (dot.value, dot.low, dot.high))
    _require_shares("the figure as it is", (*base, expected))

    def draw(sheet: Drawing, width: float) -> None:
        _draw(sheet, width, dots, base, expected)

    return render(draw, COLUMN_PX, title=title, caption=caption, alt=_alt(dots, base, expected))


def _require_shares(name: str, given: Sequence[float]) -> None:
    if any(not 0 <= number <= 1 for number in given):
        raise UsageError("a variant's figures must be fractions between 0 and 1", why=f"{name}: {given}")


def _draw(sheet: Drawing, width: float, dots: Sequence[Dot], base: tuple[float, float, float], expected: float) -> None:
    above = width <= NARROW_PX  # names stand above their dots where the page is narrow
    row = 1.65 * _ROW if above else _ROW
    places: list[tuple[float, Dot]] = []
    headings: list[tuple[float, str]] = []
    y = 0.0
    for group, members in groupby(dots, key=lambda dot: dot.group):
        headings.append((y + _HEADING - 11, group))
        y += _HEADING
        for dot in members:
            places.append((y + row / 2 + (6 if above else 0), dot))
            y += row
    room = width - 20 if above else 0.42 * width
    names = [shorten(dot.label, room, _FONT) for dot in dots]
    left = 8.0 if above else 18 + max(
        *(text_width(name, _FONT) for name in names), *(text_width(text, _FONT, bold=True) for _, text in headings), 0
    )  # fmt: skip
    top, right = 44.0, 62.0
    resize(sheet, width, top + y + 34)
    axes = sheet.add_axes(place(sheet, left, top, width - left - right, y))
    share_axis(axes, 1)
    axes.set_ylim(y, 0)
    axes.axvspan(base[1], base[2], color=RULE.light, alpha=0.45, linewidth=0, zorder=0.6)
    axes.axvline(base[0], color=MUTED.light, linewidth=1.2, zorder=0.8)
    axes.axvline(expected, color=SERIES[1].light, linewidth=1.6, dashes=(4, 3), zorder=0.9)
    _name_lines(axes, base[0], expected, width - left - right)
    side = 2 if above else -10
    for at, group in headings:
        axes.annotate(
            group, (0, at), xytext=(side, 0), textcoords="offset points", ha="left" if above else "right",
            va="center", fontsize=_FONT, fontweight="bold", color=INK.light, annotation_clip=False,
        )  # fmt: skip
    for (at, dot), name in zip(places, names, strict=True):
        color = (ACCENT if dot.strong else REST).light
        whisker(axes, at, dot.low, dot.high, 3.5)
        face = SURFACE.light if dot.hollow else color
        axes.plot([dot.value], [at], marker="o", markersize=8, markerfacecolor=face, markeredgecolor=color,
                  markeredgewidth=1.8, linestyle="", zorder=6, clip_on=False)  # fmt: skip
        axes.annotate(
            name, (0, at - (0.42 * row if above else 0)), xytext=(side, 0), textcoords="offset points",
            ha="left" if above else "right", va="center", fontsize=_FONT,
            color=(INK if dot.strong else MUTED).light, annotation_clip=False,
        )  # fmt: skip
        axes.annotate(
            percent(dot.value), (1, at), xytext=(10, 0), textcoords="offset points", va="center", fontsize=_FONT,
            fontweight="bold" if dot.strong else "normal", annotation_clip=False,
        )  # fmt: skip


def _name_lines(axes: Axes, base: float, expected: float, across: float) -> None:
    """Name both lines above the axes; where their names would overlap, one is lifted."""
    words = [(base, f"ours {percent(base)}", MUTED), (expected, f"expected {percent(expected)}", SERIES[1])]
    halves = [text_width(text, 11.5) / 2 for _, text, _ in words]
    # Names are moved inwards at the ends of the axis, and only then can be told whether they overlap.
    centers = [
        min(max(at * across, half), across - half) if across > 2 * half else at * across
        for (at, _, _), half in zip(words, halves, strict=True)
    ]
    close = abs(centers[0] - centers[1]) < sum(halves) + 8
    for lift, center, (_, text, color) in zip((0, 15 if close else 0), centers, words, strict=True):
        axes.annotate(text, (center / across, 0), xytext=(0, 10 + lift), textcoords="offset points", ha="center",
                      fontsize=11.5, color=color.light, annotation_clip=False)  # fmt: skip


def _alt(dots: Sequence[Dot], base: tuple[float, float, float], expected: float) -> str:
    listed = "; ".join(
        f"{printable(dot.group)}, {printable(dot.label)} {percent(dot.value)} ({percent(dot.low)} to "
        f"{percent(dot.high)})"
        for dot in dots
    )
    return f"Dots of variants: ours {percent(base[0])}, expected {percent(expected)}; {listed}."
