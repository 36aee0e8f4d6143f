"""Weizmann actions (Blank et al., ICCV 2005): ten actions, evaluated leaving one actor out.

Files are named ``<actor>_<action>.avi``, in a folder per action or all in one. Where an actor performs an
action twice the original release numbers the files: ``lena_walk1.avi``, ``lena_walk2.avi``.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath

from tubelet.datasets.discovery import require_folder, walk
from tubelet.datasets.findings import Findings
from tubelet.datasets.groups import stem
from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

ACTIONS = ("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2")
"""The ten actions; class indices follow this order whatever part of the set is there."""

# "wave1" is an action while the 1 of "walk1" numbers a take, so the actions are spelled out.
_NAME = re.compile(rf"(?P<actor>[^_]+)_(?P<action>{'|'.join(ACTIONS)})[0-9]*", re.IGNORECASE)


def parse_name(path: str) -> tuple[str, str] | None:
    """``(actor, action)`` of a file name: ``lena_walk1.avi`` is ("lena", "walk"); None for other names."""
    match = _NAME.fullmatch(stem(path))
    return (match["actor"].lower(), match["action"].lower()) if match else None


def open_weizmann(
    root: str | os.PathLike[str],
    *,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """Weizmann, or a part of it, also with other actors: any folder of videos named ``<actor>_<action>``.

    Parameters
    ----------
    root
        Folder of the ten action folders, or of all videos.
    fps
        Frames per second, for videos stored as folders of frames.
    flip
        Whether mirrored clips keep their label; by default yes: the actors walk both ways.
    allow_outside
        Whether links may lead out of ``root``.

    Returns
    -------
    Manifest
        Ten classes; the group of a video is its actor; no splits.

    Raises
    ------
    InputDataError
        No video is named like this, or a name contradicts the folder it lies in.
    """
    folder = require_folder(root)
    items: list[Item] = []
    ignored: list[str] = []
    others: list[str] = []
    contradictions: list[str] = []
    for path, is_video in sorted(walk(folder)):
        parsed = parse_name(path) if is_video else None
        if parsed is None:
            (others if is_video else ignored).append(path)
            continue
        actor, action = parsed
        parent = PurePosixPath(path).parent.name.lower()
        if parent in ACTIONS and parent != action:
            contradictions.append(path)
        items.append(Item(path, action, None, actor))
    if contradictions:
        raise InputDataError(
            "the names of videos contradict the action folders they lie in",
            path=folder,
            why=first_few(contradictions, shown=5),
            remedy="rename or move them",
        )
    if not items:
        raise InputDataError(
            "no video is named like those of Weizmann",
            path=folder,
            why=f"first {others[0]}" if others else "it holds no video",
            remedy=f"they are named <actor>_<action>.avi, the action one of {', '.join(ACTIONS)}",
        )
    notes = [f"{len(others)} videos are named otherwise and left out: {first_few(others, shown=3)}"] if others else []
    return Manifest(
        "weizmann",
        folder,
        tuple(items),
        ACTIONS,
        True if flip is None else flip,
        fps,
        "actors, from the names",
        allow_outside,
        Findings(ignored=tuple(ignored), unlisted=tuple(others), notes=tuple(notes)),
    ).require_inside()
