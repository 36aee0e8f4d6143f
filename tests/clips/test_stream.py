"""Streaming gives the clips of ``dense`` and holds no more than it must."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.clips.indices import dense, span_frames
from tubelet.clips.stream import DenseStream, StreamedClip
from tubelet.errors import InputDataError, UsageError


def streamed(stream: DenseStream[str], n: int) -> list[StreamedClip[str]]:
    clips = [clip for index in range(n) if (clip := stream.push(f"frame {index}"))]
    last = stream.finish()
    return clips if last is None else [*clips, last]


@settings(max_examples=300)
@given(
    st.integers(1, 150),
    st.integers(1, 18),
    st.integers(1, 40),
    st.integers(1, 5),
    st.sampled_from(["loop", "repeat-last"]),
)
def test_the_clips_are_those_of_dense(n: int, length: int, stride: int, step: int, short: Any) -> None:
    clips = streamed(DenseStream(length, stride, step_frames=step, short=short), n)
    expected = dense(n, length, stride, step_frames=step, short=short)
    assert [clip.index for clip in clips] == list(range(len(expected)))
    assert [clip.padded for clip in clips] == expected.padded.tolist()
    assert np.array_equal([clip.indices for clip in clips], expected.frames)
    for clip in clips:
        assert clip.frames == tuple(f"frame {index}" for index in clip.indices)


@settings(max_examples=100)
@given(st.integers(1, 120), st.integers(1, 12), st.integers(1, 30), st.integers(1, 4))
def test_only_needed_frames_are_held(n: int, length: int, stride: int, step: int) -> None:
    stream: DenseStream[int] = DenseStream(length, stride, step_frames=step)
    span = span_frames(length, step)
    far = dense(n + span + stride, length, stride, step_frames=step).frames
    for index in range(n):
        stream.push(index)
        assert stream.held <= span
        if index + 1 >= span:
            incomplete = far[far[:, -1] > index]
            assert stream.held == len({frame for frame in incomplete.ravel() if frame <= index})
    stream.finish()
    assert stream.held == 0


def test_a_clip_comes_with_its_last_frame() -> None:
    stream: DenseStream[int] = DenseStream(16, 8)
    complete = [index for index in range(48) if stream.push(index) is not None]
    assert complete == [15, 23, 31, 39, 47]
    assert stream.finish() is None


def test_short_and_empty_videos() -> None:
    refusing: DenseStream[int] = DenseStream(16, 8, short="refuse")
    refusing.push(0)
    with pytest.raises(InputDataError, match="needs 16 frames and the video has 1"):
        refusing.finish()
    with pytest.raises(InputDataError, match="0 frames"):
        DenseStream().finish()
    looped: DenseStream[int] = DenseStream(16, 8)
    for index in range(7):
        assert looped.push(index) is None
    clip = looped.finish()
    assert clip is not None
    assert clip.padded
    assert clip.frames == (0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1)


def test_nonsense() -> None:
    with pytest.raises(UsageError, match="short is 'mirror'"):
        DenseStream(short="mirror")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="stride_frames is 0"):
        DenseStream(16, 0)
    done: DenseStream[int] = DenseStream(1, 1)
    done.push(0)
    done.finish()
    with pytest.raises(UsageError, match="finished stream"):
        done.push(1)
