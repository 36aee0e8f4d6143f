"""ASF (WMV): data packets of one size, whose payloads carry the pictures of a stream under running numbers."""

from __future__ import annotations

import itertools

from tubelet.video.structure.bytes_reader import BytesReader, TruncatedStructureError
from tubelet.video.structure.result import Structure

_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_STREAM_PROPERTIES = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
# A field's two type bits say how many bytes it takes.
_WIDTHS = (0, 1, 2, 4)


def inspect_asf(file: BytesReader) -> Structure:
    """Bookkeeping of an ASF or WMV file."""
    if file.read(0, 16) != _HEADER:
        return Structure(problems=("no ASF header",))
    end = _little(file, 16, 8)
    position, packet_size, video = 30, 0, set[int]()
    problems: list[str] = []
    while position + 24 <= end:
        kind, size = file.read(position, 16), _little(file, position + 16, 8)
        if size < 24:
            problems.append(f"no object at byte {position} of the header")
            break
        if kind == _FILE_PROPERTIES:
            missing = _little(file, position + 40, 8) - file.size  # a live recording says 0
            if missing > 0:
                problems.append(f"the file ends {missing} bytes before its header says")
            packet_size = _little(file, position + 96, 4)
        elif kind == _STREAM_PROPERTIES and file.read(position + 24, 16) == _VIDEO:
            video.add(_little(file, position + 72, 2) & 0x7F)
        position += size
    if file.read(end, 16) != _DATA or not packet_size:
        return Structure(problems=(*problems, "the packets of the file cannot be found"))
    count = _little(file, end + 40, 8)
    numbers: list[int] = []
    damaged = 0
    for index in range(count):
        start = end + 50 + index * packet_size
        if start + packet_size > file.size:
            problems.append(f"the file ends after {index} of {count} data packets")
            break
        try:
            numbers += _pictures(file.read(start, packet_size), video)
        except (IndexError, TruncatedStructureError):
            damaged += 1
    if damaged:
        problems.append(f"{damaged} of {count} data packets are damaged")
    gaps = sum((b - a) % 256 != 1 for a, b in itertools.pairwise(numbers))
    if gaps and len(video) == 1:
        problems.append(f"the running numbers of the frames break {gaps} times")
    return Structure(len(numbers) if len(video) == 1 else None, problems=tuple(problems))


def _little(file: BytesReader, position: int, count: int) -> int:
    return file.number(position, count, "little")


def _pictures(packet: bytes, streams: set[int]) -> list[int]:
    """Numbers of the pictures that begin in a data packet; IndexError if its fields do not fit into it."""
    if packet[0] & 0x90 != 0x80:
        raise IndexError("no error correction data, so no packet")
    at = 1 + (packet[0] & 0x0F)
    lengths, properties = packet[at], packet[at + 1]
    at += 2
    at += _WIDTHS[lengths >> 5 & 3] + _WIDTHS[lengths >> 1 & 3]
    padding_width = _WIDTHS[lengths >> 3 & 3]
    padding = int.from_bytes(packet[at : at + padding_width], "little")
    at += padding_width + 4 + 2  # send time, duration
    end = len(packet) - padding
    payloads, length_width = 1, 0
    if lengths & 1:
        payloads, length_width = packet[at] & 0x3F, _WIDTHS[packet[at] >> 6]
        at += 1
    begun = []
    for _ in range(payloads):
        stream, number = packet[at] & 0x7F, packet[at + 1]
        at += 1 + _WIDTHS[properties >> 4 & 3]
        width = _WIDTHS[properties >> 2 & 3]
        offset = int.from_bytes(packet[at : at + width], "little")
        at += width
        width = _WIDTHS[properties & 3]
        at += width + int.from_bytes(packet[at : at + width], "little")  # replicated data
        length = end - at
        if length_width:
            length = int.from_bytes(packet[at : at + length_width], "little")
            at += length_width
        if not stream or length < 0 or at + length > end:
            raise IndexError("a payload without a stream, or longer than its packet")
        if offset == 0 and stream in streams:
            begun.append(number)
        at += length
    return begun
