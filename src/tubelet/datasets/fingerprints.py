"""What the videos of a manifest look like, computed once per file, kept in the cache, and carried in one file."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from tubelet.artifacts import write_bytes
from tubelet.clips.frame_hash import CERTAIN, CHANGE, COLUMNS, STEP_S, Hashes
from tubelet.datasets.alignment import EVERY
from tubelet.datasets.fingerprint_cache import load_hashes, store_hashes
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import InputDataError, TubeletError
from tubelet.failures import FailedVideo
from tubelet.video.fingerprint import file_stamp
from tubelet.video.report import DecodeReport

_FORMAT = 1


class Looker(Protocol):
    """What `fingerprint_videos` needs of a decoder; `tubelet.clips.decode.ClipDecoder` is one."""

    def fingerprint(self, path: str | os.PathLike[str], fps: float | None = None) -> tuple[Hashes, DecodeReport]:
        """Decode a video for its hashes; raises VideoError if it gives no frame."""
        ...  # pragma: no cover


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Hashes of many videos, or of spans of videos.

    Attributes
    ----------
    names
        What each is called: the item's path, with its times where it is a span.
    hashes
        For each ``(n, 4)`` uint64, see `tubelet.clips.frame_hash.hashes`.
    starts_s
        For each the second of its video at which its hashes begin.
    """

    names: tuple[str, ...]
    hashes: tuple[Hashes, ...]
    starts_s: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def seconds(self) -> float:
        """How long all of them are together."""
        return sum(map(len, self.hashes)) * STEP_S

    @property
    def digest(self) -> str:
        """SHA-256 of names and hashes."""
        found = hashlib.sha256()
        for name, rows in zip(self.names, self.hashes, strict=True):
            found.update(f"{name}\0{len(rows)}\0".encode("utf-8", "surrogateescape"))
            found.update(np.ascontiguousarray(rows[::EVERY]).tobytes())
        return found.hexdigest()

    def select(self, indices: Sequence[int]) -> Fingerprints:
        """Those at ``indices``."""
        return Fingerprints(
            tuple(self.names[i] for i in indices),
            tuple(self.hashes[i] for i in indices),
            tuple(self.starts_s[i] for i in indices),
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write an ``.npz`` file, atomically: of every eighth of a second 32 bytes, before compression.

        Every second row is kept, which is as many as are compared; the others matter on one of two sides only.
        """
        buffer = io.BytesIO()
        thin = [rows[::EVERY] for rows in self.hashes]
        np.savez_compressed(
            buffer,
            allow_pickle=False,
            format=np.array([_FORMAT]),
            names=np.frombuffer("\0".join(self.names).encode("utf-8", "surrogateescape"), np.uint8),
            lengths=np.array([len(rows) for rows in self.hashes], np.int64),
            starts_s=np.array(self.starts_s, np.float64),
            hashes=np.concatenate([*thin, np.zeros((0, COLUMNS), np.uint64)]),
        )
        return write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Fingerprints:
        """Read what `save` wrote; the rows left out say nothing.

        Raises
        ------
        InputDataError
            The file is damaged, or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as kept:
                if kept["format"].tolist() != [_FORMAT]:
                    raise ValueError("another version of Tubelet wrote it")
                text = kept["names"].tobytes().decode("utf-8", "surrogateescape")
                lengths, starts_s, thin = kept["lengths"], kept["starts_s"], kept["hashes"].astype(np.uint64)
            names = tuple(text.split("\0")) if len(lengths) else ()
            ends = np.cumsum(-(-lengths // EVERY))
            if not len(names) == len(lengths) == len(starts_s) or thin.shape != (ends[-1] if len(ends) else 0, COLUMNS):
                raise ValueError("its parts do not fit together")
            hashes = []
            for rows, length in zip(np.split(thin, ends[:-1]) if len(ends) else (), lengths.tolist(), strict=True):
                whole = np.zeros((length, COLUMNS), np.uint64)
                whole[::EVERY] = rows
                hashes.append(whole)
        except Exception as error:  # NumPy's errors about damaged archives are many
            raise InputDataError(
                "the fingerprints cannot be read", path=path, why=str(error), remedy="copy the model folder again"
            ) from error
        return cls(names, tuple(hashes), tuple(starts_s.tolist()))


def joined(parts: Sequence[Fingerprints]) -> Fingerprints:
    """All of them, one behind the other."""
    return Fingerprints(
        tuple(chain.from_iterable(part.names for part in parts)),
        tuple(chain.from_iterable(part.hashes for part in parts)),
        tuple(chain.from_iterable(part.starts_s for part in parts)),
    )


def fingerprint_videos(
    manifest: Manifest,
    decoder: Looker,
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 1,
) -> tuple[Fingerprints, tuple[FailedVideo, ...]]:
    """Fingerprints of every item, decoding only the files that the cache does not know.

    Parameters
    ----------
    manifest
        The videos. Spans of one file share one decode.
    decoder
        Called from ``workers`` threads at once.
    progress
        Called in this thread as ``progress(done, total)`` with the number of files that have to be decoded: before
        the first one, if there is one, and after each.
    workers
        Threads.

    Returns
    -------
    fingerprints, failures
        In the order of the items, those of videos that cannot be read left out; and these, each once.
    """
    paths = list(dict.fromkeys(item.path for item in manifest.items))
    known, failed = _from_cache(manifest, paths)
    missing = [path for path in paths if path not in known and path not in failed]
    if missing and progress is not None:
        progress(0, len(missing))
    executor = ThreadPoolExecutor(max(1, workers), thread_name_prefix="fingerprint")
    try:
        futures = {executor.submit(_computed, manifest, decoder, path): path for path in missing}
        for done, future in enumerate(as_completed(futures), 1):
            path = futures[future]
            try:
                known[path] = future.result()
            except TubeletError as error:
                failed[path] = _failure(manifest, path, error)
            if progress is not None:
                progress(done, len(missing))
    finally:
        # Without waiting: after Ctrl-C the caller closes the decoder, which ends what still runs.
        executor.shutdown(wait=False, cancel_futures=True)
    kept = [_span(item, known[item.path]) for item in manifest.items if item.path in known]
    names, hashes, starts_s = zip(*kept, strict=True) if kept else ((), (), ())
    return Fingerprints(names, hashes, starts_s), tuple(failed[path] for path in paths if path in failed)


def name_of(item: Item) -> str:
    """The item's path, with its times where it is a part of the video."""
    if item.start_s is None and item.end_s is None:
        return item.path
    end = "the end" if item.end_s is None else f"{item.end_s:g} s"
    return f"{item.path} from {item.start_s or 0.0:g} s to {end}"


def _from_cache(manifest: Manifest, paths: Sequence[str]) -> tuple[dict[str, Hashes], dict[str, FailedVideo]]:
    known: dict[str, Hashes] = {}
    failed: dict[str, FailedVideo] = {}
    for path in paths:
        try:
            found = load_hashes(manifest.file(path), manifest.fps)
        except TubeletError as error:
            failed[path] = _failure(manifest, path, error)
            continue
        if found is not None:
            known[path] = found
    return known, failed


def _computed(manifest: Manifest, decoder: Looker, path: str) -> Hashes:
    file = manifest.file(path)
    before = file_stamp(file)
    hashes, _ = decoder.fingerprint(file, manifest.fps)
    store_hashes(file, manifest.fps, before, hashes)
    return hashes


def _failure(manifest: Manifest, path: str, error: TubeletError) -> FailedVideo:
    return FailedVideo(path, str(manifest.root / path), str(error), type(error).__name__)


def _span(item: Item, hashes: Hashes) -> tuple[str, Hashes, float]:
    """An item's part of its video's hashes, and the second at which that begins."""
    first = round((item.start_s or 0.0) / STEP_S)
    end = len(hashes) if item.end_s is None else min(len(hashes), round(item.end_s / STEP_S))
    part = hashes[first : max(first, end)]
    if len(part) and (item.start_s or item.end_s is not None):
        part = part.copy()
        # Their change is from before the span's beginning, or reaches behind its end.
        for row in (0, len(part) - 2, len(part) - 1):
            part[max(row, 0), [CHANGE, CERTAIN]] = 0
    return name_of(item), part, first * STEP_S
