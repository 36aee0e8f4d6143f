"""``tubelet data cut``: videos become rows of a table, short clips at random places."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.spans import measure_durations, random_spans
from tubelet.errors import InputDataError, UsageError
from tubelet.failures import FAILED_FILE, list_failures
from tubelet.reporting.terminal import progress


@dataclass(frozen=True)
class CutSummary:
    """How many videos became how many rows of which table; ``whole`` were too short to cut."""

    table: str
    videos: int
    rows: int
    whole: int
    failed: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def line(self) -> str:
        """One line for people."""
        see = f", see {Path(self.table).with_name(FAILED_FILE)}" if self.failed else ""
        whole = f" ({self.whole:,} kept whole: too short to cut)" if self.whole else ""
        return f"{self.table}: {self.rows:,} rows of {self.videos:,} videos{whole}, {self.failed:,} unreadable{see}"


def cut_folder(
    manifest: Manifest, out: Path, *, count: int, length_s: float, seed: int, split: str | None, workers: int
) -> CutSummary:
    """Measure the videos of a split, draw clips of them and write the table.

    Raises
    ------
    UsageError
        The table exists, or lies where paths to the videos would lead upwards.
    InputDataError
        Not one video can be read.
    """
    below = _below(manifest, out)
    paths = sorted({item.path for item in manifest.items if split is None or item.split == split})
    with ClipDecoder(workers=workers) as decoder, progress("measuring", total=len(paths), unit="video") as bar:
        durations, failures = measure_durations(
            manifest, paths, decoder, lambda done, total: bar.update(1), workers=workers
        )
    if paths and not durations:
        raise InputDataError(
            "not one of the videos can be read", path=manifest.root, why=failures[0].error, remedy="check the folder"
        )
    unreadable = {failure.video_id for failure in failures}
    readable = manifest.select(keep=lambda item: item.path not in unreadable)
    rows = random_spans(readable, durations, count=count, length_s=length_s, seed=seed, split=split)
    whole = sum(item.end_s is None and item.path in durations for item in rows.items)
    table = replace(
        rows,
        root=manifest.root if not below else out.parent,
        items=tuple(replace(item, path=f"{below}{item.path}") for item in rows.items),
        allow_outside=True,  # paths were proved to lie below the manifest's root
    )
    table.to_csv(out)
    list_failures(out.with_name(FAILED_FILE), failures)
    videos = len({item.path for item in rows.items})
    return CutSummary(str(out), videos, len(rows), whole, len(failures), seed)


def _below(manifest: Manifest, out: Path) -> str:
    """What a path of the manifest begins with, seen from the table's folder: "" or "videos/"."""
    if out.exists():
        raise UsageError("the table exists", path=out, remedy="name another one, or delete it")
    folder, root = Path(os.path.abspath(out.parent)), Path(os.path.abspath(manifest.root))
    if folder == root:
        return ""
    if root.is_relative_to(folder):
        return f"{root.relative_to(folder).as_posix()}/"
    raise UsageError(
        "the table's folder does not hold the videos", path=out, remedy=f"write it to {manifest.root / 'metadata.csv'}"
    )
