"""HMDB51: the official lists, and folders made in its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.datasets.hmdb51 import hmdb_group, open_hmdb51, read_hmdb_lists
from tubelet.datasets.splits import leaks
from tubelet.errors import InputDataError, UsageError

CLIMB = "Rock_Climbing_climb_f_cm_np1_ba_med_0"
STAIRS = "climb_up_climb_stairs_u_nm_np2_fr_goo_1"
WAVES = ("21_wave_u_nm_np1_fr_goo_5", "(HQ)_8.5_wave_h_nm_np1_le_bad_2", "21_wave_l_nm_np1_ri_goo_7")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "testTrainMulti_7030_splits"
    folder.mkdir()
    rows = {
        "climb": f"{CLIMB}.avi 1 \n",
        "climb_stairs": f"{STAIRS}.avi 2 \n",
        "wave": "".join(f"{name}.avi {code} \n" for name, code in zip(WAVES, (1, 0, 1), strict=True)),
    }
    for label, text in rows.items():
        for split in (1, 2):
            (folder / f"{label}_test_split{split}.txt").write_text(text if split == 1 else text.replace("1 \n", "2 \n"))
    return folder


@pytest.mark.parametrize("split", [1, 2, 3])
def test_the_official_lists_have_the_published_sizes(shared_data: Path, split: int) -> None:
    # 70 training and 30 test videos of each of 51 classes, of 6,766 in all (Kuehne et al. 2011).
    official = read_hmdb_lists(shared_data / "hmdb51/testTrainMulti_7030_splits", split)
    assert len(official) == 51
    labels = list(official)
    assert (labels[0], labels[50]) == ("brush_hair", "wave")
    for label, rows in official.items():
        sides = [side for _, side in rows]
        assert (sides.count("train"), sides.count("test")) == (70, 30), label
    assert sum(map(len, official.values())) == 6766
    # No source of a class is on both sides, so that the leak check passes on the official split.
    groups: dict[str, set[str]] = {}
    for label, rows in official.items():
        for name, side in rows:
            group = hmdb_group(name, label)
            assert group is not None
            if side is not None:
                groups.setdefault(group, set()).add(side)
    assert max(map(len, groups.values())) == 1


def test_the_handed_out_clips_are_a_part(shared_data: Path) -> None:
    found = open_hmdb51(shared_data / "hmdb51/clips")
    assert [(item.path[:6], item.label, item.split, item.group) for item in found.items] == [
        ("RATRAC", "wave", "train", "wave/RATRACE"),
        ("Truman", "wave", "test", "wave/TrumanShow"),
    ]
    assert found.findings.notes == (
        "1 video is in neither part of split 1",
        "6,763 of 6,766 listed videos are not there: this is a part of HMDB51",
    )
    whole = open_hmdb51(shared_data / "hmdb51/clips", split=None)
    assert (len(whole), whole.splits, whole.name) == (3, (), "hmdb51")


def test_splits_groups_and_classes(tree, lists: Path) -> None:
    root = tree(
        f"climb/{CLIMB}.avi", f"climb_stairs/{STAIRS}/", f"wave/{WAVES[0]}.mp4", f"wave/{WAVES[1]}.avi", "wave/x.avi"
    )
    found = open_hmdb51(root)
    assert found.classes == ("climb", "climb_stairs", "wave")
    assert [(item.path, item.split, item.group) for item in found.items] == [
        (f"climb/{CLIMB}.avi", "train", "climb/Rock_Climbing"),
        (f"climb_stairs/{STAIRS}", "test", "climb_stairs/climb_up"),
        (f"wave/{WAVES[0]}.mp4", "train", "wave/21"),
    ]
    assert found.findings.missing == (f"wave/{WAVES[2]}.avi",)
    assert leaks(found) == ()
    assert found.group_hashes[0] in open_hmdb51(root, split=2).group_hashes, "a group is one through all splits"
    every = open_hmdb51(root, split=None)
    assert [item.group for item in every.items][-1] == "wave/(HQ)_8.5"
    assert {item.split for item in every.items} == {None}
    assert open_hmdb51(root, annotations=lists).hash == found.hash


def test_what_is_wrong_is_named(tree, lists: Path, tmp_path: Path) -> None:
    root = tree(f"climb/{CLIMB}.avi")
    with pytest.raises(UsageError, match=r"no split 4.*there is split 1, 2"):
        open_hmdb51(root, split=4)
    with pytest.raises(InputDataError, match=r"holds no <class>_test_split1\.txt"):
        open_hmdb51(root, annotations=root)
    with pytest.raises(InputDataError, match=r"none of the videos.*Rock_Climbing"):
        open_hmdb51(tree("a.avi", root="other"))
    (root / "again").mkdir()
    (root / "again" / f"{CLIMB}.avi").touch()
    with pytest.raises(InputDataError, match="more than once"):
        open_hmdb51(root)
    path = lists / "wave_test_split1.txt"
    for text, why in (
        (f"{WAVES[0]}.avi 3\n", "line 1 is not"),
        (f"{CLIMB}.avi 1\n", "line 1 is not"),
        (f"{WAVES[0]}.avi 1\n\n{WAVES[0]}.avi 2\n", "line 3 lists"),
    ):
        path.write_text(text)
        with pytest.raises(InputDataError, match=why):
            read_hmdb_lists(lists)
    path.unlink()
    with pytest.raises(InputDataError, match="cannot be read"):
        read_hmdb_lists(lists)
    with pytest.raises(InputDataError, match="lists of HMDB51 are not found"):
        open_hmdb51(root / "climb")
