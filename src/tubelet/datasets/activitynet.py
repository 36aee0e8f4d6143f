"""ActivityNet with its official annotations (Caba Heilbron et al., CVPR 2015): untrimmed videos, segments in seconds.

``activity_net.v1-3.min.json`` holds ``database``: id → ``{"subset": "training" | "validation" | "testing",
"annotations": [{"label": …, "segment": [start, end]}, …], "duration": …}``, and ``taxonomy``: nodes with ``nodeName``
and ``parentName``, of which the leaves are the classes. That is what Evaluation/eval_classification.py (at b4fce36) and
eval_detection.py of github.com/activitynet/ActivityNet read; Crawler/run_crosscheck.py there names files
``v_<id>.mp4`` and knows ``<id>.mp4``.

P3D (table 4: 10,024 / 4,926 / 5,044 videos, top-1, top-3, mAP) classifies whole untrimmed videos, so one
video is one row, with all of its classes; the challenge's hit@k counts any of them. One row per annotated segment, for
training on what shows the activity, is the kind ``activitynet-segments``.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tubelet.datasets.discovery import require_folder
from tubelet.datasets.item_table import Item, canonical_split
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import find_lists, find_videos, list_text, listed_manifest, refuse_damaged
from tubelet.datasets.youtube import listed_key, youtube_id
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

_FOLDERS = ("annotations", "activitynet", ".")
_PATTERN = "activity_net*.json"


@dataclass(frozen=True)
class AnnotatedVideo:
    """What the annotations say of one video: its split, and class, start and end in seconds of every segment."""

    split: str
    segments: tuple[tuple[str, float, float], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes, that of the longest annotated time first."""
        shown: dict[str, float] = {}
        for label, start_s, end_s in self.segments:
            shown[label] = shown.get(label, 0.0) + end_s - start_s
        return tuple(sorted(shown, key=lambda label: -shown[label]))


def find_activitynet(root: str | os.PathLike[str], annotations: str | os.PathLike[str] | None = None) -> Path:
    """The annotation file: the one given (or the only one in a folder), or one inside or beside ``root``.

    Raises
    ------
    InputDataError
        There is none, or several versions lie in one folder.
    """
    if annotations is not None and Path(annotations).is_file():
        return Path(annotations)
    folder = find_lists(
        root,
        annotations,
        lambda folder: any(folder.glob(_PATTERN)),
        dataset="ActivityNet",
        sought=_PATTERN,
        folders=_FOLDERS,
        remedy="put activity_net.v1-3.min.json beside the videos",
    )
    files = sorted(folder.glob(_PATTERN))
    if len(files) > 1:
        raise InputDataError(
            "several versions of the annotations lie there",
            path=folder,
            why=first_few([file.name for file in files]),
            remedy="say which one: --annotations FILE",
        )
    return files[0]


def read_activitynet(path: Path) -> tuple[dict[str, AnnotatedVideo], tuple[str, ...], tuple[str, ...]]:
    """Read the annotations.

    Returns
    -------
    videos, classes, notes
        YouTube id → what is said of it; the classes, sorted (the leaves of the taxonomy, or the labels that occur where
        there is none); and which segments were left out, because they end where they begin, or are repeated.

    Raises
    ------
    InputDataError
        The file is not such JSON, or entries do not fit: they are named together.
    """
    try:
        content = json.loads(list_text(path))
        database = content["database"]
        taxonomy = content.get("taxonomy") or []
        parents = {node["parentName"] for node in taxonomy}
        leaves = {str(node["nodeName"]) for node in taxonomy if node["nodeName"] not in parents}
        entries = list(database.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputDataError(
            "these are no annotations of ActivityNet",
            path=path,
            why=f"{type(error).__name__}: {error}",
            remedy="take activity_net.v1-3.min.json of the release",
        ) from error
    videos: dict[str, AnnotatedVideo] = {}
    problems: list[str] = []
    empty: list[str] = []
    repeated: list[str] = []
    for video, entry in entries:
        try:
            videos[video], without, again = _video(entry, leaves)
        except ValueError as error:
            problems.append(f"{video}: {error}")
            continue
        empty += [video] * without
        repeated += [video] * again
    refuse_damaged(path, problems)
    occurring = {label for video in videos.values() for label, _, _ in video.segments}
    notes = []
    if empty:
        notes.append(f"{len(empty)} segments end where they begin and are left out: {first_few(empty, shown=3)}")
    if repeated:
        notes.append(f"{len(repeated)} segments are repeated and count once: {first_few(repeated, shown=3)}")
    return videos, tuple(sorted(leaves or occurring)), tuple(notes)


def open_activitynet(
    root: str | os.PathLike[str],
    *,
    segments: bool = False,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """ActivityNet, or the part of it that could be had.

    Parameters
    ----------
    root
        The folder of the videos, in it or down to two levels of folders.
    segments
        One row per annotated segment, with its times; else one row per video, with all of its classes.
    annotations
        The annotation file or its folder; by default looked for inside and beside ``root``.
    fps
        Frames per second of folders of frames.
    flip
        Whether mirrored clips keep their label; by default yes, as published.
    allow_outside
        Whether links may lead out of ``root``.

    Returns
    -------
    Manifest
        Splits train, val and test; the group of a row is its YouTube id. Videos without annotations (the test set's)
        have no label; with ``segments`` they have no row.

    Raises
    ------
    InputDataError
        Not one listed video is there, the same video is there twice, or the annotations are damaged.
    """
    folder = require_folder(root)
    listed, classes, found_notes = read_activitynet(find_activitynet(folder, annotations))
    videos = find_videos(folder, listed_key(listed, youtube_id))
    present = dict(videos.by_key)
    items: list[Item] = []
    missing: list[str] = []
    bare = 0
    for video, known in listed.items():
        path = present.pop(video, None)
        if segments and not known.segments:
            bare += path is not None
        elif path is None:
            missing.append(f"v_{video}.mp4")
        elif segments:
            items += _rows(path, video, known)
        else:
            labels = known.labels
            items.append(Item(path, labels[0] if labels else None, known.split, video, more_labels=labels[1:]))
    notes = list(found_notes)
    if bare:
        notes.append(f"{bare:,} videos have no annotated segment and are left out")
    return listed_manifest(
        "ActivityNet",  # also in segments: what was trained on one must not be tested on the other
        None,
        folder,
        items,
        classes,
        missing,
        [*present.values(), *videos.others],
        listed=sum(bool(known.segments) for known in listed.values()) if segments else len(listed),
        empty=f"it would hold {missing[0]}" if missing else "none that is there has an annotated segment",
        notes=notes,
        flip=flip,
        fps=fps,
        grouping="YouTube ids",
        allow_outside=allow_outside,
    )


def open_activitynet_segments(root: str | os.PathLike[str], **options: Any) -> Manifest:
    """`open_activitynet` with one row per annotated segment."""
    return open_activitynet(root, segments=True, **options)


def _rows(path: str, video: str, known: AnnotatedVideo) -> list[Item]:
    """One item per span; classes of the same span are together in one."""
    spans: dict[tuple[float, float], list[str]] = {}
    for label, start_s, end_s in known.segments:
        spans.setdefault((start_s, end_s), []).append(label)
    return [
        Item(path, labels[0], known.split, video, start_s, end_s, more_labels=tuple(labels[1:]))
        for (start_s, end_s), labels in spans.items()
    ]


def _video(entry: Any, leaves: set[str]) -> tuple[AnnotatedVideo, int, int]:
    """One entry, how many of its segments are empty, and how many repeated; ValueError says what is wrong."""
    try:
        split, annotations = canonical_split(entry["subset"]), entry["annotations"]
        read = [(one["label"], float(one["segment"][0]), float(one["segment"][1])) for one in annotations]
        wide = [one for one in annotations if len(one["segment"]) != 2]
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ValueError(f"not a subset and annotations of label and segment ({error!r})") from None
    if split is None:
        raise ValueError(f"{entry['subset']!r} is no subset: training, validation or testing")
    if wide:
        raise ValueError(f"the segment {wide[0]['segment']} is not a start and an end")
    kept: dict[tuple[str, float, float], None] = {}
    empty = again = 0
    for label, start_s, end_s in read:
        if not isinstance(label, str) or (leaves and label not in leaves):
            raise ValueError(f"{label!r} is no class of the taxonomy")
        if not (math.isfinite(start_s) and math.isfinite(end_s)) or start_s < 0 or end_s < start_s:
            raise ValueError(f"{start_s:g} to {end_s:g} s is no segment")
        if start_s == end_s:
            empty += 1
        elif (label, start_s, end_s) in kept:
            again += 1
        else:
            kept[label, start_s, end_s] = None
    return AnnotatedVideo(split, tuple(kept)), empty, again
