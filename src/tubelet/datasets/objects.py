"""Videos with a label for each frame: egocentric objects (Ren and Philipose, Egovision 2009; C3D, section 6).

No public document or code that could be found says in which files the labels of that data set come, so the format is
one of ours. ``frame_labels.csv`` has one line for each frame, or for each run of frames, that shows an object::

    file_name,frame,last_frame,label,split,group
    kitchen/day1.avi,0,41,cup,train,day1
    kitchen/day1.avi,60,60,sponge,train,day1

``frame`` counts from 0 in the order of decoding; ``last_frame`` is included and may be left out (then it is that one
frame), as may ``split`` and ``group``. Frames that no line names, and those with an empty label, show no object. A line
with neither frame nor label only says that the video belongs to the set.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from tubelet.datasets.class_folders import finish_own_folder
from tubelet.datasets.discovery import require_folder, walk_videos
from tubelet.datasets.groups import assign_groups
from tubelet.datasets.item_table import Item, read_items
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import find_lists, listed_manifest, refuse_damaged
from tubelet.errors import InputDataError

FRAME_LABELS = "frame_labels.csv"
NO_OBJECT = -1
"""Class index of a frame that shows no object."""

_FRAME, _LAST = "frame", "last_frame"
_DIGITS = 12  # more would be no frame number, and might not fit into an index


@dataclass(frozen=True)
class Run:
    """Frames ``first`` to ``last``, both included, show the object ``label``."""

    first: int
    last: int
    label: str


@dataclass(frozen=True)
class FrameLabels:
    """What ``frame_labels.csv`` says.

    Attributes
    ----------
    runs
        By path, in the order of the list: runs by time, which never overlap; neighbors of one label are one run.
    splits, groups
        By path, of those videos for which the list says it.
    columns
        Names of the list's columns.
    """

    runs: Mapping[str, tuple[Run, ...]]
    splits: Mapping[str, str]
    groups: Mapping[str, str]
    columns: tuple[str, ...]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({run.label for runs in self.runs.values() for run in runs}))

    def end_of(self, path: str) -> int:
        """One past the last frame of a video that shows an object, 0 if none does."""
        return max((run.last + 1 for run in self.runs[path]), default=0)

    def by_frame(self, path: str, n_frames: int) -> NDArray[np.int64]:
        """``(n_frames,)`` index of each frame's label in ``classes``, `NO_OBJECT` where there is none."""
        index = {label: place for place, label in enumerate(self.classes)}
        found = np.full(n_frames, NO_OBJECT, dtype=np.int64)
        for run in self.runs[path]:
            found[run.first : run.last + 1] = index[run.label]
        return found


def find_frame_labels(root: str | os.PathLike[str], annotations: str | os.PathLike[str] | None = None) -> Path:
    """``frame_labels.csv``: of the folder given, or of one inside or beside ``root``.

    Raises
    ------
    InputDataError
        There is none; the message names the places looked at.
    """
    folder = find_lists(
        root,
        annotations,
        lambda place: (place / FRAME_LABELS).is_file(),
        dataset="labeled frames",
        sought=FRAME_LABELS,
        folders=("annotations", "."),
        remedy="write it beside the videos, with the columns file_name,frame,label",
    )
    return folder / FRAME_LABELS


def read_frame_labels(path: str | os.PathLike[str]) -> FrameLabels:
    """Read ``frame_labels.csv``; the module says what is in it.

    Raises
    ------
    InputDataError
        It cannot be read, has no column ``frame`` or ``label``, labels no frame at all, or lines cannot be used or
        contradict each other: they are named together.
    """
    file = Path(path)
    table = read_items(file)
    lacking = [name for name in (_FRAME, "label") if name not in table.columns]
    if lacking:
        raise InputDataError(
            f"the list of frame labels has no column {' and none '.join(lacking)}",
            path=file,
            why=f"its columns are {', '.join(table.columns)}",
            remedy="name them file_name,frame,label",
        )
    runs: dict[str, list[tuple[Run, int]]] = defaultdict(list)
    said: dict[str, dict[str, tuple[str, int]]] = {"split": {}, "group": {}}
    problems: list[str] = []
    for item, line in zip(table.items, table.lines, strict=True):
        video = PurePosixPath(item.path).as_posix()
        found = runs[video]
        for name, known in said.items():
            value = getattr(item, name)
            before = known.setdefault(video, (value, line)) if value is not None else None
            if before is not None and before[0] != value:
                problems.append(f"line {line}: {video} has {name} {before[0]} on line {before[1]}")
        try:
            run = _run(item)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        if run is not None:
            found.append((run, line))
    joined = {video: _joined(video, some, problems) for video, some in runs.items()}
    refuse_damaged(file, problems)
    if not any(joined.values()):
        raise InputDataError(
            "the list labels no frame", path=file, remedy="write a line for each: file_name,frame,label"
        )
    splits, groups = ({video: value for video, (value, _) in known.items()} for known in said.values())
    return FrameLabels(joined, splits, groups, table.columns)


def open_objects(
    root: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """Videos whose frames are labeled, one row a video.

    Parameters
    ----------
    root
        The folder that the list's file names are relative to.
    annotations
        The folder of ``frame_labels.csv``; by default looked for inside and beside ``root``.
    fps
        Frames per second of folders of frames.
    flip
        Whether mirrored clips keep their label; None decides by the names of the classes.
    allow_outside
        Whether paths and links may lead out of ``root``.

    Returns
    -------
    Manifest
        ``label`` is what most frames of a video show (of equally many the first by name), ``more_labels`` the rest;
        None for a video that shows no object. The labels themselves: `read_frame_labels`. Groups are the list's, else
        from names like UCF101's, else each video is its own.

    Raises
    ------
    InputDataError
        There is no list, it is damaged, or not one listed video is there.
    """
    folder = require_folder(root)
    file = find_frame_labels(folder, annotations)
    labels = read_frame_labels(file)
    missing = [path for path in labels.runs if not os.path.lexists(folder / path)]
    gone = set(missing)
    items = [_item(labels, path) for path in labels.runs if path not in gone]
    grouped, rule = assign_groups(items, column="group" in labels.columns)
    manifest = listed_manifest(
        "objects",
        None,
        folder,
        grouped,
        labels.classes,
        missing,
        [path for path in walk_videos(folder) if path not in labels.runs],
        listed=len(labels.runs),
        empty=f"it would hold {missing[0]}" if missing else "the list is empty",
        flip=flip,
        fps=fps,
        grouping=rule,
        allow_outside=allow_outside,
    )
    ends = tuple((item.path, labels.end_of(item.path)) for item in manifest.items)
    return finish_own_folder(replace(manifest, findings=replace(manifest.findings, labeled_frames=ends)), flip)


def _item(labels: FrameLabels, path: str) -> Item:
    frames: Counter[str] = Counter()
    for run in labels.runs[path]:
        frames[run.label] += run.last - run.first + 1
    names = sorted(frames, key=lambda label: (-frames[label], label))
    first = names[0] if names else None
    return Item(path, first, labels.splits.get(path), labels.groups.get(path), more_labels=tuple(names[1:]))


def _run(item: Item) -> Run | None:
    """One line; None where it labels nothing. ValueError says what is wrong with it."""
    first, last = (item.labels.get(name) for name in (_FRAME, _LAST))
    if first is None:
        if item.label is not None or last is not None:
            raise ValueError("no frame")
        return None
    for text in (first, last or first):
        if not text.isdecimal() or len(text) > _DIGITS:
            raise ValueError(f"{text[:20]!r} is no frame number from 0 on")
    if last is not None and int(last) < int(first):
        raise ValueError(f"last_frame {last} is before frame {first}")
    return None if item.label is None else Run(int(first), int(last or first), item.label)


def _joined(video: str, found: list[tuple[Run, int]], problems: list[str]) -> tuple[Run, ...]:
    """Runs by time, neighbors of one label joined; frames that are labeled twice go to ``problems``."""
    joined: list[Run] = []
    lines: list[int] = []
    for run, line in sorted(found, key=lambda each: (each[0].first, each[1])):
        before = joined[-1] if joined else None
        if before is not None and run.first <= before.last:
            problems.append(f"line {max(line, lines[-1])}: frame {run.first} of {video} is labeled on line "
                            f"{min(line, lines[-1])} already")  # fmt: skip
        elif before is not None and run.first == before.last + 1 and run.label == before.label:
            joined[-1] = replace(before, last=run.last)
            lines[-1] = line
        else:
            joined.append(run)
            lines.append(line)
    return tuple(joined)
