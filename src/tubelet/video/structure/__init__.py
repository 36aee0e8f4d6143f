"""Reading a container's own bookkeeping, independently of FFmpeg, to notice what damage took away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tubelet.video.structure.asf import inspect_asf
from tubelet.video.structure.avi import inspect_avi
from tubelet.video.structure.bytes_reader import BytesReader, TruncatedStructureError, open_bytes
from tubelet.video.structure.gif import inspect_gif
from tubelet.video.structure.matroska import inspect_matroska
from tubelet.video.structure.mp4 import inspect_mp4
from tubelet.video.structure.mpegps import inspect_mpegps
from tubelet.video.structure.mpegts import inspect_mpegts
from tubelet.video.structure.result import Structure

__all__ = ["Structure", "inspect"]

_READERS: dict[str, Callable[[BytesReader], Structure]] = {
    "asf": inspect_asf,
    "avi": inspect_avi,
    "gif": inspect_gif,
    "matroska": inspect_matroska,
    "mov": inspect_mp4,
    "mpeg": inspect_mpegps,
    "mpegts": inspect_mpegts,
}


def inspect(path: Path, container: str) -> Structure:
    """Bookkeeping of ``path``, whose container FFmpeg calls ``container``.

    Never raises for a damaged file: what cannot be read is a problem in the result. Reads headers only, except that
    checksums, where the file has them, are verified over their content.
    """
    reader = _READERS.get(container)
    if reader is None:
        return Structure()
    try:
        with open_bytes(path) as file:
            return reader(file)
    except TruncatedStructureError as error:
        return Structure(problems=(f"the container's bookkeeping breaks off ({error})",))
    except OSError as error:
        return Structure(problems=(f"the file cannot be read to its end ({error.strerror})",))
