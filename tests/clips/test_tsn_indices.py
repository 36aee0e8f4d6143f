"""TSN's sampling rules against plain transcriptions of the released formulas, 1-based file numbers made 0-based."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.clips.indices import uniform
from tubelet.clips.sampling import Sampling
from tubelet.clips.tsn_indices import caffe_segments, caffe_test, torch_segments, torch_test
from tubelet.errors import InputDataError, UsageError

N = st.integers(1, 400)
S = st.integers(1, 30)
L = st.integers(1, 12)
SEED = st.integers(0, 1000)
wide = settings(max_examples=300)


def held(starts: list[int], n: int, length: int) -> list[list[int]]:
    """Snippets from starts, the last frame held at a video's end, as both codes read them."""
    return [[min(start + k, n - 1) for k in range(length)] for start in starts]


@wide
@given(N, S, L)
def test_validation_of_the_torch_code(n: int, s: int, length: int) -> None:
    if n > s + length - 1:
        tick = (n - length + 1) / float(s)
        starts = [int(tick / 2.0 + tick * x) for x in range(s)]
    else:
        starts = [0] * s
    assert torch_segments(n, s, length).frames.tolist() == held(starts, n, length)


@wide
@given(N, S, L)
def test_test_of_the_torch_code(n: int, s: int, length: int) -> None:
    tick = max(n - length + 1, 0) / float(s)  # a video shorter than a snippet would have negative file numbers there
    starts = [int(tick / 2.0 + tick * x) for x in range(s)]
    assert torch_test(n, s, length).frames.tolist() == held(starts, n, length)


@wide
@given(N, S, L, SEED)
def test_training_of_the_torch_code(n: int, s: int, length: int, seed: int) -> None:
    clips = torch_segments(n, s, length, np.random.default_rng(seed))
    starts = clips.frames[:, 0].tolist()
    assert clips.frames.tolist() == held(starts, n, length)
    duration = (n - length + 1) // s
    if duration > 0:
        assert all(i * duration <= start < (i + 1) * duration for i, start in enumerate(starts))
    elif n > s and n >= length:
        assert starts == sorted(starts)
        assert all(0 <= start < n - length + 1 for start in starts)
    else:
        assert starts == [0] * s
    assert (torch_segments(n, s, length, np.random.default_rng(seed)).frames == clips.frames).all()


@wide
@given(N, S, L)
def test_validation_of_the_caffe_code(n: int, s: int, length: int) -> None:
    duration = n // s
    starts = [(duration - length + 1) // 2 + i * duration if duration >= length else 0 for i in range(s)]
    assert caffe_segments(n, s, length).frames.tolist() == held(starts, n, length)


@wide
@given(N, S, L, SEED)
def test_training_of_the_caffe_code(n: int, s: int, length: int, seed: int) -> None:
    clips = caffe_segments(n, s, length, np.random.default_rng(seed))
    starts = clips.frames[:, 0].tolist()
    assert clips.frames.tolist() == held(starts, n, length)
    duration = n // s
    for i, start in enumerate(starts):
        if duration >= length:
            assert i * duration <= start <= i * duration + duration - length, "a snippet stays in its segment"
        else:
            assert start == 0


@wide
@given(N, st.integers(2, 30), L)
def test_test_of_the_caffe_code(n: int, s: int, length: int) -> None:
    step = (n - length) // (s - 1)  # Python 2's / of whole numbers
    if step > 0:
        ticks = list(range(1, min(2 + step * (s - 1), n + 1), step))
    else:
        ticks = [1] * s
    assert len(ticks) == s
    expected = [[min(n, tick + k) - 1 for k in range(length)] for tick in ticks]
    assert caffe_test(n, s, length).frames.tolist() == expected


@wide
@given(N, st.integers(2, 30), L)
def test_two_streams_25_frames_are_equally_spaced(n: int, s: int, length: int) -> None:
    clips = uniform(n, length, s, short="repeat-last")
    last = max(n - length, 0)
    exact = np.linspace(0, last, s)
    assert np.abs(clips.frames[:, 0] - exact).max() <= 0.5 + 1e-9
    assert clips.frames[0, 0] == 0
    assert clips.frames[-1, 0] == last


def test_rules_by_hand() -> None:
    # 100 frames, 3 segments of snippets of 5: 96 starts; Caffe's segments have 33 frames.
    assert torch_segments(100, 3, 5).frames[:, 0].tolist() == [16, 48, 80]
    assert caffe_segments(100, 3, 5).frames[:, 0].tolist() == [14, 47, 80]
    # 25 snippets of 5: (100 - 5) // 24 = 3 frames apart.
    assert caffe_test(100, 25, 5).frames[:, 0].tolist() == list(range(0, 75, 3))
    # Segments of 4 frames are too short for snippets of 5 in Caffe.
    assert caffe_segments(100, 25, 5).frames[:, 0].tolist() == [0] * 25
    assert caffe_test(7, 1, 5).frames.tolist() == [[0, 1, 2, 3, 4]]
    # Floats: 3 segments of 43 / 3 starts; 43 / 6 + 2 * 43 / 3 = 35.83.
    assert torch_test(43, 3).frames[:, 0].tolist() == [7, 21, 35]


def test_draws_reach_every_start_of_a_segment() -> None:
    rng = np.random.default_rng(0)
    seen = {
        rule: np.array([rule(40, 3, 5, rng).frames[:, 0] for _ in range(600)])
        for rule in (torch_segments, caffe_segments)
    }
    for i in range(3):
        assert set(seen[torch_segments][:, i]) == set(range(12 * i, 12 * i + 12))  # 36 starts in three
        assert set(seen[caffe_segments][:, i]) == set(range(13 * i, 13 * i + 9))  # 13 frames hold 9 starts


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        ("tsn_torch", torch_segments),
        ("tsn_caffe", caffe_segments),
        ("tsn_torch_test", torch_test),
        ("tsn_caffe_test", caffe_test),
    ],
)
def test_as_a_sampling_policy(policy: Any, rule: Any) -> None:
    sampling = Sampling(policy, 5, n_clips=7, short="repeat-last")
    for n in (3, 30, 211):
        assert (sampling.indices(n).frames == rule(n, 7, 5).frames).all()
    assert sampling.indices(3).padded.all()
    assert Sampling.from_dict(sampling.to_dict()) == sampling
    assert sampling.one_input == (not policy.endswith("_test"))
    drawn = sampling.indices(211, np.random.default_rng(1)).frames
    if sampling.one_input:
        assert (drawn == rule(211, 7, 5, np.random.default_rng(1)).frames).all()
    else:
        assert (drawn == sampling.indices(211).frames).all(), "tests have no chance"
    with pytest.raises(UsageError, match="needs n_clips"):
        Sampling(policy, 5)
    with pytest.raises(InputDataError, match="from 0 frames"):
        sampling.indices(0)
    with pytest.raises(InputDataError, match="needs 5 frames and the video has 3"):
        Sampling(policy, 5, n_clips=7, short="refuse").indices(3)
