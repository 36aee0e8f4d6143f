"""The same vectors in fewer numbers, where there are fewer vectors than numbers.

A linear SVM with L2 regularization and principal components depend on vectors through their inner products alone.
n vectors lie in a space of n dimensions, and turned into coordinates of it they keep all inner products, so that every
fold of 420 videos is fitted on 420 numbers instead of C3D's 4,096, with the same planes. Nothing is learned from a
video by this: the inner products of the others stay what they were, whichever videos are turned with them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def coordinates(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates of vectors in the space that they span.

    Parameters
    ----------
    vectors
        ``(n, D)`` float64, any rank.

    Returns
    -------
    numpy.ndarray
        ``(n, n)`` float64 with the same inner products, to rounding; the vectors themselves where n is not below D.
    """
    n, length = vectors.shape
    if n >= length:
        return vectors
    triangle: NDArray[np.float64] = np.asarray(np.linalg.qr(vectors.T, mode="r"))  # vectors.T = turn @ triangle
    return triangle.T
