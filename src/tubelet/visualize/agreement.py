"""Whether what a map seems to show is there: in the map, in the descriptors, and by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.visualize.points import draw_rows

MOST_ASKED = 2000
"""More points than these are not all asked for their neighbors: some are drawn, which is told."""

_BLOCK = 256  # rows whose distances to all points are held at once


@dataclass(frozen=True)
class LabelAgreement:
    """One label's neighbors.

    Attributes
    ----------
    label
        Which.
    asked
        Points of it that were asked.
    in_map, in_descriptor
        Share of them, 0 to 1, whose nearest other point has the label, too.
    beside
        The other label that is nearest most often by the descriptor; None where none is.
    beside_count
        How often.
    """

    label: str
    asked: int
    in_map: float
    in_descriptor: float
    beside: str | None
    beside_count: int


@dataclass(frozen=True)
class Agreement:
    """How far a map's neighbors agree with the labels and with the descriptors.

    Attributes
    ----------
    in_map, in_descriptor
        Share, 0 to 1, of labeled points whose nearest other labeled point has the same label: by distance in the map,
        and by distance of the whole descriptors. None without labels, or where no point has another to be compared
        with.
    chance
        The same share for another point taken at random.
    kept
        Mean share of a point's ``neighbors`` nearest others by descriptor that are among as many nearest in the map;
        None where there are too few.
    kept_by_chance
        The same share of a map without any order.
    neighbors
        How many.
    asked, labeled
        Points that were asked: in all, and those with a label.
    other_videos
        Whether only points of other videos counted, as they do for clips: two clips of one video may overlap.
    by_label
        Each label's share, the lowest in the descriptors first.
    """

    in_map: float | None
    in_descriptor: float | None
    chance: float | None
    kept: float | None
    kept_by_chance: float | None
    neighbors: int
    asked: int
    labeled: int
    other_videos: bool
    by_label: tuple[LabelAgreement, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {**vars(self), "by_label": [vars(each) for each in self.by_label]}


def measure_agreement(
    layout: NDArray[np.float64],
    vectors: NDArray[np.floating[Any]],
    labels: Sequence[str | None],
    videos: NDArray[np.str_] | None = None,
    *,
    neighbors: int = 10,
    seed: int = 0,
) -> Agreement:
    """Compare a map's neighbors with the labels and with the descriptors it was made from.

    Parameters
    ----------
    layout
        ``(n, 2)``.
    vectors
        ``(n, D)``, of length one each or all as they are meant to be compared: distances are Euclidean.
    labels
        n names; None where unknown.
    videos
        ``(n,)``: of which video each point is. Points of one video are then no neighbors.
    neighbors
        How many for ``kept``; fewer where there are not twice as many others.
    seed
        Of the draw where there are more than `MOST_ASKED` points.

    Notes
    -----
    Where several points are equally near, each counts for its part; where more of them are as far as the last neighbor
    than there is room for, those, too. How many neighbors are kept is what Kobak and Berens (Nature Communications 10,
    2019) call KNN.
    """
    n = len(layout)
    rows = draw_rows(n, MOST_ASKED, seed)
    names, codes = _coded(labels)
    groups = np.arange(n) if videos is None else np.unique(videos, return_inverse=True)[1].reshape(-1)
    k = min(neighbors, (n - 1) // 2)
    shares = np.full((2, len(rows)), np.nan)  # in the map, in the descriptors
    nearest = np.full(len(rows), -1)
    chances = np.full(len(rows), np.nan)
    kept: list[float] = []
    kept_chance: list[float] = []
    spaces = [_Distances(np.asarray(layout, dtype=np.float64)), _Distances(vectors)]
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        away = groups[block][:, None] != groups[None]
        both = []
        for which, space in enumerate(spaces):
            squares = np.where(away, space.squares(block), np.inf)
            both.append(squares)
            for i, row in enumerate(block):
                labeled = np.where(codes >= 0, squares[i], np.inf)
                if codes[row] < 0 or not np.isfinite(labeled).any():
                    continue
                tied = np.flatnonzero(labeled <= labeled.min())
                shares[which, start + i] = (codes[tied] == codes[row]).mean()
                if which:
                    nearest[start + i] = codes[tied[0]]
                    others = away[i] & (codes >= 0)
                    chances[start + i] = (codes[others] == codes[row]).mean()
        for i in range(len(block)):
            others = int(away[i].sum())
            if 0 < k < others:
                first, second = (space.parts(squares[i], k) for space, squares in zip(spaces, both, strict=True))
                kept.append(float(first @ second) / k)
                kept_chance.append(k / others)
    asked = np.isfinite(shares).all(0)
    return Agreement(
        in_map=float(shares[0, asked].mean()) if asked.any() else None,
        in_descriptor=float(shares[1, asked].mean()) if asked.any() else None,
        chance=float(chances[asked].mean()) if asked.any() else None,
        kept=float(np.mean(kept)) if kept else None,
        kept_by_chance=float(np.mean(kept_chance)) if kept else None,
        neighbors=k,
        asked=len(rows),
        labeled=int(asked.sum()),
        other_videos=videos is not None,
        by_label=_by_label(names, codes[rows][asked], shares[:, asked], nearest[asked]),
    )


class _Distances:
    """Squared distances of some of the points to all of them."""

    def __init__(self, points: NDArray[np.floating[Any]]) -> None:
        self.points = points
        self.lengths = np.einsum("ij,ij->i", points, points)
        # What rounding leaves of equal points is no distance: they are tied.
        self.least = 8 * np.finfo(self.lengths.dtype).eps * float(self.lengths.max(initial=0.0))

    def squares(self, rows: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        products = self.points[rows] @ self.points.T
        found = self.lengths[rows][:, None] + self.lengths[None] - 2 * products
        return np.where(found <= self.least, 0.0, found)

    def parts(self, squares: NDArray[np.floating[Any]], k: int) -> NDArray[np.float64]:
        """How much of each point is among the k nearest, 0 to 1: those tied for the last places share them."""
        last = np.partition(squares, k - 1)[k - 1]
        nearer = squares < last - self.least
        tied = np.abs(squares - last) <= self.least
        found: NDArray[np.float64] = nearer.astype(np.float64)
        found[tied] = (k - nearer.sum()) / tied.sum()
        return found


def _coded(labels: Sequence[str | None]) -> tuple[list[str], NDArray[np.int64]]:
    names = sorted({label for label in labels if label is not None})
    code = {name: index for index, name in enumerate(names)}
    return names, np.array([-1 if label is None else code[label] for label in labels], dtype=np.int64)


def _by_label(
    names: Sequence[str], codes: NDArray[np.int64], shares: NDArray[np.float64], nearest: NDArray[np.int64]
) -> tuple[LabelAgreement, ...]:
    found = []
    for code in np.unique(codes).tolist():
        members = codes == code
        others = Counter(nearest[members & (nearest != code)].tolist())
        beside, count = others.most_common(1)[0] if others else (-1, 0)
        found.append(
            LabelAgreement(
                names[code],
                int(members.sum()),
                float(shares[0, members].mean()),
                float(shares[1, members].mean()),
                names[beside] if count else None,
                count,
            )
        )
    return tuple(sorted(found, key=lambda each: (each.in_descriptor, each.in_map, each.label)))
