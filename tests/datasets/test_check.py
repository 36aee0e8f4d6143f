"""Checking a dataset: with verdicts made up for every case, then with real files and the real decoder."""

from __future__ import annotations

import json
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tubelet.datasets import Item, Manifest, open_dataset
from tubelet.datasets.check import check_dataset
from tubelet.datasets.findings import Findings
from tubelet.errors import ExitCode, UsageError, VideoError
from tubelet.video.report import DecodeReport

GOOD = DecodeReport("ok", 40, 40, 25.0, "container", 1.6, 320, 240, "h264", "mov")


class Verdicts:
    """A decoder that knows its verdicts beforehand, by file name; everything else is good."""

    def __init__(self, workers: int = 1, **verdicts: DecodeReport | Exception) -> None:
        self.workers = workers
        self.verdicts = verdicts
        self.calls: list[tuple[str, float | None]] = []
        self.threads: set[int] = set()

    def measure(self, path, fps=None) -> DecodeReport:
        self.calls.append((Path(path).name, fps))
        self.threads.add(threading.get_ident())
        time.sleep(0.002)
        verdict = self.verdicts.get(Path(path).stem, GOOD)
        if getattr(verdict, "fps_source", None) == "assumed":
            warnings.warn(f"{path}: a folder of frames has no frame rate", UserWarning, stacklevel=2)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


def test_a_sound_folder(tree) -> None:
    manifest = open_dataset("folder", tree("walk/aa.avi", "walk/b.avi", "run/ccc.avi", "run/dddd.avi"))
    seen: list[tuple[int, int]] = []
    report = check_dataset(manifest, Verdicts(), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.exit_code == ExitCode.DONE
    assert report.problems == report.warnings == ()
    assert report.counts == {"run": {"": 2}, "walk": {"": 2}}
    assert report.by_group == {}
    assert report.histograms == {"fps": {"25": 4}, "size": {"320x240": 4}, "frames": {"32-63": 4}}
    assert report.lengths == {
        "shortest_frames": 40,
        "median_frames": 40,
        "longest_frames": 40,
        "total_s": 6.4,
    }
    assert [video.path for video in report.videos] == [item.path for item in manifest.items]
    json.dumps(report.to_dict(), allow_nan=False)


def test_unreadable_and_partial_videos_and_the_exit_code(tree) -> None:
    manifest = open_dataset("folder", tree("walk/a.avi", "walk/b.avi", "run/c.avi", "run/d.avi", "run/e.avi"))
    decoder = Verdicts(
        a=VideoError("no frame can be decoded", path="a.avi", why="truncated"),
        c=replace(GOOD, status="partial", frames_decoded=31, problems=("9 frames are missing",)),
        b=VideoError("not a video", path="b.avi"),
    )
    report = check_dataset(manifest, decoder)
    assert [(video.path, video.status) for video in report.unreadable] == [
        ("walk/a.avi", "failed"),
        ("walk/b.avi", "failed"),
    ]
    assert report.unreadable[0].problems == ("no frame can be decoded: a.avi (truncated)",)
    assert report.exit_code == ExitCode.SOME_FAILED
    assert report.problems == ("2 videos cannot be read", "1 video lost frames")
    assert report.empty_classes == ("walk",)
    assert "1 class without a readable video: walk" in report.warnings
    summary = report.to_dict()
    assert summary["exit_code"] == 3
    assert summary["unreadable"][0] == {
        "path": "walk/a.avi",
        "error": "no frame can be decoded: a.avi (truncated)",
    }
    assert summary["partial"] == [
        {
            "path": "run/c.avi",
            "frames_declared": 40,
            "frames_decoded": 31,
            "problems": ["9 frames are missing"],
        }
    ]


def test_bugs_of_ours_are_not_taken_for_bad_videos(tree) -> None:
    manifest = open_dataset("folder", tree("walk/a.avi", "walk/b.avi"))
    with pytest.raises(ZeroDivisionError):
        check_dataset(manifest, Verdicts(a=ZeroDivisionError()))


def test_nothing_depends_on_the_number_of_workers(tree) -> None:
    manifest = open_dataset("folder", tree(*(f"c{n % 3}/v{n}.avi" for n in range(24))))
    verdicts = {f"v{n}": replace(GOOD, frames_decoded=10 * n + 1) for n in range(24)}
    one, many = Verdicts(1, **verdicts), Verdicts(4, **verdicts)
    assert check_dataset(manifest, one).to_dict() == check_dataset(manifest, many).to_dict()
    assert len(one.threads) == 1
    assert len(many.threads) > 1
    assert len(check_dataset(manifest, many, workers=1).videos) == 24


def test_short_videos_and_spans(tree) -> None:
    root = tree("a.avi", "bb.avi", "ccc.avi")
    (root / "metadata.csv").write_text(
        "file_name,label,start_s,end_s\n"
        "a.avi,x,,\n"  # 15 frames
        "bb.avi,x,,\n"  # 16 frames
        "ccc.avi,x,0.2,0.8\n"  # frames 5 to 19 of 40: 15
        "ccc.avi,y,0.8,\n"  # frames 20 to 39: 20
        "ccc.avi,x,5,6\n"  # behind the end
    )
    decoder = Verdicts(a=replace(GOOD, frames_decoded=15), bb=replace(GOOD, frames_decoded=16))
    report = check_dataset(open_dataset("folder", root), decoder)
    assert [(item.path, item.start_s, frames) for item, frames in report.short] == [
        ("a.avi", None, 15),
        ("ccc.avi", 0.2, 15),
        ("ccc.avi", 5.0, 0),
    ]
    assert sorted(decoder.calls) == [("a.avi", None), ("bb.avi", None), ("ccc.avi", None)], "spans decode once"
    assert report.warnings[0] == "3 videos shorter than 16 frames: one padded clip each"
    assert report.histograms["frames"] == {"under 16": 1, "16-31": 1, "32-63": 1}
    assert len(check_dataset(open_dataset("folder", root), Verdicts(), short_frames=41).short) == 5
    with pytest.raises(UsageError, match="no number of frames"):
        check_dataset(open_dataset("folder", root), Verdicts(), short_frames=0)


def test_copies_within_and_across_splits(tree) -> None:
    root = tree("train/x/one.avi", "train/x/two.avi", "train/y/three.avi", "test/x/four.avi", "test/y/five.avi")
    (root / "train/x/two.avi").write_bytes((root / "train/x/one.avi").read_bytes())
    (root / "test/y/five.avi").write_bytes((root / "train/y/three.avi").read_bytes())
    report = check_dataset(open_dataset("folder", root), Verdicts())
    assert report.duplicates == (
        ("test/y/five.avi", "train/y/three.avi"),
        ("train/x/one.avi", "train/x/two.avi"),
    )
    (leak,) = report.leaks
    assert (leak.kind, leak.paths) == (
        "content",
        (("test", ("test/y/five.avi",)), ("train", ("train/y/three.avi",))),
    )
    assert report.exit_code == ExitCode.BAD_DATA
    assert report.problems == ("1 leak between splits: what is tested was trained on",)
    assert leak.sentence() == "the same content is in test and train: test/y/five.avi = train/y/three.avi"
    assert report.to_dict()["leaks"][0]["splits"]["train"] == ["train/y/three.avi"]


def test_copies_in_two_classes_or_groups_are_remarked(tree) -> None:
    root = tree("x/a.avi", "y/a.avi", "z/v1/", "z/v2/")
    (root / "y/a.avi").write_bytes(b"x/a.avi")
    for frame in (root / "z/v1").iterdir():
        (root / "z/v2" / frame.name).write_bytes(frame.read_bytes())
    report = check_dataset(open_dataset("folder", root, fps=5), Verdicts())
    assert report.duplicates == (("x/a.avi", "y/a.avi"), ("z/v1", "z/v2"))
    assert report.warnings == (
        ("2 contents more than once under different names: x/a.avi = y/a.avi; a random split may separate them"),
        "the same content has different labels: x/a.avi = y/a.avi",
    )


def test_a_damaged_copy_is_still_a_copy(tree) -> None:
    root = tree("x/a.avi", "x/b.avi")
    (root / "x/b.avi").write_bytes(b"x/a.avi")
    error = VideoError("not a video")
    assert check_dataset(open_dataset("folder", root), Verdicts(a=error, b=error)).duplicates


def test_groups_in_two_splits(tree) -> None:
    root = tree("a.avi", "bb.avi", "ccc.avi")
    (root / "metadata.csv").write_text(
        "file_name,label,split,group\na.avi,x,train,p1\nbb.avi,x,test,p1\nccc.avi,y,train,p2\n"
    )
    report = check_dataset(open_dataset("folder", root), Verdicts())
    assert report.exit_code == ExitCode.BAD_DATA
    assert report.by_group == {"p1": 2, "p2": 1}
    assert report.counts == {"x": {"test": 1, "train": 1}, "y": {"test": 0, "train": 1}}
    assert report.one_sided == {"y": ("test",)}
    assert "not every class is in every split: y is missing from test" in report.warnings


@pytest.mark.parametrize(("third", "more"), [("", ""), ("ccc.avi,w,train,\n", ", and 1 more class")])
def test_further_labels_count_for_the_sides_of_a_class(tree, third: str, more: str) -> None:
    root = tree("a.avi", "bb.avi", "ccc.avi")
    lines = f"a.avi,x,train,y\nbb.avi,y,test,x|z\n{third}"
    (root / "metadata.csv").write_text(f"file_name,label,split,more_labels\n{lines}")
    report = check_dataset(open_dataset("folder", root), Verdicts())
    assert report.one_sided == {"z": ("train",)} if not third else {"w": ("test",), "z": ("train",)}
    first = ("w", "test") if third else ("z", "train")
    told = f"not every class is in every split: {first[0]} is missing from {first[1]}{more}"
    assert told in report.warnings
    assert report.warnings[-1 - (not third)] == "2 videos have several labels; the table counts the first"


def test_labels_that_are_probably_one(tree) -> None:
    root = tree("Walk/a.avi", "walk /b.avi", "wave_1/c.avi", "wave1/d.avi", "run/e.avi", "!/f.avi", "?/g.avi")
    report = check_dataset(open_dataset("folder", root), Verdicts())
    assert report.similar_labels == (("Walk", "walk "), ("wave1", "wave_1"))
    assert "these classes are probably one: 'Walk', 'walk '" in report.warnings


def test_frame_rates_that_nobody_gave_are_told_once(tree, recwarn) -> None:
    root = tree("x/v1/", "x/v2/")
    report = check_dataset(open_dataset("folder", root), Verdicts(v1=replace(GOOD, fps_source="assumed")))
    assert report.warnings[-1].startswith("1 frame folder without a frame rate: 25 frames/s are assumed")
    assert not recwarn.list
    decoder = Verdicts()
    check_dataset(open_dataset("folder", root, fps=5), decoder)
    assert {fps for _, fps in decoder.calls} == {5}


def test_what_reading_found_is_passed_on(tree) -> None:
    root = tree("x/a.avi")
    findings = Findings(("notes.txt",), ("gone.avi",), ("extra.avi",), ("a note",))
    manifest = Manifest("m", root, (Item("x/a.avi", "x"), Item("no-label.avi")), ("x",), findings=findings)
    report = check_dataset(manifest, Verdicts())
    summary = report.to_dict()
    assert [summary[key] for key in ("ignored", "missing", "unlisted", "notes")] == [
        ["notes.txt"],
        ["gone.avi"],
        ["extra.avi"],
        ["a note"],
    ]
    assert report.counts == {"x": {"": 1}, "": {"": 1}}
    assert "1 video in the folder that the list does not name: extra.avi" in report.warnings


def test_a_path_out_of_the_root_is_not_opened(tree, tmp_path: Path) -> None:
    root = tree("x/a.avi")
    (tmp_path / "secret.avi").touch()
    (root / "x/b.avi").symlink_to(tmp_path / "secret.avi")
    decoder = Verdicts()
    report = check_dataset(Manifest("m", root, (Item("x/a.avi", "x"), Item("x/b.avi", "x")), ("x",)), decoder)
    assert decoder.calls == [("a.avi", None)]
    assert "leads out of the data folder" in report.unreadable[0].problems[0]


def test_a_report_of_nothing_readable(tree) -> None:
    manifest = open_dataset("folder", tree("x/a.avi"))
    report = check_dataset(manifest, Verdicts(a=VideoError("not a video")))
    assert report.lengths == {}
    assert report.histograms == {"fps": {}, "size": {}, "frames": {}}


def test_real_files_in_real_decoding_processes(tmp_path: Path) -> None:
    from tubelet.clips.decode import ClipDecoder
    from tubelet.video.encode import encode

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (40, 48, 64, 3), np.uint8)
    root = tmp_path / "faults"
    for name, count in (("good", 40), ("short", 7), ("cut", 40)):
        (root / "walk").mkdir(parents=True, exist_ok=True)
        encode(root / "walk" / f"{name}.avi", frames[:count], codec="mpeg4")
    whole = (root / "walk/cut.avi").read_bytes()
    (root / "walk/cut.avi").write_bytes(whole[: len(whole) * 6 // 10])
    (root / "run").mkdir()
    (root / "run/text.mp4").write_text("this is no video")
    (root / "run/empty.mkv").touch()
    (root / "run/copy.avi").write_bytes((root / "walk/good.avi").read_bytes())
    with ClipDecoder(workers=1) as decoder:
        report = check_dataset(open_dataset("folder", root), decoder)
    assert {video.path: video.status for video in report.videos} == {
        "run/copy.avi": "ok",
        "run/empty.mkv": "failed",
        "run/text.mp4": "failed",
        "walk/cut.avi": "partial",
        "walk/good.avi": "ok",
        "walk/short.avi": "ok",
    }
    (cut,) = report.partial
    assert cut.frames_declared == 40
    assert 0 < cut.frames_decoded < 40
    assert [(item.path, frames) for item, frames in report.short] == [("walk/short.avi", 7)]
    assert report.duplicates == (("run/copy.avi", "walk/good.avi"),)
    assert report.exit_code == ExitCode.SOME_FAILED


def test_segments_that_the_video_is_too_short_for(tree) -> None:
    root = tree("a.avi", "b.avi", "c.avi")  # 40 frames at 25 frames/s: 1.6 s
    spans = {"a.avi": (0.0, 1.64), "b.avi": (0.0, 1.65), "c.avi": (1.6, 3.0)}
    items = tuple(Item(path, "x", None, None, *times) for path, times in spans.items())
    report = check_dataset(Manifest("m", root, items, ("x",)), Verdicts(), short_frames=1)
    assert [(item.path, round(over, 6)) for item, over in report.past_end] == [("b.avi", 0.05), ("c.avi", 1.4)]
    assert "2 segments longer than the video: b.avi, 0 to 1.65 s, by 0.05 s" in report.warnings
    assert [item.path for item in report.beyond] == ["c.avi"]
    assert report.problems == ("1 segment without a frame: behind the end of the video",)
    assert report.exit_code == ExitCode.SOME_FAILED
    assert report.to_dict()["past_end"][1] == {"path": "c.avi", "start_s": 1.6, "end_s": 3.0, "by_s": 1.4}
    broken = check_dataset(Manifest("m", root, items[:1], ("x",)), Verdicts(a=VideoError("no video")))
    assert broken.past_end == broken.beyond == (), "of what cannot be read nothing is known"


def test_mislabeled_videos_and_several_labels(tree) -> None:
    root = tree("y/a.avi")
    items = (Item("y/a.avi", "x", more_labels=("y",)),)
    findings = Findings(mislabeled=("y/a.avi: the list says z",))
    report = check_dataset(Manifest("m", root, items, ("x", "y", "z"), findings=findings), Verdicts())
    assert report.problems == ("1 mislabeled: place, name or list contradicts the label",)
    assert report.empty_classes == ("z",)
    assert report.to_dict()["mislabeled"] == ["y/a.avi: the list says z"]
