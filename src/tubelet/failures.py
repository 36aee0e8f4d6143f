"""``failed.jsonl``: the videos that a run over many could not deal with."""

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
class ManyVideos:
    """How a run over many videos ended; each kind of run adds what it made.

    Attributes
    ----------
    videos
        Videos asked for: ``done + skipped + failed``.
    done
        Dealt with in this run; ``partial`` of them from files that lost frames.
    skipped
        Already there and still right.
    failed
        In ``failures`` and in ``failed.jsonl``.
    seconds
        Duration of this run.
    reasons
        How many videos were dealt with why: ``"new"``, ``"settings"``, ``"weights"``, ``"file"``, ``"damaged"``.
    failures
        The failed videos.
    """

    videos: int
    done: int
    skipped: int
    failed: int
    partial: int
    seconds: float
    reasons: dict[str, int]
    failures: tuple[FailedVideo, ...]

    @property
    def exit_code(self) -> ExitCode:
        """``SOME_FAILED`` if a video failed, else ``DONE``."""
        return ExitCode.SOME_FAILED if self.failed else ExitCode.DONE

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self)

    def counts_line(self, folder: str, verb: str) -> str:
        """``FOLDER: 3 stored (1 of them lost frames), 2 already there, 0 failed``."""
        lost = f" ({self.partial} of them lost frames)" if self.partial else ""
        see = f", see {os.path.join(folder, FAILED_FILE)}" if self.failed else ""
        return f"{folder}: {self.done} {verb}{lost}, {self.skipped} already there, {self.failed} failed{see}"


def list_failures(path: Path, failures: Sequence[FailedVideo]) -> None:
    """Write one JSON object per failed video, atomically; without any, the file of an earlier run goes."""
    if failures:
        write_text(path, "".join(json.dumps(asdict(failure), ensure_ascii=False) + "\n" for failure in failures))
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def read_failures(folder: Path) -> dict[str, str]:
    """Why videos failed, by ``video_id``, as a folder's ``failed.jsonl`` says; none without the file."""
    listed = folder / FAILED_FILE
    if not listed.exists():
        return {}
    entries = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    return {str(entry["video_id"]): str(entry["error"]) for entry in entries}
