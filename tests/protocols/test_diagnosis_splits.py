"""Other videos to test on: which sets there are, and which videos are drawn of a large one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import Fold
from tubelet.protocols.diagnosis_splits import drawn, drawn_folds, other_folds, other_videos
from tubelet.protocols.leak import trained_on

LABELS = ("a", "b", "c")


def manifest(groups: range, per_group: int = 4, name: str = "m") -> Manifest:
    items = [
        Item(f"{label}/g{group:02d}_{number}.avi", label, group=f"g{group:02d}")
        for label in LABELS for group in groups for number in range(per_group)
    ]  # fmt: skip
    return Manifest(name, Path("videos"), tuple(items), LABELS)


TRAIN, TEST = manifest(range(6)), manifest(range(6, 10))


def test_a_network_could_have_been_tested_on_the_training_part() -> None:
    found = other_videos(TEST, (TRAIN, TEST), "test", None)
    assert [(name, len(one)) for name, one in found] == [
        ("the training part", 72), ("training and test part together", 120),
    ]  # fmt: skip
    assert next(name for name, _ in other_videos(TRAIN, (TRAIN, TEST), "train", None)) == "the test part"
    official = [("split 2's test part", manifest(range(2)))]
    assert other_videos(TEST, None, "all", None, official) == official


def test_videos_that_the_weights_did_not_see_are_a_set_of_their_own() -> None:
    provenance = {"trained_on": trained_on(manifest(range(8)))}
    found = dict(other_videos(TEST, None, "all", provenance))
    assert {item.group for item in found["the videos that its weights did not see"].items} == {"g08", "g09"}
    assert other_videos(TEST, None, "all", {"trained_on": trained_on(TRAIN)}) == []


def test_a_random_split_holds_as_many_of_each_class_and_ignores_groups() -> None:
    found = dict(other_folds([Fold("m", TRAIN, TEST)]))
    (exchanged,) = found["training and test part exchanged"]
    assert (exchanged.train, exchanged.test) == (TEST, TRAIN)
    (random,) = found["a random split that ignores groups"]
    assert Counter(item.label for item in random.test.items) == dict.fromkeys(LABELS, 16)
    assert set(random.train.groups) & set(random.test.groups)
    assert {item.path for item in random.train.items} ^ {item.path for item in random.test.items} == {
        item.path for item in (*TRAIN.items, *TEST.items)
    }


def test_folds_dealt_at_random_test_every_video_once() -> None:
    whole = manifest(range(10))
    folds = [Fold(g, whole.select(keep=lambda i, g=g: i.group != g), whole.select(groups=[g])) for g in whole.groups]
    found = dict(other_folds(folds))
    assert list(found) == ["a random split that ignores groups"], "ten folds have no exchange"
    dealt = found["a random split that ignores groups"]
    assert sorted(item.path for fold in dealt for item in fold.test.items) == sorted(item.path for item in whole.items)
    assert {len(fold.test) for fold in dealt} == {12}
    assert all(not {item.path for item in f.train.items} & {item.path for item in f.test.items} for f in dealt)


def test_videos_that_are_their_own_groups_have_no_random_split() -> None:
    items = tuple(Item(f"{number}.avi", "a") for number in range(6))
    halves = [Manifest("m", Path("videos"), part, ("a",)) for part in (items[:3], items[3:])]
    assert [name for name, _ in other_folds([Fold("m", *halves)])] == ["training and test part exchanged"]


def test_a_part_is_drawn_evenly_over_classes_and_not_from_the_first_groups() -> None:
    part = drawn(TRAIN, 12)
    assert Counter(item.label for item in part.items) == dict.fromkeys(LABELS, 4)
    assert len({(item.label, item.group) for item in part.items}) > 6
    assert drawn(TRAIN, 12) == part
    assert drawn(TRAIN, 72) is TRAIN
    shuffled = TRAIN.select(keep=np.random.default_rng(0).permutation(72))
    assert {item.path for item in drawn(shuffled, 12).items} == {item.path for item in part.items}
    (fold,) = drawn_folds([Fold("m", TRAIN, TEST)], 30)
    assert (len(fold.train), len(fold.test)) == (18, 12), "72 and 48 of 120"
    whole = manifest(range(10))
    folds = [Fold(g, whole.select(keep=lambda i, g=g: i.group != g), whole.select(groups=[g])) for g in whole.groups]
    assert sum(len(fold.test) for fold in drawn_folds(folds, 30)) == 30
