"""Film strips show the right frames with the right words."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.image import imread

from tubelet.errors import UsageError
from tubelet.reporting import Strip, clip_strips, example_strips, neighbor_strips


def clip(gray: int, frames: int = 6) -> np.ndarray:
    return np.full((frames, 24, 32, 3), gray, dtype=np.uint8)


def test_frames_stand_in_time_order() -> None:
    frames = np.stack([np.full((24, 32, 3), 30 * t, dtype=np.uint8) for t in range(8)])
    body = clip_strips([Strip(frames, "label", start_s=0.5, end_s=1.0, score=0.123)], frames_shown=4).body("p-")
    (uri,) = re.findall(r'<image id="p-r0c0" href="data:image/jpeg;base64,([^"]+)"', body)
    picture = imread(io.BytesIO(base64.b64decode(uri)), format="jpeg").astype(int)
    windows = re.findall(r'<svg x="(\d+)" width="32" height="24" viewBox="(\d+) 0 32 24">', body)
    assert [int(x) for x, _ in windows] == sorted(int(x) for x, _ in windows)
    shown = [picture[:, int(left) : int(left) + 32].mean() for _, left in windows]
    # Frames 0, 2, 5, 7 of eight.
    np.testing.assert_allclose(shown, [0, 60, 150, 210], atol=2)
    assert "0.5–1.0" in body
    assert ">0.12<" in body


def test_marks_and_alternative_words() -> None:
    figure = neighbor_strips(
        [Strip(clip(10), "left")],
        [[Strip(clip(20), "left", score=0.9, correct=True), Strip(clip(30), "right", score=0.8, correct=False)]],
    )
    body = figure.body("p-")
    assert body.count("film-cell is-right") == 1
    assert body.count("film-cell is-wrong") == 1
    assert "right, score 0.80, wrong" in body
    assert ">Query<" in body
    assert figure.alt == "Film strips of queries and their nearest neighbors. left: left, right (wrong)."
    assert figure.svg is None
    image = imread(io.BytesIO(figure.png))
    assert image.shape[1] == 2 * (figure.width_px + 24)


def test_examples_are_headed_and_do_not_repeat_the_heading() -> None:
    body = example_strips({"up": [Strip(clip(1), "up")], "down": [Strip(clip(2), "down", "file.mp4")]}).body("p-")
    assert body.count('<div class="film-head">') == 2
    assert "film-label" not in body
    assert "file.mp4" in body


def test_columns_and_width() -> None:
    strips = [Strip(clip(1)) for _ in range(5)]
    narrow = clip_strips(strips, frames_shown=4, columns=2)
    assert narrow.body("p-").count('class="film-row"') == 3
    assert not narrow.wide
    assert clip_strips(strips, frames_shown=4, columns=5).wide


def test_single_frame_does_not_pretend_to_play() -> None:
    assert "reel" not in clip_strips([Strip(clip(5, frames=1))]).body("p-")


def test_equal_clips_give_equal_bytes() -> None:
    first, second = (clip_strips([Strip(clip(9), "a")]) for _ in range(2))
    assert first == second


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(UsageError):
        clip_strips([])
    with pytest.raises(UsageError):
        clip_strips([Strip(clip(1))], frames_shown=9)
    with pytest.raises(UsageError):
        neighbor_strips([Strip(clip(1))], [])
    assert example_strips({"empty": [], "b": [Strip(clip(1))]}).alt == "Film strips of 1 clips."
