"""Opening a video file: by content, without a network, within limits, with one clear error."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from tubelet.errors import RefusedVideoError, VideoError
from tubelet.video.limits import CODECS, CONTAINERS, DECODERS, Limits
from tubelet.video.structure import inspect

# First bytes of the formats that name other files or addresses instead of holding pictures.
_PLAYLISTS: tuple[tuple[bytes, str], ...] = (
    (b"#EXTM3U", "an HLS playlist"),
    (b"ffconcat", "a concatenation script"),
    (b"v=0", "an SDP session description"),
    (b"[playlist]", "a playlist"),
    (b"<?xml", "an XML manifest"),
    (b"<MPD", "a DASH manifest"),
    (b"<SMIL", "a SMIL playlist"),
    (b"rtsp:", "a stream address"),
)

_SELF_CONTAINED = "give a video file that holds its own pictures: MP4, MKV, WebM, AVI, MPEG-TS or GIF"


@dataclass(frozen=True)
class Header:
    """What the container says about its video stream, before anything is decoded.

    ``width`` and ``height`` are those of the coded picture, before rotation; ``frames_declared`` is None where the
    container does not count its frames.
    """

    container: str
    codec: str
    width: int
    height: int
    time_base: Fraction
    rate: Fraction | None
    frames_declared: int | None
    duration_s: float | None
    reordered: bool
    extradata: bytes


@contextmanager
def open_container(
    path: Path, limits: Limits, options: dict[str, str] | None = None
) -> Iterator[tuple[InputContainer, VideoStream, Header]]:
    """Open ``path``, check it against ``limits`` and the allow-lists, and close it at the end of the block.

    Parameters
    ----------
    path
        A regular file; its name's suffix does not matter.
    limits
        Bounds on the declared size, length and rate.
    options
        Further options of the demuxer.

    Yields
    ------
    tuple
        The container, its video stream (set up, not yet decoding) and the :class:`Header`.

    Raises
    ------
    RefusedVideoError
        A playlist, a container or codec that is not on the allow-list, or a limit exceeded.
    VideoError
        No such file, not a video, a damaged header, no video stream.
    """
    _require_regular_file(path)
    every_option = {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(CONTAINERS),
        "codec_whitelist": ",".join(DECODERS),
        "max_pixels": str(limits.max_pixels),
        **(options or {}),
    }
    try:
        # The prefix keeps a name such as "http:x" or "concat:a|b" from being taken for a protocol.
        container = av.open(f"file:{os.path.abspath(path)}", mode="r", options=every_option, metadata_errors="ignore")
    except (av.error.FFmpegError, OSError, ValueError, UnicodeError, MemoryError) as error:
        raise _why_not_opened(path, error) from error
    try:
        stream = _video_stream(path, container)
        header = _header(path, container, stream)
        _check_limits(path, header, limits)
        codec = stream.codec_context
        codec.options = {"max_pixels": str(limits.max_pixels)}
        # One decoder thread: small frames decode faster so, several videos decode in processes of their own, and of a
        # damaged file frame threads give other pixels each time and lose up to a frame per thread at its end.
        codec.thread_type = "SLICE"
        codec.thread_count = 1
        yield container, stream, header
    finally:
        container.close()


def _require_regular_file(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(
            "no such video", path=path, why=error.strerror or str(error), remedy="check the spelling of the path"
        ) from error
    except ValueError as error:  # a zero byte in the name
        raise VideoError(
            "no such video", path=repr(path), why=str(error), remedy="check the spelling of the path"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise RefusedVideoError("not a regular file", path=path, remedy=_SELF_CONTAINED)
    if status.st_size == 0:
        raise VideoError("the file is empty", path=path, remedy="copy or download it again")


def _why_not_opened(path: Path, error: BaseException) -> VideoError:
    with path.open("rb") as file:
        start = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    for mark, name in _PLAYLISTS:
        if start[: len(mark)].lower() == mark.lower():
            return RefusedVideoError(f"{name} is not read", path=path, remedy=_SELF_CONTAINED)
    if isinstance(error, av.error.ArgumentError):
        # FFmpeg's answer when the format it recognizes is not on our list.
        return RefusedVideoError(
            "this kind of file is not read",
            path=path,
            why="its container is not on the allow-list",
            remedy=_SELF_CONTAINED,
        )
    return VideoError(
        "cannot open as a video",
        path=path,
        why=_reason(error),
        remedy="the header is damaged or this is no video; copy or convert it again",
    )


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).rstrip(".")


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    # Cover art and thumbnails are stored as video streams too.
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise VideoError(
            "no video stream in the file",
            path=path,
            why=f"it holds {', '.join(kinds)} only" if kinds else "it holds no stream at all",
            remedy="take it out of the list of videos",
        )
    return next((s for s in streams if s.disposition & Disposition.default), streams[0])


def _header(path: Path, container: InputContainer, stream: VideoStream) -> Header:
    name = container.format.name.split(",")[0]
    codec = stream.codec_context
    kind = codec.codec.canonical_name if codec is not None else "unknown"
    if name not in CONTAINERS or kind not in CODECS:
        raise RefusedVideoError(
            f"codec {kind} in container {name} is not read",
            path=path,
            why="not on the allow-list",
            remedy="convert it, for example to H.264 in MP4",
        )
    time_base = stream.time_base
    if time_base is None or time_base <= 0:
        raise VideoError(
            "the video stream has no time base",
            path=path,
            why="the header is damaged",
            remedy="copy or download the file again, or leave it out",
        )
    duration: float | None = None
    if stream.duration is not None and stream.duration > 0:
        duration = float(stream.duration * time_base)
    elif container.duration is not None and container.duration > 0:
        duration = container.duration / av.time_base
    rate = stream.average_rate or stream.guessed_rate
    return Header(
        container=name,
        codec=kind,
        width=codec.width,
        height=codec.height,
        time_base=time_base,
        rate=rate if rate is not None and rate > 0 else None,
        frames_declared=stream.frames if stream.frames > 0 else None,
        duration_s=duration,
        reordered=bool(codec.has_b_frames),
        extradata=codec.extradata or b"",
    )


def _check_limits(path: Path, header: Header, limits: Limits) -> None:
    def refuse(what: str, value: object, limit: object, field: str) -> RefusedVideoError:
        return RefusedVideoError(
            f"the video declares {value} {what}, the limit is {limit}",
            path=path,
            remedy=f"raise Limits.{field} if the file is to be trusted",
        )

    pixels = header.width * header.height
    if pixels > limits.max_pixels:
        raise refuse("pixels a frame", f"{header.width}×{header.height}", limits.max_pixels, "max_pixels")
    if pixels <= 0:
        raise RefusedVideoError(
            f"the size of the pictures is missing or beyond the limit of {limits.max_pixels} pixels",
            path=path,
            remedy="the header is damaged, or raise Limits.max_pixels if the file is to be trusted",
        )
    frames = header.frames_declared
    if frames is not None and frames > limits.max_frames:
        raise refuse("frames", frames, limits.max_frames, "max_frames")
    # MPEG streams have no length in their header; FFmpeg's guess for them is not worth a refusal.
    measured = header.container not in ("mpegts", "mpeg")
    if measured and header.duration_s is not None and header.duration_s > limits.max_duration_s:
        raise refuse("seconds", f"{header.duration_s:.0f}", limits.max_duration_s, "max_duration_s")
    if frames is not None and frames > 1 and header.duration_s is not None:
        rate = frames / header.duration_s
        if rate > limits.max_fps and header.container == "avi":
            # AVI fills the time between frames with empty ones: a fine clock, not a fast video.
            rate = (inspect(path, "avi").packets or frames) / header.duration_s
        if rate > limits.max_fps:
            raise refuse("frames/s", f"{rate:.1f}", limits.max_fps, "max_fps")
