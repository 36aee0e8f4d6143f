"""Matroska and WebM: the elements must fill the file without a gap, and their checksums must hold."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from tubelet.video.structure.bytes_reader import BytesReader, TruncatedStructureError
from tubelet.video.structure.result import Structure

_MAX_PROBLEMS = 5

_EBML = 0x1A45DFA3
_SEGMENT = 0x18538067
_CLUSTER = 0x1F43B675
_TRACKS = 0x1654AE6B
_TRACK_ENTRY = 0xAE
_CUES = 0x1C53BB6B
_INFO = 0x1549A966
_CRC = 0xBF
_VOID = 0xEC
_SIMPLE_BLOCK = 0xA3
_BLOCK_GROUP = 0xA0
_BLOCK = 0xA1
_TOP = {
    0x114D9B74: "SeekHead",
    _INFO: "Info",
    _TRACKS: "Tracks",
    _CUES: "Cues",
    _CLUSTER: "Cluster",
    0x1254C367: "Tags",
    0x1043A770: "Chapters",
    0x1941A469: "Attachments",
    _VOID: "Void",
    _CRC: "CRC-32",
}
_TIMESTAMP = 0xE7
_NUMBERS = {_TIMESTAMP, 0xA7, 0xAB}  # also Position and PrevSize
# What a cluster may hold: besides these, SilentTracks, blocks, padding, checksum.
_IN_CLUSTER = {*_NUMBERS, 0x5854, _SIMPLE_BLOCK, _BLOCK_GROUP, _VOID, _CRC}
_VIDEO = 1


@dataclass
class _Walk:
    file: BytesReader
    kinds: dict[int, int] = field(default_factory=dict)  # track number: track type
    packets: dict[int, int] = field(default_factory=dict)  # track number: frames stored
    clusters: list[int] = field(default_factory=list)
    cues: list[int] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)


def inspect_matroska(file: BytesReader) -> Structure:
    """Bookkeeping of an MKV or WebM file, live recordings of unknown length included."""
    walk = _Walk(file)
    try:
        _read_file(walk)
    except TruncatedStructureError as error:
        walk.problem(f"the file breaks off ({error})")
    video = [number for number, kind in walk.kinds.items() if kind == _VIDEO]
    if not video:
        walk.problem("no video track in the header")
    for number in walk.packets:
        if walk.kinds and number not in walk.kinds:
            walk.problem(f"frames of a track {number} that the header does not know")
    packets = walk.packets.get(video[0], 0) if len(video) == 1 else None
    return Structure(packets, 0, tuple(walk.problems))


def _element(file: BytesReader, position: int) -> tuple[int, int | None, int]:
    """Id, length (None if unknown) and start of content of the element at a position."""
    head = file.peek(position, 12)
    try:
        id_width = 9 - head[0].bit_length()
        first = head[id_width]
        length_width = 9 - first.bit_length()
        if id_width > 4 or length_width > 8 or id_width + length_width > len(head):
            raise TruncatedStructureError(f"no element at byte {position}")
    except IndexError as error:
        raise TruncatedStructureError(f"no element at byte {position}") from error
    mask = (1 << 7 * length_width) - 1
    length = int.from_bytes(head[id_width : id_width + length_width], "big") & mask
    body = position + id_width + length_width
    return int.from_bytes(head[:id_width], "big"), None if length == mask else length, body


def _read_file(walk: _Walk) -> None:
    file = walk.file
    position, segments = 0, 0
    while position < file.size:
        identity, length, body = _element(file, position)
        end = file.size if length is None else body + length
        if end > file.size:
            walk.problem(f"the file ends {end - file.size} bytes before its header says")
            end = file.size
        if identity == _SEGMENT:
            segments += 1
            _read_segment(walk, body, end, unknown=length is None)
        elif identity not in (_EBML, _VOID):
            walk.problem(f"unknown element {identity:X} at byte {position}")
            return
        position = end
    if segments == 0:
        walk.problem("no segment in the file")


def _read_segment(walk: _Walk, start: int, end: int, *, unknown: bool) -> None:
    position = start
    while position < end:
        identity, length, body = _element(walk.file, position)
        if identity not in _TOP:
            walk.problem(f"unknown element {identity:X} at byte {position}")
            return
        walk.seen.add(identity)
        after = end if length is None else body + length
        if after > end:
            walk.problem(f"{_TOP[identity]} at byte {position} ends {after - end} bytes too late")
            after = end
        if identity == _CLUSTER:
            walk.clusters.append(position - start)
            after = _read_cluster(walk, body, after, open_ended=length is None)
        elif length is None:
            walk.problem(f"{_TOP[identity]} at byte {position} has no length")
            return
        else:
            _check_crc(walk, body, after, _TOP[identity])
            if identity == _TRACKS:
                _read_tracks(walk, body, after)
            elif identity == _CUES:
                _read_cues(walk, body, after)
        position = after
    known = set(walk.clusters)
    lost = sum(cue not in known for cue in walk.cues)
    if lost:
        walk.problem(f"{lost} entries of the index point to no cluster")
    for needed in (_INFO, _TRACKS):
        if needed not in walk.seen:
            walk.problem(f"{_TOP[needed]} is missing")
    if not walk.clusters:
        walk.problem("no cluster in the segment")


def _check_crc(walk: _Walk, body: int, end: int, name: str) -> None:
    """If an element starts with a CRC-32, it covers everything after it."""
    if end - body < 6 or walk.file.read(body, 2) != b"\xbf\x84":
        return
    value = 0
    for block in walk.file.blocks(body + 6, end):
        value = zlib.crc32(block, value)
    if value != walk.file.number(body + 2, 4, "little"):
        walk.problem(f"the checksum of {name} at byte {body} is wrong")


def _children(walk: _Walk, position: int, end: int) -> list[tuple[int, int, int]]:
    children = []
    while position < end:
        identity, length, body = _element(walk.file, position)
        if length is None or body + length > end:
            walk.problem(f"element {identity:X} at byte {position} ends too late")
            break
        children.append((identity, body, body + length))
        position = body + length
    return children


def _read_tracks(walk: _Walk, body: int, end: int) -> None:
    for identity, start, after in _children(walk, body, end):
        if identity != _TRACK_ENTRY:
            continue
        number = kind = 0
        for field_id, at, until in _children(walk, start, after):
            if field_id == 0xD7:
                number = walk.file.number(at, min(8, until - at))
            elif field_id == 0x83:
                kind = walk.file.number(at, min(8, until - at))
        walk.kinds[number] = kind


def _read_cues(walk: _Walk, body: int, end: int) -> None:
    for identity, start, after in _children(walk, body, end):
        if identity != 0xBB:
            continue
        for inner, at, until in _children(walk, start, after):
            if inner == 0xB7:
                walk.cues += [walk.file.number(a, min(8, b - a)) for i, a, b in _children(walk, at, until) if i == 0xF1]


def _read_cluster(walk: _Walk, body: int, end: int, *, open_ended: bool) -> int:
    """Count the blocks of a cluster; returns where it ends."""
    if not open_ended:
        _check_crc(walk, body, end, "Cluster")
    position, dated = body, False
    while position < end:
        identity, length, start = _element(walk.file, position)
        if open_ended and identity in _TOP and identity not in (_VOID, _CRC):
            return position
        if identity not in _IN_CLUSTER or length is None:
            walk.problem(f"unknown element {identity:X} in the cluster at byte {position}")
            return end
        if start + length > end:
            walk.problem(f"a block at byte {position} ends {start + length - end} bytes too late")
            return end
        if identity == _SIMPLE_BLOCK:
            _count_block(walk, start, start + length)
        elif identity == _BLOCK_GROUP:
            blocks = [(a, b) for i, a, b in _children(walk, start, start + length) if i == _BLOCK]
            if len(blocks) != 1:
                walk.problem(f"a group at byte {position} holds {len(blocks)} blocks")
            for a, b in blocks:
                _count_block(walk, a, b)
        elif identity in _NUMBERS:
            # One flipped bit turns the mark of a block into that of a number.
            if length > 8 or (identity == _TIMESTAMP and dated):
                walk.problem(f"a cluster's number at byte {position} is damaged")
            dated = dated or identity == _TIMESTAMP
        position = start + length
    if not dated:
        walk.problem(f"the cluster at byte {body} has no time")
    return end


def _count_block(walk: _Walk, start: int, end: int) -> None:
    head = walk.file.peek(start, min(12, end - start))
    width = 9 - head[0].bit_length() if head else 9
    if width > 8 or len(head) < width + 3:
        walk.problem(f"a block at byte {start} is too short")
        return
    number = int.from_bytes(head[:width], "big") & ((1 << 7 * width) - 1)
    laced = head[width + 2] & 0x06
    frames = head[width + 3] + 1 if laced and len(head) > width + 3 else 1
    walk.packets[number] = walk.packets.get(number, 0) + frames
