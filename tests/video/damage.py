"""Small videos of every format, encoded on the spot, and seeded ways of damaging them.

Each frame shows its own number: ten blocks, one per bit, black or white, large enough to survive any codec. So a test
can tell which frame it was given by looking at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tubelet.video.encode import scheduling_kept

WIDTH, HEIGHT = 96, 64
FPS = 25
_BITS = 10
_BLOCK_W, _BLOCK_H = 16, 24  # five columns of two rows, and a moving strip below


@dataclass(frozen=True)
class Format:
    """How a test video is encoded: suffix decides the container."""

    name: str
    suffix: str
    encoder: str
    options: dict[str, str] = field(default_factory=dict)
    muxer_options: dict[str, str] = field(default_factory=dict)
    pixel_format: str = "yuv420p"
    audio: str | None = None
    muxer: str | None = None
    fps: int = FPS


_X264 = {"preset": "veryfast", "bf": "2", "g": "12", "threads": "1"}
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1:bframes=2:keyint=12"}
_VP = {"deadline": "realtime", "cpu-used": "8", "g": "15", "threads": "1"}
_VP_ALT = {"deadline": "good", "cpu-used": "5", "g": "30", "auto-alt-ref": "1", "lag-in-frames": "12", "threads": "1"}
_AV1 = {"preset": "12", "g": "15", "svtav1-params": "lp=1"}

FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("avi-mpeg4", ".avi", "mpeg4", {"g": "12"}),
        Format("avi-mpeg4-b", ".avi", "mpeg4", {"g": "12", "bf": "2"}),
        Format("avi-h264-b", ".avi", "libx264", _X264),
        Format("avi-mjpeg", ".avi", "mjpeg", pixel_format="yuvj420p"),
        Format("avi-mpeg4-mp3", ".avi", "mpeg4", {"g": "12"}, audio="libmp3lame"),
        Format("mp4-h264-b", ".mp4", "libx264", _X264),
        Format("mp4-h264-open", ".mp4", "libx264", {**_X264, "x264-params": "open-gop=1"}),
        Format("mp4-h264-faststart", ".mp4", "libx264", _X264, {"movflags": "faststart"}),
        Format("mp4-h264-fragments", ".mp4", "libx264", _X264, {"movflags": "frag_keyframe+empty_moov"}),
        Format("mp4-h264-aac", ".mp4", "libx264", _X264, audio="aac"),
        Format("mp4-hevc", ".mp4", "libx265", _X265),
        Format("mp4-mpeg4", ".mp4", "mpeg4", {"g": "12", "bf": "2"}),
        Format("mp4-av1", ".mp4", "libsvtav1", _AV1),
        Format("mkv-h264-b", ".mkv", "libx264", _X264),
        Format("mkv-h264-aac", ".mkv", "libx264", _X264, audio="aac"),
        Format("mkv-hevc", ".mkv", "libx265", _X265),
        Format("mkv-mpeg4", ".mkv", "mpeg4", {"g": "12"}),
        Format("mkv-vp9", ".mkv", "libvpx-vp9", _VP),
        Format("mkv-mjpeg", ".mkv", "mjpeg", pixel_format="yuvj420p"),
        Format("mkv-av1", ".mkv", "libsvtav1", _AV1),
        Format("webm-vp8", ".webm", "libvpx", _VP),
        Format("webm-vp8-alt", ".webm", "libvpx", _VP_ALT),
        Format("webm-vp9", ".webm", "libvpx-vp9", _VP),
        Format("webm-vp9-alt", ".webm", "libvpx-vp9", _VP_ALT),
        Format("webm-vp9-opus", ".webm", "libvpx-vp9", _VP, audio="libopus"),
        Format("webm-av1", ".webm", "libsvtav1", _AV1),
        Format("webm-vp9-30", ".webm", "libvpx-vp9", _VP, fps=30),
        Format("mpegts-h264", ".ts", "libx264", _X264),
        Format("mpegts-mpeg2", ".ts", "mpeg2video", {"g": "12", "bf": "2"}),
        Format("mpegps-mpeg2", ".mpg", "mpeg2video", {"g": "12", "bf": "2"}, muxer="vob"),
        Format("wmv-wmv2", ".wmv", "wmv2", {"g": "12"}),
        Format("gif", ".gif", "gif", pixel_format="rgb8"),
    )
}


def numbered_frame(index: int) -> npt.NDArray[np.uint8]:
    """``(64, 96, 3)`` uint8 RGB picture that shows ``index`` (below 1024) as a bar code."""
    image = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    for bit in range(_BITS):
        row, column = divmod(bit, 5)
        value = 225 if index >> bit & 1 else 30
        image[row * _BLOCK_H : (row + 1) * _BLOCK_H, column * _BLOCK_W : (column + 1) * _BLOCK_W] = value
    x = index * 3 % (WIDTH - 12)
    image[2 * _BLOCK_H :, x : x + 12] = (200, 60, 40)
    return image


def number_shown(image: npt.NDArray[np.uint8]) -> int:
    """The number that a decoded picture shows; inverse of :func:`numbered_frame`."""
    value = 0
    for bit in range(_BITS):
        row, column = divmod(bit, 5)
        y, x = row * _BLOCK_H, column * _BLOCK_W
        value |= int(image[y + 6 : y + _BLOCK_H - 6, x + 5 : x + _BLOCK_W - 5].mean() > 128) << bit
    return value


def encode(
    path: Path,
    form: Format,
    n_frames: int = 50,
    *,
    ticks: Sequence[int] | None = None,
    rotation: int = 0,
    images: Iterator[npt.NDArray[np.uint8]] | None = None,
) -> Path:
    """Encode ``n_frames`` numbered frames.

    Parameters
    ----------
    path
        Where to; its suffix must be the format's.
    form
        Container, codec and options.
    ticks
        Presentation time of each frame in milliseconds, for variable frame rates.
    rotation
        Counter-clockwise display rotation in degrees.
    images
        Frames to encode instead of numbered ones.
    """
    with scheduling_kept(), av.open(str(path), "w", format=form.muxer, options=form.muxer_options) as container:
        stream = container.add_stream(form.encoder, rate=form.fps, options=form.options)
        first = next(images) if images is not None else numbered_frame(0)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = form.pixel_format
        stream.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream(form.audio, rate=48000) if form.audio else None
        samples = 0
        for index in range(n_frames):
            image = first if index == 0 else (next(images) if images is not None else numbered_frame(index))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=form.pixel_format)
            frame.pts = index if ticks is None else ticks[index]
            frame.time_base = Fraction(1, form.fps) if ticks is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
            while sound is not None and samples < (index + 1) * 48000 // form.fps:
                size = sound.codec_context.frame_size or 1024
                noise = av.AudioFrame.from_ndarray(np.zeros((2, size), np.float32), format="fltp", layout="stereo")
                noise.rate, noise.pts, noise.time_base = 48000, samples, Fraction(1, 48000)
                samples += size
                container.mux(sound.encode(noise))
        container.mux(stream.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


DAMAGES = ("flips", "truncation", "header", "zeros")


def damage(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """Damaged copy of a file's bytes.

    Parameters
    ----------
    data
        The intact file.
    kind
        ``"flips"`` changes 1 to 64 bytes anywhere, ``"truncation"`` cuts the file at 5 to 99.9 % of its length,
        ``"header"`` changes 1 to 16 of the first 2,048 bytes, ``"zeros"`` blanks one run of 16 bytes to a tenth of
        the file.
    rng
        Decides where.
    """
    result = bytearray(data)
    size = len(result)
    if kind == "flips":
        for position in rng.integers(0, size, int(2 ** rng.uniform(0, 6))):
            result[position] = int(rng.integers(0, 256))
    elif kind == "truncation":
        del result[int(size * rng.uniform(0.05, 0.999)) :]
    elif kind == "header":
        for position in rng.integers(0, min(size, 2048), int(rng.integers(1, 17))):
            result[position] = int(rng.integers(0, 256))
    elif kind == "zeros":
        length = int(rng.integers(16, max(17, size // 10)))
        start = int(rng.integers(0, size - length))
        result[start : start + length] = bytes(length)
    else:
        raise ValueError(kind)
    return bytes(result)
