"""Videos that show the same, however they were encoded: scaled, trimmed, at another rate, letterboxed, mirrored.

Ten thousand videos have fifty million pairs, and each pair hundreds of shifts. So nothing is compared that has not
first agreed in one 16-bit word of one hash of change; those are found by sorting. What moves alike somewhere is then
laid over each other whole (`tubelet.datasets.alignment`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.clips.frame_hash import CHANGE, COLUMNS, STEP_S, Hashes
from tubelet.datasets.alignment import (
    EVERY,
    Overlap,
    Rule,
    change_bits,
    mirrored,
    overlap_at,
    picture_bits,
    still_overlap,
)
from tubelet.datasets.fingerprints import Fingerprints
from tubelet.errors import UsageError
from tubelet.reporting.text import percent

Ints = NDArray[np.int64]

_WORDS = 4
_SHIFTS = 4  # tried of a pair, those with most agreeing hashes
_BATCH = 1 << 21  # pairs of hashes looked at together: some 200 MB
# A pair of hashes is a hint if its changes differ in no more of 63 bits; on average copies differ in one or two.
_HINT_BITS = 14.0
_HINT_PICTURE_BITS = 20.0


@dataclass(frozen=True)
class Duplicate:
    """Two videos that share a stretch.

    Attributes
    ----------
    a, b
        Their names.
    index_a, index_b
        Where they stand among the fingerprints compared.
    start_a_s, start_b_s
        Where the stretch begins in each, in seconds.
    seconds
        How long it is.
    share_a, share_b
        How much of each video it is, from 0 to 1.
    similarity
        Share of the bits that are equal; 0.5 is chance.
    evidence
        Of the stretch, see `tubelet.datasets.alignment.Rule`; 0 where nothing moves.
    mirrored
        Whether the second shows it mirrored left to right.
    still
        Whether nothing moves in either, so that pictures were compared.
    """

    a: str
    b: str
    index_a: int
    index_b: int
    start_a_s: float
    start_b_s: float
    seconds: float
    share_a: float
    share_b: float
    similarity: float
    evidence: float = 0.0
    mirrored: bool = False
    still: bool = False

    @property
    def offset_s(self) -> float:
        """Second of the first video at which the second one begins (below 0: it begins earlier)."""
        return self.start_a_s - self.start_b_s

    def sentence(self) -> str:
        """``b.mp4 from 0.0 s on is a.avi from 1.2 s on, for 3.4 s (98 % of the bits equal)``."""
        turned = ", mirrored" if self.mirrored else ""
        return (
            f"{self.b} from {self.start_b_s:.1f} s on is {self.a} from {self.start_a_s:.1f} s on, for "
            f"{self.seconds:.1f} s{turned} ({percent(self.similarity, 0)} of the bits equal)"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "a": self.a,
            "b": self.b,
            "start_a_s": self.start_a_s,
            "start_b_s": self.start_b_s,
            "offset_s": self.offset_s,
            "overlap_s": self.seconds,
            "share_a": round(self.share_a, 4),
            "share_b": round(self.share_b, 4),
            "similarity": round(self.similarity, 4),
            "evidence": round(self.evidence, 1),
            "mirrored": self.mirrored,
            "still": self.still,
        }


def find_duplicates(
    first: Fingerprints,
    second: Fingerprints | None = None,
    *,
    rule: Rule | None = None,
    mirror: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Duplicate, ...]:
    """Pairs of videos that share a stretch.

    Parameters
    ----------
    first, second
        What is compared with what; without ``second`` every video with every other one of ``first``.
    rule
        What counts as the same.
    mirror
        Find mirrored copies, too; takes twice as long.
    progress
        Called as ``progress(done, total)``, in hashes of ``second``.

    Returns
    -------
    tuple of Duplicate
        Each pair once, at the shift with most evidence; the most alike first. Spans of one file may be among them.

    Raises
    ------
    UsageError
        Limits that no pair can meet.
    """
    rule = rule or Rule()
    if rule.change_bits <= 0 or rule.evidence <= 0:
        raise UsageError("duplicates need a limit above 0 of the bits that may differ")
    other = first if second is None else second
    found: dict[tuple[int, int], tuple[Overlap, bool]] = {}
    index = _Index(first)
    turns = (False, True) if mirror else (False,)
    rows = sum(int(np.count_nonzero(hashes[:, CHANGE])) for hashes in other.hashes)
    for turn, is_mirrored in enumerate(turns):
        seen = [mirrored(hashes) for hashes in other.hashes] if is_mirrored else list(other.hashes)
        hints = _Hints()
        for done, (a, b, shift) in index.hints(seen, one_sided=second is None):
            hints.add(a, b, shift)
            if progress is not None:
                progress(turn * rows + done, len(turns) * rows)
        if progress is not None:
            progress((turn + 1) * rows, len(turns) * rows)
        for (i, j), shifts in hints.best():
            for overlap in (overlap_at(first.hashes[i], seen[j], shift, rule) for shift in shifts):
                before = found.get((i, j))
                if overlap is not None and (before is None or overlap.evidence > before[0].evidence):
                    found[i, j] = overlap, is_mirrored
        for i, j, still in _stills(first.hashes, seen, second is None, rule):
            found.setdefault((i, j), (still, is_mirrored))
    pairs = [_duplicate(first, other, i, j, overlap, turned) for (i, j), (overlap, turned) in found.items()]
    return tuple(sorted(pairs, key=lambda pair: (-pair.similarity, -pair.seconds, pair.a, pair.b)))


def clusters(pairs: Sequence[Duplicate]) -> tuple[tuple[str, ...], ...]:
    """Videos that hang together by pairs, largest set first; names within a set sorted."""
    of: dict[str, set[str]] = {}
    for pair in pairs:
        both = of.get(pair.a, {pair.a}) | of.get(pair.b, {pair.b})
        for name in both:
            of[name] = both
    sets = {id(names): tuple(sorted(names)) for names in of.values()}
    return tuple(sorted(sets.values(), key=lambda names: (-len(names), names)))


class _Index:
    """The changes of all videos, sorted by each of their four words."""

    def __init__(self, prints: Fingerprints) -> None:
        self._video, self._row, rows = _moving_rows(prints.hashes, every=EVERY)
        self._rows = rows
        self._sorted = []
        for word in range(_WORDS):
            keys = _word(rows[:, CHANGE], word)
            order = np.argsort(keys, kind="stable")
            self._sorted.append((keys[order], order))

    def hints(self, hashes: Sequence[Hashes], *, one_sided: bool) -> Iterator[tuple[int, tuple[Ints, Ints, Ints]]]:
        """Batches of ``(video here, video there, shift)`` where a hash of each agrees; and how many rows are done."""
        video, row, rows = _moving_rows(hashes, every=1)
        for start in range(0, len(rows), 1 << 15):
            part = slice(start, start + (1 << 15))
            for word in range(_WORDS):
                keys, order = self._sorted[word]
                wanted = _word(rows[part, CHANGE], word)
                low, high = np.searchsorted(keys, wanted, "left"), np.searchsorted(keys, wanted, "right")
                for here, there in _expanded(low, high):
                    mine = order[here]
                    theirs = start + there
                    keep = self._video[mine] < video[theirs] if one_sided else np.ones(len(mine), bool)
                    mine, theirs = mine[keep], theirs[keep]
                    x, y = self._rows[mine], rows[theirs]
                    alike = change_bits(x, y) <= _HINT_BITS  # nan, too few certain bits, is not
                    alike &= ~(picture_bits(x, y) > _HINT_PICTURE_BITS)
                    mine, theirs = mine[alike], theirs[alike]
                    yield start, (self._video[mine], video[theirs], self._row[mine] - row[theirs])


class _Hints:
    """How many hashes agree, by pair of videos and shift."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, a: Ints, b: Ints, shift: Ints) -> None:
        if not len(a):
            return
        keys, counts = np.unique(np.stack([a, b, shift], axis=1), axis=0, return_counts=True)
        for (i, j, at), count in zip(keys.tolist(), counts.tolist(), strict=True):
            self._counts[i, j][at] += count

    def best(self) -> Iterator[tuple[tuple[int, int], list[int]]]:
        """Each pair with its most promising shifts."""
        for pair, shifts in self._counts.items():
            yield pair, sorted(shifts, key=lambda at: (-shifts[at], at))[:_SHIFTS]


def _moving_rows(hashes: Sequence[Hashes], *, every: int) -> tuple[Ints, Ints, Hashes]:
    """Video, row within it, and the hashes of every row in which something moves."""
    videos, numbers, rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, COLUMNS), np.uint64)]
    for index, own in enumerate(hashes):
        moving = np.flatnonzero(own[::every, CHANGE]) * every
        videos.append(np.full(len(moving), index, np.int64))
        numbers.append(moving.astype(np.int64))
        rows.append(own[moving])
    return np.concatenate(videos), np.concatenate(numbers), np.concatenate(rows)


def _word(hashes: NDArray[np.uint64], word: int) -> NDArray[np.uint16]:
    return ((hashes >> np.uint64(16 * word)) & np.uint64(0xFFFF)).astype(np.uint16)


def _expanded(low: Ints, high: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Ranges ``low[k]:high[k]`` as pairs (place in a range, k), in batches of bounded size."""
    counts = high - low
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        before = int(ends[first - 1]) if first else 0
        behind = max(first + 1, int(np.searchsorted(ends, before + _BATCH, "right")))
        number = counts[first:behind]
        total = int(number.sum())
        if total:
            which = np.repeat(np.arange(first, behind), number)
            within = np.arange(total) - np.repeat(np.cumsum(number) - number, number)
            yield low[which] + within, which
        first = behind


def _stills(
    first: Sequence[Hashes], other: Sequence[Hashes], one_sided: bool, rule: Rule
) -> Iterator[tuple[int, int, Overlap]]:
    """Pairs of videos in which nothing moves and that show the same picture."""
    here = [i for i, hashes in enumerate(first) if len(hashes) and not hashes[:, CHANGE].any()]
    there = [j for j, hashes in enumerate(other) if len(hashes) and not hashes[:, CHANGE].any()]
    if not here or not there:
        return
    middle = np.stack([first[i][len(first[i]) // 2] for i in here])
    for j in there:
        picture = np.broadcast_to(other[j][len(other[j]) // 2], middle.shape)
        near = picture_bits(middle, picture) <= 4 * rule.still_bits
        for i in (here[k] for k in np.flatnonzero(near)):
            overlap = still_overlap(first[i], other[j], rule) if i < j or not one_sided else None
            if overlap is not None:
                yield i, j, overlap


def _duplicate(first: Fingerprints, other: Fingerprints, i: int, j: int, overlap: Overlap, turned: bool) -> Duplicate:
    return Duplicate(
        first.names[i],
        other.names[j],
        i,
        j,
        first.starts_s[i] + overlap.start_a * STEP_S,
        other.starts_s[j] + overlap.start_b * STEP_S,
        overlap.seconds,
        min(1.0, overlap.length / len(first.hashes[i])),
        min(1.0, overlap.length / len(other.hashes[j])),
        overlap.similarity,
        overlap.evidence,
        turned,
        not overlap.moving,
    )
