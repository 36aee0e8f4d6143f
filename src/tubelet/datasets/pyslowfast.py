"""Lists of PySlowFast: ``train.csv``, ``val.csv`` and ``test.csv`` of lines ``<path> <label number>``.

The format is that of slowfast/datasets/DATASET.md (read at 31d2ea7) and kinetics.py (at 0742f24) of
github.com/facebookresearch/SlowFast, which TimeSformer and UniFormer share: no header, a path relative to
``DATA.PATH_PREFIX`` and a number from 0, parted by ``DATA.PATH_LABEL_SEPARATOR``, a blank, or a comma where paths hold
blanks. The lists do not name the classes; a file ``classes.txt`` or ``labels.txt`` beside them may, one name a line,
else classes are called by their numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tubelet.datasets.class_folders import finish_own_folder
from tubelet.datasets.discovery import is_video, require_folder, walk_videos
from tubelet.datasets.groups import assign_groups
from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import find_lists, list_names, list_text, listed_manifest, refuse_damaged
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

_SIDES = ("train", "val", "test")
_NAMES = ("classes.txt", "labels.txt")


@dataclass(frozen=True)
class _Row:
    path: str
    number: int
    side: str


def find_pyslowfast_lists(root: str | os.PathLike[str], annotations: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the lists: the one given, or one inside or beside ``root``.

    Raises
    ------
    InputDataError
        There is none; the message names the places looked at.
    """
    return find_lists(
        root,
        annotations,
        lambda folder: any((folder / f"{side}.csv").is_file() for side in _SIDES),
        dataset="PySlowFast",
        sought="train.csv, val.csv or test.csv",
        folders=("annotations", "lists", "."),
        remedy="put the lists beside the videos",
    )


def looks_like_pyslowfast(root: Path) -> bool:
    """Whether ``root`` holds such a list whose first line names a video there."""
    for side in _SIDES:
        try:
            lines = list_text(root / f"{side}.csv").split("\n", 1)
            first = root / _row(lines[0].strip(), side).path
            return first.exists() and is_video(first)
        except (InputDataError, ValueError):
            continue
    return False


def open_pyslowfast(
    root: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """Videos that lists in PySlowFast's format name.

    Parameters
    ----------
    root
        What paths are relative to (``DATA.PATH_PREFIX``). Absolute paths that lead into it are understood.
    annotations
        The folder of the lists (``DATA.PATH_TO_DATA_DIR``); by default looked for inside and beside ``root``.
    fps
        Frames per second of folders of frames.
    flip
        Whether mirrored clips keep their label; None decides by the names of the classes, where there are any.
    allow_outside
        Whether paths and links may lead out of ``root``.

    Returns
    -------
    Manifest
        Class k is number k of the lists; splits train, val and test as the lists are called. Groups come from names
        like UCF101's, else each video is its own. A test list that repeats the validation list, as is usual, makes
        these videos the test, and the notes say so.

    Raises
    ------
    InputDataError
        Not one listed video is there, lines do not fit, or a video is in training and in another list.
    """
    folder = require_folder(root)
    place = find_pyslowfast_lists(folder, annotations)
    names = next((list_names(place / name) for name in _NAMES if (place / name).is_file()), None)
    notes: list[str] = []
    rows: dict[str, _Row] = {}
    for side in _SIDES:
        if (place / f"{side}.csv").is_file():
            _read(place / f"{side}.csv", side, None if names is None else len(names), folder, rows, notes)
    classes = names or tuple(map(str, range(max(row.number for row in rows.values()) + 1))) if rows else ()
    missing = [path for path in rows if not os.path.lexists(folder / path)]
    gone = set(missing)
    items, rule = assign_groups(
        [Item(path, classes[row.number], row.side) for path, row in rows.items() if path not in gone]
    )
    manifest = listed_manifest(
        "PySlowFast",
        None,
        folder,
        items,
        classes,
        missing,
        [path for path in walk_videos(folder) if path not in rows],
        listed=len(rows),
        empty=f"it would hold {missing[0]}" if missing else "the lists are empty",
        notes=notes,
        flip=flip,
        fps=fps,
        grouping=rule,
        allow_outside=allow_outside,
    )
    return finish_own_folder(manifest, flip)


def _read(path: Path, side: str, limit: int | None, root: Path, rows: dict[str, _Row], notes: list[str]) -> None:
    """Add the rows of one list; ``limit`` is the number of classes where they are named."""
    problems: list[str] = []
    repeated: list[str] = []
    retested = 0
    for line, text in enumerate(list_text(path).split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = _row(text.strip(), side)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        video = _relative(row.path, root)
        row = _Row(video, row.number, side)
        before = rows.get(video)
        if limit is not None and row.number >= limit:
            problems.append(f"line {line}: {row.number} is no label number from 0 to {limit - 1}")
        elif before is None:
            rows[video] = row
        elif before.number != row.number:
            problems.append(f"line {line}: {video} has number {before.number} in {before.side}.csv")
        elif before.side == side:
            repeated.append(video)
        elif before.side == "val":
            rows[video] = row
            retested += 1
        else:
            problems.append(f"line {line}: {video} is in {before.side}.csv too, so it was trained on")
    refuse_damaged(path, problems)
    if repeated:
        notes.append(
            f"{len(repeated):,} lines of {path.name} are repeated and count once: {first_few(repeated, shown=3)}"
        )
    if retested:
        notes.append(f"{retested:,} videos of val.csv are in test.csv too and count as test")


def _row(text: str, side: str) -> _Row:
    """One line; ValueError says what is wrong with it."""
    parts = [part.strip() for part in text.split(",")] if "," in text else text.split()
    if len(parts) != 2 or not parts[0]:
        raise ValueError(f"{len(parts)} columns where a path and a number are expected")
    if not parts[1].isdecimal():
        raise ValueError(f"{parts[1][:20]!r} is no label number")
    return _Row(parts[0], int(parts[1]), side)


def _relative(path: str, root: Path) -> str:
    """The path as a manifest has it: relative to ``root`` where it leads there."""
    if os.path.isabs(path):
        for base in (root, root.resolve()):
            if Path(path).is_relative_to(base):
                return Path(path).relative_to(base).as_posix()
    return PurePosixPath(path).as_posix()
