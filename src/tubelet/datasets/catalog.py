"""The datasets by name: a literal table, and the one function that opens any of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tubelet.datasets.aslan import open_aslan
from tubelet.datasets.class_folders import open_class_folders, open_videos
from tubelet.datasets.discovery import require_folder, walk_videos
from tubelet.datasets.groups import ucf_group
from tubelet.datasets.hmdb51 import find_hmdb_lists, is_hmdb_name, open_hmdb51
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.metadata_csv import find_tables, open_metadata_csv
from tubelet.datasets.ucf101 import find_annotations, open_ucf101
from tubelet.datasets.weizmann import open_weizmann, parse_name
from tubelet.errors import InputDataError, UsageError


@dataclass(frozen=True)
class DatasetKind:
    """One way of reading a folder.

    Attributes
    ----------
    open
        The reader.
    about
        One line for help texts.
    protocol
        How results on it are published, in words.
    options
        Keyword options of `open_dataset` that the reader knows beside ``fps``, ``flip`` and
        ``allow_outside``.
    """

    open: Callable[..., Manifest]
    about: str
    protocol: str
    options: tuple[str, ...] = ()


def _open_folder(root: str | os.PathLike[str], *, label_column: str = "label", **options: Any) -> Manifest:
    folder = Path(root)
    if folder.is_file() or find_tables(require_folder(folder)):
        return open_metadata_csv(folder, label_column=label_column, **options)
    manifest = open_class_folders(folder, **options)
    return manifest.with_label(label_column)


def _open_videos(root: str | os.PathLike[str], *, flip: bool | None = None, **options: Any) -> Manifest:
    return open_videos(root, **options)  # without labels there is nothing that a mirror could change


DATASETS: dict[str, DatasetKind] = {
    "folder": DatasetKind(
        _open_folder,
        "your own videos: metadata.csv if there is one, else folders named after the classes",
        "random split over groups",
        ("label_column",),
    ),
    "metadata": DatasetKind(
        open_metadata_csv,
        "your own videos, described by metadata.csv (file_name,label,split,group,start_s,end_s)",
        "random split over groups",
        ("label_column",),
    ),
    "class-folders": DatasetKind(
        open_class_folders,
        "your own videos: <class>/<video> or <split>/<class>/<video>",
        "random split over groups",
    ),
    "videos": DatasetKind(_open_videos, "videos at any depth, without labels", "none"),
    "ucf101": DatasetKind(
        open_ucf101,
        "UCF101 with its official lists, as videos or frames",
        "official splits 1, 2, 3",
        ("split", "annotations"),
    ),
    "hmdb51": DatasetKind(
        open_hmdb51,
        "HMDB51 with its official lists, as videos or frames",
        "official splits 1, 2, 3",
        ("split", "annotations"),
    ),
    "aslan": DatasetKind(
        open_aslan,
        "the samples of ASLAN, 0001 to 3697, with its View 1 or View 2",
        "same or not-same pairs, ten folds of different actions",
        ("annotations",),
    ),
    "weizmann": DatasetKind(open_weizmann, "Weizmann actions, <actor>_<action>.avi", "leave one actor out"),
}
"""Every kind of dataset by name."""


def open_dataset(
    kind: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    split: int | None = 1,
    fps: float | None = None,
    label_column: str = "label",
    annotations: str | os.PathLike[str] | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """Open a folder of videos as a manifest.

    Parameters
    ----------
    kind
        A name of `DATASETS`, "auto", or a folder (then "auto" is meant).
    root
        The folder of the videos; for kinds read from a table, the table will do.
    split
        Official split, where the dataset has several (UCF101, HMDB51); None assigns none.
    fps
        Frames per second, for videos stored as folders of frames.
    label_column
        Which column of ``metadata.csv`` is the label.
    annotations
        Folder of the official lists, where it is neither inside nor beside ``root``.
    flip
        Whether mirrored clips keep their label; None takes the dataset's own answer.
    allow_outside
        Whether paths and links may lead out of ``root``.

    Raises
    ------
    UsageError
        There is no such kind.
    InputDataError
        The folder cannot be used as that kind; see the readers.
    """
    if root is None:
        root = kind
        kind = "auto"
    kind = detect_kind(root) if kind == "auto" else os.fspath(kind)
    entry = DATASETS.get(kind)
    if entry is None:
        near = get_close_matches(kind, DATASETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the kinds are {', '.join(DATASETS)}"
        raise UsageError(f"there is no dataset kind {kind!r}", remedy=hint)
    given: dict[str, Any] = {"split": split, "label_column": label_column, "annotations": annotations}
    if annotations is not None and "annotations" not in entry.options:
        raise UsageError(f"a dataset of kind {kind} has no official lists", remedy="leave annotations away")
    if label_column != "label" and "label_column" not in entry.options:
        raise UsageError(f"a dataset of kind {kind} has one label only", remedy="write metadata.csv for more")
    own = {name: given[name] for name in entry.options}
    return entry.open(root, fps=fps, flip=flip, allow_outside=allow_outside, **own)


def detect_kind(root: str | os.PathLike[str]) -> str:
    """The kind that fits a folder: its table, else the names of its videos, else class folders.

    "ucf101" and "hmdb51" only if all videos are named like theirs and official lists lie inside or beside;
    "weizmann" only if all are named like those.

    Raises
    ------
    InputDataError
        No such folder.
    """
    if Path(root).is_file():
        return "metadata"
    folder = require_folder(root)
    if find_tables(folder):
        return "metadata"
    if _all_named(folder, lambda path: parse_name(path) is not None):
        return "weizmann"
    if _has_lists(find_annotations, folder) and _all_named(folder, lambda path: ucf_group(path) is not None):
        return "ucf101"
    if _has_lists(find_hmdb_lists, folder) and _all_named(folder, is_hmdb_name):
        return "hmdb51"
    return "folder"


def _all_named(folder: Path, fits: Callable[[str], bool]) -> bool:
    """Whether there are videos and all fit; stops at the first that does not."""
    found = False
    for path in walk_videos(folder):
        if not fits(path):
            return False
        found = True
    return found


def _has_lists(find: Callable[[Path], Path], folder: Path) -> bool:
    try:
        find(folder)
    except InputDataError:
        return False
    return True
