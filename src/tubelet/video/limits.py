"""What a file may be before one byte of it is decoded: sizes, lengths, containers and codecs."""

from __future__ import annotations

from dataclasses import dataclass

# FFmpeg knows some 350 containers and 300 decoders; almost all of its memory-safety bugs live in the rare ones.
# The key is FFmpeg's demuxer name (the first of its comma-separated names), the value what people call it.
CONTAINERS: dict[str, str] = {
    "mov": "MP4, MOV, 3GP",
    "matroska": "MKV, WebM",
    "avi": "AVI",
    "mpegts": "MPEG-TS",
    "mpeg": "MPEG-PS",
    "gif": "GIF",
    "asf": "WMV, ASF",
}

# Names of codecs (not of decoders: AV1 is decoded by libdav1d) whose frames may be decoded.
CODECS: frozenset[str] = frozenset(
    {
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "av1",
        "mpeg4",
        "msmpeg4v2",
        "msmpeg4v3",
        "mpeg1video",
        "mpeg2video",
        "mjpeg",
        "gif",
        "rawvideo",
        "h263",
        "flv1",
        "wmv1",
        "wmv2",
        "wmv3",
        "vc1",
    }
)

# The decoders of these codecs. FFmpeg itself is told this list, because it opens decoders while probing a file,
# before we know what is in it. No audio decoder is on it: we never listen.
DECODERS: tuple[str, ...] = (
    "h264",
    "hevc",
    "vp8",
    "vp9",
    "libvpx",
    "libvpx-vp9",
    "av1",
    "libdav1d",
    "mpeg4",
    "msmpeg4",
    "msmpeg4v2",
    "msmpeg4v3",
    "mpeg1video",
    "mpeg2video",
    "mjpeg",
    "gif",
    "rawvideo",
    "h263",
    "flv",
    "wmv1",
    "wmv2",
    "wmv3",
    "vc1",
)


@dataclass(frozen=True)
class Limits:
    """Bounds that keep a hostile or mistaken file from taking the machine.

    Parameters
    ----------
    max_pixels
        Width × height of a frame, in pixels; the default is the largest level of H.264 and more than 8K.
    max_duration_s
        Length of a video in seconds.
    max_frames
        Number of frames, as declared by the container and again while decoding.
    max_fps
        Average frame rate in frames per second.
    """

    max_pixels: int = 8192 * 4352
    max_duration_s: float = 6 * 3600.0
    max_frames: int = 2_000_000
    max_fps: float = 240.0
