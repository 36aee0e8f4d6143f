"""Short clips cut from long videos at random places, as C3D and P3D train on Sports-1M."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Protocol

import numpy as np

from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.errors import InputDataError, TubeletError, UsageError
from tubelet.failures import FailedVideo
from tubelet.provenance import derive_seed
from tubelet.reporting.text import first_few
from tubelet.video.report import DecodeReport


class Clock(Protocol):
    """What `measure_durations` needs of a decoder; `tubelet.clips.decode.ClipDecoder` is one."""

    def measure(self, path: str | os.PathLike[str], fps: float | None = None, *, full: bool = True) -> DecodeReport:
        """Find out how long a video is; raises VideoError if it gives no frame."""
        ...  # pragma: no cover


def measure_durations(
    manifest: Manifest,
    paths: Sequence[str],
    decoder: Clock,
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 1,
) -> tuple[dict[str, float], tuple[FailedVideo, ...]]:
    """How long videos are, from their frame tables; only short and doubtful files are decoded for it.

    Parameters
    ----------
    manifest, paths
        The dataset, and which of its videos.
    decoder
        Called from ``workers`` threads at once.
    progress
        Called in this thread as ``progress(done, total)`` after every video.
    workers
        Threads.

    Returns
    -------
    durations_s, failures
        Seconds by path of every readable video; the others, in the order of ``paths``.
    """

    def duration(path: str) -> float:
        report = decoder.measure(manifest.file(path), manifest.fps, full=False)
        return report.duration_s or 0.0

    durations: dict[str, float] = {}
    failed: dict[str, FailedVideo] = {}
    executor = ThreadPoolExecutor(workers, thread_name_prefix="measure")
    try:
        futures = {executor.submit(duration, path): path for path in paths}
        for done, future in enumerate(as_completed(futures), 1):
            path = futures[future]
            try:
                durations[path] = future.result()
            except TubeletError as error:
                failed[path] = FailedVideo(path, str(manifest.root / path), str(error), type(error).__name__)
            if progress is not None:
                progress(done, len(paths))
    finally:
        # Without waiting: after Ctrl-C the caller closes the decoder, which ends what still runs.
        executor.shutdown(wait=False, cancel_futures=True)
    return durations, tuple(failed[path] for path in paths if path in failed)


def random_spans(
    manifest: Manifest,
    durations_s: Mapping[str, float],
    *,
    count: int,
    length_s: float,
    seed: int = 0,
    split: str | None = "train",
) -> Manifest:
    """Replace videos by rows of ``length_s`` seconds at random places, which may overlap.

    C3D takes five clips of 2 s of every training video of Sports-1M, Res3D as well, P3D five of 5 s. Tests see whole
    videos, of which they draw clips themselves.

    Parameters
    ----------
    manifest
        Rows that are segments are cut within their times.
    durations_s
        Duration in seconds of every video concerned, by item path.
    count
        Rows for each item.
    length_s
        Their length in seconds. An item that is not longer is kept whole, as one row; the notes say how many are.
    seed
        Another seed, other places. The places of a video depend on the seed and its path alone, and begin at a whole
        millisecond.
    split
        Which items are cut, None for all; the others stay as they are.

    Returns
    -------
    Manifest
        Rows in the items' order, those of one item by time; labels, splits and groups are the item's. There are fewer
        than ``count`` where two places would be the same.

    Raises
    ------
    UsageError
        ``count`` or ``length_s`` is not positive, or there is no such split.
    InputDataError
        The duration of a video is not known.
    """
    if count < 1 or not length_s > 0:
        raise UsageError(f"{count} clips of {length_s:g} s cannot be cut", remedy="use 1 or more, longer than 0 s")
    if split is not None and split not in manifest.splits:
        there = ", ".join(manifest.splits)
        raise UsageError(
            f"{manifest.name} has no split {split!r}",
            path=manifest.root,
            remedy=f"it has {there}" if there else "it has no splits: cut all videos",
        )
    concerned = {item.path for item in manifest.items if split is None or item.split == split}
    unknown = sorted(concerned - set(durations_s))
    if unknown:
        raise InputDataError(
            f"the duration of {len(unknown)} videos is not known",
            path=manifest.root,
            why=first_few(unknown, shown=3),
            remedy="measure them, or leave the unreadable ones out",
        )
    rows: list[Item] = []
    whole = 0
    for item in manifest.items:
        cut = _cut(item, durations_s[item.path], count, length_s, seed) if item.path in concerned else [item]
        whole += item.path in concerned and cut == [item]
        rows += cut
    notes = list(manifest.findings.notes)
    if whole:
        notes.append(f"{whole:,} videos are not longer than {length_s:g} s and kept whole")
    return replace(manifest, items=tuple(rows), findings=replace(manifest.findings, notes=tuple(notes)))


def _cut(item: Item, duration_s: float, count: int, length_s: float, seed: int) -> list[Item]:
    start_s = item.start_s or 0.0
    end_s = duration_s if item.end_s is None else min(item.end_s, duration_s)
    room_ms = int((end_s - start_s - length_s) * 1000 + 1e-6)  # a hair more, or 2.002 s would leave 1 ms for 2 s
    if room_ms < 1:
        return [item]
    rng = np.random.default_rng(derive_seed(seed, "spans", item.path, repr(start_s)))
    offsets = sorted({int(offset) for offset in rng.integers(0, room_ms, count, endpoint=True)})
    starts = [round(start_s + offset / 1000, 6) for offset in offsets]
    return [replace(item, start_s=start, end_s=round(start + length_s, 6)) for start in starts]
