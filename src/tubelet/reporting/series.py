"""Columns of numbers from metric rows: parsed, thinned and smoothed for drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def column(rows: Sequence[Mapping[str, object]], name: str) -> Floats:
    """One column as ``(n,)`` float64; what is missing, empty or not a number becomes NaN.

    Rows may come straight from ``csv.DictReader``, so numbers written as text are read.
    """
    return np.array([_number(row.get(name)) for row in rows], dtype=np.float64)


def _number(value: object) -> float:
    if value is None or isinstance(value, bool):
        return float("nan")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")
    return number if np.isfinite(number) else float("nan")


def thin(x: Floats, y: Floats, points: int = 1200) -> tuple[Floats, Floats]:
    """At most about ``points`` of a curve, keeping the lowest and the highest value of every stretch.

    Parameters
    ----------
    x, y
        ``(n,)`` each; NaN in ``y`` is a gap and stays one.

    Returns
    -------
    tuple of ndarray
        The thinned curve, in order; spikes are never lost.
    """
    if len(x) <= points:
        return x, y
    keep: set[int] = {0, len(x) - 1}
    for stretch in np.array_split(np.arange(len(x)), max(1, points // 3)):
        values = y[stretch]
        finite = np.flatnonzero(np.isfinite(values))
        if len(finite):
            keep.add(int(stretch[finite[np.argmin(values[finite])]]))
            keep.add(int(stretch[finite[np.argmax(values[finite])]]))
        gaps = np.flatnonzero(~np.isfinite(values))
        if len(gaps):
            keep.add(int(stretch[gaps[0]]))
    order = np.array(sorted(keep))
    return x[order], y[order]


def smooth(y: Floats, width: int) -> Floats:
    """Centered running mean over ``width`` points, cut off at the ends; NaN is ignored and stays a gap."""
    if width <= 1 or len(y) < 3:
        return y
    finite = np.isfinite(y)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, y, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    index = np.arange(len(y))
    low, high = np.maximum(index - width // 2, 0), np.minimum(index + width // 2 + 1, len(y))
    mean = (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1)
    return np.where(finite, mean, np.nan)
