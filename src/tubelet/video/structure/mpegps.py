"""MPEG program stream: packs and packets, each with its start code and length, one after the other."""

from __future__ import annotations

from tubelet.video.structure.bytes_reader import BytesReader
from tubelet.video.structure.result import Structure

_END = 0xB9
_PACK = 0xBA


def inspect_mpegps(file: BytesReader) -> Structure:
    """Whether packs and packets fill the file; the stream has no counters that could tell more."""
    position = 0
    while position + 4 <= file.size:
        start = file.number(position, 4)
        code = start & 0xFF
        if start >> 8 != 1 or code < _END:
            return Structure(problems=(f"no packet at byte {position}",))
        if code == _END:
            position += 4
        elif code == _PACK:
            # MPEG-2 marks its pack header, which ends in stuffing of a length of its own, by the bits 01.
            second = file.number(position + 4, 1) >> 6 == 1
            position += 14 + (file.number(position + 13, 1) & 7) if second else 12
        else:
            position += 6 + file.number(position + 4, 2)
    if position != file.size:
        return Structure(problems=("the file ends within a packet",))
    return Structure()
