"""Stored trajectories of made-up videos of three classes: a channel's numbers lie about a middle of the class."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from made_trajectories import put

from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.store import TrajectoryStore
from tubelet.baselines.idt.tracks import Trajectories

CLASSES = ("run", "sit", "walk")
GROUPS = ("ann", "bob", "cyd", "dee")
NAMES = [f"{label}/{group}_{take}.avi" for label in CLASSES for group in GROUPS for take in (1, 2)]
SMALL = IdtSettings(length=3, cells=1, segments=1, scales=1, camera=None)
"""Channels of 6, 8, 9, 8 and 8 numbers."""


def moved(video_id: str, count: int, spread: float = 0.15, seed: int = 0) -> Trajectories:
    """Trajectories of a video of the class that its id begins with."""
    label = CLASSES.index(video_id.partition("/")[0])
    rng = np.random.default_rng([seed, label, *video_id.encode()])
    channels = {}
    for place, (name, size) in enumerate(SMALL.dims().items()):
        middle = np.random.default_rng([label, place]).random(size)
        channels[name] = (middle + spread * rng.normal(size=(count, size))).clip(0, 1).astype(np.float32)
    points = np.zeros((count, SMALL.length + 1, 2), np.float32)
    return Trajectories(points, np.zeros(count, np.int64), np.zeros(count, np.int64), channels)


def store(
    folder: Path, *, changed: Collection[str] = (), still: Collection[str] = (), count: int = 20
) -> TrajectoryStore:
    """The videos' trajectories: ``changed`` ones are others than they would be, ``still`` ones have none."""
    for video_id in NAMES:
        found = moved(video_id, 0 if video_id in still else count, seed=int(video_id in changed))
        put(folder, video_id, found, settings=SMALL)
    return TrajectoryStore(folder)
