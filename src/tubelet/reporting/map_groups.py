"""The labels of a map: which color and shape each has, and where its name stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.reporting.style import REST, SERIES
from tubelet.reporting.text import printable

MOST_RISE_PX = 36.0
"""A name stands above its points, unless they reach higher than this: then it would seem another's."""
MOST_IN_LEGEND = 20
"""Ten colors times two shapes; more labels than these are named in the map itself."""
SHAPES = "o^sDv<>p"
"""Matplotlib's markers, in the order in which labels of one color take them."""

_MEDIAN_OF = 400  # of more points a label's middle is sought among so many, evenly spaced


@dataclass(frozen=True)
class Group:
    """The points of one label.

    Attributes
    ----------
    name
        The label, printable; empty for points without one.
    rows
        ``(k,)`` places of its points.
    color
        Index into `SERIES`; -1 is gray, of points without a label.
    shape
        Index into `SHAPES`.
    middle
        That of its points which has the least sum of distances to the others.
    rise
        How far above the middle its points reach if they lie evenly in a disk: √2 times their median distance to it.
    """

    name: str
    rows: NDArray[np.int64]
    color: int
    shape: int
    middle: tuple[float, float]
    rise: float

    @property
    def light(self) -> str:
        """Its color in light surroundings."""
        return (REST if self.color < 0 else SERIES[self.color]).light

    @property
    def variable(self) -> str:
        """The name of its color in a page's style sheet."""
        return (REST if self.color < 0 else SERIES[self.color]).name

    @property
    def marker(self) -> str:
        """Its shape, as matplotlib names it."""
        return SHAPES[self.shape]


def map_groups(xy: NDArray[np.float64], labels: Sequence[str | None], order: Sequence[str] = ()) -> tuple[Group, ...]:
    """The labels of a map in the order of the legend, points without a label last.

    Parameters
    ----------
    xy
        ``(n, 2)``.
    labels
        n names; None where there is none.
    order
        Order of the labels, such as the class order; the others follow alphabetically.
    """
    rank = {printable(name): position for position, name in enumerate(order)}
    shown = {label: "" if label is None else printable(label) for label in set(labels)}
    members: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        members.setdefault(shown[label], []).append(row)
    known = sorted((name for name in members if name), key=lambda name: (rank.get(name, len(rank)), name))
    rows = {name: np.array(members[name]) for name in members}
    middles = {name: _middle(xy[rows[name]]) for name in members}
    if len(known) <= MOST_IN_LEGEND:
        looks = [(position % len(SERIES), position // len(SERIES)) for position in range(len(known))]
    else:
        looks = _apart(np.array([middles[name] for name in known]))
    rises = {
        name: float(np.sqrt(2) * np.median(np.linalg.norm(xy[rows[name]] - middles[name], axis=1))) for name in rows
    }
    groups = [
        Group(name, rows[name], *look, middles[name], rises[name]) for name, look in zip(known, looks, strict=True)
    ]
    return (*groups, *([Group("", rows[""], -1, 0, middles[""], rises[""])] if "" in rows else []))


def name_boxes(
    centers: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    width: float,
    height: float,
    *,
    farthest: float = 90.0,
) -> list[tuple[float, float] | None]:
    """Places for names that do not cover each other, as near to their centers as there is room; pixels.

    Parameters
    ----------
    centers
        Where each name belongs; earlier names choose first.
    sizes
        Width and height of each name.
    width, height
        Of the area, from 0, that names stay in.
    farthest
        How far from its center a name may stand.

    Returns
    -------
    list
        The middle of each name's box, or None where there is no room.
    """
    steps = np.array(
        [(0.0, 0.0)]
        + [
            (radius * np.cos(angle), radius * np.sin(angle))
            for radius in np.arange(6.0, farthest + 1, 6.0)
            for angle in np.arange(16) * np.pi / 8 + np.pi / 2
        ]
    )
    taken = np.empty((0, 4))  # middle, width, height
    found: list[tuple[float, float] | None] = []
    for center, size in zip(np.array(centers, dtype=float), np.array(sizes, dtype=float), strict=True):
        places = center + steps
        inside = ((places >= size / 2) & (places <= np.array([width, height]) - size / 2)).all(1)
        apart = np.abs(places[:, None] - taken[None, :, :2]) >= (size + taken[:, 2:])[None] / 2
        free = np.flatnonzero(inside & apart.any(2).all(1))
        if not len(free):
            found.append(None)
            continue
        x, y = places[free[0]]
        taken = np.vstack([taken, [x, y, *size]])
        found.append((float(x), float(y)))
    return found


def _middle(xy: NDArray[np.float64]) -> tuple[float, float]:
    few = xy[:: max(1, len(xy) // _MEDIAN_OF)]
    sums = np.linalg.norm(few[:, None] - few[None], axis=2).sum(1)
    x, y = few[int(sums.argmin())]
    return float(x), float(y)


def _apart(middles: NDArray[np.float64]) -> list[tuple[int, int]]:
    """A color for each label that is far from those of the same color, and a shape that is rare in it."""
    looks: list[tuple[int, int]] = [(0, 0)] * len(middles)
    used: Counter[int] = Counter()
    done: list[int] = []
    for index in np.lexsort((middles[:, 1], middles[:, 0])).tolist():
        nearest = np.full(len(SERIES), np.inf)
        for other in done:
            color = looks[other][0]
            nearest[color] = min(nearest[color], float(np.linalg.norm(middles[index] - middles[other])))
        color = int(nearest.argmax())
        looks[index] = (color, used[color] % len(SHAPES))
        used[color] += 1
        done.append(index)
    return looks
