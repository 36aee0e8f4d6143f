"""Tiny videos in memory and networks made by hand, whose answers depend on one thing that can be got wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tubelet.clips.recipe import Recipe
from tubelet.datasets.loader import DecodedVideos
from tubelet.datasets.manifest import Item, Manifest
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.spec import InputSpec, Paper

CLASSES = ("a", "b")
SIDE, LENGTH = 4, 4
RGB_MINUS_128 = Recipe("right", (SIDE, SIDE), (SIDE, SIDE), "rgb", (128.0, 128.0, 128.0))

Frames = NDArray[np.uint8]


class HandMade(VideoModel):
    """``features`` makes two numbers of a clip ``(N, 3, T, H, W)``; they are the descriptor and the scores."""

    def __init__(self, features: Callable[[Tensor], Tensor], recipe: Recipe, step_frames: int = 1) -> None:
        super().__init__(
            "hand_made",
            num_classes=2,
            options={},
            input=InputSpec("rgb", 3, LENGTH, step_frames, SIDE, "c3d_small"),
            layer_names=("fc6", "fc8"),
            head_name="fc8",
            paper=Paper("none", "nobody", 2015, "", ""),
        )
        self.made = features
        self.recipe, self.labels = recipe, CLASSES
        self.set_weights_id("made by hand")

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        found = self.made(x)
        yield "fc6", found
        yield "fc8", found

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        raise AssertionError("it has no layer")


def plain(colors: Sequence[Sequence[int]]) -> Frames:
    """A video whose frames have one color each, ``(T, 4, 4, 3)`` uint8."""
    return np.broadcast_to(np.array(colors, np.uint8)[:, None, None, :], (len(colors), SIDE, SIDE, 3)).copy()


@dataclass(frozen=True, eq=False)
class Made:
    """Videos in memory: their manifest and frames by path."""

    manifest: Manifest
    frames: Mapping[str, Frames]

    def decoded(self, manifest: Manifest, recipe: Recipe, *_: Any, **__: Any) -> DecodedVideos:
        """As `tubelet.datasets.loader.decode_videos`, but nothing is decoded."""
        rows = [self.frames[item.path] for item in manifest.items]
        return DecodedVideos(
            manifest, recipe, [len(row) for row in rows], [], [], None, [0] * len(rows),  # type: ignore[arg-type]
            dict(enumerate(rows)), scales=[None] * len(rows),
        )  # fmt: skip

    def opened(self, manifest: Manifest, index: int, recipe: Recipe, *_: Any, **__: Any) -> DecodedVideos:
        """As `tubelet.datasets.loader.open_video`."""
        return self.decoded(manifest.select(keep=[index]), recipe)


def made(
    video: Callable[[str, int], Frames], count: int = 20, *, wrong: float = 0.1, split: str = "test", name: str = "m"
) -> Made:
    """``count`` videos ``video(class, number)``, both classes in turn; a share ``wrong`` of the labels is wrong.

    So whoever recognizes every video is right on ``1 - wrong`` of them.
    """
    items, frames = [], {}
    every = round(1 / wrong) if wrong else count + 1
    for number in range(count):
        shown = CLASSES[number % 2]
        # Blocks of two, so that as many labels of each class are wrong.
        label = CLASSES[1 - number % 2] if number // 2 % every == every - 1 else shown
        path = f"{split}/{number:03d}.avi"
        items.append(Item(path, label, split=split))
        frames[path] = video(shown, number)
    return Made(Manifest(name, Path("videos"), tuple(items), CLASSES), frames)


def joined(first: Made, second: Made) -> Made:
    """Videos of both."""
    whole = replace(first.manifest, items=(*first.manifest.items, *second.manifest.items))
    return Made(whole, {**first.frames, **second.frames})


# ---------------------------------------------------------------- what can be got wrong


def colored(shown: str, number: int) -> Frames:
    """Red or blue, with another green for each video."""
    red, blue = (190, 60) if shown == "a" else (60, 190)
    return plain([(red, 40 + number, blue)] * 12)


def red_or_blue(x: Tensor) -> Tensor:
    """How much more of the first channel there is than of the third, and the opposite."""
    more = (x[:, 0] - x[:, 2]).mean(dim=(1, 2, 3))
    return torch.stack([more, -more], dim=1)


def gray(shown: str, number: int) -> Frames:
    """Dark or bright."""
    return plain([((180 if shown == "a" else 80),) * 3] * 12)


def bright_or_dark(x: Tensor) -> Tensor:
    """The mean, and its opposite: 0 is the border."""
    mean = x.mean(dim=(1, 2, 3, 4))
    return torch.stack([mean, -mean], dim=1)


def flickering(shown: str, number: int) -> Frames:
    """Two bright frames, two dark ones, and so on; or always gray."""
    if shown == "b":
        return plain([(128,) * 3] * 24)
    return plain([((178 if frame // 2 % 2 else 78),) * 3 for frame in range(number % 4, 24 + number % 4)])


def changes_every_frame(x: Tensor) -> Tensor:
    """Whether each frame differs from the next by more than 80: so it is where every second frame is taken."""
    change = (x[:, :, 1:] - x[:, :, :-1]).abs().mean(dim=(1, 2, 3, 4))
    return torch.stack([change - 80, 80 - change], dim=1)


def one_loud_clip(shown: str, number: int) -> Frames:
    """Four of five clips speak softly for the class, the one in the middle speaks loudly against it."""
    soft, loud = (158, 0) if shown == "a" else (98, 255)
    return plain([((loud if frame // LENGTH == 2 else soft),) * 3 for frame in range(5 * LENGTH)])
