"""A video's chosen rows beside what its network gives now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tubelet.descriptors.audit.closeness import Allowance, row_distances
from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.audit.verification import RowCheck
from tubelet.descriptors.described import Described

_TIME_S = 1e-6


def compare_rows(
    table: RecordedTable, video_id: str, now: Described, places: Sequence[int], allowed: Allowance
) -> list[RowCheck]:
    """Compare the chosen rows of one video, every layer of each.

    Parameters
    ----------
    table, video_id, places
        Which rows; places as of `RecordedTable.places`.
    now
        The video described anew: exactly the clips chosen, as far as it has them.
    allowed
        What a row may be off by.
    """
    wanted = [] if table.whole_videos else sorted(int(table.places.clip_index[place]) for place in places)
    # The network gives clips in order; those beyond the video's end do not come.
    position = dict(zip(wanted, range(len(now)), strict=False))
    checks = []
    for layer in now.vectors:
        stored_at, stored = table.vectors(layer, [video_id])
        row_of = {place: row for row, place in enumerate(stored_at.tolist())}
        for place in places:
            if place not in row_of:
                continue
            here = _RowPlace.of(table, place)
            index = 0 if table.whole_videos else position.get(here.clip_index)
            if index is None:
                checks.append(here.check(layer, reason="the video has no such clip"))
                continue
            new = now.video_vector(layer) if table.whole_videos else now.vectors[layer][index]
            distance = row_distances(stored[[row_of[place]]], new[None])
            reason = here.misplaced(now, None if table.whole_videos else index)
            if not np.isfinite(stored[row_of[place]]).all():
                reason = "a stored number is not finite"
            elif not reason and distance.relative[0] > allowed.relative:
                reason = "the vector is another"
            checks.append(here.check(layer, distance.cosine[0], distance.relative[0], distance.largest[0], reason))
    return checks


@dataclass(frozen=True)
class _RowPlace:
    """A row's place, as the table states it."""

    video_id: str
    clip_index: int
    start_s: float
    end_s: float
    start_frame: int
    end_frame: int

    @classmethod
    def of(cls, table: RecordedTable, place: int) -> _RowPlace:
        """Place of one row."""
        rows = table.places
        return cls(
            str(rows.video_id[place]),
            int(rows.clip_index[place]),
            float(rows.start_s[place]),
            float(rows.end_s[place]),
            int(rows.start_frame[place]),
            int(rows.end_frame[place]),
        )

    def misplaced(self, now: Described, clip: int | None) -> str:
        """What is wrong with its times; empty where nothing is."""
        first, last = (0, -1) if clip is None else (clip, clip)
        times = (float(now.start_s[first]), float(now.end_s[last]))
        frames = (int(now.start_frame[first]), int(now.end_frame[last]))
        if np.isfinite(self.start_s) and np.abs(np.subtract(times, (self.start_s, self.end_s))).max() > _TIME_S:
            return f"it lies at {times[0]:.2f}–{times[1]:.2f} s now"
        if self.start_frame >= 0 and frames != (self.start_frame, self.end_frame):
            return f"it is frames {frames[0]} to {frames[1]} now"
        return ""

    def check(
        self, layer: str, cosine: float = np.nan, relative: float = np.inf, largest: float = np.inf, reason: str = ""
    ) -> RowCheck:
        """The row with what was found."""
        clip = None if self.clip_index < 0 else self.clip_index
        place = (_known(self.start_s), _known(self.end_s))
        return RowCheck(
            self.video_id, clip, *place, layer, _known(cosine), _known(relative), _known(largest), reason=reason
        )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
