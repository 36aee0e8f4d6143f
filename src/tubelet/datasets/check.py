"""Checking a dataset: every video decoded once, contents compared, splits searched for leaks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol

from tubelet.datasets.check_report import CheckReport, VideoCheck
from tubelet.datasets.content import copy_candidates, equal_contents
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import leaks
from tubelet.errors import TubeletError, UsageError
from tubelet.video.fingerprint import content_hash
from tubelet.video.report import DecodeReport

__all__ = ["CheckReport", "Decoder", "VideoCheck", "check_dataset"]


class Decoder(Protocol):
    """What `check_dataset` needs of a decoder; `tubelet.clips.decode.ClipDecoder` is one."""

    def measure(self, path: str | os.PathLike[str], fps: float | None = None) -> DecodeReport:
        """Decode a video from beginning to end; raises VideoError if it gives no frame."""
        ...  # pragma: no cover


def check_dataset(
    manifest: Manifest,
    decoder: Decoder,
    progress: Callable[[int, int], None] | None = None,
    *,
    short_frames: int = 16,
    workers: int | None = None,
) -> CheckReport:
    """Decode every video of a manifest and report what is wrong with it and with the splits.

    Parameters
    ----------
    manifest
        The dataset. Spans of one file are decoded once.
    decoder
        Called from ``workers`` threads at once.
    progress
        Called in this thread as ``progress(done, total)`` after every video.
    short_frames
        Videos with fewer frames are called short; 16 is the length of a C3D clip.
    workers
        Threads; by default as many as the decoder has workers (its attribute ``workers``), else one.

    Returns
    -------
    CheckReport
        The same for the same data, whatever the number of workers.

    Raises
    ------
    UsageError
        ``short_frames`` is below 1.
    """
    if short_frames < 1:
        raise UsageError(f"{short_frames} is no number of frames", remedy="use 1 or more")
    files = {item.path: manifest.root / item.path for item in manifest.items}
    candidates = copy_candidates(files)
    threads = workers if workers is not None else int(getattr(decoder, "workers", 1))
    found: dict[str, tuple[VideoCheck, str | None]] = {}
    executor = ThreadPoolExecutor(max(1, threads), thread_name_prefix="check")
    with warnings.catch_warnings():
        # Said once, by the report, instead of once per folder of frames.
        warnings.filterwarnings("ignore", "[^;]*a folder of frames has no frame rate", UserWarning)
        try:
            futures = {
                executor.submit(_check_video, manifest, decoder, path, path in candidates): path for path in files
            }
            for done, future in enumerate(as_completed(futures), 1):
                found[futures[future]] = future.result()
                if progress is not None:
                    progress(done, len(files))
        finally:
            # Without waiting: after Ctrl-C the caller closes the decoder, which ends what still runs.
            executor.shutdown(wait=False, cancel_futures=True)
    hashes = {path: found[path][1] for path in files}
    known = {path: value for path, value in hashes.items() if value is not None}
    return CheckReport(
        manifest,
        tuple(found[path][0] for path in files),
        short_frames,
        equal_contents(known, files),
        leaks(manifest, known),
    )


def _check_video(manifest: Manifest, decoder: Decoder, path: str, hashed: bool) -> tuple[VideoCheck, str | None]:
    """The verdict on one video, and its content hash where another one has the same size."""
    digest: str | None = None
    try:
        file = manifest.file(path)
        digest = content_hash(file) if hashed else None
        report = decoder.measure(file, manifest.fps)
    except TubeletError as error:
        # What cannot be decoded may still be a copy of something.
        return VideoCheck(path, "failed", problems=(str(error),)), digest
    measured = VideoCheck(
        path,
        report.status,
        report.frames_declared,
        report.frames_decoded,
        report.fps,
        report.fps_source,
        report.duration_s,
        report.width,
        report.height,
        report.codec,
        report.container,
        report.problems,
    )
    return measured, digest
