"""A map of points in the plane, colored by label."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, Figure, place, render, resize
from tubelet.reporting.style import INK, REST, SERIES, SURFACE
from tubelet.reporting.text import percent, printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

MAX_GROUPS = 20
"""Ten colors times two shapes; labels beyond that are drawn together as "other"."""

_VECTOR_POINTS = 3000  # beyond this, points are drawn as one picture inside the SVG: a page must stay small


def scatter_map(
    points: ArrayLike,
    labels: Sequence[str],
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
        n names. Up to 20 different ones each get a color and shape; of more, the 19 most frequent do, and the
        rest is "other".
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
    names = [printable(label) for label in labels]
    groups, other = _groups(names, [printable(label) for label in order or ()])
    with_legend = len(groups) + bool(other) > 1 or correct is not None
    shown = [*groups, *([f"other ({len(other)} labels)"] if other else [])]
    places = np.array([_place_of(name, groups) for name in names])

    def draw(sheet: Drawing, width: float) -> None:
        # The legend stands beside the map, or under it where the page is narrow.
        below = width <= NARROW_PX
        words = [shorten(name, 150 if below else 210, 12) for name in shown]
        legend = 44 + max(text_width(name, 12) for name in words) if with_legend and not below else 4
        under = (24.0 * math.ceil((len(words) + (correct is not None)) / 2)) if with_legend and below else 0.0
        side = width - legend - 8
        # As high as the cloud asks for at this width, within reason, and at least as high as the legend.
        spread = np.maximum(np.ptp(xy, axis=0), 1e-9)
        least = 0.0 if below else 30.0 + 23.0 * len(words)
        height = float(np.clip(side * spread[1] / spread[0] + 24, max(0.5 * side, least), 600.0))
        resize(sheet, width, height + under)
        axes = sheet.add_axes(place(sheet, 2, 2, side, height - 4))
        _points(axes, xy, places, groups)
        if correct is not None:
            wrong = xy[~np.asarray(correct, dtype=bool)]
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
        _frame(axes, xy, side, height - 4)
        if with_legend:
            _legend(axes, groups, words, bool(other), correct is not None, below)

    alt = _alt(xy, groups, other, correct)
    return render(draw, COLUMN_PX, title=title, caption=caption, alt=alt)


def _groups(names: Sequence[str], order: Sequence[str]) -> tuple[list[str], list[str]]:
    counts = Counter(names)
    rank = {name: position for position, name in enumerate(order)}
    known = sorted(counts, key=lambda name: (rank.get(name, len(rank)), name))
    if len(known) <= MAX_GROUPS:
        return known, []
    frequent = set(sorted(known, key=lambda name: -counts[name])[: MAX_GROUPS - 1])
    return [name for name in known if name in frequent], [name for name in known if name not in frequent]


def _place_of(name: str, groups: Sequence[str]) -> int:
    return groups.index(name) if name in groups else -1


def _look(position: int) -> dict[str, Any]:
    if position < 0:
        return {"marker": "o", "color": REST.light}
    return {"marker": "o" if position < len(SERIES) else "^", "color": SERIES[position % len(SERIES)].light}


def _points(axes: Axes, xy: NDArray[np.float64], places: NDArray[np.int64], groups: Sequence[str]) -> None:
    n = len(xy)
    size = float(np.clip(16000.0 / n, 6.0, 52.0))
    for position in (-1, *range(len(groups))):  # "other" lies underneath
        members = xy[places == position]
        if len(members):
            axes.scatter(
                members[:, 0],
                members[:, 1],
                s=size,
                alpha=0.9,
                edgecolors=SURFACE.light,
                linewidths=0.5 if n <= 1500 else 0.0,
                rasterized=n > _VECTOR_POINTS,
                zorder=2 + (position >= 0),
                **_look(position),
            )


def _frame(axes: Axes, xy: NDArray[np.float64], width: float, height: float) -> None:
    middle = (xy.max(0) + xy.min(0)) / 2
    # One unit is as many pixels in both directions; twelve pixels stay free for the outermost marks.
    box = np.array([width, height])
    unit = max(float((np.ptp(xy, axis=0) / (box - 24)).max()), 1e-9)
    low, high = middle - box / 2 * unit, middle + box / 2 * unit
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_axis_off()


def _legend(axes: Axes, groups: Sequence[str], shown: Sequence[str], other: bool, marks: bool, below: bool) -> None:
    from matplotlib.lines import Line2D

    looks = [_look(position) for position in range(len(groups))] + ([_look(-1)] if other else [])
    handles = [
        Line2D([], [], linestyle="", markersize=7, markeredgewidth=0, label=name, **look)
        for name, look in zip(shown, looks, strict=True)
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


def _alt(xy: NDArray[np.float64], groups: Sequence[str], other: Sequence[str], correct: Sequence[bool] | None) -> str:
    words = f"Map of {len(xy)} points colored by {len(groups) + len(other)} labels: {', '.join(groups[:20])}"
    if other:
        words += f" and {len(other)} others"
    if correct is not None:
        words += f"; {percent(float(np.mean(np.asarray(correct, dtype=bool))))} are classified right"
    return words + "."
