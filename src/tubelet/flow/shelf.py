"""Many small named files in one place: a folder, or a ZIP file without compression."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tubelet.artifacts import new_file, new_folder
from tubelet.errors import InputDataError

# The oldest date that a ZIP file can hold: the same flow gives the same bytes whenever it is stored.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


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


class _NewZip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._zip = archive

    def add(self, name: str, data: bytes) -> None:
        self._zip.writestr(zipfile.ZipInfo(name, _NO_DATE), data)


@contextmanager
def new_folder_shelf(path: Path) -> Iterator[NewShelf]:
    """A folder that appears whole, with all files added in the block, or not at all."""
    with new_folder(path) as folder:
        yield _NewFolder(folder)


@contextmanager
def new_zip_shelf(path: Path) -> Iterator[NewShelf]:
    """A ZIP file that appears whole, with all files added in the block, or not at all."""
    with new_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        yield _NewZip(archive)


def _unreadable(path: Path, why: str) -> InputDataError:
    return InputDataError("stored flow cannot be read", path=path, why=why, remedy="compute it again: tubelet flow")
