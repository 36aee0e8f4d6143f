"""Which frames make which clip: pure index arithmetic, no pixels, no files.

A clip is ``clip_length`` frames, ``step_frames`` apart, so it spans ``(clip_length - 1) * step_frames + 1`` frames
of the video. A video shorter than that span is dealt with by a stated policy:

- ``loop``: the video starts again from its first frame (index modulo the number of frames);
- ``repeat-last``: its last frame is held;
- ``refuse``: an error. (The original C3D code skips such videos in training and aborts on them in testing.)

Clips made by the first two are marked ``padded``.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tubelet.errors import InputDataError, UsageError
from tubelet.provenance import hash_json

Indices = npt.NDArray[np.int64]
ShortVideo = Literal["loop", "repeat-last", "refuse"]
Policy = Literal["dense", "non_overlapping", "uniform", "random", "segments"]

_STARTS_BY_STRIDE = ("dense", "non_overlapping")


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

    There are ``floor((n_frames - span) / stride_frames) + 1`` of them; a tail shorter than a clip is dropped. A
    video shorter than one clip gives one padded clip.

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
    last = _last_start(n_frames, clip_length, step_frames)
    starts = np.arange(0, max(last, 0) + 1, stride_frames, dtype=np.int64)
    return _clips(starts, n_frames, clip_length, step_frames, short)


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

    Start ``i`` is ``i * (n_frames - span) / (n_clips - 1)``, rounded half up; a single clip lies in the middle. In
    a short video starts repeat, so that there are always ``n_clips`` clips. Parameters and errors as in
    :func:`dense`.
    """
    n_clips = at_least_one("n_clips", n_clips)
    last = max(_last_start(n_frames, clip_length, step_frames), 0)
    if n_clips == 1:
        starts = np.array([last // 2], dtype=np.int64)
    else:
        gaps = n_clips - 1
        starts = (2 * last * np.arange(n_clips, dtype=np.int64) + gaps) // (2 * gaps)
    return _clips(starts, n_frames, clip_length, step_frames, short)


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

    This is C3D's temporal jitter (``image_io.cpp``), except that for ``step_frames`` above 1 the original never
    draws the last ``step_frames - 1`` starts. Parameters and errors as in :func:`dense`; ``rng`` is the only
    source of chance.
    """
    n_clips = at_least_one("n_clips", n_clips)
    last = max(_last_start(n_frames, clip_length, step_frames), 0)
    starts = rng.integers(0, last + 1, size=n_clips, dtype=np.int64)
    return _clips(starts, n_frames, clip_length, step_frames, short)


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
    - training: with ``d = floor(P / S) >= 1``, ``i * d`` plus a uniform draw from ``0 ... d - 1``; where there are
      fewer starts than segments, ``S`` sorted uniform draws.

    Source: Wang et al., ECCV 2016, section 3.1, in the arithmetic of the authors' ``tsn-pytorch`` (``dataset.py``).
    Where the video has fewer starts than segments that code takes frame 0 for all; here the same formula goes on
    and starts repeat.

    Returns
    -------
    ClipIndices
        ``frames`` is ``(n_segments, snippet_length)``. Other parameters and errors as in :func:`dense`.
    """
    n_segments = at_least_one("n_segments", n_segments)
    positions = max(_last_start(n_frames, snippet_length, step_frames), 0) + 1
    order = np.arange(n_segments, dtype=np.int64)
    if rng is None:
        starts = (2 * order + 1) * positions // (2 * n_segments)
    elif (duration := positions // n_segments) >= 1:
        starts = order * duration + rng.integers(0, duration, size=n_segments, dtype=np.int64)
    else:
        starts = np.sort(rng.integers(0, positions, size=n_segments, dtype=np.int64))
    return _clips(starts, n_frames, snippet_length, step_frames, short)


@dataclass(frozen=True)
class Sampling:
    """A sampling policy with its numbers: a value that can be compared, written down and hashed.

    Attributes
    ----------
    policy
        ``dense``, ``non_overlapping``, ``uniform``, ``random`` or ``segments``.
    clip_length
        Frames in a clip (the snippet length of ``segments``).
    stride_frames
        Frames between the starts of clips; for ``dense`` only (8 unless told).
    step_frames
        Frames between neighboring frames of a clip.
    short
        What happens to a video shorter than a clip: ``loop``, ``repeat-last`` or ``refuse``.
    n_clips
        Clips (segments) a video; for ``uniform``, ``random`` and ``segments``, which need it.

    Raises
    ------
    UsageError
        Values that are out of range or belong to another policy.
    """

    policy: Policy = "dense"
    clip_length: int = 16
    stride_frames: int | None = None
    step_frames: int = 1
    short: ShortVideo = "loop"
    n_clips: int | None = None

    def __post_init__(self) -> None:
        _one_of("policy", self.policy, get_args(Policy))
        _one_of("short", self.short, get_args(ShortVideo))
        if self.policy == "dense" and self.stride_frames is None:
            object.__setattr__(self, "stride_frames", 8)
        for name in ("clip_length", "step_frames", "stride_frames", "n_clips"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, at_least_one(name, value))
        if self.policy != "dense" and self.stride_frames is not None:
            raise UsageError(
                f"{self.policy} sampling has no stride_frames", remedy="leave it out or use dense sampling"
            )
        if (self.policy in _STARTS_BY_STRIDE) != (self.n_clips is None):
            verb = "has no" if self.policy in _STARTS_BY_STRIDE else "needs"
            raise UsageError(
                f"{self.policy} sampling {verb} n_clips",
                remedy="give n_clips with uniform, random or segments sampling, and only there",
            )

    @property
    def span_frames(self) -> int:
        """Frames of the video that a clip spans."""
        return span_frames(self.clip_length, self.step_frames)

    def indices(self, n_frames: int, rng: np.random.Generator | None = None) -> ClipIndices:
        """The clips of a video with ``n_frames`` frames.

        Parameters
        ----------
        n_frames
            Frames in the video.
        rng
            Needed by ``random``; makes ``segments`` draw as in training instead of taking segment centers; not
            used by the others.

        Raises
        ------
        UsageError
            ``random`` without ``rng``.
        InputDataError
            No frames, or too few under ``refuse``.
        """
        length, n_clips = self.clip_length, self.n_clips or 1
        if self.policy == "dense":
            stride = self.stride_frames or 8
            return dense(n_frames, length, stride, step_frames=self.step_frames, short=self.short)
        if self.policy == "non_overlapping":
            return non_overlapping(n_frames, length, step_frames=self.step_frames, short=self.short)
        if self.policy == "uniform":
            return uniform(n_frames, length, n_clips, step_frames=self.step_frames, short=self.short)
        if self.policy == "segments":
            return segments(n_frames, n_clips, length, rng, step_frames=self.step_frames, short=self.short)
        if rng is None:
            raise UsageError("random sampling needs a random generator", remedy="pass rng=")
        return random_clips(n_frames, length, n_clips, rng, step_frames=self.step_frames, short=self.short)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the fields that this policy does not use."""
        fields = ("policy", "clip_length", "stride_frames", "step_frames", "short", "n_clips")
        return {name: value for name in fields if (value := getattr(self, name)) is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sampling:
        """The inverse of :meth:`to_dict`; unknown or impossible values are a :class:`UsageError`."""
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise UsageError(
                f"sampling has no {', '.join(unknown)}",
                remedy=f"its fields are {', '.join(cls.__dataclass_fields__)}",
            )
        return cls(**values)

    @property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of :meth:`to_dict` as canonical JSON."""
        return hash_json(self.to_dict())


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
    _one_of("short", short, get_args(ShortVideo))
    raise InputDataError(
        f"a clip needs {int(offsets[-1]) + 1} frames and the video has {n_frames}",
        remedy="leave the video out, or choose loop or repeat-last for short videos",
    )


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{name} is {value!r}", remedy=f"choose one of {', '.join(allowed)}")


def _last_start(n_frames: int, clip_length: int, step_frames: int) -> int:
    """The last start at which a whole clip fits; below 0 in a short video."""
    span = span_frames(at_least_one("clip_length", clip_length), at_least_one("step_frames", step_frames))
    if n_frames < 1:
        raise InputDataError(
            f"cannot take clips from {n_frames} frames", remedy="check that the video has any frames"
        )
    return n_frames - span


def _clips(
    starts: Indices, n_frames: int, clip_length: int, step_frames: int, short: ShortVideo
) -> ClipIndices:
    _one_of("short", short, get_args(ShortVideo))
    offsets = np.arange(clip_length, dtype=np.int64) * step_frames
    is_short = n_frames <= int(offsets[-1])
    if is_short:
        offsets = padded_offsets(n_frames, offsets, short)
    return ClipIndices(starts[:, None] + offsets, np.full(len(starts), is_short))
