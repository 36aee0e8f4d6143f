"""Reading numbers at positions of a file without ever running off its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class TruncatedStructureError(Exception):
    """A structure continues beyond the end of the file or of the element that holds it."""


class BytesReader:
    """Positioned reads in a file of known size.

    Parameters
    ----------
    file
        Opened for reading, buffered: a walk from header to header stays within the buffer for small elements.
    size
        Length of the file in bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size

    def read(self, position: int, count: int) -> bytes:
        """Exactly ``count`` bytes at ``position``; :class:`TruncatedStructureError` if there are fewer."""
        if position < 0 or count < 0 or position + count > self.size:
            raise TruncatedStructureError(f"{count} bytes at {position}")
        self._file.seek(position)
        data = self._file.read(count)
        if len(data) != count:
            raise TruncatedStructureError(f"{count} bytes at {position}")
        return data

    def peek(self, position: int, count: int) -> bytes:
        """Up to ``count`` bytes at ``position``, fewer at the end of the file."""
        if not 0 <= position <= self.size:
            raise TruncatedStructureError(f"byte {position}")
        self._file.seek(position)
        return self._file.read(min(count, self.size - position))

    def number(self, position: int, count: int, order: str = "big") -> int:
        """Unsigned integer of ``count`` bytes."""
        return int.from_bytes(self.read(position, count), "little" if order == "little" else "big")

    def blocks(self, start: int, end: int, size: int = 1 << 20) -> Iterator[bytes]:
        """The bytes from ``start`` to ``end`` in pieces."""
        for position in range(start, end, size):
            yield self.read(position, min(size, end - position))


@contextmanager
def open_bytes(path: Path) -> Iterator[BytesReader]:
    """A :class:`BytesReader` of ``path``."""
    with path.open("rb", buffering=1 << 16) as file:
        yield BytesReader(file, os.fstat(file.fileno()).st_size)
