"""Lists of PySlowFast: names of classes, absolute paths, what several lists share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.datasets.catalog import detect_kind
from tubelet.datasets.pyslowfast import open_pyslowfast
from tubelet.errors import InputDataError


def test_classes_may_be_named_and_then_directions_count(tree) -> None:
    root = tree("a.mp4", "b.mp4")
    (root / "train.csv").write_text("a.mp4 0\n\nb.mp4 1\na.mp4 0\n")
    (root / "labels.txt").write_text("Turning left\nTurning right\nWaiting\n")
    found = open_pyslowfast(root)
    assert [item.label for item in found.items] == ["Turning left", "Turning right"]
    assert len(found.classes) == 3
    assert not found.flip
    assert open_pyslowfast(root, flip=True).flip
    assert "1 lines of train.csv are repeated and count once: a.mp4" in found.findings.notes
    (root / "train.csv").write_text("a.mp4 3\n")
    with pytest.raises(InputDataError, match="line 1: 3 is no label number from 0 to 2"):
        open_pyslowfast(root)


def test_absolute_paths_and_paths_that_lead_out(tree, tmp_path: Path) -> None:
    root = tree("a b/c.mp4")
    tree("secret.mp4", root="outside")
    (root / "train.csv").write_text(f"{root}/a b/c.mp4,0\n")
    assert [item.path for item in open_pyslowfast(root).items] == ["a b/c.mp4"]
    (root / "val.csv").write_text(f"{tmp_path}/outside/secret.mp4 0\n")
    with pytest.raises(InputDataError, match=r"leads out of the data folder.*secret\.mp4"):
        open_pyslowfast(root)
    assert len(open_pyslowfast(root, allow_outside=True)) == 2


def test_a_test_list_that_repeats_the_validation_list(tree) -> None:
    root = tree("a.mp4", "b.mp4")
    (root / "train.csv").write_text("a.mp4 0\n")
    for name in ("val.csv", "test.csv"):
        (root / name).write_text("b.mp4 1\n")
    found = open_pyslowfast(root)
    assert [item.split for item in found.items] == ["train", "test"]
    assert "1 videos of val.csv are in test.csv too and count as test" in found.findings.notes


def test_other_tables_are_not_mistaken_for_lists(tree) -> None:
    root = tree("walk/a.mp4", "run/b.mp4")
    for text in ("", "epoch,loss\n1,2\n", "gone.mp4 3\n", "walk/a.mp4 three\n"):
        (root / "train.csv").write_text(text)
        assert detect_kind(root) == "folder"
    (root / "train.csv").write_text("walk/a.mp4 0\n")
    assert detect_kind(root) == "pyslowfast"
