"""Frame tables kept between runs, each beside the identity of the file it was measured from.

A table is used again only for the same bytes: same size, same content hash of a small file or of samples of a large
one, and for a large file whose modification time changed, or had just changed when it was measured, of all of it.
Nothing that goes wrong here is an error: a table that cannot be read is measured, one that cannot be written is not
kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tubelet.artifacts import cache_folder, write_atomically
from tubelet.provenance import sha256_file
from tubelet.video.frame_table import FrameTable
from tubelet.video.pixels import Orientation

_FORMAT = 1
_SAMPLES = 16
_SAMPLE_BYTES = 1 << 16
# File systems stamp times with a granularity of milliseconds up to two seconds: a file changed within that time of
# the measurement may have changed after it, too.
_UNSETTLED_NS = 2_000_000_000


def load_table(path: Path) -> FrameTable | None:
    """The kept frame table of ``path``, if it is still the same file and was measured by the same decoder."""
    try:
        with np.load(_place(path), allow_pickle=False) as kept:
            facts = json.loads(kept["facts"].tobytes())
            if facts["format"] != _FORMAT or facts["decoder"] != _decoder() or not _same_file(path, facts):
                return None
            return FrameTable(
                pts=kept["pts"].astype(np.int64),
                last_duration=int(facts["last_duration"]),
                keyframes=kept["keyframes"].astype(bool),
                fingerprints=kept["fingerprints"].astype(np.uint32),
                time_base=Fraction(facts["time_base"]),
                rate=None if facts["rate"] is None else Fraction(facts["rate"]),
                width=int(facts["width"]),
                height=int(facts["height"]),
                orientation=Orientation(int(facts["quarter_turns"]), bool(facts["mirrored"])),
                seekable=bool(facts["seekable"]),
            )
    except Exception:  # whatever is wrong with a cache, the video can be measured
        return None


def store_table(path: Path, table: FrameTable, before: os.stat_result) -> None:
    """Keep the frame table of ``path``, whose status was ``before`` when the measurement began."""
    try:
        now = time.time_ns()
        if not _unchanged(before, path.stat()):
            return
        facts: dict[str, Any] = {
            "format": _FORMAT,
            "decoder": _decoder(),
            "path": os.fspath(path),
            "size": before.st_size,
            "mtime_ns": before.st_mtime_ns,
            "settled": before.st_mtime_ns < now - _UNSETTLED_NS,
            "sample": _sample_hash(path, before.st_size),
            "sha256": sha256_file(path),
            "last_duration": table.last_duration,
            "time_base": str(table.time_base),
            "rate": None if table.rate is None else str(table.rate),
            "width": table.width,
            "height": table.height,
            "quarter_turns": table.orientation.quarter_turns,
            "mirrored": table.orientation.mirrored,
            "seekable": table.seekable,
        }
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            allow_pickle=False,
            facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
            pts=table.pts,
            keyframes=table.keyframes,
            fingerprints=table.fingerprints,
        )
        content = buffer.getvalue()  # a zip, so that damage by a power cut is noticed by its checksums
        write_atomically(_place(path), lambda temporary: _fill(temporary, content), durable=False)
    except Exception:  # a full disk or a folder that may not be written costs a measurement, no more
        return


def _fill(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _place(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    return cache_folder() / "frame_tables" / name[:2] / f"{name}.npz"


def _decoder() -> str:
    return " ".join(f"{name} {'.'.join(map(str, version))}" for name, version in sorted(av.library_versions.items()))


def _unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def _same_file(path: Path, facts: dict[str, Any]) -> bool:
    status = path.stat()
    if status.st_size != facts["size"] or _sample_hash(path, status.st_size) != facts["sample"]:
        return False
    if status.st_size <= _SAMPLES * _SAMPLE_BYTES:
        return True  # the sample was the whole file
    if status.st_mtime_ns == facts["mtime_ns"] and facts["settled"]:
        return True
    return bool(sha256_file(path) == facts["sha256"])


def _sample_hash(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if size <= _SAMPLES * _SAMPLE_BYTES:
            digest.update(file.read())
        else:
            for k in range(_SAMPLES):
                file.seek(k * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
