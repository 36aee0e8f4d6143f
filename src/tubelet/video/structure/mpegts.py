"""MPEG transport stream: 188-byte packets, each starting with 0x47, counted modulo 16 for each stream."""

from __future__ import annotations

from tubelet.video.structure.bytes_reader import BytesReader
from tubelet.video.structure.result import Structure

_SYNC = 0x47
# Plain, with a time code before each packet (M2TS), with error correction after it.
_SIZES = ((188, 0), (192, 4), (204, 0))


def inspect_mpegts(file: BytesReader) -> Structure:
    """Whether every packet is in its place; FFmpeg itself watches the counters and marks packets corrupt."""
    sizes = [
        (size, skip)
        for size, skip in _SIZES
        if file.size >= 3 * size and all(file.number(skip + k * size, 1) == _SYNC for k in range(3))
    ]
    if not sizes:
        return Structure(problems=("the transport stream does not start with whole packets",))
    size, skip = sizes[0]
    problems = []
    if file.size % size:
        problems.append(f"the file ends {file.size % size} bytes into a packet")
    lost = 0
    for block in file.blocks(0, file.size - file.size % size, size * 4096):
        lost += sum(mark != _SYNC for mark in block[skip::size])
    if lost:
        problems.append(f"{lost} transport packets are damaged")
    return Structure(problems=tuple(problems))
