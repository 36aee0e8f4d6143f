"""Choosing groups to hold out, once or in folds, so that each class is on both sides with about the share wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tubelet.provenance import derive_seed

_ROUNDS = 12
_EXACT_GROUPS = 14


@dataclass(frozen=True)
class _Table:
    """Videos per group and class, and what is wanted of the test side.

    Attributes
    ----------
    videos
        (G, K) float64 number of videos of group g in class k.
    total
        (K,) videos per class.
    groups_per_class
        (K,) groups in which a class occurs.
    fraction
        Wanted share of each class in test.
    """

    videos: NDArray[np.float64]
    total: NDArray[np.float64]
    groups_per_class: NDArray[np.int64]
    fraction: float

    def uncovered(self, test: NDArray[np.float64]) -> NDArray[np.int64]:
        """A cost that is 0 if no class misses a side, for each row of (…, K) test counts.

        A class with two groups or more misses a side if all or none of it is in test; that outweighs all
        classes with a single group, which miss one only if they are in test, for then they could never be
        learned.
        """
        weights = np.where(self.groups_per_class > 1, len(self.total) + 1, 1)
        missed: NDArray[np.int64] = np.where(self.misses_side(test), weights, 0).sum(axis=-1)
        return missed

    def misses_side(self, test: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(…, K) whether a class misses a side; see `uncovered`."""
        misses: NDArray[np.bool_] = (test == self.total) | ((test == 0) & (self.groups_per_class > 1))
        return misses

    def deviation(self, test: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over classes of the squared error of the share in test, for each row of (…, K) test counts."""
        error: NDArray[np.float64] = ((test / self.total - self.fraction) ** 2).sum(axis=-1)
        return error


def choose_test_groups(counts: Mapping[str, Mapping[str, int]], fraction: float, seed: int) -> frozenset[str]:
    """Choose the groups to hold out.

    Several seeded rounds: groups in random order go to test while that brings the classes' shares nearer to
    ``fraction``, then single groups change sides until no class misses a side or nothing helps. The first
    round that covers all classes wins; if none does and the groups are few, all choices are compared.

    Parameters
    ----------
    counts
        Number of videos by group and class.
    fraction
        Wanted share of each class in test, between 0 and 1.
    seed
        Orders are drawn by hashing it with the groups' names, so they depend neither on the order of
        ``counts`` nor on a library's random generator.

    Returns
    -------
    frozenset of str
        Empty if nothing can be held out: no class has two groups.
    """
    groups = sorted(counts)
    classes = sorted({label for row in counts.values() for label in row})
    position = {label: index for index, label in enumerate(classes)}
    videos = np.zeros((len(groups), len(classes)))
    for index, group in enumerate(groups):
        for label, count in counts[group].items():
            videos[index, position[label]] = count
    present = videos > 0
    table = _Table(videos, videos.sum(axis=0), present.sum(axis=0), fraction)
    if not (table.groups_per_class > 1).any():
        return frozenset()
    best: tuple[int, float] | None = None
    chosen = np.zeros(len(groups), dtype=bool)
    for number in range(_ROUNDS):
        keys = [derive_seed("random_group_split", seed, number, group) for group in groups]
        order = np.argsort(np.array(keys, dtype=np.uint64), kind="stable")
        side = _repaired(table, _greedy(table, order), order)
        counts_in_test = side @ videos
        cost = int(table.uncovered(counts_in_test)), float(table.deviation(counts_in_test))
        if best is None or cost < best:
            best, chosen = cost, side
        if cost[0] == 0:
            chosen = side
            break
    else:
        if len(groups) <= _EXACT_GROUPS:
            chosen = _exact(table)
    return frozenset(group for group, held_out in zip(groups, chosen, strict=True) if held_out)


def deal_groups(counts: Mapping[str, Mapping[str, int]], folds: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Deal groups into folds, each with about the same share of every class.

    Large groups first, those of one size in an order drawn by hashing ``seed`` with their names; each goes to the fold
    where the sum over classes of the squared share grows least, of equal ones to that with the fewest videos.

    Parameters
    ----------
    counts
        Number of videos by group and class; at least as many groups as folds.
    folds
        How many, at least 1.
    seed
        Another seed, another choice among groups of one size.

    Returns
    -------
    tuple of tuple of str
        The groups of each fold, sorted; every group once, no fold empty.
    """
    total: Counter[str] = Counter()
    for row in counts.values():
        total.update(row)
    keys = {group: (-sum(row.values()), derive_seed("group_folds", seed, group)) for group, row in counts.items()}
    dealt: list[list[str]] = [[] for _ in range(folds)]
    held: list[Counter[str]] = [Counter() for _ in range(folds)]
    for group in sorted(counts, key=lambda name: (keys[name], name)):
        row = counts[group]
        # (n + r)^2 - n^2 = 2 n r + r^2, of which only n differs between folds. An empty fold has n = 0 and no videos,
        # so it is never passed over while there is one.
        growth = [
            (sum(Fraction(videos[label] * n, total[label] ** 2) for label, n in row.items()), videos.total())
            for videos in held
        ]
        chosen = min(range(folds), key=growth.__getitem__)
        dealt[chosen].append(group)
        held[chosen].update(row)
    return tuple(tuple(sorted(groups)) for groups in dealt)


def _greedy(table: _Table, order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Take groups in order into test wherever that lowers the deviation."""
    side = np.zeros(len(order), dtype=bool)
    test = np.zeros_like(table.total)
    wanted = table.fraction * table.total
    for group in order:
        row = table.videos[group]
        (touched,) = np.nonzero(row)
        before = (test[touched] - wanted[touched]) / table.total[touched]
        after = before + row[touched] / table.total[touched]
        if (after**2).sum() < (before**2).sum():
            side[group] = True
            test[touched] += row[touched]
    return side


def _repaired(table: _Table, side: NDArray[np.bool_], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Let single groups change sides while fewer classes miss one; ties by deviation, then by order."""
    side = side.copy()
    test = side @ table.videos
    uncovered = int(table.uncovered(test))
    while uncovered:
        candidates = order[(table.videos[order][:, table.misses_side(test)] > 0).any(axis=1)]
        sign = np.where(side[candidates], -1.0, 1.0)[:, None]
        changed = test + sign * table.videos[candidates]
        left = table.uncovered(changed)
        deviation = table.deviation(changed)
        pick = int(np.lexsort((deviation, left))[0])
        if int(left[pick]) >= uncovered:
            break
        uncovered = int(left[pick])
        side[candidates[pick]] ^= True
        test = changed[pick]
    return side


def _exact(table: _Table) -> NDArray[np.bool_]:
    """The best of all choices: fewest classes uncovered, then least deviation."""
    n = len(table.videos)
    choices = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    test = choices @ table.videos
    best = int(np.lexsort((table.deviation(test), table.uncovered(test)))[0])
    result: NDArray[np.bool_] = choices[best].astype(bool)
    return result
