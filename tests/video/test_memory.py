"""Opening many videos and streaming a long one take no memory that stays."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from damage import FORMATS, encode

from tubelet.video.reader import Video

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize("names", [["mp4-h264-b"], ["avi-mpeg4-b", "webm-vp9", "mkv-hevc"]])
def test_opening_three_hundred_videos(clip, names):
    paths = [clip(name) for name in names]

    def open_some(count):
        for k in range(count):
            video = Video(paths[k % len(paths)], cache=False)
            video.frames([0])
            next(video.iter_frames())

    open_some(60)
    before = resident_mb()
    open_some(300)
    assert resident_mb() - before < 10


def test_streaming_is_constant_in_memory(tmp_path):
    """600 frames of 320 × 240 would be 132 MB."""
    images = (np.full((240, 320, 3), k % 200, np.uint8) for k in range(600))
    form = FORMATS["avi-mpeg4"]
    path = encode(tmp_path / "long.avi", form, 600, images=images)
    video = Video(path, cache=False)
    high = base = 0.0
    for frame in video.iter_frames():
        if frame.index == 50:
            base = resident_mb()
        if frame.index % 50 == 0 and frame.index > 50:
            high = max(high, resident_mb())
    assert high - base < 10
    assert video.report is not None
    assert video.report.frames_decoded == 600
