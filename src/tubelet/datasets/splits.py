"""Splits that keep groups whole (random, by name, leave one out), and the leak check."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tubelet.datasets.group_balance import choose_test_groups
from tubelet.datasets.groups import parse_groups
from tubelet.datasets.manifest import Manifest
from tubelet.errors import InputDataError, UsageError
from tubelet.reporting.text import first_few

__all__ = [
    "Fold",
    "Leak",
    "leaks",
    "leave_one_group_out",
    "parse_groups",
    "random_group_split",
    "refuse_leaks",
    "split_by_groups",
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
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in manifest.items:
        # No label can begin with a zero byte, so unlabeled items never mix with a class.
        counts[item.own_group]["\0" if item.label is None else item.label] += 1
    test = choose_test_groups(counts, test_fraction, seed)
    if not test:
        raise InputDataError(
            "the videos cannot be split into training and test",
            path=manifest.root,
            why="no class has videos of two groups" if manifest.items else "there are no videos",
            remedy="add videos that were filmed separately, or name the test groups (--test-groups)",
        )
    return manifest.with_splits([names[item.own_group in test] for item in manifest.items])


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
        marked = split_by_groups(manifest, [group])
        yield Fold(group, marked.select(split="train"), marked.select(split="test"))


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
