"""From activations to vectors, and from the vectors of clips to the vector of a video."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

FloatArray = NDArray[np.float32]

# The paper's pool5 descriptor is the whole map (C·T·H·W = 8,192 for C3D), the input of fc6.
_FLATTENED = frozenset({"pool5"})


def clip_vectors(layer: str, activation: torch.Tensor) -> torch.Tensor:
    """Turn one layer's activation into one vector per clip.

    Parameters
    ----------
    layer
        Name of the layer, as in ``model.layer_names``.
    activation
        ``(N, D)``, or a feature map ``(N, C, T, H, W)``.

    Returns
    -------
    torch.Tensor
        ``(N, D)`` float32. Fully connected layers are taken as they are; ``pool5`` is flattened in the order
        C, T, H, W (C3D paper, section 3.3: the 8,192 inputs of fc6); every other feature map (``conv5b``,
        ``pool2``, …) is averaged over T, H and W, which leaves its C channels.
    """
    if activation.ndim == 2:
        return activation.float()
    if layer in _FLATTENED:
        return activation.flatten(1).float()
    # Averaging in float32 keeps a bfloat16 map's mean from being rounded at each addition.
    return activation.float().flatten(2).mean(2)


def l2_normalize(vectors: NDArray[np.floating]) -> FloatArray:
    """Scale vectors to length one along the last axis.

    Parameters
    ----------
    vectors
        ``(D,)`` or ``(n, D)`` float.

    Returns
    -------
    numpy.ndarray
        The same shape, float32. A vector of zeros stays zeros: it has no direction, and NaN would spread.
    """
    wide = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return (wide / np.where(lengths == 0.0, 1.0, lengths)).astype(np.float32)


def video_vector(vectors: FloatArray) -> FloatArray:
    """The descriptor of a video: mean over its clips, then L2 (C3D paper, section 3.3).

    Parameters
    ----------
    vectors
        ``(n_clips, D)`` float32, at least one clip.

    Returns
    -------
    numpy.ndarray
        ``(D,)`` float32 of length one (or zeros, if the mean is zero).
    """
    if vectors.ndim != 2 or len(vectors) == 0:
        raise ValueError(f"a video vector needs (n_clips, D) with n_clips > 0, not shape {vectors.shape}")
    return l2_normalize(vectors.mean(axis=0, dtype=np.float64))


class GroupedMeans:
    """Means per group over rows that arrive in batches, in memory proportional to the number of groups.

    Parameters
    ----------
    n_groups
        How many groups there are.
    dimension
        Length of a row.
    """

    def __init__(self, n_groups: int, dimension: int) -> None:
        self._sums = np.zeros((n_groups, dimension), dtype=np.float64)
        self.counts = np.zeros(n_groups, dtype=np.int64)

    def add(self, groups: Iterable[int], rows: FloatArray) -> None:
        """Add ``rows`` ``(n, D)``, row i to group ``groups[i]``."""
        index = np.asarray(groups, dtype=np.int64)
        np.add.at(self._sums, index, rows)
        np.add.at(self.counts, index, 1)

    def means(self) -> NDArray[np.float64]:
        """``(n_groups, D)`` float64 means; groups without rows are zeros."""
        return self._sums / np.maximum(self.counts, 1)[:, None]
