"""A sampling policy as a value: which clips of a video are looked at, hashed into every output.

The arithmetic is in ``indices``, the policies while a video is still being decoded in ``stream``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from tubelet.clips.indices import (
    ClipIndices,
    ShortVideo,
    at_least_one,
    dense,
    non_overlapping,
    one_of,
    random_clips,
    segments,
    span_frames,
    uniform,
)
from tubelet.clips.stream import DenseStream, StreamedClip
from tubelet.clips.tsn_indices import caffe_segments, caffe_test, torch_segments, torch_test
from tubelet.errors import UsageError
from tubelet.provenance import derive_seed, hash_json

__all__ = [
    "ClipIndices",
    "DenseStream",
    "Policy",
    "Sampling",
    "ShortVideo",
    "StreamedClip",
    "dense",
    "non_overlapping",
    "random_clips",
    "segments",
    "span_frames",
    "uniform",
]

Policy = Literal[
    "dense",
    "non_overlapping",
    "uniform",
    "random",
    "segments",
    "tsn_torch",
    "tsn_torch_test",
    "tsn_caffe",
    "tsn_caffe_test",
]

_SEGMENTS = {"segments": segments, "tsn_torch": torch_segments, "tsn_caffe": caffe_segments}
_TESTS = {"tsn_torch_test": torch_test, "tsn_caffe_test": caffe_test}
_STARTS_BY_STRIDE = ("dense", "non_overlapping")


@dataclass(frozen=True)
class Sampling:
    """A sampling policy with its numbers: a value that can be compared, written down and hashed.

    Attributes
    ----------
    policy
        ``dense``, ``non_overlapping``, ``uniform`` (Two-Stream's 25 frames at equal spacing), ``random``,
        ``segments``, or one of TSN's released codes: ``tsn_torch`` and ``tsn_caffe`` for training and validation,
        ``tsn_torch_test`` and ``tsn_caffe_test`` for its 25 snippets (see `tsn_indices`).
    clip_length
        Frames in a clip (the snippet length of segments).
    stride_frames
        Frames between the starts of clips; for ``dense`` only (8 unless told).
    step_frames
        Frames between neighboring frames of a clip.
    short
        What happens to a video shorter than a clip: ``loop``, ``repeat-last`` or ``refuse``.
    n_clips
        Clips (segments) a video; for all but ``dense`` and ``non_overlapping``, and needed there.
    seed
        Of ``random`` places, where each video has its own (`of_video`); other policies have none.

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
    seed: int | None = None

    def __post_init__(self) -> None:
        one_of("policy", self.policy, get_args(Policy))
        one_of("short", self.short, get_args(ShortVideo))
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
                remedy="give n_clips with any sampling but dense and non_overlapping, and only there",
            )
        if self.seed is not None and self.policy != "random":
            raise UsageError(f"{self.policy} sampling has no seed", remedy="leave it out or use random sampling")

    @property
    def span_frames(self) -> int:
        """Frames of the video that a clip spans."""
        return span_frames(self.clip_length, self.step_frames)

    @property
    def one_input(self) -> bool:
        """Whether the snippets of a video are one network input, one after the other, and not an input each."""
        return self.policy in _SEGMENTS

    @property
    def streamed(self) -> bool:
        """Whether clips can be cut while the video is still being decoded, see `stream`."""
        return self.policy in _STARTS_BY_STRIDE

    def of_video(self, video_id: str, n_frames: int) -> ClipIndices:
        """The clips of a video for testing or describing it; ``random`` places depend on seed and name alone.

        Parameters
        ----------
        video_id
            Its name in tables, by which it has the same places wherever it is met again.
        n_frames
            Frames in the video.

        Raises
        ------
        InputDataError
            As `indices`.
        """
        rng = np.random.default_rng(derive_seed(self.seed or 0, "views", video_id)) if self.policy == "random" else None
        return self.indices(n_frames, rng)

    def indices(self, n_frames: int, rng: np.random.Generator | None = None) -> ClipIndices:
        """The clips of a video with ``n_frames`` frames.

        Parameters
        ----------
        n_frames
            Frames in the video.
        rng
            Needed by ``random``; makes ``segments``, ``tsn_torch`` and ``tsn_caffe`` draw as in training instead of
            taking segment centers; not used by the others.

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
        if (segmented := _SEGMENTS.get(self.policy)) is not None:
            return segmented(n_frames, n_clips, length, rng, step_frames=self.step_frames, short=self.short)
        if (tested := _TESTS.get(self.policy)) is not None:
            return tested(n_frames, n_clips, length, step_frames=self.step_frames, short=self.short)
        if self.policy == "uniform":
            return uniform(n_frames, length, n_clips, step_frames=self.step_frames, short=self.short)
        if rng is None:
            raise UsageError("random sampling needs a random generator", remedy="pass rng=")
        return random_clips(n_frames, length, n_clips, rng, step_frames=self.step_frames, short=self.short)

    def stream(self) -> DenseStream[Any]:
        """The same clips while the video is still being decoded; for ``dense`` and ``non_overlapping``.

        Raises
        ------
        UsageError
            Another policy: it needs the number of frames beforehand.
        """
        if not self.streamed:
            raise UsageError(
                f"{self.policy} sampling cannot be streamed",
                why="it needs the number of frames beforehand",
                remedy="use Sampling.indices(len(video)) and read those frames",
            )
        stride = self.stride_frames or self.clip_length * self.step_frames
        return DenseStream(self.clip_length, stride, step_frames=self.step_frames, short=self.short)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the fields that this policy does not use."""
        fields = ("policy", "clip_length", "stride_frames", "step_frames", "short", "n_clips", "seed")
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
