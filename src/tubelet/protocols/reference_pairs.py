"""Pairs of other videos that a pair is held against, drawn from a table of descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.store import DescriptorTable
from tubelet.errors import InputDataError
from tubelet.protocols.roc import roc_curve
from tubelet.protocols.similarity import pair_features

_MOST_PAIRS = 2000
"""Pairs of each kind that are drawn from a table."""

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReferencePairs:
    """Numbers of other pairs.

    Attributes
    ----------
    other
        (n, D) float64: pairs of two classes, or of any two videos where labels are not known.
    same
        (m, D) float64: pairs of one class; empty where labels are not known.
    """

    other: Values
    same: Values

    @property
    def labeled(self) -> bool:
        """Whether there are pairs of one class and of two."""
        return len(self.same) > 0

    def held_against(self, column: int, value: float, more_is_alike: bool) -> dict[str, float]:
        """Shares of the pairs that are less alike by one number, ties counting half, and how telling it is.

        Returns
        -------
        dict
            ``closer_than``; where labels are known also ``closer_than_same`` and ``telling``, the area under the ROC of
            this number alone.
        """
        sign = 1.0 if more_is_alike else -1.0
        other, same = sign * self.other[:, column], sign * self.same[:, column]
        found = {"closer_than": _share_below(other, sign * value)}
        if self.labeled:
            found["closer_than_same"] = _share_below(same, sign * value)
            kinds = np.repeat([False, True], [len(other), len(same)])
            found["telling"] = roc_curve(np.append(other, same), kinds).auc
        return found

    def __str__(self) -> str:
        if not self.labeled:
            return f"{len(self.other)} pairs of the table's videos"
        return f"{len(self.other)} pairs of two classes and {len(self.same)} pairs of one"


def reference_pairs(
    table: DescriptorTable, layers: Sequence[str], *, without: Sequence[str] = (), seed: int = 0
) -> ReferencePairs:
    """Draw pairs of videos from a table, at most 2,000 of each kind.

    Parameters
    ----------
    table
        Descriptors made as those of the pair to judge.
    layers
        What to compare.
    without
        Paths that are left out: the two videos themselves.
    seed
        Of the drawing; all pairs are taken where there are fewer.

    Raises
    ------
    InputDataError
        There are fewer than three videos, so no pair to speak of.
    """
    tables = [table.videos(layer) for layer in layers]
    common = set.intersection(*(set(one.video_id.tolist()) for one in tables))
    rows = zip(tables[0].video_id.tolist(), tables[0].path.tolist(), tables[0].label, strict=True)
    kept = {video: label for video, path, label in rows if video in common and path not in set(without)}
    if len(kept) < 3:
        raise InputDataError(
            "the table holds too few videos to compare with",
            path=table.folder,
            why=f"{len(kept)} beside the two",
            remedy="give a table of more videos",
        )
    vectors = {layer: one.take(list(kept)) for layer, one in zip(layers, tables, strict=True)}
    first, second = np.triu_indices(len(kept), 1)
    names = np.array([label or "" for label in kept.values()])
    known = names != ""
    labeled = bool(known.all()) and len(np.unique(names)) > 1
    alike = (names[first] == names[second]) & labeled
    rng = np.random.default_rng(seed)

    def numbers(chosen: NDArray[np.int64]) -> Values:
        if len(chosen) > _MOST_PAIRS:
            chosen = np.sort(rng.choice(chosen, _MOST_PAIRS, replace=False))
        return pair_features(vectors, np.stack([first[chosen], second[chosen]], axis=1), layers)

    return ReferencePairs(numbers(np.flatnonzero(~alike)), numbers(np.flatnonzero(alike)))


def _share_below(values: Values, value: float) -> float:
    return float((values < value).mean() + (values == value).mean() / 2.0)
