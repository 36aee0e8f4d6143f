"""Sampling as arithmetic: counted, bounded and compared with loops written from the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.clips.indices import (
    ClipIndices,
    dense,
    non_overlapping,
    random_clips,
    segments,
    span_frames,
    uniform,
)
from tubelet.errors import InputDataError, UsageError

N = st.integers(1, 300)
LENGTH = st.integers(1, 20)
STRIDE = st.integers(1, 30)
STEP = st.integers(1, 5)
COUNT = st.integers(1, 12)
SHORT = st.sampled_from(["loop", "repeat-last"])
SEED = st.integers(0, 2**32 - 1)
every_space = settings(max_examples=200)


def check_clips(clips: ClipIndices, n: int, length: int, step: int, short: str) -> None:
    """What holds for the clips of any policy."""
    assert clips.frames.dtype == np.int64
    assert clips.frames.shape == (len(clips), length)
    assert clips.padded.shape == (len(clips),)
    assert clips.frames.min() >= 0
    assert clips.frames.max() < n
    is_short = n < (length - 1) * step + 1
    assert (clips.padded == is_short).all()
    assert (clips.start_frames >= 0).all()
    assert (clips.end_frames <= n).all()
    for row in clips.frames.tolist():
        if not is_short:
            assert row == [row[0] + k * step for k in range(length)]
        elif short == "loop":
            assert row == [k * step % n for k in range(length)]
        else:
            assert row == [min(k * step, n - 1) for k in range(length)]


def test_48_frames_at_stride_8_are_5_clips() -> None:
    clips = dense(48)
    assert len(clips) == 5
    assert clips.start_frames.tolist() == [0, 8, 16, 24, 32]
    assert clips.end_frames.tolist() == [16, 24, 32, 40, 48]
    assert not clips.padded.any()


@every_space
@given(N, LENGTH, STRIDE, STEP, SHORT)
def test_dense(n: int, length: int, stride: int, step: int, short: Any) -> None:
    clips = dense(n, length, stride, step_frames=step, short=short)
    check_clips(clips, n, length, step, short)
    span = span_frames(length, step)
    starts = [start for start in range(n) if start % stride == 0 and start + span <= n] or [0]
    assert clips.frames[:, 0].tolist() == starts
    assert len(clips) == (max(n - span, 0) // stride) + 1


@every_space
@given(N, LENGTH, STEP, SHORT)
def test_non_overlapping(n: int, length: int, step: int, short: Any) -> None:
    clips = non_overlapping(n, length, step_frames=step, short=short)
    check_clips(clips, n, length, step, short)
    if not clips.padded.any():
        row = clips.frames.ravel().tolist()
        assert row == list(range(0, len(row) * step, step)), "every step-th frame once, in order"
        assert row[-1] + length * step >= n - (step - 1), "no further clip would fit"


@every_space
@given(N, LENGTH, COUNT, STEP, SHORT)
def test_uniform(n: int, length: int, count: int, step: int, short: Any) -> None:
    clips = uniform(n, length, count, step_frames=step, short=short)
    check_clips(clips, n, length, step, short)
    assert len(clips) == count
    if clips.padded.any():
        return
    last = n - span_frames(length, step)
    starts = clips.frames[:, 0]
    if count == 1:
        assert starts[0] == last // 2
    else:
        assert starts[0] == 0
        assert starts[-1] == last
        assert np.abs(starts - np.linspace(0, last, count)).max() <= 0.5 + 1e-9
        assert (np.diff(starts) >= 0).all()


def test_uniform_by_hand() -> None:
    # Starts fit from 0 to 84; four gaps of 21.
    assert uniform(100, 16, 5).frames[:, 0].tolist() == [0, 21, 42, 63, 84]
    # 84 / 3 = 28; 85 in three gaps is 28.33 and 56.67.
    assert uniform(101, 16, 4).frames[:, 0].tolist() == [0, 28, 57, 85]


@every_space
@given(N, LENGTH, COUNT, STEP, SHORT, SEED)
def test_random(n: int, length: int, count: int, step: int, short: Any, seed: int) -> None:
    clips = random_clips(n, length, count, np.random.default_rng(seed), step_frames=step, short=short)
    check_clips(clips, n, length, step, short)
    assert len(clips) == count
    again = random_clips(n, length, count, np.random.default_rng(seed), step_frames=step, short=short)
    assert (again.frames == clips.frames).all()


def test_random_starts_are_uniform_and_reach_both_ends() -> None:
    draws = 40_000
    clips = random_clips(25, 16, draws, np.random.default_rng(5))
    counts = np.bincount(clips.frames[:, 0], minlength=10)
    assert len(counts) == 10  # 25 - 16 + 1
    # Chi square with 9 degrees of freedom is above 27.9 once in a thousand.
    assert ((counts - draws / 10) ** 2 / (draws / 10)).sum() < 27.9


@every_space
@given(N, COUNT, st.integers(1, 6), STEP, SHORT)
def test_segment_centers(n: int, count: int, length: int, step: int, short: Any) -> None:
    clips = segments(n, count, length, step_frames=step, short=short)
    check_clips(clips, n, length, step, short)
    assert len(clips) == count
    if not clips.padded.any():
        starts = clips.frames[:, 0]
        positions = n - span_frames(length, step) + 1
        tick = positions / count
        # The released code's expression; where floats land on a whole number, ours is the exact one.
        expected = np.array([int(tick / 2 + tick * i + 1e-9) for i in range(count)])
        assert (starts == expected).all()


@every_space
@given(N, COUNT, st.integers(1, 6), STEP, SHORT, SEED)
def test_random_segments(n: int, count: int, length: int, step: int, short: Any, seed: int) -> None:
    clips = segments(n, count, length, np.random.default_rng(seed), step_frames=step, short=short)
    check_clips(clips, n, length, step, short)
    starts = clips.frames[:, 0]
    assert (np.diff(starts) >= 0).all(), "segments are in the order of time"
    duration = (n - span_frames(length, step) + 1) // count
    if not clips.padded.any() and duration >= 1:
        assert (starts // duration == np.arange(count)).all(), "one from each"


def test_segments_by_hand() -> None:
    # 75 frames in three parts of 25: the middle of each.
    assert segments(75, 3).frames.tolist() == [[12], [37], [62]]
    # 79 frames, snippets of 5 (stacked flow): 75 starts.
    assert segments(79, 3, 5).frames[:, 0].tolist() == [12, 37, 62]
    assert segments(2, 4).frames.ravel().tolist() == [0, 0, 1, 1]


def test_random_segments_are_uniform_within_each() -> None:
    rng = np.random.default_rng(1)
    starts = np.stack([segments(30, 3, 1, rng).frames[:, 0] for _ in range(9000)])
    for segment in range(3):
        counts = np.bincount(starts[:, segment], minlength=30)[10 * segment : 10 * segment + 10]
        assert counts.sum() == 9000
        assert ((counts - 900) ** 2 / 900).sum() < 27.9


def test_short_videos_by_hand() -> None:
    looped = dense(7, 16)
    assert looped.padded.tolist() == [True]
    assert looped.frames.tolist() == [[0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1]]
    assert (looped.start_frames[0], looped.end_frames[0]) == (0, 7)
    held = dense(7, 16, short="repeat-last")
    assert held.frames.tolist() == [[0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6]]
    assert dense(5, 4, step_frames=2).frames.tolist() == [[0, 2, 4, 1]]
    assert not dense(7, 4, step_frames=2).padded.any()


@pytest.mark.parametrize(
    "sample",
    [
        lambda n: dense(n, 16, short="refuse"),
        lambda n: non_overlapping(n, 16, short="refuse"),
        lambda n: uniform(n, 16, 3, short="refuse"),
        lambda n: random_clips(n, 16, 3, np.random.default_rng(0), short="refuse"),
        lambda n: segments(n, 3, 16, short="refuse"),
    ],
)
def test_refused_videos(sample: Any) -> None:
    assert not sample(16).padded.any()
    with pytest.raises(InputDataError, match="needs 16 frames and the video has 15; leave"):
        sample(15)
    with pytest.raises(InputDataError, match="from 0 frames; check"):
        sample(0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"clip_length": 0}, "clip_length is 0"),
        ({"clip_length": 2.5}, "clip_length is 2.5"),
        ({"stride_frames": -1}, "stride_frames is -1"),
        ({"step_frames": True}, "step_frames is True"),
        ({"short": "mirror"}, "choose one of loop, repeat-last, refuse"),
    ],
)
def test_nonsense(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        dense(100, **arguments)
    with pytest.raises(UsageError, match="n_clips is 0"):
        uniform(100, 16, 0)


def test_numpy_integers_serve() -> None:
    clips = dense(int(np.int64(48)), np.int64(16), np.int32(8))  # type: ignore[arg-type]
    assert len(clips) == 5
