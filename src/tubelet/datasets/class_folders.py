"""Videos in folders named after their class: ``root/<class>/<video>`` or ``root/<split>/<class>/<video>``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tubelet.datasets.directional import mirrored_pairs
from tubelet.datasets.discovery import Listing, list_folder, require_folder, walk, walk_videos
from tubelet.datasets.findings import Findings
from tubelet.datasets.groups import assign_groups
from tubelet.datasets.item_table import Item, canonical_split
from tubelet.datasets.manifest import Manifest, classes_of
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few


@dataclass
class _Scan:
    items: list[Item] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def open_class_folders(
    root: str | os.PathLike[str],
    *,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """Read a folder whose subfolders are the classes.

    If subfolders are named train, val (valid, validation) or test and hold class folders themselves, these
    are the splits. A class folder may well be called "test": it is one if videos lie directly in it. Groups
    come from names like UCF101's, else each video is its own.

    Parameters
    ----------
    root
        The folder. Hidden files and what desktops leave behind are passed over.
    fps
        Frames per second, for videos stored as folders of JPEG frames.
    flip
        Whether mirrored clips keep their label; None decides by the names of the classes and notes it.
    allow_outside
        Whether links may lead out of ``root``.

    Returns
    -------
    Manifest
        Items and classes sorted by name.

    Raises
    ------
    InputDataError
        No such folder, no video in the layout (the message says what is there instead), or a link out of the
        root.
    """
    folder = require_folder(root)
    top = list_folder(folder)
    inside = {name: list_folder(folder / name) for name in top.folders}
    splits = _split_folders(folder, inside)
    scan = _Scan(ignored=[*top.others, *top.videos])
    if splits and any(inside[name].videos for name in inside if name not in splits):
        classes = first_few(sorted(name for name in inside if name not in splits and inside[name].videos))
        raise InputDataError(
            "the folder mixes splits and classes",
            path=folder,
            why=f"{first_few(sorted(splits))} hold class folders, {classes} videos",
            remedy="use <class>/<video> or <split>/<class>/<video> throughout",
        )
    for name, listing in inside.items():
        if name in splits:
            _scan_split(folder, name, listing, splits[name], scan)
        else:
            _scan_class(folder, name, name, listing, None, scan)
    if top.videos and scan.items:
        scan.notes.append(f"{len(top.videos)} beside the class folders have no class: {first_few(top.videos, shown=3)}")
    if not scan.items:
        raise _nothing_found(folder, top)
    scan.items.sort(key=lambda item: item.path)
    items, rule = assign_groups(scan.items)
    return finish_own_folder(
        Manifest(
            folder.resolve().name or "videos",
            folder,
            items,
            classes_of(items),
            True,
            fps,
            rule,
            allow_outside,
            Findings(ignored=tuple(sorted(scan.ignored)), notes=tuple(scan.notes)),
        ),
        flip,
    )


def open_videos(root: str | os.PathLike[str], *, fps: float | None = None, allow_outside: bool = False) -> Manifest:
    """All videos below a folder, at any depth, without labels: for extracting and classifying.

    Groups come from names like UCF101's, else each video is its own.

    Raises
    ------
    InputDataError
        No such folder, no video in it, or a link out of the root.
    """
    folder = require_folder(root)
    found = sorted(walk(folder))
    items, rule = assign_groups([Item(path) for path, is_video in found if is_video])
    if not items:
        raise _nothing_found(folder, list_folder(folder))
    findings = Findings(ignored=tuple(path for path, is_video in found if not is_video))
    return Manifest(
        folder.resolve().name or "videos", folder, items, (), True, fps, rule, allow_outside, findings
    ).require_inside()


def finish_own_folder(manifest: Manifest, flip: bool | None) -> Manifest:
    """Settle what a folder of anyone's leaves open: links out of the root, flip, remarks on its classes."""
    notes = [*manifest.findings.notes, *_class_notes(manifest)]
    if flip is None:
        pairs = mirrored_pairs(manifest.classes)
        flip = not pairs
        if pairs:
            named = first_few([f"{first!r} and {second!r}" for first, second in pairs], shown=3)
            notes.append(f"mirrored clips are off: a mirror swaps the classes {named}")
    findings = replace(manifest.findings, notes=tuple(notes))
    return replace(manifest, flip=flip, findings=findings).require_inside()


def _split_folders(folder: Path, inside: dict[str, Listing]) -> dict[str, str]:
    """Folders that are splits, with the split's usual name."""
    splits: dict[str, str] = {}
    for name, listing in inside.items():
        split = canonical_split(name)
        if split is None or listing.videos:
            continue
        if any(list_folder(folder / name / below).videos for below in listing.folders):
            splits[name] = split
    return splits


def _scan_split(folder: Path, name: str, listing: Listing, split: str, scan: _Scan) -> None:
    scan.ignored += [f"{name}/{other}" for other in listing.others]
    for below in listing.folders:
        _scan_class(folder, f"{name}/{below}", below, list_folder(folder / name / below), split, scan)


def _scan_class(folder: Path, relative: str, label: str, listing: Listing, split: str | None, scan: _Scan) -> None:
    scan.items += [Item(f"{relative}/{video}", label, split) for video in listing.videos]
    scan.ignored += [f"{relative}/{other}" for other in listing.others]
    scan.ignored += [f"{relative}/{below}/" for below in listing.folders]
    if not listing.videos:
        scan.ignored.append(f"{relative}/")
        deeper = next((relative for _ in walk_videos(folder / relative)), None) if listing.folders else None
        more = ": its videos lie one level too deep" if deeper else ""
        scan.notes.append(f"the folder {relative} holds no video and is no class{more}")


def _class_notes(manifest: Manifest) -> list[str]:
    labeled = [item for item in manifest.items if item.label is not None]
    if not labeled:
        return []
    if len(manifest.classes) == 1:
        return [f"there is one class only, {manifest.classes[0]!r}: nothing can be told apart"]
    groups = Counter(label for label, _ in {(item.label, item.own_group) for item in labeled})
    single = sorted(label for label, count in groups.items() if count == 1 and label is not None)
    if not single:
        return []
    verb = "has" if len(single) == 1 else "have"
    return [f"{first_few(single, shown=5)} {verb} one group only and cannot be in training and test both"]


def _nothing_found(folder: Path, top: Listing) -> InputDataError:
    if top.videos:
        return InputDataError(
            "the videos lie directly in the folder, so their classes are not known",
            path=folder,
            why=first_few(top.videos, shown=3),
            remedy="move each into a folder named after its class, or write metadata.csv (file_name,label)",
        )
    deeper: Sequence[str] = [path for path, _ in zip(walk_videos(folder), range(1), strict=False)]
    if deeper:
        return InputDataError(
            "the videos lie deeper than <class>/<video>",
            path=folder,
            why=f"first {deeper[0]}",
            remedy="give the folder that holds the class folders",
        )
    seen = f"it holds {first_few([*top.others, *top.folders], shown=3)}" if top.others or top.folders else "it is empty"
    return InputDataError(
        "the folder holds no video",
        path=folder,
        why=seen,
        remedy="videos are files such as .mp4, .avi, .mkv, .webm, or folders of frames from 000001.jpg on",
    )
