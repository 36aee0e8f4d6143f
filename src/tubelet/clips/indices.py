"""Which frames make which clip: pure index arithmetic, no pixels, no files.

A clip is ``clip_length`` frames, ``step_frames`` apart, so it spans ``(clip_length - 1) * step_frames + 1``
frames of the video. A video shorter than that span is dealt with by a stated policy:

- ``loop``: the video starts again from its first frame (index modulo the number of frames);
- ``repeat-last``: its last frame is held;
- ``refuse``: an error. (The original C3D code skips such videos in training and aborts on them in testing.)

Clips made by the first two are marked ``padded``.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from tubelet.errors import InputDataError, UsageError

Indices = npt.NDArray[np.int64]
ShortVideo = Literal["loop", "repeat-last", "refuse"]


@dataclass(frozen=True, eq=False)
class ClipIndices:
    """The frames of each clip of a video.

    Attributes
    ----------
    frames
        ``(n_clips, clip_length)`` int64, frame indices in the order the network sees them.
    padded
        ``(n_clips,)`` bool, true where frames were repeated because the video is shorter than a clip.
    """

    frames: Indices
    padded: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def start_frames(self) -> Indices:
        """``(n_clips,)`` int64, the first frame of each clip."""
        starts: Indices = self.frames.min(axis=1)
        return starts

    @property
    def end_frames(self) -> Indices:
        """``(n_clips,)`` int64, one past the last frame of each clip."""
        ends: Indices = self.frames.max(axis=1) + 1
        return ends


def span_frames(clip_length: int, step_frames: int = 1) -> int:
    """Frames of the video from a clip's first frame to its last, both counted."""
    return (clip_length - 1) * step_frames + 1


def dense(
    n_frames: int,
    clip_length: int = 16,
    stride_frames: int = 8,
    *,
    step_frames: int = 1,
    short: ShortVideo = "loop",
) -> ClipIndices:
    """Clips that start every ``stride_frames`` frames, as C3D's descriptors are made (16 frames, stride 8).

    There are ``floor((n_frames - span) / stride_frames) + 1`` of them; a tail shorter than a clip is dropped.
    A video shorter than one clip gives one padded clip.

    Parameters
    ----------
    n_frames
        Frames in the video.
    clip_length, stride_frames, step_frames
        Frames in a clip, between the starts of clips, and between a clip's neighboring frames.
    short
        Policy for a video shorter than a clip; see the module.

    Raises
    ------
    UsageError
        A length, stride or step below 1, or an unknown policy.
    InputDataError
        No frames at all, or a video shorter than a clip under ``refuse``.
    """
    stride_frames = at_least_one("stride_frames", stride_frames)
    last = last_start(n_frames, clip_length, step_frames)
    starts = np.arange(0, max(last, 0) + 1, stride_frames, dtype=np.int64)
    return clips_at(starts, n_frames, clip_length, step_frames, short)


def non_overlapping(
    n_frames: int, clip_length: int = 16, *, step_frames: int = 1, short: ShortVideo = "loop"
) -> ClipIndices:
    """Clips one behind the other: dense with stride ``clip_length * step_frames``.

    Read in a row they are every ``step_frames``-th frame of the video, once each. Parameters and errors as in
    :func:`dense`.
    """
    stride = at_least_one("clip_length", clip_length) * at_least_one("step_frames", step_frames)
    return dense(n_frames, clip_length, stride, step_frames=step_frames, short=short)


def uniform(
    n_frames: int, clip_length: int, n_clips: int, *, step_frames: int = 1, short: ShortVideo = "loop"
) -> ClipIndices:
    """A fixed number of clips, their starts evenly spaced from the first possible to the last.

    Start ``i`` is ``i * (n_frames - span) / (n_clips - 1)``, rounded half up; a single clip lies in the
    middle. In a short video starts repeat, so that there are always ``n_clips`` clips. Parameters and errors
    as in :func:`dense`.
    """
    n_clips = at_least_one("n_clips", n_clips)
    last = max(last_start(n_frames, clip_length, step_frames), 0)
    if n_clips == 1:
        starts = np.array([last // 2], dtype=np.int64)
    else:
        gaps = n_clips - 1
        starts = (2 * last * np.arange(n_clips, dtype=np.int64) + gaps) // (2 * gaps)
    return clips_at(starts, n_frames, clip_length, step_frames, short)


def random_clips(
    n_frames: int,
    clip_length: int,
    n_clips: int,
    rng: np.random.Generator,
    *,
    step_frames: int = 1,
    short: ShortVideo = "loop",
) -> ClipIndices:
    """Clips at independent starts, uniform over all places where a whole clip fits (the last included).

    This is C3D's temporal jitter (``image_io.cpp``), except that for ``step_frames`` above 1 the original
    never draws the last ``step_frames - 1`` starts. Parameters and errors as in :func:`dense`; ``rng`` is the
    only source of chance.
    """
    n_clips = at_least_one("n_clips", n_clips)
    last = max(last_start(n_frames, clip_length, step_frames), 0)
    starts = rng.integers(0, last + 1, size=n_clips, dtype=np.int64)
    return clips_at(starts, n_frames, clip_length, step_frames, short)


def segments(
    n_frames: int,
    n_segments: int,
    snippet_length: int = 1,
    rng: np.random.Generator | None = None,
    *,
    step_frames: int = 1,
    short: ShortVideo = "loop",
) -> ClipIndices:
    """One snippet from each of ``n_segments`` equal parts of the video, as Temporal Segment Networks sample.

    With ``P = n_frames - span + 1`` possible starts and ``S`` segments:

    - test (``rng=None``): the segment centers, ``floor(P / S * (i + 1/2))``;
    - training: with ``d = floor(P / S) >= 1``, ``i * d`` plus a uniform draw from ``0 ... d - 1``; where
      there are fewer starts than segments, ``S`` sorted uniform draws.

    Source: Wang et al., ECCV 2016, section 3.1, in the arithmetic of the authors' ``tsn-pytorch``
    (``dataset.py``). Where the video has no more starts than segments that code takes frame 0 for all at test
    time; here the same formula goes on and starts repeat.

    Returns
    -------
    ClipIndices
        ``frames`` is ``(n_segments, snippet_length)``. Other parameters and errors as in :func:`dense`.
    """
    n_segments = at_least_one("n_segments", n_segments)
    positions = max(last_start(n_frames, snippet_length, step_frames), 0) + 1
    order = np.arange(n_segments, dtype=np.int64)
    if rng is None:
        starts = (2 * order + 1) * positions // (2 * n_segments)
    elif (duration := positions // n_segments) >= 1:
        starts = order * duration + rng.integers(0, duration, size=n_segments, dtype=np.int64)
    else:
        starts = np.sort(rng.integers(0, positions, size=n_segments, dtype=np.int64))
    return clips_at(starts, n_frames, snippet_length, step_frames, short)


def at_least_one(name: str, value: int) -> int:
    """``value`` as a plain int, or a :class:`UsageError` that names it."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}", remedy="give a whole number of at least 1")
    return number


def padded_offsets(n_frames: int, offsets: Indices, short: ShortVideo) -> Indices:
    """Frame indices of the one clip of a video that is too short for it.

    Raises
    ------
    InputDataError
        Under ``refuse``.
    UsageError
        Unknown policy.
    """
    if short == "loop":
        return offsets % n_frames
    if short == "repeat-last":
        return np.minimum(offsets, n_frames - 1)
    one_of("short", short, get_args(ShortVideo))
    raise InputDataError(
        f"a clip needs {int(offsets[-1]) + 1} frames and the video has {n_frames}",
        remedy="leave the video out, or choose loop or repeat-last for short videos",
    )


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise a :class:`UsageError` unless ``value`` is one of the allowed words."""
    if value not in allowed:
        raise UsageError(f"{name} is {value!r}", remedy=f"choose one of {', '.join(allowed)}")


def last_start(n_frames: int, clip_length: int, step_frames: int) -> int:
    """The last start at which a whole clip fits; below 0 in a short video."""
    span = span_frames(at_least_one("clip_length", clip_length), at_least_one("step_frames", step_frames))
    if n_frames < 1:
        raise InputDataError(f"cannot take clips from {n_frames} frames", remedy="check that the video has any frames")
    return n_frames - span


def clips_at(starts: Indices, n_frames: int, clip_length: int, step_frames: int, short: ShortVideo) -> ClipIndices:
    """The clips that begin at ``starts``; under ``short`` where the video is shorter than a clip."""
    one_of("short", short, get_args(ShortVideo))
    offsets = np.arange(clip_length, dtype=np.int64) * step_frames
    is_short = n_frames <= int(offsets[-1])
    if is_short:
        offsets = padded_offsets(n_frames, offsets, short)
    return ClipIndices(starts[:, None] + offsets, np.full(len(starts), is_short))
