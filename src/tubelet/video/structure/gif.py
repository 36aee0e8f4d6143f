"""GIF: pictures and extensions, one after the other, closed by a trailer."""

from __future__ import annotations

from tubelet.video.structure.bytes_reader import BytesReader
from tubelet.video.structure.result import Structure

# Some writers pad the file; more than that behind a trailer are pictures that a damaged byte cut off.
_TAIL_BYTES = 16


def inspect_gif(file: BytesReader) -> Structure:
    """Count the pictures of a GIF, follow their blocks and look for the trailer.

    The format has neither counts nor checksums; but an encoder fills all blocks of a picture but the last to the same
    length, and where bytes were lost or added the chain of blocks continues amid other data.
    """
    if file.read(0, 6) not in (b"GIF87a", b"GIF89a"):
        return Structure(problems=("no GIF header",))
    position = 13 + _palette(file.number(10, 1))
    pictures = uneven = 0
    while position < file.size:
        mark = file.number(position, 1)
        if mark == 0x3B:
            problems = []
            left = file.size - position - 1
            if left > _TAIL_BYTES:
                problems.append(f"{left} bytes follow the trailer")
            if uneven:
                problems.append(f"the blocks of {uneven} pictures are of uneven length")
            return Structure(pictures, problems=tuple(problems))
        if mark == 0x21:
            position, _ = _after_blocks(file, position + 2)
        elif mark == 0x2C:
            pictures += 1
            start = position + 11 + _palette(file.number(position + 9, 1))
            position, even = _after_blocks(file, start)
            uneven += not even
        else:
            return Structure(pictures, problems=(f"no picture and no extension at byte {position}",))
    return Structure(pictures, problems=("the trailer is missing: the file is cut off",))


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(file: BytesReader, position: int) -> tuple[int, bool]:
    """Where a chain of blocks ends, and whether all of them but the last are equally long."""
    full = file.number(position, 1)
    even, short = True, False
    while length := file.number(position, 1):
        even = even and not short and length <= full
        short = length < full
        position += length + 1
    return position + 1, even
