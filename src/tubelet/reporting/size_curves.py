"""Accuracy over size: one line for each thing that can be made smaller, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, Figure, place, render, resize
from tubelet.reporting.style import INK, SERIES, SURFACE
from tubelet.reporting.text import percent, printable, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_PLOT = 320.0
_STROKE, _DOT, _WIDER = 1.8, 5.5, 3.6
_SAME = 0.006  # of the axis: two pixels, closer than which one line hides another


@dataclass(frozen=True)
class SizePoint:
    """One size of one line.

    Attributes
    ----------
    size
        Above 0.
    value
        A share from 0 to 1.
    low, high
        Ends of its interval; None where it has none, or where its line draws none.
    chosen
        Whether it is to be ringed.
    """

    size: float
    value: float
    low: float | None = None
    high: float | None = None
    chosen: bool = False


@dataclass(frozen=True)
class SizeLine:
    """A line.

    Attributes
    ----------
    label
        What it is called.
    points
        At least one, in order of size; the last is the whole.
    color
        Lines of one number have one color.
    dashed
        Whether it is a variant of the solid line of its color: drawn dashed, with hollow dots and no intervals.
    """

    label: str
    points: tuple[SizePoint, ...]
    color: int = 0
    dashed: bool = False


def size_curves(
    lines: Sequence[SizeLine],
    *,
    axis: str,
    chance: float | None = None,
    title: str = "Accuracy over size",
    caption: str = "",
) -> Figure:
    """Draw lines over a logarithmic axis of sizes; whiskers are intervals, rings what was chosen.

    Parameters
    ----------
    lines
        At least one.
    axis
        What the sizes are.
    chance
        A share that guessing reaches, dotted.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        There is nothing to draw, a size is not above 0, or a value is not a share.
    """
    points = [point for line in lines for point in line.points]
    if not lines or any(not line.points for line in lines):
        raise UsageError("there is no curve to draw")
    for point in points:
        if not (point.size > 0 and 0.0 <= point.value <= 1.0):
            raise UsageError("a size lies above 0 and a value between 0 and 1", why=f"{point.size}, {point.value}")

    def draw(sheet: Drawing, width: float) -> None:
        _draw(sheet, width, lines, axis, chance)

    said = "; ".join(
        f"{printable(line.label)}: "
        + ", ".join(
            f"{percent(one.value)} at {one.size:,.0f}{' (chosen)' if one.chosen else ''}" for one in line.points
        )
        for line in lines
    )
    return render(draw, COLUMN_PX, title=title, caption=caption, alt=f"Accuracy over {axis}. {said}.")


def _draw(sheet: Drawing, width: float, lines: Sequence[SizeLine], axis: str, chance: float | None) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    narrow = width <= NARROW_PX
    columns = 1 if narrow else 2
    ringed = any(one.chosen for line in lines for one in line.points)
    left, top, legend = 50.0, 12.0, 22.0 * -(-(len(lines) + ringed) // columns) + 10.0
    resize(sheet, width, top + _PLOT + 52.0 + legend)
    axes = sheet.add_axes(place(sheet, left, top, width - left - 16.0, _PLOT))
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xscale("log")
    sizes = np.array([one.size for line in lines for one in line.points])
    axes.set_xlim(sizes.min() / 1.25, sizes.max() * 1.25)
    ends = [end for line in lines for one in line.points for end in (one.value, one.low, one.high) if end is not None]
    lowest, highest = min([*ends, *([] if chance is None else [chance])]), max(ends)
    room = max(0.02, 0.05 * (highest - lowest))
    axes.set_ylim(max(-0.02, lowest - room), min(1.02, highest + room))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0)))
    _size_ticks(axes, sizes, width - left - 16.0)
    axes.set_xlabel(axis, labelpad=6)
    if chance is not None:
        axes.axhline(chance, color=INK.light, linewidth=1.0, dashes=(1, 3), zorder=0.8)
        axes.annotate("chance", (1.0, chance), xycoords=axes.get_yaxis_transform(), xytext=(0, 4),
                      textcoords="offset points", ha="right", fontsize=11, color=INK.light)  # fmt: skip
    solid = [line for line in lines if not line.dashed]
    low, high = axes.get_ylim()
    for line in lines:
        if line.dashed:
            _line(axes, line, 1.0, 0)
            continue
        at = solid.index(line)
        hidden_by = sum(_coincide(line, other, _SAME * (high - low)) for other in solid[at + 1 :])
        # Whiskers of several lines at one size stand beside each other.
        _line(axes, line, 1.0 + 0.018 * (at - (len(solid) - 1) / 2), hidden_by)
    handles = [Line2D([], [], color=SERIES[line.color % len(SERIES)].light, linewidth=_STROKE,
                      dashes=(4, 2.5) if line.dashed else (None, None), marker="o", markersize=_DOT,
                      markerfacecolor=SURFACE.light if line.dashed else SERIES[line.color % len(SERIES)].light,
                      label=shorten(line.label, (width - left) / columns - 60, 12)) for line in lines]  # fmt: skip
    if ringed:
        handles.append(Line2D([], [], linestyle="", marker="o", markersize=11, markerfacecolor="none",
                              markeredgecolor=INK.light, markeredgewidth=1.6, label="chosen"))  # fmt: skip
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.0, -48.0 / _PLOT), ncols=columns,
                borderaxespad=0.0, handlelength=2.6, labelspacing=0.6, columnspacing=2.0)  # fmt: skip


def _coincide(line: SizeLine, other: SizeLine, near: float) -> bool:
    """Whether a stretch of two lines, or the only point of one, is the same to the eye."""
    values = {one.size: one.value for one in other.points}
    same = [one.size in values and abs(one.value - values[one.size]) <= near for one in line.points]
    return any(same) if min(len(line.points), len(values)) == 1 else any(map(all, pairwise(same)))


def _line(axes: Axes, line: SizeLine, nudge: float, hidden_by: int) -> None:
    """Draw one line, wider where others are drawn over it."""
    color = SERIES[line.color % len(SERIES)].light
    wider = _WIDER * hidden_by
    x = np.array([one.size for one in line.points]) * nudge
    y = np.array([one.value for one in line.points])
    axes.plot(x, y, color=color, linewidth=_STROKE + wider, zorder=4 if line.dashed else 3 - 0.1 * hidden_by,
              dashes=(4, 2.5) if line.dashed else (None, None))  # fmt: skip
    axes.plot(x, y, linestyle="", marker="o", markersize=_DOT + wider,
              markerfacecolor=SURFACE.light if line.dashed else color, markeredgecolor=color, markeredgewidth=1.4,
              zorder=5 - 0.1 * hidden_by, clip_on=False)  # fmt: skip
    for where, one in zip(x, line.points, strict=True):
        if one.low is not None and one.high is not None and not line.dashed:
            axes.plot([where, where], [one.low, one.high], color=color, linewidth=1.3, alpha=0.75, zorder=2.5)
        if one.chosen:
            axes.plot([where], [one.value], linestyle="", marker="o", markersize=12, markerfacecolor="none",
                      markeredgecolor=INK.light, markeredgewidth=1.6, zorder=6, clip_on=False)  # fmt: skip


def _size_ticks(axes: Axes, sizes: np.ndarray, width: float) -> None:
    """A tick at each size that is there, as far as their numbers have room; the largest first."""
    axes.minorticks_off()
    low, high = np.log(axes.get_xlim())
    kept: list[float] = []
    for size in sorted(set(sizes.tolist()), reverse=True):
        at = (np.log(size) - low) / (high - low) * width
        if all(abs(at - (np.log(other) - low) / (high - low) * width) >= 44.0 for other in kept):
            kept.append(size)
    axes.set_xticks(kept, [f"{size:,.0f}" for size in kept])
