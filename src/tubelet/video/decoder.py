"""The decode loop that survives damage: every packet is tried, everything that went wrong is counted."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tubelet.video.packets import PacketCounter

# A damaged index can make the demuxer fail at every entry; a file with none left to read must still end.
MAX_READ_ERRORS_IN_A_ROW = 1000

# PyAV turns damage into more than FFmpegError: UnicodeDecodeError for metadata, IndexError for a late stream.
_DECODE_ERRORS = (Exception,)


@dataclass
class Tally:
    """What a decode met on its way.

    Attributes
    ----------
    packets
        Packets of the video stream that were read.
    pictures
        Pictures that those packets should have given (a packet may hold none or several, see
        :mod:`tubelet.video.packets`).
    frames
        Frames that were given.
    corrupt_packets, corrupt_frames
        How many of them the demuxer or the decoder called corrupt.
    read_errors, decode_errors
        How often reading the container or decoding a packet failed.
    size
        Width and height of the first frame, in pixels.
    first_error
        The first of those failures in FFmpeg's words.
    interlaced
        Whether any frame is made of two fields.
    resized
        Frames of another size than the first.
    left_out, left_out_ticks
        Packets that an edit list marks as not to be shown, and their duration.
    hidden
        Time stamps of the packets that say of themselves that they hold nothing to be shown.
    """

    packets: int = 0
    pictures: int = 0
    frames: int = 0
    corrupt_packets: int = 0
    corrupt_frames: int = 0
    read_errors: int = 0
    decode_errors: int = 0
    first_error: str = ""
    interlaced: bool = False
    resized: int = 0
    left_out: int = 0
    left_out_ticks: int = 0
    hidden: array[int] = field(default_factory=lambda: array("q"))
    size: tuple[int, int] = (0, 0)
    counter: PacketCounter | None = field(default=None, repr=False)

    def add(self, frame: VideoFrame) -> None:
        """Count a decoded frame."""
        if not self.frames:
            self.size = (frame.width, frame.height)
        self.frames += 1
        self.corrupt_frames += frame.is_corrupt
        self.resized += (frame.width, frame.height) != self.size
        self.interlaced = self.interlaced or frame.interlaced_frame

    def fail(self, error: BaseException) -> None:
        """Remember the first error's text."""
        if not self.first_error:
            self.first_error = str(getattr(error, "strerror", None) or error or type(error).__name__)


def read_packets(container: InputContainer, stream: VideoStream, tally: Tally) -> Iterator[Packet[VideoStream]]:
    """Packets of ``stream`` to the end of the file, reading on after errors; empty packets are left out."""
    failures = 0
    while True:
        try:
            for packet in container.demux(stream):
                failures = 0
                if packet.size:
                    yield packet
            return
        except _DECODE_ERRORS as error:
            tally.fail(error)
            tally.read_errors += 1
            failures += 1
            if failures >= MAX_READ_ERRORS_IN_A_ROW:
                return


def decode_frames(container: InputContainer, stream: VideoStream, tally: Tally) -> Iterator[VideoFrame]:
    """Every frame that can be had from here to the end of the file, in display order.

    Parameters
    ----------
    container, stream
        As opened by :func:`tubelet.video.container.open_container`, possibly after a seek.
    tally
        Filled on the way.

    Yields
    ------
    VideoFrame
        Decoded frames, those that the decoder marked corrupt included.
    """
    for packet in read_packets(container, stream, tally):
        tally.packets += 1
        tally.corrupt_packets += packet.is_corrupt
        if tally.counter is not None:
            pictures = tally.counter.pictures(packet)
            tally.pictures += pictures
            if packet.is_discard:
                tally.left_out += 1
                tally.left_out_ticks += packet.duration or 0
            elif not pictures and packet.pts is not None:
                tally.hidden.append(packet.pts)
        try:
            frames = stream.decode(packet)
        except _DECODE_ERRORS as error:
            tally.fail(error)
            tally.decode_errors += 1
            continue
        for frame in frames:
            tally.add(frame)
            yield frame
    try:
        rest = stream.decode(None)
    except _DECODE_ERRORS as error:
        tally.fail(error)
        tally.decode_errors += 1
        return
    for frame in rest:
        tally.add(frame)
        yield frame
