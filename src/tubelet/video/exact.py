"""Any frames of a file, exactly: seek where the result can be recognized, else decode from the start."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tubelet.video.clock import Clock, clock_for
from tubelet.video.container import Header, open_container
from tubelet.video.decoder import Tally, decode_frames
from tubelet.video.frame_table import FrameTable, fingerprint
from tubelet.video.limits import Limits
from tubelet.video.pixels import RgbConverter

# Decoding on for so many frames costs less than a seek, which flushes the decoder.
SEEK_FROM_FRAMES = 16
# A transport stream has no index: FFmpeg lands near the time asked for, often behind it. So ask again some key frames
# earlier, before giving up and decoding from the start.
KEYS_BACK = (0, 1, 4)


class FrameTableError(Exception):
    """The file does not give the frames that the table lists: it is damaged, or the table is not its own."""


class _SeekError(Exception):
    """A seek led to frames that cannot be recognized."""


def read_exactly(
    path: Path, limits: Limits, table: FrameTable, indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Frames of a file at ``indices``.

    A frame is taken only if its place is proved: by its time stamp, which must be the table's at that index, with all
    frames from the key frame on in their order; after a seek also by the fingerprint of its pixels, if the table has
    it. If anything differs, the file is decoded from its start.

    Parameters
    ----------
    path, limits
        The file.
    table
        Its frame table.
    indices
        ``(n,)`` valid frame numbers in any order, repeats allowed.

    Returns
    -------
    numpy.ndarray
        ``(n, H, W, 3)`` uint8 RGB.

    Raises
    ------
    FrameTableError
        A frame of the table does not come out.
    VideoError
        The file can no longer be opened.
    """
    converter = RgbConverter(table.width, table.height, table.orientation)
    result = np.empty((len(indices), *converter.shape), np.uint8)
    places: dict[int, list[int]] = {}
    for place, index in enumerate(indices.tolist()):
        places.setdefault(index, []).append(place)
    for may_seek in (table.seekable, False):
        wanted = sorted(places)
        try:
            with open_container(path, limits) as (container, stream, header):
                cursor = _Cursor(container, stream, header, table, may_seek=may_seek)
                for index in wanted:
                    image = converter.rgb(cursor.frame(index))
                    for place in places.pop(index):
                        result[place] = image
            return result
        except _SeekError:
            continue
    raise FrameTableError("seeking is off and still failed")  # pragma: no cover


class _Cursor:
    """A position in an open file that moves forward, by decoding or by seeking, and knows which frame it is at."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, header: Header, table: FrameTable, *, may_seek: bool
    ) -> None:
        self._container = container
        self._stream = stream
        self._header = header
        self._table = table
        self._may_seek = may_seek
        self._sought = False
        self._next = 0  # index of the frame that comes next
        self._frames: Iterator[VideoFrame] = decode_frames(container, stream, Tally())
        self._clock: Clock = clock_for(header)

    def frame(self, index: int) -> VideoFrame:
        """The frame at ``index``, which is not before the cursor."""
        if self._may_seek:
            key = self._table.keyframe_before(index)
            if key >= self._next + SEEK_FROM_FRAMES:
                self._seek(index)
        for frame in self._frames:
            if self._clock.stamp(frame) != self._table.pts[self._next]:
                break
            self._next += 1
            if self._next == index + 1:
                self._prove(frame, index)
                return frame
        if self._sought:
            raise _SeekError
        raise FrameTableError(f"frame {self._next}")

    def _prove(self, frame: VideoFrame, index: int) -> None:
        prints = self._table.fingerprints
        if self._sought and len(prints) and fingerprint(frame) != prints[index]:
            raise _SeekError

    def _seek(self, index: int) -> None:
        """Move to a key frame at or before ``index``, or fail."""
        table = self._table
        keys = np.flatnonzero(table.keyframes[: index + 1])
        self._sought = True
        for back in KEYS_BACK:
            aim = int(table.pts[keys[max(0, len(keys) - 1 - back)]])
            try:
                self._container.seek(aim, stream=self._stream, backward=True)
            except OSError as error:  # FFmpegError is one
                raise _SeekError from error
            frames = decode_frames(self._container, self._stream, Tally())
            # Where the container put us is known by the first key frame that the table has, wherever that is.
            for frame in frames:
                stamp = clock_for(self._header).stamp(frame)
                place = int(np.searchsorted(table.pts, stamp))
                if place > index:
                    break
                if table.pts[place] == stamp and table.keyframes[place] and frame.key_frame:
                    self._next, self._clock = place, clock_for(self._header)
                    self._frames = chain([frame], frames)
                    return
        raise _SeekError
