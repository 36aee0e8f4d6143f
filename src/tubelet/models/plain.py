"""Plain networks: convolutions and max-poolings one after the other, then three fully connected layers.

C3D and the networks of its architecture search differ only in their table of layers; this is the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian, he
from tubelet.models.layers import Conv3d, MaxPool3d, relu
from tubelet.models.options import boolean, fraction, pixels, positive_float, positive_int, scaled
from tubelet.models.spec import InputSpec, Paper, Source


@dataclass(frozen=True)
class Conv:
    """A row of the table: depth × side × side convolution, stride 1, padded to keep the size, then ReLU."""

    name: str
    channels: int
    depth: int = 3
    side: int = 3


@dataclass(frozen=True)
class Pool:
    """A row of the table: max-pooling of depth × 2 × 2 windows, stride alike, ceil mode."""

    name: str
    depth: int = 2


class PlainNet(VideoModel):
    """A table of `Conv` and `Pool` rows, then fc6, fc7 (ReLU, dropout) and fc8.

    Parameters
    ----------
    name
        The registry's name.
    rows
        The table, with the paper's channels.
    fc
        Units of fc6 and fc7 in the paper.
    num_classes
        Outputs of fc8.
    width
        Factor on all channels and on fc.
    clip_length
        Frames per clip.
    side
        Height and width of a square crop in pixels, or (height, width) of whole frames.
    batch_norm
        Normalize each convolution's output before its ReLU (the convolutions then have no bias). The fully
        connected layers stay as they are, so that fc6 is a descriptor of the clip alone.
    dropout
        Share of fc6 and fc7 that training drops.
    paper, source, recipe, options
        See `VideoModel` and `InputSpec`.

    Notes
    -----
    Without ``batch_norm`` weights start as published: gaussian, standard deviation 0.01 (fc6 and fc7: 0.005),
    biases 1 (first convolution and fc8: 0) [C3D-v1.0 prototxts]. That start is made for the published width:
    signals shrink by an order of magnitude per layer in narrow networks. With ``batch_norm`` weights start
    after He et al. 2015 (fan in), biases at 0, and fc8 as published.
    """

    def __init__(
        self,
        name: str,
        rows: Sequence[Conv | Pool],
        fc: int,
        *,
        num_classes: int,
        width: float,
        clip_length: int,
        step_frames: int,
        side: int | Sequence[int],
        batch_norm: bool,
        dropout: float,
        paper: Paper,
        source: Source,
        recipe: str,
        options: Mapping[str, Any],
    ) -> None:
        width = positive_float("width", width)
        length, step = positive_int("clip_length", clip_length), positive_int("step_frames", step_frames)
        clip = InputSpec("rgb", 3, length, step, pixels("side", side), recipe)
        super().__init__(
            name,
            num_classes=num_classes,
            options={**options, "side": list(clip.side) if isinstance(clip.side, tuple) else clip.side},
            input=clip,
            layer_names=(*(row.name for row in rows), "fc6", "fc7", "fc8", "prob"),
            head_name="fc8",
            paper=paper,
            source=source,
        )
        self.rows = tuple(rows)
        self.batch_norm = boolean("batch_norm", batch_norm)
        channels, time, height, across = clip.shape
        for row in rows:
            if isinstance(row, Conv):
                out = scaled(row.channels, width)
                kernel = (row.depth, row.side, row.side)
                padding = (row.depth // 2, row.side // 2, row.side // 2)
                self.add_module(row.name, Conv3d(channels, out, kernel, padding=padding, bias=not batch_norm))
                if batch_norm:
                    self.add_module(f"{row.name}_bn", nn.BatchNorm3d(out))
                channels = out
            else:
                self.add_module(row.name, MaxPool3d(row.depth))
                time, height, across = ceil(time / row.depth), ceil(height / 2), ceil(across / 2)
        units = scaled(fc, width)
        self.fc6 = nn.Linear(channels * time * height * across, units)
        self.fc7 = nn.Linear(units, units)
        self.fc8 = nn.Linear(units, self.num_classes)
        self.dropout = nn.Dropout(fraction("dropout", dropout))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        for row in self.rows:
            x = self.get_submodule(row.name)(x)
            if isinstance(row, Conv):
                if self.batch_norm:
                    x = self.get_submodule(f"{row.name}_bn")(x)
                x = relu(x)
            yield row.name, x
        x = relu(self.fc6(x.flatten(1)))
        yield "fc6", x
        x = relu(self.fc7(self.dropout(x)))
        yield "fc7", x
        x = self.fc8(self.dropout(x))
        yield "fc8", x
        yield "prob", x.softmax(1)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer, see the class's notes."""
        if name == "fc8":
            gaussian(layer, 0.01, 0.0, generator)
        elif self.batch_norm:
            he(layer, generator, fan="in")
        else:
            std = 0.005 if name in ("fc6", "fc7") else 0.01
            gaussian(layer, std, 0.0 if name == self.rows[0].name else 1.0, generator)
