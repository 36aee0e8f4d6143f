"""The videos and rows that two tables have in common, and their vectors side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.audit.differences import changed_videos
from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.pooling import FloatArray, video_vector
from tubelet.provenance import derive_seed

PlacedVectors = tuple[NDArray[np.int64], FloatArray]
"""What `RecordedTable.vectors` gives: places of rows, and their vectors."""

_MOST_ROWS = 8000


def common_rows(one: RecordedTable, other: RecordedTable) -> tuple[dict[int, int], str]:
    """Rows of both that are of one place: B's by A's, and what places are told by.

    Frames where both tables know them and the videos' content is the same, so that a frame rate told otherwise hides
    nothing; else seconds.
    """
    if one.whole_videos != other.whole_videos:
        return {}, "video"
    if one.whole_videos:
        by = "video"
    elif min(one.places.start_frame.min(initial=0), other.places.start_frame.min(initial=0)) >= 0 and not (
        changed_videos(one, other)
    ):
        by = "frames"
    else:
        by = "seconds"
    return _matched(_keys(one, by), _keys(other, by)), by


def _keys(table: RecordedTable, by: str) -> list[tuple[Any, ...]]:
    rows = table.places
    if by == "video":
        return [(name,) for name in rows.video_id.tolist()]
    if by == "frames":
        return list(zip(rows.video_id.tolist(), rows.start_frame.tolist(), rows.end_frame.tolist(), strict=True))
    times = (np.round(values, 4).tolist() for values in (rows.start_s, rows.end_s))
    return list(zip(rows.video_id.tolist(), *times, strict=True))


def _matched(one: Sequence[tuple[Any, ...]], other: Sequence[tuple[Any, ...]]) -> dict[int, int]:
    there = {key: place for place, key in enumerate(other)}
    return {place: there[key] for place, key in enumerate(one) if key in there}


def videos_to_measure(one: RecordedTable, other: RecordedTable, common: Sequence[str], seed: int) -> list[str]:
    """As many of the common videos, at random, as have no more than 8000 rows in each table."""
    counts = [
        dict(zip(*map(list, np.unique(t.places.video_id, return_counts=True)), strict=True)) for t in (one, other)
    ]
    rng = np.random.default_rng(derive_seed(seed, "videos to measure"))
    total = 0
    chosen: list[int] = []
    for place in rng.permutation(len(common)).tolist():
        total += max(count[common[place]] for count in counts)
        if chosen and total > _MOST_ROWS:
            break
        chosen.append(place)
    return [common[place] for place in sorted(chosen)]


def aligned_vectors(
    rows: tuple[PlacedVectors, PlacedVectors], pairs: Mapping[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Vectors of the rows that both tables have, ``(n, D)`` and ``(n, D2)`` in one order."""
    there = {place: row for row, place in enumerate(rows[1][0].tolist())}
    both = [(row, there[pairs[place]]) for row, place in enumerate(rows[0][0].tolist()) if pairs.get(place) in there]
    index = np.array(both, dtype=np.int64).reshape(-1, 2)
    return rows[0][1][index[:, 0]], rows[1][1][index[:, 1]]


def aligned_videos(
    rows: tuple[PlacedVectors, PlacedVectors], one: RecordedTable, other: RecordedTable, ids: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """Video vectors (mean over the rows, then L2) of the videos that both tables have, in the order of ``ids``."""
    found: list[dict[str, FloatArray]] = []
    for (places, vectors), table in zip(rows, (one, other), strict=True):
        names = table.places.video_id[places]
        found.append({name: video_vector(vectors[names == name]) for name in np.unique(names).tolist()})
    both = [name for name in ids if name in found[0] and name in found[1]]
    if not both:
        return rows[0][1][:0], rows[1][1][:0]
    return np.stack([found[0][name] for name in both]), np.stack([found[1][name] for name in both])
