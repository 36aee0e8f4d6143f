"""What verifying a table found: rows, layers, videos, and one verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tubelet.descriptors.audit.closeness import Allowance
from tubelet.descriptors.audit.standing import VideoCheck
from tubelet.errors import ExitCode


@dataclass(frozen=True)
class RowCheck:
    """One row, one layer.

    Attributes
    ----------
    video_id, clip_index
        Which; the index is None where rows are whole videos.
    start_s, end_s
        Where it lies, as the table says; None where it does not.
    layer
        Which vector.
    cosine, relative, largest
        Of the stored vector and the one computed anew, see `tubelet.descriptors.audit.closeness.RowDistances`; None
        where a number is not finite.
    reason
        Why it is off; empty where it is not.
    """

    video_id: str
    clip_index: int | None
    start_s: float | None
    end_s: float | None
    layer: str
    cosine: float | None
    relative: float | None
    largest: float | None
    reason: str = ""


@dataclass(frozen=True)
class LayerCheck:
    """All rows of a layer that were computed again; None where none could be compared."""

    layer: str
    rows: int
    off: int
    least_cosine: float | None
    median_cosine: float | None
    worst_relative: float | None
    largest: float | None


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes
    ----------
    table
        Its path.
    model, weights_sha256
        What computed it anew.
    rows, rows_total, videos, videos_total
        Rows computed again and there; videos looked at and there.
    seed
        Of the choice.
    precision
        Of the new computation.
    allowance
        What a row may be off by.
    layers
        A summary of each.
    checks
        Every row that was compared.
    video_checks
        Every video that was looked at, and those with rows missing or repeated.
    changed
        What the rows are recorded to be made by and is not at hand as it was: weights, recipe.
    notes
        What differs and does not make a row wrong by itself: versions, machine, a touched file.
    detectable
        So many videos off, or more, would have been found in 95 of 100 such samples.
    """

    table: str
    model: str
    weights_sha256: str
    rows: int
    rows_total: int
    videos: int
    videos_total: int
    seed: int
    precision: str
    allowance: Allowance
    layers: tuple[LayerCheck, ...]
    checks: tuple[RowCheck, ...]
    video_checks: tuple[VideoCheck, ...]
    changed: tuple[str, ...]
    notes: tuple[str, ...]
    detectable: int

    @property
    def off(self) -> tuple[RowCheck, ...]:
        """Rows that are not what the network gives."""
        return tuple(check for check in self.checks if check.reason)

    @property
    def bad_videos(self) -> tuple[VideoCheck, ...]:
        """Videos that changed, are missing, cannot be read, or lack rows."""
        return tuple(check for check in self.video_checks if check.serious)

    @property
    def as_recorded(self) -> bool:
        """Whether nothing is off."""
        return not (self.off or self.bad_videos or self.changed)

    @property
    def exit_code(self) -> ExitCode:
        """``DONE`` if everything is as recorded, else ``SOME_FAILED``."""
        return ExitCode.DONE if self.as_recorded else ExitCode.SOME_FAILED

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        values = asdict(self)
        values["checks"] = [asdict(check) for check in self.checks]
        return {"as_recorded": self.as_recorded, "verdict": self.verdict(), **values}

    def verdict(self) -> str:
        """One sentence."""
        looked = f"{self.rows} of {self.rows_total} rows, from {self.videos} of {self.videos_total} videos"
        if self.as_recorded:
            more = "" if self.videos == self.videos_total else f"; {self._power()}"
            return f"as recorded: {looked}, came out again{more}"
        parts = [*self.changed]
        if self.off:
            count = len({(check.video_id, check.clip_index) for check in self.off})
            videos = len({check.video_id for check in self.off})
            parts.append(f"{count} of {self.rows} rows computed again are off, in {videos} of {self.videos} videos")
        elif self.rows:
            parts.append(f"the {self.rows} rows computed again agree")
        for state, count in _counted(self.bad_videos).items():
            parts.append(f"{count} video{'s' if count > 1 else ''} {state}")
        return f"not as recorded: {'; '.join(parts)}"

    def _power(self) -> str:
        share = "a bad one" if self.detectable == 1 else f"{self.detectable} bad ones or more"
        return f"{share} among the {self.videos_total} videos would have shown in 95 of 100 such samples"


def summarize(layer: str, checks: Sequence[RowCheck]) -> LayerCheck:
    """The rows of one layer, summarized."""
    rows = [check for check in checks if check.layer == layer]
    known = [check for check in rows if check.cosine is not None]

    def of(reduce: Callable[[list[float]], Any], name: str) -> float | None:
        values = [getattr(check, name) for check in known]
        return float(reduce(values)) if values else None

    return LayerCheck(
        layer,
        len(rows),
        sum(bool(check.reason) for check in rows),
        of(min, "cosine"),
        of(np.median, "cosine"),
        of(max, "relative"),
        of(max, "largest"),
    )


def _counted(videos: Sequence[VideoCheck]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for check in videos:
        counts[check.phrase] = counts.get(check.phrase, 0) + 1
    return counts
