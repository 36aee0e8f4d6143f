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

_NAME_OF_SET = "weizmann"
_ACTORS = 9

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
        Ten classes, as the names of the videos say; the group of a video is its actor; no splits. A video in the folder
        of another action is in ``findings.mislabeled``, see `refuse_misplaced`.

    Raises
    ------
    InputDataError
        No video is named like this.
    """
    folder = require_folder(root)
    items: list[Item] = []
    ignored: list[str] = []
    others: list[str] = []
    for path, is_video in sorted(walk(folder)):
        parsed = parse_name(path) if is_video else None
        if parsed is None:
            (others if is_video else ignored).append(path)
            continue
        actor, action = parsed
        items.append(Item(path, action, None, actor))
    if not items:
        raise InputDataError(
            "no video is named like those of Weizmann",
            path=folder,
            why=f"first {others[0]}" if others else "it holds no video",
            remedy=f"they are named <actor>_<action>.avi, the action one of {', '.join(ACTIONS)}",
        )
    notes = []
    if others:
        are = "video is" if len(others) == 1 else "videos are"
        notes.append(f"{len(others)} {are} named otherwise and left out: {first_few(others, shown=3)}")
    actors = len({item.group for item in items})
    if actors != _ACTORS:
        notes.append(f"{actors} actor{'s' * (actors != 1)}, Weizmann has {_ACTORS}")
    mislabeled = tuple(f"{item.path}: named after {item.label}" for item in items if _is_misplaced(item))
    return Manifest(
        _NAME_OF_SET,
        folder,
        tuple(items),
        ACTIONS,
        True if flip is None else flip,
        fps,
        "actors, from the names",
        allow_outside,
        Findings(ignored=tuple(ignored), unlisted=tuple(others), notes=tuple(notes), mislabeled=mislabeled),
    ).require_inside()


def refuse_misplaced(manifest: Manifest) -> Manifest:
    """Return the manifest, unless it is Weizmann's and has videos in the folder of another action.

    Without a list nothing says which of the two is right, so that no figure can be made of them; ``data check`` names
    them all.

    Raises
    ------
    InputDataError
        There are such videos; the first are named.
    """
    if manifest.name == _NAME_OF_SET and manifest.findings.mislabeled:
        raise InputDataError(
            "the names of videos contradict the action folders they lie in",
            path=manifest.root,
            why=first_few([item.path for item in manifest.items if _is_misplaced(item)], shown=5),
            remedy="rename or move them",
        )
    return manifest


def _is_misplaced(item: Item) -> bool:
    """Whether a video lies in the folder of another action than its name's."""
    parent = PurePosixPath(item.path).parent.name.lower()
    return parent in ACTIONS and parent != item.label
