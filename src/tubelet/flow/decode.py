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
        name = path.name if os.path.isabs(video_id) else video_id
        try:
            return find_flow(self.root, name)
        except InputDataError:
            return self.root / name

    def _request(
        self, operation: str, path: str | os.PathLike[str], fps: float | None, size: Size | None, **more: Any
    ) -> dict[str, Any]:
        own = {"directions": self.directions, "bound": DEFAULT_BOUND}
        return super()._request(operation, path, fps, size, **own, **more)
