"""Where TSN's two code bases take their snippets, in their own arithmetic. Pure index arithmetic.

`tubelet.clips.indices.segments` is the paper's rule, exact and without special cases. The released code differs from it
and from itself: by rounding, by where a segment ends, and by what becomes of short videos. Trained weights and
published scores saw these rules. Two-Stream's 25 frames at equal spacing are `tubelet.clips.indices.uniform`.

Frames are counted from 0 (the code counts files from 1). Where a video is shorter than one snippet the released code
stops, or holds the last frame; here ``short`` decides, as everywhere.
"""

from __future__ import annotations

import numpy as np

from tubelet.clips.indices import ClipIndices, Indices, ShortVideo, at_least_one, clips_at, last_start, span_frames


def torch_segments(
    n_frames: int,
    n_segments: int,
    snippet_length: int = 1,
    rng: np.random.Generator | None = None,
    *,
    step_frames: int = 1,
    short: ShortVideo = "repeat-last",
) -> ClipIndices:
    """A snippet from each segment as ``tsn-pytorch`` takes it in training (with ``rng``) and in validation.

    With N frames, S segments and snippets of L frames (``dataset.py``):

    - training: ``d = (N - L + 1) // S``; where d > 0 start i is ``i d`` plus a draw from 0 to d - 1; else, where
      N > S, S sorted draws from all starts; else 0;
    - validation: where N > S + L - 1 start i is ``int(t / 2 + t i)`` in floats, ``t = (N - L + 1) / S``; else 0.

    Parameters, result and errors are those of :func:`tubelet.clips.indices.segments`.
    """
    n_segments, room = _counts(n_frames, n_segments, snippet_length, step_frames)
    starts = np.zeros(n_segments, dtype=np.int64)
    if rng is None:
        if room > n_segments:
            starts = _ticks(room, n_segments)
    elif (duration := room // n_segments) > 0:
        starts = np.arange(n_segments) * duration + rng.integers(0, duration, size=n_segments)
    elif n_frames > n_segments:
        starts = np.sort(rng.integers(0, room, size=n_segments))
    return clips_at(starts, n_frames, snippet_length, step_frames, short)


def torch_test(
    n_frames: int,
    n_segments: int = 25,
    snippet_length: int = 1,
    *,
    step_frames: int = 1,
    short: ShortVideo = "repeat-last",
) -> ClipIndices:
    """The snippets that ``tsn-pytorch`` tests: start i is ``int(t / 2 + t i)`` in floats, ``t = (N - L + 1) / S``.

    Parameters, result and errors are those of :func:`tubelet.clips.indices.segments`.
    """
    n_segments, room = _counts(n_frames, n_segments, snippet_length, step_frames)
    return clips_at(_ticks(room, n_segments), n_frames, snippet_length, step_frames, short)


def caffe_segments(
    n_frames: int,
    n_segments: int,
    snippet_length: int = 1,
    rng: np.random.Generator | None = None,
    *,
    step_frames: int = 1,
    short: ShortVideo = "repeat-last",
) -> ClipIndices:
    """A snippet inside each segment as TSN's Caffe takes it in training (with ``rng``) and in validation.

    Segments have ``d = N // S`` frames (``video_data_layer.cpp``). Where d is at least L, start i is ``i d`` plus, in
    training, a draw from 0 to d - L; in validation ``(d - L + 1) // 2``. Else all starts are 0.

    Parameters, result and errors are those of :func:`tubelet.clips.indices.segments`.
    """
    n_segments, _ = _counts(n_frames, n_segments, snippet_length, step_frames)
    duration, span = n_frames // n_segments, span_frames(snippet_length, step_frames)
    starts = np.zeros(n_segments, dtype=np.int64)
    if duration >= span:
        starts = np.arange(n_segments) * duration
        if rng is None:
            starts += (duration - span + 1) // 2
        else:
            starts += rng.integers(0, duration - span + 1, size=n_segments)
    return clips_at(starts, n_frames, snippet_length, step_frames, short)


def caffe_test(
    n_frames: int,
    n_segments: int = 25,
    snippet_length: int = 1,
    *,
    step_frames: int = 1,
    short: ShortVideo = "repeat-last",
) -> ClipIndices:
    """The snippets that TSN's Caffe tests: a whole number of frames apart, from the first frame on.

    Start i is ``i ((N - L) // (S - 1))`` (``eval_net.py``), so the end of a video may stay unseen. A single snippet,
    which that rule does not know, is at the start.

    Parameters, result and errors are those of :func:`tubelet.clips.indices.segments`.
    """
    n_segments, room = _counts(n_frames, n_segments, snippet_length, step_frames)
    step = (room - 1) // max(n_segments - 1, 1)
    return clips_at(np.arange(n_segments) * step, n_frames, snippet_length, step_frames, short)


def _counts(n_frames: int, n_segments: int, snippet_length: int, step_frames: int) -> tuple[int, int]:
    """Segments, checked, and how many starts there are: at least 1."""
    return at_least_one("n_segments", n_segments), max(last_start(n_frames, snippet_length, step_frames), 0) + 1


def _ticks(room: int, n_segments: int) -> Indices:
    tick = room / float(n_segments)
    return np.array([int(tick / 2.0 + tick * i) for i in range(n_segments)], dtype=np.int64)
