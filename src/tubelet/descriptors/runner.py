"""Many videos into one table: resumable, interruptible, in memory that does not grow."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json
from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.batching import Ended, Rows
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.plan import Making, Plan, plan_extraction
from tubelet.descriptors.request import VideoRequest, common_root, requests_of
from tubelet.descriptors.schema import VideoRecord
from tubelet.descriptors.spool import RowSpool
from tubelet.descriptors.store import DescriptorTable, has_table
from tubelet.descriptors.summary import ExtractSummary
from tubelet.descriptors.writer import FinishedVideo, TableWriter
from tubelet.errors import TubeletError, VideoError
from tubelet.failures import FAILED_FILE, FailedVideo, list_failures
from tubelet.provenance import PROVENANCE_FILE, environment, tool_version
from tubelet.reporting.terminal import ProgressBar, progress
from tubelet.video.fingerprint import content_hash, file_stamp
from tubelet.video.report import DecodeReport

COMMIT_BYTES = 32 << 20
COMMIT_EVERY_S = 10.0


def extract(
    source: Manifest | Iterable[str | os.PathLike[str]],
    extractor: Extractor,
    out: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    limit: int | None = None,
    commit_every_s: float = COMMIT_EVERY_S,
    model_source: str | None = None,
) -> ExtractSummary:
    """Describe videos into a table; run again, it goes on where it was and redoes exactly what became stale.

    Rows are stale when weights, recipe, sampling, precision or the frame rate given differ, when a layer is
    missing, or when what was read changed: the video or, for a network that reads motion, its stored flow. Ctrl-C
    (or any error) saves the videos that are complete, then passes on. After kill -9 everything that was committed
    is there: at most ``commit_every_s`` seconds of finished videos are done again.

    Parameters
    ----------
    source
        A manifest, or paths of videos.
    extractor
        How to describe them.
    out
        The table's folder, made if absent.
    root
        For paths: the folder that their ``video_id`` is relative to. By default the one of the last run into
        this table if it holds them all, else the one they share.
    fps
        Frame rate to use instead of the videos' own (default: the manifest's).
    limit
        Only the first so many videos.
    commit_every_s
        Seconds between commits; 32 MB of vectors cause one too.
    model_source
        Where the model came from, for `model_source_of`.

    Returns
    -------
    ExtractSummary
        With ``exit_code`` 3 if videos failed; they are listed in ``failed.jsonl``.

    Raises
    ------
    UsageError
        If another process writes this table, or its vectors have another length.
    """
    folder = Path(out)
    base, requests = _wanted(source, folder, root, fps, limit)
    making = _making(extractor)
    with TableWriter(folder, extractor.dimensions) as writer:
        plan = plan_extraction(requests, making, DescriptorTable(folder), extractor.sources)
        provenance = _provenance(source, base, extractor, making)
        write_json(folder / PROVENANCE_FILE, {**provenance, "model_source": model_source})
        run = _Run(folder, writer, plan, making, extractor.dimensions, commit_every_s)
        with progress("extracting", total=len(requests), unit="video", initial=len(plan.skipped)) as bar:
            run.bar = bar
            run.fail_missing()
            try:
                with closing(extractor.rows(plan.todo)) as parts:
                    for part in parts:
                        run.take(part)
            finally:
                run.commit()
        writer.compact()
    return run.summary(len(requests))


def plan_run(
    source: Manifest | Iterable[str | os.PathLike[str]],
    extractor: Extractor,
    out: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    limit: int | None = None,
) -> Plan:
    """What :func:`extract` would do with these arguments; nothing is written."""
    _, requests = _wanted(source, Path(out), root, fps, limit)
    table = DescriptorTable(out) if has_table(out) else None
    return plan_extraction(requests, _making(extractor), table, extractor.sources)


def _wanted(
    source: Manifest | Iterable[str | os.PathLike[str]],
    folder: Path,
    root: str | os.PathLike[str] | None,
    fps: float | None,
    limit: int | None,
) -> tuple[Path, list[VideoRequest]]:
    if isinstance(source, Manifest):
        return source.root, requests_of(source, fps=fps)[:limit]
    paths = [Path(os.path.abspath(path)) for path in source]
    base = Path(root or _former_root(folder, paths) or common_root(paths))
    return base, requests_of(paths, root=base, fps=fps)[:limit]


def _making(extractor: Extractor) -> Making:
    return Making(
        layers=extractor.layers,
        model=extractor.model.name,
        weights_sha256=extractor.weights_id,
        recipe_hash=extractor.recipe.hash,
        sampling=extractor.sampling_text,
        precision=extractor.precision,
    )


class _Run:
    """The state of one run: rows under way, videos waiting for the next commit, counts."""

    def __init__(
        self,
        folder: Path,
        writer: TableWriter,
        plan: Plan,
        making: Making,
        dimensions: dict[str, int],
        commit_every_s: float,
    ) -> None:
        self.bar: ProgressBar | None = None
        self._folder = folder
        self._writer = writer
        self._plan = plan
        self._making = making
        self._dimensions = dimensions
        self._commit_every_s = commit_every_s
        self._started = self._committed_at = time.monotonic()
        self._spool: RowSpool | None = None
        self._finished: list[FinishedVideo] = []
        self._failures: list[FailedVideo] = []
        self._listed = -1
        self._done: Counter[str] = Counter()
        self._rows = 0
        self._clips = 0
        self._partial = 0

    def fail_missing(self) -> None:
        for request, error in self._plan.missing:
            self._fail(request, error)

    def take(self, part: Rows | Ended) -> None:
        """Keep rows; at a video's end, get it ready for the table and commit if it is time."""
        if isinstance(part, Rows):
            if self._spool is None:
                self._spool = RowSpool(self._dimensions, self._folder)
            self._spool.append(part.spans, part.vectors)
            self._clips += len(part.spans)
            self._show(0)
            return
        spool, self._spool = self._spool, None
        try:
            if isinstance(part.outcome, TubeletError):
                raise part.outcome
            if spool is None:
                raise VideoError("the video gave no clip", path=part.request.path)
            self._finished.append(FinishedVideo(self._record(part.request, part.outcome), spool))
            self._show(1)
        except TubeletError as error:
            if spool is not None:
                spool.close()
            self._fail(part.request, error)
        waiting = sum(video.rows.nbytes for video in self._finished)
        if waiting >= COMMIT_BYTES or time.monotonic() - self._committed_at >= self._commit_every_s:
            self.commit()

    def commit(self) -> None:
        """Put finished videos into the table; Ctrl-C meanwhile waits until that is over."""
        # In a thread: an interrupt then cannot leave it open whether LanceDB has committed or not.
        with ThreadPoolExecutor(1, thread_name_prefix="tubelet-commit") as thread:
            thread.submit(self._commit).result()

    def _commit(self) -> None:
        self._rows += self._writer.commit(self._finished, self._plan.present)
        for video in self._finished:
            self._done[self._plan.reasons[video.record.video_id]] += 1
            self._partial += video.record.decode_status == "partial"
            video.rows.close()
        self._finished = []
        if len(self._failures) != self._listed:
            self._listed = len(self._failures)
            list_failures(self._folder / FAILED_FILE, self._failures)
        self._committed_at = time.monotonic()

    def _record(self, request: VideoRequest, report: DecodeReport) -> VideoRecord:
        stamp, source = self._plan.stamps[request.video_id], self._plan.sources[request.video_id]
        digest = content_hash(source)
        if file_stamp(source) != stamp:
            what = "video" if source == request.path else "stored flow"
            raise VideoError(f"the {what} changed while it was read", path=source, remedy="run again")
        return VideoRecord(
            video_id=request.video_id,
            path=Path(os.path.abspath(request.path)).as_posix(),
            label=request.label,
            fps=report.fps,
            fps_source=report.fps_source,
            model=self._making.model,
            weights_sha256=self._making.weights_sha256,
            recipe_hash=self._making.recipe_hash,
            sampling=self._making.sampling,
            precision=self._making.precision,
            decode_status=report.status,
            frames_declared=report.frames_declared,
            frames_decoded=report.frames_decoded,
            file_size=stamp.size,
            file_mtime_ns=stamp.mtime_ns,
            content_sha256=digest,
            tool_version=tool_version(),
        )

    def _fail(self, request: VideoRequest, error: TubeletError) -> None:
        self._failures.append(FailedVideo(request.video_id, os.fspath(request.path), str(error), type(error).__name__))
        self._show(1)

    def _show(self, videos: int) -> None:
        if self.bar is not None:
            self.bar.update(
                videos,
                skipped=len(self._plan.skipped),
                failed=len(self._failures),
                rate=f"{self._clips / max(time.monotonic() - self._started, 1e-9):.1f} clips/s",
            )

    def summary(self, videos: int) -> ExtractSummary:
        seconds = time.monotonic() - self._started
        return ExtractSummary(
            table=os.fspath(self._folder),
            videos=videos,
            done=self._done.total(),
            skipped=len(self._plan.skipped),
            failed=len(self._failures),
            partial=self._partial,
            rows=self._rows,
            seconds=seconds,
            clips_per_s=self._rows / max(seconds, 1e-9),
            reasons=dict(self._done),
            failures=tuple(self._failures),
        )


def _former_root(folder: Path, paths: Sequence[Path]) -> str | None:
    """The data root of the last run into this table, if all paths lie below it."""
    try:
        root = str(json.loads((folder / PROVENANCE_FILE).read_text(encoding="utf-8"))["root"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return root if all(path.is_relative_to(root) for path in paths) else None


def model_source_of(table: str | os.PathLike[str]) -> str | None:
    """What the last extraction into a table was told its model is: a folder, ``untrained:NAME``, or nothing.

    Of the folder of a training run it is the model's in it, if that is still there.
    """
    found = _recorded(table).get("model_source")
    if found is None:
        return None
    inside = Path(str(found)) / "model"
    return str(inside) if (inside / "config.json").is_file() else str(found)


def root_of(table: str | os.PathLike[str]) -> str | None:
    """Folder that the ``video_id`` of the last extraction into a table are relative to, or nothing."""
    found = _recorded(table).get("root")
    return None if found is None else str(found)


def recipe_name_of(table: str | os.PathLike[str]) -> str | None:
    """Name of the recipe of the last extraction into a table, or nothing."""
    found = _recorded(table).get("recipe")
    return str(found["name"]) if isinstance(found, dict) and "name" in found else None


def _recorded(table: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        found = json.loads((Path(table) / PROVENANCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _provenance(source: object, root: str | os.PathLike[str], extractor: Extractor, making: Making) -> dict[str, Any]:
    return environment(
        **asdict(making),
        root=os.path.abspath(root),
        recipe=extractor.recipe.to_dict(),
        source=source.to_dict() if isinstance(source, Manifest) else None,
        device=extractor.device,
        batch_size=extractor.batch_size,
        flow=None if extractor.flow is None else {**_flow_kind(extractor), "root": os.path.abspath(extractor.flow)},
    )


def _flow_kind(extractor: Extractor) -> dict[str, Any]:
    return {} if extractor.flow_kind is None else extractor.flow_kind.to_dict()


def provenance_of(table: str | os.PathLike[str]) -> dict[str, Any]:
    """What the last extraction into a table's folder wrote into ``provenance.json``; empty where there is none."""
    return _recorded(table)
