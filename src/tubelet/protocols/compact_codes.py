"""Vectors in fewer and in smaller numbers: principal components, and eight bits a number.

Both are learned from training vectors alone and then applied to any: C3D's paper projects its descriptor to 10 to 500
numbers (section 4, figure 6); eight bits a number is how vectors are commonly stored and searched (the scalar quantizer
of search libraries).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Int8Array = NDArray[np.int8]

_LOW, _HIGH = -128, 127
_LEVELS = _HIGH - _LOW


@dataclass(frozen=True, eq=False)
class Principal:
    """Principal components, the largest variance first; a smaller number of them are the first ones.

    Attributes
    ----------
    mean
        ``(D,)`` float64, of the training vectors.
    components
        ``(d, D)`` float64, orthonormal rows.
    rank
        Directions that the centered training vectors really span: at most n - 1 of n vectors, and at most D. A
        direction counts if its singular value is above what rounding to float32 makes by itself.
    """

    mean: FloatArray
    components: FloatArray
    rank: int

    @classmethod
    def fit(cls, vectors: NDArray[np.floating], most: int) -> Principal:
        """Learn at most ``most`` components of ``(n, D)`` vectors, n at least 1: fewer, where their rank is below."""
        rows = np.asarray(vectors, dtype=np.float64)
        mean = rows.mean(axis=0)
        _, values, directions = np.linalg.svd(rows - mean, full_matrices=False)
        rank = int((values > _rounding(rows)).sum())
        return cls(mean, directions[: min(most, rank)], rank)

    def transform(self, vectors: NDArray[np.floating]) -> FloatArray:
        """``(n, D)`` vectors as ``(n, d)`` float64 numbers; not scaled, so that distances stay what they are."""
        return (np.asarray(vectors, dtype=np.float64) - self.mean) @ self.components.T


def _rounding(rows: FloatArray) -> float:
    """The largest singular value that errors of rounding to float32 make.

    Independent errors of standard deviation s give a matrix whose largest singular value is s (sqrt(n) + sqrt(D)).
    Rounding errs by at most half of float32's step, so that a whole step of the typical number is on the safe side.
    """
    typical = float(np.sqrt((rows**2).mean()))
    length, numbers = rows.shape
    return float(np.finfo(np.float32).eps) * typical * float(np.sqrt(length) + np.sqrt(numbers))


@dataclass(frozen=True, eq=False)
class Int8Codes:
    """Eight bits a number: each dimension's training values, lowest to highest, in 255 equal steps.

    A lowest value and a step for every dimension (an asymmetric, "affine" code) use all 256 levels whether a dimension
    has two signs, as principal components have, or one, as descriptors behind a ReLU; a scale alone would leave
    the latter half of them.

    Attributes
    ----------
    lowest, step
        ``(D,)`` float32 each: code c stands for ``lowest + step (c + 128)``.
    """

    lowest: NDArray[np.float32]
    step: NDArray[np.float32]

    @classmethod
    def fit(cls, vectors: NDArray[np.floating]) -> Int8Codes:
        """Learn them from ``(n, D)`` training vectors, n at least 1."""
        low, high = vectors.min(axis=0), vectors.max(axis=0)
        step = (high.astype(np.float64) - low) / _LEVELS
        # A dimension that never changes has one level; any step keeps it.
        return cls(low.astype(np.float32), np.where(step > 0, step, 1.0).astype(np.float32))

    def encode(self, vectors: NDArray[np.floating]) -> Int8Array:
        """``(n, D)`` int8: the nearest level; values beyond the training's stop at its lowest or highest."""
        steps = np.rint((vectors.astype(np.float64) - self.lowest) / self.step) + _LOW
        codes: Int8Array = np.clip(steps, _LOW, _HIGH).astype(np.int8)
        return codes

    def decode(self, codes: Int8Array) -> NDArray[np.float32]:
        """``(n, D)`` float32 that the codes stand for."""
        return (self.lowest + self.step * (codes.astype(np.float64) - _LOW)).astype(np.float32)
