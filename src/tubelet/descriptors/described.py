"""What describing one video gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.pooling import FloatArray, video_vector
from tubelet.errors import UsageError
from tubelet.video.report import DecodeReport


@dataclass(frozen=True, eq=False)
class Described:
    """The descriptors of one video's clips, with their times.

    Attributes
    ----------
    path
        The video, as it was given.
    vectors
        By layer: ``(n_clips, D)`` float32, not normalized.
    start_frame, end_frame
        ``(n_clips,)`` int64, ``end_frame`` exclusive.
    start_s, end_s
        ``(n_clips,)`` float64 seconds; 0 is the first frame, ``end_s`` is when the last frame of the clip
        ends.
    padded
        ``(n_clips,)`` bool, true where frames were repeated because the video is shorter than a clip.
    report
        Verdict of the decoder: status, declared and decoded frames, frame rate.
    """

    path: str
    vectors: Mapping[str, FloatArray]
    start_frame: NDArray[np.int64]
    end_frame: NDArray[np.int64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    padded: NDArray[np.bool_]
    report: DecodeReport

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.start_frame)

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.report.fps

    @property
    def fps_source(self) -> str:
        """Where ``fps`` comes from: ``"container"``, ``"given"`` or ``"assumed"``."""
        return self.report.fps_source

    @cached_property
    def _video_vectors(self) -> dict[str, FloatArray]:
        return {}

    def video_vector(self, layer: str) -> FloatArray:
        """Descriptor of the whole video, ``(D,)`` float32: mean over its clips, then L2 (C3D paper, section
        3.3).

        Raises
        ------
        UsageError
            If the layer was not extracted.
        """
        if layer not in self.vectors:
            raise UsageError(f"the layer {layer!r} was not extracted", remedy=f"there are {', '.join(self.vectors)}")
        if layer not in self._video_vectors:
            self._video_vectors[layer] = video_vector(self.vectors[layer])
        return self._video_vectors[layer]
