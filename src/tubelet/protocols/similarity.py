"""The twelve (dis)similarities of ASLAN between two descriptors (Kliper-Gross, Hassner and Wolf, TPAMI 2012, Table 3).

They are defined for vectors without negative values: histograms there, activations after a ReLU or a softmax in C3D's
protocol. The paper's footnote has the vectors of the last four rows normalized first and does not say how; here they
are scaled to a sum of one, which makes the tenth a symmetric Kullback-Leibler divergence and the twelfth a histogram
intersection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import UsageError

EPSILON = 1e-10
"""Added to both sides of the logarithm's quotient: a value that one video lacks costs log(1e10) times its weight."""

_BLOCK = 1 << 20  # values of one side held at once, 8 MB

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One of the twelve.

    Attributes
    ----------
    name
        For tables and JSON.
    formula
        As printed, with sums over the vectors' values.
    more_is_alike
        Whether equal videos have the larger value (a similarity) or the smaller (a distance).
    """

    name: str
    formula: str
    more_is_alike: bool


MEASURES = (
    Measure("dot", "Σ ab", True),
    Measure("root_dot", "√Σ ab", True),
    Measure("bhattacharyya", "√Σ √a √b", True),
    Measure("harmonic", "√Σ ab / (a + b)", True),
    Measure("cosine", "Σ ab / (√Σ a² √Σ b²)", True),
    Measure("chi", "√Σ (a − b)² / (a + b)", False),
    Measure("city_block", "Σ |a − b|", False),
    Measure("hellinger", "√Σ (√a − √b)²", False),
    Measure("euclidean", "√Σ (a − b)², sums one", False),
    Measure("kullback_leibler", "½ Σ (a log a/b + b log b/a), sums one", False),
    Measure("root_max", "Σ √max(a, b) / √(a + b), sums one", False),
    Measure("intersection", "Σ min(a, b) / (Σ a Σ b), sums one", True),
)
"""In the order of Table 3."""

MEASURE_NAMES = tuple(measure.name for measure in MEASURES)


def similarities(first: NDArray[np.floating], second: NDArray[np.floating]) -> Values:
    """The twelve numbers of each pair of vectors.

    Parameters
    ----------
    first, second
        ``(n, D)`` float, finite, without negative values; row i of one is compared with row i of the other.

    Returns
    -------
    numpy.ndarray
        ``(n, 12)`` float64, finite, the same to the bit with the sides exchanged. Where a quotient is 0/0 (a value that
        both lack, a vector of zeros) it counts 0.

    Raises
    ------
    UsageError
        A value is negative or not finite, or the shapes differ.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise UsageError(f"pairs of vectors need two arrays (n, D), not {first.shape} and {second.shape}")
    found = np.empty((len(first), len(MEASURES)))
    step = max(1, _BLOCK // max(1, first.shape[1]))
    for start in range(0, len(first), step):
        rows = slice(start, start + step)
        a, b = (np.asarray(side[rows], dtype=np.float64) for side in (first, second))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise UsageError("a descriptor is not finite", why="NaN or infinity", remedy="extract it again in float32")
        if min(a.min(initial=0.0), b.min(initial=0.0)) < 0.0:
            raise UsageError(
                "ASLAN's similarities are defined for descriptors without negative values",
                remedy="choose layers behind a ReLU or softmax, such as fc6, pool5 or prob",
            )
        found[rows] = np.stack([*_plain(a, b), *_of_sums_one(_sum_one(a), _sum_one(b))], axis=1)
    return found


def pair_features(
    vectors: Mapping[str, NDArray[np.floating]], pairs: NDArray[np.int64], layers: Sequence[str]
) -> Values:
    """The numbers that a pair of videos is judged by: twelve for each layer, 48 for the paper's four.

    Parameters
    ----------
    vectors
        By layer ``(videos, D)``: mean over the clips, then L2 (C3D paper, section 5).
    pairs
        ``(n, 2)`` rows of the two videos.
    layers
        Their order.

    Returns
    -------
    numpy.ndarray
        ``(n, 12 · layers)`` float64, the twelve of the first layer first; see `feature_names`.
    """
    blocks = []
    for layer in layers:
        try:
            blocks.append(similarities(vectors[layer][pairs[:, 0]], vectors[layer][pairs[:, 1]]))
        except UsageError as error:
            raise UsageError(f"layer {layer}: {error.what}", why=error.why, remedy=error.remedy) from error
    return np.concatenate(blocks, axis=1)


def feature_names(layers: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(layer, measure) of each column of `pair_features`."""
    return tuple((layer, name) for layer in layers for name in MEASURE_NAMES)


def _plain(a: Values, b: Values) -> list[Values]:
    """The first eight, of the descriptors as they are."""
    product, total, difference = a * b, a + b, a - b
    dot = product.sum(axis=1)
    root_a, root_b = np.sqrt(a), np.sqrt(b)
    lengths = np.sqrt((a * a).sum(axis=1)) * np.sqrt((b * b).sum(axis=1))
    return [
        dot,
        np.sqrt(dot),
        np.sqrt((root_a * root_b).sum(axis=1)),
        np.sqrt(_ratio(product, total).sum(axis=1)),
        _ratio(dot, lengths),
        np.sqrt(_ratio(difference * difference, total).sum(axis=1)),
        np.abs(difference).sum(axis=1),
        np.sqrt(((root_a - root_b) ** 2).sum(axis=1)),
    ]


def _of_sums_one(a: Values, b: Values) -> list[Values]:
    """The last four, of vectors whose values add up to one."""
    total, difference = a + b, a - b
    logs = np.log(a + EPSILON) - np.log(b + EPSILON)
    return [
        np.sqrt((difference * difference).sum(axis=1)),
        (difference * logs).sum(axis=1) / 2.0,  # a log(a/b) + b log(b/a) = (a − b) log(a/b), never below 0
        _ratio(np.sqrt(np.maximum(a, b)), np.sqrt(total)).sum(axis=1),
        _ratio(np.minimum(a, b).sum(axis=1), a.sum(axis=1) * b.sum(axis=1)),
    ]


def _ratio(over: Values, under: Values) -> Values:
    """``over / under``, 0 where ``under`` is 0: there ``over`` is 0 too."""
    quotient: Values = np.divide(over, under, out=np.zeros_like(over), where=under > 0.0)
    return quotient


def _sum_one(vectors: Values) -> Values:
    sums = vectors.sum(axis=1, keepdims=True)
    return _ratio(vectors, np.broadcast_to(sums, vectors.shape))
