"""One JPEG file becomes one frame, by the decoder that also reads videos."""

from __future__ import annotations

from pathlib import Path

import av.error
import numpy as np
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

# A photograph of the largest allowed size, stored badly; frames of a video are a thousand times smaller.
MAX_BYTES = 256 << 20


class JpegError(Exception):
    """A file is no JPEG picture, or nothing of it can be decoded."""


class JpegDecoder:
    """Decodes JPEG files and says which are damaged.

    FFmpeg hides damage in a JPEG: half a file gives a whole picture, gray below, and no error. So each is first decoded
    with the order to stop at any error, and only if that fails with the order to go on.

    Parameters
    ----------
    max_pixels
        Larger pictures are not decoded.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._strict = self._context("explode")

    def _context(self, on_error: str) -> VideoCodecContext:
        context = CodecContext.create("mjpeg", "r")
        assert isinstance(context, VideoCodecContext)
        context.options = {"max_pixels": str(self._max_pixels), "err_detect": on_error}
        context.thread_count = 1
        return context

    def decode(self, path: Path) -> tuple[VideoFrame, bool]:
        """Decode one file.

        Returns
        -------
        tuple
            The frame, and whether the file is sound.

        Raises
        ------
        JpegError
            Nothing can be decoded.
        """
        try:
            if path.stat().st_size > MAX_BYTES:
                raise JpegError(f"the file is larger than {MAX_BYTES >> 20} MiB")
            data = path.read_bytes()
        except OSError as error:
            raise JpegError(error.strerror or str(error)) from error
        return self.decode_bytes(data)

    def decode_bytes(self, data: bytes) -> tuple[VideoFrame, bool]:
        """As :meth:`decode`, for a file's bytes."""
        if data[:2] != b"\xff\xd8":
            raise JpegError("it does not start like a JPEG file")
        try:
            return self._first(self._strict, data), True
        except JpegError:
            self._strict = self._context("explode")
        return self._first(self._context("ignore_err"), data), False

    def decode_gray(self, data: bytes) -> NDArray[np.uint8]:
        """The brightness of a sound picture; of a gray one, its pixels.

        Returns
        -------
        ndarray
            ``(H, W)`` uint8, not to be written to.

        Raises
        ------
        JpegError
            It cannot be decoded, or it is damaged.
        """
        frame, sound = self.decode_bytes(data)
        if not sound:
            raise JpegError("it is damaged")
        if not frame.format.name.startswith(("gray", "yuvj")):
            raise JpegError(f"its pixels are {frame.format.name}")
        plane = frame.planes[0]  # all of a gray picture, the brightness of a colored one
        return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]

    @staticmethod
    def _first(context: VideoCodecContext, data: bytes) -> VideoFrame:
        try:
            frames = context.decode(Packet(data))
        except (av.error.FFmpegError, ValueError) as error:
            raise JpegError(getattr(error, "strerror", None) or str(error)) from error
        if not frames:
            raise JpegError("it holds no picture")
        return frames[0]
