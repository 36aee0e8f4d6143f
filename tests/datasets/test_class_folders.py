"""Folders named after classes, and all that people's folders look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.datasets.class_folders import open_class_folders, open_videos
from tubelet.errors import InputDataError


def test_class_folders(tree) -> None:
    found = open_class_folders(tree("walk/b.AVI", "walk/a.mp4", "bend/c.webm", "bend/frames/"))
    assert found.name == "data"
    assert found.classes == ("bend", "walk")
    assert [(item.path, item.label, item.split, item.group) for item in found.items] == [
        ("bend/c.webm", "bend", None, None),
        ("bend/frames", "bend", None, None),
        ("walk/a.mp4", "walk", None, None),
        ("walk/b.AVI", "walk", None, None),
    ]
    assert found.group_rule == "each video is its own group"
    assert found.flip
    assert found.findings.ignored == ()
    assert found.findings.notes == ()


def test_splits_above_classes(tree) -> None:
    found = open_class_folders(tree("Train/walk/a.avi", "Train/run/b.avi", "valid/walk/c.avi", "test/run/d/"))
    assert found.splits == ("test", "train", "val")
    assert {(item.path, item.label, item.split) for item in found.items} == {
        ("Train/walk/a.avi", "walk", "train"),
        ("Train/run/b.avi", "run", "train"),
        ("valid/walk/c.avi", "walk", "val"),
        ("test/run/d", "run", "test"),
    }


def test_a_class_may_be_called_test(tree) -> None:
    found = open_class_folders(tree("test/a.avi", "exam/b.avi"))
    assert found.classes == ("exam", "test")
    assert found.splits == ()


def test_a_split_folder_beside_a_folder_without_videos_is_still_one(tree) -> None:
    found = open_class_folders(tree("train/walk/a.avi", "train/run/b.avi", "annotations/list.txt"))
    assert found.splits == ("train",)
    assert found.classes == ("run", "walk")
    assert found.findings.ignored == ("annotations/", "annotations/list.txt")


def test_splits_and_classes_side_by_side_are_refused(tree) -> None:
    with pytest.raises(InputDataError, match=r"mixes splits and classes.*train hold class folders, jump videos"):
        open_class_folders(tree("train/walk/a.avi", "jump/b.avi"))


def test_what_is_no_video_is_passed_over_and_listed(tree) -> None:
    root = tree(
        "README.md",
        "loose.mp4",
        "walk/a.avi",
        "walk/b.avi",
        "walk/notes.txt",
        "walk/.DS_Store",
        "walk/._a.avi",
        "walk/Thumbs.db",
        "walk/extra/deep.avi",
        ".git/config",
        "run/c.avi",
        "run/d.avi",
    )
    (root / "empty").mkdir()
    found = open_class_folders(root)
    assert found.classes == ("run", "walk")
    assert found.findings.ignored == ("README.md", "empty/", "loose.mp4", "walk/extra/", "walk/notes.txt")
    assert any("empty holds no video" in note for note in found.findings.notes)
    assert any("loose.mp4" in note for note in found.findings.notes)


def test_one_level_too_many_is_recognized(tree) -> None:
    found = open_class_folders(tree("walk/a.avi", "run/b.avi", "more/jump/c.avi"))
    assert any("more holds no video" in note and "one level too deep" in note for note in found.findings.notes)


def test_blanks_and_any_script_in_names(tree) -> None:
    found = open_class_folders(tree("跳ぶ/ビデオ 1.mp4", "café au lait/été – 2.avi", "跳ぶ/b.mp4"))
    assert found.classes == ("café au lait", "跳ぶ")
    assert all(found.file(item).exists() for item in found.items)


def test_groups_come_from_names_like_those_of_ucf101(tree) -> None:
    root = tree("A/v_A_g01_c01.avi", "A/v_A_g02_c01/", "B/v_B_x_g01_c12.avi")
    found = open_class_folders(root)
    assert [item.group for item in found.items] == ["g01", "g02", "g01"]
    assert found.group_rule == "names like v_<class>_<group>_<clip>"
    (root / "B" / "mine.avi").touch()
    mixed = open_class_folders(root)
    assert "1 of 4 videos are named otherwise: each its own" in mixed.group_rule
    assert "B/mine.avi" in mixed.groups


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "holds no video.*it is empty"),
        (("a.txt", "b/c.txt"), r"holds no video.*it holds a\.txt, b.*\.mp4"),
        (("a.avi", "b/"), r"lie directly in the folder.*a\.avi, b.*metadata\.csv"),
        (("x/y/z/a.avi",), r"lie deeper than.*first x/y/z/a\.avi"),
    ],
)
def test_folders_that_do_not_fit_say_what_they_hold(tree, names: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputDataError, match=says):
        open_class_folders(tree(*names))


def test_no_folder_and_a_file_instead_of_one(tree) -> None:
    root = tree("walk/a.avi")
    with pytest.raises(InputDataError, match="no such folder"):
        open_class_folders(root / "nope")
    with pytest.raises(InputDataError, match="this is a file"):
        open_class_folders(root / "walk/a.avi")


def test_single_classes_and_single_groups_are_noted(tree) -> None:
    (note,) = open_class_folders(tree("walk/a.avi", root="one")).findings.notes
    assert "one class only, 'walk'" in note
    (note,) = open_class_folders(tree("walk/a.avi", "run/b.avi", "run/c.avi", root="two")).findings.notes
    assert note == "walk has one group only and cannot be in training and test both"


def test_directional_classes_switch_mirroring_off_and_say_so(tree) -> None:
    root = tree("turn_left/a.avi", "turn_left/b.avi", "turn_right/c.avi", "turn_right/d.avi")
    found = open_class_folders(root)
    assert not found.flip
    assert found.findings.notes == ("mirrored clips are off: a mirror swaps the classes 'turn_left' and 'turn_right'",)
    assert open_class_folders(root, flip=True).flip
    assert open_class_folders(root, flip=True).findings.notes == ()


def test_links_out_of_the_folder_are_refused_together(tree, tmp_path: Path) -> None:
    root = tree("walk/a.avi", "run/b.avi")
    elsewhere = tree("x.avi", "y.avi", root="elsewhere")
    (root / "walk" / "x.avi").symlink_to(elsewhere / "x.avi")
    (root / "jump").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(
        InputDataError, match=r"3 paths lead out of the data folder.*jump/x.avi, jump/y.avi, walk/x.avi"
    ):
        open_class_folders(root)
    assert len(open_class_folders(root, allow_outside=True)) == 5


def test_the_order_on_disk_does_not_matter(tree) -> None:
    names = ["b/2.avi", "a/1.avi", "b/1.avi", "a/3.avi"]
    assert open_class_folders(tree(*names)).items == open_class_folders(tree(*names[::-1], root="again")).items


def test_videos_without_classes(tree) -> None:
    found = open_videos(tree("b.avi", "x/y/a.mp4", "x/frames/", "x/notes.txt"), fps=5)
    assert [item.path for item in found.items] == ["b.avi", "x/frames", "x/y/a.mp4"]
    assert found.classes == ()
    assert found.fps == 5
    assert found.findings.ignored == ("x/notes.txt",)
    with pytest.raises(InputDataError, match="holds no video"):
        open_videos(tree("notes.txt", root="nothing"))
