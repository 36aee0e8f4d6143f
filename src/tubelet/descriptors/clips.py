"""Decoded frames of one video become its clips, each frame taken once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tubelet.clips.decode import FrameBlock
from tubelet.clips.modality import RGB, LevelScale, Modality
from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.clips.stream import DenseStream
from tubelet.clips.transforms import to_input
from tubelet.descriptors.request import VideoRequest
from tubelet.descriptors.schema import ClipSpan
from tubelet.errors import VideoError
from tubelet.flow.inputs import arrange, finish

_KEPT_BYTES = 192 << 20  # resized frames of one video that wait for its end; 3066 of 128 x 171

_TimedFrame = tuple[NDArray[np.uint8], float, float]
Fetch = Callable[[VideoRequest, NDArray[np.int64]], NDArray[np.uint8]]
"""Reads frames of a video by number, resized: ``(n, h, w, 3)`` uint8, of flow ``(n, h, w, 2 or 4)`` levels."""


@dataclass(frozen=True, eq=False)
class ReadyClip:
    """A clip's place and its network input ``(C, T, H, W)`` float32."""

    span: ClipSpan
    input: Tensor


class ClipAssembler(Protocol):
    """Takes the blocks of one video in order and gives out its clips as they become complete."""

    def push(self, block: FrameBlock) -> Iterator[ReadyClip]:
        """Clips that this block completes."""
        ...  # pragma: no cover

    def finish(self) -> Iterator[ReadyClip]:
        """Clips that only the end completes.

        Raises
        ------
        VideoError
            If no frame lies in the span.
        InputDataError
            If the video is too short and the policy refuses that.
        """
        ...  # pragma: no cover


def assembler_for(
    request: VideoRequest,
    recipe: Recipe,
    sampling: Sampling,
    modality: Modality = RGB,
    fetch: Fetch | None = None,
) -> ClipAssembler:
    """What makes the clips of one video.

    Parameters
    ----------
    request
        Its span, if any, is cut out here: clips begin at the first frame of the span.
    recipe, sampling
        How clips are made; the sampling counts items of the source.
    modality
        What they are made of: frames, or fields of flow.
    fetch
        Reads frames again, for a sampling that has to know the video's length: it cuts clips when the video has ended,
        and of a long one the frames are not all kept until then. None: they are.
    """
    shared = _Made(request, recipe, sampling, modality)
    return StreamedAssembler(shared) if sampling.streamed else WholeVideoAssembler(shared, fetch)


@dataclass(eq=False)
class _Made:
    """What all assemblers do alike: which frames belong to the video's span, and how a clip becomes an input."""

    request: VideoRequest
    recipe: Recipe
    sampling: Sampling
    modality: Modality
    levels: LevelScale | None = None
    first_frame: int = 0

    def inside(self, block: FrameBlock) -> NDArray[np.bool_]:
        """Which frames of a block lie in the span."""
        from_s = -np.inf if self.request.start_s is None else self.request.start_s
        to_s = np.inf if self.request.end_s is None else self.request.end_s
        self.levels = block.levels
        return np.asarray((block.times_s >= from_s) & (block.times_s < to_s))

    def require_frames(self, count: int) -> None:
        if count == 0 and self.request.is_span:
            start, end = self.request.start_s, self.request.end_s
            raise VideoError(
                "no frame lies in the span",
                path=self.request.path,
                why=f"{-np.inf if start is None else start:g} to {np.inf if end is None else end:g} s",
                remedy="correct start_s and end_s in the table of videos",
            )

    def ready(
        self, index: int, indices: NDArray[np.int64], images: NDArray[np.uint8], times_s: tuple[float, float],
        padded: bool,
    ) -> ReadyClip:  # fmt: skip
        span = ClipSpan(
            clip_index=index,
            start_frame=self.first_frame + int(indices.min()),
            # A field shows the motion from its frame to the next.
            end_frame=self.first_frame + int(indices.max()) + self.modality.frames_per_source,
            start_s=times_s[0],
            end_s=times_s[1],
            padded=padded,
        )
        planes = to_input(arrange(images, self.modality, self.recipe, self.levels), self.recipe)
        return ReadyClip(span, finish(planes, self.modality, self.sampling.clip_length))


class StreamedAssembler:
    """Clips of a sampling that goes along with the decoder: at most a clip's span of frames is held."""

    def __init__(self, made: _Made) -> None:
        self._made = made
        self._stream: DenseStream[_TimedFrame] = made.sampling.stream()

    def push(self, block: FrameBlock) -> Iterator[ReadyClip]:
        """Clips that this block completes."""
        for offset in np.flatnonzero(self._made.inside(block)).tolist():
            if self._stream.n_frames == 0:
                self._made.first_frame = block.first_index + offset
            frame = (block.images[offset], float(block.times_s[offset]), float(block.ends_s[offset]))
            if (clip := self._stream.push(frame)) is not None:
                yield self._ready(clip.index, clip.indices, clip.frames, clip.padded)

    def finish(self) -> Iterator[ReadyClip]:
        """The padded clip of a video shorter than one clip."""
        self._made.require_frames(self._stream.n_frames)
        if (clip := self._stream.finish()) is not None:
            yield self._ready(clip.index, clip.indices, clip.frames, clip.padded)

    def _ready(
        self, index: int, indices: NDArray[np.int64], frames: Sequence[_TimedFrame], padded: bool
    ) -> ReadyClip:  # fmt: skip
        times_s = min(time_s for _, time_s, _ in frames), max(end_s for _, _, end_s in frames)
        return self._made.ready(index, indices, np.stack([image for image, _, _ in frames]), times_s, padded)


class WholeVideoAssembler:
    """Clips of a sampling that has to know how many frames there are, such as those at random places.

    The number is that of the frames which were decoded, not what the file claims, so that clips of a damaged video are
    those that `tubelet.protocols.views.TestViews` tests.
    """

    def __init__(self, made: _Made, fetch: Fetch | None) -> None:
        self._made = made
        self._fetch = fetch
        self._images: list[NDArray[np.uint8]] | None = []  # None: too many to be kept
        self._held = 0
        self._times: list[tuple[float, float]] = []

    def push(self, block: FrameBlock) -> Iterator[ReadyClip]:
        """No clips yet."""
        for offset in np.flatnonzero(self._made.inside(block)).tolist():
            if not self._times:
                self._made.first_frame = block.first_index + offset
            self._times.append((float(block.times_s[offset]), float(block.ends_s[offset])))
            if self._images is not None:
                self._images.append(block.images[offset])
                self._held += block.images[offset].nbytes
                if self._fetch is not None and self._held > _KEPT_BYTES:
                    self._images = None
        yield from ()

    def finish(self) -> Iterator[ReadyClip]:
        """All clips, one after the other."""
        made = self._made
        made.require_frames(len(self._times))
        clips = made.sampling.of_video(made.request.video_id, len(self._times))
        for index, (indices, padded) in enumerate(zip(clips.frames, clips.padded.tolist(), strict=True)):
            times = [self._times[frame] for frame in indices.tolist()]
            times_s = min(time_s for time_s, _ in times), max(end_s for _, end_s in times)
            yield made.ready(index, indices, self._frames(indices), times_s, padded)

    def _frames(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        if self._images is not None:
            return np.stack([self._images[frame] for frame in indices.tolist()])
        assert self._fetch is not None  # else all are kept
        return self._fetch(self._made.request, indices + self._made.first_frame)
