"""In what two descriptor tables differ: settings named, vectors measured, and the difference attributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tubelet.descriptors.audit.attribution import Attribution, attribute
from tubelet.descriptors.audit.closeness import row_distances
from tubelet.descriptors.audit.common import aligned_vectors, aligned_videos, common_rows, videos_to_measure
from tubelet.descriptors.audit.differences import Difference, settings_that_differ
from tubelet.descriptors.audit.geometry import Neighborhood, linear_cka, neighborhood
from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.audit.relation import Relation, relate
from tubelet.descriptors.audit.ways import Side, ways_of
from tubelet.errors import InputDataError, TubeletError, UsageError

_PREFERRED = ("fc6", "pool5")
_SAME = ("equal", "rounding")


@dataclass(frozen=True)
class Coverage:
    """What two tables have in common: videos by name, rows by video and place."""

    videos: int
    videos_only_first: int
    videos_only_second: int
    rows: int
    rows_only_first: int
    rows_only_second: int
    measured_videos: int
    by: str


@dataclass(frozen=True)
class Explanation:
    """What `explain` found.

    Attributes
    ----------
    first, second
        Paths of the tables A and B.
    layers, dimensions
        The layer compared of each, and the length of its vectors.
    differences
        Settings that are not the same.
    coverage
        What is common.
    clips
        Relation of the vectors of common rows; None where there are none, or their lengths differ.
    videos
        Relation of video vectors (mean over clips, then L2); None likewise.
    neighbors, cka
        How alike both see the common videos; None where there are too few.
    attribution
        What each setting accounts for; None where it was not measured, and ``why_not`` says why.
    """

    first: str
    second: str
    layers: tuple[str, str]
    dimensions: tuple[int, int]
    differences: tuple[Difference, ...]
    coverage: Coverage
    clips: Relation | None
    videos: Relation | None
    neighbors: Neighborhood | None
    cka: float | None
    attribution: Attribution | None
    why_not: str
    cosines: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {"verdict": self.verdict(), **asdict(self)}

    def verdict(self) -> str:
        """One sentence."""
        relation = self.clips or self.videos
        cut_otherwise = self._cut_otherwise()
        if cut_otherwise:
            what = cut_otherwise
        elif relation is not None and relation.kind != "other":
            what = relation.sentence
        elif relation is not None:
            level = "common clips" if self.clips is not None else "videos"
            what = f"the vectors differ: median cosine {relation.cosine.median:.4f} over {relation.rows} {level}"
        elif self.dimensions[0] != self.dimensions[1]:
            what = f"the vectors have {self.dimensions[0]} and {self.dimensions[1]} numbers"
        else:
            what = "the tables have no video in common"
        telling = [each.setting for each in self.differences if each.weight == "vectors"]
        named = f"; they differ in {', '.join(telling)}" if telling else "; no recorded setting that matters differs"
        found = f"; {self.attribution.sentence}" if self.attribution is not None else ""
        return f"{what}{named}{found}"

    def _cut_otherwise(self) -> str:
        """Where common clips are simply related, but further clips make the videos differ: both; else nothing."""
        clips, videos, cover = self.clips, self.videos, self.coverage
        places = ((cover.rows_only_first, "A"), (cover.rows_only_second, "B"))
        only = ", ".join(f"{rows} {'is' if rows == 1 else 'are'} only in {table}" for rows, table in places if rows)
        if clips is None or clips.kind == "other" or videos is None or videos.kind in _SAME or not only:
            return ""
        return (
            f"over {clips.rows} clips that both have {clips.sentence} ({only}), but the videos' vectors differ: median "
            f"cosine {videos.cosine.median:.4f} over {videos.rows} videos"
        )


def explain(
    first: Side,
    second: Side,
    *,
    layers: tuple[str | None, str | None] = (None, None),
    videos: int = 8,
    seed: int = 0,
    device: str = "auto",
    workers: int = 1,
) -> Explanation:
    """Name and measure the differences of two tables.

    Parameters
    ----------
    first, second
        A and B.
    layers
        The layer of each; None: one that both have, fc6 or pool5 rather than others.
    videos
        How many videos are described anew with each differing setting; 0: none.
    seed
        Of the choice of videos and rows.
    device, workers
        As of `Extractor`.

    Raises
    ------
    UsageError
        A table has no such layer, or they have none in common and none is named.
    """
    one, other = first.table, second.table
    names = _layers(one, other, layers)
    differences = settings_that_differ(one, other, names)
    common = [video_id for video_id in one.videos if video_id in other.videos]
    pairs, by = common_rows(one, other)
    coverage = Coverage(
        videos=len(common),
        videos_only_first=len(one.videos) - len(common),
        videos_only_second=len(other.videos) - len(common),
        rows=len(pairs),
        rows_only_first=len(one) - len(pairs),
        rows_only_second=len(other) - len(pairs),
        measured_videos=0,
        by=by,
    )
    measured = videos_to_measure(one, other, common, seed)
    clips, by_video, near, cka = None, None, None, None
    cosines: tuple[float, ...] = ()
    if measured:
        coverage = replace(coverage, measured_videos=len(measured))
        rows = one.vectors(names[0], measured), other.vectors(names[1], measured)
        for (places, vectors), table in zip(rows, (one, other), strict=True):
            if not np.isfinite(vectors).all():
                bad = table.places.video_id[places[~np.isfinite(vectors).all(axis=1)][0]]
                raise InputDataError(
                    "a descriptor is not finite", path=table.path, why=str(bad), remedy="extract it again"
                )
        same_length = one.dimensions[names[0]] == other.dimensions[names[1]]
        both = aligned_vectors(rows, pairs)
        if same_length and len(both[0]):
            clips = relate(*both)
            cosines = tuple(row_distances(*both).cosine.tolist())
        means = aligned_videos(rows, one, other, measured)
        if same_length and len(means[0]):
            by_video = relate(*means)
        near, cka = neighborhood(*means), linear_cka(*means)
    attribution, why_not = _attributed(first, second, names, differences, common, videos, seed, device, workers)
    return Explanation(
        first=str(one.path),
        second=str(other.path),
        layers=names,
        dimensions=(one.dimensions[names[0]], other.dimensions[names[1]]),
        differences=tuple(differences),
        coverage=coverage,
        clips=clips,
        videos=by_video,
        neighbors=near,
        cka=cka,
        attribution=attribution,
        why_not=why_not,
        cosines=cosines,
    )


def _layers(one: RecordedTable, other: RecordedTable, layers: tuple[str | None, str | None]) -> tuple[str, str]:
    for table, layer in zip((one, other), layers, strict=True):
        if layer is not None and layer not in table.layers:
            raise UsageError(
                f"the table has no layer {layer!r}", path=table.path, remedy=f"it has {', '.join(table.layers)}"
            )
    if layers[0] is not None and layers[1] is not None:
        return layers[0], layers[1]
    both = [layer for layer in one.layers if layer in other.layers]
    if layers[0] is None and layers[1] is None:
        if both:
            chosen = next((layer for layer in _PREFERRED if layer in both), both[0])
            return chosen, chosen
        if len(one.layers) == len(other.layers) == 1:
            return one.layers[0], other.layers[0]
    named = layers[0] or layers[1]
    if named in both:
        return str(named), str(named)
    raise UsageError(
        "the tables have no such layer in common" if named else "the tables have no layer in common",
        why=f"{', '.join(one.layers)} and {', '.join(other.layers)}",
        remedy="name one of each: --layer for A, --layer-b for B",
    )


def _attributed(
    first: Side,
    second: Side,
    layers: tuple[str, str],
    differences: Sequence[Difference],
    common: Sequence[str],
    videos: int,
    seed: int,
    device: str,
    workers: int,
) -> tuple[Attribution | None, str]:
    if not any(each.weight == "vectors" for each in differences):
        return None, "no recorded setting that can move vectors differs"
    if not videos:
        return None, "no videos were to be described anew"
    try:
        own, other, unavailable = ways_of(first, second, layers, differences, common, videos, seed, device)
    except TubeletError as error:
        return None, str(error)
    found = attribute(
        first.table, second.table, own, other, differences, unavailable=unavailable, device=device, workers=workers
    )
    return found, ""
