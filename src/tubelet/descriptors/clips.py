"""Decoded frames of one video become its clips, each frame taken once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tubelet.clips.decode import FrameBlock
from tubelet.clips.modality import RGB, LevelScale, Modality
from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.clips.stream import DenseStream, StreamedClip
from tubelet.clips.transforms import to_input
from tubelet.descriptors.request import VideoRequest
from tubelet.descriptors.schema import ClipSpan
from tubelet.errors import VideoError
from tubelet.flow.inputs import arrange, finish

_TimedFrame = tuple[NDArray[np.uint8], float, float]


@dataclass(frozen=True, eq=False)
class ReadyClip:
    """A clip's place and its network input ``(C, T, H, W)`` float32."""

    span: ClipSpan
    input: Tensor


class ClipAssembler:
    """Takes the blocks of one video in order and gives out its clips as they become complete.

    Parameters
    ----------
    request
        Its span, if any, is cut out here: clips begin at the first frame of the span.
    recipe, sampling
        How clips are made; the sampling counts items of the source.
    modality
        What they are made of: frames, or fields of flow.
    """

    def __init__(self, request: VideoRequest, recipe: Recipe, sampling: Sampling, modality: Modality = RGB) -> None:
        self._request = request
        self._recipe = recipe
        self._modality = modality
        self._length = sampling.clip_length
        self._levels: LevelScale | None = None
        self._stream: DenseStream[_TimedFrame] = sampling.stream()
        self._from_s = -np.inf if request.start_s is None else request.start_s
        self._to_s = np.inf if request.end_s is None else request.end_s
        self._first_frame = 0

    def push(self, block: FrameBlock) -> Iterator[ReadyClip]:
        """Clips that this block completes."""
        self._levels = block.levels
        for offset, image in enumerate(block.images):
            time_s, end_s = float(block.times_s[offset]), float(block.ends_s[offset])
            if not self._from_s <= time_s < self._to_s:
                continue
            if self._stream.n_frames == 0:
                self._first_frame = block.first_index + offset
            clip = self._stream.push((image, time_s, end_s))
            if clip is not None:
                yield self._ready(clip)

    def finish(self) -> Iterator[ReadyClip]:
        """The padded clip of a video shorter than one clip.

        Raises
        ------
        VideoError
            If no frame lies in the span.
        InputDataError
            If the video is too short and the policy refuses that.
        """
        if self._stream.n_frames == 0 and self._request.is_span:
            raise VideoError(
                "no frame lies in the span",
                path=self._request.path,
                why=f"{self._from_s:g} to {self._to_s:g} s",
                remedy="correct start_s and end_s in the table of videos",
            )
        clip = self._stream.finish()
        if clip is not None:
            yield self._ready(clip)

    def _ready(self, clip: StreamedClip[_TimedFrame]) -> ReadyClip:
        images = np.stack([image for image, _, _ in clip.frames])
        span = ClipSpan(
            clip_index=clip.index,
            start_frame=self._first_frame + int(clip.indices.min()),
            # A field shows the motion from its frame to the next.
            end_frame=self._first_frame + int(clip.indices.max()) + self._modality.frames_per_source,
            start_s=min(time_s for _, time_s, _ in clip.frames),
            end_s=max(end_s for _, _, end_s in clip.frames),
            padded=clip.padded,
        )
        planes = to_input(arrange(images, self._modality, self._recipe, self._levels), self._recipe)
        return ReadyClip(span, finish(planes, self._modality, self._length))
