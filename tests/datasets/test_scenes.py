"""YUPENN and Maryland: class folders whose numbers are known, one video left out at a time."""

from __future__ import annotations

import pytest

from tubelet.datasets.manifest import OWN_GROUPS
from tubelet.datasets.scenes import open_maryland, open_yupenn
from tubelet.errors import InputDataError


def test_a_whole_set_has_nothing_to_remark(tree) -> None:
    # 14 classes of 30 videos (C3D, section 6); two of the names look like UCF101's, and are no groups here.
    names = [f"class {label:02d}/{number:02d}.mov" for label in range(14) for number in range(28)]
    names += [f"class {label:02d}/v_x_g01_c0{number}.mov" for label in range(14) for number in (1, 2)]
    found = open_yupenn(tree(*names))
    assert (len(found), len(found.classes), len(found.groups)) == (420, 14, 420)
    assert (found.name, found.group_rule, found.flip) == ("yupenn", OWN_GROUPS, True)
    assert found.findings.notes == found.findings.mislabeled == ()


def test_a_part_is_told(tree) -> None:
    names = [f"{label}/{number}.avi" for label in ("Avalanche", "Tornado") for number in range(10)]
    root = tree(*names, "Tornado/10.avi", "Waves/tornado_1.avi")
    found = open_maryland(root, fps=25)
    assert found.findings.notes[-2:] == (
        "3 classes, Maryland has 13",
        "Maryland has 10 videos of each class, here are others: Tornado (11), Waves (1)",
    )
    assert found.findings.mislabeled == ("Waves/tornado_1.avi: named after Tornado",)
    assert not open_maryland(root, flip=False).flip


def test_folders_of_splits_are_refused(tree) -> None:
    with pytest.raises(InputDataError, match=r"YUPENN has no split.*its folders are called test, train"):
        open_yupenn(tree("train/Beach/a.avi", "test/Beach/b.avi"))
