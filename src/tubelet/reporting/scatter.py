"""A map of points in the plane, colored by label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, WIDE_PX, Figure, place, render, resize
from tubelet.reporting.map_groups import MOST_IN_LEGEND, MOST_RISE_PX, Group, map_groups, name_boxes
from tubelet.reporting.style import INK, MUTED, SURFACE
from tubelet.reporting.text import first_few, percent, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

UNLABELED = "no label"

_VECTOR_POINTS = 3000  # beyond this, points are drawn as one picture inside the SVG: a page must stay small
_NAME_PX = 10.5
_MARGIN_PX = 12.0  # stays free for the outermost marks


def scatter_map(
    points: ArrayLike,
    labels: Sequence[str | None],
    *,
    correct: Sequence[bool] | None = None,
    order: Sequence[str] | None = None,
    title: str = "Map",
    caption: str = "",
) -> Figure:
    """Draw labeled points, as of an embedding map.

    Parameters
    ----------
    points
        (n, 2) finite numbers; one unit is as long in both directions, and the axes carry no figures.
    labels
        n names; None is drawn gray. Up to 20 different ones stand in a legend. Of more, each stands in the middle of
        its points, or beside it where another stands there, and colors are dealt so that equal ones lie far apart.
    correct
        n booleans: whether the item was classified right. Wrong ones are crossed.
    order
        Order of the labels in the legend, such as the class order; default: alphabetical.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        Shapes do not fit together, there is no point, or a coordinate is not finite.
    """
    xy = np.asarray(points, dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2 or len(xy) != len(labels) or not len(xy):
        raise UsageError("a map needs (n, 2) points and n labels", why=f"{xy.shape} and {len(labels)}")
    if not np.isfinite(xy).all():
        raise UsageError("a map needs finite points")
    if correct is not None and len(correct) != len(xy):
        raise UsageError("a map needs one mark per point", why=f"{len(correct)} marks, {len(xy)} points")
    groups = map_groups(xy, labels, order or ())
    wrong = None if correct is None else xy[~np.asarray(correct, dtype=bool)]
    alt = _alt(len(xy), groups, correct)
    if len(groups) - (groups[-1].name == "") <= MOST_IN_LEGEND:

        def draw(sheet: Drawing, width: float) -> None:
            _with_legend(sheet, width, xy, groups, wrong)

        return render(draw, COLUMN_PX, title=title, caption=caption, alt=alt)
    unnamed: list[str] = []

    def draw_names(sheet: Drawing, width: float) -> None:
        unnamed[:] = _with_names(sheet, width, xy, groups, wrong)

    figure = render(draw_names, WIDE_PX, title=title, caption=caption, alt=alt, narrow_px=None)
    if not unnamed:
        return figure
    return replace(figure, caption=f"{caption} No room to name {first_few(unnamed)}.".strip())


def _with_legend(
    sheet: Drawing, width: float, xy: NDArray[np.float64], groups: Sequence[Group], wrong: NDArray[np.float64] | None
) -> None:
    # The legend stands beside the map, or under it where the page is narrow.
    below = width <= NARROW_PX
    shown = [group.name or UNLABELED for group in groups]
    legend_there = len(groups) > 1 or wrong is not None
    words = [shorten(name, 150 if below else 210, 12) for name in shown]
    legend = 44 + max(text_width(name, 12) for name in words) if legend_there and not below else 4
    under = (24.0 * math.ceil((len(words) + (wrong is not None)) / 2)) if legend_there and below else 0.0
    side = width - legend - 8
    # As high as the cloud asks for at this width, within reason, and at least as high as the legend.
    least = 0.0 if below else 30.0 + 23.0 * len(words)
    height = float(np.clip(side * _aspect(xy) + 2 * _MARGIN_PX, max(0.5 * side, least), 600.0))
    resize(sheet, width, height + under)
    axes = sheet.add_axes(place(sheet, 2, 2, side, height - 4))
    _points(axes, 16000.0, xy, groups, wrong)
    _frame(axes, xy, side, height - 4)
    if legend_there:
        _legend(axes, groups, words, wrong is not None, below)


def _with_names(
    sheet: Drawing, width: float, xy: NDArray[np.float64], groups: Sequence[Group], wrong: NDArray[np.float64] | None
) -> list[str]:
    """Draw the map with its names in it; the names that found no room."""
    side = width - 8
    height = float(np.clip(side * _aspect(xy) + 2 * _MARGIN_PX, 0.6 * side, 0.95 * side))
    resize(sheet, width, height)
    axes = sheet.add_axes(place(sheet, 4, 2, side, height - 4))
    _points(axes, 50000.0, xy, groups, wrong)
    low, unit = _frame(axes, xy, side, height - 4)
    ranked = sorted((group for group in groups if group.name), key=lambda group: (-len(group.rows), group.name))
    words = [shorten(group.name, 150, _NAME_PX) for group in ranked]
    sizes = [(text_width(word, _NAME_PX) + 5, _NAME_PX + 4) for word in words]
    # Over its points a name would hide them; where they lie far apart it stands just above their middle.
    rises = [group.rise / unit + 4 if group.rise / unit <= MOST_RISE_PX else 4.0 for group in ranked]
    centers = [
        ((g.middle[0] - low[0]) / unit, (g.middle[1] - low[1]) / unit + rise + _NAME_PX / 2)
        for g, rise in zip(ranked, rises, strict=True)
    ]
    # At the edge it moves inward rather than away.
    centers = [
        (float(np.clip(x, w / 2, max(side - w / 2, w / 2))), float(np.clip(y, h / 2, height - 4 - h / 2)))
        for (x, y), (w, h) in zip(centers, sizes, strict=True)
    ]
    unnamed = []
    for group, word, center, box in zip(
        ranked, words, centers, name_boxes(centers, sizes, side, height - 4), strict=True
    ):
        if box is None:
            unnamed.append(group.name)
            continue
        x, y = low[0] + box[0] * unit, low[1] + box[1] * unit
        if math.dist(center, box) > 14:  # a name that had to give way is tied to where it belongs
            axes.plot([group.middle[0], x], [group.middle[1], y], color=MUTED.light, linewidth=0.8, zorder=4)
        backing = {"boxstyle": "square,pad=0.12", "facecolor": SURFACE.light, "alpha": 0.6, "edgecolor": "none"}
        axes.text(x, y, word, size=_NAME_PX, color=INK.light, ha="center", va="center", bbox=backing, zorder=5)
    return unnamed


def _aspect(xy: NDArray[np.float64]) -> float:
    spread = np.maximum(np.ptp(xy, axis=0), 1e-9)
    return float(spread[1] / spread[0])


def _points(
    axes: Axes, ink_px: float, xy: NDArray[np.float64], groups: Sequence[Group], wrong: NDArray[np.float64] | None
) -> None:
    n = len(xy)
    size = float(np.clip(ink_px / n, 3.0, 52.0))
    for group in groups:
        axes.scatter(
            xy[group.rows, 0],
            xy[group.rows, 1],
            s=size,
            alpha=0.9,
            edgecolors=SURFACE.light,
            linewidths=0.5 if n <= 1500 else 0.0,
            rasterized=n > _VECTOR_POINTS,
            marker=group.marker,
            color=group.light,
            zorder=2 + (group.color >= 0),  # points without a label lie underneath
        )
    if wrong is not None:
        axes.scatter(
            wrong[:, 0],
            wrong[:, 1],
            marker="x",
            s=30,
            color=INK.light,
            linewidths=1.3,
            zorder=4,
            rasterized=len(wrong) > _VECTOR_POINTS,
        )


def _frame(axes: Axes, xy: NDArray[np.float64], width: float, height: float) -> tuple[NDArray[np.float64], float]:
    """Set the axes' limits; their lower left corner, and the units of a pixel."""
    middle = (xy.max(0) + xy.min(0)) / 2
    # One unit is as many pixels in both directions.
    box = np.array([width, height])
    unit = max(float((np.ptp(xy, axis=0) / (box - 2 * _MARGIN_PX)).max()), 1e-9)
    low, high = middle - box / 2 * unit, middle + box / 2 * unit
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_axis_off()
    return low, unit


def _legend(axes: Axes, groups: Sequence[Group], shown: Sequence[str], marks: bool, below: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], linestyle="", markersize=7, markeredgewidth=0, label=name, marker=group.marker, color=group.light
        )
        for name, group in zip(shown, groups, strict=True)
    ]
    if marks:
        handles.append(
            Line2D([], [], linestyle="", marker="x", markersize=6, color=INK.light, label="classified wrong")
        )
    axes.legend(
        handles=handles,
        loc="upper left" if below else "center left",
        bbox_to_anchor=(0, 0) if below else (1, 0.5),
        borderaxespad=0.2 if below else 0.9,
        handletextpad=0.4,
        labelspacing=0.62,
        ncols=1 + below,
    )


def _alt(n: int, groups: Sequence[Group], correct: Sequence[bool] | None) -> str:
    named = [group.name for group in groups if group.name]
    words = f"Map of {n} points"
    if named:
        words += f" colored by {len(named)} label{'s' * (len(named) > 1)}: {first_few(named, shown=20)}"
    if len(named) < len(groups):
        words += f"; {len(groups[-1].rows)} have no label"
    if correct is not None:
        words += f"; {percent(float(np.mean(np.asarray(correct, dtype=bool))))} are classified right"
    return words + "."
