"""Frames for a film strip: the middle of each eighth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tubelet.clips.decode import ClipDecoder
from tubelet.protocols.film import middle_frames
from tubelet.video.encode import encode


def test_the_film_is_the_middle_of_each_eighth(tmp_path: Path) -> None:
    levels = np.repeat(np.arange(24, dtype=np.uint8)[:, None, None, None] * 10, 3, axis=3)
    path = encode(tmp_path / "a.avi", np.broadcast_to(levels, (24, 64, 64, 3)).copy(), codec="mjpeg")
    with ClipDecoder() as decoder:
        report = decoder.measure(path)
        film = middle_frames(path, report, decoder)
        assert film is not None
        assert film.shape == (8, 64, 64, 3)
        np.testing.assert_allclose(film[:, 5, 5, 0], [10, 40, 70, 100, 130, 160, 190, 220], atol=3)  # frames 1, 4, 7 …
        wide = middle_frames(path, replace(report, height=180, width=320, frames_decoded=3), decoder)
        assert wide is not None
        assert wide.shape == (3, 90, 160, 3)
        assert middle_frames(tmp_path / "absent.avi", report, decoder) is None
