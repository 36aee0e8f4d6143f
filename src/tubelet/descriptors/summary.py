"""How a run over many videos ended, and the list of those that failed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_text
from tubelet.errors import ExitCode

FAILED_FILE = "failed.jsonl"


@dataclass(frozen=True)
class FailedVideo:
    """A line of ``failed.jsonl``: which video, the error's sentence, and the error's class."""

    video_id: str
    path: str
    error: str
    kind: str


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
        parts = [f"{self.done} described", f"{self.skipped} already there", f"{self.failed} failed"]
        if self.partial:
            parts[0] += f" ({self.partial} of them lost frames)"
        failed = f", see {os.path.join(self.table, FAILED_FILE)}" if self.failed else ""
        rate = f" at {self.clips_per_s:.1f} clips/s" if self.rows else ""
        return f"{self.table}: {', '.join(parts)}{failed}; {self.rows} rows written{rate}"


def list_failures(path: Path, failures: Sequence[FailedVideo]) -> None:
    """Write one JSON object per failed video, atomically; without any, the file of an earlier run goes."""
    if failures:
        write_text(path, "".join(json.dumps(asdict(failure), ensure_ascii=False) + "\n" for failure in failures))
    else:
        with suppress(FileNotFoundError):
            path.unlink()
