"""A video file behind the interface of :class:`tubelet.video.reader.Video`."""

from __future__ import annotations

import os
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tubelet.errors import VideoError
from tubelet.video.container import Header, open_container
from tubelet.video.decoder import Tally, decode_frames
from tubelet.video.exact import FrameTableError, read_exactly
from tubelet.video.frame_table import FrameTable
from tubelet.video.limits import Limits
from tubelet.video.measure import TableRecorder, measure_table, nothing_decoded, table_by_decoding
from tubelet.video.packets import PacketCounter
from tubelet.video.pixels import RgbConverter
from tubelet.video.report import DecodeReport, Frame
from tubelet.video.table_cache import load_table, store_table
from tubelet.video.verdict import judge


class FileSource:
    """Reads one file; holds its header and, once needed, its frame table, but never an open container.

    Parameters
    ----------
    path, fps, limits, cache
        As in :class:`tubelet.video.reader.Video`.
    """

    def __init__(self, path: Path, fps: float | None, limits: Limits, cache: bool) -> None:
        self._path = path
        self._given_fps = fps
        self._limits = limits
        self._cache = cache
        self._table: FrameTable | None = None
        self._size: tuple[int, int] | None = None
        with open_container(path, limits) as (_, _, header):
            self._header: Header = header
            self._status = os.stat(path)

    @property
    def table(self) -> FrameTable:
        """The frame table; read from the cache or measured on first use."""
        if self._table is None:
            self._require_same_file()
            table = load_table(self._path) if self._cache else None
            if table is None:
                table = measure_table(self._path, self._limits)
                self._keep(table)
            self._table = table
        return self._table

    def _keep(self, table: FrameTable) -> None:
        self._table = table
        if self._cache:
            store_table(self._path, table, self._status)

    def _require_same_file(self) -> None:
        try:
            now = os.stat(self._path)
        except OSError as error:
            raise VideoError(
                "the video is gone", path=self._path, why=error.strerror, remedy="put it back and open it again"
            ) from error
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise VideoError("the file has changed since it was opened", path=self._path, remedy="open it again")

    def forget(self) -> None:
        """Drop the frame table."""
        self._table = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, after rotation; decodes the first frame to know."""
        if self._size is None:
            if self._table is not None:
                converter = RgbConverter(self._table.width, self._table.height, self._table.orientation)
                self._size = (converter.shape[1], converter.shape[0])
            else:
                first = next(self.stream(0, 1))  # raises if there is none
                self._size = (first.image.shape[1], first.image.shape[0])
        return self._size

    @property
    def frames_declared(self) -> int | None:
        """How many frames the container claims."""
        return self._header.frames_declared

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._given_fps or self.table.fps

    @property
    def fps_source(self) -> str:
        """``"given"`` or ``"container"``."""
        return "given" if self._given_fps else "container"

    @property
    def time_base(self) -> Fraction:
        """Seconds of one unit of ``pts``."""
        return self.table.time_base

    @property
    def pts(self) -> npt.NDArray[np.int64]:
        """Time stamps in the container's time base."""
        return self.table.pts

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Seconds at which frames appear."""
        if self._given_fps:
            return np.arange(len(self.table)) / self._given_fps
        return self.table.times

    @property
    def ends(self) -> npt.NDArray[np.float64]:
        """Seconds at which frames end."""
        if self._given_fps:
            return np.arange(1, len(self.table) + 1) / self._given_fps
        return self.table.ends

    def frames(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Frames at valid ``indices``."""
        table = self.table
        self._require_same_file()
        try:
            return read_exactly(self._path, self._limits, table, indices)
        except FrameTableError as error:
            # The packets promised a frame that the decoder does not give. Numbers once told cannot be changed in
            # silence, so this call fails; the next finds the table of what is there.
            self._keep(table_by_decoding(self._path, self._limits))
            raise VideoError(
                f"{error} cannot be decoded",
                path=self._path,
                why=f"the file is damaged: {len(self.table)} of {len(table)} frames can be decoded",
                remedy="ask for its length and times again, they have been corrected",
            ) from error

    def stream(self, start: int, stop: int | None) -> Generator[Frame, None, DecodeReport | None]:
        """Frames in order; returns the report if all of the file was asked for and decoded."""
        self._require_same_file()
        with open_container(self._path, self._limits) as (container, stream, header):
            tally = Tally(counter=PacketCounter(header.codec, header.extradata))
            recorder = TableRecorder(self._path, self._limits, header)
            converter: RgbConverter | None = None
            begin = 0
            held: npt.NDArray[np.uint8] | None = None
            # A frame is given out when the next one has come, which says when it ends.
            for index, frame in enumerate(decode_frames(container, stream, tally)):
                stamp = recorder.add(frame)
                if converter is None:
                    converter = RgbConverter(frame.width, frame.height, recorder.orientation)
                    self._size = (converter.shape[1], converter.shape[0])
                if held is not None:
                    yield self._frame(index - 1, held, begin, stamp - recorder.first)
                    held = None
                begin = stamp - recorder.first
                if stop is not None and index >= stop:
                    return None
                if index >= start:
                    held = converter.rgb(frame)
            if held is not None:
                yield self._frame(len(recorder) - 1, held, begin, recorder.last_end - recorder.first)
            if start > 0 and len(recorder):
                return None
            return self._conclude(header, tally, recorder)

    def _frame(self, index: int, image: npt.NDArray[np.uint8], begin: int, end: int) -> Frame:
        if self._given_fps:
            return Frame(index, index / self._given_fps, (index + 1) / self._given_fps, image)
        base = self._header.time_base
        return Frame(index, float(begin * base), float(end * base), image)

    def check(self) -> DecodeReport:
        """Decode everything, without color conversion, and judge it."""
        self._require_same_file()
        with open_container(self._path, self._limits) as (container, stream, header):
            tally = Tally(counter=PacketCounter(header.codec, header.extradata))
            recorder = TableRecorder(self._path, self._limits, header)
            for frame in decode_frames(container, stream, tally):
                recorder.add(frame)
            return self._conclude(header, tally, recorder)

    def _conclude(self, header: Header, tally: Tally, recorder: TableRecorder) -> DecodeReport:
        if not len(recorder):
            raise nothing_decoded(self._path, tally)
        self._keep(recorder.table())
        problems = judge(self._path, self._limits, header, tally, self.table.pts)
        width, height = self.size
        return DecodeReport(
            status="partial" if problems else "ok",
            frames_declared=header.frames_declared,
            frames_decoded=len(self.table),
            fps=self.fps,
            fps_source=self.fps_source,
            duration_s=float(self.ends[-1]),
            width=width,
            height=height,
            codec=header.codec,
            container=header.container,
            problems=problems,
        )
