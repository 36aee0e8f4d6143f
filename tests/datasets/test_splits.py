"""Splits that keep groups whole, and the search for leaks."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import (
    leaks,
    leave_one_group_out,
    random_group_split,
    refuse_leaks,
    split_by_groups,
)
from tubelet.errors import InputDataError, UsageError


def manifest_of(rows: list[tuple[str, str | None]]) -> Manifest:
    """One video per (group, label)."""
    items = tuple(Item(f"{number}.avi", label, None, group) for number, (group, label) in enumerate(rows))
    classes = tuple(sorted({label for _, label in rows if label is not None}))
    return Manifest("m", Path("x"), items, classes)


def side(manifest: Manifest, split: str) -> set[str]:
    return {item.own_group for item in manifest.items if item.split == split}


def class_groups(rows: list[tuple[str, str | None]]) -> dict[str | None, set[str]]:
    found: dict[str | None, set[str]] = defaultdict(set)
    for group, label in rows:
        found[label].add(group)
    return found


# Rows where a group holds videos of one class, as where every video is its own group.
single = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcd")), min_size=1, max_size=40).map(
    lambda rows: [(f"{label}{group}", label) for group, label in rows]
)
# Rows where groups hold videos of several classes, as actors do.
mixed = st.lists(
    st.tuples(st.sampled_from([f"p{n}" for n in range(7)]), st.sampled_from("abcd") | st.none()),
    min_size=1,
    max_size=30,
)
fractions = st.floats(0.05, 0.95)


@settings(deadline=None, max_examples=120)
@given(single | mixed, fractions, st.integers(0, 3))
def test_groups_never_cross_and_nothing_is_lost(rows, fraction: float, seed: int) -> None:
    manifest = manifest_of(rows)
    if all(len(groups) < 2 for groups in class_groups(rows).values()):
        with pytest.raises(InputDataError, match="no class has videos of two groups"):
            random_group_split(manifest, fraction, seed=seed)
        return
    divided = random_group_split(manifest, fraction, seed=seed)
    assert [replace(item, split=None) for item in divided.items] == list(manifest.items)
    train, test = side(divided, "train"), side(divided, "test")
    assert train
    assert test
    assert not train & test
    assert leaks(divided) == ()


@settings(deadline=None, max_examples=120)
@given(single, fractions, st.integers(0, 3))
def test_every_class_with_two_groups_is_on_both_sides(rows, fraction: float, seed: int) -> None:
    groups = class_groups(rows)
    if all(len(found) < 2 for found in groups.values()):
        return
    divided = random_group_split(manifest_of(rows), fraction, seed=seed)
    train, test = side(divided, "train"), side(divided, "test")
    for found in groups.values():
        assert found & train, "every class can be learned"
        assert len(found) < 2 or found & test


@settings(deadline=None, max_examples=60)
@given(mixed, st.integers(0, 3))
def test_with_mixed_groups_no_choice_covers_more_classes(rows, seed: int) -> None:
    groups = {label: found for label, found in class_groups(rows).items() if len(found) > 1}
    if not groups:
        return
    names = sorted({group for group, _ in rows})

    def uncovered(test: set[str]) -> int:
        return sum(not found & test or found <= test for found in groups.values())

    choices = itertools.chain.from_iterable(itertools.combinations(names, size) for size in range(len(names) + 1))
    best = min(uncovered(set(choice)) for choice in choices)
    divided = random_group_split(manifest_of(rows), 0.2, seed=seed)
    assert uncovered(side(divided, "test")) == best


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=5), fractions, st.integers(0, 3))
def test_single_videos_are_divided_as_exactly_as_whole_videos_allow(sizes, fraction: float, seed: int) -> None:
    rows = [(f"{label}-{number}", f"c{label}") for label, size in enumerate(sizes) for number in range(size)]
    divided = random_group_split(manifest_of(rows), fraction, seed=seed)
    for label, size in enumerate(sizes):
        held = sum(item.split == "test" and item.label == f"c{label}" for item in divided.items)
        assert 1 <= held <= size - 1
        # Within one half of the wish, unless that is less than one video on a side.
        assert abs(held - fraction * size) <= 0.5 + 1e-9 or held in (1, size - 1)


@settings(deadline=None, max_examples=40)
@given(single | mixed, st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter_and_the_seed_repeats(rows, random) -> None:
    manifest = manifest_of(rows)
    if all(len(groups) < 2 for groups in class_groups(rows).values()):
        return
    shuffled = list(manifest.items)
    random.shuffle(shuffled)
    first = random_group_split(manifest, 0.3, seed=1)
    second = random_group_split(replace(manifest, items=tuple(shuffled)), 0.3, seed=1)
    assert {item.path: item.split for item in first.items} == {item.path: item.split for item in second.items}


def test_seeds_differ_and_25_groups_of_101_classes_come_out_as_wanted() -> None:
    rows = [(f"g{group:02d}", f"class{label}") for label in range(101) for group in range(1, 26) for _ in range(4)]
    chosen = {frozenset(side(random_group_split(manifest_of(rows), 0.2, seed=seed), "test")) for seed in range(5)}
    assert len(chosen) == 5
    assert {len(groups) for groups in chosen} == {5}


def test_a_split_is_the_same_on_every_machine() -> None:
    # Fixed here for good: someone's published split must not change with a library. Of each class the group
    # whose derive_seed("random_group_split", 0, 0, group) is least: one of five.
    divided = random_group_split(manifest_of([(f"{label}{number}", label) for label in "ab" for number in range(5)]))
    assert side(divided, "test") == {"a2", "b3"}


def test_sides_can_be_named() -> None:
    rows = [(f"{label}{number}", label) for label in "ab" for number in range(5)]
    assert random_group_split(manifest_of(rows), names=("train", "val")).splits == ("train", "val")


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 20])
def test_fractions_outside_0_and_1(fraction: float) -> None:
    with pytest.raises(UsageError, match="not between 0 and 1"):
        random_group_split(manifest_of([("a", "x"), ("b", "x")]), fraction)


def test_an_empty_manifest_cannot_be_split() -> None:
    with pytest.raises(InputDataError, match="there are no videos"):
        random_group_split(manifest_of([]))


def test_named_test_groups(shared_data: Path) -> None:
    from tubelet.datasets import open_dataset, parse_groups

    manifest = open_dataset("folder", shared_data / "ucf101/frames_5fps", fps=5)
    divided = split_by_groups(manifest, parse_groups("g21-g25", manifest.groups))
    assert (len(divided.select(split="train")), len(divided.select(split="test"))) == (
        65,
        25,
    )  # the figures
    assert leaks(divided) == ()


@pytest.mark.parametrize(
    ("groups", "says"),
    [(["p9"], "no group p9"), ([], "left for testing"), (["p1", "p2"], "left for training")],
)
def test_test_groups_that_leave_nothing(groups: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        split_by_groups(manifest_of([("p1", "x"), ("p2", "x")]), groups)


def test_one_group_is_left_out_at_a_time() -> None:
    folds = list(leave_one_group_out(manifest_of([("p2", "x"), ("p1", "x"), ("p1", "y")])))
    assert [(fold.name, len(fold.train), len(fold.test)) for fold in folds] == [("p1", 1, 2), ("p2", 2, 1)]
    assert all(fold.train.classes == ("x", "y") for fold in folds)
    with pytest.raises(InputDataError, match=r"needs two groups or more.*there is p1 only"):
        list(leave_one_group_out(manifest_of([("p1", "x")])))
    with pytest.raises(InputDataError, match="there are no videos"):
        list(leave_one_group_out(manifest_of([])))


def planted(root: Path) -> Manifest:
    items = (
        Item("train/a.avi", "x", "train", "p1"),
        Item("test/b.avi", "x", "test", "p1"),
        Item("test/c.avi", "x", "test", "p2"),
        Item("train/d.avi", "x", "train"),
        Item("train/e.avi", "x", "train", start_s=0.0, end_s=1.0),
        Item("train/e.avi", "x", "test", start_s=1.0),
        Item("loose.avi", "x", None, "p2"),
    )
    return Manifest("m", root, items, ("x",))


def test_leaks_by_group_path_and_content(tmp_path: Path) -> None:
    found = leaks(planted(tmp_path), {"test/c.avi": "77", "train/d.avi": "77", "loose.avi": "77", "train/a.avi": "5"})
    assert [(leak.kind, leak.what, leak.paths) for leak in found] == [
        ("content", "77", (("test", ("test/c.avi",)), ("train", ("train/d.avi",)))),
        ("group", "p1", (("test", ("test/b.avi",)), ("train", ("train/a.avi",)))),
        ("path", "train/e.avi", (("test", ("train/e.avi",)), ("train", ("train/e.avi",)))),
    ]
    assert [leak.sentence() for leak in found] == [
        "the same content is in test and train: test/c.avi = train/d.avi",
        "group p1 is in test and train",
        "train/e.avi is in test and train",
    ]


def test_a_link_to_a_file_of_the_other_side_is_a_leak_even_unhashed(tree) -> None:
    root = tree("train/a.avi", "test/c.avi")
    (root / "test" / "b.avi").symlink_to(root / "train" / "a.avi")
    items = tuple(Item(path, "x", path.split("/")[0]) for path in ("train/a.avi", "test/b.avi", "test/c.avi"))
    manifest = Manifest("m", root, items, ("x",))
    (leak,) = leaks(manifest, {"train/a.avi": "1", "test/b.avi": "1"})
    assert (leak.kind, leak.what) == ("path", "test/b.avi = train/a.avi")


def test_leaking_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"leak into each other.*group p1 is in test and train"):
        refuse_leaks(planted(tmp_path))
    refuse_leaks(planted(tmp_path).select(split="train"))
