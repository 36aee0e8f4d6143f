"""Hashes of videos kept between runs, each beside the size and time of the file that they were computed from.

Nothing that goes wrong here is an error: what cannot be read is computed, what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from pathlib import Path

import av
import numpy as np

from tubelet.artifacts import cache_folder, write_atomically
from tubelet.clips.frame_hash import COLUMNS, Hashes
from tubelet.video.fingerprint import FileStamp, file_stamp

_FORMAT = 1  # raised whenever the same pixels would give other hashes
# File systems stamp times with a granularity of up to two seconds: a file changed within that time of its decoding may
# have changed after it, too.
_UNSETTLED_NS = 2_000_000_000


def load_hashes(path: Path, fps: float | None) -> Hashes | None:
    """The kept hashes of a video, if its size and time are those of the file that was decoded.

    Raises
    ------
    VideoError
        The file does not exist or cannot be looked at.
    """
    stamp = file_stamp(path)
    try:
        with np.load(_place(path, fps), allow_pickle=False) as kept:
            facts = json.loads(kept["facts"].tobytes())
            hashes = kept["hashes"]
        fits = hashes.dtype == np.uint64 and hashes.ndim == 2 and hashes.shape[1] == COLUMNS
        return hashes if fits and facts == _facts(stamp) else None
    except Exception:  # whatever is wrong with a cache, the video can be decoded
        return None


def store_hashes(path: Path, fps: float | None, before: FileStamp, hashes: Hashes) -> None:
    """Keep the hashes of a video whose stamp was ``before`` when its decoding began."""
    try:
        if file_stamp(path) != before or before.mtime_ns > time.time_ns() - _UNSETTLED_NS:
            return
        buffer = io.BytesIO()
        facts = np.frombuffer(json.dumps(_facts(before)).encode(), np.uint8)
        np.savez_compressed(buffer, allow_pickle=False, facts=facts, hashes=hashes)
        content = buffer.getvalue()
        write_atomically(_place(path, fps), lambda temporary: _fill(temporary, content), durable=False)
    except Exception:  # a full disk or a folder that may not be written costs a decoding, no more
        return


def _fill(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _facts(stamp: FileStamp) -> dict[str, object]:
    decoder = sorted((name, list(version)) for name, version in av.library_versions.items())
    return {
        "format": _FORMAT,
        "size": stamp.size,
        "mtime_ns": stamp.mtime_ns,
        "decoder": [[name, version] for name, version in decoder],
    }


def _place(path: Path, fps: float | None) -> Path:
    key = os.fsencode(os.path.realpath(path)) + (b"" if fps is None else f"\0{fps:g}".encode())
    name = hashlib.sha256(key).hexdigest()[:32]
    return cache_folder() / "fingerprints" / name[:2] / f"{name}.npz"
