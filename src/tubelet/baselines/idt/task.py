"""The task of the processes that compute trajectories: decode one video, follow its points, store what ends.

Nothing but counts crosses the pipe: the trajectories of a clip of 7 s are some 30 MB.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av.logging
import numpy as np
from numpy.typing import NDArray

from tubelet.allocator import set_allocator
from tubelet.baselines.idt.draw import Draw
from tubelet.baselines.idt.record import TrajectoryRecord
from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.store import TrajectoryWriter
from tubelet.baselines.idt.trajectories import trajectory_steps
from tubelet.errors import UsageError, VideoError
from tubelet.flow.opencv import opencv
from tubelet.provenance import derive_seed, tool_version
from tubelet.video.fingerprint import content_hash, file_stamp
from tubelet.video.limits import Limits
from tubelet.video.reader import Video

Item = tuple[dict[str, Any], None]

_TELL_EVERY_S = 0.5


def answer(request: dict[str, Any]) -> Iterator[Item]:
    """Answer one request of `tubelet.video.many.StoreRun`.

    Parameters
    ----------
    request
        As `tubelet.video.many.StoreJob` says; ``settings`` are `tubelet.baselines.idt.store.stored_settings`.

    Yields
    ------
    tuple
        ``{frames, declared, nbytes}`` twice a second, then ``{record: …}`` when the file is in its place.

    Raises
    ------
    VideoError
        The video cannot be decoded, or changed meanwhile.
    """
    if request["operation"] != "store":
        raise UsageError(f"no such operation on trajectories: {request['operation']}")
    av.logging.set_level(None)  # damaged files make FFmpeg talk without end; the report says what is wrong
    set_allocator()
    path, video_id = Path(request["path"]), str(request["video_id"])
    settings = IdtSettings.from_dict(request["settings"])
    most, seed = request["settings"]["most_trajectories"], request["settings"]["seed"]
    draw = None if most is None else Draw(int(most), derive_seed(int(seed), video_id), settings)
    stamp = file_stamp(path)
    # Trajectories have no use for times, and a folder of frames would ask for a rate.
    rate = 25.0 if path.is_dir() else None
    with (
        Video(path, fps=rate, limits=Limits(**request["limits"]), cache=False) as video,
        TrajectoryWriter(Path(request["target"]), settings) as writer,
    ):
        counted = _Counted(video)
        found, told = 0, 0.0
        for ended in trajectory_steps(counted.frames(), settings):
            if ended is not None:
                found += len(ended)
                if draw is None:
                    writer.add(ended)
                else:
                    draw.add(ended)
            if time.monotonic() - told >= _TELL_EVERY_S:
                told = time.monotonic()
                yield {"frames": counted.count, "declared": video.frames_declared, "nbytes": writer.nbytes}, None
        if draw is not None:
            writer.add(draw.kept())
        report = video.report
        assert report is not None  # set by the complete pass
        digest = content_hash(path)
        if file_stamp(path) != stamp:
            raise VideoError("the video changed while it was read", path=path, remedy="run again")
        record = TrajectoryRecord(
            settings=request["settings"],
            video_id=video_id,
            source_size=stamp.size,
            source_mtime_ns=stamp.mtime_ns,
            source_sha256=digest,
            fps=None if path.is_dir() else report.fps,
            frames=counted.count,
            height=report.height,
            width=report.width,
            decode_status=report.status,
            problems=report.problems,
            found=found,
            kept=writer.kept,
            opencv_version=str(opencv().__version__),
            tool_version=tool_version(),
        )
        writer.finish(record)
    yield {"record": record.to_dict()}, None


class _Counted:
    """A video's frames, counted as they are read."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self.count = 0

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        for frame in self._video.iter_frames():
            self.count += 1
            yield frame.image
