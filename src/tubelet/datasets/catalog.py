"""The datasets by name: a literal table, and the one function that opens any of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tubelet.datasets.activitynet import find_activitynet, open_activitynet, open_activitynet_segments
from tubelet.datasets.aslan import find_annotations as find_aslan
from tubelet.datasets.aslan import open_aslan, sample_id
from tubelet.datasets.class_folders import open_class_folders, open_videos
from tubelet.datasets.discovery import require_folder, walk_videos
from tubelet.datasets.groups import ucf_group
from tubelet.datasets.hmdb51 import find_hmdb_lists, is_hmdb_name, open_hmdb51
from tubelet.datasets.kinetics import find_kinetics_tables, is_kinetics_name, open_kinetics
from tubelet.datasets.kth import open_kth, person_of
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.metadata_csv import TABLE, find_tables, open_metadata_csv
from tubelet.datasets.objects import FRAME_LABELS, open_objects
from tubelet.datasets.pyslowfast import looks_like_pyslowfast, open_pyslowfast
from tubelet.datasets.scenes import open_maryland, open_yupenn
from tubelet.datasets.sports1m import find_sports1m_lists, open_sports1m
from tubelet.datasets.ucf101 import find_annotations, open_ucf101
from tubelet.datasets.weizmann import open_weizmann, parse_name
from tubelet.datasets.youtube import youtube_id
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
    "kth": DatasetKind(
        open_kth,
        "KTH actions with 00sequences.txt, person01_boxing_d1_uncomp.avi",
        "official split over persons",
        ("annotations",),
    ),
    "sports1m": DatasetKind(
        open_sports1m,
        "Sports-1M with its official partitions, several labels a video, named by YouTube id",
        "official split, clip hit@1, video hit@1 and hit@5",
        ("annotations",),
    ),
    "kinetics": DatasetKind(
        open_kinetics,
        "Kinetics-400, -600 or -700 with its official tables, <id>_<start>_<end>.mp4",
        "official split, top-1 and top-5 of the validation set",
        ("annotations",),
    ),
    "activitynet": DatasetKind(
        open_activitynet,
        "ActivityNet with its annotations, whole untrimmed videos, v_<id>.mp4",
        "official split, top-1 of the validation set",
        ("annotations",),
    ),
    "activitynet-segments": DatasetKind(
        open_activitynet_segments,
        "ActivityNet with its annotations, one row per annotated segment",
        "official split",
        ("annotations",),
    ),
    "yupenn": DatasetKind(open_yupenn, "YUPENN dynamic scenes, <class>/<video>", "leave one video out"),
    "maryland": DatasetKind(open_maryland, "Maryland dynamic scenes, <class>/<video>", "leave one video out"),
    "objects": DatasetKind(
        open_objects,
        "egocentric objects, or any videos with frame_labels.csv (file_name,frame,label)",
        "16-frame windows of one object, linear SVM, clip accuracy",
        ("annotations",),
    ),
    "pyslowfast": DatasetKind(
        open_pyslowfast,
        "lists of PySlowFast: train.csv, val.csv, test.csv of lines <path> <label number>",
        "the lists' split",
        ("annotations",),
    ),
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
        Folder of the official lists (ActivityNet: or the file), where it is neither inside nor beside ``root``.
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

    "objects" if it holds ``frame_labels.csv``; "weizmann" and "kth" if all videos are named like theirs; "aslan",
    "ucf101", "hmdb51", "kinetics", "activitynet" and "sports1m" if, besides, their official lists lie inside or
    beside; "pyslowfast" if such a list in the folder names a video there. Names of scenes say nothing, so "yupenn" and
    "maryland" are never guessed. A ``manifest.csv`` makes "metadata" of what is none of these.

    Raises
    ------
    InputDataError
        No such folder.
    """
    if Path(root).is_file():
        return "metadata"
    folder = require_folder(root)
    tables = find_tables(folder)
    if tables and tables[0].name == TABLE:
        return "metadata"
    if (folder / FRAME_LABELS).is_file():
        return "objects"
    if looks_like_pyslowfast(folder):
        return "pyslowfast"
    for kind, (fits, find) in _SIGNS.items():
        # Names first: they are settled by the first video of another kind.
        if _all_named(folder, fits) and (find is None or _has_lists(find, folder)):
            return kind
    # Behind the known kinds, whose protocols a table written by the checker into their folder knows nothing of.
    return "metadata" if tables else "folder"


_SIGNS: dict[str, tuple[Callable[[str], bool], Callable[[Path], Path] | None]] = {
    "weizmann": (lambda path: parse_name(path) is not None, None),
    "kth": (lambda path: person_of(path) is not None, None),
    "aslan": (lambda path: sample_id(path) is not None, find_aslan),
    "ucf101": (lambda path: ucf_group(path) is not None, find_annotations),
    "hmdb51": (is_hmdb_name, find_hmdb_lists),
    "kinetics": (is_kinetics_name, find_kinetics_tables),
    "activitynet": (lambda path: youtube_id(os.path.basename(path)) is not None, find_activitynet),
    "sports1m": (lambda path: youtube_id(os.path.basename(path)) is not None, find_sports1m_lists),
}
"""What gives a kind away: the names of all videos, and lists where names alone might be chance."""


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
