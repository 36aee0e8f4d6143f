"""Clips at random places: lengths, places, seeds, and what cannot be cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tubelet.datasets import Item, Manifest
from tubelet.datasets.spans import measure_durations, random_spans
from tubelet.errors import InputDataError, UsageError, VideoError
from tubelet.video.report import DecodeReport

MANY = tuple(Item(f"v{number}.mp4", "a", "train", f"g{number}") for number in range(400))
VIDEOS = Manifest("m", Path("nowhere"), (*MANY, Item("test.mp4", "a", "test")), ("a",))
LONG = dict.fromkeys((item.path for item in MANY), 12.0)


def test_c3ds_five_clips_of_two_seconds() -> None:
    found = random_spans(VIDEOS, LONG, count=5, length_s=2.0, seed=7)
    cut = [item for item in found.items if item.split == "train"]
    assert len(cut) == 5 * 400
    assert found.items[-1] == VIDEOS.items[-1], "test videos stay whole"
    starts = np.array([item.start_s for item in cut])
    assert all(item.end_s == pytest.approx(item.start_s + 2.0) for item in cut)
    assert 0 <= starts.min() < 0.05
    assert 9.95 < starts.max() <= 10.0, "the last clip may end with the video"
    # Uniform over 0 to 10 s: mean 5, standard error 10/sqrt(12·2000) = 0.065.
    assert abs(starts.mean() - 5.0) < 4 * 0.065
    assert {(item.label, item.group) for item in cut[:5]} == {("a", "g0")}
    assert [item.start_s for item in cut[:5]] == sorted(item.start_s for item in cut[:5])


def test_places_depend_on_seed_and_path_alone() -> None:
    one = random_spans(VIDEOS, LONG, count=5, length_s=5.0, seed=0)
    assert one.hash == random_spans(VIDEOS, LONG, count=5, length_s=5.0, seed=0).hash
    assert one.hash != random_spans(VIDEOS, LONG, count=5, length_s=5.0, seed=1).hash
    few = random_spans(VIDEOS.select(keep=[3]), LONG, count=5, length_s=5.0)
    assert few.items == tuple(item for item in one.items if item.path == "v3.mp4")


def test_short_videos_and_segments() -> None:
    items = (Item("a.mp4", "a"), Item("b.mp4", "a"), Item("c.mp4", "a", None, None, 3.0, 6.0))
    manifest = Manifest("m", Path("nowhere"), items, ("a",))
    found = random_spans(manifest, {"a.mp4": 2.0, "b.mp4": 2.002, "c.mp4": 5.5}, count=5, length_s=2.0, split=None)
    assert found.items[0] == items[0]
    assert found.findings.notes == ("1 videos are not longer than 2 s and kept whole",)
    near = [item.start_s for item in found.items if item.path == "b.mp4"]
    assert set(near) <= {0.0, 0.001, 0.002}
    assert len(set(near)) == len(near), "no place twice"
    seen = set()
    for seed in range(20):  # that a place is never drawn has a probability of 3·(2/3)^100
        drawn = random_spans(manifest.select(keep=[1]), {"b.mp4": 2.002}, count=5, length_s=2.0, split=None, seed=seed)
        seen |= {item.start_s for item in drawn.items}
    assert seen == {0.0, 0.001, 0.002}, "both ends included"
    inside = [(item.start_s, item.end_s) for item in found.items if item.path == "c.mp4"]
    assert len(inside) == 5
    assert all(start >= 3.0 and end <= 5.5 + 1e-9 for start, end in inside)


def test_what_cannot_be_cut() -> None:
    with pytest.raises(InputDataError, match=r"duration of 1 videos is not known.*v0\.mp4"):
        random_spans(VIDEOS, {path: LONG[path] for path in LONG if path != "v0.mp4"}, count=1, length_s=1)
    with pytest.raises(UsageError, match=r"no split 'val'.*it has test, train"):
        random_spans(VIDEOS, LONG, count=1, length_s=1, split="val")
    with pytest.raises(UsageError, match="no splits: cut all"):
        random_spans(Manifest("m", Path("x"), (Item("a"),), ()), {}, count=1, length_s=1)
    for count, length_s in ((0, 1.0), (1, 0.0), (1, float("nan"))):
        with pytest.raises(UsageError, match="cannot be cut"):
            random_spans(VIDEOS, LONG, count=count, length_s=length_s)


def test_durations_of_what_can_be_read() -> None:
    class Clock:
        def measure(self, path, fps=None, *, full=True) -> DecodeReport:
            assert not full
            if Path(path).name == "v1.mp4":
                raise VideoError("no video", path=path)
            return DecodeReport("ok", 40, 40, 25.0, "container", 1.6, 320, 240, "h264", "mov")

    seen: list[tuple[int, int]] = []
    found, failures = measure_durations(
        VIDEOS, ["v0.mp4", "v1.mp4", "v2.mp4"], Clock(), lambda *at: seen.append(at), workers=2
    )
    assert found == {"v0.mp4": 1.6, "v2.mp4": 1.6}
    assert [(failure.video_id, failure.kind) for failure in failures] == [("v1.mp4", "VideoError")]
    assert seen == [(1, 3), (2, 3), (3, 3)]
