"""Which classes each of several systems recognizes: a map of systems by classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tubelet.errors import UsageError
from tubelet.reporting.confusion import GAMMA, fill_cells, share_scale
from tubelet.reporting.figure import Figure, place, render, resize
from tubelet.reporting.style import INK, MUTED, ON_ACCENT, RULE
from tubelet.reporting.text import printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

MOST_CLASSES = 40
"""Beyond so many classes the cells would be too small for their numbers."""

_FONT = 12.0


def class_grid(
    right: ArrayLike,
    totals: ArrayLike,
    systems: Sequence[str],
    classes: Sequence[str],
    *,
    rules: Sequence[int] = (),
    title: str = "Classes",
    caption: str = "",
) -> Figure:
    """Draw one row per system and one column per class; each cell has its number and the color of its share.

    Parameters
    ----------
    right
        (S, K) videos of each class that each system recognizes.
    totals
        (K,) videos of each class; they stand in a last row.
    systems, classes
        S and K names, from top to bottom and from left to right.
    rules
        Rows above which a line parts kinds of systems.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        The counts do not fit each other or the names, or there are more than `MOST_CLASSES` classes.
    """
    counts, of = np.asarray(right, dtype=np.int64), np.asarray(totals, dtype=np.int64)
    if counts.shape != (len(systems), len(classes)) or of.shape != (len(classes),) or not counts.size:
        raise UsageError(
            "the counts by class do not fit",
            why=f"{counts.shape}, {of.shape}, {len(systems)} systems, {len(classes)} classes",
        )
    if (counts < 0).any() or (counts > of).any():
        raise UsageError("a system recognizes more videos of a class than there are, or fewer than none")
    if len(classes) > MOST_CLASSES:
        raise UsageError(f"{len(classes)} classes do not fit one map", remedy=f"draw {MOST_CLASSES} of them at most")
    shares = counts / np.maximum(of, 1)
    rows, size = len(systems), 44.0 if len(classes) <= 10 else 36.0 if len(classes) <= 20 else 28.0
    step = min(size, 34.0)
    names, heads = [shorten(name, 250, _FONT) for name in systems], [shorten(name, 150, _FONT) for name in classes]
    widest = max(text_width(head, _FONT) for head in heads)
    left = max(text_width(name, _FONT) for name in (*names, "videos")) + 18
    turned = widest > 0.9 * size
    top = 0.72 * widest + 24 if turned else 28.0
    room = left + size * len(classes)

    def draw(sheet: Drawing, width: float) -> None:
        resize(sheet, width, top + step * (rows + 1) + 12)
        axes = sheet.add_axes(place(sheet, left, top, size * len(classes), step * (rows + 1)))
        axes.set_xlim(-0.5, len(classes) - 0.5)
        axes.set_ylim(rows + 0.5, -0.5)
        at, column = np.nonzero(counts)
        edges = (0.46 * np.array([-1, -1, 1, 1]))[None] + np.stack([column, at, column, at], axis=1)
        fill_cells(axes, edges, shares[at, column] ** GAMMA, crisp=False)
        for row in range(rows):
            for klass in range(len(classes)):
                dark = shares[row, klass] ** GAMMA > 0.68
                color = ON_ACCENT if dark else INK if counts[row, klass] else MUTED
                _number(axes, klass, row, counts[row, klass], color.light)
        for klass, total in enumerate(of):
            _number(axes, klass, rows, total, MUTED.light)
        axes.set_yticks(np.arange(rows + 1), [*names, "videos"], fontsize=_FONT, color=INK.light)
        axes.get_yticklabels()[-1].set_color(MUTED.light)
        axes.set_xticks(
            np.arange(len(classes)), heads, fontsize=_FONT, color=INK.light, rotation=40 if turned else 0,
            rotation_mode="anchor", ha="left" if turned else "center", va="bottom",
        )  # fmt: skip
        axes.xaxis.tick_top()
        axes.tick_params(length=0, pad=6)
        for rule in (*rules, rows):
            axes.axhline(rule - 0.5, color=RULE.light, linewidth=1.0, zorder=0.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
        share_scale(sheet, room + 18, top, min(step * rows, 150.0))

    return render(draw, max(room + 70, 320.0), title=title, caption=caption, alt=_alt(shares, systems, classes),
                  narrow_px=None)  # fmt: skip


def _number(axes: Axes, column: float, row: float, value: int, color: str) -> None:
    axes.text(column, row, str(int(value)), ha="center", va="center_baseline", fontsize=_FONT, color=color)


def _alt(shares: np.ndarray, systems: Sequence[str], classes: Sequence[str]) -> str:
    parts = []
    for name, row in zip(systems, shares, strict=True):
        worst = printable(classes[int(row.argmin())])
        parts.append(
            f"{printable(name)} recognizes all" if row.min() == 1 else f"{printable(name)} is worst at {worst}"
        )
    return f"Map of {len(systems)} systems by {len(classes)} classes: {'; '.join(parts)}."
