"""How much of each class, or of each fold, several systems get right: a map of systems by parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.errors import UsageError
from tubelet.reporting.confusion import GAMMA, fill_cells, share_scale
from tubelet.reporting.figure import Figure, place, render, resize
from tubelet.reporting.style import INK, MUTED, ON_ACCENT, RULE
from tubelet.reporting.text import printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

MOST_PARTS = 40
"""Beyond so many parts the cells would be too small for their numbers."""

_FONT = 12.0


def share_grid(
    right: ArrayLike,
    totals: ArrayLike,
    systems: Sequence[str],
    parts: Sequence[str],
    *,
    what: str = "classes",
    rules: Sequence[int] = (),
    title: str = "Classes",
    caption: str = "",
) -> Figure:
    """Draw one row per system and one column per part; each cell has its number and the color of its share.

    Parameters
    ----------
    right
        (S, K) videos of each part that each system gets right.
    totals
        (K,) videos of each part; they stand in a last row.
    systems, parts
        S and K names, from top to bottom and from left to right.
    what
        What the parts are, for those who cannot see the picture.
    rules
        Rows above which a line parts kinds of systems.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        The counts do not fit each other or the names, or there are more than `MOST_PARTS` parts.
    """
    counts, of = np.asarray(right, dtype=np.int64), np.asarray(totals, dtype=np.int64)
    if counts.shape != (len(systems), len(parts)) or of.shape != (len(parts),) or not counts.size:
        raise UsageError(
            "the counts by part do not fit",
            why=f"{counts.shape}, {of.shape}, {len(systems)} systems, {len(parts)} parts",
        )
    if (counts < 0).any() or (counts > of).any():
        raise UsageError("a system gets more videos of a part right than there are, or fewer than none")
    if len(parts) > MOST_PARTS:
        raise UsageError(f"{len(parts)} parts do not fit one map", remedy=f"draw {MOST_PARTS} of them at most")
    shares = counts / np.maximum(of, 1)
    rows, size = len(systems), 44.0 if len(parts) <= 10 else 36.0 if len(parts) <= 20 else 28.0
    step = min(size, 34.0)
    names, heads = [shorten(name, 250, _FONT) for name in systems], [shorten(name, 150, _FONT) for name in parts]
    widest = max(text_width(head, _FONT) for head in heads)
    left = max(text_width(name, _FONT) for name in (*names, "videos")) + 18
    turned = widest > 0.9 * size
    top = 0.72 * widest + 24 if turned else 28.0
    room = left + size * len(parts)

    def draw(sheet: Drawing, width: float) -> None:
        resize(sheet, width, top + step * (rows + 1) + 12)
        axes = sheet.add_axes(place(sheet, left, top, size * len(parts), step * (rows + 1)))
        axes.set_xlim(-0.5, len(parts) - 0.5)
        axes.set_ylim(rows + 0.5, -0.5)
        at, column = np.nonzero(counts)
        edges = (0.46 * np.array([-1, -1, 1, 1]))[None] + np.stack([column, at, column, at], axis=1)
        fill_cells(axes, edges, shares[at, column] ** GAMMA, crisp=False)
        for row in range(rows):
            for part in range(len(parts)):
                dark = shares[row, part] ** GAMMA > 0.68
                color = ON_ACCENT if dark else INK if counts[row, part] else MUTED
                _number(axes, part, row, counts[row, part], color.light)
        for part, total in enumerate(of):
            _number(axes, part, rows, total, MUTED.light)
        axes.set_yticks(np.arange(rows + 1), [*names, "videos"], fontsize=_FONT, color=INK.light)
        axes.get_yticklabels()[-1].set_color(MUTED.light)
        axes.set_xticks(
            np.arange(len(parts)), heads, fontsize=_FONT, color=INK.light, rotation=40 if turned else 0,
            rotation_mode="anchor", ha="left" if turned else "center", va="bottom",
        )  # fmt: skip
        axes.xaxis.tick_top()
        axes.tick_params(length=0, pad=6)
        for rule in (*rules, rows):
            axes.axhline(rule - 0.5, color=RULE.light, linewidth=1.0, zorder=0.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
        share_scale(sheet, room + 18, top, min(step * rows, 150.0))

    return render(draw, max(room + 70, 320.0), title=title, caption=caption, alt=_alt(shares, systems, parts, what),
                  narrow_px=None)  # fmt: skip


def _number(axes: Axes, column: float, row: float, value: int, color: str) -> None:
    axes.text(column, row, str(int(value)), ha="center", va="center_baseline", fontsize=_FONT, color=color)


def _alt(shares: NDArray[np.float64], systems: Sequence[str], parts: Sequence[str], what: str) -> str:
    said = []
    for name, row in zip(systems, shares, strict=True):
        worst = printable(parts[int(row.argmin())])
        said.append(f"{printable(name)} gets all right" if row.min() == 1 else f"{printable(name)} is worst at {worst}")
    return f"Map of {len(systems)} systems by {len(parts)} {what}: {'; '.join(said)}."
