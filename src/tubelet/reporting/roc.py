"""ROC curves with their areas, and accuracies of others as lines that a curve has to pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import UsageError
from tubelet.reporting.figure import NARROW_PX, Figure, place, render, resize
from tubelet.reporting.style import ACCENT, INK, MUTED, REST, SERIES
from tubelet.reporting.text import percent, printable, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_SIDE_PX = 560


@dataclass(frozen=True, eq=False)
class RocLine:
    """A curve to draw.

    Attributes
    ----------
    label
        Whose it is.
    false_positive, true_positive
        ``(m,)`` shares from 0 to 1.
    strong
        Whether it is what the figure is about.
    """

    label: str
    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]
    strong: bool = True

    @property
    def auc(self) -> float:
        """Area under it, by trapezoids."""
        heights = (self.true_positive[1:] + self.true_positive[:-1]) / 2.0
        return float((np.diff(self.false_positive) * heights).sum())


def roc_figure(
    curves: Sequence[RocLine],
    accuracies: Sequence[tuple[str, float]] = (),
    *,
    title: str = "ROC",
    caption: str = "",
) -> Figure:
    """Curves in the unit square.

    Parameters
    ----------
    curves
        At least one.
    accuracies
        (whose, share): of systems whose curve is not in print. Where half of the pairs are the same, all points of one
        accuracy lie on a line of slope 1, ``true = false + 2 accuracy - 1``, and the system's curve touches it where
        it has that accuracy. Such lines are drawn dashed.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        There is no curve, or a share is not between 0 and 1.
    """
    if not curves:
        raise UsageError("there is no curve to draw")
    for name, share in accuracies:
        if not 0.5 <= share <= 1.0:
            raise UsageError("an accuracy to draw lies between 0.5 and 1", why=f"{name}: {share}")
    for curve in curves:
        values = np.concatenate([curve.false_positive, curve.true_positive])
        if len(curve.false_positive) != len(curve.true_positive) or values.min() < 0.0 or values.max() > 1.0:
            raise UsageError("a curve's points must be shares between 0 and 1, two for each", why=curve.label)

    def draw(sheet: Drawing, width: float) -> None:
        _draw(sheet, width, curves, accuracies)

    said = "; ".join(f"{printable(curve.label)}, area {100 * curve.auc:.1f}" for curve in curves)
    lines = "; ".join(f"{printable(name)} {percent(share)}" for name, share in accuracies)
    alt = f"ROC curves: {said}." + (f" Lines of equal accuracy: {lines}." if lines else "")
    return render(draw, _SIDE_PX, title=title, caption=caption, alt=alt)


def _draw(sheet: Drawing, width: float, curves: Sequence[RocLine], accuracies: Sequence[tuple[str, float]]) -> None:
    narrow = width <= NARROW_PX
    rows = len(curves) + len(accuracies)
    left, top, legend = 54.0, 26.0, 24.0 * rows + 12.0
    side = width - left - 14.0
    resize(sheet, width, top + side + 52.0 + legend)
    axes = sheet.add_axes(place(sheet, left, top, side, side))
    axes.grid(True)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    ticks = np.linspace(0.0, 1.0, 6)
    axes.set_xticks(ticks, [percent(tick, 0) for tick in ticks])
    axes.set_yticks(ticks, [percent(tick, 0) for tick in ticks])
    axes.set_xlabel("not-same pairs taken for same")
    axes.set_ylabel("same pairs recognized")
    axes.plot([0, 1], [0, 1], color=REST.light, linewidth=1.2, dashes=(1, 3))
    for index, (name, share) in enumerate(accuracies):
        lift = 2.0 * share - 1.0
        color = SERIES[1 + index % (len(SERIES) - 1)].light
        axes.plot([0.0, 1.0 - lift], [lift, 1.0], color=color, linewidth=1.5, dashes=(5, 3),
                  label=shorten(f"{name}: {percent(share)} accuracy", side - 40, 12))  # fmt: skip
        _name_line(axes, lift, percent(share), color)
    others = 0
    for curve in curves:
        color = ACCENT.light
        if not curve.strong:
            color = SERIES[(4 + others) % len(SERIES)].light
            others += 1
        axes.plot(
            curve.false_positive,
            curve.true_positive,
            color=color,
            linewidth=2.6 if curve.strong else 1.8,
            solid_joinstyle="round",
            clip_on=False,
            zorder=5 if curve.strong else 4,
            label=shorten(f"{curve.label}: area {100 * curve.auc:.1f}", side - 40, 12),
        )
    handles, labels = axes.get_legend_handles_labels()
    order = [*range(len(accuracies), rows), *range(len(accuracies))]
    axes.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="upper left",
        bbox_to_anchor=(0.0, -48.0 / side),
        borderaxespad=0.0,
        handlelength=2.6,
        labelspacing=0.6,
        fontsize=11.0 if narrow else 12.0,
        labelcolor=INK.light,
    )
    axes.tick_params(labelcolor=MUTED.light)


def _name_line(axes: Axes, lift: float, text: str, color: str) -> None:
    """The accuracy where its line leaves the square: no curve runs there."""
    axes.annotate(
        text,
        (1.0 - lift, 1.0),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        fontsize=11,
        color=color,
        annotation_clip=False,
    )
