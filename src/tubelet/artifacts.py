"""Files that are either whole or absent: written beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tubelet.errors import UsageError

_SUFFIX = ".tmp"


def write_atomically(path: str | os.PathLike[str], write: Callable[[Path], None], *, durable: bool = True) -> Path:
    """Let ``write`` fill a temporary file in the same folder, then put it in place.

    Parameters
    ----------
    path
        Where the file shall be; missing parent folders are made.
    write
        Called with the temporary path; what it leaves there becomes the file.
    durable
        False for a cache that can be made anew: the file is then not flushed to disk, which costs milliseconds,
        and a power cut (not a killed process) may leave it damaged.

    Returns
    -------
    Path
        ``path``. Readers see the old file or the new one, never a part of it, also after kill -9.
    """
    with new_file(path, durable=durable) as temporary:
        write(temporary)
    return Path(path)


@contextmanager
def new_file(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """As :func:`write_atomically`, for a ``with`` block that fills the temporary file.

    Yields
    ------
    Path
        The temporary file. When the block ends it becomes ``path``; when it fails it is gone.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target), suffix=_SUFFIX)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(target.parent)


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder of many small files that is whole or absent: filled beside its place, then renamed.

    Its files are not flushed one by one, which would take longer than making them; after a power cut (not after
    kill -9) some may be empty, so whoever trusts the folder compares sizes. A folder that lies there already is
    replaced as a whole; killed between the two renames, neither is there.

    Yields
    ------
    Path
        The temporary folder. When the block ends it becomes ``path``; when it fails it is gone.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target), suffix=_SUFFIX))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        old = None
        if target.exists():
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target), suffix=_SUFFIX))
            os.replace(target, old)
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Delete what killed writers of ``paths`` left beside them; only for who knows that nobody writes them now."""
    names: dict[Path, set[str]] = {}
    for path in map(Path, paths):
        names.setdefault(path.parent, set()).add(path.name)
    for folder, targets in names.items():
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                # .NAME.xxxxxxxx.tmp: what tempfile puts between has no dot.
                target = entry.name.removesuffix(_SUFFIX).rpartition(".")[0].removeprefix(".")
                made_here = entry.name.startswith(_prefix(Path(target))) and entry.name.endswith(_SUFFIX)
                if target not in targets or not made_here:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def lock_folder(folder: str | os.PathLike[str], refused: UsageError) -> int | None:
    """Take a folder's lock for this process; the system frees it when the process ends, however it ends.

    Parameters
    ----------
    folder
        An existing folder. The lock is its file ``.lock``.
    refused
        What is raised if another process holds it.

    Returns
    -------
    int or None
        A descriptor: ``os.close`` gives the lock back. None on Windows, which has no such locks.
    """
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(Path(folder) / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise refused from error
    return descriptor


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut (no-op where unsupported)."""
    with suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write ``data`` atomically."""
    return write_atomically(path, lambda temporary: _fill(temporary, data))


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write ``text`` atomically as UTF-8 with ``\\n`` line ends."""
    return write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write ``value`` atomically as indented JSON; NaN and infinity are refused, they are not JSON."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _prefix(target: Path) -> str:
    """What temporary names for ``target`` begin with."""
    return f".{target.name}."


def _umask() -> int:
    """Temporary files are private; an artifact has the permissions of any other file the user makes."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


def cache_folder() -> Path:
    """Where things that can be made anew are kept: ``$TUBELET_CACHE``, else ``tubelet`` in the user's cache folder.

    That is ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    own = os.environ.get("TUBELET_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tubelet"
