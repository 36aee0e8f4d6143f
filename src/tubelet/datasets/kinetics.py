"""Kinetics-400, -600 and -700 with their official tables (Kay et al. 2017): ten-second clips of YouTube videos.

A table has the columns ``label,youtube_id,time_start,time_end,split`` (some releases add ``is_cc``; a test table may
come without ``label``, as kinetics-600_test.csv of github.com/activitynet/ActivityNet at 530ac3a does). Clips are named
``<youtube_id>_<time_start>_<time_end>.mp4`` with six digits each and lie flat or in folders named after the class, with
blanks or underscores, as Crawler/Kinetics/download.py there writes them. Clips named by the id alone are common too.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tubelet.datasets.discovery import require_folder
from tubelet.datasets.item_table import Item, canonical_split
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import (
    find_lists,
    find_videos,
    list_names,
    list_text,
    listed_manifest,
    refuse_damaged,
    video_stem,
)
from tubelet.datasets.youtube import ID, listed_key
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

_FOLDERS = ("annotations", "kinetics_annotations", "splits", ".")
_COLUMNS = ("youtube_id", "time_start", "time_end")
_NAME = re.compile(rf"{ID}(?:_[0-9]{{6}}_[0-9]{{6}})?")
_CLASS_FILE = re.compile(r"(?:.*_)?(?:label_?map|labels|classes)(?:_[^.]*)?\.txt", re.IGNORECASE)


@dataclass(frozen=True)
class KineticsClip:
    """One row of a table: seconds ``start`` to ``end`` of a video; label and split are None where not given."""

    video: str
    start: int
    end: int
    label: str | None
    split: str | None

    @property
    def key(self) -> str:
        """The clip's official name, without suffix."""
        return f"{self.video}_{self.start:06d}_{self.end:06d}"


def is_kinetics_name(name: str) -> bool:
    """Whether a video is named like the crawler's clips, ``<id>_<six digits>_<six digits>``."""
    stem = video_stem(os.path.basename(name))
    return len(stem) > 11 and _NAME.fullmatch(stem) is not None


def find_kinetics_tables(root: str | os.PathLike[str], annotations: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the tables: the one given, or one inside or beside ``root``; tables are known by their header.

    Raises
    ------
    InputDataError
        There is none; the message names the places looked at.
    """
    return find_lists(
        root,
        annotations,
        lambda folder: bool(_tables(folder)),
        dataset="Kinetics",
        sought=f"table with the columns {', '.join(_COLUMNS)}",
        folders=_FOLDERS,
        remedy="put train.csv, val.csv and test.csv of the release beside the videos",
    )


def read_kinetics_tables(annotations: Path) -> tuple[tuple[KineticsClip, ...], tuple[str, ...]]:
    """Read all tables of a folder: the clips in order, and the classes in order.

    The classes are those of a file such as ``label_map_k400.txt``, ``kinetics_600_labels.txt`` or ``classes.txt``
    beside the tables where there is one (one name a line), else the labels that occur, sorted: the official order.

    Raises
    ------
    InputDataError
        Lines do not fit or contradict each other, or a label is not in the file of classes.
    """
    clips: dict[str, KineticsClip] = {}
    origin: dict[str, str] = {}
    for table in _tables(annotations):
        problems: list[str] = []
        for line, clip in _rows(table, problems):
            before = clips.setdefault(clip.key, clip)
            where = f"{table.name} line {line}"
            if before != clip:
                problems.append(f"line {line} lists {clip.key} otherwise than {origin[clip.key]}")
            origin.setdefault(clip.key, where)
        refuse_damaged(table, problems)
    if not clips:
        raise InputDataError("the tables list no clip", path=annotations, remedy="copy the official tables again")
    found = sorted({clip.label for clip in clips.values() if clip.label is not None})
    files = [path for path in sorted(annotations.iterdir()) if _CLASS_FILE.fullmatch(path.name)]
    if not files:
        return tuple(clips.values()), tuple(found)
    classes = list_names(files[0])
    strange = sorted(set(found) - set(classes))
    if strange:
        raise InputDataError(
            "the tables have labels that are not among the classes",
            path=files[0],
            why=first_few(strange, shown=5),
            remedy="put the list of classes of the same release (400, 600, 700) beside the tables",
        )
    return tuple(clips.values()), classes


def open_kinetics(
    root: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """Kinetics, or the part of it that could be had, cut into its clips.

    A file named by the id alone is taken for the clip if the tables have one clip of that video.

    Parameters
    ----------
    root
        The folder of the clips: flat, ``<class>/<clip>`` or ``<split>/<class>/<clip>``.
    annotations
        The folder of the tables; by default looked for inside and beside ``root``.
    fps
        Frames per second of folders of frames.
    flip
        Whether mirrored clips keep their label; by default yes, as published.
    allow_outside
        Whether links may lead out of ``root``.

    Returns
    -------
    Manifest
        Splits train, val and test as in the tables; the group of a clip is its YouTube id; clips of a test table
        without labels have none.

    Raises
    ------
    InputDataError
        Not one listed clip is there, the same clip is there twice, or the tables are damaged.
    """
    folder = require_folder(root)
    clips, classes = read_kinetics_tables(find_kinetics_tables(folder, annotations))
    per_video = Counter(clip.video for clip in clips)
    keys = {clip.key for clip in clips} | set(per_video)
    videos = find_videos(folder, listed_key(keys, _key))
    present = dict(videos.by_key)
    items: list[Item] = []
    missing: list[str] = []
    bare = 0
    for clip in clips:
        path = present.pop(clip.key, None)
        if path is None and per_video[clip.video] == 1:
            path = present.pop(clip.video, None)
            bare += path is not None
        if path is None:
            missing.append(f"{clip.key}.mp4")
        else:
            items.append(Item(path, clip.label, clip.split, clip.video))
    notes = [f"{bare:,} videos are named by the id alone and taken for the ten-second clip"] if bare else []
    several = [present[video] for video, count in per_video.items() if count > 1 and video in present]
    if several:
        notes.append(
            f"{len(several):,} videos are named by an id that has several clips: {first_few(several, shown=3)}"
        )
    return listed_manifest(
        "Kinetics",
        None,
        folder,
        items,
        classes,
        missing,
        [*present.values(), *videos.others],
        listed=len(clips),
        empty=f"it would hold {missing[0]}" if missing else "the tables name none",
        notes=notes,
        flip=flip,
        fps=fps,
        grouping="YouTube ids",
        allow_outside=allow_outside,
    )


def _key(name: str) -> str | None:
    stem = video_stem(name)
    return stem if _NAME.fullmatch(stem) else None


def _tables(folder: Path) -> list[Path]:
    """The tables of a folder, training first: the order in which items come."""
    order = {"train": 0, "val": 1, "test": 2, None: 3}
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open("rb") as file:
            names = file.readline(400).decode("utf-8-sig", "replace").strip().replace('"', "").split(",")
        if set(_COLUMNS) <= {name.strip() for name in names}:
            found.append(path)
    return sorted(found, key=lambda path: order[_side(path)])


def _side(table: Path) -> str | None:
    """The split that a table is named after, as in ``kinetics-600_test.csv``: of rows that do not say theirs."""
    words = re.split(r"[\W_]+", table.stem)
    return next((side for word in words if (side := canonical_split(word)) is not None), None)


def _rows(table: Path, problems: list[str]) -> list[tuple[int, KineticsClip]]:
    """Line number and clip of every row that fits; the others are named in ``problems``."""
    reader = csv.reader(io.StringIO(list_text(table), newline=""), skipinitialspace=True)
    columns = [name.strip() for name in next(reader)]
    rows: list[tuple[int, KineticsClip]] = []
    line = 1
    try:
        for fields in reader:
            line = reader.line_num
            if not any(fields):
                continue
            try:
                rows.append((line, _clip(columns, fields, _side(table))))
            except ValueError as error:
                problems.append(f"line {line}: {error}")
    except csv.Error as error:
        problems.append(f"line {line + 1}: {error}")
    return rows


def _clip(columns: list[str], fields: list[str], side: str | None) -> KineticsClip:
    """One row of a table for ``side``; ValueError says what is wrong with it."""
    if len(fields) != len(columns):
        raise ValueError(f"{len(fields)} fields where the header names {len(columns)}")
    row = {name: value.strip() for name, value in zip(columns, fields, strict=True)}
    video, start, end = (row[name] for name in _COLUMNS)
    if not re.fullmatch(ID, video):
        raise ValueError(f"{video[:30]!r} is no YouTube id")
    if not (start.isdecimal() and end.isdecimal() and int(start) < int(end)):
        raise ValueError(f"{start[:20]!r} to {end[:20]!r} are no whole seconds, the first before the second")
    split = row.get("split") or None
    if split is None:
        return KineticsClip(video, int(start), int(end), row.get("label") or None, side)
    if canonical_split(split) is None:
        raise ValueError(f"{split[:20]!r} is no split: train, val (validate) or test")
    return KineticsClip(video, int(start), int(end), row.get("label") or None, canonical_split(split))
