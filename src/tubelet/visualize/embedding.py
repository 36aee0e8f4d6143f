"""A map of descriptors: many numbers per video become two, neighbors staying neighbors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.errors import MissingExtraError, UsageError

FIRST_DIMENSIONS = 50
"""t-SNE's distances are taken between this many principal components at most, as its authors advise."""
LEAST_POINTS = 5
"""With fewer points there is nothing to optimize: their principal components are drawn."""

_PERPLEXITY_SHARE = 3.0  # each point has three times the perplexity of neighbors: a third of the points is the most
_EARLY_STEPS = 250  # in which the affinities are exaggerated, as in van der Maaten's code
_EXAGGERATION = 12.0
# Few points, exaggerated so much, fall into one from which the optimizer's tree cannot part them again (seen at 30 and
# fewer): so many points allow one unit of exaggeration.
_POINTS_PER_UNIT = 100
_START = 1e-2  # standard deviation of the start: small, so that exaggeration can act
_JITTER = 1e-4  # what is almost equal starts so far apart: the optimizer's tree counts points on one place as one
_THREADS_FROM = 5000  # threads that wait for each other cost more than fewer points save
_EXACT_BELOW = 200  # points whose repulsions are all summed, which costs a second: far ones are not taken together
_TOLD_EVERY = 50


@dataclass(frozen=True, eq=False)
class Embedding:
    """Points in the plane, and how they came there.

    Attributes
    ----------
    points
        ``(n, 2)`` float64, centered, the farthest point at distance 1 (all zero where all vectors are equal).
    method
        ``"t-SNE"`` or ``"principal components"``.
    distinct
        Different vectors; equal ones are one point to t-SNE, and lie on one place.
    dimensions
        Principal components that distances were taken between.
    kept
        Share of the variance that lies in them, 0 to 1; of principal components: in the two that are drawn.
    perplexity
        Effective number of neighbors; None without t-SNE.
    kl_divergence
        What t-SNE minimized, in nats; of 200 points and more with the optimizer's approximation, which is low by one or
        two percent. None without t-SNE.
    steps
        Optimization steps; 0 without t-SNE.
    scale
        What the optimizer's own coordinates, centered, were divided by.
    """

    points: NDArray[np.float64]
    method: str
    distinct: int
    dimensions: int
    kept: float
    perplexity: float | None = None
    kl_divergence: float | None = None
    steps: int = 0
    scale: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the points."""
        return {name: value for name, value in vars(self).items() if name != "points"}


def embed_tsne(
    vectors: ArrayLike,
    *,
    perplexity: float = 30.0,
    steps: int = 1000,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Embedding:
    """Lay out descriptors in the plane with t-SNE, begun from their principal components.

    Parameters
    ----------
    vectors
        (n, D) finite numbers, n ≥ 1, D ≥ 1; for descriptors, vectors of length one.
    perplexity
        Effective number of neighbors, more than 0; at most a third of the other points is used, so that small
        collections work.
    steps
        Optimization steps, at least 250.
    jobs
        Threads; None is one for each processor, or a single one for few points. The layout is the same for any number.
    progress
        Told how many steps of how many are done.

    Returns
    -------
    Embedding
        Only neighborhoods mean something in it: neither the axes, nor the sizes of clusters, nor the distances between
        them do. Fewer than five points, and points that are all equal, are laid out by principal components.

    Raises
    ------
    UsageError
        ``vectors`` is not a (n, D) array of finite numbers, or an option is out of range.
    MissingExtraError
        openTSNE, the extra ``map``, is not installed.

    Notes
    -----
    L. van der Maaten and G. Hinton, Visualizing Data using t-SNE, JMLR 9 (2008); the optimizer is that of openTSNE
    (P. G. Poličar, M. Stražar and B. Zupan, J. Stat. Softw. 109(3), 2024). Neighbors are exact, and the start is the
    first two principal components, which keeps the global arrangement (D. Kobak and P. Berens, Nature Communications
    10, 2019). What is random has a fixed seed, so that the same bits come again: a jitter of a hundredth of the start's
    spread, and the sketch that finds the components of more than 500 vectors of more than 500 numbers.
    """
    points = _checked(vectors)
    if not perplexity > 0 or steps < _EARLY_STEPS:
        raise UsageError(
            "t-SNE needs a perplexity above 0 and 250 steps or more", why=f"perplexity {perplexity}, {steps} steps"
        )
    if not needs_tsne(points):
        return embed_principal(points)
    open_tsne = _library()
    firsts, place = _distinct(points)
    n = len(firsts)
    single = points if n == len(points) else points[firsts]
    scores, kept = _principal(single, min(FIRST_DIMENSIONS, *single.shape))
    used = min(perplexity, (n - 1) / _PERPLEXITY_SHARE)
    threads = jobs or (1 if n < _THREADS_FROM else -1)
    affinities = open_tsne.affinity.PerplexityBasedNN(
        knn_index=_neighbors(open_tsne, scores, min(n - 1, int(_PERPLEXITY_SHARE * used))),
        perplexity=used,
        n_jobs=threads,
    )
    start = _two_columns(scores)
    start *= _START / start[:, 0].std()
    start += np.random.default_rng(0).normal(scale=_JITTER, size=start.shape)
    rough = 0.0 if n < _EXACT_BELOW else 0.5  # Barnes and Hut's angle
    layout = open_tsne.TSNEEmbedding(start, affinities, n_jobs=threads, theta=rough)
    done = 0

    def told(*_: object) -> None:
        nonlocal done
        done += _TOLD_EVERY
        if progress is not None:
            progress(min(done, steps), steps)

    calls = {"callbacks": [told], "callbacks_every_iters": _TOLD_EVERY} if progress is not None else {}
    early = float(np.clip(n / _POINTS_PER_UNIT, 1.0, _EXAGGERATION))
    layout.optimize(_EARLY_STEPS, exaggeration=early, momentum=0.5, inplace=True, **calls)
    layout.optimize(steps - _EARLY_STEPS, momentum=0.8, inplace=True, **calls)
    framed, scale = _framed(np.asarray(layout, dtype=np.float64))
    return Embedding(
        framed[place],
        "t-SNE",
        n,
        scores.shape[1],
        kept,
        perplexity=used,
        kl_divergence=float(layout.kl_divergence),
        steps=steps,
        scale=scale,
    )


def needs_tsne(vectors: ArrayLike) -> bool:
    """Whether there is anything to optimize: at least five different vectors, apart by more than rounding.

    Parameters
    ----------
    vectors
        (n, D) finite numbers, n ≥ 1, D ≥ 1.

    Raises
    ------
    UsageError
        ``vectors`` is not a (n, D) array of finite numbers.
    """
    points = _checked(vectors)
    kinds: set[bytes] = set()
    for vector in points:
        kinds.add(vector.tobytes())
        if len(kinds) == LEAST_POINTS:
            return _spread(points)
    return False


def embed_principal(vectors: ArrayLike) -> Embedding:
    """Lay out descriptors in the plane by their first two principal components.

    Parameters
    ----------
    vectors
        (n, D) finite numbers, n ≥ 1, D ≥ 1.

    Raises
    ------
    UsageError
        ``vectors`` is not a (n, D) array of finite numbers.
    """
    points = _checked(vectors)
    if not _spread(points):
        return Embedding(np.zeros((len(points), 2)), "principal components", 1, 1, 1.0)
    scores, kept = _principal(points, min(2, *points.shape))
    layout, scale = _framed(_two_columns(scores))
    return Embedding(layout, "principal components", len(_distinct(points)[0]), scores.shape[1], kept, scale=scale)


def _checked(vectors: ArrayLike) -> NDArray[np.floating[Any]]:
    points = np.asarray(vectors)
    if points.dtype not in (np.float32, np.float64):
        points = points.astype(np.float64)
    if points.ndim != 2 or 0 in points.shape:
        raise UsageError("an embedding needs (n, D) vectors", why=f"shape {points.shape}")
    finite = np.isfinite(points).all(1)
    if not finite.all():
        raise UsageError("an embedding needs finite vectors", why=f"{(~finite).sum()} of {len(points)} are not")
    return points


def _spread(points: NDArray[np.floating[Any]]) -> bool:
    # Less spread than rounding leaves is no spread: the start would be divided by it.
    return bool(np.ptp(points, axis=0).max() > 4 * np.finfo(points.dtype).eps * np.abs(points).max())


def _distinct(points: NDArray[np.floating[Any]]) -> tuple[list[int], NDArray[np.intp]]:
    """Which vector is the first of its kind, and of which kind each is."""
    kinds: dict[bytes, int] = {}
    firsts: list[int] = []
    place = np.empty(len(points), dtype=np.intp)
    for row, vector in enumerate(points):
        place[row] = kinds.setdefault(hashlib.blake2b(vector.tobytes(), digest_size=16).digest(), len(kinds))
        if len(kinds) > len(firsts):
            firsts.append(row)
    return firsts, place


def _library() -> ModuleType:
    try:
        import openTSNE
        import openTSNE.affinity
        import openTSNE.nearest_neighbors
    except ImportError as error:
        raise MissingExtraError(
            "t-SNE needs openTSNE",
            why=str(error),
            remedy="install the extra map: pip install 'tubelet[map]'",
        ) from error
    module: ModuleType = openTSNE
    return module


def _principal(points: NDArray[np.floating[Any]], dimensions: int) -> tuple[NDArray[np.float64], float]:
    """Scores on the first principal components, the sign of each fixed by its largest loading, and their variance."""
    from sklearn.decomposition import PCA

    # In a type as wide as the numbers: of 100,000 clips a copy in float64 alone takes 3.3 GB.
    solver = "full" if min(points.shape) <= 500 else "randomized"
    wide = points.astype(np.float64 if solver == "full" else points.dtype)  # a copy, which is centered in place
    model = PCA(dimensions, svd_solver=solver, random_state=0, copy=False)
    scores = model.fit_transform(wide)
    return np.asarray(scores, dtype=np.float64), min(1.0, float(model.explained_variance_ratio_.sum()))


def _neighbors(open_tsne: ModuleType, scores: NDArray[np.float64], k: int) -> Any:
    """Each point's nearest others, exact: with matrix products a minute of processor time for 100,000 points."""
    from sklearn.neighbors import NearestNeighbors

    distances, places = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(scores).kneighbors()
    return open_tsne.nearest_neighbors.PrecomputedNeighbors(places, distances)


def _two_columns(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.pad(scores[:, :2], ((0, 0), (0, max(0, 2 - scores.shape[1]))))


def _framed(layout: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    layout = layout - (layout.max(0) + layout.min(0)) / 2
    farthest = float(np.linalg.norm(layout, axis=1).max())
    return layout / farthest, farthest
