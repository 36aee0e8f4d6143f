"""Opening any dataset by its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.datasets import DATASETS, open_dataset
from tubelet.datasets.catalog import detect_kind
from tubelet.errors import InputDataError, UsageError


def test_every_kind_is_described() -> None:
    own = {"folder", "metadata", "class-folders", "videos", "pyslowfast"}
    actions = {"ucf101", "hmdb51", "weizmann", "kth", "sports1m", "kinetics", "activitynet", "activitynet-segments"}
    assert set(DATASETS) == own | actions | {"yupenn", "maryland", "aslan", "objects"}
    assert all(kind.about and kind.protocol for kind in DATASETS.values())


def test_a_folder_is_read_by_its_table_if_it_has_one(tree) -> None:
    root = tree("walk/a.avi", "run/b.avi")
    assert open_dataset("folder", root).classes == ("run", "walk")
    (root / "metadata.csv").write_text("file_name,label,mood\nwalk/a.avi,slow,glad\nrun/b.avi,fast,sad\n")
    assert open_dataset("folder", root).classes == ("fast", "slow")
    assert open_dataset("folder", root, label_column="mood").classes == ("glad", "sad")
    assert open_dataset("folder", root / "metadata.csv").classes == ("fast", "slow")
    assert open_dataset("metadata", root).classes == ("fast", "slow")
    assert open_dataset("class-folders", root).classes == ("run", "walk")
    assert open_dataset("videos", root).classes == ()


def test_options_reach_the_reader(tree) -> None:
    root = tree("walk/a.avi", "run/b/")
    found = open_dataset("folder", root, fps=5, flip=False)
    assert (found.fps, found.flip) == (5, False)
    assert open_dataset("videos", root, fps=5, flip=False).fps == 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "weizman"}, "no dataset kind 'weizman'; did you mean weizmann"),
        ({"kind": "xyz"}, "the kinds are folder, metadata"),
        ({"kind": "folder", "annotations": "x"}, "has no official lists"),
        ({"kind": "weizmann", "label_column": "mood"}, "one label only"),
        ({"kind": "folder", "label_column": "mood"}, "label column 'mood'"),
    ],
)
def test_what_does_not_fit_together_is_a_usage_error(tree, arguments, says: str) -> None:
    root = tree("walk/a_walk.avi", "run/a_run.avi")
    with pytest.raises(UsageError, match=says):
        open_dataset(arguments.pop("kind"), root, **arguments)


def test_kinds_are_recognized(tree, shared_data: Path) -> None:
    assert detect_kind(shared_data / "weizmann") == "weizmann"
    assert detect_kind(shared_data / "ucf101/frames_5fps") == "ucf101"
    assert detect_kind(shared_data / "hmdb51/clips") == "hmdb51"
    root = tree("walk/a.avi", "run/b.avi")
    assert detect_kind(root) == "folder"
    (root / "metadata.csv").write_text("file_name\n")
    assert detect_kind(root) == detect_kind(root / "metadata.csv") == "metadata"
    assert open_dataset("auto", shared_data / "weizmann").name == "weizmann"
    assert open_dataset(shared_data / "ucf101/frames_5fps").name == "ucf101-split1"
    with pytest.raises(InputDataError, match="no such folder"):
        open_dataset(root / "nope")


def test_an_empty_folder_is_a_folder(tmp_path: Path) -> None:
    assert detect_kind(tmp_path) == "folder"


def test_names_like_ucf101_without_its_lists_are_a_folder(tree) -> None:
    root = tree("A/v_A_g01_c01.avi", "B/v_B_g01_c01.avi")
    assert detect_kind(root) == "folder"
    assert open_dataset(root).groups == ("g01",)
