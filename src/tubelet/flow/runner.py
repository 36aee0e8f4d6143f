"""The flow of many videos, computed in parallel: resumable, interruptible, in memory that does not grow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tubelet.artifacts import write_json
from tubelet.flow.check import read_record
from tubelet.flow.layout import store_path
from tubelet.flow.opencv import opencv
from tubelet.flow.plan import plan_flow
from tubelet.flow.record import FlowRecord, FlowSettings, StoreKind
from tubelet.flow.summary import FlowSummary
from tubelet.flow.workers import check_all, flow_pool
from tubelet.provenance import PROVENANCE_FILE, environment
from tubelet.video.guard import GuardedPool
from tubelet.video.limits import Limits
from tubelet.video.many import StoreJob, StoreRun, storing_in
from tubelet.video.stale import StorePlan


def compute_flow(
    videos: Mapping[str, Path],
    out: str | os.PathLike[str],
    settings: FlowSettings,
    *,
    workers: int = 1,
    verify: bool = False,
    limits: Limits | None = None,
) -> FlowSummary:
    """Compute and store the flow of videos; run again, it goes on where it was and redoes what became stale.

    Every video is decoded, computed and stored by one of ``workers`` spawned processes with one thread each. A
    video's flow appears whole, when it is complete: whatever ends the run, at most one video per worker has to be
    done again.

    Parameters
    ----------
    videos
        Path of each video (file or folder of frames), by its id: the POSIX path below the data root.
    out
        Folder below which flow is stored; made if absent.
    settings
        How to compute and store it.
    workers
        Videos at a time.
    verify
        Decode all that is stored already, and do again what is damaged. Otherwise only number and sizes of the
        files are compared with what was written.
    limits
        Bounds on pixels, duration and frames of a video.

    Returns
    -------
    FlowSummary
        With ``exit_code`` 3 if videos failed; they are listed in ``failed.jsonl``.

    Raises
    ------
    UsageError
        Another process stores flow in this folder; two videos would be stored in the same place.
    MissingExtraError
        OpenCV, or its part with TV-L1, is not installed.
    """
    opencv()
    with storing_in(out, "flow") as folder:
        plan = plan_flow(videos, folder, settings)
        write_json(folder / PROVENANCE_FILE, environment(settings=settings.to_dict()))

        def superseded(video_id: str) -> None:
            _remove_other_form(folder, video_id, settings, is_folder=videos[video_id].is_dir())

        job = StoreJob("computing flow", settings.to_dict(), FlowRecord.from_dict, superseded)
        with flow_pool(workers, settings) as pool:
            if verify:
                _recheck(plan, videos, pool)
            run = StoreRun(videos, folder, plan, job, limits or Limits())
            run.all(pool)
        return _summary(run, settings)


def _recheck(plan: StorePlan, videos: Mapping[str, Path], pool: GuardedPool) -> None:
    """Move videos whose stored flow is damaged from those skipped to those to be done."""
    problems = check_all({video_id: plan.targets[video_id] for video_id in plan.skipped}, pool)
    damaged = {video_id for video_id, found in problems.items() if found}
    plan.skipped = [video_id for video_id in plan.skipped if video_id not in damaged]
    plan.reasons |= dict.fromkeys(damaged, "damaged")
    plan.todo = [video_id for video_id in videos if video_id in plan.reasons]


def _remove_other_form(folder: Path, video_id: str, settings: FlowSettings, *, is_folder: bool) -> None:
    """Flow that was stored by another ``--store`` is superseded, and would be found first."""
    kind: StoreKind = "jpeg" if settings.store == "compact" else "compact"
    other = store_path(folder, video_id, kind, is_folder=is_folder)
    if other.exists() and read_record(other) is not None:
        if other.is_dir():
            shutil.rmtree(other)
        else:
            other.unlink()


def _summary(run: StoreRun[FlowRecord], settings: FlowSettings) -> FlowSummary:
    """How the run ended."""
    records, seconds = run.records, run.seconds
    pairs = sum(record.pairs for record in records)

    def mean(value: Callable[[FlowRecord], float], weight: Callable[[FlowRecord], int]) -> float | None:
        weights = sum(map(weight, records))
        return sum(value(record) * weight(record) for record in records) / weights if weights else None

    return FlowSummary(
        **run.counts(),
        pairs=pairs,
        seconds=seconds,
        pairs_per_s=pairs / max(seconds, 1e-9),
        quality=settings.quality,
        bound=settings.bound,
        saturated_share=mean(lambda r: r.saturated_share, lambda r: r.pairs * r.height * r.width),
        quantized_px=mean(lambda r: r.error.quantized_px, lambda r: r.error.pairs * r.height * r.width),
        stored_px=mean(lambda r: r.error.stored_px, lambda r: r.error.pairs * r.height * r.width),
        stored_max_px=max((record.error.stored_max_px for record in records), default=None),
        camera_share=mean(lambda r: r.camera_share or 0.0, lambda r: r.pairs) if settings.warped else None,
    )
