"""A folder of videos with a ``metadata.csv`` beside them: ``file_name,label,split,group,start_s,end_s,…``."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path

from tubelet.datasets.class_folders import finish_own_folder
from tubelet.datasets.discovery import list_folder, require_folder, walk, walk_videos
from tubelet.datasets.findings import Findings
from tubelet.datasets.groups import assign_groups
from tubelet.datasets.item_table import Item, canonical_split, names_videos, read_items
from tubelet.datasets.manifest import Manifest, classes_of
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

TABLE = "metadata.csv"
WRITTEN = "manifest.csv"
"""What ``data check --out`` calls the table that it writes."""


@dataclass
class _Rows:
    items: list[Item] = field(default_factory=list)
    seen: dict[tuple[str, float | None, float | None], tuple[Item, str]] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    grouped: bool = False


def find_tables(root: Path) -> tuple[Path, ...]:
    """``root/metadata.csv``, or else the ``metadata.csv`` of each split folder (``root/train``, …).

    Where there is none, a ``manifest.csv`` in the same places does, if it has a column for the videos.
    """
    splits = [root / name for name in list_folder(root).folders if canonical_split(name)]
    for name, fits in ((TABLE, Path.is_file), (WRITTEN, _is_written)):
        if fits(root / name):
            return (root / name,)
        if tables := tuple(folder / name for folder in splits if fits(folder / name)):
            return tables
    return ()


def _is_written(path: Path) -> bool:
    # Others call other things so, therefore its columns are looked at.
    return path.is_file() and names_videos(path)


def open_metadata_csv(
    root: str | os.PathLike[str],
    *,
    label_column: str = "label",
    fps: float | None = None,
    flip: bool | None = None,
    allow_outside: bool = False,
    allow_missing: bool = False,
) -> Manifest:
    """Read a folder that a table describes.

    The table's columns: ``file_name`` (or ``path``), relative to the table's folder, and any of ``label``,
    ``split``, ``group``, ``start_s``, ``end_s``; every other column is one more label. It lies in the root,
    or one in each split folder (the layout of Hugging Face's ``videofolder``), whose name is then the split. Without
    one ``manifest.csv``, as ``data check --out`` writes it, is read instead.

    Parameters
    ----------
    root
        The folder, or the table itself.
    label_column
        Which column is the label.
    fps
        Frames per second, for videos stored as folders of JPEG frames.
    flip
        Whether mirrored clips keep their label; None decides by the names of the classes and notes it.
    allow_outside
        Whether file names may lead out of ``root``.
    allow_missing
        Go on without the files that are missing (they are in ``findings.missing``) instead of refusing.

    Raises
    ------
    InputDataError
        There is no table, lines of it cannot be used, it contradicts itself, or files are missing: all of
        them named together, with the nearest name where one differs by case or Unicode form only.
    """
    given = Path(root)
    folder = given.parent if given.is_file() else require_folder(given)
    tables = (given,) if given.is_file() else find_tables(folder)
    if not tables:
        raise InputDataError(
            f"there is no {TABLE}",
            path=folder,
            remedy="write one with the columns file_name,label, or use class folders",
        )
    rows = _Rows()
    for table in tables:
        _read(folder, table, rows)
    if rows.conflicts:
        raise InputDataError(
            "the table contradicts itself",
            path=tables[0],
            why=first_few(rows.conflicts, "; "),
            remedy="correct it",
        )
    if rows.missing and (not allow_missing or not rows.items):
        raise _missing(folder, tables[0], rows)
    if not rows.items:
        raise InputDataError("the table lists no video", path=tables[0], remedy="add a line per video")
    items, rule = assign_groups(rows.items, column=rows.grouped)
    listed = {item.path for item in items}
    beside = [(path, is_video) for path, is_video in walk(folder) if path not in listed]
    unlisted = tuple(sorted(path for path, is_video in beside if is_video))
    read = {table.relative_to(folder).as_posix() for table in tables}
    ignored = tuple(sorted(path for path, is_video in beside if not is_video and path not in read))
    notes = [f"a line is repeated and counts once: {first_few(rows.repeated)}"] if rows.repeated else []
    passed_over = [name for name in ignored if name.rpartition("/")[2] == WRITTEN]
    if passed_over and not given.is_file() and tables[0].name == TABLE:
        notes.append(f"{first_few(passed_over)} is not read, since {TABLE} is there")
    missing = tuple(name for name, _ in rows.missing)
    findings = Findings(ignored, missing, unlisted, tuple(notes))
    manifest = Manifest(
        folder.resolve().name or "videos",
        folder,
        items,
        classes_of(items),
        True,
        fps,
        rule,
        allow_outside,
        findings,
    )
    return finish_own_folder(manifest.with_label(label_column), flip)


def _read(root: Path, table: Path, rows: _Rows) -> None:
    prefix = "" if table.parent == root else f"{table.parent.name}/"
    read = read_items(table)
    rows.grouped = rows.grouped or "group" in read.columns
    for item, line in zip(read.items, read.lines, strict=True):
        where = f"line {line}" if not prefix else f"{prefix}{table.name} line {line}"
        path = _existing(root, prefix + item.path)
        split = item.split or (canonical_split(prefix.rstrip("/")) if prefix else None)
        item = replace(item, path=path or prefix + item.path, split=split)
        before = rows.seen.setdefault(item.span, (item, where))
        if before[1] != where:
            text = f"{where} repeats {before[1]}"
            if before[0] == item:
                rows.repeated.append(text)
            else:
                rows.conflicts.append(f"{text} with other values: {item.path}")
        elif path is None:
            rows.missing.append((item.path, where))
        else:
            rows.items.append(item)


def _existing(root: Path, name: str) -> str | None:
    """The name, normalized, if such a file or folder exists; backslashes are tried as separators."""
    for candidate in (name, name.replace("\\", "/")):
        if os.path.lexists(root / candidate):
            # "./walk/a.avi" and "walk//a.avi" are "walk/a.avi": a video has one id.
            return Path(candidate).as_posix()
    return None


def _missing(root: Path, table: Path, rows: _Rows) -> InputDataError:
    total = len(rows.missing) + len(rows.items)
    there = {_folded(path): path for path in walk_videos(root)}
    named = []
    for name, where in rows.missing:
        near = there.get(_folded(name))
        # The two print alike where a Mac has taken the accents apart.
        alike = near is not None and unicodedata.normalize("NFC", near) == unicodedata.normalize("NFC", name)
        hint = f", but there is {near}{' in another Unicode form' if alike else ''}" if near else ""
        named.append(f"{where}: {name}{hint}")
    return InputDataError(
        f"{len(rows.missing)} of {total} videos of the table do not exist",
        path=table,
        why=first_few(named, "; "),
        remedy=f"file names are relative to the folder of {table.name}",
    )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/")).casefold()
