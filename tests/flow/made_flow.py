"""Videos whose flow is quickly computed, and flow that is stored without a child process."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.flow.record import FlowRecord, FlowSettings
from tubelet.flow.task import answer
from tubelet.video.encode import encode
from tubelet.video.limits import Limits


def texture(frames: int, height: int = 48, width: int = 64, seed: int = 0, step: int = 2) -> NDArray[np.uint8]:
    """``(frames, height, width, 3)`` RGB: blurred noise that moves ``step`` pixels to the right per frame."""
    rng = np.random.default_rng(seed)
    noise = rng.random((height + 8, width + 8 + frames * step))
    for axis in (0, 1):
        noise = sum(np.roll(noise, shift, axis) for shift in range(-3, 4)) / 7
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    last = (frames - 1) * step
    views = [noise[4 : 4 + height, 4 + last - t * step : 4 + last - t * step + width] for t in range(frames)]
    return np.repeat((np.stack(views) * 255).astype(np.uint8)[..., None], 3, axis=3)


def video(path: Path, frames: int, **options: Any) -> Path:
    """A lossless file of `texture`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(path, texture(frames, **options), fps=25, codec="libx264rgb", options={"qp": "0"})
    return path


def stored(source: Path, target: Path, settings: FlowSettings) -> FlowRecord:
    """What a worker does with one request, in this process."""
    request = {
        "operation": "store",
        "path": str(source),
        "target": str(target),
        "video_id": source.name,
        "settings": settings.to_dict(),
        "limits": asdict(Limits()),
    }
    *_, (last, _) = answer(request)
    return FlowRecord.from_dict(last["record"], str(target))
