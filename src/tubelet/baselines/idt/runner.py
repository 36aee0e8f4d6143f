"""The trajectories of many videos, computed in parallel and stored: resumable, interruptible."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json
from tubelet.baselines.idt.record import TrajectoryRecord
from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.store import read_record, stored_settings, trajectories_path
from tubelet.errors import InputDataError, UsageError
from tubelet.failures import ManyVideos
from tubelet.flow.opencv import opencv
from tubelet.provenance import PROVENANCE_FILE, environment
from tubelet.reporting.text import counted, first_few, size_text
from tubelet.video.guard import GuardedPool
from tubelet.video.limits import Limits
from tubelet.video.many import StoreJob, StoreRun, storing_in
from tubelet.video.stale import StorePlan, plan_store, same_source

TASK = "tubelet.baselines.idt.task:answer"

_STALL_S = 900.0  # between two signs of life; a pair of 4K frames takes half a minute, on a busy machine several
_MEMORY_BYTES = 8 << 30  # of a worker; 4K frames take 4.3 GB, full HD 1.2


@dataclass(frozen=True)
class IdtSummary(ManyVideos):
    """How a run of ``tubelet extract --model idt`` ended.

    Attributes
    ----------
    folder
        Where the trajectories are stored.
    frames, found, kept, nbytes
        Of this run: frames followed, trajectories found and stored, and the bytes that these take.
    empty
        Ids of the videos that are stored, now or before, and have no trajectory.
    seconds, frames_per_s
        Duration of this run and its rate, decoding and writing included.
    camera
        Whether the camera's motion was taken out.
    most_trajectories
        Kept of each video at most; None keeps all.
    """

    folder: str
    frames: int
    found: int
    kept: int
    nbytes: int
    empty: tuple[str, ...]
    frames_per_s: float
    camera: bool
    most_trajectories: int | None

    def __str__(self) -> str:
        lines = [self.counts_line(self.folder, "stored")]
        if self.done:
            of_all = "" if self.kept == self.found else f" of {self.found} found"
            lines.append(
                f"{self.kept} trajectories{of_all}, {size_text(self.nbytes)}: {size_text(self.nbytes / self.done)} a "
                f"video; {self.frames} frames at {self.frames_per_s:.1f} frames/s"
            )
        if self.empty:
            still = "nothing moves in them"
            if self.camera:
                still += " but, as it seems, the camera (--no-camera keeps that)"
            lines.append(
                f"{counted(len(self.empty), 'video')} without a trajectory: too short, too small, or {still}: "
                + first_few(self.empty)
            )
        return "\n".join(lines)


def plan_trajectories(
    videos: Mapping[str, Path], out: str | os.PathLike[str], settings: Mapping[str, Any]
) -> StorePlan:
    """Compare what is wanted with what is stored; nothing is decoded or written.

    Parameters
    ----------
    videos
        Path of each video, by id.
    out
        Folder below which trajectories are stored.
    settings
        `tubelet.baselines.idt.store.stored_settings` of how they shall be computed.
    """

    def why(path: Path, target: Path) -> str | None:
        if not target.exists():
            return "new"
        record = read_record(target)
        if record is None:
            return "damaged"
        if record.settings != settings:
            return "settings"
        return None if same_source(path, record) else "file"

    return plan_store(videos, {video_id: trajectories_path(out, video_id) for video_id in videos}, why)


def compute_trajectories(
    videos: Mapping[str, Path],
    out: str | os.PathLike[str],
    settings: IdtSettings,
    *,
    most_trajectories: int | None = None,
    seed: int = 0,
    workers: int = 1,
    limits: Limits | None = None,
) -> IdtSummary:
    """Compute and store the trajectories of videos; run again, it goes on and redoes what became stale.

    Every video is decoded, followed and stored by one of ``workers`` spawned processes with one thread each. A
    video's file appears whole, when it is complete: whatever ends the run, at most one video per worker has to be
    done again. Stale trajectories of a video that now fails are removed: nobody shall take them for its own.

    Parameters
    ----------
    videos
        Path of each video (file or folder of frames), by its id: the POSIX path below the data root.
    out
        Folder below which trajectories are stored; made if absent.
    settings
        How to compute them.
    most_trajectories
        Keep so many of each video at most, drawn at random; None keeps all.
    seed
        Of that draw; a video's draw depends on its id, not on the other videos.
    workers
        Videos at a time.
    limits
        Bounds on pixels, duration and frames of a video.

    Returns
    -------
    IdtSummary
        With ``exit_code`` 3 if videos failed; they are listed in ``failed.jsonl``.

    Raises
    ------
    UsageError
        Another process stores trajectories in this folder.
    MissingExtraError
        OpenCV is not installed.
    """
    opencv()
    if most_trajectories is not None and most_trajectories < 1:
        raise UsageError(f"{most_trajectories} trajectories cannot be kept", remedy="give at least 1, or none for all")
    wanted = stored_settings(settings, most_trajectories, seed)
    with storing_in(out, "trajectories") as folder:
        plan = plan_trajectories(videos, folder, wanted)
        write_json(folder / PROVENANCE_FILE, environment(model="idt", settings=wanted))
        job = StoreJob("computing trajectories", wanted, _read_record)
        with GuardedPool(TASK, workers, memory_bytes=_MEMORY_BYTES, stall_timeout_s=_STALL_S) as pool:
            run = StoreRun(videos, folder, plan, job, limits or Limits())
            run.all(pool)
        for failure in run.failures:
            if plan.reasons.get(failure.video_id, "new") != "new" and plan.targets[failure.video_id].is_file():
                plan.targets[failure.video_id].unlink()
        records, seconds = run.records, run.seconds
        before = [record for name in plan.skipped if (record := read_record(plan.targets[name])) is not None]
        frames = sum(record.frames for record in records)
        return IdtSummary(
            **run.counts(),
            frames=frames,
            found=sum(record.found for record in records),
            kept=sum(record.kept for record in records),
            empty=tuple(sorted(record.video_id for record in (*records, *before) if record.found == 0)),
            seconds=seconds,
            frames_per_s=frames / max(seconds, 1e-9),
            camera=settings.camera is not None,
            most_trajectories=most_trajectories,
        )


def _read_record(values: dict[str, Any], path: str) -> TrajectoryRecord:
    """What a worker says of the file that it has written."""
    try:
        return TrajectoryRecord.from_dict(values)
    except ValueError as error:
        raise InputDataError("the worker's record cannot be read", path=path, why=str(error)) from error
