"""A folder of numbered JPEG frames behind the interface of :class:`tubelet.video.reader.Video`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from tubelet.errors import RefusedVideoError, VideoError
from tubelet.video.jpeg import JpegDecoder, JpegError
from tubelet.video.limits import Limits
from tubelet.video.pixels import RgbConverter, orientation_of
from tubelet.video.report import DecodeReport, Frame

ASSUMED_FPS = 25.0

_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)\.jpe?g", re.IGNORECASE)

# In the dense_flow layout a folder holds img_00001.jpg beside flow_x_00001.jpg; frames are what these name.
_FRAME_PREFIXES = ("", "img_", "image_", "frame", "frame_", "im_", "rgb_")


@dataclass
class _Findings:
    """What a pass over the frames met."""

    unreadable: list[Path] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    resized: list[Path] = field(default_factory=list)

    def problems(self) -> list[str]:
        texts = (
            (self.unreadable, "cannot be decoded and are left out"),
            (self.damaged, "are damaged"),
            (self.resized, "have another size than the first and are scaled to it"),
        )
        return [f"{len(paths)} frames {text} (first: {paths[0].name})" for paths, text in texts if paths]


class FolderSource:
    """Reads numbered JPEG files of one folder; holds their names, never an open file.

    The frames are the files in the order of their numbers, whatever the first number is. A missing number leaves its
    time empty: the frame before it lasts longer.

    Parameters
    ----------
    path, fps, limits
        As in :class:`tubelet.video.reader.Video`.
    """

    frames_declared: int | None = None

    def __init__(self, path: Path, fps: float | None, limits: Limits) -> None:
        self._path = path
        numbered = _numbered_frames(path)
        if len(numbered) > limits.max_frames:
            raise RefusedVideoError(
                f"the folder holds {len(numbered)} frames, the limit is {limits.max_frames}",
                path=path,
                remedy="raise Limits.max_frames if it is to be trusted",
            )
        self._numbers = np.array([number for number, _ in numbered], np.int64)
        self._files = [file for _, file in numbered]
        if fps is None:
            warnings.warn(
                f"a folder of frames has no frame rate, {ASSUMED_FPS:g} frames/s is assumed; give fps= (--fps): {path}",
                UserWarning,
                stacklevel=3,
            )
        self.fps = fps or ASSUMED_FPS
        self.fps_source = "given" if fps else "assumed"
        self._decoder = JpegDecoder(limits.max_pixels)
        self._converter: RgbConverter | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, after rotation; decodes the first frame to know."""
        height, width, _ = self._converter_of_video().shape
        return width, height

    def _converter_of_video(self) -> RgbConverter:
        if self._converter is None:
            for file in self._files:
                try:
                    frame, _ = self._decoder.decode(file)
                except JpegError:
                    continue
                self._converter = RgbConverter(frame.width, frame.height, orientation_of(frame))
                break
            else:
                raise VideoError(
                    "no frame of the folder can be decoded", path=self._path, remedy="write its JPEG files again"
                )
        return self._converter

    @property
    def time_base(self) -> Fraction:
        """Seconds of one unit of ``pts``."""
        return 1 / Fraction(self.fps).limit_denominator(1001)

    @property
    def pts(self) -> npt.NDArray[np.int64]:
        """File numbers, counted from the first."""
        return np.asarray(self._numbers - self._numbers[0], np.int64)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Seconds at which frames appear."""
        return np.asarray((self._numbers - self._numbers[0]) / self.fps, np.float64)

    @property
    def ends(self) -> npt.NDArray[np.float64]:
        """Seconds at which frames end."""
        return np.append(self.times[1:], (self._numbers[-1] - self._numbers[0] + 1) / self.fps)

    def forget(self) -> None:
        """Nothing that could be measured again is held."""

    def frames(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Frames at valid ``indices``."""
        converter = self._converter_of_video()
        result = np.empty((len(indices), *converter.shape), np.uint8)
        done: dict[int, int] = {}
        for place, index in enumerate(indices.tolist()):
            if index in done:
                result[place] = result[done[index]]
                continue
            try:
                frame, _ = self._decoder.decode(self._files[index])
            except JpegError as error:
                raise VideoError(
                    f"frame {index} cannot be decoded",
                    path=self._files[index],
                    why=str(error),
                    remedy="Video.check() leaves such frames out",
                ) from error
            result[place] = converter.rgb(frame)
            done[index] = place
        return result

    def stream(self, start: int, stop: int | None) -> Generator[Frame, None, DecodeReport | None]:
        """Frames in order; returns the report if all were read from the first."""
        converter = self._converter_of_video()
        findings = _Findings()
        kept: list[int] = []  # positions of the files that gave a frame
        held: VideoFrame | None = None
        # A frame is given out when the next one has come, which says when it ends.
        for position in range(start, len(self._files)):
            if stop is not None and start + len(kept) >= stop and held is None:
                return None
            file = self._files[position]
            try:
                frame, sound = self._decoder.decode(file)
            except JpegError:
                findings.unreadable.append(file)
                continue
            if not sound:
                findings.damaged.append(file)
            if not converter.fits(frame):
                findings.resized.append(file)
            if held is not None:
                yield self._frame(start, kept, converter.rgb(held), int(self._numbers[position]))
                held = None
            if stop is None or start + len(kept) < stop:
                held = frame
                kept.append(position)
        if held is not None:
            yield self._frame(start, kept, converter.rgb(held), int(self._numbers[kept[-1]]) + 1)
        if start > 0 or start + len(kept) + len(findings.unreadable) < len(self._files):
            return None
        self._files = [self._files[position] for position in kept]
        self._numbers = self._numbers[kept]
        return self._report(findings)

    def _frame(self, start: int, kept: list[int], image: npt.NDArray[np.uint8], end: int) -> Frame:
        base = int(self._numbers[0 if start else kept[0]])
        begin = int(self._numbers[kept[-1]])
        return Frame(start + len(kept) - 1, (begin - base) / self.fps, (end - base) / self.fps, image)

    def _report(self, findings: _Findings) -> DecodeReport:
        problems = findings.problems()
        missing = int((np.diff(self._numbers) - 1).sum()) - len(findings.unreadable)
        if missing > 0:
            gap = int(np.argmax(np.diff(self._numbers) > 1))
            problems.append(f"{missing} numbers are missing (first after {self._files[gap].name})")
        width, height = self.size
        return DecodeReport(
            status="partial" if problems else "ok",
            frames_declared=None,
            frames_decoded=len(self._files),
            fps=self.fps,
            fps_source=self.fps_source,
            duration_s=float(self.ends[-1]),
            width=width,
            height=height,
            codec="mjpeg",
            container="folder",
            problems=tuple(problems),
        )

    def check(self) -> DecodeReport:
        """Decode everything and judge it."""
        passes = self.stream(0, None)
        while True:
            try:
                next(passes)
            except StopIteration as end:
                report: DecodeReport = end.value
                return report


def _numbered_frames(path: Path) -> list[tuple[int, Path]]:
    """Number and file of each frame of a folder, in order."""
    groups: dict[str, dict[int, Path]] = {}
    try:
        for entry in path.iterdir():
            match = _NUMBERED.fullmatch(entry.name)
            if match is None or not entry.is_file():
                continue
            group = groups.setdefault(match["prefix"], {})
            other = group.setdefault(int(match["number"]), entry)
            if other is not entry:
                raise VideoError(
                    "two frames have the same number",
                    path=path,
                    why=f"{other.name} and {entry.name}",
                    remedy="keep one of them",
                )
    except OSError as error:
        raise VideoError(
            "the folder cannot be read", path=path, why=error.strerror, remedy="check its permissions"
        ) from error
    known = [groups[prefix] for prefix in _FRAME_PREFIXES if prefix in groups]
    if not known and len(groups) > 1:
        raise VideoError(
            "several series of numbered JPEG files in the folder",
            path=path,
            why=", ".join(f"{prefix}*.jpg" for prefix in sorted(groups)),
            remedy="a folder of frames holds one, such as 00001.jpg or img_00001.jpg",
        )
    chosen = known[0] if known else next(iter(groups.values()), None)
    if chosen is None:
        raise VideoError(
            "no numbered JPEG frames in the folder",
            path=path,
            remedy="a folder of frames holds 00001.jpg, 00002.jpg, … or img_00001.jpg, …",
        )
    return sorted(chosen.items())
