"""KTH actions (Schuldt, Laptev and Caputo, ICPR 2004): six actions, 25 persons, four scenarios, official segments.

Files are named ``person01_boxing_d1_uncomp.avi``. ``00sequences.txt`` of www.csc.kth.se/cvap/actions has a head of
plain text and then lines ``person01_boxing_d1   frames   1-95, 96-185, 186-245, 246-360``: frames from 1, both ends
included, at 25 frames/s. Read from a public copy (ravikumardadi/HUMAN_ACITIVITY_SURVEILLANCE at fb99f94): 599 videos in
2,391 segments, and one line ``person13_handclapping_d3 *missing*``, since that video was never released. Segments
overlap here and there, and are not always in order.

The head names the split, by persons: 11–18 train, 19–21, 23–25, 1 and 4 validate, 22, 2, 3 and 5–10 test.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from tubelet.datasets.discovery import require_folder
from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import (
    find_lists,
    find_videos,
    list_lines,
    listed_manifest,
    refuse_damaged,
    video_name,
)
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
"""The six actions; class indices follow this order."""

FPS = 25.0
"""Frames per second of all videos, by the data set's page."""

_LIST = "00sequences.txt"
_FOLDERS = ("annotations", "KTH", ".")
_TRAIN, _VAL = frozenset(range(11, 19)), frozenset({19, 20, 21, 23, 24, 25, 1, 4})
_NAME = re.compile(rf"(?P<sequence>person(?P<person>[0-9]{{2}})_(?P<action>{'|'.join(ACTIONS)})_d[1-4])(?:_uncomp)?")
_RANGES = re.compile(r"[0-9]+-[0-9]+(?:, ?[0-9]+-[0-9]+)*,?")


@dataclass(frozen=True)
class Sequences:
    """What ``00sequences.txt`` says.

    Attributes
    ----------
    frames
        Sequence such as ``person01_boxing_d1`` → first and last frame of each segment, from 1, both included.
    unreleased
        Sequences marked as missing in the official list itself.
    """

    frames: dict[str, tuple[tuple[int, int], ...]]
    unreleased: tuple[str, ...]


def person_of(name: str) -> int | None:
    """Number of the person in a file's name, 1 to 25; None for names that are not KTH's."""
    match = _NAME.fullmatch(video_name(os.path.basename(name)))
    return int(match["person"]) if match is not None and 1 <= int(match["person"]) <= 25 else None


def side_of(person: int) -> str:
    """The official split of a person: "train", "val" or "test"."""
    return "train" if person in _TRAIN else "val" if person in _VAL else "test"


def read_sequences(path: Path) -> Sequences:
    """Read ``00sequences.txt``.

    Raises
    ------
    InputDataError
        It cannot be read, lists no sequence, or lines behind its head do not fit: they are named together.
    """
    frames: dict[str, tuple[tuple[int, int], ...]] = {}
    unreleased: list[str] = []
    problems: list[str] = []
    begun = False
    for line, words in list_lines(path):
        name, rest = words[0].casefold(), words[1:]
        begun = begun or _NAME.fullmatch(name) is not None or rest[:1] == ["frames"]
        if not begun:
            continue  # the head is prose
        ranges = " ".join(rest[1:])
        if _NAME.fullmatch(name) is None or person_of(name) is None:
            problems.append(f"line {line}: {words[0][:40]!r} is no sequence")
        elif name in frames or name in unreleased:
            problems.append(f"line {line} lists {name} again")
        elif rest == ["*missing*"]:
            unreleased.append(name)
        elif rest[:1] != ["frames"] or not _RANGES.fullmatch(ranges):
            problems.append(f"line {line} is not '<sequence> frames <first>-<last>, …'")
        else:
            found = tuple((int(a), int(b)) for a, b in re.findall(r"([0-9]+)-([0-9]+)", ranges))
            if any(not 1 <= first <= last for first, last in found) or len(set(found)) < len(found):
                problems.append(f"line {line}: a segment runs backwards, is there twice, or begins before frame 1")
            else:
                frames[name] = found
    refuse_damaged(path, problems)
    if not frames:
        raise InputDataError(
            "the list names no sequence", path=path, remedy="copy 00sequences.txt of the release again"
        )
    return Sequences(frames, tuple(unreleased))


def open_kth(
    root: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
) -> Manifest:
    """KTH, or a part of it: its official segments, or whole videos where ``00sequences.txt`` is not to be found.

    Parameters
    ----------
    root
        The folder of all videos or of the six action folders.
    annotations
        The folder of ``00sequences.txt``; by default looked for inside and beside ``root``.
    fps
        Frames per second of folders of frames; the segments' times are those of the release all the same.
    flip
        Whether mirrored clips keep their label; by default yes: the persons walk both ways.
    allow_outside
        Whether links may lead out of ``root``.

    Returns
    -------
    Manifest
        Six classes; the official split train, val and test; the group of a row is its person.

    Raises
    ------
    InputDataError
        No video is named like this, the same one is there twice, or the list is damaged.
    """
    folder = require_folder(root)
    videos = find_videos(folder, lambda name, _: _sequence(name))
    present = dict(videos.by_key)
    notes: list[str] = []
    try:
        lists = find_lists(
            folder,
            annotations,
            lambda place: (place / _LIST).is_file(),
            dataset="KTH",
            sought=_LIST,
            folders=_FOLDERS,
            remedy="put it beside the videos",
        )
    except InputDataError:
        if annotations is not None:
            raise
        sequences = Sequences(dict.fromkeys(sorted(present), ()), ())
        notes.append(f"{_LIST} is not there: whole videos are taken, not the official segments")
    else:
        sequences = read_sequences(lists / _LIST)
    items: list[Item] = []
    missing: list[str] = []
    for name, segments in sequences.frames.items():
        path = present.pop(name, None)
        if path is None:
            missing.append(f"{name}_uncomp.avi")
            continue
        match, person = _NAME.fullmatch(name), person_of(name)
        assert match is not None  # asked when the list was read
        assert person is not None
        known = Item(path, match["action"], side_of(person), f"person{person:02d}")
        items += _segments(known, segments)
    if any(name in present for name in sequences.unreleased):
        named = first_few([name for name in sequences.unreleased if name in present])
        notes.append(f"the official list says that these were never released, so they are left out: {named}")
    return listed_manifest(
        "KTH",
        None,
        folder,
        items,
        ACTIONS,
        missing,
        [*present.values(), *videos.others],
        listed=len(sequences.frames),
        empty="files are named person01_boxing_d1_uncomp.avi",
        notes=notes,
        flip=flip,
        fps=fps,
        grouping="persons, from the names",
        allow_outside=allow_outside,
    )


def _sequence(name: str) -> str | None:
    match = _NAME.fullmatch(video_name(name))
    return match["sequence"] if match is not None and person_of(name) is not None else None


def _segments(known: Item, segments: tuple[tuple[int, int], ...]) -> list[Item]:
    if not segments:
        return [known]
    return [replace(known, start_s=(first - 1) / FPS, end_s=last / FPS) for first, last in segments]
