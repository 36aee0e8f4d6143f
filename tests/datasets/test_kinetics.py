"""Kinetics: names without times, several clips of one video, lists of classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.datasets.kinetics import is_kinetics_name, open_kinetics, read_kinetics_tables
from tubelet.errors import InputDataError

REAL = "R6llTwEh07w"  # the clip handed out
HEAD = "label,youtube_id,time_start,time_end,split\n"


def test_a_clip_named_by_the_id_alone(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text(f"{HEAD}arm wrestling,{REAL},0,10,val\nabseiling,aaaaaaaaaaa,1,11,val\n")
    (tmp_path / "label_map_k400.txt").write_bytes((shared_data / "kinetics/label_map_k400.txt").read_bytes())
    found = open_kinetics(shared_data / "kinetics", annotations=tmp_path)
    assert [(item.path, item.label, item.split) for item in found.items] == [(f"{REAL}.mp4", "arm wrestling", "val")]
    assert (len(found.classes), found.classes[0]) == (400, "abseiling")
    assert found.findings.missing == ("aaaaaaaaaaa_000001_000011.mp4",)
    assert found.findings.unlisted == ("mmaction2_demo.mp4",)
    assert "1 videos are named by the id alone and taken for the ten-second clip" in found.findings.notes


def test_an_id_with_several_clips_says_not_which(tree, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(f"{HEAD}a,{REAL},0,10,train\nb,{REAL},30,40,train\nb,aaaaaaaaaaa,0,10,train\n")
    root = tree(f"{REAL}.mp4", "aaaaaaaaaaa_000000_000010.mp4")
    found = open_kinetics(root)
    assert [item.path for item in found.items] == ["aaaaaaaaaaa_000000_000010.mp4"]
    assert found.findings.unlisted == (f"{REAL}.mp4",)
    assert len(found.findings.missing) == 2
    assert f"1 videos are named by an id that has several clips: {REAL}.mp4" in found.findings.notes
    (root / f"{REAL}_000030_000040.mkv").touch()
    both = open_kinetics(root)
    assert [(item.label, item.group) for item in both.items] == [("b", REAL), ("b", "aaaaaaaaaaa")]


def test_tables_are_known_by_their_header_and_told_apart_by_name(tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("video,accuracy\nx,1\n")
    (tmp_path / "kinetics_val.csv").write_text(f"label,youtube_id,time_start,time_end\na,{REAL},0,10\n")
    (tmp_path / "kinetics_train.csv").write_text(
        f'{HEAD}\n"b, c",aaaaaaaaaaa,0,10,train\n"b, c",aaaaaaaaaaa,0,10,train\n'
    )
    clips, classes = read_kinetics_tables(tmp_path)
    assert [(clip.video, clip.label, clip.split) for clip in clips] == [
        ("aaaaaaaaaaa", "b, c", "train"),
        (REAL, "a", "val"),
    ]
    assert classes == ("a", "b, c")
    (tmp_path / "kinetics_600_labels.txt").write_text("a\n")
    with pytest.raises(InputDataError, match=r"not among the classes.*kinetics_600_labels\.txt \(b, c\)"):
        read_kinetics_tables(tmp_path)
    (tmp_path / "kinetics_600_labels.txt").unlink()
    (tmp_path / "kinetics_train.csv").write_text(HEAD)
    (tmp_path / "kinetics_val.csv").write_text(HEAD)
    with pytest.raises(InputDataError, match="list no clip"):
        read_kinetics_tables(tmp_path)


def test_names() -> None:
    assert is_kinetics_name(f"train/a b/{REAL}_000001_000011.mp4")
    assert not is_kinetics_name(f"{REAL}.mp4")
    assert not is_kinetics_name(f"{REAL}_1_11.mp4")
