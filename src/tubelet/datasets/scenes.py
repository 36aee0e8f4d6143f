"""Dynamic scenes: YUPENN (Derpanis et al., CVPR 2012) and Maryland "in the wild" (Shroff et al., CVPR 2010).

Both are folders ``<class>/<video>`` and come without lists: 14 classes of 30 videos, and 13 of 10. They are evaluated
leaving one video out, so that the folds are the videos (C3D, section 6). The layout of YUPENN is that of YUP++, its
successor by the same laboratory, whose archive public code reads as ``camera_stationary/<class>/<class>_static_….mp4``
(such as feichtenhofer's cnn_yup2_setup_data_imgs.m); the two original archives could not be looked at, so names of
classes are taken from the folders as they are, and only the published numbers are checked.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import Any

from tubelet.datasets.class_folders import open_class_folders
from tubelet.datasets.manifest import OWN_GROUPS, Manifest
from tubelet.datasets.official_lists import plain_name
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few


def open_yupenn(root: str | os.PathLike[str], *, flip: bool | None = None, **options: Any) -> Manifest:
    """YUPENN, or a part of it: 14 classes of 30 videos.

    Parameters
    ----------
    root
        The folder of the class folders; of YUP++ its ``camera_stationary``.
    flip
        Whether mirrored clips keep their label; by default yes.
    **options
        ``fps`` and ``allow_outside``, as in `tubelet.datasets.class_folders.open_class_folders`.

    Returns
    -------
    Manifest
        Each video is its own group, no splits: `tubelet.datasets.splits.leave_one_group_out` makes the folds. The notes
        say where the numbers differ from the published ones.

    Raises
    ------
    InputDataError
        There are no class folders, or their names are those of splits.
    """
    return _open("YUPENN", root, classes=14, videos=30, flip=flip, **options)


def open_maryland(root: str | os.PathLike[str], *, flip: bool | None = None, **options: Any) -> Manifest:
    """Maryland, or a part of it: 13 classes of 10 videos; everything else as `open_yupenn`."""
    return _open("Maryland", root, classes=13, videos=10, flip=flip, **options)


def _open(
    name: str, root: str | os.PathLike[str], *, classes: int, videos: int, flip: bool | None, **options: Any
) -> Manifest:
    found = open_class_folders(root, flip=True if flip is None else flip, **options)
    if found.splits:
        raise InputDataError(
            f"{name} has no split, it is evaluated leaving one video out",
            path=found.root,
            why=f"its folders are called {', '.join(found.splits)}",
            remedy="put the class folders into one folder, or use the kind class-folders",
        )
    per_class = Counter(item.label for item in found.items)
    differing = [f"{label} ({count})" for label, count in sorted(per_class.items()) if count != videos]
    notes = list(found.findings.notes)
    if len(per_class) != classes:
        notes.append(f"{len(per_class)} classes, {name} has {classes}")
    if differing:
        notes.append(f"{name} has {videos} videos of each class, here are others: {first_few(differing, shown=5)}")
    items = tuple(replace(item, group=None) for item in found.items)
    findings = replace(found.findings, notes=tuple(notes), mislabeled=_misnamed(found))
    return replace(found, name=name.lower(), items=items, group_rule=OWN_GROUPS, findings=findings)


def _misnamed(manifest: Manifest) -> tuple[str, ...]:
    """Videos that are named after another class than their folder's, as YUP++ names them ``<class>_…``."""
    named = {plain_name(name): name for name in manifest.classes}
    found = []
    for item in manifest.items:
        other = named.get(plain_name(os.path.basename(item.path).partition("_")[0]))
        if other is not None and other != item.label:
            found.append(f"{item.path}: named after {other}")
    return tuple(found)
