"""In what relation two sets of vectors of the same clips stand: equal, scaled, permuted, shifted, or something else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.audit.closeness import SAME_PLACE, Floats, row_distances
from tubelet.errors import UsageError

Kind = Literal[
    "equal", "rounding", "scaled", "normalized", "row-scaled", "permuted", "shifted", "scaled and shifted", "other"
]

_EXPLAINED = 1.0 - 1e-6
"""Share of the squares that a relation has to leave nothing of: float32 keeps 7 digits."""


@dataclass(frozen=True)
class Spread:
    """Numbers in short: their least, twentieth part, median, mean and largest."""

    least: float
    low: float
    median: float
    mean: float
    largest: float

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Spread:
        """Of ``(n,)`` numbers, one at least."""
        known = np.asarray(values, dtype=np.float64)
        low, median = np.quantile(known, [0.05, 0.5])
        return cls(float(known.min()), float(low), float(median), float(known.mean()), float(known.max()))


@dataclass(frozen=True)
class Relation:
    """B as a function of A, over rows that both have.

    Attributes
    ----------
    rows
        How many.
    kind
        The simplest relation that holds within rounding: ``equal`` bit by bit; ``rounding``; ``scaled``, B = s A;
        ``normalized``, each row at length one; ``row-scaled``, each by a factor of its own; ``permuted``, the same
        numbers in another order; ``shifted``, B = A + c; ``scaled and shifted``, B = s A + c; else ``other``.
    sentence
        The same in words.
    equal
        Share of rows that are equal bit by bit.
    cosine, relative
        Row by row, see `tubelet.descriptors.audit.closeness.RowDistances`.
    largest
        The largest difference of one number.
    norm_ratio
        Length of B's row over that of A's, over rows where neither is zero; None where there is none.
    scale
        s of the best B = s A + c.
    constant_share
        How much of the squared difference B - A is one vector c, the same for all rows: near 1 where a mean was
        subtracted, or not, behind the last linear layer.
    affine_share
        How much of B's squared deviation from its mean s A + c explains.
    """

    rows: int
    kind: Kind
    sentence: str
    equal: float
    cosine: Spread
    relative: Spread
    largest: float
    norm_ratio: Spread | None
    scale: float
    constant_share: float
    affine_share: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self)


def relate(first: NDArray[np.floating], second: NDArray[np.floating]) -> Relation:
    """What ``second`` is of ``first``.

    Parameters
    ----------
    first, second
        ``(n, D)`` finite numbers, row by row of the same clip; at least one row.

    Raises
    ------
    UsageError
        The shapes differ, or there is no row.
    """
    if first.shape != second.shape or first.ndim != 2 or not len(first):
        raise UsageError("vectors to relate need one shape", why=f"{first.shape} and {second.shape}")
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    distance = row_distances(one, other)
    difference = other - one
    squares = float((difference**2).sum())
    constant = len(one) * float((difference.mean(axis=0) ** 2).sum())
    lengths = np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)
    both = (lengths[0] > 0) & (lengths[1] > 0)
    ratio = lengths[1][both] / lengths[0][both]
    centered = one - one.mean(axis=0), other - other.mean(axis=0)
    variance = float((centered[0] ** 2).sum()), float((centered[1] ** 2).sum())
    product = float((centered[0] * centered[1]).sum())
    scale = product / variance[0] if variance[0] else 1.0
    affine = product**2 / (variance[0] * variance[1]) if variance[0] and variance[1] else 0.0
    constant_share = constant / squares if squares else 0.0
    kind, sentence = _kind(one, other, distance.relative, ratio, lengths, constant_share, affine, scale)
    return Relation(
        rows=len(one),
        kind=kind,
        sentence=sentence,
        equal=float((first == second).all(axis=1).mean()),
        cosine=Spread.of(distance.cosine),
        relative=Spread.of(distance.relative),
        largest=float(distance.largest.max()),
        norm_ratio=Spread.of(ratio) if len(ratio) else None,
        scale=scale,
        constant_share=constant_share,
        affine_share=affine,
    )


def _kind(
    one: Floats,
    other: Floats,
    relative: Floats,
    ratio: Floats,
    lengths: tuple[Floats, Floats],
    constant_share: float,
    affine: float,
    scale: float,
) -> tuple[Kind, str]:
    if (one == other).all():
        return "equal", "the vectors are equal bit by bit"
    if relative.max() <= SAME_PLACE:
        return "rounding", "the vectors are equal up to rounding"
    factor = _best_factor(one, other)
    if factor > 0 and row_distances(one * factor, other).relative.max() <= SAME_PLACE:
        return "scaled", f"B is {factor:.6g} times A"
    if len(ratio) == len(one) and row_distances(one * ratio[:, None], other).relative.max() <= SAME_PLACE:
        for name, norms in (("B", lengths[1]), ("A", lengths[0])):
            if np.abs(norms - 1.0).max() <= SAME_PLACE:
                source = "A" if name == "B" else "B"
                return "normalized", f"{name} is {source} with every vector scaled to length one"
        return "row-scaled", "B is A with every vector scaled by a factor of its own"
    order = permutation(one, other)
    if order is not None:
        return "permuted", f"B has the numbers of A in another order{_named(one, other)}"
    if len(one) > 2 and constant_share >= _EXPLAINED:
        return "shifted", "B is A plus one vector, the same for every clip"
    if len(one) > 2 and affine >= _EXPLAINED:
        return "scaled and shifted", f"B is {scale:.6g} times A plus one vector, the same for every clip"
    return "other", "no simple relation: neither a factor, an order of the numbers, nor a constant explains B"


def _best_factor(one: Floats, other: Floats) -> float:
    squares = float((one**2).sum())
    return float((one * other).sum()) / squares if squares else 0.0


def permutation(one: Floats, other: Floats) -> NDArray[np.int64] | None:
    """The order of A's columns that gives B within rounding: ``one[:, order]`` is ``other``; None where there is none.

    Columns are told apart by one random combination of their rows, sorted; what fits is then compared in full.
    """
    mark = np.random.default_rng(0).standard_normal(len(one))
    order = np.empty(one.shape[1], dtype=np.int64)
    order[np.argsort(mark @ other, kind="stable")] = np.argsort(mark @ one, kind="stable")
    return order if row_distances(one[:, order], other).relative.max() <= SAME_PLACE else None


def _named(one: Floats, other: Floats) -> str:
    """Whether the order is that of three channels turned around, in planes or interleaved."""
    width = one.shape[1]
    if width % 3:
        return ""
    places = np.arange(width)
    for order in (places.reshape(3, -1)[::-1].ravel(), places.reshape(-1, 3)[:, ::-1].ravel()):
        if row_distances(one[:, order], other).relative.max() <= SAME_PLACE:
            return ": three channels turned around, as BGR is of RGB"
    return ""
