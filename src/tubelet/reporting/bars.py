"""Bars with intervals: several systems' accuracies side by side, with chance and published figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, Figure, place, render, resize
from tubelet.reporting.intervals import share_axis, whisker
from tubelet.reporting.style import ACCENT, MUTED, REST, SERIES, SURFACE
from tubelet.reporting.text import percent, printable, shorten, text_width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Bar:
    """One system's result: fractions in [0, 1] for `interval_bars`, numbers above 0 for `log_bars`.

    Attributes
    ----------
    label
        Name of the system.
    value
        Its figure, such as accuracy.
    low, high
        Ends of its confidence interval, if known.
    published
        The figure in the literature, if there is one; drawn as an open diamond.
    note
        Small print under the label, such as the number of parameters or the published figure's source.
    strong
        Whether it is drawn in the accent color (the system the figure is about) or in gray.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    published: float | None = None
    note: str = ""
    strong: bool = True


def interval_bars(
    bars: Sequence[Bar],
    *,
    chance: float | None = None,
    title: str = "Accuracy",
    caption: str = "",
) -> Figure:
    """Horizontal bars from 0 to 100 % with intervals, a chance line and marks for published figures.

    Parameters
    ----------
    bars
        From top to bottom.
    chance
        Accuracy of guessing, a fraction, drawn as a dashed line.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        No bars, or a value is not a fraction in [0, 1].
    """
    for bar in bars:
        given = (bar.value, bar.low, bar.high, bar.published)
        if any(number is not None and not 0 <= number <= 1 for number in given):
            raise UsageError("a bar's figures must be fractions between 0 and 1", why=f"{bar.label}: {given}")
    if not bars:
        raise UsageError("there are no bars to draw")

    def draw(sheet: Drawing, width: float) -> None:
        _draw_bars(sheet, width, bars, chance)

    return render(draw, COLUMN_PX, title=title, caption=caption, alt=_alt(bars, chance))


def _draw_bars(sheet: Drawing, width: float, bars: Sequence[Bar], chance: float | None) -> None:
    # Names stand left of the bars, or above them where the page is narrow.
    above = width <= NARROW_PX
    room = width - 20 if above else 240.0
    # What tells systems apart often stands at the end of their names, so that is kept.
    names = [
        [shorten(bar.label, room * (0.6 if bar.note else 1), 13, keep_end=True)]
        if above
        else wrapped(bar.label, room, 13)
        for bar in bars
    ]
    notes = [shorten(bar.note, room * (0.4 if above else 1), 11) for bar in bars]
    widths = [text_width(line, 13) for lines in names for line in lines] + [text_width(note, 11) for note in notes]
    left = 4.0 if above else 14 + max(widths)
    marked = any(bar.published is not None for bar in bars)
    step = 60.0 if any(len(lines) > 1 for lines in names) else 56.0 if above else 52.0
    top = 30.0 if chance is not None else 10.0
    resize(sheet, width, top + step * len(bars) + 34.0 + 24.0 * marked)
    axes = sheet.add_axes(place(sheet, left, top, width - left - 72, step * len(bars)))
    share_axis(axes, len(bars))
    shift = 0.16 if above else 0.0
    beside: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
    if chance is not None:
        axes.axvline(chance, color=MUTED.light, linewidth=1.2, dashes=(3, 3), zorder=0.8)
        axes.annotate(
            f"chance {percent(chance, 0)}",
            (chance, -0.5),
            xytext=(0, 7),
            ha="center",
            fontsize=11.5,
            color=MUTED.light,
            **beside,
        )
    for row, bar in enumerate(bars):
        y = row + shift
        axes.barh(
            y,
            bar.value,
            height=0.4 if above else 0.46,
            color=(ACCENT if bar.strong else REST).light,
            linewidth=0,
        )
        whisker(axes, y, bar.low, bar.high, 0.11)
        if bar.published is not None:
            axes.plot([bar.published], [y], **diamond())
        end = max(bar.value, bar.high or 0.0)
        if bar.published is not None:  # the figure stands beside its bar, unless the diamond stands there
            reach = end + (22 + text_width(percent(bar.value), 13)) / (width - left - 72)
            end = max(end, bar.published) if bar.published <= reach else end
        axes.annotate(
            percent(bar.value),
            (end, y),
            xytext=(11, 0),
            va="center",
            fontsize=13,
            fontweight="bold" if bar.strong else "normal",
            **beside,
        )
        if above:
            halo = {"facecolor": SURFACE.light, "edgecolor": "none", "boxstyle": "square,pad=0.1"}
            name = names[row][0]
            axes.annotate(name, (0, row - 0.27), xytext=(2, 0), va="center", fontsize=13, bbox=halo, **beside)
            across = text_width(name, 13) + 12
            axes.annotate(
                notes[row],
                (0, row - 0.265),
                xytext=(across, 0),
                va="center",
                fontsize=11,
                color=MUTED.light,
                **beside,
            )
            continue
        two = len(names[row]) > 1
        lift, drop = (0.16, 0.32) if two else (0.14, 0.19)
        axes.annotate(
            "\n".join(names[row]),
            (0, row - (lift if bar.note else 0.0)),
            xytext=(-12, 0),
            ha="right",
            va="center",
            multialignment="right",
            fontsize=13,
            **beside,
        )
        axes.annotate(
            notes[row],
            (0, row + drop),
            xytext=(-12, 0),
            ha="right",
            va="center",
            fontsize=11,
            color=MUTED.light,
            **beside,
        )
    if marked:
        diamond_legend(axes, "published figure")


def diamond_legend(axes: Axes, name: str, drop: float = 2.4) -> None:
    """Say below the axes what the diamonds are; ``drop`` is the distance in letters."""
    axes.plot([], [], label=name, **diamond())
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        borderaxespad=drop,
        handletextpad=0.2,
        fontsize=11.5,
        borderpad=0.0,
        handlelength=1.0,
    )


def diamond() -> dict[str, Any]:
    """How a published figure is drawn: arguments of ``axes.plot``."""
    return {
        "marker": "D",
        "markersize": 7.5,
        "markerfacecolor": SURFACE.light,
        "markeredgecolor": SERIES[1].light,
        "markeredgewidth": 2.0,
        "linestyle": "",
        "zorder": 6,
        "clip_on": False,
    }


def _alt(bars: Sequence[Bar], chance: float | None) -> str:
    parts = []
    for bar in bars:
        words = f"{printable(bar.label)} {percent(bar.value)}"
        if bar.low is not None and bar.high is not None:
            words += f" (interval {percent(bar.low)} to {percent(bar.high)})"
        if bar.published is not None:
            words += f", published {percent(bar.published)}"
        parts.append(words)
    guess = f"; chance is {percent(chance)}" if chance is not None else ""
    return "Bars: " + "; ".join(parts) + guess + "."
