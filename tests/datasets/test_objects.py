"""Frame labels: runs and single frames, what a video is called after, and labels behind its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tubelet.datasets.check import CheckReport, VideoCheck
from tubelet.datasets.objects import NO_OBJECT, Run, open_objects, read_frame_labels
from tubelet.errors import ExitCode, InputDataError

HEAD = "file_name,frame,last_frame,label\n"


@pytest.fixture
def labels(tmp_path: Path) -> Callable[[str], Path]:
    """``labels(lines)`` writes ``frame_labels.csv`` and returns it."""

    def write(lines: str, head: str = HEAD) -> Path:
        file = tmp_path / "frame_labels.csv"
        file.write_text(head + lines, encoding="utf-8")
        return file

    return write


def test_runs_and_single_frames_in_any_order_are_the_same(labels) -> None:
    frame_by_frame = "".join(f"a.avi,{frame},,cup\n" for frame in (5, 3, 4)) + "a.avi,6,,pen\na.avi,9,,cup\n"
    found = read_frame_labels(labels(frame_by_frame))
    assert found.runs == {"a.avi": (Run(3, 5, "cup"), Run(6, 6, "pen"), Run(9, 9, "cup"))}
    assert read_frame_labels(labels("./a.avi,9,9,cup\na.avi,3,5,cup\na.avi,6,6,pen\na.avi,7,8,\n")).runs == found.runs
    assert found.end_of("a.avi") == 10
    # cup is class 0, pen 1.
    assert found.by_frame("a.avi", 8).tolist() == [NO_OBJECT] * 3 + [0, 0, 0, 1, NO_OBJECT]
    assert found.by_frame("a.avi", 2).tolist() == [NO_OBJECT] * 2


def test_a_video_is_called_after_what_most_of_its_frames_show(tree, labels) -> None:
    root = tree("a.avi", "b.avi", "c.avi")
    root.joinpath("frame_labels.csv").write_text(
        HEAD + "a.avi,0,4,pen\na.avi,5,11,cup\na.avi,20,29,key\nb.avi,0,3,pen\nb.avi,4,7,cup\nc.avi,,,\n"
    )
    found = open_objects(root)
    assert found.classes == ("cup", "key", "pen")
    assert [(item.path, item.label, item.more_labels) for item in found.items] == [
        ("a.avi", "key", ("cup", "pen")),
        ("b.avi", "cup", ("pen",)),  # as many frames: by name
        ("c.avi", None, ()),
    ]
    assert found.findings.labeled_frames == (("a.avi", 30), ("b.avi", 8), ("c.avi", 0))
    assert (found.name, found.flip) == ("objects", True)


def test_classes_that_a_mirror_swaps_are_not_mirrored(tree) -> None:
    root = tree("a.avi")
    root.joinpath("frame_labels.csv").write_text(HEAD + "a.avi,0,4,left shoe\na.avi,5,9,right shoe\n")
    assert not open_objects(root).flip
    assert open_objects(root, flip=True).flip


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("", "the list labels no frame"),
        ("a.avi,3,9,\n", "the list labels no frame"),
        ("a.avi,0,9,cup\na.avi,9,,cup\n", "line 3: frame 9 of a.avi is labeled on line 2 already"),
        ("a.avi,0,9,cup\na.avi,3,,pen\n", "line 3: frame 3 of a.avi is labeled on line 2 already"),
        ("a.avi,1.5,,cup\n", r"line 2: '1\.5' is no frame number from 0 on"),
        (f"a.avi,{10**12},,cup\n", "is no frame number from 0 on"),
    ],
)
def test_what_cannot_be_meant_is_refused(labels, lines: str, says: str) -> None:
    with pytest.raises(InputDataError, match=says):
        read_frame_labels(labels(lines))


def test_both_columns_are_needed(labels) -> None:
    with pytest.raises(
        InputDataError, match=r"no column frame and none label: .*its columns are path, object"
    ) as caught:
        read_frame_labels(labels("a.avi,cup\n", head="file_name,object\n"))
    assert caught.value.remedy == "name them file_name,frame,label"


def test_labels_behind_the_last_frame_are_a_problem(tree) -> None:
    root = tree("a.avi", "b.avi", "c.avi")
    root.joinpath("frame_labels.csv").write_text(HEAD + "a.avi,0,19,cup\nb.avi,1,20,cup\nc.avi,1,20,cup\n")
    found = open_objects(root)
    whole = VideoCheck("a.avi", "ok", frames_decoded=20, fps=25.0)
    videos = (whole, replace(whole, path="b.avi"), VideoCheck("c.avi", "failed", problems=("no frame",)))
    report = CheckReport(found, videos, 16, (), ())
    assert [(video.path, end) for video, end in report.overlabeled] == [("b.avi", 21)]
    assert "1 video with labels behind the last frame: frames count from 0" in report.problems
    assert report.exit_code == ExitCode.SOME_FAILED
    assert report.to_dict()["overlabeled"] == [{"path": "b.avi", "frames_labeled": 21, "frames_decoded": 20}]
