"""What readers of data sets with official lists have in common: lines of a list, and videos found by their names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tubelet.datasets.discovery import is_litter, is_video_name
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

_DEPTH = 3


def list_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, words) of every line that is not empty.

    Raises
    ------
    InputDataError
        The file cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputDataError(
            "the list cannot be read", path=path, why=str(error), remedy="unpack the official lists again"
        ) from error
    for line, row in enumerate(text.split("\n"), 1):
        if row.strip():
            yield line, row.split()


def video_name(entry: str) -> str:
    """Name of a video file without its suffix, or of a folder of frames, in lower case: what lists and disk share."""
    return (os.path.splitext(entry)[0] if is_video_name(entry) else entry).casefold()


def videos_by_name(root: Path, named: Callable[[str], bool]) -> dict[str, str]:
    """Path of every video below ``root`` whose name fits, by `video_name`; down to two levels of folders.

    Folders are judged by their names alone: looking into 13,320 of them would take minutes on a network disk.

    Raises
    ------
    InputDataError
        Two videos have the same name.
    """
    found: dict[str, str] = {}
    twice: list[str] = []
    pending = [("", 1)]
    while pending:
        below, depth = pending.pop()
        with os.scandir(root / below) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_litter(entry.name):
                    continue
                is_folder = entry.is_dir()
                relative = f"{below}{entry.name}"
                if named(entry.name) and (is_folder or is_video_name(entry.name)):
                    before = found.setdefault(video_name(entry.name), relative)
                    if before != relative:
                        twice.append(f"{before} and {relative}")
                elif is_folder and depth < _DEPTH:
                    pending.append((f"{relative}/", depth + 1))
    if twice:
        raise InputDataError(
            "the folder holds the same video more than once",
            path=root,
            why=first_few(twice, shown=2),
            remedy="give the folder that holds one copy of each, videos or frames",
        )
    return found
