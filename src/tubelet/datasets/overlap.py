"""Classes that UCF101 and HMDB51 share, from the lists of work on domain adaptation, and sets without some classes.

Two-Stream's experiment "HMDB51 + 78 UCF101 classes" (Simonyan and Zisserman 2014, table 2) leaves out the classes that
both sets show. Its selection was not published; the lists read here pair 15 classes of UCF101 with 12 of HMDB51, which
leaves 86, not 78.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace

from tubelet.datasets.discovery import require_folder
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import list_lines
from tubelet.errors import InputDataError, UsageError
from tubelet.reporting.text import first_few

_NAMES = "classInd_hmdb_ucf.txt"
_UCF101, _HMDB51 = "ucf101_splits__class_list_hmdb_ucf.txt", "hmdb51_splits__class_list_hmdb_ucf.txt"


@dataclass(frozen=True)
class SharedClass:
    """One class that both sets show: its name, and what they call it."""

    name: str
    ucf101: tuple[str, ...]
    hmdb51: tuple[str, ...]


def read_shared_classes(folder: str | os.PathLike[str]) -> tuple[SharedClass, ...]:
    """Read ``classInd_hmdb_ucf.txt`` and both sets' lists of ``number class``.

    Raises
    ------
    InputDataError
        A file is missing, a line does not fit, or a class lacks its counterpart.
    """
    root = require_folder(folder)
    tables: dict[str, dict[int, list[str]]] = {}
    for name in (_NAMES, _UCF101, _HMDB51):
        table = tables[name] = {}
        for line, words in list_lines(root / name):
            if len(words) != 2 or not words[0].isdigit():
                raise InputDataError(
                    "the list is damaged",
                    path=root / name,
                    why=f"line {line} is not '<number> <class>'",
                    remedy="copy the lists again",
                )
            table.setdefault(int(words[0]), []).append(words[1])
    names, ucf101, hmdb51 = tables.values()
    if not set(names) == set(ucf101) == set(hmdb51) or any(len(each) > 1 for each in names.values()):
        raise InputDataError(
            "the lists of shared classes do not fit together", path=root, why="their numbers differ",
            remedy="copy the lists again",
        )  # fmt: skip
    return tuple(SharedClass(names[key][0], tuple(ucf101[key]), tuple(hmdb51[key])) for key in sorted(names))


def without_classes(manifest: Manifest, names: Collection[str]) -> Manifest:
    """The manifest without some classes and their videos; the others keep their order.

    Raises
    ------
    UsageError
        A class does not occur, or none is left.
    """
    unknown = sorted(set(names) - set(manifest.classes))
    if unknown:
        raise UsageError(f"{manifest.name} has no class {first_few(unknown)}", path=manifest.root)
    left = tuple(name for name in manifest.classes if name not in names)
    if not left:
        raise UsageError(f"no class of {manifest.name} is left", path=manifest.root, remedy="leave some in")
    items = tuple(item for item in manifest.items if item.label not in names)
    return replace(manifest, items=items, classes=left)
