"""The bytes of a video: hashed, to find copies whatever they are called."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from tubelet.datasets.discovery import frame_names
from tubelet.errors import InputDataError
from tubelet.provenance import sha256_file


def content_size(path: str | os.PathLike[str]) -> int:
    """Bytes of a video file, or of all frames of a frame folder together.

    Raises
    ------
    OSError
        It cannot be looked at.
    """
    video = Path(path)
    if not video.is_dir():
        return video.stat().st_size
    return sum((video / name).stat().st_size for name in frame_names(video))


def content_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a video's bytes; of a frame folder, of its frames' bytes in the order of their numbers.

    Names, times and other files in the folder do not enter. Each frame is preceded by its length, so that
    bytes cannot move from one frame to the next unnoticed.

    Raises
    ------
    InputDataError
        It cannot be read.
    """
    video = Path(path)
    try:
        if not video.is_dir():
            return sha256_file(video)
        digest = hashlib.sha256()
        for name in frame_names(video):
            data = (video / name).read_bytes()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        return digest.hexdigest()
    except OSError as error:
        raise InputDataError(
            "the video cannot be read", path=video, why=error.strerror, remedy="check its permissions"
        ) from error


def copy_candidates(files: Mapping[str, Path]) -> frozenset[str]:
    """The videos that have the same size as another: only these can have a copy and need to be read.

    Empty videos, and those that cannot be looked at, are left out.

    Parameters
    ----------
    files
        Where each video lies, by item path.
    """
    by_size: dict[tuple[bool, int], list[str]] = defaultdict(list)
    for name, path in files.items():
        with suppress(OSError):
            size = content_size(path)
            if size:
                by_size[path.is_dir(), size].append(name)
    return frozenset(name for names in by_size.values() if len(names) > 1 for name in names)


def copies(files: Mapping[str, Path]) -> dict[str, str]:
    """Content hash of every video that may have a copy among ``files``, as far as they can be read."""
    candidates = copy_candidates(files)
    hashes: dict[str, str] = {}
    for name in files:
        if name in candidates:
            with suppress(InputDataError):
                hashes[name] = content_hash(files[name])
    return hashes


def equal_contents(hashes: Mapping[str, str], order: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Videos that are copies of each other: one tuple per content that occurs twice or more, in ``order``."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in order:
        if name in hashes:
            same[hashes[name]].append(name)
    return tuple(tuple(names) for names in same.values() if len(names) > 1)
