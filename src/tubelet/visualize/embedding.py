"""A map of descriptors: many numbers per video become two, neighbors staying neighbors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.errors import UsageError

_FIRST_DIMENSIONS = 50  # t-SNE's distances are taken after PCA to this many, as its authors advise
_PERPLEXITY_SHARE = 3.0  # a perplexity of a third of the points is the most that still says "neighbor"


def embed_tsne(
    vectors: ArrayLike,
    *,
    seed: int = 0,
    perplexity: float = 30.0,
    iterations: int = 1000,
) -> NDArray[np.float64]:
    """Lay out descriptors in the plane with t-SNE, begun from their principal components.

    Parameters
    ----------
    vectors
        (n, D) finite numbers, n ≥ 1, D ≥ 1; for descriptors, the L2-normalized video vectors.
    seed
        Makes the layout repeatable on one machine (scikit-learn's ``random_state``).
    perplexity
        Effective number of neighbors; at most a third of n is used, so that small collections work.
    iterations
        Optimization steps, at least 250.

    Returns
    -------
    ndarray
        (n, 2) float64, centered, the farthest point at distance 1. Only neighborhoods mean something: neither
        the axes, nor the sizes of clusters, nor the distances between them do. Fewer than five points, and
        points that are all equal, are laid out by PCA alone.

    Raises
    ------
    UsageError
        ``vectors`` is not a (n, D) array of finite numbers.

    Notes
    -----
    L. van der Maaten and G. Hinton, Visualizing Data using t-SNE, JMLR 9 (2008). The PCA start keeps the global
    arrangement and makes the result repeatable: D. Kobak and P. Berens, Nature Communications 10 (2019).
    """
    points = np.asarray(vectors, dtype=np.float64)
    if points.ndim != 2 or 0 in points.shape:
        raise UsageError("an embedding needs (n, D) vectors", why=f"shape {points.shape}")
    if not np.isfinite(points).all():
        bad = int((~np.isfinite(points).all(1)).sum())
        raise UsageError("an embedding needs finite vectors", why=f"{bad} of {len(points)} are not")
    centered = points - points.mean(0)
    # Less spread than rounding leaves is no spread: the start would be divided by it.
    if np.abs(centered).max() <= 1e-12 * np.abs(points).max():
        return np.zeros((len(points), 2))
    reduced = _principal(centered, min(_FIRST_DIMENSIONS, *points.shape))
    if len(points) < 5:
        return _framed(_two_columns(reduced))

    from sklearn.manifold import TSNE

    start = _two_columns(reduced)
    start = start / start[:, 0].std() * 1e-4  # small, so that early exaggeration can act
    layout = TSNE(
        n_components=2,
        perplexity=min(perplexity, len(points) / _PERPLEXITY_SHARE),
        init=start.astype(np.float32),
        learning_rate="auto",
        max_iter=iterations,
        random_state=seed,
    ).fit_transform(reduced.astype(np.float32))
    return _framed(np.asarray(layout, dtype=np.float64))


def _principal(centered: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    """Scores on the first principal components, the sign of each fixed by its largest loading."""
    from sklearn.decomposition import PCA

    solver = "full" if min(centered.shape) <= 500 else "randomized"
    scores = PCA(dimensions, svd_solver=solver, random_state=0).fit_transform(centered)
    return np.asarray(scores, dtype=np.float64)


def _two_columns(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.pad(scores[:, :2], ((0, 0), (0, max(0, 2 - scores.shape[1]))))


def _framed(layout: NDArray[np.float64]) -> NDArray[np.float64]:
    layout = layout - (layout.max(0) + layout.min(0)) / 2
    farthest = float(np.linalg.norm(layout, axis=1).max())
    return np.asarray(layout / farthest)
