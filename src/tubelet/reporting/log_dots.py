"""Small differences as dots on a logarithmic axis: one row of dots for each group, and the limit they have to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, Figure, place, render, resize
from tubelet.reporting.style import ACCENT, BAD, INK, MUTED, RULE
from tubelet.reporting.text import printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LEAST = 1e-8
"""Smaller values, zeros among them, are drawn at the left edge: float32 tells no smaller share apart."""

_VECTOR_POINTS = 2000  # beyond this, dots are drawn as one picture inside the SVG


@dataclass(frozen=True, eq=False)
class DotRow:
    """One group of values.

    Attributes
    ----------
    label
        What it is called.
    values
        ``(n,)`` numbers of 0 or more; infinite ones are drawn at the right edge.
    bad
        ``(n,)`` booleans: which are drawn in the color of errors; None for none.
    note
        Small print under the label.
    """

    label: str
    values: ArrayLike
    bad: Sequence[bool] | None = None
    note: str = ""


def log_dots(
    rows: Sequence[DotRow],
    *,
    limit: float | None = None,
    limit_name: str = "allowed",
    axis: str = "",
    title: str = "Differences",
    caption: str = "",
) -> Figure:
    """Draw rows of dots from 1e-8 to 1 (to 10 where a value is larger than 1).

    Parameters
    ----------
    rows
        From top to bottom, each with a value at least.
    limit
        A value to be marked by a dashed line, with its name above.
    axis
        What the values are.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        There is nothing to draw, or a value is negative or not a number.
    """
    drawn = [np.asarray(row.values, dtype=np.float64) for row in rows]
    if not rows or any(not len(values) for values in drawn):
        raise UsageError("there are no dots to draw")
    if any(np.isnan(values).any() or (values < 0).any() for values in drawn):
        raise UsageError("a difference is a number of 0 or more")
    finite = np.concatenate([values[np.isfinite(values)] for values in drawn])
    most = 10.0 if finite.size and finite.max() > 1.0 else 1.0

    def draw(sheet: Drawing, width: float) -> None:
        narrow = width <= NARROW_PX
        names = [shorten(row.label, width - 24 if narrow else 220, 13) for row in rows]
        notes = [shorten(row.note, (width - 24) * 0.5 if narrow else 220, 11) for row in rows]
        widths = [text_width(name, 13) for name in names] + [text_width(note, 11) for note in notes]
        left = 12.0 if narrow else 16 + max(widths)
        step, top = 58.0 if narrow else 50.0, 26.0 if limit is not None else 8.0
        resize(sheet, width, top + step * len(rows) + 54.0)
        axes = sheet.add_axes(place(sheet, left, top, width - left - 16, step * len(rows)))
        _frame(axes, len(rows), most, axis)
        if limit is not None:
            axes.axvline(limit, color=MUTED.light, linewidth=1.2, dashes=(3, 3), zorder=0.8)
            axes.annotate(limit_name, (limit, -0.5), xytext=(0, 7), textcoords="offset points", ha="center",
                          fontsize=11.5, color=MUTED.light, annotation_clip=False)  # fmt: skip
        for place_, (row, values) in enumerate(zip(rows, drawn, strict=True)):
            _dots(axes, place_ + (0.16 if narrow else 0.0), values, row.bad, most)
            lift = 0.3 if narrow else 0.13 if row.note else 0.0
            where = (0.0, place_ - lift)
            side = {"xytext": (0, 0), "ha": "left"} if narrow else {"xytext": (-12, 0), "ha": "right"}
            axes.annotate(names[place_], where, xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                          va="center", fontsize=13, annotation_clip=False, **side)  # fmt: skip
            if row.note:
                across = text_width(names[place_], 13) + 10 if narrow else -12
                axes.annotate(notes[place_], (0.0, place_ - lift if narrow else place_ + 0.2),
                              xycoords=axes.get_yaxis_transform(), xytext=(across, 0), textcoords="offset points",
                              ha=side["ha"], va="center", fontsize=11, color=MUTED.light,
                              annotation_clip=False)  # fmt: skip

    said = "; ".join(
        f"{printable(row.label)}: {len(values)} values, median {np.median(values):.1e}, largest {values.max():.1e}"
        for row, values in zip(rows, drawn, strict=True)
    )
    mark = f"; {limit_name} is {limit:.1e}" if limit is not None else ""
    return render(draw, COLUMN_PX, title=title, caption=caption, alt=f"Dots on a logarithmic axis. {said}{mark}.")


def _frame(axes: Axes, rows: int, most: float, axis: str) -> None:
    axes.set_xscale("log")
    axes.set_xlim(LEAST / 1.6, most * 1.6)
    axes.set_ylim(rows - 0.5, -0.5)
    decades = np.arange(np.log10(LEAST), np.log10(most) + 1, 2)
    names = ["≤ 10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "1"][: len(decades)]
    axes.set_xticks(10.0**decades, names)
    axes.minorticks_off()
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.tick_params(axis="x", length=0, pad=6)
    axes.spines["left"].set_color(RULE.light)
    axes.set_xlabel(axis)


def _dots(axes: Axes, row: float, values: np.ndarray, bad: Sequence[bool] | None, most: float) -> None:
    n = len(values)
    # Dots of one place must not hide each other; the golden ratio's steps spread them alike every time.
    lift = ((np.arange(n) * 0.618034) % 1.0 - 0.5) * (0.36 if n > 1 else 0.0)
    x = np.clip(values, LEAST, most)
    marked = np.zeros(n, dtype=bool) if bad is None else np.asarray(bad, dtype=bool)
    for members, color in ((~marked, ACCENT.light), (marked, BAD.light)):
        if members.any():
            axes.scatter(x[members], row + lift[members], s=float(np.clip(3000 / n, 9, 34)), color=color, alpha=0.75,
                         linewidths=0, rasterized=n > _VECTOR_POINTS, zorder=3, clip_on=False)  # fmt: skip
    finite = values[np.isfinite(values)]
    if len(finite) > 2:
        middle = float(np.clip(np.median(finite), LEAST, most))
        axes.plot([middle, middle], [row - 0.27, row + 0.27], color=INK.light, linewidth=1.6, zorder=4)
