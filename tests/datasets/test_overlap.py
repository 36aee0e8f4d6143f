"""What UCF101 and HMDB51 share, and sets without some classes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tubelet.datasets.hmdb51 import read_hmdb_lists
from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.overlap import read_shared_classes, without_classes
from tubelet.datasets.ucf101 import read_official_lists
from tubelet.errors import InputDataError, UsageError


def test_the_lists_name_classes_of_both_sets(shared_data: Path) -> None:
    shared = read_shared_classes(shared_data / "ucf_hmdb_overlap")
    assert [one.name for one in shared[:2]] == ["climb", "fencing"]
    assert shared[0].ucf101 == ("RockClimbingIndoor", "RopeClimbing")
    ucf101 = {name for one in shared for name in one.ucf101}
    hmdb51 = {name for one in shared for name in one.hmdb51}
    assert (len(shared), len(ucf101), len(hmdb51)) == (12, 15, 12)
    assert ucf101 <= set(read_official_lists(shared_data / "ucf101/annotations").classes)
    assert hmdb51 <= set(read_hmdb_lists(shared_data / "hmdb51/testTrainMulti_7030_splits"))


def test_lists_that_do_not_fit_are_refused(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    shutil.copytree(shared_data / "ucf_hmdb_overlap", folder)
    path = folder / "hmdb51_splits__class_list_hmdb_ucf.txt"
    path.chmod(0o644)
    path.write_text("0 climb\n")
    with pytest.raises(InputDataError, match="do not fit together"):
        read_shared_classes(folder)
    path.write_text("climb\n")
    with pytest.raises(InputDataError, match="line 1 is not"):
        read_shared_classes(folder)


def test_classes_go_with_their_videos() -> None:
    items = tuple(Item(f"{label}.avi", label) for label in ("walk", "run", "jump"))
    manifest = Manifest("acts", Path("."), items, ("walk", "run", "jump"))
    left = without_classes(manifest, {"walk"})
    assert (left.classes, [item.path for item in left.items]) == (("run", "jump"), ["run.avi", "jump.avi"])
    assert list(left.targets) == [0, 1]
    with pytest.raises(UsageError, match="no class swim"):
        without_classes(manifest, ["swim"])
    with pytest.raises(UsageError, match="is left"):
        without_classes(manifest, manifest.classes)
