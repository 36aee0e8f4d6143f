"""``Video``: a file or a folder of frames, read exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from tubelet.errors import UsageError
from tubelet.video.file_source import FileSource
from tubelet.video.frame_folder import FolderSource
from tubelet.video.limits import Limits
from tubelet.video.report import DecodeReport, Frame


class Video:
    """A video file, or a folder of numbered JPEG frames, as a sequence of frames with times.

    Opening reads the header only. ``len``, ``times``, ``fps`` and ``frames`` need the frame table, which is measured
    on first use and kept in the user's cache folder; ``iter_frames`` and ``check`` never need it. Frames are
    ``(H, W, 3)`` uint8 RGB, rotated for display. Nothing stays open between calls, so a ``Video`` may be kept, and
    closing it is optional.

    Parameters
    ----------
    path
        A file whose content is MP4, MOV, MKV, WebM, AVI, MPEG-TS, MPEG-PS, GIF or WMV, or a folder of JPEG
        frames named by number (``000001.jpg``, ``00001.jpg``, ``img_00001.jpg``).
    fps
        Frames per second; overrides the times of a file, and gives those of a folder, which has none of its own
        (25 is assumed, with a warning).
    limits
        Bounds beyond which a file is refused.
    cache
        Whether the frame table may be read from and written to the cache folder.

    Raises
    ------
    RefusedVideoError
        A playlist, a container or codec off the allow-list, or a limit exceeded.
    VideoError
        No such file, not a video, no video stream, no frames.

    Examples
    --------
    >>> video = Video("clip.mp4")  # doctest: +SKIP
    >>> len(video), video.fps, video.times[:3]  # doctest: +SKIP
    >>> video.frames([0, 8, 16]).shape  # doctest: +SKIP
    (3, 240, 320, 3)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float | None = None,
        limits: Limits | None = None,
        cache: bool = True,
    ) -> None:
        self.path = Path(path)
        self.report: DecodeReport | None = None
        if fps is not None and not 0 < fps <= 1000:
            raise UsageError("frames per second must be above 0 and at most 1000", why=f"fps={fps}")
        limits = limits or Limits()
        if self.path.is_dir():
            self._source: FileSource | FolderSource = FolderSource(self.path, fps, limits)
        else:
            self._source = FileSource(self.path, fps, limits, cache)

    @property
    def width(self) -> int:
        """Width of the frames in pixels, after rotation."""
        return self._source.size[0]

    @property
    def height(self) -> int:
        """Height of the frames in pixels, after rotation."""
        return self._source.size[1]

    @property
    def fps(self) -> float:
        """Average frames per second, measured from the times when they vary."""
        return self._source.fps

    @property
    def fps_source(self) -> str:
        """Where ``fps`` comes from: ``"container"``, ``"given"`` or ``"assumed"``."""
        return self._source.fps_source

    @property
    def frames_declared(self) -> int | None:
        """How many frames the container claims to hold; None when it claims nothing."""
        return self._source.frames_declared

    @property
    def time_base(self) -> Fraction:
        """Seconds of one unit of ``pts``: ``times`` are ``(pts - pts[0]) * time_base``, unless ``fps`` was given."""
        return self._source.time_base

    @property
    def pts(self) -> npt.NDArray[np.int64]:
        """``(T,)`` int64 presentation time stamps in units of ``time_base``, strictly increasing."""
        return self._source.pts

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """``(T,)`` float64 seconds at which each frame appears; the first is 0."""
        return self._source.times

    @property
    def ends(self) -> npt.NDArray[np.float64]:
        """``(T,)`` float64 seconds at which each frame gives way to the next."""
        return self._source.ends

    def __len__(self) -> int:
        return len(self._source.pts)

    def frames(self, indices: Sequence[int] | npt.NDArray[np.integer] | range) -> npt.NDArray[np.uint8]:
        """The frames at ``indices``, exactly those, in that order.

        Parameters
        ----------
        indices
            Frame numbers from 0 to ``len(video) - 1``, in any order, repeats allowed.

        Returns
        -------
        numpy.ndarray
            ``(len(indices), H, W, 3)`` uint8 RGB.

        Raises
        ------
        UsageError
            An index is negative, beyond the last frame, or no integer.
        VideoError
            A frame cannot be decoded.
        """
        wanted = np.asarray(indices)
        if wanted.size == 0:
            wanted = wanted.astype(np.int64)
        if wanted.ndim != 1 or not np.issubdtype(wanted.dtype, np.integer):
            raise UsageError("frame indices must be a list of integers", path=self.path, why=f"got {indices!r:.80}")
        length = len(self)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < length):
            outside = int(wanted[(wanted < 0) | (wanted >= length)][0])
            raise UsageError(
                f"frame {outside} does not exist",
                path=self.path,
                why=f"the video has frames 0 to {length - 1}",
                remedy="indices from the end are not counted backwards",
            )
        return self._source.frames(wanted.astype(np.int64))

    def iter_frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames ``start`` to ``stop`` one after the other, in constant memory, without a frame table.

        A pass from 0 to the end sets ``report``. Frames that a damaged file does not give are skipped, and the
        report says so.

        Yields
        ------
        Frame
            With its index, times and image.

        Raises
        ------
        VideoError
            The file gives no frame at all.
        """
        if start < 0 or (stop is not None and stop < start):
            raise UsageError("frames are counted from 0 forwards", why=f"start={start}, stop={stop}")
        return self._iterate(start, stop)

    def _iterate(self, start: int, stop: int | None) -> Iterator[Frame]:
        report = yield from self._source.stream(start, stop)
        if report is not None:
            self.report = report

    def check(self) -> DecodeReport:
        """Decode the whole video and say whether it is sound; sets ``report``.

        Raises
        ------
        VideoError
            The file gives no frame at all.
        """
        self.report = self._source.check()
        return self.report

    def close(self) -> None:
        """Forget the frame table; the video may still be used."""
        self._source.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Video({str(self.path)!r})"
