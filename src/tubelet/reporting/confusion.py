"""Confusion matrices for two to hundreds of classes, and the pairs that are confused most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.errors import UsageError
from tubelet.reporting.figure import CRISP, WIDE_PX, Figure, place, render, resize
from tubelet.reporting.style import ACCENT, INK, MUTED, ON_ACCENT, RULE
from tubelet.reporting.text import percent, printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

Counts = NDArray[np.int64]

NUMBERED_CLASSES = 40
"""Up to this many classes each cell has its number; beyond, the most confused pairs are listed."""

_SHADES = 40
_VECTOR_CELLS = 20_000  # beyond this (several hundred classes) the cells become one picture
GAMMA = 0.65
"""Power of a share that is its opacity: a few percent must be seen. The color bar shows the same scale."""


@dataclass(frozen=True)
class Confusion:
    """``count`` items of class ``true`` were taken for ``predicted``: ``share`` of all items of ``true``."""

    true: str
    predicted: str
    count: int
    share: float


def checked_counts(counts: ArrayLike, labels: Sequence[str]) -> Counts:
    """``counts`` as a (K, K) matrix of whole numbers ≥ 0 for K labels, or UsageError."""
    matrix = np.asarray(counts)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] != len(labels):
        raise UsageError(
            "a confusion matrix must be square, one row and column per label",
            why=f"shape {matrix.shape}, {len(labels)} labels",
        )
    if not len(labels) or not np.isfinite(matrix).all() or (matrix < 0).any() or (matrix % 1 != 0).any():
        raise UsageError("a confusion matrix holds whole numbers of items, at least for one class")
    return matrix.astype(np.int64)


def row_shares(counts: Counts) -> NDArray[np.float64]:
    """Each row divided by its sum (K, K); a class without items gives a row of zeros."""
    totals = counts.sum(1, keepdims=True)
    return np.asarray(np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0))


def most_confused(counts: ArrayLike, labels: Sequence[str], top: int = 12) -> list[Confusion]:
    """The ``top`` largest off-diagonal cells, by number of items, then by share of the row.

    Parameters
    ----------
    counts
        (K, K): row = true class, column = predicted class.
    labels
        K names.
    """
    matrix = checked_counts(counts, labels)
    shares = row_shares(matrix)
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    rows, columns = np.nonzero(off)
    pairs = [
        Confusion(printable(labels[i]), printable(labels[j]), int(off[i, j]), float(shares[i, j]))
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share))[:top]


def confusion_matrix(
    counts: ArrayLike,
    labels: Sequence[str],
    *,
    numbers: Literal["shares", "counts"] = "shares",
    title: str = "Confusion matrix",
    caption: str = "",
) -> Figure:
    """Draw a confusion matrix: true classes in rows, predictions in columns, each row colored by its shares.

    Parameters
    ----------
    counts
        (K, K) whole numbers: ``counts[i, j]`` items of class i were taken for class j.
    labels
        K class names.
    numbers
        What stands in the cells: percent of the row, or counts. Color is always the share of the row.
    title, caption
        Words for the page.

    Returns
    -------
    Figure
        Up to 40 classes with numbers; beyond, the map alone with the most confused pairs beside it.

    Raises
    ------
    UsageError
        ``counts`` is not a square matrix of whole numbers ≥ 0 that fits ``labels``.
    """
    matrix = checked_counts(counts, labels)
    k = len(labels)
    if k > NUMBERED_CLASSES:
        return _large(matrix, labels, title, caption)
    size = 44.0 if k <= 8 else 38.0 if k <= 12 else 30.0 if k <= 20 else 26.0
    font = 12.0 if k <= 12 else 10.5
    names = [shorten(label, 150, font) for label in labels]
    margin = max(text_width(name, font) for name in names)
    left, right = margin + 40, 78.0
    turned = max(text_width(name, font) for name in names) > size * 0.86
    bottom = (margin * 0.75 + 40) if turned else 46.0
    width = max(left + k * size + right, 320.0)

    def draw(sheet: Drawing, width: float) -> None:
        resize(sheet, width, 14 + k * size + bottom)
        axes = sheet.add_axes(place(sheet, left, 14, k * size, k * size))
        _cells(axes, matrix)
        _numbers(axes, matrix, numbers, min(12.0, size * 0.36))
        _label(axes, names, font, 40.0 if turned else 0.0)
        share_scale(sheet, left + k * size + 20, 14, min(k * size, 150.0))

    return render(draw, width, title=title, caption=caption, alt=_alt(matrix, labels), narrow_px=None)


def _large(matrix: Counts, labels: Sequence[str], title: str, caption: str) -> Figure:
    k = len(labels)
    size = min(18.0, max(6.2, 640.0 / k))
    font = min(10.0, max(5.4, size * 0.86))
    names = [shorten(label, 120, font) for label in labels]
    margin = max(text_width(name, font) for name in names)
    left, side = margin + 32, k * size
    panel_left = left + side + 60
    width = max(WIDE_PX, panel_left + 330)
    pairs = most_confused(matrix, labels, max(8, min(20, int(side // 32))))

    def draw(sheet: Drawing, width: float) -> None:
        resize(sheet, width, 14 + side + margin + 36)
        axes = sheet.add_axes(place(sheet, left, 14, side, side))
        _cells(axes, matrix)
        _label(axes, names, font, 90.0)
        for edge in ("right", "top"):
            axes.spines[edge].set_visible(True)
        _pairs(sheet, pairs, panel_left, width - panel_left - 8)
        share_scale(sheet, left + side + 14, 14, 150.0)

    return render(draw, width, title=title, caption=caption, alt=_alt(matrix, labels), narrow_px=None)


def _cells(axes: Axes, matrix: Counts) -> None:
    k = len(matrix)
    rows, columns = np.nonzero(matrix)
    gap = 0.03 if k <= NUMBERED_CLASSES else 0.0
    boxes = np.c_[columns - 0.5 + gap, rows - 0.5 + gap, columns + 0.5 - gap, rows + 0.5 - gap]
    fill_cells(axes, boxes, row_shares(matrix)[rows, columns] ** GAMMA, crisp=not gap)
    axes.set_xlim(-0.5, k - 0.5)
    axes.set_ylim(k - 0.5, -0.5)


def fill_cells(axes: Axes, boxes: NDArray[np.float64], opacity: NDArray[np.float64], *, crisp: bool) -> None:
    """Fill (n, 4) boxes (left, low, right, high) with the accent color at (n,) opacities.

    A color that is an opacity over the page follows the color scheme by itself. One path per shade keeps
    the SVG small, whatever the number of classes.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    shades = np.maximum(1, np.rint(opacity * _SHADES)).astype(int)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].reshape(-1, 5, 2)
    codes = np.array([Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY], dtype=np.uint8)
    for shade in np.unique(shades):
        chosen = corners[shades == shade]
        path = Path(chosen.reshape(-1, 2), np.tile(codes, len(chosen)))
        patch = PathPatch(path, facecolor=ACCENT.light, alpha=shade / _SHADES, linewidth=0)
        patch.set_rasterized(len(boxes) > _VECTOR_CELLS)
        if crisp:
            patch.set_gid(CRISP)
        axes.add_patch(patch)


def _numbers(axes: Axes, matrix: Counts, numbers: str, font: float) -> None:
    shares = row_shares(matrix)
    for i, j in zip(*np.nonzero(matrix), strict=True):
        share = float(shares[i, j])
        shown = str(int(matrix[i, j])) if numbers == "counts" else f"{100 * share:.0f}"
        axes.text(
            j,
            i,
            shown,
            ha="center",
            va="center_baseline",
            fontsize=font,
            color=ON_ACCENT.light if share**GAMMA > 0.68 else INK.light,
        )


def _label(axes: Axes, names: Sequence[str], font: float, turn: float) -> None:
    positions = np.arange(len(names))
    axes.set_yticks(positions, names, fontsize=font, color=INK.light)
    axes.set_xticks(
        positions,
        names,
        fontsize=font,
        color=INK.light,
        rotation=turn,
        rotation_mode="anchor",
        ha="right" if turn else "center",
        va="center" if turn == 90 else "top",
    )
    axes.tick_params(length=0, pad=5)
    axes.set_xlabel("predicted", color=MUTED.light, labelpad=7, fontsize=11.5)
    axes.set_ylabel("true", color=MUTED.light, labelpad=7, fontsize=11.5)
    for spine in axes.spines.values():
        spine.set_color(RULE.light)


def share_scale(sheet: Drawing, left: float, top: float, height: float) -> None:
    """The bar beside a map of shares that says what its colors mean."""
    axes = sheet.add_axes(place(sheet, left, top, 9, height))
    edges = np.linspace(0, 1, 65)
    boxes = np.c_[np.zeros(64), edges[:-1], np.ones(64), edges[1:]]
    fill_cells(axes, boxes, ((edges[1:] + edges[:-1]) / 2) ** GAMMA, crisp=True)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "50", "100 %"], fontsize=10.5)
    axes.yaxis.tick_right()
    axes.tick_params(length=0, pad=4)
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.8)


def _pairs(sheet: Drawing, pairs: Sequence[Confusion], left: float, width: float) -> None:
    from matplotlib.patches import Rectangle

    step, head = 32.0, 14.0
    height = head + 26 + step * max(1, len(pairs))
    axes = sheet.add_axes(place(sheet, left + 18, 14, width - 18, height))
    axes.set_axis_off()
    axes.set_xlim(0, width - 18)
    axes.set_ylim(height, 0)
    axes.text(0, 9, "Most confused", fontsize=11.5, fontweight="bold", color=INK.light, va="center")
    axes.text(width - 18, 9, "items · of true", fontsize=9.5, color=MUTED.light, va="center", ha="right")
    largest = max((pair.count for pair in pairs), default=1)
    for row, pair in enumerate(pairs):
        y = head + 26 + step * row
        name = shorten(f"{pair.true} → {pair.predicted}", width - 18 - 92, 10.5)
        axes.text(0, y, name, fontsize=10.5, va="center")
        axes.text(
            width - 18,
            y,
            f"{pair.count} · {percent(pair.share, 0)}",
            fontsize=10.5,
            color=MUTED.light,
            va="center",
            ha="right",
        )
        axes.add_patch(Rectangle((0, y + 9), (width - 18) * pair.count / largest, 3, color=ACCENT.light, linewidth=0))
    if not pairs:
        axes.text(0, head + 26, "none: every item is right", fontsize=10.5, va="center")


def _alt(matrix: Counts, labels: Sequence[str]) -> str:
    total = int(matrix.sum())
    right = int(np.trace(matrix))
    words = f"Confusion matrix of {len(labels)} classes and {total} items"
    words += f", {percent(right / total)} right" if total else ""
    pairs = most_confused(matrix, labels, 3)
    if pairs:
        listed = ", ".join(f"{pair.true} taken for {pair.predicted} ({pair.count})" for pair in pairs)
        words += f"; most confused: {listed}"
    return words + "."
