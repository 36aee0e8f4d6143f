"""Image networks over the frames of a clip: the trunk that AlexNet and the networks on top of it share.

Frames are computed side by side. Convolutions are one frame deep, fully connected layers act on the last axis of
(N, T, D), and what they give is handed out as (N, D, T, 1, 1), so that every activation of a frame keeps its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian, he, uniform
from tubelet.models.layers import CaffePool, Conv3d, Lrn, relu
from tubelet.models.options import positive_float, positive_int, scaled, suggestion
from tubelet.models.per_frame import convolved, pooled
from tubelet.models.spec import InputSpec, Paper, Source


@dataclass(frozen=True)
class Conv:
    """A row of the table: a convolution within each frame, with bias, then ReLU."""

    name: str
    channels: int
    kernel: int
    stride: int = 1
    pad: int = 0
    groups: int = 1


@dataclass(frozen=True)
class Pool:
    """A row of the table: max-pooling of 3 × 3 windows, stride 2; sizes round up as in Caffe, or down."""

    name: str
    ceil: bool = True


@dataclass(frozen=True)
class Norm:
    """A row of the table: local response normalization over 5 channels, α 1e-4 of their mean, β 0.75, k 1."""

    name: str


@dataclass(frozen=True)
class Average:
    """A row of the table: averages over ``side`` × ``side`` windows that cover the map, whatever its size."""

    name: str
    side: int


Row = Conv | Pool | Norm | Average


INITIALIZATIONS = ("published", "he")


@dataclass(frozen=True)
class Start:
    """Starting weights of a released network: gaussian fillers and constant biases.

    Attributes
    ----------
    std, bias
        For a layer that ``stds`` and ``biases`` do not name.
    stds, biases
        Layer name → standard deviation, bias.
    rule
        ``"published"``: those. ``"he"``: He et al. 2015 (fan in) and biases 0, but for the classifier; an LSTM then
        starts uniformly within 1/√(units). ``"pytorch"``: weights and biases uniformly within 1/√(fan in).

    Notes
    -----
    Published fillers are made for the published width, and for LSTMs that read a network trained on images. In a
    narrow network each layer makes what differs between two clips an order of magnitude smaller, so that an LSTM
    behind them reads a constant and learns nothing. ``"he"`` keeps the difference through all layers; the size of
    the input too, so a recipe whose pixels are of order 1 serves better than Caffe's, of order 100.
    """

    std: float
    bias: float
    stds: Mapping[str, float]
    biases: Mapping[str, float]
    rule: str = "published"

    def by(self, initialization: str) -> Self:
        """The same by another rule.

        Raises
        ------
        UsageError
            If there is no such rule.
        """
        if initialization not in INITIALIZATIONS:
            remedy = suggestion(str(initialization), INITIALIZATIONS, "choose one of")
            raise UsageError(f"initialization={initialization!r} is unknown", remedy=remedy)
        return replace(self, rule=initialization)


PYTORCHS = Start(0.0, 0.0, stds={}, biases={}, rule="pytorch")
"""The start that PyTorch gives a convolution and a fully connected layer."""


class AverageTo(nn.Module):
    """``side`` × ``side`` averages of each frame; on a map of that size, the map itself.

    The window of row i reaches from ⌊i·H/side⌋ to ⌈(i+1)·H/side⌉, as in PyTorch's ``AdaptiveAvgPool2d``.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, C, T, side, side)."""
        return F.adaptive_avg_pool3d(x, (x.shape[2], self.side, self.side))

    def extra_repr(self) -> str:
        """Its size, for ``print(model)``."""
        return f"side={self.side}"


class FrameNet(VideoModel):
    """Base class: a table of rows within each frame, and the fully connected layers that follow it.

    A subclass writes `activations` with `maps` and `full`, and registers its classifier.

    Parameters
    ----------
    name
        The registry's name.
    rows
        The table, with the published channels.
    full
        Fully connected layers after the table, name → published units. All but the first take the one before.
    start
        Starting weights of all these layers and of the classifier.
    after_table
        Names in ``layer_names`` that follow the table, the classifier and ``"prob"`` included.
    width
        Factor on all channels (rounded to even numbers, for the groups) and units.
    clip_length, step_frames, side
        Frames per clip, video frames from one to the next, height and width in pixels.
    num_classes, head_name, recipe, paper, source, options, any_size
        See `VideoModel` and `InputSpec`.

    Attributes
    ----------
    units : int
        Outputs of the last fully connected layer.
    """

    def __init__(
        self,
        name: str,
        rows: Sequence[Row],
        full: Mapping[str, int],
        start: Start,
        *,
        num_classes: int,
        after_table: Sequence[str],
        head_name: str,
        width: float,
        clip_length: int,
        side: int,
        recipe: str,
        paper: Paper,
        source: Source,
        options: Mapping[str, Any],
        step_frames: int = 1,
        any_size: bool = False,
    ) -> None:
        width, size = positive_float("width", width), positive_int("side", side)
        length, step = positive_int("clip_length", clip_length), positive_int("step_frames", step_frames)
        super().__init__(
            name,
            num_classes=num_classes,
            options=options,
            input=InputSpec("rgb", 3, length, step, size, recipe),
            layer_names=(*(row.name for row in rows), *after_table),
            head_name=head_name,
            paper=paper,
            source=source,
            any_size=any_size,
        )
        self.rows, self.start = tuple(rows), start
        channels = 3
        for row in rows:
            if isinstance(row, Conv):
                out = 2 * scaled(row.channels // 2, width)
                kernel, stride, pad = ((depth, n, n) for depth, n in ((1, row.kernel), (1, row.stride), (0, row.pad)))
                self.add_module(row.name, Conv3d(channels, out, kernel, stride, pad, groups=row.groups))
                channels, size = out, convolved(size, row.kernel, row.stride, row.pad)
            elif isinstance(row, Pool):
                window, every = (1, 3, 3), (1, 2, 2)
                self.add_module(row.name, CaffePool("max", window, every) if row.ceil else nn.MaxPool3d(window, every))
                size = pooled(size, 3, 2) if row.ceil else convolved(size, 3, 2)
            elif isinstance(row, Average):
                self.add_module(row.name, AverageTo(row.side))
                size = row.side
            else:
                self.add_module(row.name, Lrn(5, 1e-4, 0.75, 1.0))
            if size < 1:
                raise UsageError(f"{name} has nothing left of side={side} at {row.name}", remedy="make it larger")
        self.units = channels * size * size
        for layer, units in full.items():
            self.add_module(layer, nn.Linear(self.units, scaled(units, width)))
            self.units = scaled(units, width)

    def maps(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, activation) of every row, each (N, C, T, H, W), for clips ``x`` (N, 3, T, H, W)."""
        for row in self.rows:
            x = self.get_submodule(row.name)(x)
            if isinstance(row, Conv):
                x = relu(x)
            yield row.name, x

    def full(self, layer: str, x: Tensor) -> Tensor:
        """A fully connected layer and its ReLU, on the last axis of ``x``."""
        return relu(self.get_submodule(layer)(x))

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer as its prototxt has them, or by another rule, see `Start`."""
        start = self.start
        if start.rule == "pytorch":
            uniform(layer, layer.weight[0].numel() ** -0.5, generator)
            return
        if start.rule == "he" and name != self.head_name:
            he(layer, generator, fan="in")
            return
        gaussian(layer, start.stds.get(name, start.std), start.biases.get(name, start.bias), generator)
