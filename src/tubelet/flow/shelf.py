"""Many small named files in one place: a folder, or a ZIP file without compression."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tubelet.artifacts import new_file, new_folder
from tubelet.errors import InputDataError

# The oldest date that a ZIP file can hold: the same flow gives the same bytes whenever it is stored.
_NO_DATE = (1980, 1, 1, 0, 0, 0)

_TAIL_BYTES = 1 << 20


class Shelf(Protocol):
    """Where the files of one video's flow lie."""

    path: Path

    def sizes(self) -> dict[str, int]:
        """Bytes of every file, by name."""
        ...

    def read(self, name: str) -> bytes:
        """A file's bytes; raises ``InputDataError`` if it is not there or damaged."""
        ...

    def close(self) -> None:
        """Close what is open; the next `read` opens it again."""
        ...


class FolderShelf:
    """The files of a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def sizes(self) -> dict[str, int]:
        """Bytes of every file, by name."""
        try:
            with os.scandir(self.path) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except OSError as error:
            raise _unreadable(self.path, error.strerror or str(error)) from error

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise _unreadable(self.path / name, error.strerror or str(error)) from error

    def close(self) -> None:
        """Nothing stays open."""


class ZipShelf:
    """The members of a ZIP file, whose checksums tell damaged ones; opened on first use, kept until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None

    def sizes(self) -> dict[str, int]:
        """Bytes of every member, by name."""
        return {member.filename: member.file_size for member in self._open().infolist()}

    def read(self, name: str) -> bytes:
        """A member's bytes."""
        try:
            member = self._open().getinfo(name)
            if member.compress_type != zipfile.ZIP_STORED:  # a small file may unpack to gigabytes
                raise _unreadable(self.path, f"{name} in it is compressed")
            return self._open().read(member)
        except KeyError:
            raise _unreadable(self.path, f"there is no {name} in it") from None
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise _unreadable(self.path, str(error)) from error

    def close(self) -> None:
        """Close the file."""
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    def _open(self) -> zipfile.ZipFile:
        if self._zip is None:
            try:
                self._zip = zipfile.ZipFile(self.path)
            except (zipfile.BadZipFile, OSError) as error:
                raise _unreadable(self.path, str(error)) from error
        return self._zip


def open_shelf(path: Path) -> Shelf:
    """The files of a folder, or of a ZIP file."""
    return FolderShelf(path) if path.is_dir() else ZipShelf(path)


class NewShelf(Protocol):
    """Takes files until its block ends; they then appear together."""

    def add(self, name: str, data: bytes) -> None:
        """Put one file on the shelf."""
        ...


class _NewFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = os.fspath(folder)

    def add(self, name: str, data: bytes) -> None:
        # A third of the time of Path.write_bytes; there are thousands of these per minute.
        descriptor = os.open(f"{self._folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)


@contextmanager
def new_folder_shelf(path: Path) -> Iterator[NewShelf]:
    """A folder that appears whole, with all files added in the block, or not at all."""
    with new_folder(path) as folder:
        yield _NewFolder(folder)


class _Tail(io.RawIOBase):
    """A new file whose last megabyte is kept in memory.

    zipfile goes back to complete the header of each member; a buffered file is flushed and moved for that.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tail = bytearray()
        self._start = 0  # place in the file at which the tail begins
        self._place = 0

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._start + len(self._tail)}[whence]
        self._place = base + offset
        return self._place

    def write(self, data: Any) -> int:
        at = self._place - self._start
        if not 0 <= at <= len(self._tail):
            raise io.UnsupportedOperation("only the end of the file can be written to")
        self._tail[at : at + len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._send()
        super().close()

    def settle(self) -> None:
        """What has been written will not be changed any more; much of it goes to the file."""
        if len(self._tail) >= _TAIL_BYTES:
            self._send()

    def _send(self) -> None:
        self._file.write(self._tail)
        self._start += len(self._tail)
        self._tail = bytearray()


class _NewZip:
    def __init__(self, archive: zipfile.ZipFile, tail: _Tail) -> None:
        self._zip = archive
        self._tail = tail

    def add(self, name: str, data: bytes) -> None:
        self._zip.writestr(zipfile.ZipInfo(name, _NO_DATE), data)
        self._tail.settle()


@contextmanager
def new_zip_shelf(path: Path) -> Iterator[NewShelf]:
    """A ZIP file that appears whole, with all files added in the block, or not at all."""
    with (
        new_file(path) as temporary,
        temporary.open("wb") as file,
        _Tail(file) as tail,
        zipfile.ZipFile(tail, "w", zipfile.ZIP_STORED) as archive,
    ):
        yield _NewZip(archive, tail)


def _unreadable(path: Path, why: str) -> InputDataError:
    return InputDataError("stored flow cannot be read", path=path, why=why, remedy="compute it again: tubelet flow")
