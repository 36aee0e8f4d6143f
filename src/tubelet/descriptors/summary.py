"""How a run of ``extract`` ended."""

from __future__ import annotations

from dataclasses import dataclass

from tubelet.failures import FailedVideo, ManyVideos, counts_line


@dataclass(frozen=True)
class ExtractSummary(ManyVideos):
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

    def __str__(self) -> str:
        counts = counts_line(
            self.table, "described", done=self.done, skipped=self.skipped, failed=self.failed, partial=self.partial
        )
        rate = f" at {self.clips_per_s:.1f} clips/s" if self.rows else ""
        return f"{counts}; {self.rows} rows written{rate}"
