"""Stored flow, read in child processes: the same interface as decoding, so that clips of both are made alike."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tubelet.clips.boxes import Size
from tubelet.clips.decode import ClipDecoder
from tubelet.errors import InputDataError
from tubelet.flow.field import DEFAULT_BOUND
from tubelet.flow.layout import find_flow
from tubelet.video.limits import Limits

TASK = "tubelet.flow.read_task:read"


class FlowDecoder(ClipDecoder):
    """Fields of stored flow, resized: ``(n, h, w, 2)`` uint8 levels, with backward flow ``(n, h, w, 4)``.

    Everything that `tubelet.clips.decode.ClipDecoder` says of frames holds for fields; paths are those of stored flow
    (`locate`). A report counts fields.

    Parameters
    ----------
    root
        What ``tubelet flow`` wrote.
    workers, limits
        As for `ClipDecoder`.
    backward
        Whether backward flow is read too, behind the forward one.
    """

    task = TASK

    def __init__(
        self,
        root: str | os.PathLike[str],
        workers: int = 1,
        limits: Limits | None = None,
        *,
        backward: bool = False,
    ) -> None:
        super().__init__(workers, limits)
        self.root = Path(root)
        self.directions = ["forward", "backward"] if backward else ["forward"]

    def locate(self, path: Path, video_id: str) -> Path:
        """Where the flow of a video is stored; a path that does not exist where there is none."""
        try:
            return find_flow(self.root, self.name(path, video_id))
        except InputDataError:
            return self.root / path.name

    def name(self, path: Path, video_id: str) -> str:
        """What a video is called below ``root``: its id; the file's name where it was given as a path."""
        if not os.path.isabs(video_id):
            try:
                find_flow(self.root, video_id)
                return video_id
            except InputDataError:
                pass
        return path.name if video_id == os.fspath(path) else video_id

    def _request(
        self, operation: str, path: str | os.PathLike[str], fps: float | None, size: Size | None, **more: Any
    ) -> dict[str, Any]:
        own = {"directions": self.directions, "bound": DEFAULT_BOUND}
        return super()._request(operation, path, fps, size, **own, **more)
