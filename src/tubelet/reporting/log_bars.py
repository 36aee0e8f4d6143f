"""Bars on a logarithmic axis: speeds that are orders of magnitude apart, with their spread and published figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tubelet.errors import UsageError
from tubelet.reporting.bars import Bar, diamond, diamond_legend
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, Figure, place, render, resize
from tubelet.reporting.intervals import whisker
from tubelet.reporting.style import ACCENT, MUTED, REST, RULE
from tubelet.reporting.text import printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing


_FIGURE_PX = 62.0  # what the number at the end of a bar takes


def log_bars(
    bars: Sequence[Bar], *, unit: str, published_name: str = "published figure", title: str, caption: str = ""
) -> Figure:
    """Horizontal bars from a power of ten below the smallest figure to one above the largest.

    Parameters
    ----------
    bars
        From top to bottom.
    unit
        What is counted; named under the axis.
    published_name
        What the diamonds are, for the legend.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        No bars, or a figure is not a number above 0.
    """
    numbers = [n for bar in bars for n in (bar.value, bar.low, bar.high, bar.published) if n is not None]
    if not bars:
        raise UsageError("there are no bars to draw")
    if any(not (n > 0 and math.isfinite(n)) for n in numbers):
        raise UsageError("a logarithmic axis takes numbers above 0 only", why=str(min(numbers)))
    # A bar that ends where the axis begins would not be seen.
    first = math.floor(math.log10(min(numbers)) - 0.15)
    last = math.ceil(math.log10(max(numbers)) + 0.05)

    def draw(sheet: Drawing, width: float) -> None:
        above = width <= NARROW_PX
        room = width - 30 if above else 270.0
        names = [shorten(bar.label, room, 13) for bar in bars]
        notes = [shorten(bar.note, room, 11) for bar in bars]
        widths = [text_width(name, 13) for name in names] + [text_width(note, 11) for note in notes]
        left = 14.0 if above else 16 + max(widths)
        marked = any(bar.published is not None for bar in bars)
        step = 74.0 if above else 52.0
        resize(sheet, width, 10 + step * len(bars) + 52.0 + 24.0 * marked)
        axes = sheet.add_axes(place(sheet, left, 10, width - left - 62, step * len(bars)))
        _frame(axes, len(bars), first, last, unit)
        figure_room = 10.0 ** (_FIGURE_PX * (last - first) / (width - left - 62))
        for row, bar in enumerate(bars):
            _bar(axes, row, bar, 10.0**first, names[row], notes[row], figure_room, above=above)
        if marked:
            diamond_legend(axes, published_name, drop=4.8)

    return render(draw, COLUMN_PX, title=title, caption=caption, alt=_alt(bars, unit, published_name))


def _frame(axes: Axes, rows: int, first: int, last: int, unit: str) -> None:
    axes.set_xscale("log")
    axes.set_xlim(10.0**first, 10.0**last)
    axes.set_ylim(rows - 0.5, -0.5)
    powers = range(first, last + 1)
    axes.set_xticks([10.0**power for power in powers], [f"{10.0**power:,g}" for power in powers])
    axes.minorticks_off()
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.tick_params(axis="x", length=0, pad=6)
    axes.spines["left"].set_color(RULE.light)
    axes.set_xlabel(unit)


def _bar(
    axes: Axes, row: int, bar: Bar, start: float, name: str, note: str, figure_room: float, *, above: bool
) -> None:
    y = row + (0.25 if above else 0.0)
    color = (ACCENT if bar.strong else REST).light
    axes.barh(y, bar.value - start, left=start, height=0.34 if above else 0.46, color=color, linewidth=0)
    whisker(axes, y, bar.low, bar.high, 0.11)
    ends = [bar.value, bar.high or 0.0]
    if bar.published is not None:
        axes.plot([bar.published], [y], **diamond())
        # The figure stands beside its bar, unless the diamond is there.
        ends += [bar.published] if bar.published < max(ends) * figure_room else []
    beside: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False, "va": "center"}
    text = f"{bar.value:,.0f}" if bar.value >= 99.95 else f"{bar.value:.3g}"
    weight = "bold" if bar.strong else "normal"
    axes.annotate(text, (max(ends), y), xytext=(11, 0), fontsize=13, fontweight=weight, **beside)
    words = {"xycoords": axes.get_yaxis_transform(), **beside}
    side: dict[str, Any] = {"xytext": (0, 0), "ha": "left"} if above else {"xytext": (-12, 0), "ha": "right"}
    lift, drop = (0.32, 0.1) if above else (0.14 if bar.note else 0.0, -0.19)
    axes.annotate(name, (0.0, row - lift), fontsize=13, **words, **side)
    axes.annotate(note, (0.0, row - drop), fontsize=11, color=MUTED.light, **words, **side)


def _alt(bars: Sequence[Bar], unit: str, published_name: str) -> str:
    parts = []
    for bar in bars:
        words = f"{printable(bar.label)} {bar.value:.3g} {unit}"
        if bar.low is not None and bar.high is not None:
            words += f" (from {bar.low:.3g} to {bar.high:.3g})"
        if bar.published is not None:
            words += f", {published_name} {bar.published:.3g}"
        parts.append(words)
    return f"Bars on a logarithmic axis: {'; '.join(parts)}."
