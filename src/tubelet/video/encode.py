"""Frames become a video file: the one small encoder that the demo, the tests and ``doctor`` share.

Every file is written by one encoder thread and with FFmpeg's bit-exact container flag, so the same frames
and settings give the same bytes (for one version of the FFmpeg libraries), and atomically, so it is whole or
absent.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import ArrayLike, NDArray

from tubelet.artifacts import write_atomically
from tubelet.errors import UsageError

# The muxer is named, not guessed, because the file carries a temporary name while it is written.
_MUXERS = {
    ".avi": "avi",
    ".gif": "gif",
    ".mkv": "matroska",
    ".mov": "mov",
    ".mp4": "mp4",
    ".mpg": "mpeg",
    ".ts": "mpegts",
    ".webm": "webm",
}
_AUDIO_CODECS = {
    "avi": "pcm_s16le",
    "matroska": "aac",
    "mov": "aac",
    "mp4": "aac",
    "mpegts": "aac",
    "webm": "libopus",
}
_PIXEL_FORMATS = {
    "ffv1": "bgr0",  # lossless RGB
    "gif": "rgb8",
    "huffyuv": "rgb24",
    "libx264rgb": "rgb24",
    "mjpeg": "yuvj420p",
    "png": "rgb24",
}
_QUIET = {"libx265": {"x265-params": "log-level=error"}}  # it prints to stderr whatever FFmpeg's log level is
_AUDIO_RATE_HZ = 48_000
_AUDIO_CHUNK = {"aac": 1024, "libopus": 960, "pcm_s16le": 960}  # samples an encoder wants at a time


@dataclass(frozen=True)
class _Plan:
    """Settings of one file, checked before anything is written."""

    muxer: str
    codec: str
    pixel_format: str
    options: dict[str, str]
    rate: Fraction
    time_base: Fraction
    pts: NDArray[np.int64] | None
    rotation: int
    audio: bool


def encode(
    path: str | os.PathLike[str],
    frames: NDArray[np.uint8] | Iterable[NDArray[np.uint8]],
    *,
    fps: float = 25,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    pixel_format: str | None = None,
    times_s: ArrayLike | None = None,
    rotation: int = 0,
    audio: bool = False,
) -> Path:
    """Encode frames to a video file.

    Parameters
    ----------
    path
        Where the file shall be; the suffix names the container (.avi .gif .mkv .mov .mp4 .mpg .ts .webm).
    frames
        (T,H,W,3) uint8 RGB, or an iterable of (H,W,3) uint8 RGB frames (then memory stays constant). An array
        of no frames, shape (0,H,W,3), gives a file whose video stream is empty, or with ``audio`` a file with
        an audio stream alone.
    fps
        Frames per second; ignored for the times, but not for the declared rate, when ``times_s`` is given.
    codec
        FFmpeg's encoder name: libx264, libx265, mpeg4, mjpeg, libvpx-vp9, libsvtav1, gif, ffv1 (lossless) …
    options
        The encoder's own options, such as ``{"crf": "18", "bf": "3"}``.
    pixel_format
        The encoder's pixel format; by default yuv420p, or what the codec wants.
    times_s
        (T,) seconds, increasing, from 0: a variable frame rate. The last frame lasts as long as the one
        before it. Rounded to the container's clock: 1 ms in Matroska and WebM, 10 ms in GIF, else finer.
    rotation
        0, 90, 180 or 270: degrees clockwise by which a player turns the stored pictures (as phones write).
    audio
        Add a 440 Hz tone of the same duration (one second when there is no frame).

    Returns
    -------
    Path
        ``path``, whole.

    Raises
    ------
    UsageError
        For settings that do not fit together: container, codec, pixel format, shape, times.
    """
    target = Path(path)
    plan = _plan(target, fps, codec, options, pixel_format, times_s, rotation, audio)
    size, images = _size_and_images(frames, target)

    def write(temporary: Path) -> None:
        try:
            with (
                scheduling_kept(),
                av.open(str(temporary), "w", format=plan.muxer, container_options={"fflags": "+bitexact"}) as container,
            ):
                _write(container, plan, size, images)
        except (av.error.FFmpegError, ValueError, OverflowError) as error:
            raise UsageError(
                f"Cannot encode {codec} video",
                path=target,
                why=str(error),
                remedy="check that codec, container, pixel format, options and frame size fit together",
            ) from error

    return write_atomically(target, write)


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Undo what an encoder does to the calling thread.

    SVT-AV1, where it may (as root), puts the caller under ``SCHED_FIFO`` at the highest priority and leaves it
    there. Every process started afterwards inherits that, and one that computes for long starves all others.
    """
    if not hasattr(os, "sched_getscheduler"):  # macOS, Windows
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)


def _plan(
    path: Path,
    fps: float,
    codec: str,
    options: Mapping[str, str] | None,
    pixel_format: str | None,
    times_s: ArrayLike | None,
    rotation: int,
    audio: bool,
) -> _Plan:
    muxer = _MUXERS.get(path.suffix.lower())
    if muxer is None:
        raise UsageError("Unknown video file suffix", path=path, remedy=f"use one of {' '.join(sorted(_MUXERS))}")
    if not _is_video_encoder(codec):
        raise UsageError(f"Unknown video encoder {codec}", path=path, remedy="use libx264, mpeg4, mjpeg or libvpx-vp9")
    if not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"fps must be a positive number, not {fps}", path=path)
    if rotation not in (0, 90, 180, 270):
        raise UsageError(f"rotation must be 0, 90, 180 or 270, not {rotation}", path=path)
    if audio and muxer not in _AUDIO_CODECS:
        raise UsageError("No audio track is written to this container", path=path, remedy="use .mp4 or .mkv")
    rate = Fraction(fps).limit_denominator(1001)
    time_base, pts = 1 / rate, None
    if times_s is not None:
        if muxer == "avi":
            raise UsageError(
                "AVI holds no variable frame rate", path=path, remedy="use .mp4 or .mkv, or leave out times_s"
            )
        time_base = Fraction(1, _clock_hz(muxer, codec))
        times = np.asarray(times_s, dtype=np.float64)
        pts = np.round(times * float(1 / time_base)).astype(np.int64)
        if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(pts) <= 0).any() or (pts < 0).any():
            raise UsageError(
                "times_s must be one increasing row of seconds ≥ 0",
                path=path,
                why=f"after rounding to this container's clock of 1/{time_base.denominator} s",
            )
    return _Plan(
        muxer=muxer,
        codec=codec,
        pixel_format=pixel_format or _PIXEL_FORMATS.get(codec, "yuv420p"),
        options={**_QUIET.get(codec, {}), **(options or {})},
        rate=rate,
        time_base=time_base,
        pts=pts,
        rotation=rotation,
        audio=audio,
    )


def _is_video_encoder(codec: str) -> bool:
    try:
        return av.Codec(codec, "w").type == "video"
    except ValueError:  # PyAV's UnknownCodecError
        return False


def _clock_hz(muxer: str, codec: str) -> int:
    if muxer in ("matroska", "webm"):
        return 1000
    if muxer == "gif":
        return 100
    return 30_000 if codec == "mpeg4" else 90_000  # MPEG-4 part 2 holds the clock in 16 bits


def _size_and_images(
    frames: NDArray[np.uint8] | Iterable[NDArray[np.uint8]], path: Path
) -> tuple[tuple[int, int], Iterator[NDArray[np.uint8]]]:
    """(height, width) and the frames, each of them checked when its turn comes."""
    if isinstance(frames, np.ndarray):
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise UsageError(
                "Frames must be a (T,H,W,3) uint8 RGB array",
                path=path,
                why=f"got {frames.dtype} {frames.shape}",
            )
        return (frames.shape[1], frames.shape[2]), iter(frames)
    images = iter(frames)
    first = next(images, None)
    if first is None:
        raise UsageError("No frame to encode", path=path, remedy="give an array of shape (0,H,W,3)")
    return (first.shape[0], first.shape[1]), itertools.chain([first], images)


def _write(container: OutputContainer, plan: _Plan, size: tuple[int, int], images: Iterator[NDArray[np.uint8]]) -> None:
    first = next(images, None)
    stream = None
    if first is not None or not plan.audio:
        stream = _add_video(container, plan, size)
    tone = _Tone(container, plan.muxer) if plan.audio else None
    container.start_encoding()
    end_s = 1.0
    durations: dict[int, int] = {}
    if stream is not None and first is not None:
        for index, image in enumerate(itertools.chain([first], images)):
            if image.shape != (*size, 3) or image.dtype != np.uint8:
                raise ValueError(f"frame {index} is {image.dtype} {image.shape}, not uint8 {(*size, 3)}")
            pts, duration = _timing(plan.pts, index)
            if tone is not None:
                tone.advance(float(pts * plan.time_base))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.time_base, frame.pts, frame.duration = plan.time_base, pts, duration
            durations[pts] = duration
            _mux(container, stream.encode(frame), durations)
            end_s = float((pts + duration) * plan.time_base)
    if stream is not None:
        _mux(container, stream.encode(None), durations)
    if tone is not None:
        tone.advance(end_s)
        tone.finish()


def _mux(container: OutputContainer, packets: Sequence[Packet[VideoStream]], durations: dict[int, int]) -> None:
    for packet in packets:
        # Encoders forget a frame's own duration and claim 1/rate; the container then ends too early.
        if packet.pts is not None:
            packet.duration = durations.pop(packet.pts, packet.duration)
        container.mux(packet)


def _add_video(container: OutputContainer, plan: _Plan, size: tuple[int, int]) -> VideoStream:
    stream = container.add_stream(plan.codec, rate=plan.rate, options=plan.options)
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = size
    stream.pix_fmt = plan.pixel_format
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = plan.time_base
    stream.time_base = plan.time_base
    if plan.rotation:
        if not hasattr(stream, "set_display_rotation"):
            raise ValueError(f"PyAV {av.__version__} writes no rotation, 18 does")
        stream.set_display_rotation(-plan.rotation)  # PyAV counts counter-clockwise
    return stream


def _timing(pts: Sequence[int] | NDArray[np.int64] | None, index: int) -> tuple[int, int]:
    """Time and duration of frame ``index`` in the stream's clock."""
    if pts is None:
        return index, 1
    if index >= len(pts):
        raise ValueError(f"times_s has {len(pts)} times, and there are more frames")
    last = index == len(pts) - 1
    before, after = (index - 1, index) if last and index else (index, min(index + 1, len(pts) - 1))
    return int(pts[index]), max(1, int(pts[after] - pts[before]))


class _Tone:
    """A mono 440 Hz sine, encoded in step with the pictures so that the packets interleave."""

    def __init__(self, container: OutputContainer, muxer: str) -> None:
        self._container = container
        codec = _AUDIO_CODECS[muxer]
        stream = container.add_stream(codec, rate=_AUDIO_RATE_HZ, layout="mono")
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._chunk = _AUDIO_CHUNK[codec]
        self._done = 0

    def advance(self, until_s: float) -> None:
        while self._done < until_s * _AUDIO_RATE_HZ:
            phase = np.arange(self._done, self._done + self._chunk) * (2 * np.pi * 440 / _AUDIO_RATE_HZ)
            samples = (np.sin(phase) * 8000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = _AUDIO_RATE_HZ, self._done
            frame.time_base = Fraction(1, _AUDIO_RATE_HZ)
            self._container.mux(self._stream.encode(frame))
            self._done += self._chunk

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
