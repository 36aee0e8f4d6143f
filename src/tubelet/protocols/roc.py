"""The ROC of a same / not-same decision, its area, and the mean of the curves of several folds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.artifacts import write_text
from tubelet.errors import InputDataError

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Roc:
    """Points of a curve, joined by straight lines.

    Attributes
    ----------
    false_positive
        ``(m,)`` shares of the not-same pairs taken for same, from 0 to 1, never falling.
    true_positive
        ``(m,)`` shares of the same pairs recognized, from 0 to 1, never falling.
    """

    false_positive: Values
    true_positive: Values

    @property
    def auc(self) -> float:
        """Area under the curve: the chance that a same pair scores above a not-same one, ties counting half."""
        heights = (self.true_positive[1:] + self.true_positive[:-1]) / 2.0
        return float((np.diff(self.false_positive) * heights).sum())


def roc_curve(scores: ArrayLike, same: ArrayLike) -> Roc:
    """The curve over all thresholds.

    Parameters
    ----------
    scores
        ``(n,)``, higher means rather the same; pairs of one score pass together.
    same
        ``(n,)`` bool, at least one of each kind.

    Raises
    ------
    ValueError
        There is only one kind of pairs.
    """
    values, positive = np.asarray(scores, dtype=np.float64), np.asarray(same, dtype=np.bool_)
    if positive.all() or not positive.any():
        raise ValueError("a ROC needs same and not-same pairs")
    order = np.argsort(-values, kind="stable")
    sorted_values, sorted_positive = values[order], positive[order]
    last_of_score = np.append(np.flatnonzero(np.diff(sorted_values)), len(values) - 1)
    hits = np.cumsum(sorted_positive)[last_of_score]
    alarms = last_of_score + 1 - hits
    return Roc(np.append(0.0, alarms / alarms[-1]), np.append(0.0, hits / hits[-1]))


def mean_roc(curves: Sequence[Roc]) -> Roc:
    """The mean of the curves' true-positive shares at every false-positive share.

    Exact: at each share where a curve rises, both ends of the rise are averaged, so that the area of the mean curve is
    the mean of the areas.
    """
    shares = np.unique(np.concatenate([curve.false_positive for curve in curves]))
    below, above = (np.mean(ends, axis=0) for ends in zip(*(_ends(curve, shares) for curve in curves), strict=True))
    return Roc(np.repeat(shares, 2), np.stack([below, above], axis=1).ravel())


def write_curve(path: str | os.PathLike[str], curve: Roc) -> Path:
    """Write a curve as ASLAN's results page has them: a point per line, true-positive share, then false-positive."""
    points = zip(curve.true_positive.tolist(), curve.false_positive.tolist(), strict=True)
    return write_text(path, "".join(f"{true:.9g} {false:.9g}\n" for true, false in points))


def read_curve(path: str | os.PathLike[str]) -> Roc:
    """Read what `write_curve` wrote, or one of the files of ASLAN's results page, whichever end it begins with.

    Raises
    ------
    InputDataError
        A line is not two shares, or the points are not those of a rising curve.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        points = np.array([[float(word) for word in line.split()] for line in lines if line.strip()])
        if points.ndim != 2 or points.shape[1] != 2 or not ((points >= 0.0) & (points <= 1.0)).all():
            raise ValueError("its lines are not two shares between 0 and 1")
        true, false = points[np.lexsort((points[:, 0], points[:, 1]))].T
        if (np.diff(true) < 0.0).any():
            raise ValueError("its points are not on a rising curve")
    except (OSError, ValueError) as error:
        raise InputDataError(
            "the ROC cannot be read", path=path, why=str(error), remedy="a point per line: true, then false positives"
        ) from error
    return Roc(np.concatenate([[0.0], false, [1.0]]), np.concatenate([[0.0], true, [1.0]]))


def _ends(curve: Roc, shares: Values) -> tuple[Values, Values]:
    """Where the curve arrives at these false-positive shares, and where it leaves them."""
    known, first = np.unique(curve.false_positive, return_index=True)
    arrives = curve.true_positive[first]
    leaves = curve.true_positive[np.append(first[1:] - 1, len(curve.true_positive) - 1)]
    at = np.searchsorted(known, shares, side="right") - 1
    after = np.minimum(at + 1, len(known) - 1)
    on = known[at] == shares
    way = np.where(on, 0.0, (shares - known[at]) / np.where(on, 1.0, known[after] - known[at]))
    between = leaves[at] + way * (arrives[after] - leaves[at])
    return np.where(on, arrives[at], between), np.where(on, leaves[at], between)
