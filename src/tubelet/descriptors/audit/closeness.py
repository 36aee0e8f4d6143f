"""How near two sets of vectors are, row by row, and how near they have to be where only rounding differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAME_PLACE, ANOTHER_PLACE, BFLOAT16 = 1e-4, 3e-2, 3e-2
"""What a row may be off by, as a share of its length; docs/trust.md has the measurements.

Float32 with the same versions on the same kind of machine; with others, whose decoder may give other pixels by a gray
level; and where either side was computed in bfloat16.
"""

_PLACE = ("machine", "device")
_PACKAGES = ("torch", "av", "numpy")


@dataclass(frozen=True, eq=False)
class RowDistances:
    """Row by row, ``(n,)`` float64 each.

    Attributes
    ----------
    cosine
        Of the angle between the two rows: 1 where both are zeros, 0 where one of them is; NaN where a number is not
        finite.
    relative
        Length of the difference over that of the longer row: 0 where both are zeros, infinite where a number is not
        finite.
    largest
        The largest difference of one number.
    """

    cosine: Floats
    relative: Floats
    largest: Floats

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.cosine)


def row_distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> RowDistances:
    """Compare ``(n, D)`` with ``(n, D)``, in float64."""
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = one - other
        lengths = np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)
        longer = np.maximum(*lengths)
        both_zero = longer == 0.0
        one_zero = ~both_zero & (np.minimum(*lengths) == 0.0)
        # From the chord between the unit vectors: exactly 1 for equal rows, and small angles keep their digits.
        chord = one / np.where(lengths[0] == 0.0, 1.0, lengths[0])[:, None]
        chord = chord - other / np.where(lengths[1] == 0.0, 1.0, lengths[1])[:, None]
        cosine = np.where(one_zero, 0.0, 1.0 - (chord**2).sum(axis=1) / 2.0)
        relative = np.linalg.norm(difference, axis=1) / np.where(both_zero, 1.0, longer)
        largest = np.abs(difference).max(axis=1, initial=0.0)
    finite = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    return RowDistances(
        cosine=np.where(finite, np.where(both_zero, 1.0, np.clip(cosine, -1.0, 1.0)), np.nan),
        relative=np.where(finite, relative, np.inf),
        largest=np.where(finite, largest, np.inf),
    )


@dataclass(frozen=True)
class Allowance:
    """What rows may be off by, and why so much.

    Attributes
    ----------
    relative
        Of `RowDistances.relative`.
    why
        A phrase for people.
    elsewhere
        What differs between the place where rows were made and this one: ``"torch 2.12.0 there, 2.13.0 here"``.
    """

    relative: float
    why: str
    elsewhere: tuple[str, ...] = ()


def allowance(record: Mapping[str, Any], here: Mapping[str, Any], precisions: tuple[str, str]) -> Allowance:
    """How near a recomputed row has to be.

    Parameters
    ----------
    record
        A table's ``provenance.json``; may be empty.
    here
        `tubelet.provenance.environment` of this process, with ``device``.
    precisions
        Of the table, and of the recomputation.
    """
    pairs = [(name, record.get(name), here.get(name)) for name in _PLACE]
    there = record.get("packages") or {}
    pairs += [(name, there.get(name), here["packages"].get(name)) for name in _PACKAGES]
    other = tuple(f"{name} {was or 'unknown'} there, {now} here" for name, was, now in pairs if was != now)
    if "bfloat16" in precisions:
        return Allowance(BFLOAT16, "bfloat16 rounds to 8 bits", other)
    if other:
        return Allowance(ANOTHER_PLACE, "float32 on another machine or with other versions", other)
    return Allowance(SAME_PLACE, "float32 with the same versions on the same kind of machine")
