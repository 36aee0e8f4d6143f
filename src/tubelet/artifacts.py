"""Files that are either whole or absent: written beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


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
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        # mkstemp makes files private; an artifact has the permissions of any other file the user makes.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(target.parent)
    return target


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


def cache_folder() -> Path:
    """Where things that can be made anew are kept: ``$TUBELET_CACHE``, else ``tubelet`` in the user's cache folder.

    That is ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    own = os.environ.get("TUBELET_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tubelet"
