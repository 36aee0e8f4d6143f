"""The task that flow workers run: decode one video, compute its flow, store it. Nothing but counts crosses the pipe.

A worker is a child of `tubelet.video.guard.GuardedPool`, so a file that crashes, hangs or fills the decoder costs
that file alone. It writes itself: 250 fields of 320 x 240 pixels through a pipe would be 150 MB, and the parent,
which is one process, would have to encode them. What a killed worker leaves is a hidden temporary file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, tee
from pathlib import Path
from typing import Any, TypeVar

import av.logging
import numpy as np
from numpy.typing import NDArray

from tubelet.allocator import set_allocator
from tubelet.errors import UsageError, VideoError
from tubelet.flow.check import check_flow
from tubelet.flow.estimate import estimate_stream
from tubelet.flow.field import Direction, dequantize, quantize
from tubelet.flow.layout import FRAME_PREFIX, PREFIXES
from tubelet.flow.opencv import opencv
from tubelet.flow.record import RECORD_FILE, FlowError, FlowRecord, FlowSettings
from tubelet.flow.shelf import NewShelf, new_folder_shelf, new_zip_shelf
from tubelet.flow.warp import warped_stream
from tubelet.provenance import tool_version
from tubelet.video.fingerprint import content_hash, file_stamp
from tubelet.video.limits import Limits
from tubelet.video.reader import Video
from tubelet.video.report import DecodeReport

Images = NDArray[np.uint8]
Item = tuple[dict[str, Any], None]
Motion = tuple[NDArray[np.float32], bool | None]
T = TypeVar("T")

# Decoding, estimating and encoding take turns of several frames: after each the caches hold another one's code and
# data, and one by one what is not estimation takes half as long again.
_GROUP = 8
_GROUP_BYTES = 4 << 20  # of frames; large ones pass one by one

_READ_BACK_EVERY = 16  # pairs; reading all back would cost a tenth of the time
_TELL_EVERY_S = 0.5


def answer(request: dict[str, Any]) -> Iterator[Item]:
    """Answer one request of `tubelet.flow.runner`.

    Parameters
    ----------
    request
        ``operation`` and ``target``, where the flow of a video lies or shall lie. To ``"store"`` also ``path`` and
        ``video_id`` of the video, ``settings`` and ``limits``.

    Yields
    ------
    tuple
        For ``store``: ``{frames, declared, nbytes}`` twice a second (frames used so far, frames that the container
        claims or None, bytes written), and ``{record: …}`` when everything is in place. For ``check``:
        ``{problems: […]}``, after everything was decoded.

    Raises
    ------
    VideoError
        The video cannot be decoded, has fewer than two frames, or changed meanwhile.
    """
    match request["operation"]:
        case "store":
            yield from _store(request)
        case "check":
            yield {"problems": list(check_flow(Path(request["target"])))}, None
        case other:
            raise UsageError(f"no such operation on flow: {other}")


def _store(request: dict[str, Any]) -> Iterator[Item]:
    av.logging.set_level(None)  # damaged files make FFmpeg talk without end; the report says what is wrong
    set_allocator()
    path, target = Path(request["path"]), Path(request["target"])
    settings = FlowSettings.from_dict(request["settings"])
    stamp = file_stamp(path)
    # Flow has no use for times, and a folder of frames would ask for a rate.
    rate = 25.0 if path.is_dir() else None
    new_shelf = new_zip_shelf if settings.store == "compact" else new_folder_shelf
    with Video(path, fps=rate, limits=Limits(**request["limits"]), cache=False) as video, new_shelf(target) as shelf:
        declared = None if video.frames_declared is None else -(-video.frames_declared // settings.step)
        made = _Making(settings, shelf)
        told = 0.0
        frames = _used_frames(video, settings)
        first = list(islice(frames, 1))
        size = max(1, min(_GROUP, _GROUP_BYTES // sum(frame.nbytes for frame in first))) if first else 1
        frames = chain.from_iterable(_groups(chain(first, frames), size))
        for group in _groups(_fields(made.frames_of(frames), settings), size):
            for fields in group:
                made.store_pair(fields)
            if time.monotonic() - told >= _TELL_EVERY_S:
                told = time.monotonic()
                yield {"frames": made.frames, "declared": declared, "nbytes": made.nbytes}, None
        assert video.report is not None  # set by the complete pass
        facts = made.facts(path, video.report)
        digest = content_hash(path)
        if file_stamp(path) != stamp:
            raise VideoError("the video changed while it was read", path=path, remedy="run again")
        record = FlowRecord(
            settings=settings,
            parameters=settings.parameters(),
            video_id=request["video_id"],
            source_size=stamp.size,
            source_mtime_ns=stamp.mtime_ns,
            source_sha256=digest,
            fps=None if path.is_dir() else video.report.fps / settings.step,
            decode_status=video.report.status,
            problems=video.report.problems,
            opencv_version=str(opencv().__version__),
            tool_version=tool_version(),
            **facts,
        )
        shelf.add(RECORD_FILE, json.dumps(record.to_dict(), indent=2, ensure_ascii=False, allow_nan=False).encode())
    yield {"record": record.to_dict()}, None


def _used_frames(video: Video, settings: FlowSettings) -> Iterator[Images]:
    """Every ``step``-th frame, resized: ``(H, W, 3)`` uint8 RGB."""
    frames = (frame.image for frame in video.iter_frames() if frame.index % settings.step == 0)
    if settings.resize_hw is None:
        yield from frames
        return
    from tubelet.clips.resize import resize  # the only part of a worker that imports torch

    for frame in frames:
        yield resize(frame[None], settings.resize_hw)[0]


def _groups(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while group := list(islice(items, size)):
        yield group


def _fields(frames: Iterator[Images], settings: FlowSettings) -> Iterator[list[Motion]]:
    """For every pair of frames its field in each direction, in the memory of a pair."""
    copies = tee(frames, len(settings.directions))  # they are read in step, so one frame is held at most
    streams = [_stream(copy, settings, direction) for copy, direction in zip(copies, settings.directions, strict=True)]
    for fields in zip(*streams, strict=True):
        yield list(fields)


def _stream(frames: Iterator[Images], settings: FlowSettings, direction: Direction) -> Iterator[Motion]:
    """Vectors ``(H, W, 2)``, and whether the camera was found to move (None where nobody looked)."""
    if not settings.warped:
        for vectors in estimate_stream(frames, settings.algorithm, direction=direction):
            yield vectors, None
        return
    for field in warped_stream(frames, settings.algorithm, direction=direction):
        yield field.vectors, field.camera.found


@dataclass
class _Cost:
    """Sums over the components inside the bound of the pairs that were read back."""

    pairs: int = 0
    count: int = 0
    quantized: float = 0.0
    stored: float = 0.0
    stored_max: float = 0.0

    def add(self, exact: NDArray[np.float32], levels: Images, stored: Images, bound: float) -> None:
        inside = np.abs(exact) <= bound
        off = np.abs(dequantize(stored, bound) - exact)[inside]
        self.pairs += 1
        self.count += off.size
        self.quantized += float(np.abs(dequantize(levels, bound) - exact)[inside].sum(dtype=np.float64))
        self.stored += float(off.sum(dtype=np.float64))
        self.stored_max = max(self.stored_max, float(off.max(initial=0.0)))

    def error(self) -> FlowError:
        count = max(self.count, 1)
        return FlowError(self.pairs, self.quantized / count, self.stored / count, self.stored_max)


class _Making:
    """One video's flow on its way to the shelf."""

    def __init__(self, settings: FlowSettings, shelf: NewShelf) -> None:
        self._cv2 = opencv()
        self._settings = settings
        self._shelf = shelf
        self._cost = _Cost()
        self._values = self._saturated = self._files = self._pairs = self._moving = 0
        self._size_hw = (0, 0)
        self.frames = 0
        self.nbytes = 0

    def frames_of(self, frames: Iterator[Images]) -> Iterator[Images]:
        """Count frames, and store those that shall be, on their way to the algorithm."""
        for frame in frames:
            self.frames += 1
            if self._settings.rgb:
                self._put(f"{FRAME_PREFIX}{self.frames:05d}.jpg", self._cv2.cvtColor(frame, self._cv2.COLOR_RGB2BGR))
            yield frame

    def store_pair(self, fields: list[Motion]) -> None:
        """Quantize, encode and store the fields of the next pair."""
        self._pairs += 1
        for direction, (exact, moving) in zip(self._settings.directions, fields, strict=True):
            levels, saturated = quantize(exact[None], self._settings.bound)
            self._saturated += saturated
            self._values += levels.size
            self._moving += bool(moving)
            self._size_hw = exact.shape[:2]
            stored = [
                self._put(f"{prefix}{self._pairs:05d}.jpg", plane)
                for prefix, plane in zip(PREFIXES[direction], self._cv2.split(levels[0]), strict=True)
            ]
            if (self._pairs - 1) % _READ_BACK_EVERY == 0:
                self._cost.add(
                    exact,
                    levels[0],
                    np.stack([self._read_back(data) for data in stored], axis=-1),
                    self._settings.bound,
                )

    def facts(self, path: Path, report: DecodeReport) -> dict[str, Any]:
        """What the record says of the fields, once all are stored."""
        if not self._pairs:
            raise VideoError(
                "the video has too few frames for flow",
                path=path,
                why=f"{self.frames} with a step of {self._settings.step}, and 2 are needed",
                remedy="leave it out, or choose a smaller --step",
            )
        fields = self._pairs * len(self._settings.directions)
        return {
            "frames": self.frames,
            "height": self._size_hw[0],
            "width": self._size_hw[1],
            "source_hw": (report.height, report.width),
            "files": self._files,
            "nbytes": self.nbytes,
            "saturated_share": self._saturated / self._values,
            "camera_share": self._moving / fields if self._settings.warped else None,
            "error": self._cost.error(),
        }

    def _read_back(self, data: bytes) -> Images:
        picture: Images = self._cv2.imdecode(np.frombuffer(data, np.uint8), self._cv2.IMREAD_GRAYSCALE)
        return picture

    def _put(self, name: str, picture: Images) -> bytes:
        """Encode one picture and put it on the shelf."""
        _, encoded = self._cv2.imencode(".jpg", picture, [self._cv2.IMWRITE_JPEG_QUALITY, self._settings.quality])
        data: bytes = encoded.tobytes()
        self._shelf.add(name, data)
        self._files += 1
        self.nbytes += len(data)
        return data
