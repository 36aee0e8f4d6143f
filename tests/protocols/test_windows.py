"""Windows of labeled frames: the label rule by brute force, 7 and 8 frames, ties, folds, and what intervals draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.objects import NO_OBJECT, FrameLabels, Run
from tubelet.datasets.splits import Fold
from tubelet.descriptors.store import ClipTable
from tubelet.descriptors.video_vectors import VideoVectors
from tubelet.errors import InputDataError
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.descriptor_svm import SvmSettings, evaluate_descriptors
from tubelet.protocols.result import Result
from tubelet.protocols.windows import ClipVectors, folds_of_windows, labeled_items, result_of_clips, top_label

FPS = 25.0


def clip_vectors(frames: dict[str, int], *, window: int = 16, stride: int = 8, step: int = 1) -> ClipVectors:
    """Clips of videos with so many frames, as extract cuts them; each vector is its place."""
    span = (window - 1) * step + 1
    rows = [
        (video, start, min(start + span, n), span > n)
        for video, n in frames.items()
        for start in range(0, max(n - span, 0) + 1, stride)
    ]
    starts, ends = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    videos = np.array([row[0] for row in rows])
    clips = ClipTable(
        videos, videos, np.arange(len(rows), dtype=np.int32), starts, ends, starts / FPS, ends / FPS,
        np.array([row[3] for row in rows]), np.eye(len(rows), dtype=np.float32),
    )  # fmt: skip
    ids = np.array([f"{row[0]}#t={row[1] / FPS:.12g},{row[2] / FPS:.12g}" for row in rows])
    facts = {"model": "c3d", "weights_sha256": "untrained:0", "sampling": '{"policy":"dense","stride_frames":8}'}
    table = VideoVectors("t", Path("t"), "fc6", ids, clips.vectors, facts)
    by_video = {video: [n for n, row in enumerate(rows) if row[0] == video] for video in frames}
    return ClipVectors(clips, step, window, by_video, frames, table)


def labeled(**runs: tuple[Run, ...]) -> FrameLabels:
    return FrameLabels({f"{name}.avi": some for name, some in runs.items()}, {}, {}, ("path", "frame", "label"))


def manifest(*items: Item, classes: tuple[str, ...] = ("cup", "pen")) -> Manifest:
    return Manifest("objects", Path("videos"), items, classes)


@pytest.mark.parametrize("seed", range(4))
def test_labels_are_those_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ("cup", "key", "pen")
    for step in (1, 2):
        runs, at = [], 0
        while at < 150:
            length = int(rng.integers(1, 14))
            if rng.random() < 0.7:
                runs.append(Run(at, at + length - 1, names[rng.integers(3)]))
            at += length
        shown = {frame: run.label for run in runs for frame in range(run.first, run.last + 1)}
        found = clip_vectors({"a.avi": 140}, stride=int(rng.integers(1, 9)), step=step)
        windows, counts = labeled_items(manifest(Item("a.avi"), classes=names), labeled(a=tuple(runs)), found)
        expected, ties, empty = [], 0, 0
        for start in found.clips.start_frame.tolist():
            seen = [shown.get(frame) for frame in range(start, start + 16 * step, step)]
            times = {name: seen.count(name) for name in names}
            most = max(times.values())
            best = [name for name in names if times[name] == most]
            empty += most == 0
            if most >= 8:
                ties += len(best) > 1
                expected.append((start / FPS, min(best, key=seen.index)))
        assert [(item.start_s, item.label) for item in windows["a.avi"]] == expected
        assert (counts.windows, counts.kept, counts.empty, counts.ties) == (
            len(found.clips.start_frame), len(expected), empty, ties,
        )  # fmt: skip
        assert counts.unclear == counts.windows - counts.kept - counts.empty
        assert counts.kept > 3


def test_eight_frames_are_kept_and_seven_dropped() -> None:
    found = clip_vectors({"seven.avi": 16, "eight.avi": 16})
    labels = labeled(seven=(Run(3, 9, "cup"),), eight=(Run(3, 10, "cup"),))
    videos = manifest(Item("seven.avi"), Item("eight.avi"))
    windows, counts = labeled_items(videos, labels, found)
    assert [len(windows[name]) for name in ("seven.avi", "eight.avi")] == [0, 1]
    assert (counts.kept, counts.unclear, counts.empty) == (1, 1, 0)
    windows, _ = labeled_items(videos, labels, found, least_frames=7)
    assert [len(windows[name]) for name in ("seven.avi", "eight.avi")] == [1, 1]


def test_of_a_tie_the_first_seen_counts() -> None:
    assert top_label([1] * 8 + [0] * 8) == (1, 8, True)
    assert top_label([NO_OBJECT, 0, 1] + [1, 0] * 3) == (0, 4, True)
    assert top_label([1] + [0] * 2 + [NO_OBJECT] * 9) == (0, 2, False)
    assert top_label([NO_OBJECT] * 16) == (NO_OBJECT, 0, False)
    labels = labeled(a=(Run(0, 7, "pen"), Run(8, 15, "cup")))
    windows, counts = labeled_items(manifest(Item("a.avi")), labels, clip_vectors({"a.avi": 16}))
    assert [item.label for item in windows["a.avi"]] == ["pen"]
    assert "1 of 1 windows have a label (1 of them by a tie, where the object seen first counts)" in counts.sentence()


def test_a_video_shorter_than_a_window_has_none() -> None:
    labels = labeled(a=(Run(0, 14, "cup"),))
    windows, counts = labeled_items(manifest(Item("a.avi")), labels, clip_vectors({"a.avi": 15}))
    assert windows["a.avi"] == []
    assert (counts.windows, counts.short) == (0, 1)
    assert counts.sentence().endswith("; 1 videos are shorter than a window")


def objects(videos: int, groups: int | None = None) -> tuple[Fold, FrameLabels, ClipVectors]:
    """Videos of 48 frames, half of which show a cup and then a pen; every second video tests."""
    names = [f"v{number:02d}.avi" for number in range(videos)]
    items = [Item(name, "cup", group=None if groups is None else f"g{n % groups}") for n, name in enumerate(names)]
    runs = (Run(0, 23, "cup"), Run(24, 47, "pen"))
    labels = FrameLabels(dict.fromkeys(names, runs), {}, {}, ())
    return (
        Fold("held-out", manifest(*items[::2]), manifest(*items[1::2])),
        labels,
        clip_vectors(dict.fromkeys(names, 48)),
    )


def test_a_fold_of_videos_becomes_one_of_windows() -> None:
    fold, labels, found = objects(4)
    (one,), clips, failed = folds_of_windows([fold], labels, found)
    # 48 frames have windows at 0, 8, 16, 24 and 32; that at 16 has 8 frames of each and is a cup, seen first.
    assert [(item.start_s, item.end_s, item.label) for item in one.test.items[:5]] == [
        (0.0, 0.64, "cup"), (0.32, 0.96, "cup"), (0.64, 1.28, "cup"), (0.96, 1.6, "pen"), (1.28, 1.92, "pen"),
    ]  # fmt: skip
    assert {item.own_group for item in one.test.items} == {"v01.avi", "v03.avi"}
    assert (len(one.train), len(one.test), failed) == (10, 10, ())
    assert (clips.settings["kept"], clips.settings["train"], clips.settings["test"]) == (20, 10, 10)
    assert clips.compared == {"window_frames": 16, "least_frames": 8}


def test_missing_videos_and_labels_behind_the_end_are_told() -> None:
    fold, labels, found = objects(4)
    less = clip_vectors({"v00.avi": 48, "v01.avi": 40, "v02.avi": 48})
    less.vectors.failed["v03.avi"] = "no frame"
    _, clips, failed = folds_of_windows([fold], labels, less)
    assert [(each.video_id, each.error) for each in failed] == [("v03.avi", "no descriptor in t: no frame")]
    assert clips.notes[-1] == "labels go on behind the last frame of v01.avi, so they may be those of another cut"
    nothing = FrameLabels({name: (Run(0, 3, "cup"),) for name in labels.runs}, {}, {}, ())
    with pytest.raises(InputDataError, match=r"no fold has windows.*0 of 20 windows have a label"):
        folds_of_windows([fold], nothing, found)


def test_whole_videos_are_drawn_for_the_interval(tmp_path: Path) -> None:
    for videos, groups, unit, n_units in ((24, None, "video", 12), (48, 24, "group", 12), (24, 4, "video", 12)):
        fold, labels, found = objects(videos, groups)
        judged, clips, _ = folds_of_windows([fold], labels, found)
        result = evaluate_descriptors(
            judged, [found.vectors], SvmSettings(), tmp_path / f"{videos}-{groups}", clips=clips
        ).result
        assert (result.metric, result.unit, result.n) == ("clip accuracy", "clip", 5 * videos // 2)
        assert result.interval is not None
        assert (result.interval.unit, result.interval.n_units) == (unit, n_units)
        assert f"on {result.n} clips" in result.headline()
        assert result.published is None, "two objects are not the paper's 42"


def test_few_videos_have_no_interval() -> None:
    ends = Interval(0.1, 0.9, 0.95, "percentile bootstrap", "group", 9, 2000)
    nine = [Item(f"{number}.avi", "cup") for number in range(9) for _ in range(3)]
    found = result_of_clips(Result("svm", "accuracy", 0.5, 27, ends, class_mean_interval=ends), nine)
    assert found.interval is found.class_mean_interval is None
    assert found.notes[-1].startswith("fewer than 10 test videos")
    ten = result_of_clips(Result("svm", "accuracy", 0.5, 28, ends), [*nine, Item("9.avi", "cup")])
    assert ten.interval is not None
    assert ten.interval.unit == "video"
