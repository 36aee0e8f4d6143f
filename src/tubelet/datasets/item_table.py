"""One video, or a span of one, as a value; and the CSV table of many (``metadata.csv``)."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from tubelet.artifacts import write_text
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

COLUMNS = ("path", "label", "split", "group", "start_s", "end_s")
"""The columns with a meaning; every other column of a table is one more label of the video."""

MORE_LABELS = "more_labels"
"""The column of a video's further classes, parted by ``|``; written only where a video has any."""

_PATH_NAMES = ("path", "file_name")
_SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validate": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One row of a manifest: a video, or a span of one, and what is known about it.

    Attributes
    ----------
    path
        POSIX path relative to the manifest's root; also the ``video_id``.
    label
        Class name, None where unknown.
    split
        Such as "train", "val" or "test"; None where the dataset fixes none.
    group
        What was filmed together (an actor, a source video): groups never cross a split. None means that the
        video is a group of its own.
    start_s, end_s
        Span in seconds; None means from the beginning, to the end.
    labels
        Further labels by column name: other questions about the video, such as its mood.
    more_labels
        Further classes beside ``label`` where a video has several (Sports-1M): an answer that names any of them is
        right. Training takes ``label``, the first that the list gives.
    """

    path: str
    label: str | None = None
    split: str | None = None
    group: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    more_labels: tuple[str, ...] = ()

    @property
    def every_label(self) -> tuple[str, ...]:
        """All classes of the item, the first one first; empty where it has none."""
        return self.more_labels if self.label is None else (self.label, *self.more_labels)

    @property
    def own_group(self) -> str:
        """The group, or the path where no group is known (each video its own group)."""
        return self.path if self.group is None else self.group

    @property
    def span(self) -> tuple[str, float | None, float | None]:
        """What makes a row unique: path, start and end."""
        return self.path, self.start_s, self.end_s


@dataclass(frozen=True)
class ItemTable:
    """A table as read: the items, the line each begins on (1-based), and the names of its columns."""

    items: tuple[Item, ...]
    lines: tuple[int, ...]
    columns: tuple[str, ...]


def canonical_split(name: str) -> str | None:
    """The usual name of a split, such as "val" for "Validation"; None for names that are no split's."""
    return _SPLITS.get(name.strip().casefold())


def read_items(path: str | os.PathLike[str], *, tolerant: bool = True) -> ItemTable:
    """Read a table of videos.

    The first line names the columns: ``file_name`` or ``path`` and any of ``label, split, group, start_s,
    end_s, more_labels`` (parted by ``|``); others become `Item.labels`. Comma, semicolon or tab, whichever
    splits the header. UTF-8 with or without a byte-order mark; any line ends.

    Parameters
    ----------
    path
        The file.
    tolerant
        Strip blanks around values and bring split names to train, val, test, as suits a table written by
        hand. A table written by this package is read with False: names may begin with a blank.

    Raises
    ------
    InputDataError
        It cannot be read or understood; all unusable lines are named together.
    """
    text = _text(Path(path))
    delimiter, columns, first = _header(Path(path), text, tolerant)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=tolerant, strict=True)
    items: list[Item] = []
    lines: list[int] = []
    problems: list[str] = []
    line = 1
    try:
        for fields in reader:
            start, line = line, reader.line_num + 1
            if start <= first or not any(value.strip() for value in fields):
                continue
            try:
                items.append(_item(columns, fields, tolerant))
                lines.append(start)
            except ValueError as error:
                problems.append(f"line {start}: {error}")
    except csv.Error as error:
        problems.append(f"line {line}: {error}")
    if problems:
        raise InputDataError(
            f"{len(problems)} line{'s' * (len(problems) > 1)} of the table cannot be used",
            path=path,
            why=first_few(problems, "; "),
            remedy="correct the table",
        )
    return ItemTable(tuple(items), tuple(lines), tuple(name for name in columns if name))


def write_items(path: str | os.PathLike[str], items: Sequence[Item]) -> Path:
    """Write items as a CSV table (UTF-8, comma), atomically; ``read_items(tolerant=False)`` reads it.

    Raises
    ------
    InputDataError
        One of several classes of a video has ``|`` in its name.
    """
    parted = sorted({name for item in items for name in item.more_labels if "|" in name})
    if parted:
        raise InputDataError(
            "a table cannot hold these names among several classes of a video",
            path=path,
            why=first_few([repr(name) for name in parted]),
            remedy="rename the classes: | parts them",
        )
    more = sorted({name for item in items for name in item.labels})
    several = [MORE_LABELS] if any(item.more_labels for item in items) else []
    rows = [[*COLUMNS, *several, *more], *(_cells(item, several, more) for item in items)]
    # csv leaves a lone carriage return unquoted, and readers take it for the end of the line.
    lone = any("\r" in cell for row in rows for cell in row)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL if lone else csv.QUOTE_MINIMAL)
    writer.writerows(rows)
    return write_text(path, stream.getvalue())


def _cells(item: Item, several: Sequence[str], more: Sequence[str]) -> list[str]:
    known = [item.path, item.label, item.split, item.group, item.start_s, item.end_s]
    cells = ["" if value is None else repr(value) if isinstance(value, float) else str(value) for value in known]
    return [*cells, *("|".join(item.more_labels) for _ in several), *(item.labels.get(name, "") for name in more)]


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputDataError(
            "the table cannot be read", path=path, why=error.strerror, remedy="check its path and permissions"
        ) from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputDataError("the table is UTF-16", path=path, remedy="save it as CSV UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputDataError(
            "the table is not UTF-8", path=path, why=f"line {line}", remedy="save it as CSV UTF-8"
        ) from error


def names_videos(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a table of videos: its first line has a column ``file_name`` or ``path``."""
    try:
        _header(Path(path), _text(Path(path)), tolerant=True)
    except InputDataError:
        return False
    return True


def _header(path: Path, text: str, tolerant: bool) -> tuple[str, list[str], int]:
    """Delimiter, column names (the path's always "path") and the line of the header."""
    rows = enumerate(re.split(r"\r\n|\r|\n", text), 1)  # not splitlines: csv knows no other line ends
    line, header = next(((number, row) for number, row in rows if row.strip()), (0, ""))
    if not header:
        raise InputDataError(
            "the table is empty", path=path, remedy="its first line names the columns: file_name,label"
        )
    found: list[str] = []
    for delimiter in ",;\t":
        # What is longer than this is no line of names, and csv would refuse a field of 128 KiB.
        reader = csv.reader([header[:10_000]], delimiter=delimiter, skipinitialspace=True)
        names = [name.strip() for name in next(reader)]
        if tolerant:
            names = [name.lower() if name.lower() in (*COLUMNS, *_PATH_NAMES) else name for name in names]
        found = max(found, names, key=len)
        if any(name in _PATH_NAMES for name in names):
            return delimiter, _checked_columns(path, names), line
    near = [name for name in found if get_close_matches(name.lower(), [*_PATH_NAMES, "filename", "video", "file"])]
    raise InputDataError(
        "the table has no column file_name",
        path=path,
        why=f"line {line} names {first_few([name[:40] for name in found])}",
        remedy=f"rename the column {near[0]!r} to file_name" if near else "add it: the path of each video",
    )


def _checked_columns(path: Path, names: list[str]) -> list[str]:
    columns = ["path" if name in _PATH_NAMES else name for name in names]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InputDataError(
            "the table names a column twice", path=path, why=first_few(twice), remedy="keep one of them"
        )
    return columns


def _item(columns: list[str], fields: list[str], tolerant: bool) -> Item:
    """One row as an item; ValueError says what is wrong with it."""
    values = [value.strip() for value in fields] if tolerant else fields
    if len(values) < len(columns) or any(values[len(columns) :]):
        hint = "; quote a name that contains the separator" if len(values) > len(columns) else ""
        raise ValueError(f"{len(values)} fields where the header names {len(columns)}{hint}")
    row = {name: value for name, value in zip(columns, values, strict=False) if name and value}
    if not row.get("path"):
        raise ValueError("no file name")
    if "\0" in row["path"]:
        raise ValueError("the file name contains a zero byte")
    start_s, end_s = _seconds(row, "start_s"), _seconds(row, "end_s")
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise ValueError(f"end_s {end_s:g} is not after start_s {start_s:g}")
    split = row.get("split")
    if split is not None and tolerant:
        split = canonical_split(split) or split
    more = {name: value for name, value in row.items() if name not in (*COLUMNS, MORE_LABELS)}
    several = tuple(name.strip() if tolerant else name for name in row.get(MORE_LABELS, "").split("|") if name)
    return Item(row["path"], row.get("label"), split, row.get("group"), start_s, end_s, more, several)


def _seconds(row: Mapping[str, str], name: str) -> float | None:
    text = row.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} {text!r} is not a number of seconds") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} {text!r} is not a time from 0 on")
    return value
