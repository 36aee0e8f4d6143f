"""Made-up trajectories and tiny videos, and what a worker does, without a process of its own or as one that dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from moving_textures import panning

from tubelet.baselines.idt.record import TrajectoryRecord
from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.store import stored_settings, trajectories_path, write_trajectories
from tubelet.baselines.idt.task import answer
from tubelet.baselines.idt.tracks import Trajectories
from tubelet.video.encode import encode
from tubelet.video.limits import Limits

SETTINGS = IdtSettings(scales=1, camera=None)


def made_up(count: int, seed: int = 0, settings: IdtSettings = SETTINGS) -> Trajectories:
    """Random numbers in the ranges of the real ones; the first of ``shape`` is the trajectory's number, scaled."""
    rng = np.random.default_rng(seed)
    channels = {name: rng.random((count, size), np.float32) for name, size in settings.dims().items()}
    channels["shape"] = channels["shape"] * 2 - 1
    channels["shape"][:, 0] = np.arange(count) / 1024  # exact in float16
    points = rng.uniform(0, 300, (count, settings.length + 1, 2)).astype(np.float32)
    return Trajectories(points, rng.integers(0, 9000, count), rng.integers(0, 8, count), channels)


def record_of(video_id: str, kept: int, settings: IdtSettings = SETTINGS, **changed: Any) -> TrajectoryRecord:
    """A record whose numbers are made up."""
    values: dict[str, Any] = {
        "settings": stored_settings(settings),
        "video_id": video_id,
        "source_size": 10,
        "source_mtime_ns": 11,
        "source_sha256": "ab" * 32,
        "fps": 25.0,
        "frames": 20,
        "height": 64,
        "width": 64,
        "decode_status": "ok",
        "problems": (),
        "found": kept,
        "kept": kept,
        "opencv_version": "4.12.0",
        "tool_version": "1.0",
    }
    return TrajectoryRecord(**{**values, **changed})


def put(folder: Path, video_id: str, found: Trajectories, **changed: Any) -> Path:
    """Store trajectories of a video that never was."""
    path = trajectories_path(folder, video_id)
    write_trajectories(path, found, record_of(video_id, len(found), **changed))
    return path


def film(path: Path, frames: int = 18, seed: int = 0, size: int = 64) -> Path:
    """A lossless file of a texture that moves by (2, 1) pixels a frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = np.stack(panning(frames, (2, 1), size, size, seed))
    encode(path, shown, fps=25, codec="libx264rgb", options={"qp": "0"})
    return path


def request(source: Path, target: Path, settings: IdtSettings = SETTINGS, **draw: Any) -> dict[str, Any]:
    """What a run asks a worker for."""
    return {
        "operation": "store",
        "path": str(source),
        "target": str(target),
        "video_id": source.name,
        "settings": stored_settings(settings, **draw),
        "limits": asdict(Limits()),
    }


def dies(asked: dict[str, Any]) -> Iterator[Any]:
    """The workers' task, killed with -9 when it is about to put the file of ``dies.mp4`` in its place."""
    if asked["video_id"] == "dies.mp4":
        os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    yield from answer(asked)
