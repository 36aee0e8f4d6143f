"""A linear network of six numbers per clip, and tables of its descriptors computed by hand, in float64 NumPy.

fc6 = W (scale (m - mean)) + b, where m are the three channel means of the clip's pixels in the recipe's color order.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tubelet.artifacts import write_json
from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.descriptors.schema import ClipSpan, VideoRecord
from tubelet.descriptors.spool import RowSpool
from tubelet.descriptors.writer import FinishedVideo, TableWriter
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.spec import InputSpec, Paper
from tubelet.provenance import environment
from tubelet.video.fingerprint import content_hash, file_stamp

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_rows import record

SIDE, WIDTH, FPS = 56, 6, 25.0
RECIPE = Recipe("toy", (SIDE, SIDE), (SIDE, SIDE), "rgb", (110.0, 100.0, 90.0), scale=1 / 64)
SAMPLING = Sampling("dense", 16, 8)


class Toy(VideoModel):
    """Channel means through one linear layer; clips may have any length."""

    def __init__(self, seed: int = 0, width: int = WIDTH) -> None:
        super().__init__(
            "toy", num_classes=2, options={}, input=InputSpec("rgb", 3, 16, 1, SIDE, "c3d_small"),
            layer_names=("fc6", "fc8"), head_name="fc8", paper=Paper("", "", 2000, "", ""), any_size=True,
        )  # fmt: skip
        self.fc6 = nn.Linear(3, width)
        self.fc8 = nn.Linear(width, 2)
        rng = np.random.default_rng(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.from_numpy(rng.standard_normal(tuple(parameter.shape))))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        value = self.fc6(x.mean(dim=(2, 3, 4)))
        yield "fc6", value
        yield "fc8", self.fc8(value)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        raise AssertionError("its weights are given")


@dataclass(frozen=True)
class HandMade:
    """How a table is made by hand; every field can be planted."""

    model: Toy
    recipe: Recipe = RECIPE
    sampling: Sampling = SAMPLING
    precision: str = "float32"

    def clips(self, pixels: NDArray[np.uint8]) -> tuple[list[ClipSpan], NDArray[np.float32]]:
        """Places and fc6 of one video's clips; a video shorter than a clip is looped, or its last frame repeated."""
        n, s = len(pixels), self.sampling
        means = pixels.astype(np.float64).mean(axis=(1, 2))[:, :: -1 if self.recipe.color == "bgr" else 1]
        spans, rows = [], []
        stride, span = s.stride_frames or 8, (s.clip_length - 1) * s.step_frames + 1
        for index, start in enumerate(range(0, max(n - span, 0) + 1, stride)):
            frames = np.arange(start, start + s.clip_length * s.step_frames, s.step_frames)
            frames = np.minimum(frames, n - 1) if s.short == "repeat-last" else frames % n
            spans.append(ClipSpan(index, start, int(frames.max()) + 1, start / FPS, (frames.max() + 1) / FPS, n < span))
            clip = (means[frames].mean(axis=0) - np.array(self.recipe.mean)) * self.recipe.scale
            weights = self.model.fc6.weight.detach().double().numpy()
            rows.append(weights @ clip + self.model.fc6.bias.detach().double().numpy())
        vectors = torch.tensor(np.array(rows))
        return spans, (vectors.bfloat16() if self.precision == "bfloat16" else vectors).float().numpy()

    def columns(self) -> dict[str, Any]:
        """What the rows say of it."""
        return {
            "model": "toy",
            "weights_sha256": self.model.weights_id,
            "recipe_hash": self.recipe.hash,
            "sampling": json.dumps(self.sampling.to_dict(), separators=(",", ":")),
            "precision": self.precision,
        }

    def table(
        self,
        folder: Path,
        videos: Path,
        pixels: Mapping[str, NDArray[np.uint8]],
        change: Mapping[tuple[str, int], NDArray[np.float32]] | None = None,
        **more: Any,
    ) -> Path:
        """Write the descriptors of all videos; ``change`` replaces rows, ``more`` goes into ``provenance.json``."""
        finished: list[FinishedVideo] = []
        for name, frames in pixels.items():
            spans, vectors = self.clips(frames)
            for (video_id, clip), row in (change or {}).items():
                if video_id == name:
                    vectors[clip] = row
            spool = RowSpool({"fc6": vectors.shape[1]})
            spool.append(spans, {"fc6": vectors})
            finished.append(FinishedVideo(self.record(name, videos, len(frames)), spool))
        with TableWriter(folder, {"fc6": self.model.fc6.out_features}) as writer:
            writer.commit(finished)
        said = {"root": str(videos), "recipe": self.recipe.to_dict(), "device": "cpu", "batch_size": 4}
        write_json(folder / "provenance.json", environment(**self.columns(), **said, **more))
        return folder

    def record(self, name: str, videos: Path, frames: int) -> VideoRecord:
        """The columns that a video's rows share."""
        stamp = file_stamp(videos / name)
        facts = {
            "path": (videos / name).as_posix(),
            "frames_decoded": frames,
            "file_size": stamp.size,
            "file_mtime_ns": stamp.mtime_ns,
            "content_sha256": content_hash(videos / name),
        }
        return record(name, 1, **{**self.columns(), **facts})

    def planted(self, **changes: Any) -> HandMade:
        """The same with other fields; those of the recipe and of the sampling by their own names."""
        recipe = {name: changes.pop(name) for name in list(changes) if name in Recipe.__dataclass_fields__}
        sampling = {name: changes.pop(name) for name in list(changes) if name in Sampling.__dataclass_fields__}
        return replace(
            self, recipe=replace(self.recipe, **recipe), sampling=replace(self.sampling, **sampling), **changes
        )


def share_gone(start: NDArray[Any], changed: NDArray[Any], target: NDArray[Any]) -> float:
    """Share of the squared distance from ``start`` to ``target`` that is gone in ``changed``, by arithmetic."""
    squares = [float(((np.float64(rows) - target) ** 2).sum()) for rows in (start, changed)]
    return 1 - squares[1] / squares[0]


def all_clips(made: HandMade, pixels: Mapping[str, NDArray[np.uint8]], names: Sequence[str]) -> NDArray[np.float32]:
    """The descriptors of several videos, one below the other."""
    return np.concatenate([made.clips(pixels[name])[1] for name in names])


def touch(path: Path) -> None:
    """Give a file another time of change."""
    os.utime(path, ns=(5, 5))
