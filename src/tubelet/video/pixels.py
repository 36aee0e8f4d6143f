"""Decoded pictures become RGB arrays, the right way up."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter


@dataclass(frozen=True)
class Orientation:
    """How a coded picture is turned for display: mirrored left-right first, then turned.

    Parameters
    ----------
    quarter_turns
        Counter-clockwise quarter turns, 0 to 3.
    mirrored
        Whether the picture is mirrored before it is turned.
    """

    quarter_turns: int = 0
    mirrored: bool = False

    @property
    def swaps_sides(self) -> bool:
        """Whether width and height change places."""
        return self.quarter_turns % 2 == 1

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A turned copy of an ``(H, W, 3)`` image, contiguous."""
        if self.mirrored:
            image = image[:, ::-1]
        return np.rot90(image, self.quarter_turns).copy()


def orientation_of(frame: VideoFrame) -> Orientation:
    """Orientation from the display matrix that the container or the codec attached to ``frame``.

    Angles are rounded to quarter turns: the matrix may hold any angle, cameras write these four.
    """
    kept: Any = frame.side_data  # a mapping by type, whatever its stub says
    if not len(kept) or Type.DISPLAYMATRIX not in kept:
        return Orientation()
    data = kept[Type.DISPLAYMATRIX]
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
    # Row-vector convention with y pointing down: (x, y) goes to (a x + c y, b x + d y), 16.16 fixed point.
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    turns = round(math.degrees(math.atan2(-b, a)) / 90) % 4 if (a, b) != (0, 0) else 0
    return Orientation(turns, mirrored)


class RgbConverter:
    """Turns decoded frames of one video into RGB arrays of one size.

    One swscale context is set up and used for all frames; a context for each frame costs four times the conversion.
    The values are those of PyAV's ``frame.to_ndarray(format="rgb24")``.

    Parameters
    ----------
    width, height
        Size of the coded pictures, before rotation, in pixels.
    orientation
        How they are turned for display.
    """

    def __init__(self, width: int, height: int, orientation: Orientation) -> None:
        self._width = width
        self._height = height
        self._orientation = orientation
        self._reformatter = VideoReformatter()

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(H, W, 3)`` of the arrays that :meth:`rgb` returns."""
        if self._orientation.swaps_sides:
            return (self._width, self._height, 3)
        return (self._height, self._width, 3)

    def fits(self, frame: VideoFrame) -> bool:
        """Whether ``frame`` has the video's size."""
        return frame.width == self._width and frame.height == self._height

    def rgb(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """``frame`` as ``(H, W, 3)`` uint8 RGB; a frame of another size is scaled to the video's (bilinear)."""
        if self.fits(frame):
            converted = self._reformatter.reformat(frame, format="rgb24", threads=1)
        else:
            converted = VideoReformatter().reformat(
                frame, width=self._width, height=self._height, format="rgb24", interpolation="BILINEAR", threads=1
            )
        plane = converted.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            : self._height, : self._width * 3
        ]
        # Copied once: from the decoder's padded rows, turned as needed, into an array of its own.
        return self._orientation.apply(rows.reshape(self._height, self._width, 3))
