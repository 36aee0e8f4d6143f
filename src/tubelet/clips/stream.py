"""Dense clips while the video is still being decoded: each frame seen once, only the needed ones kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, get_args

import numpy as np

from tubelet.clips.indices import (
    Indices,
    ShortVideo,
    at_least_one,
    dense,
    one_of,
    padded_offsets,
    span_frames,
)
from tubelet.errors import UsageError

FrameT = TypeVar("FrameT")


@dataclass(frozen=True, eq=False)
class StreamedClip(Generic[FrameT]):
    """A clip that has just become complete.

    Attributes
    ----------
    index
        Its row in ``dense(...).frames``.
    indices
        ``(clip_length,)`` int64, its frame indices.
    frames
        What was pushed for those indices, in the same order; a looped clip repeats the same objects.
    padded
        True where frames were repeated because the video is shorter than a clip.
    """

    index: int
    indices: Indices
    frames: tuple[FrameT, ...]
    padded: bool


class DenseStream(Generic[FrameT]):
    """The clips of :func:`tubelet.clips.indices.dense`, one by one, from frames that arrive in order.

    Push every frame; a clip comes back as soon as its last frame is in. At the end :meth:`finish` gives the
    padded clip of a video that was too short for any. Clips and indices are those of ``dense`` for the number
    of frames pushed. At most one span of frames is held, and of these, once the first clip is out, only the
    ones that a later clip uses. Frames are held by reference: push copies if they are views into a large
    block.

    Parameters
    ----------
    clip_length, stride_frames, step_frames, short
        As in :func:`tubelet.clips.indices.dense`.

    Raises
    ------
    UsageError
        A length, stride or step below 1, or an unknown policy for short videos.
    """

    def __init__(
        self,
        clip_length: int = 16,
        stride_frames: int = 8,
        *,
        step_frames: int = 1,
        short: ShortVideo = "loop",
    ) -> None:
        one_of("short", short, get_args(ShortVideo))
        self.clip_length = at_least_one("clip_length", clip_length)
        self.stride_frames = at_least_one("stride_frames", stride_frames)
        self.step_frames = at_least_one("step_frames", step_frames)
        self.short: ShortVideo = short
        self.n_frames = 0
        self._span = span_frames(self.clip_length, self.step_frames)
        self._offsets = np.arange(self.clip_length, dtype=np.int64) * self.step_frames
        self._held: dict[int, FrameT] = {}
        self._next_clip = 0
        self._finished = False

    @property
    def held(self) -> int:
        """Frames held at the moment, never more than a clip's span."""
        return len(self._held)

    def push(self, frame: FrameT) -> StreamedClip[FrameT] | None:
        """Take the next frame; return the clip that it completes, if any (a frame completes one at most)."""
        if self._finished:
            raise UsageError("a finished stream takes no more frames", remedy="make a new one for each video")
        index = self.n_frames
        self.n_frames += 1
        # Until the first clip is complete the video may turn out short, and a looped clip may want any frame.
        if self._next_clip == 0 or self._is_used(index):
            self._held[index] = frame
        start = self._next_clip * self.stride_frames
        if index != start + self._span - 1:
            return None
        clip = self._clip(start + self._offsets, padded=False)
        self._next_clip += 1
        self._held = {held: kept for held, kept in self._held.items() if self._is_used(held)}
        return clip

    def finish(self) -> StreamedClip[FrameT] | None:
        """Say that the video has ended; return its padded clip if it was shorter than one clip.

        Raises
        ------
        InputDataError
            No frame was pushed, or the video is too short under ``refuse``.
        """
        self._finished = True
        clip = None
        if self.n_frames == 0:
            dense(0, self.clip_length, self.stride_frames)  # raises
        if self._next_clip == 0:
            clip = self._clip(padded_offsets(self.n_frames, self._offsets, self.short), padded=True)
        self._held = {}
        return clip

    def _clip(self, indices: Indices, *, padded: bool) -> StreamedClip[FrameT]:
        frames = tuple(self._held[int(index)] for index in indices)
        return StreamedClip(self._next_clip, indices, frames, padded)

    def _is_used(self, index: int) -> bool:
        """Whether a clip that is not complete yet uses this frame."""
        # Clips that span the frame start in (index - span, index].
        first = max(self._next_clip, -(-(index - self._span + 1) // self.stride_frames))
        last = index // self.stride_frames
        starts = (clip * self.stride_frames for clip in range(first, last + 1))
        return any((index - start) % self.step_frames == 0 for start in starts)
