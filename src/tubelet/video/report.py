"""What reading a video gives: frames with times, and the verdict on the whole file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    Attributes
    ----------
    index
        Number of the frame, counted from 0 in display order.
    time_s, end_s
        When it appears and when it gives way to the next, in seconds; the first frame appears at 0.
    image
        ``(H, W, 3)`` uint8 RGB, rotation applied. The array is the caller's own: nothing writes to it later.
    """

    index: int
    time_s: float
    end_s: float
    image: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DecodeReport:
    """The verdict of a complete decode.

    Attributes
    ----------
    status
        ``"ok"``, or ``"partial"`` when frames were lost or damaged; ``problems`` says why. A video without one
        decodable frame has no report: reading it raises :class:`tubelet.errors.VideoError`.
    frames_declared
        How many frames the container claims; None where it claims nothing (WebM, GIF, a folder of frames).
    frames_decoded
        How many frames came out.
    fps, fps_source
        Frames per second and where the figure comes from, as in :class:`tubelet.video.reader.Video`.
    duration_s
        End of the last frame, in seconds.
    width, height
        Size of the frames in pixels, after rotation.
    codec, container
        FFmpeg's names, such as ``"h264"`` and ``"mov"``.
    problems
        One sentence for each thing that is wrong; empty when the status is ``"ok"``.
    """

    status: Literal["ok", "partial"]
    frames_declared: int | None
    frames_decoded: int
    fps: float
    fps_source: str
    duration_s: float
    width: int
    height: int
    codec: str
    container: str
    problems: tuple[str, ...] = ()
