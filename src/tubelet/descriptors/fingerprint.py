"""What a video file is, so that a later run can tell whether it changed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from tubelet.errors import VideoError
from tubelet.provenance import sha256_file


@dataclass(frozen=True)
class FileStamp:
    """Size and modification time: cheap to read, enough to believe that nothing changed.

    Attributes
    ----------
    size
        Bytes; for a folder of frames the sum over its files.
    mtime_ns
        Nanoseconds; for a folder of frames the newest of its files and of itself.
    """

    size: int
    mtime_ns: int


def file_stamp(path: str | os.PathLike[str]) -> FileStamp:
    """Size and modification time of a video file or of a folder of frames.

    Raises
    ------
    VideoError
        If the file does not exist or cannot be read.
    """
    source = Path(path)
    try:
        stat = source.stat()
        if not source.is_dir():
            return FileStamp(stat.st_size, stat.st_mtime_ns)
        size, newest = 0, stat.st_mtime_ns
        with os.scandir(source) as entries:
            for entry in entries:
                if entry.is_file():
                    inner = entry.stat()
                    size += inner.st_size
                    newest = max(newest, inner.st_mtime_ns)
        return FileStamp(size, newest)
    except OSError as error:
        raise _unreadable(source, error) from error


def content_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes; of a folder of frames, over the names and the bytes of its files.

    Raises
    ------
    VideoError
        If the file does not exist or cannot be read.
    """
    source = Path(path)
    try:
        if not source.is_dir():
            return sha256_file(source)
        whole = hashlib.sha256()
        for file in sorted(entry for entry in source.iterdir() if entry.is_file()):
            whole.update(f"{file.name}\0{sha256_file(file)}\n".encode(errors="surrogateescape"))
        return whole.hexdigest()
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(path: Path, error: OSError) -> VideoError:
    return VideoError(
        "cannot read the video", path=path, why=error.strerror or str(error), remedy="check the path and its rights"
    )
