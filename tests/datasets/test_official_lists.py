"""What readers of official lists share: finding videos, names of classes, folders that contradict labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.datasets import Item
from tubelet.datasets.official_lists import find_videos, list_names, misplaced, plain_name
from tubelet.errors import InputDataError


def test_videos_are_found_down_to_two_levels_of_folders(tree) -> None:
    root = tree("a.avi", "x/b.mp4", "x/y/c.mkv", "x/y/z/d.avi", "x/e/", "notes.txt", ".hidden.avi", "x/other.avi")
    found = find_videos(root, lambda name, _: name[0] if name[1:2] in ("", ".") and name not in "xyz" else None)
    assert found.by_key == {"a": "a.avi", "b": "x/b.mp4", "c": "x/y/c.mkv", "e": "x/e"}
    assert found.others == ("x/other.avi",)


def test_the_nearest_folder_that_is_named_after_a_class_counts() -> None:
    classes = ("riding a bike", "Café", "walk", "7")
    right = [
        Item("walk/riding_a_bike/a.mp4", "riding a bike"),
        Item("Riding-A-Bike/b.mp4", "walk", more_labels=("riding a bike",)),
        Item("cafe\u0301/c.mp4", "Café"),
        Item("train/d.mp4", "walk"),
        Item("7/e.mp4", "walk"),
        Item("walk/f.mp4"),
    ]
    assert misplaced(right, classes) == ()
    wrong = [Item("riding a bike/walk/a.mp4", "riding a bike"), Item("WALK/b.mp4", "Café", None, None, 0, 1)]
    wrong.append(Item("WALK/b.mp4", "Café", None, None, 1, 2))
    assert misplaced(wrong, classes) == (
        "riding a bike/walk/a.mp4: the list says riding a bike",
        "WALK/b.mp4: the list says Café",
    )


@pytest.mark.parametrize(("name", "plain"), [("Riding a_Bike!", "ridingabike"), ("ﬁsh", "fish"), ("?!", "?!")])
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_names_of_classes_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffcandlepin bowling\r\n skittles (sport) \r\n\r\n".encode())
    assert list_names(path) == ("candlepin bowling", "skittles (sport)")
    path.write_text("a\n\nb\n")
    with pytest.raises(InputDataError, match="line 2 is empty"):
        list_names(path)
    path.write_text("")
    with pytest.raises(InputDataError, match="line 1 is empty"):
        list_names(path)
    with pytest.raises(InputDataError, match="cannot be read"):
        list_names(tmp_path / "gone.txt")
