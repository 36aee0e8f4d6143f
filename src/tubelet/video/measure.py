"""Measuring a frame table: by decoding the whole file, or from its packets where that is the same."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from tubelet.errors import RefusedVideoError, VideoError
from tubelet.video.clock import Clock, clock_for
from tubelet.video.container import Header, open_container
from tubelet.video.decoder import Tally, decode_frames
from tubelet.video.frame_table import FrameTable, fingerprint
from tubelet.video.limits import Limits
from tubelet.video.packet_table import table_from_packets
from tubelet.video.pixels import Orientation, orientation_of

# A container that counts no frames is held to the limit on frames/s while it is decoded, every so many frames.
_RATE_EVERY = 1024


class TableRecorder:
    """Collects the rows of a :class:`FrameTable` while a video is decoded from its start.

    Parameters
    ----------
    path, limits, header
        The file, as opened.
    """

    def __init__(self, path: Path, limits: Limits, header: Header) -> None:
        self._path = path
        self._limits = limits
        self._header = header
        self._clock: Clock = clock_for(header)
        self._pts = array("q")
        self._keys = array("b")
        self._prints = array("I")
        self._duration = 0
        self.width = 0
        self.height = 0
        self.orientation = Orientation()

    def __len__(self) -> int:
        return len(self._pts)

    def add(self, frame: VideoFrame) -> int:
        """Note a frame; returns its time stamp, which is later than all before.

        Raises
        ------
        RefusedVideoError
            The video has become too long.
        """
        stamp = self._clock.stamp(frame)
        if not self._pts:
            self.width, self.height = frame.width, frame.height
            self.orientation = orientation_of(frame)
        else:
            self._stay_within_limits(stamp)
        self._pts.append(stamp)
        self._keys.append(frame.key_frame)
        self._prints.append(fingerprint(frame))
        self._duration = frame.duration if frame.duration > 0 else self._clock.step
        return stamp

    def _stay_within_limits(self, stamp: int) -> None:
        limits = self._limits
        count = len(self._pts)
        elapsed = (stamp - self._pts[0]) * self._header.time_base
        what = field = ""
        if count >= limits.max_frames:
            what, field = f"has more than {limits.max_frames} frames", "max_frames"
        elif elapsed > limits.max_duration_s:
            what, field = f"is longer than {limits.max_duration_s:.0f} s", "max_duration_s"
        elif count % _RATE_EVERY == 0 and count > limits.max_fps * elapsed:
            what, field = f"has more than {limits.max_fps:g} frames/s", "max_fps"
        if what:
            remedy = f"raise Limits.{field} if the file is to be trusted"
            raise RefusedVideoError(f"the video {what}", path=self._path, remedy=remedy)

    @property
    def first(self) -> int:
        """Time stamp of the first frame."""
        return self._pts[0]

    @property
    def last_end(self) -> int:
        """Time stamp at which the latest frame ends by its own account."""
        return self._pts[-1] + self._duration

    def table(self) -> FrameTable:
        """The table of the frames noted so far, at least one."""
        keys = np.frombuffer(self._keys, np.int8).astype(bool)
        keys[0] = True
        reordered_avi = self._header.container == "avi" and self._header.reordered
        return FrameTable(
            pts=np.frombuffer(self._pts, np.int64).copy(),
            last_duration=self._duration,
            keyframes=keys,
            fingerprints=np.frombuffer(self._prints, np.uint32).copy(),
            time_base=self._header.time_base,
            rate=self._header.rate,
            width=self.width,
            height=self.height,
            orientation=self.orientation,
            seekable=self._clock.repaired == 0 and self._header.container != "gif" and not reordered_avi,
        )


def measure_table(path: Path, limits: Limits) -> FrameTable:
    """Frame table of ``path``: from its packets if it is long and they can be trusted, else by one decode.

    Raises
    ------
    VideoError
        Not a video, refused, or no frame can be decoded.
    """
    return table_from_packets(path, limits) or table_by_decoding(path, limits)


def table_by_decoding(path: Path, limits: Limits) -> FrameTable:
    """Frame table of ``path`` by decoding every frame once, without color conversion."""
    with open_container(path, limits) as (container, stream, header):
        recorder = TableRecorder(path, limits, header)
        tally = Tally()
        for frame in decode_frames(container, stream, tally):
            recorder.add(frame)
        if not len(recorder):
            raise nothing_decoded(path, tally)
        return recorder.table()


def nothing_decoded(path: Path, tally: Tally) -> VideoError:
    """The error for a file that opens but gives no frame."""
    return VideoError(
        "no frame can be decoded",
        path=path,
        why=tally.first_error or "the video stream is empty",
        remedy="the file is damaged; copy or download it again",
    )
