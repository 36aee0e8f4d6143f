"""AVI (RIFF): the chunks of ``movi``, the index and the counts in the header must agree."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from tubelet.video.structure.bytes_reader import BytesReader
from tubelet.video.structure.result import Structure

_HAS_INDEX = 0x10  # AVIF_HASINDEX in the main header's flags
_MAX_PROBLEMS = 5


@dataclass
class _Walk:
    """State of a walk through the file."""

    file: BytesReader
    stream: int | None = None  # number of the first video stream
    streams: int = 0
    length: int | None = None  # dwLength of that stream
    flags: int = 0
    chunks: int = 0
    empty: int = 0
    movies: int = 0
    indexed: int | None = None
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)


def inspect_avi(file: BytesReader) -> Structure:
    """Bookkeeping of an AVI file, OpenDML parts (``AVIX``) included."""
    walk = _Walk(file)
    position = 0
    while position + 12 <= file.size:
        kind, size, form = struct.unpack("<4sI4s", file.read(position, 12))
        if kind != b"RIFF" or form not in (b"AVI ", b"AVIX"):
            # What follows the last RIFF part is nobody's; what precedes the first chunk of frames is damage.
            if not walk.movies:
                walk.problem(f"no RIFF header at byte {position}")
            break
        end = position + 8 + size
        if end > file.size:
            walk.problem(f"the file ends {end - file.size} bytes before its RIFF header says")
            end = file.size
        _walk_list(walk, position + 12, end, b"RIFF")
        position = end + (end & 1)
    return _conclude(walk)


def _walk_list(walk: _Walk, position: int, end: int, parent: bytes) -> None:
    while position + 8 <= end:
        kind, size = struct.unpack("<4sI", walk.file.read(position, 8))
        body = position + 8
        after = body + size
        if after > end:
            walk.problem(f"chunk {kind!r} at byte {position} is longer than what holds it")
            if kind != b"LIST":
                return
            after = end
        if kind == b"LIST":
            if size < 4:
                walk.problem(f"a list at byte {position} has no type")
                return
            form = walk.file.read(body, 4)
            if form == b"movi":
                walk.movies += 1
                _walk_list(walk, body + 4, after, form)
            elif form == b"rec " and parent in (b"movi", b"rec "):
                _walk_list(walk, body + 4, after, parent)
            elif form in (b"hdrl", b"strl"):
                _walk_list(walk, body + 4, after, form)
        elif parent == b"movi":
            _count(walk, kind, size, position)
        else:
            _header(walk, kind, body, size, parent)
        position = after + (after & 1)
    if parent == b"movi" and end - position > 0:
        walk.problem(f"{end - position} bytes at byte {position} belong to no chunk")


def _header(walk: _Walk, kind: bytes, body: int, size: int, parent: bytes) -> None:
    if kind == b"avih" and size >= 20:
        walk.flags = walk.file.number(body + 12, 4, "little")
    elif kind == b"strh" and parent == b"strl":
        if size >= 36 and walk.stream is None and walk.file.read(body, 4) == b"vids":
            walk.stream = walk.streams
            walk.length = walk.file.number(body + 32, 4, "little")
        walk.streams += 1
    elif kind == b"idx1" and walk.stream is not None:
        names = (b"%02ddc" % walk.stream, b"%02ddb" % walk.stream)
        walk.indexed = sum(
            block[at : at + 4] in names
            for block in walk.file.blocks(body, body + size - size % 16)
            for at in range(0, len(block), 16)
        )


def _count(walk: _Walk, kind: bytes, size: int, position: int) -> None:
    if kind[:2].isdigit() and kind[2:] in (b"dc", b"db"):
        if int(kind[:2]) == (walk.stream or 0):
            walk.chunks += size > 0
            walk.empty += size == 0
        elif int(kind[:2]) >= max(1, walk.streams):
            walk.problem(f"chunk {kind!r} at byte {position} belongs to no stream")
        return
    known = kind[:2].isdigit() and (kind[2:] in (b"wb", b"pc", b"tx", b"ix", b"sb") or kind[2:3] in b"_")
    if not known and kind[:2] != b"ix" and kind not in (b"JUNK", b"idx1", b"vprp"):
        walk.problem(f"unknown chunk {kind!r} at byte {position}")


def _conclude(walk: _Walk) -> Structure:
    if walk.stream is None:
        walk.problem("no video stream in the header")
        return Structure(problems=tuple(walk.problems))
    stored = walk.chunks + walk.empty
    if walk.length is not None and stored < walk.length:
        walk.problem(f"{stored} of the {walk.length} frames in the header are stored")
    if walk.indexed is not None and walk.indexed > stored:
        walk.problem(f"{stored} of the {walk.indexed} frames in the index are stored")
    if walk.indexed is None and walk.flags & _HAS_INDEX:
        walk.problem("the index that the header announces is missing")
    return Structure(max(walk.chunks, (walk.indexed or 0) - walk.empty), walk.empty, tuple(walk.problems))
