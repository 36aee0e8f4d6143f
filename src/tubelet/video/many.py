"""A task over many videos in guarded processes, each of which stores its result itself: resumable, interruptible.

`tubelet.flow.runner` and `tubelet.baselines.idt.runner` say what is computed; this is how a run goes.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tubelet.artifacts import lock_folder, remove_leftovers
from tubelet.errors import DecodeWorkerError, InputDataError, NumericalError, TubeletError, UsageError
from tubelet.failures import FAILED_FILE, FailedVideo, list_failures
from tubelet.reporting.terminal import ProgressBar, progress
from tubelet.reporting.text import size_text
from tubelet.video.fingerprint import content_size
from tubelet.video.guard import GuardedPool
from tubelet.video.limits import Limits
from tubelet.video.stale import StorePlan


class StoredRecord(Protocol):
    """What is recorded of a video's stored result."""

    @property
    def video_id(self) -> str: ...
    @property
    def frames(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def decode_status(self) -> str: ...


T = TypeVar("T")
R = TypeVar("R", bound=StoredRecord)


@dataclass(frozen=True)
class StoreJob(Generic[R]):
    """What the workers do for each video.

    The pool's task answers a request ``{operation: "store", path, target, video_id, settings, limits}`` with
    ``{frames, declared, nbytes}`` now and then (frames used so far, frames in all or None, bytes so far), and with
    ``{record}`` once everything is in its place.

    Attributes
    ----------
    title
        Of the progress bar.
    settings
        Handed to the task, JSON-ready.
    read_record
        From the dictionary ``record`` and the target to the record.
    stored
        Called in a thread of the run with a video's id when its result is in place.
    """

    title: str
    settings: dict[str, Any]
    read_record: Callable[[dict[str, Any], str], R]
    stored: Callable[[str], None] = lambda video_id: None


class StoreRun(Generic[R]):
    """One run over videos; what several threads touch is guarded by ``_change``.

    Parameters
    ----------
    videos
        Path of each video, by id.
    folder
        Where ``failed.jsonl`` lies.
    plan
        What is to be done.
    job
        How.
    limits
        Bounds on pixels, duration and frames of a video.

    Attributes
    ----------
    records
        Of the videos done in this run.
    failures
        The failed ones, those missing before included.
    """

    def __init__(
        self, videos: Mapping[str, Path], folder: Path, plan: StorePlan, job: StoreJob[R], limits: Limits
    ) -> None:
        self.records: list[R] = []
        self.failures: list[FailedVideo] = []
        self._videos = videos
        self._folder = folder
        self._plan = plan
        self._job = job
        self._limits = limits
        self._started = time.monotonic()
        self._change = threading.Lock()
        self._bar: ProgressBar | None = None
        self._bytes = {video_id: content_size(videos[video_id]) for video_id in plan.todo}
        self._frames: Counter[str] = Counter()
        self._expected: dict[str, int] = {}
        self._stored: Counter[str] = Counter()
        self._begun: dict[str, Path] = {}

    def all(self, pool: GuardedPool) -> None:
        """Do all that is to be done; ``failed.jsonl`` is written however it ends."""
        for video_id, error in self._plan.missing:
            self._fail(video_id, error)
        remove_leftovers(self._plan.targets[video_id] for video_id in self._plan.todo)  # of an earlier run
        # A long video begun last would leave every worker but one without work.
        longest_first = sorted(self._plan.todo, key=self._bytes.__getitem__, reverse=True)
        try:
            with progress(self._job.title, unit="frame") as self._bar, threads_of(pool) as threads:
                self._show()
                for video_id, outcome in as_completed(threads, lambda name: self._one(name, pool), longest_first):
                    if isinstance(outcome, TubeletError):
                        self._fail(video_id, outcome)
                    else:
                        self.records.append(outcome)
                    self._show()
        finally:
            list_failures(self._folder / FAILED_FILE, self.failures)
            remove_leftovers(self._begun.values())  # of workers that were killed

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._started

    def counts(self) -> dict[str, Any]:
        """How the run went, under the names that summaries share."""
        return {
            "folder": os.fspath(self._folder),
            "videos": len(self._videos),
            "done": len(self.records),
            "skipped": len(self._plan.skipped),
            "failed": len(self.failures),
            "partial": sum(record.decode_status == "partial" for record in self.records),
            "nbytes": sum(record.nbytes for record in self.records),
            "reasons": dict(Counter(self._plan.reasons[record.video_id] for record in self.records)),
            "failures": tuple(self.failures),
        }

    def _one(self, video_id: str, pool: GuardedPool) -> R | TubeletError:
        path, target = self._videos[video_id], self._plan.targets[video_id]
        self._begun[video_id] = target
        request = {
            "operation": "store",
            # A child stays in the folder in which it was started; the parent may move on.
            "path": os.path.abspath(path),
            "target": os.path.abspath(target),
            "video_id": video_id,
            "settings": self._job.settings,
            "limits": asdict(self._limits),
        }
        try:
            for message in pool.run(request):
                found = message.header
                if "record" in found:
                    record = self._job.read_record(found["record"], os.fspath(target))
                    self._follow(video_id, record.frames, record.frames, record.nbytes)
                    self._job.stored(video_id)
                    del self._begun[video_id]
                    return record
                self._follow(video_id, found["frames"], found["declared"], found["nbytes"])
            failure: TubeletError = DecodeWorkerError(
                "the worker ended without a result", path=path, remedy="run again"
            )
        except (InputDataError, UsageError, NumericalError) as error:
            failure = error
        self._bytes[video_id] = 0  # they say nothing about the frames of other videos
        self._follow(video_id, self._frames[video_id], self._frames[video_id], 0)
        return failure

    def _fail(self, video_id: str, error: TubeletError) -> None:
        path = os.fspath(self._videos[video_id])
        self.failures.append(FailedVideo(video_id, path, str(error), type(error).__name__))

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
        seconds, ended = max(self.seconds, 1e-9), len(self.records) + len(self.failures)
        self._bar.update(
            advance,
            videos=f"video {ended} of {len(self._plan.todo) + len(self._plan.missing)}",
            skipped=len(self._plan.skipped) or None,
            failed=len(self.failures) or None,
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


@contextmanager
def storing_in(folder: str | os.PathLike[str], what: str) -> Iterator[Path]:
    """A folder that this process alone stores results in while the block runs; made if absent.

    Parameters
    ----------
    folder
        The folder.
    what
        ``flow``: what is stored, for the error.

    Raises
    ------
    UsageError
        Another process stores there.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(
        path,
        UsageError(
            f"another process is storing {what} in this folder",
            path=path,
            remedy="wait until it is done, or use another folder",
        ),
    )
    try:
        yield path
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def threads_of(pool: GuardedPool) -> Iterator[ThreadPoolExecutor]:
    """A thread per worker; when the block ends early, workers are killed and nothing new is begun."""
    threads = ThreadPoolExecutor(pool.workers, thread_name_prefix="tubelet-store")
    try:
        yield threads
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        pool.close()
        raise
    finally:
        threads.shutdown(wait=True)


def as_completed(
    threads: ThreadPoolExecutor, work: Callable[[str], T], names: Sequence[str]
) -> Iterator[tuple[str, T]]:
    """Results by name, as they come; an error of ``work`` is raised at once."""
    waiting: dict[Future[T], str] = {threads.submit(work, name): name for name in names}
    while waiting:
        done, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in done:
            yield waiting.pop(future), future.result()
