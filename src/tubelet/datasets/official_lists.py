"""What readers of data sets with official lists have in common: lists, their lines, and videos found by their names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tubelet.datasets.discovery import is_litter, is_video_name, require_folder
from tubelet.datasets.findings import Findings
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

_DEPTH = 3


def find_lists(
    root: str | os.PathLike[str],
    annotations: str | os.PathLike[str] | None,
    holds: Callable[[Path], bool],
    *,
    dataset: str,
    sought: str,
    folders: Sequence[str],
    remedy: str,
) -> Path:
    """The folder of the official lists: the one given, or one inside or beside ``root``.

    Parameters
    ----------
    root
        The folder of the videos.
    annotations
        The folder of the lists, or None to look for it.
    holds
        Whether a folder that exists holds the lists.
    dataset, sought, remedy
        For the error: the data set's name, what was looked for, and how to get it.
    folders
        Usual names of the folder, "." for the place itself.

    Raises
    ------
    InputDataError
        There is none; the message names the places looked at.
    """
    if annotations is not None:
        folder = require_folder(annotations)
        if not holds(folder):
            raise InputDataError(f"the folder holds no {sought}", path=folder, remedy="give the folder of the lists")
        return folder
    base = Path(root)
    for place in (base, base.resolve().parent):
        for name in folders:
            if (place / name).is_dir() and holds(place / name):
                return place / name
    raise InputDataError(
        f"the official lists of {dataset} are not found",
        path=base,
        why=f"no {sought} inside or beside it, nor in {', '.join(folders[:2])} there",
        remedy=f"{remedy} (or --annotations)",
    )


def list_text(path: Path) -> str:
    """A list as text: UTF-8 with or without a byte-order mark, any line ends.

    Raises
    ------
    InputDataError
        The file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputDataError(
            "the list cannot be read", path=path, why=str(error), remedy="unpack the official lists again"
        ) from error


def list_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, words) of every line that is not empty; raises as `list_text`."""
    for line, row in enumerate(list_text(path).split("\n"), 1):
        if row.strip():
            yield line, row.split()


def list_names(path: Path) -> tuple[str, ...]:
    """Names of classes, one a line: the name on line k has the number k − 1.

    Raises
    ------
    InputDataError
        The file cannot be read, a line is empty (all numbers behind it would be wrong) or a name is there twice.
    """
    names = [line.strip() for line in list_text(path).rstrip().split("\n")]
    lines: dict[str, int] = {}
    for line, name in enumerate(names, 1):
        if not name or lines.setdefault(name, line) != line:
            raise InputDataError(
                "the list of classes is damaged",
                path=path,
                why=f"line {line} repeats {name!r} of line {lines[name]}" if name else f"line {line} is empty",
                remedy="copy the official list again: a class's number is the number of its line",
            )
    return tuple(names)


def refuse_damaged(path: Path, problems: Sequence[str]) -> None:
    """Refuse a list with unusable lines, all of them together.

    Raises
    ------
    InputDataError
        There are any.
    """
    if problems:
        raise InputDataError(
            f"{len(problems)} line{'s' * (len(problems) > 1)} of the list cannot be used",
            path=path,
            why=first_few(problems, "; ", shown=5),
            remedy="copy the official list again, or correct the lines",
        )


def video_name(entry: str) -> str:
    """Name of a video file without its suffix, or of a folder of frames, in lower case: what lists and disk share."""
    return video_stem(entry).casefold()


def video_stem(entry: str) -> str:
    """As `video_name`, but as it is written: names from YouTube differ by case."""
    return os.path.splitext(entry)[0] if is_video_name(entry) else entry


@dataclass(frozen=True)
class FoundVideos:
    """Videos below a folder: the path of each by its key, and the paths of video files that have none."""

    by_key: dict[str, str]
    others: tuple[str, ...]


def find_videos(root: Path, key_of: Callable[[str, bool], str | None]) -> FoundVideos:
    """Every video below ``root`` by its name; down to two levels of folders.

    Folders are judged by their names alone: looking into 13,320 of them would take minutes on a network disk.

    Parameters
    ----------
    root
        The folder.
    key_of
        What identifies the video, from an entry's name and whether it is a folder (of frames, perhaps); None for names
        that are not the data set's.

    Raises
    ------
    InputDataError
        Two videos have the same key.
    """
    found: dict[str, str] = {}
    others: list[str] = []
    twice: list[str] = []
    pending = [("", 1)]
    while pending:
        below, depth = pending.pop()
        with os.scandir(root / below) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_litter(entry.name):
                    continue
                is_folder = entry.is_dir()
                relative = f"{below}{entry.name}"
                if not is_folder and not is_video_name(entry.name):
                    continue
                key = key_of(entry.name, is_folder)
                if key is not None:
                    before = found.setdefault(key, relative)
                    if before != relative:
                        twice.append(f"{before} and {relative}")
                elif not is_folder:
                    others.append(relative)
                elif depth < _DEPTH:
                    pending.append((f"{relative}/", depth + 1))
    if twice:
        raise InputDataError(
            "the folder holds the same video more than once",
            path=root,
            why=first_few(twice, shown=2),
            remedy="give the folder that holds one copy of each, videos or frames",
        )
    return FoundVideos(found, tuple(others))


def misplaced(items: Iterable[Item], classes: Sequence[str]) -> tuple[str, ...]:
    """Items that lie in a folder named after another class than the list gives them, one sentence each.

    Names are compared without regard to case, blanks and punctuation: ``riding_a_bike`` is "riding a bike". Classes
    that are plain numbers are left out, since folders are numbered for other reasons too.
    """
    named = {plain_name(name): name for name in classes if not name.isdigit()}
    found: dict[str, str] = {}
    for item in items:
        parents = [named.get(plain_name(part)) for part in PurePosixPath(item.path).parts[:-1]]
        folder = next((name for name in reversed(parents) if name is not None), None)
        if folder is not None and item.label is not None and folder not in item.every_label:
            found.setdefault(item.path, f"{item.path}: the list says {' and '.join(item.every_label)}")
    return tuple(found.values())


def plain_name(name: str) -> str:
    """A class's name without what people write differently: case, blanks, punctuation, Unicode form."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold()) or name


def listed_manifest(
    name: str,
    split: int | None,
    folder: Path,
    items: Sequence[Item],
    classes: tuple[str, ...],
    missing: Sequence[str],
    unlisted: Iterable[str],
    *,
    listed: int,
    empty: str,
    flip: bool | None,
    fps: float | None,
    grouping: str,
    allow_outside: bool,
    notes: Sequence[str] = (),
) -> Manifest:
    """The manifest of what is there of a data set with official lists, which are often had in part.

    Videos in a folder named after another class than the list's are in ``findings.mislabeled``.

    Parameters
    ----------
    name
        The data set's, as it is written.
    split
        Number of the official split, or None.
    folder, items, classes, fps, grouping, allow_outside
        As in `Manifest`.
    missing
        Listed videos that are not there.
    unlisted
        Paths of videos that are there and not listed.
    listed
        How many videos the lists name.
    empty
        Why there may be no items.
    flip
        Whether mirrored clips keep their label; None: yes, as published.
    notes
        What else was found.

    Raises
    ------
    InputDataError
        There are no items, or a link leads out of the folder.
    """
    if not items:
        raise InputDataError(
            f"none of the videos that the lists of {name} name is there",
            path=folder,
            why=empty,
            remedy="give the folder that holds the class folders",
        )
    if missing:
        of = f"{len(missing):,} of {listed:,} listed video{'s' * (listed != 1)}"
        part = f"{of} {'is' if len(missing) == 1 else 'are'} not there: this is a part of {name}"
        notes = [*notes, part]
    return Manifest(
        name.lower() if split is None else f"{name.lower()}-split{split}",
        folder,
        tuple(items),
        classes,
        True if flip is None else flip,
        fps,
        grouping,
        allow_outside,
        Findings(
            missing=tuple(missing),
            unlisted=tuple(sorted(unlisted)),
            notes=tuple(notes),
            mislabeled=misplaced(items, classes),
        ),
    ).require_inside()
