"""Sports-1M with its official lists (Karpathy et al., CVPR 2014): videos of YouTube with one label or several.

The format is that of the README of github.com/gtoderici/sports-1m-dataset (read at 006b749): ``labels.txt`` holds 487
names, the first line is label 0; ``original/train_partition.txt`` and ``original/test_partition.txt`` hold
``<address> <label numbers, comma-separated>`` a line, such as ``https://www.youtube.com/watch?v=UDqivjS-lpI 168,169``
(the repository stores them compressed, ``gzip -d`` first). The lists name addresses, not files; crawlers name files by
the YouTube id, some with ``yt_`` or ``v_`` before it.

C3D and P3D train on short clips cut from the videos (five of 2 s, five of 5 s): `tubelet.datasets.spans`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tubelet.datasets.discovery import require_folder
from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import (
    find_lists,
    find_videos,
    list_lines,
    list_names,
    listed_manifest,
    refuse_damaged,
)
from tubelet.datasets.youtube import listed_key, url_id, youtube_id
from tubelet.reporting.text import first_few

_FOLDERS = ("sports-1m-dataset", "annotations", "sports1m", ".")
_LISTS = {"train": "train_partition.txt", "test": "test_partition.txt"}


@dataclass(frozen=True)
class SportsLists:
    """What the official lists say.

    Attributes
    ----------
    classes
        Names of the labels; label k is at position k.
    videos
        YouTube id → (side, labels), in the lists' order.
    notes
        What was repeated in them.
    """

    classes: tuple[str, ...]
    videos: dict[str, tuple[str, tuple[str, ...]]]
    notes: tuple[str, ...]


def find_sports1m_lists(root: str | os.PathLike[str], annotations: str | os.PathLike[str] | None = None) -> Path:
    """The folder of ``labels.txt`` and of the partitions (or of ``original/`` with them).

    Raises
    ------
    InputDataError
        There is none; the message names the places looked at.
    """
    return find_lists(
        root,
        annotations,
        lambda folder: (folder / "labels.txt").is_file() and _partition(folder, "train").is_file(),
        dataset="Sports-1M",
        sought="labels.txt with train_partition.txt (or original/train_partition.txt)",
        folders=_FOLDERS,
        remedy="clone github.com/gtoderici/sports-1m-dataset beside the videos and gzip -d its lists",
    )


def read_sports1m_lists(annotations: Path) -> SportsLists:
    """Read the labels and both partitions.

    A video that is listed twice alike counts once. One that both partitions list is kept for training and left out of
    the test, and the notes say so: the labels were made by a machine, and nobody checked the lists by hand.

    Raises
    ------
    InputDataError
        A file is missing or lines do not fit: all of them are named together.
    """
    classes = list_names(annotations / "labels.txt")
    videos: dict[str, tuple[str, tuple[str, ...]]] = {}
    repeated: list[str] = []
    shared: list[str] = []
    for side in _LISTS:
        path = _partition(annotations, side)
        lines: dict[str, int] = {}
        problems: list[str] = []
        for line, words in list_lines(path):
            try:
                video, labels = _row(words, classes)
            except ValueError as error:
                problems.append(f"line {line}: {error}")
                continue
            before = videos.setdefault(video, (side, labels))
            if before[0] != side:
                shared.append(video)
            elif lines.setdefault(video, line) != line:
                if before[1] != labels:
                    problems.append(f"line {line} lists {video} with other labels than line {lines[video]}")
                else:
                    repeated.append(video)
        refuse_damaged(path, problems)
    notes = [f"{len(repeated):,} lines are repeated and count once: {first_few(repeated, shown=3)}"] if repeated else []
    if shared:
        named = first_few(shared, shown=3)
        notes.append(f"{len(shared):,} videos are in both partitions and left out of the test: {named}")
    return SportsLists(classes, videos, tuple(notes))


def open_sports1m(
    root: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """Sports-1M, or the part of it that could be had.

    Parameters
    ----------
    root
        The folder of the videos, in it or down to two levels of folders.
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
        All classes of ``labels.txt`` in order; items in the lists' order, the first label as ``label`` and the others
        as ``more_labels``; splits train and test; the group of a video is its YouTube id.

    Raises
    ------
    InputDataError
        Not one listed video is there, the same video is there twice, or the lists are damaged.
    """
    folder = require_folder(root)
    lists = read_sports1m_lists(find_sports1m_lists(folder, annotations))
    videos = find_videos(folder, listed_key(lists.videos, youtube_id))
    present = dict(videos.by_key)
    items: list[Item] = []
    missing: list[str] = []
    for video, (side, labels) in lists.videos.items():
        path = present.pop(video, None)
        if path is None:
            missing.append(video)
        else:
            items.append(Item(path, labels[0], side, video, more_labels=labels[1:]))
    return listed_manifest(
        "Sports1M",
        None,
        folder,
        items,
        lists.classes,
        missing,
        [*present.values(), *videos.others],
        listed=len(lists.videos),
        empty=f"it would hold {missing[0]}.mp4" if missing else "the lists name none",
        notes=lists.notes,
        flip=flip,
        fps=fps,
        grouping="YouTube ids",
        allow_outside=allow_outside,
    )


def _partition(folder: Path, side: str) -> Path:
    inner = folder / "original" / _LISTS[side]
    return inner if inner.is_file() else folder / _LISTS[side]


def _row(words: list[str], classes: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Id and labels of one line; ValueError says what is wrong with it."""
    if len(words) != 2:
        raise ValueError(f"{len(words)} words where an address and label numbers are expected")
    video = url_id(words[0])
    if video is None:
        raise ValueError(f"{words[0][:60]!r} is no address of a YouTube video")
    numbers = words[1].split(",")
    strange = [number for number in numbers if not number.isdecimal() or int(number) >= len(classes)]
    if strange:
        raise ValueError(f"{strange[0][:20]!r} is no label number from 0 to {len(classes) - 1}")
    return video, tuple(dict.fromkeys(classes[int(number)] for number in numbers))
