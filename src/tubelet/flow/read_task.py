"""The task of children that read stored flow for networks; it answers as `tubelet.clips.decode_task` does for videos.

Items are fields: field t is the motion from frame t to frame t + 1 of the frames that were used, and appears when frame
t does. Nothing here needs OpenCV.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tubelet.clips.boxes import size_after
from tubelet.errors import RefusedVideoError, UsageError
from tubelet.flow.store import StoredFlow, open_flow
from tubelet.video.limits import Limits
from tubelet.video.report import DecodeReport

Levels = npt.NDArray[np.uint8]
Item = tuple[dict[str, Any], Levels | None]

_ASSUMED_FPS = 25.0
_BLOCK_BYTES = 16 << 20


def read(request: dict[str, Any]) -> Iterator[Item]:
    """Answer one request of `tubelet.flow.decode.FlowDecoder`.

    Parameters
    ----------
    request
        As for `tubelet.clips.decode_task.decode`, ``path`` being where a video's flow is stored; besides
        ``directions``, a list of ``forward`` and ``backward``, and ``bound`` for flow that does not say its own.

    Yields
    ------
    tuple
        For ``stream``: ``{first_index, times_s, ends_s, bound, size_hw}`` with levels ``(n, h, w, 2 · directions)``,
        for every block, then the verdict. For ``clip``: one such array. For ``measure``: the verdict.
    """
    path, limits = Path(request["path"]), Limits(**request["limits"])
    with ExitStack() as stack:
        stored = [
            stack.enter_context(_opened(path, direction, request["bound"])) for direction in request["directions"]
        ]
        first = stored[0]
        size_hw = _checked_size(request["size"], first, limits)
        match request["operation"]:
            case "stream":
                yield from _stream(stored, size_hw, request["block_frames"], request["fps"])
            case "clip":
                yield {}, _levels(stored, np.asarray(request["indices"], np.int64), size_hw)
            case "measure":
                if request["full"]:
                    for one in stored:
                        one.levels(range(len(one)))
                yield _verdict(first, request["fps"]), None
            case other:
                raise UsageError(f"no such operation on stored flow: {other}")


def _opened(path: Path, direction: str, bound: float) -> StoredFlow:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # whoever gave the bound has said so once, for all videos
        flow = open_flow(path, direction="backward" if direction == "backward" else "forward")
    if flow.record is None:
        flow.bound = bound
    return flow


def _checked_size(size: int | list[int] | None, flow: StoredFlow, limits: Limits) -> tuple[int, int]:
    if size is None:
        return flow.size_hw
    height, width = size_after(size if isinstance(size, int) else (size[0], size[1]), flow.size_hw)
    if math.prod((height, width)) > limits.max_pixels:
        raise RefusedVideoError(
            f"fields of {flow.width}x{flow.height} pixels are too long to be resized",
            path=flow.path,
            why=f"they would have more than {limits.max_pixels} pixels",
            remedy="use a recipe of a fixed size",
        )
    return height, width


def _levels(stored: list[StoredFlow], indices: npt.NDArray[np.int64], size_hw: tuple[int, int]) -> Levels:
    """Fields of all directions side by side, resized as pictures: their values stay."""
    wanted, place = np.unique(indices, return_inverse=True)
    levels = np.concatenate([flow.levels(wanted) for flow in stored], axis=-1)
    if levels.shape[1:3] != size_hw:
        from tubelet.clips.resize import resize_field  # the only part that imports torch

        levels = resize_field(levels, size_hw)
    return levels[place]


def _stream(stored: list[StoredFlow], size_hw: tuple[int, int], block_fields: int, fps: float | None) -> Iterator[Item]:
    flow = stored[0]
    rate, _ = _rate(flow, fps)
    block = max(1, min(block_fields, _BLOCK_BYTES // (2 * len(stored) * flow.height * flow.width)))
    for start in range(0, len(flow), block):
        indices = np.arange(start, min(start + block, len(flow)))
        header = {
            "first_index": start,
            "times_s": (indices / rate).tolist(),
            "ends_s": ((indices + 2) / rate).tolist(),
            "bound": flow.bound,
            "size_hw": list(flow.size_hw),
        }
        yield header, _levels(stored, indices, size_hw)
    yield _verdict(flow, fps), None


def _rate(flow: StoredFlow, fps: float | None) -> tuple[float, str]:
    """Frames used per second, and where the figure comes from."""
    step = 1 if flow.record is None else flow.record.settings.step
    if fps is not None:
        return fps / step, "given"
    if flow.record is not None and flow.record.fps is not None:
        return flow.record.fps, "flow"
    return _ASSUMED_FPS / step, "assumed"


def _verdict(flow: StoredFlow, fps: float | None) -> dict[str, Any]:
    rate, source = _rate(flow, fps)
    record = flow.record
    report = DecodeReport(
        status="ok" if record is None else record.decode_status,
        frames_declared=len(flow),
        frames_decoded=len(flow),
        fps=rate,
        fps_source=source,
        duration_s=(len(flow) + 1) / rate,
        width=flow.width,
        height=flow.height,
        codec="mjpeg",
        container="flow",
        problems=() if record is None else record.problems,
    )
    return {"report": asdict(report)}
