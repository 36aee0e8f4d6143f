"""What one system gains over another in every class, as bars left and right of zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tubelet.errors import UsageError
from tubelet.reporting.differences import points_axis
from tubelet.reporting.figure import COLUMN_PX, Figure, place, render, resize
from tubelet.reporting.style import BAD, GOOD, INK, MUTED
from tubelet.reporting.text import first_few, printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_MOST = 40  # classes that are drawn: those with the largest differences


def class_differences(
    first: ArrayLike,
    second: ArrayLike,
    counts: ArrayLike,
    labels: Sequence[str],
    *,
    title: str = "Difference by class",
    caption: str = "",
) -> Figure:
    """One bar per class: how many more of its videos ``second`` recognizes than ``first``, in points.

    Parameters
    ----------
    first, second
        (K,) videos recognized by each system.
    counts
        (K,) videos of each class; classes without videos are left out.
    labels
        K names. The classes are drawn from the largest gain to the largest loss; of more than 40 those that differ
        most.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        The counts do not fit each other or the labels.
    """
    a, b, n = (np.asarray(values, dtype=np.int64) for values in (first, second, counts))
    if (
        not a.shape == b.shape == n.shape == (len(labels),)
        or (a > n).any()
        or (b > n).any()
        or min(a.min(), b.min()) < 0
    ):
        raise UsageError("the counts by class do not fit", why=f"{a.shape}, {b.shape}, {n.shape}, {len(labels)} labels")
    present = np.flatnonzero(n > 0)
    if not len(present):
        raise UsageError("there is no class with videos to draw")
    gain = {int(k): 100.0 * float(b[k] - a[k]) / float(n[k]) for k in present}
    shown = sorted(gain, key=lambda k: (-abs(gain[k]), k))[:_MOST]
    shown.sort(key=lambda k: (-gain[k], k))
    reach = max(10.0, *(abs(gain[k]) for k in shown))

    def draw(sheet: Drawing, width: float) -> None:
        step, font = 24.0, 12.0
        names = [shorten(labels[k], 0.36 * width, font) for k in shown]
        notes = [f"{a[k]} → {b[k]} of {n[k]}" for k in shown]
        left = 12 + max(text_width(name, font) for name in names)
        right = 24 + max(text_width(note, font) for note in notes)
        resize(sheet, width, 10 + step * len(shown) + 34)
        axes = sheet.add_axes(place(sheet, left, 10, width - left - right, step * len(shown)))
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        points_axis(axes)
        axes.axvline(0, color=INK.light, linewidth=1.0)
        for row, k in enumerate(shown):
            axes.barh(row, gain[k], height=0.56, color=(GOOD if gain[k] > 0 else BAD).light, linewidth=0)
            for text, x, side, color in ((names[row], 0, -8, INK), (notes[row], 1, 10, MUTED)):
                axes.annotate(
                    text,
                    (x, row),
                    xycoords=("axes fraction", "data"),
                    xytext=(side, 0),
                    textcoords="offset points",
                    ha="right" if side < 0 else "left",
                    va="center",
                    fontsize=font,
                    color=color.light,
                    annotation_clip=False,
                )

    more = f" Of {len(present)} classes the {len(shown)} that differ most." if len(shown) < len(present) else ""
    return render(draw, COLUMN_PX, title=title, caption=caption + more, alt=_alt(gain, labels))


def _alt(gain: dict[int, float], labels: Sequence[str]) -> str:
    parts = []
    for word, sign in (("better", 1), ("worse", -1)):
        names = [
            f"{printable(labels[k])} by {abs(gain[k]):.0f} points"
            for k in sorted(gain, key=lambda k: (-sign * gain[k], k))
            if sign * gain[k] > 0
        ]
        parts.append(f"{len(names)} {word}" + (f" ({first_few(names, shown=3)})" if names else ""))
    return f"Bars of the difference in {len(gain)} classes: {', '.join(parts)}."
