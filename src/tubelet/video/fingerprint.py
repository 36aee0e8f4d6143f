"""What a video is made of: the bytes of a file or of a folder's frames, with their size, time and hash.

Size and time are the cheap sign that a video changed since something was computed from it; where they differ from
what was recorded, the content's hash decides.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tubelet.errors import InputDataError, VideoError
from tubelet.provenance import sha256_file

FRAME_NAME = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]+)\.jpe?g", re.IGNORECASE)
"""Names of frames as `tubelet.video.frame_folder` reads them: 000001.jpg, img_00001.jpg, any one prefix."""


def frame_names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the numbered JPEG frames in a folder, by prefix and number."""
    with os.scandir(folder) as entries:
        matches = [match for entry in entries if (match := FRAME_NAME.fullmatch(entry.name))]
    return [m[0] for m in sorted(matches, key=lambda m: (m["prefix"], int(m["number"]), m[0]))]


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


@dataclass(frozen=True)
class FileStamp:
    """Size and modification time.

    Attributes
    ----------
    size
        Bytes; of a folder of frames the sum over its frames.
    mtime_ns
        Nanoseconds since 1970; of a folder of frames the newest among its files and the folder itself.
    """

    size: int
    mtime_ns: int


def file_stamp(path: str | os.PathLike[str]) -> FileStamp:
    """Size and modification time of a video file or of a folder of frames.

    Raises
    ------
    VideoError
        If it does not exist or cannot be looked at.
    """
    source = Path(path)
    try:
        newest = source.stat().st_mtime_ns
        if source.is_dir():
            with os.scandir(source) as entries:
                newest = max([newest, *(entry.stat().st_mtime_ns for entry in entries if entry.is_file())])
        return FileStamp(content_size(source), newest)
    except OSError as error:
        raise VideoError(
            "cannot read the video",
            path=source,
            why=error.strerror,
            remedy="check the path and its permissions",
        ) from error
