"""The table of videos as a value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import InputDataError, UsageError

ITEMS = (
    Item("run/a.avi", "run", "train", "p1", labels={"place": "park"}),
    Item("run/b.avi", "run", "test", "p2", labels={"place": "street"}),
    Item("bend/c.avi", "bend", "train", "p1"),
    Item("bend/d.avi", "bend", None, None, labels={"place": "park"}),
)


def manifest(**changes) -> Manifest:
    return replace(Manifest("mine", Path("/videos"), ITEMS, ("bend", "run", "walk")), **changes)


def test_targets_are_positions_among_the_classes() -> None:
    targets = manifest().targets
    assert targets.dtype == np.int64
    assert targets.tolist() == [1, 1, 0, 0]
    assert len(manifest()) == 4


def test_targets_of_unlabeled_videos_are_refused_with_the_way_out() -> None:
    bare = manifest(items=(*ITEMS, Item("x.avi")))
    with pytest.raises(InputDataError, match=r"1 of 5 videos have no label.*x\.avi.*metadata\.csv"):
        _ = bare.targets


def test_a_video_without_a_group_stands_for_itself() -> None:
    assert manifest().item_groups == ("p1", "p2", "p1", "bend/d.avi")
    assert manifest().groups == ("bend/d.avi", "p1", "p2")
    assert manifest().splits == ("test", "train")


def test_selections_keep_the_classes_and_their_indices() -> None:
    train = manifest().select(split="train")
    assert [item.path for item in train.items] == ["run/a.avi", "bend/c.avi"]
    assert train.classes == ("bend", "run", "walk")
    assert train.targets.tolist() == [1, 0]
    assert [i.path for i in manifest().select(groups={"p2", "bend/d.avi"}).items] == [
        "run/b.avi",
        "bend/d.avi",
    ]
    assert [i.path for i in manifest().select(keep=[2, 0]).items] == ["bend/c.avi", "run/a.avi"]
    assert len(manifest().select(keep=np.array([True, False, False, True]))) == 2
    assert len(manifest().select(keep=np.array([3]))) == 1
    assert len(manifest().select(keep=[])) == 0
    assert len(manifest().select(keep=lambda item: item.label == "run", split="test")) == 1


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ({"split": "dev"}, "no split 'dev'.*it has test, train"),
        ({"groups": ["p1", "p9"]}, "no group p9.*its groups are bend/d.avi, p1, p2"),
        ({"keep": [4]}, "outside the 4 items"),
        ({"keep": [-1]}, "outside the 4 items"),
        ({"keep": np.array([True])}, "needs 4 values"),
    ],
)
def test_selecting_what_does_not_exist_is_an_error(conditions, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        manifest().select(**conditions)


def test_a_manifest_without_splits_says_so() -> None:
    with pytest.raises(UsageError, match="no splits at all"):
        manifest(items=ITEMS[3:]).select(split="train")


def test_another_column_becomes_the_label() -> None:
    places = manifest().with_label("place")
    assert places.classes == ("park", "street")
    assert [item.label for item in places.items] == ["park", "street", None, "park"]
    assert places.items[0].labels["original_label"] == "run"
    assert places.with_label("original_label").targets.tolist() == [1, 1, 0, 0]
    assert manifest().with_label("label") == manifest()
    with pytest.raises(UsageError, match=r"label column 'weather'.*label, place"):
        manifest().with_label("weather")


def test_empty_classes_can_be_dropped() -> None:
    assert manifest().drop_empty_classes().classes == ("bend", "run")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes": ("run", "run", "bend")}, "names a class twice"),
        ({"classes": ("run",)}, "labels that are not among its classes.*bend"),
        ({"items": (*ITEMS, ITEMS[0])}, "lists a video twice.*run/a.avi"),
        ({"items": (Item("../x.avi"),)}, "leads out of the data folder"),
        ({"items": (Item("/etc/x.avi"), Item("a/../../b.avi"))}, "2 paths lead out of the data folder"),
        ({"items": (Item(""),)}, "leads out"),
    ],
)
def test_contradictions_are_refused(changes, says: str) -> None:
    with pytest.raises(InputDataError, match=says):
        manifest(**changes)


def test_spans_of_one_video_are_different_items() -> None:
    spans = (Item("a.avi", "run", start_s=0.0, end_s=1.0), Item("a.avi", "bend", start_s=1.0))
    assert manifest(items=spans).groups == ("a.avi",)


def test_the_hash_depends_on_every_field_and_not_on_the_order() -> None:
    base = manifest()
    assert manifest(items=ITEMS[::-1]).hash == base.hash
    assert manifest(root=Path("/elsewhere"), name="yours").hash == base.hash
    changed = [
        manifest(classes=("run", "bend", "walk")),
        *(
            manifest(items=(replace(ITEMS[0], **change), *ITEMS[1:]))
            for change in (
                {"path": "run/z.avi"},
                {"label": "bend"},
                {"split": "val"},
                {"group": "p7"},
                {"start_s": 0.5},
                {"end_s": 0.5},
                {"labels": {}},
            )
        ),
    ]
    assert len({base.hash, *(other.hash for other in changed)}) == len(changed) + 1


def test_csv_there_and_back(tmp_path: Path) -> None:
    base = manifest()
    path = base.to_csv(tmp_path / "manifest.csv")
    again = Manifest.from_csv(path, base.root, name=base.name, classes=base.classes)
    assert again.items == base.items
    assert again.hash == base.hash
    assert path.read_text().splitlines()[0] == "path,label,split,group,start_s,end_s,place"
    assert Manifest.from_csv(path, base.root).classes == ("bend", "run")


def test_the_summary_is_json_and_names_no_folder() -> None:
    summary = manifest().to_dict()
    assert summary["splits"] == {"test": 1, "train": 2}
    assert "/videos" not in str(summary)


def test_group_hashes_tell_whether_groups_are_shared() -> None:
    train, test = manifest().select(split="train"), manifest().select(split="test")
    assert len(train.group_hashes) == 1
    assert not set(train.group_hashes) & set(test.group_hashes)
    one = manifest(name="ucf101-split1", items=ITEMS[:1])
    assert one.group_hashes == replace(one, name="ucf101-split2").group_hashes
    assert one.group_hashes != replace(one, name="weizmann").group_hashes
    assert all(len(value) == 16 for value in manifest().group_hashes)


def test_files_lie_below_the_root(tree, tmp_path: Path) -> None:
    root = tree("walk/a.avi")
    outside = tmp_path / "secret.avi"
    outside.touch()
    (root / "walk" / "link.avi").symlink_to(outside)
    (root / "walk" / "inner.avi").symlink_to(root / "walk" / "a.avi")
    (root / "out").symlink_to(tmp_path, target_is_directory=True)
    found = Manifest(
        "m", root, tuple(map(Item, ("walk/a.avi", "walk/inner.avi", "walk/link.avi", "out/secret.avi"))), ()
    )
    assert found.file(found.items[0]) == root / "walk/a.avi"
    assert found.file("walk/inner.avi") == root / "walk/inner.avi"
    for path in ("walk/link.avi", "out/secret.avi", "../secret.avi", "/etc/passwd"):
        with pytest.raises(InputDataError, match=r"leads out of the data folder.*allow-outside"):
            found.file(path)
    with pytest.raises(InputDataError, match=r"2 paths lead out.*walk/link.avi, out/secret.avi"):
        found.files()
    trusted = replace(found, allow_outside=True)
    assert trusted.file("../secret.avi") == root / "../secret.avi"
    assert list(trusted.files()) == [item.path for item in found.items]


def test_a_root_that_is_a_link_is_the_folder_it_points_to(tree, tmp_path: Path) -> None:
    tree("walk/a.avi")
    link = tmp_path / "shortcut"
    link.symlink_to(tmp_path / "data", target_is_directory=True)
    assert Manifest("m", link, (Item("walk/a.avi"),), ()).file("walk/a.avi").exists()


def test_several_labels_of_one_video() -> None:
    both = replace(ITEMS[0], more_labels=("walk",))
    several = manifest(items=(both, Item("x.avi"), *ITEMS[2:]))
    assert several.every_target.tolist() == [[1, 2], [-1, -1], [0, -1], [0, -1]]
    assert several.every_target.dtype == np.int64
    assert manifest().every_target.tolist() == [[1], [1], [0], [0]]
    assert manifest(items=()).every_target.shape == (0, 0)
    assert several.drop_empty_classes().classes == ("bend", "run", "walk")
    assert several.with_label("place").items[0].more_labels == (), "they were answers to another question"
    assert manifest(items=(both,)).hash != manifest(items=ITEMS[:1]).hash
    with pytest.raises(InputDataError, match=r"not among its classes.*fly"):
        manifest(items=(replace(both, more_labels=("fly",)),))
