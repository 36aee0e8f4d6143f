"""UCF101: the official lists, and folders made in its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.datasets.ucf101 import find_annotations, open_ucf101, read_official_lists
from tubelet.errors import InputDataError, UsageError

CLASSES = "1 Archery\r\n2 HandstandPushups\r\n"
TRAIN = "Archery/v_Archery_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g09_c02.avi 2\r\n"
TEST = "Archery/v_Archery_g01_c01.avi\r\nHandstandPushups/v_HandStandPushups_g02_c01.avi\r\n"
VIDEOS = (
    "Archery/v_Archery_g08_c01.avi",
    "HandstandPushups/v_HandStandPushups_g09_c02.avi",
    "Archery/v_Archery_g01_c01.avi",
    "HandstandPushups/v_HandStandPushups_g02_c01.avi",
)


def lists(folder: Path, classes: str = CLASSES, train: str = TRAIN, test: str = TEST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classInd.txt").write_text(classes, newline="")
    (folder / "trainlist01.txt").write_text(train, newline="")
    (folder / "testlist01.txt").write_text(test, newline="")
    return folder


@pytest.mark.parametrize("split", [1, 2, 3])
def test_the_official_lists_have_the_published_sizes(shared_data: Path, split: int) -> None:
    # Line counts of the files as published (shared data README); 13,320 videos in all.
    train, test = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}[split]
    official = read_official_lists(shared_data / "ucf101/annotations", split)
    assert (len(official.train), len(official.test)) == (train, test)
    assert len(official.classes) == 101
    assert official.classes[0] == "ApplyEyeMakeup"
    assert official.classes[100] == "YoYo"
    sides = [{path.split("_")[-2] for path, _ in side} for side in (official.train, official.test)]
    assert not sides[0] & sides[1], "official groups never cross"


def test_a_subset_as_frames_lies_in_train_split_1(shared_data: Path) -> None:
    found = open_ucf101(shared_data / "ucf101/frames_5fps", fps=5)
    assert len(found) == 90
    assert found.splits == ("train",)
    assert len(found.classes) == 101
    assert found.fps == 5
    assert len(found.findings.missing) == 13320 - 90
    assert "13,230 of 13,320" in found.findings.notes[0]
    assert found.groups == tuple(f"g{number:02d}" for number in range(8, 26))
    assert found.drop_empty_classes().classes == (
        "ApplyEyeMakeup",
        "ApplyLipstick",
        "BlowDryHair",
        "BlowingCandles",
        "Haircut",
    )
    # classInd.txt counts from 1: its line 34 reads "34 Haircut".
    assert found.targets[-1] == 33
    assert found.file(found.items[0]).is_dir()


def test_a_subset_in_split_2_has_both_sides(shared_data: Path) -> None:
    found = open_ucf101(shared_data / "ucf101/frames_5fps", split=2)
    assert {i.group for i in found.items if i.split == "test"} == {f"g{n:02d}" for n in range(8, 15)}
    assert len(found.select(split="test")) == 35
    assert open_ucf101(shared_data / "ucf101/frames_5fps", split=None).splits == ()


@pytest.mark.parametrize("where", ["data/annotations", "data/ucfTrainTestlist", "annotations", "data", "given"])
def test_lists_are_found_inside_and_beside_and_where_told(tree, tmp_path: Path, where: str) -> None:
    root = tree(*VIDEOS)
    folder = lists(tmp_path / where)
    assert find_annotations(root, folder if where == "given" else None) == folder
    found = open_ucf101(root, annotations=folder if where == "given" else None)
    assert [item.path for item in found.items] == list(VIDEOS)
    assert [item.split for item in found.items] == ["train", "train", "test", "test"]
    assert [item.group for item in found.items] == ["g08", "g09", "g01", "g02"]
    assert found.targets.tolist() == [0, 1, 0, 1]
    assert found.findings.missing == ()
    assert found.findings.notes == ()


def test_lists_that_are_nowhere(tree, tmp_path: Path) -> None:
    root = tree(*VIDEOS)
    with pytest.raises(InputDataError, match=r"official lists of UCF101 are not found.*--annotations"):
        open_ucf101(root)
    with pytest.raises(InputDataError, match=r"holds no classInd\.txt"):
        open_ucf101(root, annotations=root)
    with pytest.raises(InputDataError, match="no such folder"):
        open_ucf101(root, annotations=tmp_path / "nope")


@pytest.mark.parametrize(
    "names",
    [
        ("v_Archery_g08_c01.avi",),
        ("UCF-101/Archery/v_Archery_g08_c01.avi",),
        ("Archery/v_Archery_g08_c01.MP4",),
        ("Archery/v_Archery_g08_c01/",),
        ("archery/V_ARCHERY_G08_C01.AVI",),
    ],
)
def test_videos_are_known_by_name_in_any_layout_and_format(tree, names: tuple[str, ...]) -> None:
    root = tree(*names)
    lists(root / "annotations")
    (item,) = open_ucf101(root).items
    assert (item.path, item.label, item.split, item.group) == (
        names[0].rstrip("/"),
        "Archery",
        "train",
        "g08",
    )


def test_strangers_are_reported(tree) -> None:
    root = tree(VIDEOS[0], "Archery/v_Archery_g99_c01.avi", "Archery/holiday.avi", "Archery/._v_Archery_g01_c01.avi")
    lists(root / "annotations")
    found = open_ucf101(root)
    assert len(found) == 1
    assert found.findings.unlisted == ("Archery/holiday.avi", "Archery/v_Archery_g99_c01.avi")
    assert len(found.findings.missing) == 3


def test_two_copies_of_a_video_are_refused(tree) -> None:
    root = tree(VIDEOS[0], "frames/v_Archery_g08_c01/")
    lists(root / "annotations")
    with pytest.raises(InputDataError, match=r"same video more than once.*v_Archery_g08_c01\.avi"):
        open_ucf101(root)


def test_a_folder_without_any_of_them(tree) -> None:
    root = tree("Archery/holiday.avi")
    lists(root / "annotations")
    with pytest.raises(InputDataError, match=r"none of the videos.*v_Archery_g08_c01\.avi"):
        open_ucf101(root)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes": "0 Archery\n1 HandstandPushups\n"}, "line 1 is not '1 <class>'"),
        ({"classes": "1 Archery\n3 HandstandPushups\n"}, "line 2 is not '2 <class>'"),
        ({"classes": "1 Archery\n2 archery\n"}, "names a class twice"),
        ({"classes": ""}, "empty"),
        ({"train": TRAIN.replace(" 2", " 1")}, "line 2: HandstandPushups is class 2 of classInd.txt, not 1"),
        ({"train": TRAIN.replace(" 2", " two")}, "not two"),
        ({"test": "Skiing/v_Skiing_g01_c01.avi\n"}, "line 1 is not '<class>/<video>"),
        ({"test": "Archery/v a b.avi\n"}, "line 1 is not"),
    ],
)
def test_damaged_lists_say_where(tree, changes: dict[str, str], says: str) -> None:
    root = tree(*VIDEOS)
    lists(root / "annotations", **changes)
    with pytest.raises(InputDataError, match=says):
        open_ucf101(root)


def test_an_unreadable_list(tree) -> None:
    root = tree(*VIDEOS)
    lists(root / "annotations")
    (root / "annotations/testlist01.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputDataError, match="cannot be read"):
        open_ucf101(root)


def test_a_split_that_does_not_exist(tree) -> None:
    root = tree(*VIDEOS)
    lists(root / "annotations")
    with pytest.raises(UsageError, match=r"no split 4 there.*there is split 1"):
        open_ucf101(root, split=4)
