"""The frame table: which frames a video has, when each appears, and where decoding may start."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from tubelet.video.pixels import Orientation

# A frame's fingerprint reads every eighth row of its first plane: enough to tell neighbors apart, too little to
# slow the decode down.
FINGERPRINT_ROW_STEP = 8


@dataclass(frozen=True)
class FrameTable:
    """One row per frame, in display order.

    Attributes
    ----------
    pts
        ``(T,)`` int64, strictly increasing, in units of ``time_base``.
    last_duration
        Ticks that the last frame is shown, at least 1.
    keyframes
        ``(T,)`` bool, True where decoding may start.
    fingerprints
        ``(T,)`` uint32 checksum of each frame's pixels, or ``(0,)`` if the table was read from packets only.
    time_base
        Seconds per tick.
    rate
        The container's frames per second, if it names one.
    width, height
        Size of the coded pictures in pixels, before rotation.
    orientation
        How they are turned for display.
    seekable
        Whether every time stamp is the container's own, so that a frame found after a seek can be recognized.
    """

    pts: npt.NDArray[np.int64]
    last_duration: int
    keyframes: npt.NDArray[np.bool_]
    fingerprints: npt.NDArray[np.uint32]
    time_base: Fraction
    rate: Fraction | None
    width: int
    height: int
    orientation: Orientation
    seekable: bool

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """``(T,)`` float64 seconds; the first frame is at 0."""
        return seconds(self.pts - self.pts[0], self.time_base)

    @property
    def ends(self) -> npt.NDArray[np.float64]:
        """``(T,)`` float64 seconds; a frame ends where the next begins, the last after its duration."""
        after = np.append(self.pts[1:], self.pts[-1] + self.last_duration)
        return seconds(after - self.pts[0], self.time_base)

    @property
    def fps(self) -> float:
        """Frames per second, see :func:`average_rate`."""
        return average_rate(self.pts, self.last_duration, self.time_base, self.rate)

    def keyframe_before(self, index: int) -> int:
        """The last frame at or before ``index`` where decoding may start."""
        found = np.flatnonzero(self.keyframes[: index + 1])
        return int(found[-1]) if len(found) else 0


def seconds(ticks: npt.NDArray[np.int64], time_base: Fraction) -> npt.NDArray[np.float64]:
    """Ticks as float64 seconds, each rounded once."""
    # The product is an exact integer below 2**53, so the division rounds once, as float(Fraction) does.
    result: npt.NDArray[np.float64] = ticks * time_base.numerator / time_base.denominator
    return result


def average_rate(pts: npt.NDArray[np.int64], last_duration: int, time_base: Fraction, rate: Fraction | None) -> float:
    """Frames per second of a video: the container's figure if the frames keep to it, else their number over time.

    Parameters
    ----------
    pts
        ``(T,)`` int64 time stamps, T ≥ 1.
    last_duration
        Ticks that the last frame is shown.
    time_base
        Seconds per tick.
    rate
        The container's frames per second, if it names one.

    Returns
    -------
    float
        The container's rate where every frame is within one tick (or 2 %) of its place at that rate.
    """
    span = int(pts[-1] - pts[0]) + last_duration
    measured = float(len(pts) / (span * time_base))
    if rate is None:
        return measured
    step = float(1 / (rate * time_base))
    places = np.arange(len(pts)) * step
    if np.all(np.abs((pts - pts[0]) - places) <= 1 + 0.02 * step):
        return float(rate)
    return measured


def fingerprint(frame: VideoFrame) -> int:
    """Checksum of every eighth row of the frame's first plane, as the decoder left it."""
    plane = frame.planes[0]
    layout = frame.format
    bits = layout.components[0].bits if layout.is_planar else layout.padded_bits_per_pixel
    # A row's stride may be negative (bottom-up pictures) and longer than the picture; padding is nobody's bytes.
    stride = abs(plane.line_size)
    rows = np.frombuffer(memoryview(plane), np.uint8)[: stride * plane.height].reshape(plane.height, stride)
    return zlib.crc32(rows[::FINGERPRINT_ROW_STEP, : plane.width * ((bits + 7) // 8)].tobytes())
