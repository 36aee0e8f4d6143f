"""Which pairs a picture of stored flow shows, and that it is written."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_flow import stored, texture, video

from tubelet.clips.decode import ClipDecoder
from tubelet.flow.picture import _moving_pairs, save_film
from tubelet.flow.record import FlowSettings
from tubelet.flow.store import open_flow
from tubelet.video.encode import encode


def test_repeated_frames_are_passed_over(tmp_path: Path) -> None:
    frames = np.repeat(texture(11), 2, axis=0)  # every other pair stands still: 0, 2, 4, ...
    encode(tmp_path / "a.mp4", frames, fps=25, codec="libx264rgb", options={"qp": "0"})
    stored(tmp_path / "a.mp4", tmp_path / "a", FlowSettings())
    with open_flow(tmp_path / "a") as flow:
        pairs, vectors = _moving_pairs(flow)
    assert len(flow) == 21
    assert len(pairs) == len(vectors) == 5
    assert pairs == sorted(set(pairs))
    assert all(pair % 2 == 1 for pair in pairs)
    assert all(np.median(field[..., 0]) > 1 for field in vectors)


@pytest.mark.parametrize("frames", [2, 3, 4, 5, 9])
def test_short_videos(tmp_path: Path, frames: int) -> None:
    stored(video(tmp_path / "a.mp4", frames), tmp_path / "a", FlowSettings())
    with open_flow(tmp_path / "a") as flow:
        pairs, vectors = _moving_pairs(flow)
    assert 1 <= len(pairs) == len(vectors) <= 5
    assert pairs == sorted(set(pairs))
    assert set(pairs) <= set(range(frames - 1))


def test_a_picture_of_backward_flow_with_a_step(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", 13)
    stored(source, tmp_path / "a.flow.zip", FlowSettings(direction="backward", step=3, store="compact"))
    with ClipDecoder() as decoder, open_flow(tmp_path / "a.flow.zip") as flow:
        picture = cv2.imread(str(save_film(flow, source, tmp_path / "a.png", decoder)))
    assert picture is not None
    assert picture.shape[1] == 2 * 720 + 2 * 24, "the text column at two pixels each, and its margins"
