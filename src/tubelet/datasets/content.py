"""Copies among videos, found by their bytes whatever they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from tubelet.errors import InputDataError
from tubelet.video.fingerprint import content_hash, content_size


def copy_candidates(files: Mapping[str, Path]) -> frozenset[str]:
    """The videos that have the same size as another: only these can have a copy and need to be read.

    Empty videos, and those that cannot be looked at, are left out.

    Parameters
    ----------
    files
        Where each video lies, by item path.
    """
    by_size: dict[tuple[bool, int], list[str]] = defaultdict(list)
    for name, path in files.items():
        with suppress(OSError):
            size = content_size(path)
            if size:
                by_size[path.is_dir(), size].append(name)
    return frozenset(name for names in by_size.values() if len(names) > 1 for name in names)


def copies(files: Mapping[str, Path]) -> dict[str, str]:
    """Content hash of every video that may have a copy among ``files``, as far as they can be read."""
    candidates = copy_candidates(files)
    hashes: dict[str, str] = {}
    for name in files:
        if name in candidates:
            with suppress(InputDataError):
                hashes[name] = content_hash(files[name])
    return hashes


def content_keys(files: Mapping[str, Path], sizes: Collection[int] | None = None) -> dict[str, str]:
    """What a video is known by, whatever it is called: its bytes and 16 hexadecimal digits of their hash.

    Empty videos, and those that cannot be read, are left out.

    Parameters
    ----------
    files
        Where each video lies, by item path.
    sizes
        Only videos of so many bytes are read; None: all.

    Returns
    -------
    dict
        Item path → such as ``"402176-9f86d081884c7d65"``.
    """
    keys: dict[str, str] = {}
    for name, path in files.items():
        with suppress(OSError, InputDataError):
            size = content_size(path)
            if size and (sizes is None or size in sizes):
                keys[name] = f"{size}-{content_hash(path)[:16]}"
    return keys


def key_sizes(keys: Iterable[str]) -> frozenset[int]:
    """The sizes in what `content_keys` gave: videos of other sizes need not be read to be told apart."""
    return frozenset(int(key.partition("-")[0]) for key in keys)


def equal_contents(hashes: Mapping[str, str], order: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Videos that are copies of each other: one tuple per content that occurs twice or more, in ``order``."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in order:
        if name in hashes:
            same[hashes[name]].append(name)
    return tuple(tuple(names) for names in same.values() if len(names) > 1)
