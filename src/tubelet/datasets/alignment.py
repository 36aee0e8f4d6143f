"""Two videos laid over each other in time: where they show the same, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.clips.frame_hash import BITS, CERTAIN, CHANGE, CLEAR, MIRROR, PICTURE, STEP_S, Hashes

EVERY = 2
"""Rows compared: every second one. Of the other video the rows between are tried too, as further shifts."""

_FEWEST_BITS = 12  # of a change, certain in both videos; of fewer nothing is said
_FEWEST_CLEAR_BITS = 8  # the same of a picture


@dataclass(frozen=True)
class Rule:
    """What makes two stretches of video copies of each other; docs/measured.md has the figures behind the defaults.

    Every eighth of a second gives evidence: ``change_bits`` less the number of bits, of 63, in which the changes
    differ; and where the pictures differ in more than ``picture_bits``, the bits above that against it.

    Attributes
    ----------
    change_bits, picture_bits
        As above; by chance half of the bits differ.
    evidence
        What a stretch's evidence has to come to: a short one has to agree better than a long one.
    least_moving
        Eighths of a second in which both move.
    still_bits, least_still_s
        Two videos in which nothing moves are the same if no more bits of their pictures differ, and they last so long.
    """

    change_bits: float = 8.0
    picture_bits: float = 8.0
    evidence: float = 45.0
    least_moving: int = 6
    still_bits: float = 2.0
    least_still_s: float = 1.0


@dataclass(frozen=True)
class Overlap:
    """A stretch that two videos share.

    Attributes
    ----------
    start_a, start_b
        The rows of hashes at which it begins, see `tubelet.clips.frame_hash.hashes`.
    length
        Rows.
    moving
        Eighths of a second in which both move and were compared.
    change_bits, picture_bits
        How many of 63 bits differ on average; ``change_bits`` is nan where nothing moves.
    evidence
        Its sum, see `Rule`.
    """

    start_a: int
    start_b: int
    length: int
    moving: int
    change_bits: float
    picture_bits: float
    evidence: float

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.length * STEP_S

    @property
    def similarity(self) -> float:
        """Share of equal bits: of the change where something moves, else of the picture; 0.5 is chance."""
        return 1.0 - (self.change_bits if self.moving else self.picture_bits) / BITS


def mirrored(hashes: Hashes) -> Hashes:
    """The hashes of the same video mirrored left to right; what says nothing stays so."""
    turned = hashes.copy()
    for column in (PICTURE, CHANGE):
        turned[:, column] = np.where(hashes[:, column] == 0, hashes[:, column], hashes[:, column] ^ MIRROR)
    return turned


def change_bits(here: Hashes, there: Hashes) -> NDArray[np.float64]:
    """(n,) of how many of 63 bits two changes differ, among those certain in both; nan where too few are."""
    return _different(here, there, CHANGE, CERTAIN, _FEWEST_BITS)


def picture_bits(here: Hashes, there: Hashes) -> NDArray[np.float64]:
    """The same for two pictures."""
    return _different(here, there, PICTURE, CLEAR, _FEWEST_CLEAR_BITS)


def _different(here: Hashes, there: Hashes, column: int, mask: int, fewest: int) -> NDArray[np.float64]:
    certain = here[:, mask] & there[:, mask]
    count = np.bitwise_count(certain).astype(np.float64)
    differ = np.bitwise_count((here[:, column] ^ there[:, column]) & certain)
    return np.where(count >= fewest, differ * (BITS / np.maximum(count, 1.0)), np.nan)


def overlap_at(a: Hashes, b: Hashes, shift: int, rule: Rule) -> Overlap | None:
    """The stretch with most evidence that two videos are the same, at one shift.

    Parameters
    ----------
    a, b
        ``(n, 4)`` and ``(m, 4)`` uint64, see `tubelet.clips.frame_hash.hashes`. Of ``a`` only even rows are looked at.
    shift
        Row of ``a`` at which ``b`` begins; may be below 0.
    rule
        What counts as the same.

    Returns
    -------
    Overlap or None
        None where there is too little evidence, or too little moves to tell.
    """
    from_a, from_b = max(0, shift), max(0, -shift)
    odd = from_a % EVERY
    from_a, from_b = from_a + odd, from_b + odd
    length = min(len(a) - from_a, len(b) - from_b)
    if length < EVERY * rule.least_moving:
        return None
    here, there = a[from_a : from_a + length : EVERY], b[from_b : from_b + length : EVERY]
    change = change_bits(here, there)
    moving = ~np.isnan(change)
    picture = picture_bits(here, there)
    seen = ~np.isnan(picture)
    # A picture that agrees is no evidence: of a tripod's clips all do.
    evidence = np.where(moving, rule.change_bits - change, 0.0)
    evidence += np.where(seen, np.minimum(rule.picture_bits - picture, 0.0), 0.0)
    first, behind, total = _best_stretch(evidence)
    moving, seen = moving[first:behind], seen[first:behind]
    if total < rule.evidence or moving.sum() < rule.least_moving:
        return None
    return Overlap(
        from_a + first * EVERY,
        from_b + first * EVERY,
        (behind - first) * EVERY,
        int(moving.sum()),
        float(change[first:behind][moving].mean()),
        float(picture[first:behind][seen].mean()) if seen.any() else float("nan"),
        total,
    )


def still_overlap(a: Hashes, b: Hashes, rule: Rule) -> Overlap | None:
    """Two videos in which nothing moves, as pictures: the same one if hardly a bit differs."""
    length = min(len(a), len(b))
    if length * STEP_S < rule.least_still_s or a[:, CHANGE].any() or b[:, CHANGE].any():
        return None
    picture = picture_bits(a[:length:EVERY], b[:length:EVERY])
    seen = ~np.isnan(picture)
    if seen.sum() * 2 < len(seen):
        return None
    bits = float(picture[seen].mean())
    return Overlap(0, 0, length, 0, float("nan"), bits, 0.0) if bits <= rule.still_bits else None


def _best_stretch(evidence: NDArray[np.float64]) -> tuple[int, int, float]:
    """From where to where the sum is largest, and that sum; what says nothing at either end belongs to it."""
    sums = np.concatenate([[0.0], np.cumsum(evidence)])
    gained = sums[1:] - np.minimum.accumulate(sums[:-1])
    behind = int(np.argmax(gained)) + 1
    first = int(np.argmin(sums[:behind]))
    total = float(gained[behind - 1])
    while behind < len(evidence) and evidence[behind] == 0.0:
        behind += 1
    return first, behind, total
