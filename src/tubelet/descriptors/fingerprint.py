"""Size and time of a video file: the cheap sign that it changed since it was described.

Where they differ from what the table holds, the content's hash (`tubelet.datasets.content`) decides.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tubelet.datasets.content import content_size
from tubelet.errors import VideoError


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
