"""How far a measured mean could have come out otherwise: bootstrap over videos, or over groups of videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
MIN_GROUPS = 10
_BLOCK = 1 << 22  # draws × units held at once


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
        ``"percentile bootstrap"``, or ``"exact binomial"`` where every unit came out the same.
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


def bootstrap_interval(
    values: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
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
    draws
        Number of resamples.
    level
        Confidence between 0 and 1.
    seed
        The same seed gives the same interval.

    Returns
    -------
    Interval
        Where all values are 1, or all 0, resampling cannot vary; the exact binomial (Clopper-Pearson) end is
        given instead, and ``method`` says so.
    """
    observed = np.asarray(values, dtype=np.float64)
    if observed.ndim != 1 or len(observed) == 0:
        raise ValueError(f"an interval needs (n,) values with n > 0, not shape {observed.shape}")
    if groups is not None and len(groups) != len(observed):
        raise ValueError(f"{len(observed)} values but {len(groups)} groups")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    sums, counts, unit = _units(observed, groups)
    tail = (1.0 - level) / 2.0
    if np.all(observed == 1.0) or np.all(observed == 0.0):
        # P(all n right) = p^n: the p at which that still has probability `tail`.
        reach = float(tail ** (1.0 / len(sums)))
        low, high = (reach, 1.0) if observed[0] == 1.0 else (0.0, 1.0 - reach)
        return Interval(low, high, level, "exact binomial", unit, len(sums), 0)
    means = _resampled_means(sums, counts, draws, seed)
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(low), float(high), level, "percentile bootstrap", unit, len(sums), draws)


def _units(
    values: NDArray[np.float64], groups: Sequence[str] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    if groups is not None:
        names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        if len(names) >= MIN_GROUPS:
            sums = np.bincount(index, values).astype(np.float64)
            return sums, np.bincount(index).astype(np.float64), "group"
    return values, np.ones(len(values)), "video"


def _resampled_means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], draws: int, seed: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    n = len(sums)
    step = max(1, _BLOCK // n)
    means = np.empty(draws)
    for start in range(0, draws, step):
        block = min(step, draws - start)
        times_drawn = rng.multinomial(n, np.full(n, 1.0 / n), size=block).astype(np.float64)
        means[start : start + block] = (times_drawn @ sums) / (times_drawn @ counts)
    return means
