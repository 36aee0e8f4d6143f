"""Differences with their intervals as points left and right of zero: what one system gains over others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, Figure, place, render, resize
from tubelet.reporting.style import BAD, GOOD, INK, MUTED, SURFACE
from tubelet.reporting.text import printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Gap:
    """One difference, a share between -1 and 1.

    Attributes
    ----------
    label
        What is compared.
    value, low, high
        The difference and the ends of its interval.
    note
        Small print under the label.
    """

    label: str
    value: float
    low: float
    high: float
    note: str = ""

    @property
    def shown(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def paired_differences(gaps: Sequence[Gap], *, title: str = "Differences", caption: str = "") -> Figure:
    """Points with whiskers, in points of percent; filled where the interval does not hold zero, else open.

    Parameters
    ----------
    gaps
        From top to bottom.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        There is nothing to draw, or an interval is no interval of shares.
    """
    if not gaps:
        raise UsageError("there are no differences to draw")
    for gap in gaps:
        if not -1.0 <= gap.low <= gap.high <= 1.0 or not -1.0 <= gap.value <= 1.0:
            raise UsageError("a difference of shares lies between -1 and 1", why=f"{gap.label}: {gap}")
    reach = 105.0 * max(0.1, *(abs(end) for gap in gaps for end in (gap.low, gap.high, gap.value)))

    def draw(sheet: Drawing, width: float) -> None:
        _draw(sheet, width, gaps, reach)

    return render(draw, COLUMN_PX, title=title, caption=caption, alt=_alt(gaps))


def points_axis(axes: Axes) -> None:
    """An axis of points gained or lost: signed ticks, a grid across, no frame."""
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.tick_params(axis="x", length=0, pad=6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
    for spine in ("bottom", "left"):
        axes.spines[spine].set_visible(False)


def _draw(sheet: Drawing, width: float, gaps: Sequence[Gap], reach: float) -> None:
    # Names stand left of the points, or above them where the page is narrow.
    above = width <= NARROW_PX
    room = width - 20 if above else 300.0
    names = [shorten(gap.label, room, 13, keep_end=True) for gap in gaps]
    notes = ["" if above else shorten(gap.note, room, 11) for gap in gaps]
    widths = [text_width(name, 13) for name in names] + [text_width(note, 11) for note in notes]
    left = 6.0 if above else 14 + max(widths)
    step = 52.0 if above else 44.0 if any(notes) else 34.0
    shift = 0.18 if above else 0.0
    figures = [f"{100 * gap.value:+.1f}" for gap in gaps]
    right = 22 + max(text_width(text, 13) for text in figures)
    resize(sheet, width, 8 + step * len(gaps) + 36)
    axes = sheet.add_axes(place(sheet, left, 8, width - left - right, step * len(gaps)))
    axes.set_xlim(-reach, reach)
    axes.set_ylim(len(gaps) - 0.5, -0.5)
    points_axis(axes)
    axes.axvline(0, color=INK.light, linewidth=1.0, zorder=1)
    beside: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False, "va": "center"}
    for row, gap in enumerate(gaps):
        y = row + shift
        color = (MUTED if not gap.shown else GOOD if gap.value > 0 else BAD).light
        low, high, value = (100 * one for one in (gap.low, gap.high, gap.value))
        axes.plot([low, high], [y, y], color=color, linewidth=2.0, solid_capstyle="butt", zorder=2)
        axes.plot(
            [value],
            [y],
            marker="o",
            markersize=8.5,
            markerfacecolor=color if gap.shown else SURFACE.light,
            markeredgecolor=color,
            markeredgewidth=2.0,
            linestyle="",
            zorder=3,
            clip_on=False,
        )
        at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), **beside}
        weight = "bold" if gap.shown else "normal"
        axes.annotate(figures[row], (1, y), xytext=(12, 0), fontsize=13, fontweight=weight, **at)
        if above:
            halo = {"facecolor": SURFACE.light, "edgecolor": "none", "boxstyle": "square,pad=0.1"}
            axes.annotate(names[row], (0, row - 0.24), xytext=(2, 0), fontsize=13, bbox=halo, **at)
            continue
        lift = 0.16 if notes[row] else 0.0
        axes.annotate(names[row], (0, row - lift), xytext=(-12, 0), ha="right", fontsize=13, **at)
        axes.annotate(notes[row], (0, row + 0.2), xytext=(-12, 0), ha="right", fontsize=11, color=MUTED.light, **at)


def _alt(gaps: Sequence[Gap]) -> str:
    parts = [
        f"{printable(gap.label)} {100 * gap.value:+.1f} points (interval {100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
        for gap in gaps
    ]
    return "Differences: " + "; ".join(parts) + "."
