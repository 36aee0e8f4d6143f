"""Splits that keep groups whole (random, by name, leave one out, k folds, official), and the leak check."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tubelet.datasets.group_balance import choose_test_groups, deal_groups
from tubelet.datasets.groups import join_copies, parse_groups
from tubelet.datasets.manifest import Manifest
from tubelet.errors import InputDataError, UsageError
from tubelet.reporting.text import first_few

__all__ = [
    "Fold",
    "Leak",
    "group_folds",
    "held_out_split",
    "leaks",
    "leave_one_group_out",
    "leave_one_out",
    "official_fold",
    "parse_groups",
    "random_group_split",
    "refuse_leaks",
    "split_by_groups",
    "without_withheld",
]


@dataclass(frozen=True)
class Fold:
    """One round of train and test; ``name`` says what is held out: a group, or ``fold1`` of several."""

    name: str
    train: Manifest
    test: Manifest


@dataclass(frozen=True)
class Leak:
    """Something that lies in more than one split.

    Attributes
    ----------
    kind
        "group": the same group; "path": the same file, also through a link; "content": the same bytes.
    what
        The group, the path, or the SHA-256 of the content.
    paths
        For every split concerned, in order of their names, the videos in it.
    """

    kind: Literal["group", "path", "content"]
    what: str
    paths: tuple[tuple[str, tuple[str, ...]], ...]

    def sentence(self) -> str:
        """What leaks, and between which splits."""
        sides = " and ".join(split for split, _ in self.paths)
        if self.kind == "group":
            return f"group {self.what} is in {sides}"
        if self.kind == "path":
            return f"{self.what} is in {sides}"
        examples = " = ".join(paths[0] for _, paths in self.paths)
        return f"the same content is in {sides}: {examples}"


def random_group_split(
    manifest: Manifest,
    test_fraction: float = 0.2,
    *,
    seed: int = 0,
    names: tuple[str, str] = ("train", "test"),
) -> Manifest:
    """Assign every item to train or test at random, never dividing a group.

    Each class gets, as nearly as its groups allow, ``test_fraction`` of its videos in test, and every class
    that has two groups or more is on both sides wherever that can be done; a class with one group is in
    train. The result depends on the groups, labels and seed alone, not on the order of the items.

    Parameters
    ----------
    manifest
        Items without labels count as one class.
    test_fraction
        Share of the videos of each class to hold out, between 0 and 1.
    seed
        Another seed, another split.
    names
        What the two sides are called.

    Returns
    -------
    Manifest
        The same items in the same order, each with a split; see `Manifest.select`.

    Raises
    ------
    UsageError
        The fraction is not between 0 and 1.
    InputDataError
        Nothing can be held out: no class has two groups.
    """
    if not 0 < test_fraction < 1:
        raise UsageError(f"the test fraction {test_fraction} is not between 0 and 1", remedy="use one such as 0.2")
    test = choose_test_groups(_videos_of_groups(manifest), test_fraction, seed)
    if not test:
        raise InputDataError(
            "the videos cannot be split into training and test",
            path=manifest.root,
            why="no class has videos of two groups" if manifest.items else "there are no videos",
            remedy="add videos that were filmed separately, or name the test groups (--test-groups)",
        )
    return manifest.with_splits([names[item.own_group in test] for item in manifest.items])


def _videos_of_groups(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Number of videos by group and class."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in manifest.items:
        # No label can begin with a zero byte, so unlabeled items never mix with a class.
        counts[item.own_group]["\0" if item.label is None else item.label] += 1
    return counts


def split_by_groups(
    manifest: Manifest, test_groups: Collection[str], *, names: tuple[str, str] = ("train", "test")
) -> Manifest:
    """Assign the items of ``test_groups`` to test and all others to train.

    Raises
    ------
    UsageError
        A group does not occur, or no group is left on one of the sides.
    """
    test = set(test_groups)
    unknown = sorted(test - set(manifest.groups))
    if unknown:
        raise UsageError(
            f"{manifest.name} has no group {first_few(unknown)}",
            path=manifest.root,
            remedy=f"its groups are {first_few(manifest.groups, shown=30)}",
        )
    if not test or len(test) == len(manifest.groups):
        side = "training" if test else "testing"
        raise UsageError(
            f"no group of {manifest.name} is left for {side}",
            remedy="name some of its groups, not all",
        )
    return manifest.with_splits([names[group in test] for group in manifest.item_groups])


def without_withheld(manifest: Manifest) -> Manifest:
    """The manifest without a test set whose labels were never published, as those of ActivityNet and Kinetics-600.

    Nothing is left out if any video of the test set has a label: then the others were forgotten.
    """
    test = [item.label for item in manifest.items if item.split == "test"]
    if not test or any(label is not None for label in test):
        return manifest
    return manifest.select(keep=lambda item: item.split != "test")


def leave_one_group_out(manifest: Manifest) -> Iterator[Fold]:
    """Yield one fold per group, in the groups' order: that group is the test side, the others train.

    Raises
    ------
    InputDataError
        There are fewer than two groups.
    """
    if len(manifest.groups) < 2:
        raise InputDataError(
            "leaving one group out needs two groups or more",
            path=manifest.root,
            why=f"there is {manifest.groups[0]} only" if manifest.groups else "there are no videos",
            remedy="hold out a share instead (--test-fraction), or name groups in metadata.csv",
        )
    for group in manifest.groups:
        yield _held_out(manifest, group, [group])


def leave_one_out(manifest: Manifest, hashes: Mapping[str, str] | None = None) -> Iterator[Fold]:
    """Yield one fold per video, whatever its group: that video is the test side, all others train (C3D, section 6).

    Segments of one video leave together, and so do copies of one file.

    Parameters
    ----------
    manifest
        Groups stay with the items, but are parted.
    hashes
        Content hash by item path, as far as known (`tubelet.datasets.content.copies`).

    Raises
    ------
    InputDataError
        There are fewer than two videos.
    """
    alone = replace(manifest, items=tuple(replace(item, group=None) for item in manifest.items))
    joined = join_copies(alone, hashes or {})
    if len(joined.groups) < 2:
        raise InputDataError(
            "leaving one video out needs two videos or more",
            path=manifest.root,
            why=f"there is {manifest.items[0].path} only" if manifest.items else "there are none",
            remedy="add videos",
        )
    for name in joined.groups:
        held = np.array([group == name for group in joined.item_groups])
        yield Fold(name, manifest.select(keep=~held), manifest.select(keep=held))


def group_folds(manifest: Manifest, folds: int, *, seed: int = 0) -> Iterator[Fold]:
    """Yield ``folds`` folds of whole groups; each is the test side once, while the others train.

    The groups are dealt so that every fold holds, as nearly as can be, the same share of each class; see
    `tubelet.datasets.group_balance.deal_groups`. Which groups these are depends on groups, labels and seed alone.

    Raises
    ------
    UsageError
        There are fewer than two folds, or more than groups.
    """
    if folds < 2:
        raise UsageError(f"{folds} folds are none", remedy="use 2 or more")
    if folds > len(manifest.groups):
        raise UsageError(
            f"{folds} folds cannot be made of {len(manifest.groups)} groups",
            path=manifest.root,
            remedy="use as many folds as there are groups, or fewer",
        )
    for number, groups in enumerate(deal_groups(_videos_of_groups(manifest), folds, seed), 1):
        yield _held_out(manifest, f"fold{number}", groups)


def held_out_split(manifest: Manifest) -> str | None:
    """The split that the data set itself tests on: ``test``, else ``val``; None where it has neither."""
    return next((name for name in ("test", "val") if name in manifest.splits), None)


def official_fold(manifest: Manifest, hashes: Mapping[str, str] | None = None) -> Fold | None:
    """The data set's own training part and its test part (validation, where there is no test); None without either.

    Raises
    ------
    InputDataError
        The splits share a group, a file or a content, see `refuse_leaks`.
    """
    held_out = held_out_split(manifest)
    if "train" not in manifest.splits or held_out is None:
        return None
    refuse_leaks(manifest, hashes)
    return Fold(held_out, manifest.select(split="train"), manifest.select(split=held_out))


def _held_out(manifest: Manifest, name: str, groups: Collection[str]) -> Fold:
    marked = split_by_groups(manifest, groups)
    return Fold(name, marked.select(split="train"), marked.select(split="test"))


def leaks(manifest: Manifest, hashes: Mapping[str, str] | None = None) -> tuple[Leak, ...]:
    """What lies in more than one split: groups, files (also through links), contents.

    Parameters
    ----------
    manifest
        Items without a split are left out: nothing is known about their use.
    hashes
        Content hash by item path, as far as known (`tubelet.datasets.content`); without it contents are not
        compared.

    Returns
    -------
    tuple of Leak
        Sorted by kind and name; empty if there is none. What is the same file is told as a path, not once
        more as content.
    """
    sides: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for item in manifest.items:
        if item.split is None:
            continue
        if item.group is not None:
            sides["group", item.group][item.split].add(item.path)
        sides["path", os.path.realpath(manifest.root / item.path)][item.split].add(item.path)
        if hashes and item.path in hashes:
            sides["content", hashes[item.path]][item.split].add(item.path)
    found: list[Leak] = []
    same_files: set[frozenset[str]] = set()
    # In falling order of their names, so that paths come before contents.
    for (kind, what), by_split in sorted(sides.items(), key=lambda entry: entry[0], reverse=True):
        if len(by_split) < 2:
            continue
        every = frozenset[str]().union(*by_split.values())
        paths = tuple((split, tuple(sorted(by_split[split]))) for split in sorted(by_split))
        if kind == "path":
            same_files.add(every)
            found.append(Leak("path", " = ".join(sorted(every)), paths))
        elif kind == "group":
            found.append(Leak("group", what, paths))
        elif every not in same_files:
            found.append(Leak("content", what, paths))
    return tuple(sorted(found, key=lambda leak: (leak.kind, leak.what)))


def refuse_leaks(manifest: Manifest, hashes: Mapping[str, str] | None = None) -> None:
    """Refuse a manifest whose splits share a group, a file or a content.

    Raises
    ------
    InputDataError
        They do; the first are named.
    """
    found = leaks(manifest, hashes)
    if found:
        raise InputDataError(
            f"the splits of {manifest.name} leak into each other",
            path=manifest.root,
            why=first_few([leak.sentence() for leak in found], "; ", shown=3),
            remedy="correct the splits, or let the groups be split at random",
        )
