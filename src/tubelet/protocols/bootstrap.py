"""How far a measured mean could have come out otherwise: bootstrap over videos, or over groups of videos.

The mean is that over all videos, or, where class indices are given, the mean over classes of each class's mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
MIN_GROUPS = 10
_BLOCK = 1 << 22  # draws × units held at once
_KEPT = 1 << 25  # draws × units remembered, of two bytes each

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval and how it was made.

    Attributes
    ----------
    low, high
        Ends, in the unit of the value.
    level
        Confidence, 0.95 unless asked otherwise.
    method
        ``"percentile bootstrap"``, or ``"exact binomial"`` where every video came out the same.
    unit
        What was resampled: ``"video"`` or ``"group"``.
    n_units
        How many of them there are.
    draws
        Number of resamples (0 for the exact interval).
    """

    low: float
    high: float
    level: float
    method: str
    unit: str
    n_units: int
    draws: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self)


def class_mean(values: ArrayLike, classes: NDArray[np.int64]) -> float:
    """The mean over classes of each class's mean value; classes without videos do not count.

    TSN's metric, where ``values`` say whether each video was recognized (``mean_class_accuracy`` of its code).

    Parameters
    ----------
    values
        ``(n,)``, n at least 1.
    classes
        ``(n,)`` class indices.
    """
    counts = np.bincount(classes)
    sums = np.bincount(classes, np.asarray(values, dtype=np.float64))
    return float((sums[counts > 0] / counts[counts > 0]).mean())


def bootstrap_interval(
    values: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    classes: NDArray[np.int64] | None = None,
    draws: int = DRAWS,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of the mean of one value per video.

    Videos of one group (a UCF101 source video, a Weizmann actor) resemble each other, so whole groups are
    resampled where there are at least ten; with fewer, an interval over groups would rest on too few units
    and videos are resampled.

    Parameters
    ----------
    values
        ``(n,)``, e.g. 1 where the prediction is right and 0 where it is wrong.
    groups
        Group of each video, or None.
    classes
        ``(n,)`` class index of each video: then the interval is that of :func:`class_mean`. In each resample only
        the classes that were drawn count.
    draws
        Number of resamples.
    level
        Confidence between 0 and 1.
    seed
        The same seed gives the same interval.

    Returns
    -------
    Interval
        Where all values (of each class) are 1, or all 0, resampling cannot vary; the exact binomial (Clopper-Pearson)
        end is given instead, and ``method`` says so.
    """
    observed = _checked(values, groups, classes, level)
    if np.isin(observed, (0.0, 1.0)).all() and _cannot_vary(observed, classes):
        return _exact(observed, 0.0, groups, classes, level)
    return _percentile(observed, groups, classes, draws, level, seed)


def paired_interval(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    classes: NDArray[np.int64] | None = None,
    draws: int = DRAWS,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of the difference, ``second`` minus ``first``, of two systems' means on the same videos.

    Each resample draws the same videos (or groups) for both, so what is hard for both cancels. An interval that
    does not hold 0 is a difference that these videos show.

    Parameters
    ----------
    first, second
        ``(n,)`` each between 0 and 1: what the systems got for the same n videos, in the same order.
    groups, classes, draws, level, seed
        As in :func:`bootstrap_interval`.

    Returns
    -------
    Interval
        In ``[-1, 1]``. Where the systems differ equally on every video (of each class; not at all, as a rule), the
        exact binomial bound: other videos, a share p of all, go unseen in n with probability ``(1 - p)^n``.
    """
    ours, theirs = _checked(second, groups, classes, level), _checked(first, groups, classes, level)
    if ours.shape != theirs.shape:
        raise ValueError(f"{len(theirs)} values cannot be paired with {len(ours)}")
    if min(ours.min(), theirs.min()) < 0.0 or max(ours.max(), theirs.max()) > 1.0:
        raise ValueError("paired values must lie between 0 and 1")
    difference = ours - theirs
    if _cannot_vary(difference, classes):
        return _exact(difference, -1.0, groups, classes, level)
    return _percentile(difference, groups, classes, draws, level, seed)


def _checked(
    values: ArrayLike, groups: Sequence[str] | None, classes: NDArray[np.int64] | None, level: float
) -> FloatArray:
    observed = np.asarray(values, dtype=np.float64)
    if observed.ndim != 1 or len(observed) == 0:
        raise ValueError(f"an interval needs (n,) values with n > 0, not shape {observed.shape}")
    if groups is not None and len(groups) != len(observed):
        raise ValueError(f"{len(observed)} values but {len(groups)} groups")
    if classes is not None and np.shape(classes) != observed.shape:
        raise ValueError(f"{len(observed)} values but classes of shape {np.shape(classes)}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    return observed


def _unit_of(n: int, groups: Sequence[str] | None) -> tuple[NDArray[np.int64], str, int]:
    """Unit of each video, what a unit is, and how many there are."""
    if groups is not None:
        names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        if len(names) >= MIN_GROUPS:
            return index.astype(np.int64), "group", len(names)
    return np.arange(n, dtype=np.int64), "video", n


def _cannot_vary(values: FloatArray, classes: NDArray[np.int64] | None) -> bool:
    """Whether all videos (of each class) have the same value."""
    if classes is None:
        return bool(np.all(values == values[0]))
    return all(np.ptp(values[classes == name]) == 0.0 for name in np.unique(classes))


def _exact(
    values: FloatArray,
    least: float,
    groups: Sequence[str] | None,
    classes: NDArray[np.int64] | None,
    level: float,
) -> Interval:
    """Ends at which what came out alike everywhere (in each class) still does so with probability ``tail``.

    A class's videos have its value with chance p_k, else the worst there is: ``least`` for the low end, 1 for the high.
    """
    _, unit, n_units = _unit_of(len(values), groups)
    tail = (1.0 - level) / 2.0
    if classes is None or unit == "group":
        chance = tail ** (1.0 / n_units)  # p^n = tail
        middle = float(values[0]) if classes is None else class_mean(values, classes)
        low, high = least + chance * (middle - least), 1.0 - chance * (1.0 - middle)
    else:
        names, counts = np.unique(classes, return_counts=True)
        each = np.array([values[classes == name][0] for name in names])
        low = least + _least_sum(each - least, counts, tail) / len(names)
        high = 1.0 - _least_sum(1.0 - each, counts, tail) / len(names)
    return Interval(float(low), float(high), level, "exact binomial", unit, n_units, 0)


def _least_sum(weights: FloatArray, counts: NDArray[np.int64], tail: float) -> float:
    """The least ``sum(w_k p_k)`` of chances with ``sum(n_k log p_k) = log(tail)``.

    By Lagrange p_k = min(1, m n_k / w_k); m by bisection. Where w_k is 0 p_k does not matter and stays 1.
    """
    w, n = weights[weights > 0], counts[weights > 0].astype(np.float64)
    if not len(w):
        return 0.0
    low, high = 0.0, float((w / n).max())
    for _ in range(200):
        middle = (low + high) / 2.0
        if middle > 0.0 and float((n * np.log(np.minimum(1.0, middle * n / w))).sum()) >= np.log(tail):
            high = middle
        else:
            low = middle
    return float((w * np.minimum(1.0, high * n / w)).sum())


def _percentile(
    values: FloatArray,
    groups: Sequence[str] | None,
    classes: NDArray[np.int64] | None,
    draws: int,
    level: float,
    seed: int,
) -> Interval:
    index, unit, n_units = _unit_of(len(values), groups)
    column = np.zeros(len(values), dtype=np.int64) if classes is None else np.unique(classes, return_inverse=True)[1]
    k = int(column.max()) + 1
    cell = index * k + column
    sums = np.bincount(cell, values, minlength=n_units * k).reshape(n_units, k).astype(np.float64)
    counts = np.bincount(cell, minlength=n_units * k).reshape(n_units, k).astype(np.float64)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(_resampled_means(sums, counts, draws, seed), [tail, 1.0 - tail])
    return Interval(float(low), float(high), level, "percentile bootstrap", unit, n_units, draws)


def _resampled_means(sums: FloatArray, counts: FloatArray, draws: int, seed: int) -> FloatArray:
    """``(draws,)``: of the columns' means, the mean over those columns that were drawn."""
    n = len(sums)
    means = []
    for times_drawn in _kept_blocks(n, draws, seed) if n * draws <= _KEPT else _blocks(n, draws, seed):
        wide = times_drawn.astype(np.float64)
        drawn = wide @ counts
        seen = drawn > 0
        shares = np.divide(wide @ sums, drawn, out=np.zeros_like(drawn), where=seen)
        means.append(shares.sum(axis=1) / seen.sum(axis=1))
    return np.concatenate(means)


def _blocks(n: int, draws: int, seed: int) -> Iterator[NDArray[np.uint16]]:
    """How often each of n units is in each resample, (draws, n) in all, a block of rows at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // n)
    for start in range(0, draws, step):
        yield rng.multinomial(n, np.full(n, 1.0 / n), size=min(step, draws - start)).astype(np.uint16)


@lru_cache(maxsize=1)
def _kept_blocks(n: int, draws: int, seed: int) -> tuple[NDArray[np.uint16], ...]:
    """The same, remembered: a table of figures takes its intervals from the same resamples, and they are the cost."""
    return tuple(_blocks(n, draws, seed))
