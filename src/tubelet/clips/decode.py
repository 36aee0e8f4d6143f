"""Videos decoded and resized in child processes that may die.

A child sends resized uint8 frames, so that little goes through the pipe. What it runs is
`tubelet.clips.decode_task`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from tubelet.clips.ahead import run_ahead
from tubelet.clips.boxes import Size
from tubelet.clips.frame_hash import Hashes
from tubelet.clips.modality import LevelScale
from tubelet.errors import DecodeWorkerError, TubeletError
from tubelet.video.guard import GuardedPool, Message
from tubelet.video.limits import Limits
from tubelet.video.report import DecodeReport

Images = npt.NDArray[np.uint8]

TASK = "tubelet.clips.decode_task:decode"


@dataclass(frozen=True)
class FrameBlock:
    """Consecutive frames of one video.

    Attributes
    ----------
    first_index
        Number of the first frame.
    images
        ``(n, h, w, 3)`` uint8 RGB, n ≥ 1.
    times_s, ends_s
        ``(n,)`` float64: when each frame appears and when it gives way to the next, in seconds.
    levels
        Of stored flow, whose fields come as images of 2 or 4 channels: what their levels stand for.
    """

    first_index: int
    images: Images
    times_s: npt.NDArray[np.float64]
    ends_s: npt.NDArray[np.float64]
    levels: LevelScale | None = None

    def __len__(self) -> int:
        return len(self.images)


class ClipDecoder:
    """Frames of videos, decoded in killable child processes.

    Whatever a file does to a decoder (crash, hang, memory) is one `DecodeWorkerError` for that file. Methods
    may be called from several threads; results do not depend on ``workers``. Children start when needed;
    `close` ends them.

    Parameters
    ----------
    workers
        Child processes at a time. A child takes 0.3 GB once it has resized a frame, most of it torch.
    limits
        Bounds on pixels, duration and frames of a file.
    memory_bytes, stall_timeout_s, recycle_after
        As in `tubelet.video.guard.GuardedPool`.
    """

    task = TASK

    def __init__(
        self,
        workers: int = 1,
        limits: Limits | None = None,
        *,
        memory_bytes: int = 4 << 30,
        stall_timeout_s: float = 60.0,
        recycle_after: int = 500,
    ) -> None:
        self.workers = workers
        self.limits = Limits() if limits is None else limits

        def make_pool() -> GuardedPool:
            return GuardedPool(
                self.task,
                workers,
                memory_bytes=memory_bytes,
                stall_timeout_s=stall_timeout_s,
                recycle_after=recycle_after,
            )

        self._make_pool = make_pool
        self._pool = make_pool()
        # Streams that are read ahead hold their children while they wait for the consumer. They have children
        # of their own, or a consumer that asks for a clip in between would wait for itself.
        self._ahead: list[GuardedPool] = []
        self._lock = threading.Lock()
        self._closed = False

    def locate(self, path: Path, video_id: str) -> Path:
        """Where that is stored of a video which this decoder reads: the video itself."""
        return path

    def measure(self, path: str | os.PathLike[str], fps: float | None = None, *, full: bool = True) -> DecodeReport:
        """Find out what is in a file.

        Parameters
        ----------
        path
            Video file or folder of JPEG frames.
        fps
            Frames per second that hold instead of the container's.
        full
            Decode every frame, which is the only way to know that the file is whole. Otherwise the frame
            count is that of the frame table and the status says only that the table could be built.

        Raises
        ------
        VideoError
            No frame can be decoded, the file is refused, or the child died on it.
        """
        messages = list(self._pool.run(self._request("measure", path, fps, None, full=full)))
        return _report(messages[-1:], path)

    def stream(
        self,
        path: str | os.PathLike[str],
        size: Size | None,
        fps: float | None = None,
        block_frames: int = 32,
    ) -> Generator[FrameBlock | DecodeReport, None, None]:
        """Decode a video from its first frame to its last, in constant memory.

        Parameters
        ----------
        path, fps
            As in `measure`.
        size
            What frames are resized to: height and width in pixels, or the shorter side of frames that keep their
            aspect ratio; None leaves them in full size. All frames of a video have one size.
        block_frames
            Frames of a block; large frames come in shorter blocks (at most 16 MB, at least one frame).

        Yields
        ------
        FrameBlock
            All frames, in order.
        DecodeReport
            The last item: the verdict on the whole video.

        Raises
        ------
        VideoError
            As in `measure`; after the blocks decoded so far, if it is the decoder that fails.
        """
        yield from self._stream(self._pool, path, size, fps, block_frames)

    def whole(
        self, path: str | os.PathLike[str], size: Size | None, fps: float | None = None
    ) -> tuple[Images, DecodeReport]:
        """All frames of a (short) video at once: ``(T, h, w, 3)`` uint8 RGB, and the verdict; as `stream`."""
        blocks: list[Images] = []
        for item in self._stream(self._pool, path, size, fps, 32):
            if isinstance(item, DecodeReport):
                return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), item
            blocks.append(item.images)
        raise AssertionError("a stream ends with a verdict or an error")

    def clip(
        self,
        path: str | os.PathLike[str],
        indices: Sequence[int] | npt.NDArray[np.integer[Any]],
        size: Size | None,
        fps: float | None = None,
    ) -> Images:
        """Single frames of a video.

        Parameters
        ----------
        path, size, fps
            As in `stream`.
        indices
            Frame numbers in any order; repeats are allowed.

        Returns
        -------
        ndarray
            ``(len(indices), h, w, 3)`` uint8 RGB, in the order asked for.

        Raises
        ------
        UsageError
            A number below 0 or beyond the last frame.
        VideoError
            As in `measure`.
        """
        numbers = [int(index) for index in indices]
        request = self._request("clip", path, fps, size, indices=numbers)
        messages = list(self._pool.run(request))
        if len(messages) != 1 or messages[0].array is None:
            raise _incomplete(path)
        return messages[0].array

    def fingerprint(self, path: str | os.PathLike[str], fps: float | None = None) -> tuple[Hashes, DecodeReport]:
        """Decode a video once for what it looks like over time; see `tubelet.clips.frame_hash`.

        Parameters
        ----------
        path, fps
            As in `measure`.

        Returns
        -------
        hashes, report
            ``(n, 4)`` uint64, and the verdict on the whole video.

        Raises
        ------
        VideoError
            As in `measure`.
        """
        last = list(self._pool.run(self._request("fingerprint", path, fps, None)))[-1:]
        if not last or last[0].array is None:
            raise _incomplete(path)
        return last[0].array, _report(last, path)

    def prefetch(
        self,
        paths: Sequence[str | os.PathLike[str]],
        size: Size | None,
        max_ahead_blocks: int = 16,
        *,
        fps: float | None = None,
        block_frames: int = 32,
    ) -> Generator[tuple[str | os.PathLike[str], FrameBlock | DecodeReport | TubeletError], None, None]:
        """Stream many videos, decoding ahead of the consumer in all children at once.

        Parameters
        ----------
        paths
            Videos, in the order wanted.
        size, fps, block_frames
            As in `stream`, for all videos.
        max_ahead_blocks
            Most items that wait to be taken, over all videos.

        Yields
        ------
        tuple
            Path and item: for each video in turn its blocks, then its report or, if it failed, its error
            (`VideoError`, `UsageError`). Exactly one of these two ends every video.

        Raises
        ------
        TubeletError
            No child can be started: nothing is wrong with the video.
        """
        pool = self._take_pool()

        def open_stream(path: str | os.PathLike[str]) -> Generator[FrameBlock | DecodeReport, None, None]:
            return self._stream(pool, path, size, fps, block_frames)

        try:
            yield from run_ahead(
                list(paths), open_stream, threads=self.workers, max_ahead=max_ahead_blocks, abort=pool.close
            )
        finally:
            self._return_pool(pool)

    def close(self) -> None:
        """End all children."""
        with self._lock:
            self._closed = True
            pools = [self._pool, *self._ahead]
            self._ahead = []
        for pool in pools:
            pool.close()

    def __enter__(self) -> ClipDecoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _request(
        self,
        operation: str,
        path: str | os.PathLike[str],
        fps: float | None,
        size: Size | None,
        **more: Any,
    ) -> dict[str, Any]:
        return {
            "operation": operation,
            # A child stays in the folder in which it was started; the parent may move on.
            "path": os.path.abspath(os.fsdecode(path)),
            "fps": fps,
            "size": list(size) if isinstance(size, tuple) else size,
            "limits": asdict(self.limits),
            **more,
        }

    def _stream(
        self,
        pool: GuardedPool,
        path: str | os.PathLike[str],
        size: Size | None,
        fps: float | None,
        block_frames: int,
    ) -> Generator[FrameBlock | DecodeReport, None, None]:
        request = self._request("stream", path, fps, size, block_frames=block_frames)
        last: list[Message] = []
        with closing(pool.run(request)) as messages:
            for message in messages:
                if message.array is None:
                    last = [message]
                    continue
                yield FrameBlock(
                    first_index=int(message.header["first_index"]),
                    images=message.array,
                    times_s=np.asarray(message.header["times_s"], np.float64),
                    ends_s=np.asarray(message.header["ends_s"], np.float64),
                    levels=_level_scale(message.header),
                )
        # Only now, when the child is free for another request: many consumers stop reading here.
        yield _report(last, path)

    def _take_pool(self) -> GuardedPool:
        with self._lock:
            if self._ahead:
                return self._ahead.pop()
        return self._make_pool()

    def _return_pool(self, pool: GuardedPool) -> None:
        with self._lock:
            if not self._closed and not pool.closed:
                self._ahead.append(pool)
                return
        pool.close()


def _level_scale(header: Mapping[str, Any]) -> LevelScale | None:
    if "bound" not in header:
        return None
    height, width = header["size_hw"]
    return LevelScale(float(header["bound"]), (int(height), int(width)))


def _report(messages: list[Message], path: str | os.PathLike[str]) -> DecodeReport:
    if not messages or "report" not in messages[0].header:
        raise _incomplete(path)
    fields = messages[0].header["report"]
    return DecodeReport(**{**fields, "problems": tuple(fields["problems"])})


def _incomplete(path: str | os.PathLike[str]) -> DecodeWorkerError:
    return DecodeWorkerError(
        "the decoding process ended without a verdict",
        path=path,
        remedy="try again; if it happens again, leave the file out",
    )
