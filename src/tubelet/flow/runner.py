"""The flow of many videos, computed in parallel: resumable, interruptible, in memory that does not grow."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from tubelet.artifacts import lock_folder, remove_leftovers, write_json
from tubelet.errors import DecodeWorkerError, InputDataError, NumericalError, TubeletError, UsageError
from tubelet.failures import FAILED_FILE, FailedVideo, list_failures
from tubelet.flow.check import read_record
from tubelet.flow.layout import store_path
from tubelet.flow.opencv import opencv
from tubelet.flow.plan import FlowPlan, plan_flow
from tubelet.flow.record import FlowRecord, FlowSettings, StoreKind
from tubelet.flow.summary import FlowSummary, size_text
from tubelet.flow.workers import as_completed, check_all, flow_pool, threads_of
from tubelet.provenance import environment
from tubelet.reporting.terminal import ProgressBar, progress
from tubelet.video.fingerprint import content_size
from tubelet.video.guard import GuardedPool
from tubelet.video.limits import Limits

PROVENANCE_FILE = "provenance.json"


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
    folder = Path(out)
    opencv()
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(
        folder,
        UsageError(
            "another process is storing flow in this folder",
            path=folder,
            remedy="wait until it is done, or use another folder",
        ),
    )
    try:
        plan = plan_flow(videos, folder, settings)
        write_json(folder / PROVENANCE_FILE, environment(settings=settings.to_dict()))
        with flow_pool(workers, settings) as pool:
            if verify:
                _recheck(plan, videos, pool)
            run = _Run(videos, folder, settings, plan, limits or Limits())
            run.all(pool)
        return run.summary()
    finally:
        if lock is not None:
            os.close(lock)


def _recheck(plan: FlowPlan, videos: Mapping[str, Path], pool: GuardedPool) -> None:
    """Move videos whose stored flow is damaged from those skipped to those to be done."""
    problems = check_all({video_id: plan.targets[video_id] for video_id in plan.skipped}, pool)
    damaged = {video_id for video_id, found in problems.items() if found}
    plan.skipped = [video_id for video_id in plan.skipped if video_id not in damaged]
    plan.reasons |= dict.fromkeys(damaged, "damaged")
    plan.todo = [video_id for video_id in videos if video_id in plan.reasons]


class _Run:
    """The state of one run; what several threads touch is guarded by ``_change``."""

    def __init__(
        self, videos: Mapping[str, Path], folder: Path, settings: FlowSettings, plan: FlowPlan, limits: Limits
    ) -> None:
        self._videos = videos
        self._folder = folder
        self._settings = settings
        self._plan = plan
        self._limits = limits
        self._started = time.monotonic()
        self._change = threading.Lock()
        self._bar: ProgressBar | None = None
        self._records: list[FlowRecord] = []
        self._failures: list[FailedVideo] = []
        self._bytes = {video_id: content_size(videos[video_id]) for video_id in plan.todo}
        self._frames: Counter[str] = Counter()
        self._expected: dict[str, int] = {}
        self._stored: Counter[str] = Counter()
        self._begun: dict[str, Path] = {}

    def all(self, pool: GuardedPool) -> None:
        """Do all that is to be done."""
        for video_id, error in self._plan.missing:
            self._fail(video_id, error)
        remove_leftovers(self._plan.targets[video_id] for video_id in self._plan.todo)  # of an earlier run
        # A long video begun last would leave every worker but one without work.
        longest_first = sorted(self._plan.todo, key=self._bytes.__getitem__, reverse=True)
        try:
            with progress("computing flow", unit="frame") as self._bar, threads_of(pool) as threads:
                self._show()
                for video_id, outcome in as_completed(threads, lambda name: self._one(name, pool), longest_first):
                    if isinstance(outcome, FlowRecord):
                        self._records.append(outcome)
                    else:
                        self._fail(video_id, outcome)
                    self._show()
        finally:
            list_failures(self._folder / FAILED_FILE, self._failures)
            remove_leftovers(self._begun.values())  # of workers that were killed

    def _one(self, video_id: str, pool: GuardedPool) -> FlowRecord | TubeletError:
        path, target = self._videos[video_id], self._plan.targets[video_id]
        self._begun[video_id] = target
        request = {
            "operation": "store",
            # A child stays in the folder in which it was started; the parent may move on.
            "path": os.path.abspath(path),
            "target": os.path.abspath(target),
            "video_id": video_id,
            "settings": self._settings.to_dict(),
            "limits": asdict(self._limits),
        }
        try:
            for message in pool.run(request):
                found = message.header
                if "record" in found:
                    record = FlowRecord.from_dict(found["record"], os.fspath(target))
                    self._follow(video_id, record.frames, record.frames, record.nbytes)
                    self._remove_other_form(video_id)
                    del self._begun[video_id]
                    return record
                self._follow(video_id, found["frames"], found["declared"], found["nbytes"])
        except (InputDataError, UsageError, NumericalError) as error:
            self._bytes[video_id] = 0  # they say nothing about the frames of other videos
            self._follow(video_id, self._frames[video_id], self._frames[video_id], 0)
            return error
        return DecodeWorkerError("the worker ended without a result", path=path, remedy="run again")

    def _remove_other_form(self, video_id: str) -> None:
        """Flow that was stored by another ``--store`` is superseded, and would be found first."""
        kind: StoreKind = "jpeg" if self._settings.store == "compact" else "compact"
        other = store_path(self._folder, video_id, kind, is_folder=self._videos[video_id].is_dir())
        if other.exists() and read_record(other) is not None:
            if other.is_dir():
                shutil.rmtree(other)
            else:
                other.unlink()

    def _fail(self, video_id: str, error: TubeletError) -> None:
        path = os.fspath(self._videos[video_id])
        self._failures.append(FailedVideo(video_id, path, str(error), type(error).__name__))

    def _follow(self, video_id: str, frames: int, expected: int | None, nbytes: int) -> None:
        with self._change:
            advance = frames - self._frames[video_id]
            self._frames[video_id] = frames
            self._stored[video_id] = nbytes
            if expected is not None:
                self._expected[video_id] = max(expected, frames)
            if self._bar is not None:
                if (total := self._total()) is not None:
                    self._bar.expect(total)
                self._show(advance)

    def _show(self, advance: int = 0) -> None:
        assert self._bar is not None
        seconds = max(time.monotonic() - self._started, 1e-9)
        self._bar.update(
            advance,
            videos=f"video {len(self._records) + len(self._failures)} of {len(self._plan.todo)}",
            skipped=len(self._plan.skipped) or None,
            failed=len(self._failures) or None,
            size=size_text(self._stored.total()),
            rate=f"{self._frames.total() / seconds:.1f} frames/s",
        )

    def _total(self) -> int | None:
        """Frames in all; of videos that nobody has opened yet, by their bytes, once one was opened."""
        known = sum(self._expected.values())
        known_bytes = sum(self._bytes[video_id] for video_id in self._expected)
        unknown_bytes = sum(nbytes for video_id, nbytes in self._bytes.items() if video_id not in self._expected)
        if not known_bytes:
            return None if unknown_bytes else known
        return known + round(unknown_bytes * known / known_bytes)

    def summary(self) -> FlowSummary:
        """How the run ended."""
        seconds = time.monotonic() - self._started
        pairs = sum(record.pairs for record in self._records)
        return FlowSummary(
            folder=os.fspath(self._folder),
            videos=len(self._videos),
            done=len(self._records),
            skipped=len(self._plan.skipped),
            failed=len(self._failures),
            partial=sum(record.decode_status == "partial" for record in self._records),
            pairs=pairs,
            nbytes=sum(record.nbytes for record in self._records),
            seconds=seconds,
            pairs_per_s=pairs / max(seconds, 1e-9),
            reasons=dict(Counter(self._plan.reasons[record.video_id] for record in self._records)),
            quality=self._settings.quality,
            bound=self._settings.bound,
            saturated_share=self._mean(lambda r: r.saturated_share, lambda r: r.pairs * r.height * r.width),
            quantized_px=self._mean(lambda r: r.error.quantized_px, lambda r: r.error.pairs * r.height * r.width),
            stored_px=self._mean(lambda r: r.error.stored_px, lambda r: r.error.pairs * r.height * r.width),
            stored_max_px=max((record.error.stored_max_px for record in self._records), default=None),
            camera_share=self._mean(lambda r: r.camera_share or 0.0, lambda r: r.pairs)
            if self._settings.warped
            else None,
            failures=tuple(self._failures),
        )

    def _mean(self, value: Callable[[FlowRecord], float], weight: Callable[[FlowRecord], int]) -> float | None:
        weights = sum(map(weight, self._records))
        return sum(value(record) * weight(record) for record in self._records) / weights if weights else None
