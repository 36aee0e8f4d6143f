"""Folders described by a table."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tubelet.datasets import open_dataset
from tubelet.datasets.catalog import detect_kind
from tubelet.datasets.metadata_csv import open_metadata_csv
from tubelet.errors import InputDataError, UsageError


def test_a_table_beside_the_videos(tree) -> None:
    root = tree("a.avi", "sub/b.mp4", "frames/", "unlisted.avi", "notes.txt")
    (root / "metadata.csv").write_text(
        "file_name,label,split,group,place\na.avi,walk,train,p1,park\nsub/b.mp4,run,test,p2,park\nframes,run,valid,,sea\n"
    )
    found = open_metadata_csv(root, fps=12.5)
    assert [(i.path, i.label, i.split, i.group) for i in found.items] == [
        ("a.avi", "walk", "train", "p1"),
        ("sub/b.mp4", "run", "test", "p2"),
        ("frames", "run", "val", None),
    ]
    assert found.classes == ("run", "walk")
    assert found.fps == 12.5
    assert found.group_rule == "column 'group' of the table (1 of 3 videos without one: each its own)"
    assert found.findings.unlisted == ("unlisted.avi",)
    assert found.findings.ignored == ("notes.txt",)
    assert open_metadata_csv(root / "metadata.csv").items == found.items
    places = open_metadata_csv(root, label_column="place")
    assert places.classes == ("park", "sea")
    with pytest.raises(UsageError, match="label column 'color'"):
        open_metadata_csv(root, label_column="color")


def test_a_table_in_each_split_folder(tree) -> None:
    root = tree("train/a.avi", "test/b.avi", "test/c.avi")
    (root / "train/metadata.csv").write_text("file_name,label\na.avi,walk\n")
    (root / "test/metadata.csv").write_text("file_name,label\nb.avi,walk\nc.avi,run\n")
    found = open_metadata_csv(root)
    assert {(i.path, i.split) for i in found.items} == {
        ("train/a.avi", "train"),
        ("test/b.avi", "test"),
        ("test/c.avi", "test"),
    }
    assert found.findings.ignored == ()


def test_a_manifest_is_found_like_metadata(tree) -> None:
    root = tree("a.avi", "b.avi", "train/c.avi")
    (root / "manifest.csv").write_text("file_name,label,split\na.avi,walk,train\nb.avi,run,test\n")
    assert detect_kind(root) == "metadata"
    found = open_dataset(root)
    assert [(item.path, item.label) for item in found.items] == [("a.avi", "walk"), ("b.avi", "run")]
    assert (found.findings.ignored, found.findings.unlisted) == ((), ("train/c.avi",))
    (root / "train/metadata.csv").write_text("file_name,label\nc.avi,jump\n")
    assert open_dataset(root).classes == ("jump",)
    (root / "metadata.csv").write_text("file_name,label\na.avi,sit\n")
    both = open_dataset(root)
    assert both.classes == ("sit",)
    assert "manifest.csv is not read, since metadata.csv is there" in both.findings.notes
    assert open_dataset("metadata", root / "manifest.csv").classes == ("run", "walk")


def test_what_the_checker_writes_is_read_again(tree) -> None:
    root = tree("walk/a.avi", "run/b.avi")
    before = open_dataset(root)
    before.to_csv(root / "manifest.csv")
    assert detect_kind(root) == "metadata"
    assert open_dataset(root).items == before.items


@pytest.mark.parametrize("text", ["", "id,url\n1,x\n", "\xff"])
def test_another_manifest_is_no_table_of_videos(tree, text: str) -> None:
    root = tree("walk/a.avi", "run/b.avi")
    (root / "manifest.csv").write_bytes(text.encode("latin-1"))
    assert detect_kind(root) == "folder"
    assert open_dataset(root).findings.ignored == ("manifest.csv",)


def test_a_manifest_makes_nothing_else_of_a_known_kind(tree) -> None:
    root = tree("ido_run.avi", "eli_walk.avi")
    open_dataset("weizmann", root).to_csv(root / "manifest.csv")
    assert detect_kind(root) == "weizmann"


def test_groups_fall_back_to_names_and_then_to_the_videos(tree) -> None:
    root = tree("v_A_g03_c01.avi", "v_A_g04_c01.avi")
    (root / "metadata.csv").write_text("file_name,label\nv_A_g03_c01.avi,A\nv_A_g04_c01.avi,A\n")
    assert open_metadata_csv(root).groups == ("g03", "g04")
    (root / "metadata.csv").write_text("file_name,label,group\nv_A_g03_c01.avi,A,\nv_A_g04_c01.avi,A,\n")
    assert open_metadata_csv(root).groups == ("g03", "g04"), "an empty column is none"


def test_all_missing_files_are_named_together_with_the_nearest_name(tree) -> None:
    root = tree("walk/A.AVI", f"walk/{unicodedata.normalize('NFD', 'été')}.avi", "walk/b.avi")
    composed = unicodedata.normalize("NFC", "été")
    (root / "metadata.csv").write_text(
        f"file_name,label\nwalk/a.avi,walk\nwalk/{composed}.avi,walk\nwalk/b.avi,walk\nwalk/gone.avi,walk\n"
    )
    with pytest.raises(InputDataError) as caught:
        open_metadata_csv(root)
    sentence = str(caught.value)
    assert sentence.startswith("3 of 4 videos of the table do not exist")
    assert "line 2: walk/a.avi, but there is walk/A.AVI" in sentence
    assert sentence.count("but there is") == 2
    assert sentence.count("in another Unicode form") == 1
    assert "line 5: walk/gone.avi)" in sentence
    kept = open_metadata_csv(root, allow_missing=True)
    assert len(kept) == 1
    assert kept.findings.missing == ("walk/a.avi", f"walk/{composed}.avi", "walk/gone.avi")


def test_a_table_whose_files_are_all_missing_is_refused_even_if_some_may_miss(tree) -> None:
    root = tree("b.avi")
    (root / "metadata.csv").write_text("file_name,label\na.avi,walk\n")
    with pytest.raises(InputDataError, match="1 of 1 videos"):
        open_metadata_csv(root, allow_missing=True)


def test_paths_are_written_in_many_ways_and_mean_one_video(tree) -> None:
    root = tree("walk/a.avi", "walk/b.avi", "walk/c.avi")
    (root / "metadata.csv").write_text("file_name,label\n./walk/a.avi,w\nwalk\\b.avi,w\nwalk//c.avi,w\n")
    assert [item.path for item in open_metadata_csv(root).items] == ["walk/a.avi", "walk/b.avi", "walk/c.avi"]


def test_a_repeated_line_counts_once_and_a_contradiction_is_refused(tree) -> None:
    root = tree("a.avi", "b.avi")
    (root / "metadata.csv").write_text("file_name,label\na.avi,walk\nb.avi,run\na.avi,walk\n")
    found = open_metadata_csv(root)
    assert len(found) == 2
    assert "line 4 repeats line 2" in found.findings.notes[0]
    (root / "metadata.csv").write_text("file_name,label\na.avi,walk\nb.avi,run\na.avi,run\n")
    with pytest.raises(InputDataError, match=r"contradicts itself.*line 4 repeats line 2 with other values: a.avi"):
        open_metadata_csv(root)


def test_spans_of_a_video_are_items_of_their_own(tree) -> None:
    root = tree("a.avi")
    (root / "metadata.csv").write_text("file_name,label,start_s,end_s\na.avi,walk,0,1.5\na.avi,run,1.5,\n")
    found = open_metadata_csv(root)
    assert [(i.label, i.start_s, i.end_s) for i in found.items] == [("walk", 0.0, 1.5), ("run", 1.5, None)]
    assert found.groups == ("a.avi",), "spans of one video never part"


def test_names_that_lead_out_of_the_folder(tree, tmp_path: Path) -> None:
    root = tree("a.avi")
    (tmp_path / "x.avi").touch()
    (root / "link.avi").symlink_to(tmp_path / "x.avi")
    table = root / "metadata.csv"
    for name in ("../x.avi", str(tmp_path / "x.avi"), "link.avi"):
        table.write_text(f"file_name,label\na.avi,walk\n{name},run\n")
        with pytest.raises(InputDataError, match="1 path leads out of the data folder"):
            open_metadata_csv(root)
        found = open_metadata_csv(root, allow_outside=True)
        assert found.file(found.items[1]).exists()


def test_no_table_and_a_table_without_lines(tree) -> None:
    root = tree("a.avi")
    with pytest.raises(InputDataError, match=r"there is no metadata\.csv.*file_name,label"):
        open_metadata_csv(root)
    (root / "metadata.csv").write_text("file_name,label\n")
    with pytest.raises(InputDataError, match="lists no video"):
        open_metadata_csv(root)


def test_a_table_without_labels_is_for_extracting(tree) -> None:
    root = tree("a.avi")
    (root / "metadata.csv").write_text("file_name\na.avi\n")
    found = open_metadata_csv(root)
    assert found.classes == ()
    assert found.items[0].label is None
