"""A small network and a few small videos, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tubelet.clips.recipe import Recipe
from tubelet.descriptors.extractor import Extractor
from tubelet.models.contract import VideoModel
from tubelet.models.registry import create_model
from tubelet.video.encode import encode

SIDE = 56  # the smallest network's input: no resize, so pixels can be checked exactly


def moving_pixels(n_frames: int, seed: int) -> NDArray[np.uint8]:
    """(T,56,56,3) uint8: a coarse random pattern that drifts."""
    rng = np.random.default_rng(seed)
    pattern = np.kron(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))
    return np.stack([np.roll(pattern, t, axis=1)[:SIDE, :SIDE] for t in range(n_frames)])


# Frames of each video: some give several clips, one exactly one, one is shorter than a clip.
LENGTHS = {"walk/a.mp4": 40, "walk/b.mp4": 16, "run/c.mp4": 7, "run/it's ü.mp4": 33}


@pytest.fixture(scope="session")
def pixels() -> dict[str, NDArray[np.uint8]]:
    return {name: moving_pixels(length, seed) for seed, (name, length) in enumerate(LENGTHS.items())}


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory, pixels: dict[str, NDArray[np.uint8]]) -> Path:
    """A folder of lossless videos (25 fps), whose frames are ``pixels``."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in pixels.items():
        (folder / name).parent.mkdir(exist_ok=True)
        encode(folder / name, frames, codec="libx264rgb", options={"qp": "0"})
    return folder


@pytest.fixture(scope="session")
def model() -> VideoModel:
    return create_model("c3d_small", num_classes=3, seed=5, width=0.125).eval()


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """RGB scaled to [-1, 1], no resize."""
    return Recipe("test", (SIDE, SIDE), (SIDE, SIDE), "rgb", (127.5, 127.5, 127.5), scale=1 / 127.5)


@pytest.fixture(scope="session")
def extractor(model: VideoModel, recipe: Recipe) -> Iterator[Extractor]:
    with pytest.warns(UserWarning, match="untrained"):
        shared = Extractor(model, layers=("fc6", "conv5a", "pool5", "prob"), recipe=recipe, batch_size=4)
    with shared:
        yield shared
