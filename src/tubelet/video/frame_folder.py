"""A folder of numbered JPEG frames behind the interface of :class:`tubelet.video.reader.Video`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Generator
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.frame import VideoFrame

from tubelet.errors import RefusedVideoError, VideoError
from tubelet.video.limits import Limits
from tubelet.video.pixels import RgbConverter, orientation_of
from tubelet.video.report import DecodeReport, Frame

ASSUMED_FPS = 25.0

_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)\.jpe?g", re.IGNORECASE)

# In the dense_flow layout a folder holds img_00001.jpg beside flow_x_00001.jpg; frames are what these name.
_FRAME_PREFIXES = ("", "img_", "image_", "frame", "frame_", "im_", "rgb_")


class FolderSource:
    """Reads numbered JPEG files of one folder.

    Parameters
    ----------
    path, fps, limits
        As in :class:`tubelet.video.reader.Video`.
    """

    frames_declared: int | None = None

    def __init__(self, path: Path, fps: float | None, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._numbers, self._files = _numbered_frames(path)
        if len(self._files) > limits.max_frames:
            raise RefusedVideoError(
                f"the folder holds {len(self._files)} frames, the limit is {limits.max_frames}",
                path=path,
                remedy="raise Limits.max_frames if it is to be trusted",
            )
        self.fps_source = "given" if fps else "assumed"
        if fps is None:
            warnings.warn(
                f"{path}: a folder of frames has no frame rate; {ASSUMED_FPS:g} frames/s is assumed, give fps=",
                UserWarning,
                stacklevel=4,
            )
        self.fps = fps or ASSUMED_FPS
        self._size: tuple[int, int] | None = None
        self._decoder = _JpegDecoder(limits)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; decodes the first frame to know."""
        if self._size is None:
            frame = self._decoder.decode(self._files[0])
            shape = RgbConverter(frame.width, frame.height, orientation_of(frame)).shape
            self._size = (shape[1], shape[0])
        return self._size

    @property
    def pts(self) -> npt.NDArray[np.int64]:
        """File numbers, counted from the first."""
        return self._numbers - self._numbers[0]

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Seconds at which frames appear; a missing number leaves its time empty."""
        return np.asarray(self.pts / self.fps, np.float64)

    @property
    def ends(self) -> npt.NDArray[np.float64]:
        """Seconds at which frames end."""
        return np.append(self.times[1:], (self.pts[-1] + 1) / self.fps)

    def forget(self) -> None:
        """Nothing is held."""

    def frames(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Frames at valid ``indices``."""
        width, height = self.size
        result = np.empty((len(indices), height, width, 3), np.uint8)
        done: dict[int, int] = {}
        for place, index in enumerate(indices.tolist()):
            if index in done:
                result[place] = result[done[index]]
            else:
                result[place] = self._rgb(self._decoder.decode(self._files[index]))
                done[index] = place
        return result

    def _rgb(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        width, height = self.size
        return RgbConverter(width, height, orientation_of(frame)).rgb(frame)

    def stream(self, start: int, stop: int | None) -> Generator[Frame, None, DecodeReport | None]:
        """Frames in order; returns the report if all were read."""
        times, ends = self.times, self.ends
        last = len(self._files) if stop is None else min(stop, len(self._files))
        decoded = 0
        for index in range(start, last):
            yield Frame(index, float(times[index]), float(ends[index]), self._rgb(self._decoder.decode(self._files[index])))
            decoded += 1
        if start > 0 or last < len(self._files):
            return None
        width, height = self.size
        return DecodeReport("ok", None, decoded, self.fps, self.fps_source, float(ends[-1]), width, height, "mjpeg", "folder")

    def check(self) -> DecodeReport:
        """Decode everything and judge it."""
        passes = self.stream(0, None)
        while True:
            try:
                next(passes)
            except StopIteration as end:
                report: DecodeReport = end.value
                return report


class _JpegDecoder:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def decode(self, path: Path) -> VideoFrame:
        codec = CodecContext.create("mjpeg", "r")
        codec.options = {"max_pixels": str(self._limits.max_pixels)}
        try:
            frames = codec.decode(Packet(path.read_bytes()))
            frames += codec.decode(None)
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError("a frame cannot be decoded", path=path, why=str(error)) from error
        if not frames:
            raise VideoError("a frame cannot be decoded", path=path)
        return frames[0]


def _numbered_frames(path: Path) -> tuple[npt.NDArray[np.int64], list[Path]]:
    groups: dict[str, dict[int, Path]] = {}
    for entry in path.iterdir():
        match = _NUMBERED.fullmatch(entry.name)
        if match and entry.is_file():
            groups.setdefault(match["prefix"], {})[int(match["number"])] = entry
    for prefix in _FRAME_PREFIXES:
        if prefix in groups:
            chosen = groups[prefix]
            break
    else:
        if len(groups) != 1:
            raise VideoError("no numbered JPEG frames in the folder", path=path)
        chosen = next(iter(groups.values()))
    numbers = sorted(chosen)
    return np.array(numbers, np.int64), [chosen[number] for number in numbers]
