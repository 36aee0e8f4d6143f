"""What readers of data sets with official lists have in common: lines of a list, and videos found by their names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tubelet.datasets.discovery import is_litter, is_video_name
from tubelet.datasets.manifest import Findings, Item, Manifest
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


def listed_manifest(
    name: str,
    split: int | None,
    folder: Path,
    items: Sequence[Item],
    classes: tuple[str, ...],
    missing: Sequence[str],
    unlisted: Mapping[str, str],
    *,
    listed: int,
    empty: str,
    flip: bool | None,
    fps: float | None,
    grouping: str,
    allow_outside: bool,
    notes: Sequence[str] = (),
) -> Manifest:
    """The manifest of what is there of a data set with official lists, which are often had in part.

    Parameters
    ----------
    name
        The data set's, as it is written.
    split
        Number of the official split, or None.
    folder, items, classes, fps, grouping, allow_outside
        As in `Manifest`.
    missing
        Listed videos that are not there.
    unlisted
        Videos that are there and not listed, by name.
    listed
        How many videos the lists name.
    empty
        Why there may be no items.
    flip
        Whether mirrored clips keep their label; None: yes, as published.
    notes
        What else was found.

    Raises
    ------
    InputDataError
        There are no items, or a link leads out of the folder.
    """
    if not items:
        raise InputDataError(
            f"none of the videos that the lists of {name} name is there",
            path=folder,
            why=empty,
            remedy="give the folder that holds the class folders",
        )
    if missing:
        part = f"{len(missing):,} of {listed:,} listed videos are not there: this is a part of {name}"
        notes = [*notes, part]
    return Manifest(
        name.lower() if split is None else f"{name.lower()}-split{split}",
        folder,
        tuple(items),
        classes,
        True if flip is None else flip,
        fps,
        grouping,
        allow_outside,
        Findings(missing=tuple(missing), unlisted=tuple(sorted(unlisted.values())), notes=tuple(notes)),
    ).require_inside()
