"""GIF: pictures and extensions, one after the other, closed by a trailer."""

from __future__ import annotations

from tubelet.video.structure.bytes_reader import BytesReader
from tubelet.video.structure.result import Structure


def inspect_gif(file: BytesReader) -> Structure:
    """Count the pictures of a GIF and look for its trailer."""
    if file.read(0, 6) not in (b"GIF87a", b"GIF89a"):
        return Structure(problems=("no GIF header",))
    position = 13 + _palette(file.number(10, 1))
    pictures = 0
    while position < file.size:
        mark = file.number(position, 1)
        if mark == 0x3B:
            return Structure(packets=pictures)
        if mark == 0x21:
            position = _after_blocks(file, position + 2)
        elif mark == 0x2C:
            pictures += 1
            position = _after_blocks(file, position + 11 + _palette(file.number(position + 9, 1)))
        else:
            return Structure(pictures, problems=(f"no picture and no extension at byte {position}",))
    return Structure(pictures, problems=("the trailer is missing: the file is cut off",))


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(file: BytesReader, position: int) -> int:
    while length := file.number(position, 1):
        position += length + 1
    return position + 1
