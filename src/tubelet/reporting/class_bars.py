"""The accuracy of every class, as bars with intervals and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from tubelet.reporting.confusion import checked_counts
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, WIDE_PX, Figure, place, render, resize
from tubelet.reporting.intervals import share_axis, whisker, wilson_interval
from tubelet.reporting.style import ACCENT, MUTED
from tubelet.reporting.text import percent, printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def class_accuracy(
    counts: ArrayLike,
    labels: Sequence[str],
    *,
    chance: float | None = None,
    intervals: bool = True,
    title: str = "Accuracy by class",
    caption: str = "",
) -> Figure:
    """One bar per class with ``right / all`` beside it and Wilson's 95 % interval, from a confusion matrix.

    Parameters
    ----------
    counts
        (K, K) whole numbers; row = true class.
    labels
        K names, drawn in this order (in columns from 26 classes on).
    chance
        Accuracy of guessing, a fraction.
    intervals
        False where what is counted does not come out independently, as the clips of one video: Wilson's interval
        would be too narrow.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        ``counts`` is not a square matrix of whole numbers that fits ``labels``.
    """
    matrix = checked_counts(counts, labels)
    totals, rights = matrix.sum(1), matrix.diagonal()
    k = len(labels)

    def draw(sheet: Drawing, width: float) -> None:
        columns = 1 if k <= 25 or width <= NARROW_PX else 2 if k <= 60 else 3
        per_column = math.ceil(k / columns)
        step, font = (27.0, 12.0) if columns == 1 and k <= 40 else (17.0, 10.5)
        slot = width / columns
        names = [shorten(label, 0.36 * slot, font) for label in labels]
        left = 12 + max(text_width(name, font) for name in names)
        right = 32 + max(text_width(f"{r} / {t}", font) for r, t in zip(rights, totals, strict=True))
        resize(sheet, width, 10 + step * per_column + 34)
        for part in range(columns):
            members = range(part * per_column, min(k, (part + 1) * per_column))
            box = place(sheet, part * slot + left, 10, slot - left - right, step * len(members))
            axes = sheet.add_axes(box)
            share_axis(axes, len(members))
            if chance is not None:
                axes.axvline(chance, color=MUTED.light, linewidth=1.2, dashes=(3, 3), zorder=0.8)
            for row, index in enumerate(members):
                right_count, total = int(rights[index]), int(totals[index])
                axes.annotate(
                    names[index],
                    (0, row),
                    xytext=(-8, 0),
                    textcoords="offset points",
                    ha="right",
                    va="center",
                    fontsize=font,
                    annotation_clip=False,
                )
                axes.annotate(
                    f"{right_count} / {total}",
                    (1, row),
                    xytext=(12, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=font,
                    color=MUTED.light,
                    annotation_clip=False,
                )
                if total:
                    axes.barh(row, right_count / total, height=0.56, color=ACCENT.light, linewidth=0)
                    if intervals:
                        whisker(axes, row, *wilson_interval(right_count, total), 0.12)

    alt = f"Bars of accuracy for {k} classes"
    shares = {index: rights[index] / totals[index] for index in range(k) if totals[index]}
    if shares:
        low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        alt += f", from {percent(shares[low])} ({printable(labels[low])}) to {percent(shares[high])} "
        alt += f"({printable(labels[high])})"
    return render(draw, COLUMN_PX if k <= 25 else WIDE_PX, title=title, caption=caption, alt=alt + ".")
