"""HMDB51 with its official lists (Kuehne et al. 2011): videos or folders of frames, three splits.

For every class and split there is a file ``<class>_test_split<N>.txt`` (the archive ``test_train_splits.rar``) of lines
``<video>.avi 0``: 1 trains, 2 tests, 0 is in neither part of this split. Each split trains on 70 and tests on 30 videos
of a class. Names end with what is known about a clip, ``<source>_<class>_f_cm_np1_fr_med_0``: visible part of the body,
camera motion, people, viewpoint, quality, number. Clips of one source are on one side of a split, but only within a
class: 134 of 1,350 sources (movies, mostly) train one class of split 1 and test another.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tubelet.datasets.discovery import require_folder
from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import find_lists, find_videos, list_lines, listed_manifest, video_name
from tubelet.errors import InputDataError, UsageError

_FOLDERS = ("annotations", "testTrainMulti_7030_splits", "test_train_splits", "splits", ".")
_LIST = re.compile(r"(?P<class>.+)_test_split(?P<split>[0-9]+)\.txt")
_NAME = re.compile(r"(?P<source>.+)_[hufl]_(?:cm|nm)_np[0-9]+_(?:fr|ba|le|ri)_(?:goo|med|bad)_[0-9]+", re.IGNORECASE)
_SIDES = {"0": None, "1": "train", "2": "test"}


def find_hmdb_lists(root: str | os.PathLike[str], annotations: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the official lists: the one given, or one inside or beside ``root``.

    Raises
    ------
    InputDataError
        There is none; the message names the places looked at.
    """
    return find_lists(
        root,
        annotations,
        lambda folder: any(_LIST.fullmatch(entry.name) for entry in folder.iterdir()),
        dataset="HMDB51",
        sought="<class>_test_split1.txt",
        folders=_FOLDERS,
        remedy="unpack test_train_splits.rar beside the videos",
    )


def read_hmdb_lists(annotations: Path, split: int = 1) -> dict[str, tuple[tuple[str, str | None], ...]]:
    """Class → ``(video, side)`` of every listed video, side "train", "test" or None; classes in order of their names.

    Raises
    ------
    UsageError
        There is no such split.
    InputDataError
        A class has no list of this split, a line does not fit, or a video is listed twice.
    """
    found = [match for entry in sorted(annotations.iterdir()) if (match := _LIST.fullmatch(entry.name))]
    splits = sorted({int(match["split"]) for match in found})
    if split not in splits:
        raise UsageError(
            f"HMDB51 has no split {split} there",
            path=annotations,
            remedy=f"there is split {', '.join(map(str, splits))}" if splits else "the folder holds no lists",
        )
    lists: dict[str, tuple[tuple[str, str | None], ...]] = {}
    seen: set[str] = set()
    for label in sorted({match["class"] for match in found}):
        path = annotations / f"{label}_test_split{split}.txt"
        rows = []
        for line, words in list_lines(path):
            fits = len(words) == 2 and words[1] in _SIDES and f"_{label}_" in words[0]
            if not fits or video_name(words[0]) in seen:
                why = f"line {line} is not '<source>_{label}_....avi' and 0, 1 or 2" if not fits else None
                raise InputDataError(
                    "the list is damaged",
                    path=path,
                    why=why or f"line {line} lists {words[0]} again",
                    remedy="unpack the official lists again",
                )
            seen.add(video_name(words[0]))
            rows.append((words[0], _SIDES[words[1]]))
        lists[label] = tuple(rows)
    return lists


def is_hmdb_name(path: str) -> bool:
    """Whether a video is named like those of HMDB51."""
    return _NAME.fullmatch(video_name(os.path.basename(path))) is not None


def hmdb_group(path: str, label: str) -> str | None:
    """What a clip was cut from, within its class: ``wave/TrumanShow``; None for names that are not HMDB51's."""
    match = _NAME.fullmatch(video_name(os.path.basename(path)))
    if match is None or not match["source"].endswith(f"_{label.casefold()}"):
        return None
    return f"{label}/{os.path.basename(path)[: len(match['source']) - len(label) - 1]}"


def open_hmdb51(
    root: str | os.PathLike[str],
    *,
    split: int | None = 1,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """HMDB51, or a part of it, with an official split.

    Videos are recognized by name in ``root``, in its class folders or one level deeper. Listed videos that are not
    there are named in ``findings.missing``.

    Parameters
    ----------
    root
        The folder of the class folders.
    split
        1, 2 or 3, of which videos in neither part are left out; None takes all listed videos without splits.
    annotations
        The folder of the official lists; by default looked for inside and beside ``root``.
    fps
        Frames per second of folders of frames.
    flip
        Whether mirrored clips keep their label; by default yes, as published.
    allow_outside
        Whether links may lead out of ``root``.

    Returns
    -------
    Manifest
        All classes of the lists (officially 51) in order of their names, whether or not they have videos; groups
        ``<class>/<source>``.

    Raises
    ------
    InputDataError
        Not one listed video is there, the same video is there twice, or the lists are damaged.
    """
    folder = require_folder(root)
    lists = read_hmdb_lists(find_hmdb_lists(folder, annotations), 1 if split is None else split)
    videos = find_videos(folder, lambda name, _: video_name(name) if is_hmdb_name(name) else None)
    present = videos.by_key
    items: list[Item] = []
    missing: list[str] = []
    unused = 0
    for label, rows in lists.items():
        for name, side in rows:
            path = present.pop(video_name(name), None)
            if path is None:
                missing.append(f"{label}/{name}")
            elif side is None and split is not None:
                unused += 1
            else:
                items.append(Item(path, label, None if split is None else side, hmdb_group(name, label)))
    are = "video is" if unused == 1 else "videos are"
    return listed_manifest(
        "HMDB51",
        split,
        folder,
        items,
        tuple(lists),
        missing,
        [*present.values(), *videos.others],
        listed=sum(map(len, lists.values())),
        empty=f"it would hold {missing[0]}" if missing else "all that are there are in neither part of the split",
        notes=[f"{unused:,} {are} in neither part of split {split}"] if unused else [],
        flip=flip,
        fps=fps,
        grouping="the sources that clips of a class were cut from, from the names",
        allow_outside=allow_outside,
    )
