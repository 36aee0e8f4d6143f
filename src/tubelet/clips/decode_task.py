"""The task that decoding children run: open one video, send resized frames or a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import av.logging
import numpy as np
import numpy.typing as npt

from tubelet.clips.boxes import size_after
from tubelet.clips.frame_hash import BlockMeans, Hashes, hashes
from tubelet.errors import RefusedVideoError, UsageError
from tubelet.video.container import open_container
from tubelet.video.limits import Limits
from tubelet.video.reader import Video
from tubelet.video.report import DecodeReport, Frame

Images = npt.NDArray[np.uint8]
Item = tuple[dict[str, Any], Images | Hashes | None]

_BLOCK_BYTES = 16 << 20  # a block of frames in full size is shorter than one of resized frames
_GROUP = 4
_GROUP_BYTES = 4 << 20
_FRAMES_BYTES = 128 << 20  # what random access may hold in full size at once: a 16-frame clip of full HD fits
_TELL_EVERY = 256  # frames after which a child that has nothing to send yet says that it is alive


def decode(request: dict[str, Any]) -> Iterator[Item]:
    """Answer one request of `tubelet.clips.decode.ClipDecoder`.

    Parameters
    ----------
    request
        ``operation`` (``"stream"``, ``"clip"``, ``"measure"`` or ``"fingerprint"``), ``path``, ``fps``, ``size``,
        ``limits``, and ``block_frames`` (stream), ``indices`` (clip) or ``full`` (measure).

    Yields
    ------
    tuple
        For ``stream``: ``{first_index, times_s, ends_s}`` with frames ``(n, h, w, 3)``, for every block, then
        the verdict. For ``clip``: one array of frames. For ``measure``: the verdict. A verdict is ``{report:
        fields of DecodeReport}`` without an array. For ``fingerprint``: ``{frames}`` now and then, last the verdict
        with the ``(n, 4)`` uint64 array of `tubelet.clips.frame_hash.hashes`.
    """
    av.logging.set_level(None)  # damaged files make FFmpeg talk without end; the report says what is wrong
    limits = Limits(**request["limits"])
    scale = _scaler(request["size"], request["path"], limits)
    # One pass from the first frame to the last needs no frame table, so none is looked up or kept.
    in_order = request["operation"] in ("stream", "fingerprint")
    with Video(request["path"], fps=request["fps"], limits=limits, cache=not in_order) as video:
        match request["operation"]:
            case "stream":
                yield from _stream(video, scale, request["block_frames"])
            case "clip":
                yield {}, _clip(video, scale, np.asarray(request["indices"], np.int64))
            case "measure":
                yield _verdict(video.check() if request["full"] else _table_only(video, limits)), None
            case "fingerprint":
                yield from _fingerprint(video)
            case other:
                raise UsageError(f"no such decoding operation: {other}")


def _stream(video: Video, scale: Callable[[Images], Images], block_frames: int) -> Iterator[Item]:
    first = count = 0
    images: Images | None = None
    times_s: list[float] = []
    ends_s: list[float] = []

    def block() -> Item:
        assert images is not None
        return {"first_index": first, "times_s": times_s, "ends_s": ends_s}, images[:count]

    for frame, image in _scaled(video.iter_frames(), scale):
        if images is None:
            length = max(1, min(block_frames, _BLOCK_BYTES // image.nbytes))
            images = np.empty((length, *image.shape), np.uint8)
        images[count] = image
        times_s.append(float(frame.time_s))
        ends_s.append(float(frame.end_s))
        count += 1
        if count == len(images):
            yield block()  # it is on its way when this returns, so the memory can be used again
            first, count, times_s, ends_s = first + count, 0, [], []
    if count:
        yield block()
    assert video.report is not None  # set by the complete pass
    yield _verdict(video.report), None


def _fingerprint(video: Video) -> Iterator[Item]:
    means = BlockMeans()
    for frame in video.iter_frames():
        means.add(frame.image, frame.end_s - frame.time_s)
        if frame.index % _TELL_EVERY == _TELL_EVERY - 1:
            yield {"frames": frame.index + 1}, None
    assert video.report is not None  # set by the complete pass
    yield _verdict(video.report), hashes(means.finish())


def _scaled(frames: Iterator[Frame], scale: Callable[[Images], Images]) -> Iterator[tuple[Frame, Images]]:
    """Every frame with its resized image; small frames are resized in groups, 1.5 times faster than alone."""
    group: list[Frame] = []
    for frame in frames:
        if frame.image.nbytes * _GROUP > _GROUP_BYTES:
            yield frame, scale(frame.image[None])[0]
            continue
        group.append(frame)
        if len(group) == _GROUP:
            yield from zip(group, scale(np.stack([member.image for member in group])), strict=True)
            group.clear()
    if group:
        yield from zip(group, scale(np.stack([member.image for member in group])), strict=True)


def _clip(video: Video, scale: Callable[[Images], Images], indices: npt.NDArray[np.int64]) -> Images:
    """Frames by number, each decoded once; in pieces when full size is too large to be held together."""
    if not len(indices):
        return scale(video.frames(indices))
    wanted, place = np.unique(indices, return_inverse=True)
    piece = max(1, _FRAMES_BYTES // (video.height * video.width * 3))
    parts = [scale(video.frames(wanted[start : start + piece])) for start in range(0, len(wanted), piece)]
    return np.concatenate(parts)[place]


def _scaler(size: int | list[int] | None, path: str, limits: Limits) -> Callable[[Images], Images]:
    """The resize, or nothing; only the former imports torch, most of a child's memory and start."""
    if size is None:
        return lambda frames: frames
    from tubelet.clips.resize import resize

    wanted = size if isinstance(size, int) else (size[0], size[1])

    def scale(frames: Images) -> Images:
        height, width = frames.shape[1:3]
        if math.prod(size_after(wanted, (height, width))) > limits.max_pixels:
            raise RefusedVideoError(
                f"frames of {width}x{height} pixels are too long to be resized",
                path=path,
                why=f"their shorter side becomes {wanted} and they would have more than {limits.max_pixels} pixels",
                remedy="use a recipe of a fixed size, or raise the limit max_pixels",
            )
        return resize(frames, wanted)

    return scale


def _table_only(video: Video, limits: Limits) -> DecodeReport:
    """What the header and the frame table say, without a verdict on the pixels."""
    codec, container = "mjpeg", "folder"
    if not video.path.is_dir():
        with open_container(video.path, limits) as (_, _, header):
            codec, container = header.codec, header.container
    count = len(video)
    return DecodeReport(
        status="ok",
        frames_declared=video.frames_declared,
        frames_decoded=count,
        fps=video.fps,
        fps_source=video.fps_source,
        duration_s=float(video.ends[-1]),
        width=video.width,
        height=video.height,
        codec=codec,
        container=container,
    )


def _verdict(report: DecodeReport) -> dict[str, Any]:
    return {"report": asdict(report)}
