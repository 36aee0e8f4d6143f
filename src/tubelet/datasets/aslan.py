"""The samples of ASLAN as a manifest: 3,697 videos, ``0001`` to ``3697``, with the actions that its views name.

The format is that of the data set's ReadMe.txt: the zip files hold one video per sample, called by its four-digit
id; ``Actions_Ids.txt`` (section Additional Information) numbers the actions, one per line, an id and its label. Which
pairs are asked about is another file, see `tubelet.datasets.aslan_pairs`.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tubelet.datasets.aslan_pairs import PairView, find_view, read_view
from tubelet.datasets.discovery import require_folder
from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import OWN_GROUPS, Manifest
from tubelet.datasets.official_lists import find_videos, list_lines, listed_manifest, video_name
from tubelet.errors import InputDataError

_SAMPLE = re.compile(r"\d{4}")
_INSIDE = (".", "Views", "annotations", "Annotations")


def sample_id(path: str) -> int | None:
    """The sample that a video is, by its name: ``ASLAN_AVI/0001.avi`` → 1; None where it is called otherwise."""
    name = video_name(PurePosixPath(path).name)
    return int(name) if _SAMPLE.fullmatch(name) else None


def find_annotations(root: str | os.PathLike[str], annotations: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the views: the one given, or one inside or beside ``root`` that holds a view.

    Raises
    ------
    InputDataError
        There is none.
    """
    if annotations is not None:
        return require_folder(annotations)
    base = require_folder(root)
    for place in (base, base.resolve().parent):
        for inside in _INSIDE:
            if any(_has_view(place / inside, number) for number in (2, 1)):
                return place / inside
    find_view(base, 2)
    raise AssertionError("find_view finds what was not there a moment ago")


def action_names(annotations: str | os.PathLike[str]) -> dict[int, str]:
    """Names of the actions by id, from ``Actions_Ids.txt`` in the folder or its folder ``Info``; empty without it.

    Raises
    ------
    InputDataError
        A line is not an id and a label, or names an id twice.
    """
    folder = Path(annotations)
    places = (folder, folder / "Info", folder.parent / "Info")
    path = next((place / "Actions_Ids.txt" for place in places if (place / "Actions_Ids.txt").is_file()), None)
    if path is None:
        return {}
    names: dict[int, str] = {}
    for line, words in list_lines(path):
        if len(words) < 2 or not words[0].isdecimal() or int(words[0]) in names:
            raise InputDataError(
                "the list of actions is damaged",
                path=path,
                why=f"line {line} is not an id of its own and a label",
                remedy="download it again",
            )
        names[int(words[0])] = " ".join(words[1:])
    return names


def open_aslan(
    root: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """The samples that ASLAN's views name, labeled with their actions.

    Parameters
    ----------
    root
        The folder of the videos (``ASLAN_AVI`` or ``ASLAN_MP4``); folders of frames called by the id will do.
    annotations
        The folder of the views; by default looked for inside and beside ``root``.
    fps
        Frames per second of folders of frames.
    flip
        Whether mirrored clips keep their label; by default yes.
    allow_outside
        Whether links may lead out of ``root``.

    Returns
    -------
    Manifest
        Items in the order of their ids; classes are the actions in the order of theirs, by name where
        ``Actions_Ids.txt`` is there, else ``action 17``. What is listed and not there is in ``findings.missing``. The
        notes tell the numbers of each view's pairs; pairs against their actions, and samples with two actions, are in
        ``findings.mislabeled``; what folds of a view have in common is in ``findings.shared``.

    Raises
    ------
    InputDataError
        No view is found, a file is damaged, or not one listed sample is there.
    """
    folder = require_folder(root)
    lists = find_annotations(folder, annotations)
    views = [read_view(lists, number) for number in (2, 1) if _has_view(lists, number)]
    if not views:
        find_view(lists, 2)
    return samples_manifest(folder, views, action_names(lists), fps=fps, flip=flip, allow_outside=allow_outside)


def samples_manifest(
    folder: Path,
    views: list[PairView],
    names: dict[int, str],
    *,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """The manifest of the samples that these views name; see `open_aslan`."""
    actions: dict[int, int] = {}
    for view in views:
        actions = {**view.action_of(), **actions}
    wanted = sorted({sample for view in views for sample in view.sample_ids})
    videos = find_videos(folder, lambda name, _: video_name(name) if sample_id(name) is not None else None)
    present = dict(videos.by_key)
    called = {action: names.get(action, f"action {action}") for action in sorted(set(actions.values()))}
    if len(set(called.values())) < len(called):  # two actions of one name
        called = {action: f"{name} ({action})" for action, name in called.items()}
    items, missing = [], []
    for sample in wanted:
        found = present.pop(f"{sample:04d}", None)
        if found is None:
            missing.append(f"{sample:04d}")
        else:
            items.append(Item(found, called.get(actions.get(sample, 0))))
    manifest = listed_manifest(
        "ASLAN",
        None,
        folder,
        items,
        tuple(called.values()),
        missing,
        [*present.values(), *videos.others],
        listed=len(wanted),
        empty=f"it would hold {wanted[0]:04d}.avi or {wanted[0]:04d}.mp4",
        flip=flip,
        fps=fps,
        grouping=OWN_GROUPS,
        allow_outside=allow_outside,
        notes=[_numbers(view) for view in views],
    )
    findings = manifest.findings
    shared = tuple(f"View {view.number}: {sentence}" for view in views for sentence in view.overlaps())
    return replace(
        manifest,
        findings=replace(findings, mislabeled=(*findings.mislabeled, *_contradictions(views)), shared=shared),
    )


def _numbers(view: PairView) -> str:
    """``View 2: 6,000 pairs in 10 folds``, and whether that is not what was published."""
    other = "" if view.is_official else ", not the official numbers"
    return f"View {view.number}: {len(view):,} pairs in {len(view.folds)} folds{other}"


def _contradictions(views: list[PairView]) -> list[str]:
    """Pairs whose label is not what their actions say, and samples of which two rows say two actions."""
    found: list[str] = []
    said: dict[int, dict[int, None]] = {}
    for view in views:
        for index in view.contradicting.tolist():
            first, second = (f"{sample:04d}" for sample in view.samples[index].tolist())
            label, actions = ("same", "differ") if view.same[index] else ("not-same", "are one")
            found.append(
                f"View {view.number}, {view.place(index)}: {first} and {second} are {label}, their actions {actions}"
            )
        for sample, actions_there in view.actions_of().items():
            said.setdefault(sample, {}).update(dict.fromkeys(actions_there))
    torn = {sample: actions for sample, actions in sorted(said.items()) if len(actions) > 1}
    found += [f"{sample:04d}: the pairs say actions {' and '.join(map(str, torn[sample]))}" for sample in torn]
    return found


def _has_view(folder: Path, number: int) -> bool:
    if not folder.is_dir():
        return False
    try:
        find_view(folder, number)
    except InputDataError:
        return False
    return True
