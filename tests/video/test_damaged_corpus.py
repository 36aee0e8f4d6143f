"""300 damaged files: nothing crashes, nothing hangs, and no loss of frames goes unsaid."""

from __future__ import annotations

import faulthandler
from collections import Counter

import numpy as np
import pytest
from damage import DAMAGES, FORMATS, damage

from tubelet.errors import VideoError
from tubelet.video.reader import Video

LENGTH = 50
# 75 files for each container, of formats that between them have sound, B-frames, checksums and none, header first and
# header last, fragments, and every codec.
CORPUS = {
    "avi": (["avi-mpeg4", "avi-mpeg4-b", "avi-h264-b", "avi-mjpeg", "avi-mpeg4-mp3"], 0.99),
    "mp4": (["mp4-h264-b", "mp4-h264-faststart", "mp4-h264-aac", "mp4-hevc", "mp4-h264-fragments"], 0.99),
    "mkv": (["mkv-h264-b", "mkv-hevc", "mkv-mpeg4", "mkv-vp9", "mkv-h264-aac"], 0.98),
    "webm": (["webm-vp9", "webm-vp8", "webm-vp9-opus", "webm-vp9-alt", "webm-av1"], 0.98),
}


@pytest.fixture(autouse=True)
def no_hang():
    """A hang ends the test run with a traceback instead of holding it."""
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("container", sorted(CORPUS))
def test_losses_are_noticed(clip, tmp_path, container):
    names, share = CORPUS[container]
    outcomes: Counter[str] = Counter()
    silent = []
    sentences: list[str] = []
    for number in range(75):
        name = names[number % len(names)]
        kind = DAMAGES[number // len(names) % len(DAMAGES)]
        data = damage(clip(name, LENGTH).read_bytes(), kind, np.random.default_rng([2026, number]))
        path = tmp_path / f"damaged{FORMATS[name].suffix}"
        path.write_bytes(data)
        video = None
        try:
            video = Video(path)
            report = video.check()
        except VideoError as error:
            sentences.append(str(error))
            outcomes["failed"] += 1
            continue
        lost = report.frames_decoded < LENGTH
        outcomes[f"{report.status}, {'lost' if lost else 'whole'}"] += 1
        if lost and report.status == "ok":
            silent.append((name, kind, number))
        assert bool(report.problems) == (report.status == "partial")
        assert len(video) == report.frames_decoded
        if number % 5 == 0:
            # What streams is what was counted, and any of it can be had again.
            streamed = list(Video(path, cache=False).iter_frames())
            assert [frame.index for frame in streamed] == list(range(report.frames_decoded))
            last = report.frames_decoded - 1
            np.testing.assert_array_equal(video.frames([last])[0], streamed[last].image)
    assert all(str(tmp_path) in sentence for sentence in sentences), "every error names its file"
    losses = outcomes["failed"] + outcomes["partial, lost"] + len(silent)
    assert losses >= 30, outcomes
    assert len(silent) <= (1 - share) * losses, (silent, outcomes)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {n for names, _ in CORPUS.values() for n in names}))
def test_other_formats_survive_damage(clip, tmp_path, name):
    for number, kind in enumerate(DAMAGES * 2):
        data = damage(clip(name, LENGTH).read_bytes(), kind, np.random.default_rng([7, number]))
        path = tmp_path / f"damaged{FORMATS[name].suffix}"
        path.write_bytes(data)
        try:
            report = Video(path).check()
        except VideoError:
            continue
        assert report.frames_decoded > 0
        if kind == "truncation" and report.frames_decoded < LENGTH:
            assert report.status == "partial"
