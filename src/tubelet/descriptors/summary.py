"""How a run of ``extract`` ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tubelet.errors import ExitCode
from tubelet.failures import FailedVideo, counts_line


@dataclass(frozen=True)
class ExtractSummary:
    """How a run ended.

    Attributes
    ----------
    table
        The table's folder.
    videos
        Videos asked for: ``done + skipped + failed``.
    done
        Described in this run; ``partial`` of them from files that lost frames.
    skipped
        Already in the table and still right.
    failed
        In ``failures`` and in ``failed.jsonl``.
    rows
        Rows written in this run.
    seconds, clips_per_s
        Duration of this run and its rate.
    reasons
        How many videos were described why: ``"new"``, ``"weights"``, ``"file"``, ….
    failures
        The failed videos.
    """

    table: str
    videos: int
    done: int
    skipped: int
    failed: int
    partial: int
    rows: int
    seconds: float
    clips_per_s: float
    reasons: dict[str, int]
    failures: tuple[FailedVideo, ...]

    @property
    def exit_code(self) -> ExitCode:
        """``SOME_FAILED`` if a video failed, else ``DONE``."""
        return ExitCode.SOME_FAILED if self.failed else ExitCode.DONE

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self)

    def __str__(self) -> str:
        counts = counts_line(
            self.table, "described", done=self.done, skipped=self.skipped, failed=self.failed, partial=self.partial
        )
        rate = f" at {self.clips_per_s:.1f} clips/s" if self.rows else ""
        return f"{counts}; {self.rows} rows written{rate}"
