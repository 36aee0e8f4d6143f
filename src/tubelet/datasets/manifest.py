"""Which videos, with which labels, splits and groups: the one table that everything else works from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from tubelet.datasets.findings import Findings
from tubelet.datasets.item_table import Item, read_items, write_items
from tubelet.errors import InputDataError, UsageError
from tubelet.provenance import hash_json
from tubelet.reporting.text import first_few

__all__ = ["OWN_GROUPS", "Item", "Manifest"]

OWN_GROUPS = "each video is its own group"
"""The group rule where nothing is known about what was filmed together."""


@dataclass(frozen=True)
class Manifest:
    """A set of labeled videos.

    Parameters
    ----------
    name
        The dataset's name, such as "weizmann" or the folder's.
    root
        Folder that the items' paths are relative to.
    items
        The videos, in the order that indices refer to.
    classes
        Class names; a class index is a position here.
    flip
        Whether mirrored clips keep their label; False where labels are directional.
    fps
        Frames per second for folders of frames; None for videos, which say it themselves.
    group_rule
        Where the groups come from, in words.
    allow_outside
        Whether paths may lead out of ``root``.
    findings
        What reading the folder found beside the items; does not enter the hash.

    Raises
    ------
    InputDataError
        A label is not among the classes, a class or a row occurs twice, or a path leads out of the root.
    """

    name: str
    root: Path
    items: tuple[Item, ...]
    classes: tuple[str, ...]
    flip: bool = True
    fps: float | None = None
    group_rule: str = OWN_GROUPS
    allow_outside: bool = False
    findings: Findings = field(default=Findings(), compare=False)

    def __post_init__(self) -> None:
        known = set(self.classes)
        if len(known) < len(self.classes):
            raise InputDataError(
                f"the manifest {self.name} names a class twice", path=self.root, remedy="give every class one name"
            )
        strange = sorted({label for item in self.items for label in item.every_label} - known)
        if strange:
            raise InputDataError(
                f"the manifest {self.name} has labels that are not among its classes",
                path=self.root,
                why=first_few(strange),
                remedy="add them to the classes, or correct the labels",
            )
        twice = [span for span, count in Counter(item.span for item in self.items).items() if count > 1]
        if twice:
            raise InputDataError(
                f"the manifest {self.name} lists a video twice",
                path=self.root,
                why=first_few([t[0] for t in twice]),
            )
        if not self.allow_outside:
            refused = [item.path for item in self.items if not _stays_below(item.path)]
            if refused:
                raise _outside(self.root, refused)

    def __len__(self) -> int:
        """Number of items."""
        return len(self.items)

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """(n,) int64 class index of every item.

        Raises
        ------
        InputDataError
            An item has no label.
        """
        bare = [item.path for item in self.items if item.label is None]
        if bare:
            raise InputDataError(
                f"{len(bare)} of {len(self)} videos have no label",
                path=self.root,
                why=first_few(bare, shown=3),
                remedy="put each into a folder named after its class, or write metadata.csv",
            )
        index = {name: position for position, name in enumerate(self.classes)}
        return np.array([index[item.label] for item in self.items if item.label is not None], dtype=np.int64)

    @cached_property
    def every_target(self) -> NDArray[np.int64]:
        """(n, L) int64: all class indices of every item, L the most that one has; −1 where an item has fewer.

        An answer is right if it is any of them (Sports-1M's hit@k); takes items without a label too.
        """
        index = {name: position for position, name in enumerate(self.classes)}
        width = max((len(item.every_label) for item in self.items), default=0)
        found = np.full((len(self), width), -1, dtype=np.int64)
        for row, item in zip(found, self.items, strict=True):
            row[: len(item.every_label)] = [index[label] for label in item.every_label]
        return found

    @cached_property
    def item_groups(self) -> tuple[str, ...]:
        """Group of every item, in order; an item without one stands for itself (its path)."""
        return tuple(item.own_group for item in self.items)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The distinct groups, sorted."""
        return tuple(sorted(set(self.item_groups)))

    @cached_property
    def group_hashes(self) -> tuple[str, ...]:
        """16 hexadecimal digits for every distinct group, sorted: what a model says it was trained on.

        They depend on the dataset and the group, not on the split: two manifests of one dataset share groups
        exactly if they share hashes.
        """
        return tuple(sorted(set(self.item_group_hashes)))

    @cached_property
    def item_group_hashes(self) -> tuple[str, ...]:
        """The hash of every item's group, in order."""
        dataset = self.name.partition("-split")[0]
        hashes = {group: hash_json([dataset, group])[:16] for group in self.groups}
        return tuple(hashes[group] for group in self.item_groups)

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """The distinct splits that items are assigned to, sorted."""
        return tuple(sorted({item.split for item in self.items if item.split is not None}))

    @cached_property
    def hash(self) -> str:
        """SHA-256 over classes and items, whatever the items' order; the videos themselves are not read."""
        rows = [
            [item.path, item.label, item.split, item.group, item.start_s, item.end_s, dict(item.labels)]
            + ([list(item.more_labels)] if item.more_labels else [])
            for item in sorted(self.items, key=_order)
        ]
        return hash_json({"classes": list(self.classes), "items": rows})

    def select(
        self,
        *,
        split: str | None = None,
        groups: Collection[str] | None = None,
        keep: Callable[[Item], bool] | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_] | None = None,
    ) -> Manifest:
        """A manifest of those items that meet every condition given; classes stay, so do class indices.

        Parameters
        ----------
        split
            Keep the items of this split.
        groups
            Keep the items of these groups.
        keep
            A function of the item, item indices (their order is taken over), or a mask of length n.

        Raises
        ------
        UsageError
            The split or a group does not occur, or an index is out of range.
        """
        chosen = list(range(len(self)))
        if keep is not None and not callable(keep):
            chosen = self._indices(keep)
        elif keep is not None:
            chosen = [index for index in chosen if keep(self.items[index])]
        if split is not None:
            if split not in self.splits:
                raise UsageError(
                    f"{self.name} has no split {split!r}",
                    path=self.root,
                    remedy=f"it has {', '.join(self.splits)}" if self.splits else "it has no splits at all",
                )
            chosen = [index for index in chosen if self.items[index].split == split]
        if groups is not None:
            unknown = sorted(set(groups) - set(self.groups))
            if unknown:
                raise UsageError(
                    f"{self.name} has no group {first_few(unknown)}",
                    path=self.root,
                    remedy=f"its groups are {first_few(self.groups, shown=30)}",
                )
            wanted = set(groups)
            chosen = [index for index in chosen if self.item_groups[index] in wanted]
        return replace(self, items=tuple(self.items[index] for index in chosen))

    def with_splits(self, splits: Sequence[str | None]) -> Manifest:
        """The same items with these splits, one per item."""
        pairs = zip(self.items, splits, strict=True)
        return replace(self, items=tuple(replace(item, split=split) for item, split in pairs))

    def with_label(self, column: str) -> Manifest:
        """The same items labeled by another column of the table; classes are its values, sorted.

        What was the label becomes the column ``original_label``.

        Raises
        ------
        UsageError
            No item has such a column.
        """
        if column == "label":
            return self
        columns = sorted({name for item in self.items for name in item.labels})
        if column not in columns:
            raise UsageError(
                f"no video of {self.name} has a label column {column!r}",
                path=self.root,
                remedy=f"there are {', '.join(['label', *columns])}",
            )
        items = tuple(
            replace(item, label=item.labels.get(column), labels={**_original(item), **item.labels}, more_labels=())
            for item in self.items
        )
        return replace(self, items=items, classes=classes_of(items))

    def drop_empty_classes(self) -> Manifest:
        """The same items with only the classes that occur: class indices change."""
        present = {label for item in self.items for label in item.every_label}
        return replace(self, classes=tuple(name for name in self.classes if name in present))

    def file(self, item: Item | str) -> Path:
        """Where an item's video lies.

        Raises
        ------
        InputDataError
            The path leads out of the root, by itself or through a link, and ``allow_outside`` is not set.
        """
        relative = item if isinstance(item, str) else item.path
        path = self.root / relative
        if not self.allow_outside and not (_stays_below(relative) and _really_below(os.path.realpath(self.root), path)):
            raise _outside(self.root, [relative])
        return path

    def files(self) -> dict[str, Path]:
        """Where every video lies, by item path, in order, each once; raises as `file`."""
        self.require_inside()
        return {item.path: self.root / item.path for item in self.items}

    def require_inside(self) -> Manifest:
        """Return self after making sure that no path leads out of the root, also through a link.

        Raises
        ------
        InputDataError
            Paths do; they are named together.
        """
        if not self.allow_outside:
            root = os.path.realpath(self.root)
            refused = [item.path for item in self.items if not _really_below(root, self.root / item.path)]
            if refused:
                raise _outside(self.root, refused)
        return self

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the items as a CSV table, atomically (columns: see `tubelet.datasets.item_table`)."""
        return write_items(path, self.items)

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        root: str | os.PathLike[str],
        *,
        name: str | None = None,
        classes: Sequence[str] | None = None,
        flip: bool = True,
        fps: float | None = None,
        group_rule: str = "column 'group' of the table",
        allow_outside: bool = False,
    ) -> Manifest:
        """Read what `to_csv` wrote. Files are not looked at.

        Parameters
        ----------
        classes
            Class names in order; by default the labels that occur, sorted.
        """
        items = read_items(path, tolerant=False).items
        names = classes_of(items) if classes is None else tuple(classes)
        root = Path(root)
        return cls(name or root.name, root, items, names, flip, fps, group_rule, allow_outside)

    def to_dict(self) -> dict[str, object]:
        """A summary for provenance records: JSON-ready, without the items and without the root."""
        return {
            "name": self.name,
            "videos": len(self),
            "hash": self.hash,
            "classes": list(self.classes),
            "flip": self.flip,
            "fps": self.fps,
            "group_rule": self.group_rule,
            "groups": len(self.groups),
            "splits": {split: sum(item.split == split for item in self.items) for split in self.splits},
        }

    def _indices(self, keep: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> list[int]:
        array = np.asarray(keep)
        if array.dtype == np.bool_:
            if array.shape != (len(self),):
                raise UsageError(
                    f"a mask over {self.name} needs {len(self)} values, not {array.size}", remedy="give one per item"
                )
            array = np.flatnonzero(array)
        if array.size and (array.min() < 0 or array.max() >= len(self)):
            raise UsageError(
                f"an index is outside the {len(self)} items of {self.name}", remedy=f"use 0 to {len(self) - 1}"
            )
        return [int(index) for index in array]


def classes_of(items: Sequence[Item]) -> tuple[str, ...]:
    """The labels that occur, sorted by code point: the same order on every machine."""
    return tuple(sorted({label for item in items for label in item.every_label}))


def _original(item: Item) -> dict[str, str]:
    return {} if item.label is None else {"original_label": item.label}


def _order(item: Item) -> tuple[str, float, float]:
    return item.path, item.start_s or 0.0, float("inf") if item.end_s is None else item.end_s


def _stays_below(relative: str) -> bool:
    path = PurePosixPath(relative)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _really_below(real_root: str, path: Path) -> bool:
    return os.path.commonpath([real_root, os.path.realpath(path)]) == real_root


def _outside(root: Path, paths: Sequence[str]) -> InputDataError:
    return InputDataError(
        f"{len(paths)} path{'s lead' if len(paths) > 1 else ' leads'} out of the data folder",
        path=root,
        why=first_few(paths, shown=5),
        remedy="move the videos into it, or allow it (allow_outside=True, --allow-outside) if you trust them",
    )
