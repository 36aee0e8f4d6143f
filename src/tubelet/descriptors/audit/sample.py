"""Which rows of a table are looked at, and how much a look at some of them can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tubelet.provenance import derive_seed

LEAST_CLIPS = 16
"""A share of a small table is at least this many clips, or all."""


def sample_size(rows: int, share: float, clips: int | None = None) -> int:
    """How many of a table's rows to look at.

    Parameters
    ----------
    rows
        Rows of the table.
    share
        Fraction of them, of which at least `LEAST_CLIPS` are taken.
    clips
        A number instead of the share.
    """
    return min(rows, max(LEAST_CLIPS, int(np.ceil(share * rows))) if clips is None else clips)


def spread_over_videos(rows: Mapping[str, Sequence[int]], count: int, seed: int) -> dict[str, list[int]]:
    """Choose rows at random, as evenly over videos as they have rows.

    Videos are put into a random order and give a random row each in turn, until there are enough: a fault that
    belongs to a file, which is the usual one, is then found as soon as by any choice of so many rows.

    Parameters
    ----------
    rows
        Rows to choose from, by video.
    count
        How many.
    seed
        Of the choice.

    Returns
    -------
    dict
        The rows chosen, ascending, by video in the order of ``rows``; videos without are not there.
    """
    rng = np.random.default_rng(derive_seed(seed, "rows of a table"))
    names = [name for name in rows if len(rows[name])]
    waiting = {name: rng.permutation(np.asarray(rows[name])).tolist() for name in names}
    chosen: dict[str, list[int]] = {name: [] for name in names}
    turn = [names[place] for place in rng.permutation(len(names))]
    left = min(count, sum(map(len, waiting.values())))
    while left:
        for name in turn:
            if left and waiting[name]:
                chosen[name].append(waiting[name].pop())
                left -= 1
    return {name: sorted(picked) for name, picked in chosen.items() if picked}


def found_by(total: int, looked_at: int, confidence: float = 0.95) -> int:
    """The smallest number of bad videos of which a sample would have shown at least one.

    The sample misses all of ``bad`` videos with the hypergeometric probability
    C(total - bad, looked_at) / C(total, looked_at).

    Parameters
    ----------
    total
        Videos of the table.
    looked_at
        How many of them were looked at, drawn at random without replacement.
    confidence
        How often it would have shown one.

    Returns
    -------
    int
        From 1 (all were looked at, or nearly) to ``total``.
    """
    missed = 1.0
    for bad in range(1, total + 1):
        # One more bad video leaves total - bad + 1 - looked_at of the total - bad + 1 that are left.
        missed *= max(0, total - bad + 1 - looked_at) / (total - bad + 1)
        if missed <= 1.0 - confidence:
            return bad
    return total
