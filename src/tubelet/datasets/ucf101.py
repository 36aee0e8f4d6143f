"""UCF101 with its official lists (Soomro, Zamir and Shah 2012): videos or folders of frames, three splits.

``classInd.txt`` numbers the classes from 1; ``trainlist0N.txt`` holds ``Class/v_Class_gGG_cCC.avi number``
and ``testlist0N.txt`` the same without the number. The groups (g01–g25) are the 25 sources that the videos of
a class were cut from; a random split over videos instead of groups looks excellent and means nothing.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tubelet.datasets.discovery import require_folder
from tubelet.datasets.groups import stem, ucf_group
from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import find_lists, find_videos, list_lines, listed_manifest, video_name
from tubelet.errors import InputDataError, UsageError

_FOLDERS = (
    "annotations",
    "ucfTrainTestlist",
    "UCF101TrainTestSplits-RecognitionTask/ucfTrainTestlist",
    "splits",
    ".",
)


@dataclass(frozen=True)
class OfficialLists:
    """What the official files of one split say.

    Attributes
    ----------
    classes
        Class names in official order: class k of ``classInd.txt`` (1-based) is at position k − 1.
    train, test
        ``(path, class)`` of every listed video, as in the files.
    """

    classes: tuple[str, ...]
    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]


def find_annotations(root: str | os.PathLike[str], annotations: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the official lists: the one given, or one inside or beside ``root``.

    Raises
    ------
    InputDataError
        There is none; the message names the places looked at.
    """
    return find_lists(
        root,
        annotations,
        lambda folder: (folder / "classInd.txt").is_file(),
        dataset="UCF101",
        sought="classInd.txt",
        folders=_FOLDERS,
        remedy="unpack UCF101TrainTestSplits-RecognitionTask.zip beside the videos",
    )


def read_official_lists(annotations: Path, split: int = 1) -> OfficialLists:
    """Read ``classInd.txt``, ``trainlist0N.txt`` and ``testlist0N.txt`` and make sure that they agree.

    Raises
    ------
    UsageError
        There is no such split.
    InputDataError
        A file is missing or a line does not fit; it is named with its number.
    """
    train, test = (annotations / f"{side}list{split:02d}.txt" for side in ("train", "test"))
    if not train.is_file() or not test.is_file():
        numbers = sorted(
            int(m[1]) for f in annotations.iterdir() if (m := re.fullmatch(r"trainlist(\d+)\.txt", f.name))
        )
        raise UsageError(
            f"UCF101 has no split {split} there",
            path=annotations,
            remedy=f"there is split {', '.join(map(str, numbers))}"
            if numbers
            else "the folder holds no trainlist01.txt",
        )
    classes = _read_classes(annotations / "classInd.txt")
    known = {name.casefold(): name for name in classes}
    return OfficialLists(classes, _read_list(train, classes, known), _read_list(test, classes, known))


def open_ucf101(
    root: str | os.PathLike[str],
    *,
    split: int | None = 1,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """UCF101, or a part of it, with an official split.

    Videos are recognized by name (``v_Class_gGG_cCC``, any video suffix, or a folder of frames) in ``root``,
    in its class folders or one level deeper. Listed videos that are not there are named in
    ``findings.missing``.

    Parameters
    ----------
    root
        The folder of the videos, such as ``UCF-101``.
    split
        1, 2 or 3; None takes all listed videos without assigning splits.
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
        All 101 classes in official order, whether or not they have videos; items in the lists' order; groups
        g01–g25.

    Raises
    ------
    InputDataError
        Not one listed video is there, the same video is there twice, or the lists are damaged.
    """
    folder = require_folder(root)
    lists = read_official_lists(find_annotations(folder, annotations), 1 if split is None else split)
    videos = find_videos(folder, lambda name, _: video_name(name) if ucf_group(name) is not None else None)
    present = videos.by_key
    listed = [
        *((path, label, "train") for path, label in lists.train),
        *((p, c, "test") for p, c in lists.test),
    ]
    items: list[Item] = []
    missing: list[str] = []
    for path, label, side in listed:
        found = present.pop(stem(path).casefold(), None)
        if found is None:
            missing.append(path)
        else:
            items.append(Item(found, label, None if split is None else side, ucf_group(path)))
    example = PurePosixPath(listed[0][0])
    return listed_manifest(
        "UCF101",
        split,
        folder,
        items,
        lists.classes,
        missing,
        [*present.values(), *videos.others],
        listed=len(listed),
        empty=f"it would hold {example}, or the folder {example.with_suffix('')}",
        flip=flip,
        fps=fps,
        grouping="the official groups g01 to g25, from the names",
        allow_outside=allow_outside,
    )


def _read_classes(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    for line, fields in list_lines(path):
        if len(fields) != 2 or not fields[0].isdigit() or int(fields[0]) != len(names) + 1:
            raise InputDataError(
                "the class list is damaged",
                path=path,
                why=f"line {line} is not '{len(names) + 1} <class>'",
                remedy="unpack the official lists again",
            )
        names.append(fields[1])
    if not names or len({name.casefold() for name in names}) < len(names):
        raise InputDataError(
            "the class list is damaged",
            path=path,
            why="it is empty or names a class twice",
            remedy="unpack the official lists again",
        )
    return tuple(names)


def _read_list(path: Path, classes: tuple[str, ...], known: dict[str, str]) -> tuple[tuple[str, str], ...]:
    rows: list[tuple[str, str]] = []
    for line, fields in list_lines(path):
        name, number = fields[0].replace("\\", "/"), fields[1] if len(fields) > 1 else None
        label = known.get(name.split("/")[0].casefold())
        why = None
        if label is None or len(fields) > 2:
            why = f"line {line} is not '<class>/<video> [number]' with a class of classInd.txt"
        elif number is not None and (not number.isdigit() or int(number) != classes.index(label) + 1):
            why = f"line {line}: {label} is class {classes.index(label) + 1} of classInd.txt, not {number}"
        if why is not None or label is None:
            raise InputDataError("the list is damaged", path=path, why=why, remedy="unpack the official lists again")
        rows.append((name, label))
    return tuple(rows)
