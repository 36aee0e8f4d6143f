"""How alike two descriptors see a collection, whatever their length: neighbors in common, and CKA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.audit.closeness import Floats
from tubelet.descriptors.pooling import l2_normalize

NEIGHBORS = 10


@dataclass(frozen=True)
class Neighborhood:
    """The nearest neighbors in two descriptors.

    Attributes
    ----------
    shared
        Mean share of the ``k`` nearest (by cosine, itself aside) that both have in common.
    first
        Share of items whose nearest neighbor is the same in both.
    chance
        What ``shared`` is between two random orders: k / (n - 1).
    k, items
        Out of how many.
    """

    shared: float
    first: float
    chance: float
    k: int
    items: int


def neighborhood(first: NDArray[np.floating], second: NDArray[np.floating], k: int = NEIGHBORS) -> Neighborhood | None:
    """Compare neighbors in ``(n, D)`` and ``(n, D2)``, item by item the same; None of fewer than three items.

    Parameters
    ----------
    first, second
        Any finite vectors; they are scaled to length one.
    k
        Neighbors of each item; half of the others where there are fewer than 2 k, since all of them would always be
        shared.
    """
    n = len(first)
    if n < 3:
        return None
    most = max(1, min(k, (n - 1) // 2))
    one, other = _nearest(first, most), _nearest(second, most)
    shared = [len(set(mine) & set(yours)) for mine, yours in zip(one.tolist(), other.tolist(), strict=True)]
    return Neighborhood(
        shared=float(np.mean(shared)) / most,
        first=float((one[:, 0] == other[:, 0]).mean()),
        chance=most / (n - 1),
        k=most,
        items=n,
    )


def _nearest(vectors: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """``(n, k)`` items by cosine, the nearest first; of equally near ones the first."""
    unit = l2_normalize(vectors).astype(np.float64)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    # Rounded, so that duplicates do not change places by the last bit of a product.
    return np.argsort(-np.round(cosine, 9), axis=1, kind="stable")[:, :k].astype(np.int64)


def linear_cka(first: NDArray[np.floating], second: NDArray[np.floating]) -> float | None:
    """Linear centered kernel alignment without bias; 1 for equal up to rotation and scale, 0 for unrelated.

    With the unbiased estimator of HSIC, so that few items of many numbers do not look alike by themselves. Sources:
    Kornblith et al., ICML 2019, section 3; the estimator: Song et al., JMLR 13 (2012), equation 5.

    Parameters
    ----------
    first, second
        ``(n, D)`` and ``(n, D2)``, item by item the same.

    Returns
    -------
    float or None
        None of fewer than four items, or where one of them does not vary.
    """
    if len(first) < 4:
        return None
    one, other = (_kernel(np.asarray(vectors, dtype=np.float64)) for vectors in (first, second))
    own = _hsic(one, one), _hsic(other, other)
    if min(own) <= 0.0:
        return None
    return float(_hsic(one, other) / np.sqrt(own[0] * own[1]))


def _kernel(vectors: Floats) -> Floats:
    # HSIC does not change by a constant; without it the products keep more digits.
    centered = vectors - vectors.mean(axis=0)
    kernel: Floats = centered @ centered.T
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _hsic(one: Floats, other: Floats) -> float:
    n = len(one)
    sums = one.sum(axis=0), other.sum(axis=0)
    trace = float((one * other).sum())
    means = float(sums[0].sum() * sums[1].sum()) / ((n - 1) * (n - 2))
    mixed = 2.0 * float(sums[0] @ sums[1]) / (n - 2)
    return (trace + means - mixed) / (n * (n - 3))
