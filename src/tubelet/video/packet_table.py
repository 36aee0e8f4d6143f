"""A frame table read from packets alone: for long videos whose format promises one packet for each frame."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from tubelet.video.container import Header, open_container
from tubelet.video.decoder import Tally, decode_frames, read_packets
from tubelet.video.frame_table import FrameTable
from tubelet.video.limits import Limits
from tubelet.video.packets import PacketCounter
from tubelet.video.pixels import orientation_of
from tubelet.video.structure import inspect

# Decoding so many pixels takes about a second. A shorter video is measured that way whatever its format, because only
# a decode knows which frames of a damaged file are there.
CHEAP_PIXELS = 1 << 28

_CONTAINERS = ("mov", "matroska")
_CODECS = ("h264", "hevc", "vp9", "av1", "mjpeg")

_PROGRESSIVE = (0, 1)  # AVFieldOrder: unknown, progressive
_NAL_IDR = 5  # H.264: a slice of a picture after which nothing looks back


def table_from_packets(path: Path, limits: Limits) -> FrameTable | None:
    """Frame table of a long video from its packets, or None where they do not tell for sure.

    They do in MP4 and Matroska with H.264, HEVC, VP9, AV1 or Motion JPEG, if every packet has a time stamp of its
    own, the first is a key frame and the first to be shown, and nothing contradicts the container's bookkeeping.
    """
    with open_container(path, limits) as (container, stream, header):
        if header.container not in _CONTAINERS or header.codec not in _CODECS or _is_cheap(header):
            return None
        if stream.codec_context.field_order not in _PROGRESSIVE:
            return None
        counter = PacketCounter(header.codec, header.extradata)
        tally = Tally()
        pts, durations, keys = array("q"), array("q"), array("b")
        for packet in read_packets(container, stream, tally):
            tally.packets += 1
            if packet.is_discard:
                continue
            if packet.pts is None or packet.is_corrupt or counter.pictures(packet) != 1:
                return None
            if len(pts) >= limits.max_frames:
                return None
            pts.append(packet.pts)
            durations.append(packet.duration or 0)
            keys.append(packet.is_keyframe and _is_clean_start(header, packet))
    structure = inspect(path, header.container)
    if tally.read_errors or structure.problems or structure.packets != tally.packets:
        return None
    stamps = np.frombuffer(pts, np.int64)
    order = np.argsort(stamps, kind="stable")
    if not len(stamps) or order[0] != 0 or not keys[0] or np.any(np.diff(stamps[order]) <= 0):
        return None
    with open_container(path, limits) as (container, stream, header):
        first = next(decode_frames(container, stream, Tally()), None)
        if first is None or first.pts != stamps[0]:
            return None
        last = int(durations[order[-1]])
        step = max(1, round(1 / (header.rate * header.time_base))) if header.rate else 1
        return FrameTable(
            pts=stamps[order],
            last_duration=last if last > 0 else step,
            keyframes=np.frombuffer(keys, np.int8).astype(bool)[order],
            fingerprints=np.empty(0, np.uint32),
            time_base=header.time_base,
            rate=header.rate,
            width=first.width,
            height=first.height,
            orientation=orientation_of(first),
            seekable=True,
        )


def _is_cheap(header: Header) -> bool:
    frames: float | None = header.frames_declared
    if frames is None and header.duration_s is not None and header.rate is not None:
        frames = header.duration_s * float(header.rate)
    return frames is None or frames * header.width * header.height <= CHEAP_PIXELS


def _is_clean_start(header: Header, packet: Packet[VideoStream]) -> bool:
    """Whether decoding may start at a key packet: true of all but H.264's key pictures that later ones look past."""
    if header.codec != "h264":
        return True
    data = bytes(packet)
    extradata = header.extradata
    if extradata[:1] != b"\x01" or len(extradata) < 5:
        return False  # start codes instead of lengths: not worth a parser, decoding from the start is right
    width = (extradata[4] & 3) + 1
    position = 0
    while position + width < len(data):
        length = int.from_bytes(data[position : position + width], "big")
        if data[position + width] & 0x1F == _NAL_IDR:
            return True
        position += width + length
    return False
