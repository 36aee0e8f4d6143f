"""SqueezeNet v1.0 and v1.1 on every frame of a clip (Iandola et al. 2016, table 1; forresti/SqueezeNet).

======= =================================== ================ ============== ===============
layer   operation                           output C × H × W parameters     multiply-adds
======= =================================== ================ ============== ===============
conv1   7×7, stride 2                       96 × 111 × 111           14,208     173,873,952
pool1   3×3, 2, ceil                        96 × 55 × 55
fire2   squeeze 16, expand 64 + 64          128 × 55 × 55            11,920      35,622,400
fire3   squeeze 16, expand 64 + 64          128 × 55 × 55            12,432      37,171,200
fire4   squeeze 32, expand 128 + 128        256 × 55 × 55            45,344     136,294,400
pool4   3×3, 2, ceil                        256 × 27 × 27
fire5   squeeze 32, expand 128 + 128        256 × 27 × 27            49,440      35,831,808
fire6   squeeze 48, expand 192 + 192        384 × 27 × 27           104,880      76,142,592
fire7   squeeze 48, expand 192 + 192        384 × 27 × 27           111,024      80,621,568
fire8   squeeze 64, expand 256 + 256        512 × 27 × 27           188,992     137,355,264
pool8   3×3, 2, ceil                        512 × 13 × 13
fire9   squeeze 64, expand 256 + 256        512 × 13 × 13           197,184      33,226,752
pool10  average over the frame              512
conv10  1×1                                 classes                513 each        512 each
======= =================================== ================ ============== ===============

v1.1 (``squeezenet1_1``) has a smaller conv1 and pools earlier, behind conv1, fire3 and fire5; its fire modules are the
same but for the channels that enter fire2:

======= =================================== ================ ============== ===============
layer   operation                           output C × H × W parameters     multiply-adds
======= =================================== ================ ============== ===============
conv1   3×3, stride 2                       64 × 113 × 113            1,792      22,064,832
pool1   3×3, 2, ceil                        64 × 56 × 56
fire2   squeeze 16, expand 64 + 64          128 × 56 × 56            11,408      35,323,904
fire3   squeeze 16, expand 64 + 64          128 × 56 × 56            12,432      38,535,168
pool3   3×3, 2, ceil                        128 × 28 × 28
fire4   squeeze 32, expand 128 + 128        256 × 28 × 28            45,344      35,323,904
fire5   squeeze 32, expand 128 + 128        256 × 28 × 28            49,440      38,535,168
pool5   3×3, 2, ceil                        256 × 14 × 14
fire6   squeeze 48, expand 192 + 192        384 × 14 × 14           104,880      20,471,808
fire7   squeeze 48, expand 192 + 192        384 × 14 × 14           111,024      21,676,032
fire8   squeeze 64, expand 256 + 256        512 × 14 × 14           188,992      36,929,536
fire9   squeeze 64, expand 256 + 256        512 × 14 × 14           197,184      38,535,168
======= =================================== ================ ============== ===============

In all 722,496 parameters before conv10 and 1,235,496 at 1000 classes; 287,395,520 multiply-adds before conv10.

A fire module squeezes to few channels by a 1×1 convolution and expands by 1×1 and 3×3 (padded) convolutions side by
side, whose outputs are concatenated, in this order. ReLU follows every convolution but conv10; poolings of 3×3
windows round up. v1.0 has in all 735,424 parameters before conv10 and 1,248,424 at 1000 classes; 746,139,936
multiply-adds before conv10.

conv10 is the classifier: one 1×1 convolution whose maps are averaged. The mean of its outputs is its output on the
mean, so here the maps are averaged first (pool10) and conv10 is a fully connected layer; its weights are those of the
1×1 convolution. The released networks (forresti/SqueezeNet, train_val.prototxt) moreover rectify conv10's outputs
before they are averaged, and v1.0's pads conv10 by one pixel, which scales its products by 169/225. Neither is done
here: logits would be cut off at zero, and with the released weights of v1.0 the right class was among the first five
for 14 and 14 of 18 videos of two UCF101 classes without ReLU, 10 and 14 with it (means over every fourth frame of hair
drying and of candles; tests/models/test_squeezenet.py looks again).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian, xavier
from tubelet.models.layers import CaffePool, Conv3d, relu
from tubelet.models.options import fraction, positive_float, positive_int, scaled
from tubelet.models.per_frame import at_least_one, convolved, pooled
from tubelet.models.spec import InputSpec, Paper, Source

PAPER = Paper(
    title="SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
    authors="Forrest N. Iandola, Song Han, Matthew W. Moskewicz, Khalid Ashraf, William J. Dally, Kurt Keutzer",
    year=2016,
    arxiv="1602.07360",
    section="table 1",
)


@dataclass(frozen=True)
class _Version:
    """What the versions differ in.

    Attributes
    ----------
    channels, kernel
        Of conv1.
    pooled
        Layers that a pooling follows.
    """

    channels: int
    kernel: int
    pooled: tuple[str, str, str]
    paper: Paper
    source: Source


_VERSIONS = {
    "squeezenet": _Version(
        96,
        7,
        ("conv1", "fire4", "fire8"),
        PAPER,
        Source(
            reconstruction=True,
            origin="forresti/SqueezeNet, train_val.prototxt of SqueezeNet_v1.0, and the shapes of its released weights",
            choices=("conv10 is neither padded nor rectified before its average, unlike the released network's.",),
            printed={"parameters, 1000 classes": "1,248,424"},
        ),
    ),
    "squeezenet1_1": _Version(
        64,
        3,
        ("conv1", "fire3", "fire5"),
        replace(PAPER, section="SqueezeNet_v1.1 of its release"),
        Source(
            reconstruction=True,
            origin="forresti/SqueezeNet, train_val.prototxt of SqueezeNet_v1.1",
            choices=("conv10 is not rectified before its average, unlike the released network's.",),
        ),
    ),
}

# name → channels of squeeze and of each expand convolution
_FIRES = {
    "fire2": (16, 64),
    "fire3": (16, 64),
    "fire4": (32, 128),
    "fire5": (32, 128),
    "fire6": (48, 192),
    "fire7": (48, 192),
    "fire8": (64, 256),
    "fire9": (64, 256),
}


class Fire(nn.Module):
    """A 1×1 convolution to ``squeeze`` channels, then 1×1 and 3×3 ones to ``expand`` channels each, side by side."""

    def __init__(self, channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = Conv3d(channels, squeeze, 1)
        self.expand1x1 = Conv3d(squeeze, expand, 1)
        self.expand3x3 = Conv3d(squeeze, expand, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, 2·expand, T, H, W), not negative."""
        x = relu(self.squeeze(x))
        return relu(torch.cat((self.expand1x1(x), self.expand3x3(x)), 1))


@dataclass(frozen=True)
class SqueezeNetTrunk:
    """The layers of one of this module's tables up to fire9: it puts them into a network and runs them there.

    The layers belong to the network itself, so that its state dict has the released names without a prefix.

    Attributes
    ----------
    width
        Factor on all channels.
    version
        Which table; v1.0 by default.
    """

    width: float
    version: _Version = _VERSIONS["squeezenet"]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """conv1, the fire modules and the poolings between them, in order of computation."""
        layers = ("conv1", *_FIRES)
        pooled = self.version.pooled
        return tuple(n for layer in layers for n in ((layer, _pool_after(layer)) if layer in pooled else (layer,)))

    @property
    def first_layer(self) -> str:
        """The convolution that sees the pixels."""
        return "conv1"

    def require_rows(self, side: int) -> None:
        """Raise a UsageError unless frames of ``side`` pixels leave something behind every layer."""
        sizes = [convolved(side, self.version.kernel, 2)]
        for _ in self.version.pooled:
            sizes.append(pooled(sizes[-1], 3, 2))
        at_least_one(sizes, side)

    def add_to(self, network: nn.Module, channels: int) -> int:
        """Register all layers in ``network`` for inputs with ``channels`` channels; returns the channels that leave."""
        stem, kernel = scaled(self.version.channels, self.width), self.version.kernel
        network.add_module("conv1", Conv3d(channels, stem, (1, kernel, kernel), (1, 2, 2)))
        channels = stem
        for layer, (squeeze, expand) in _FIRES.items():
            network.add_module(layer, Fire(channels, scaled(squeeze, self.width), scaled(expand, self.width)))
            channels = 2 * scaled(expand, self.width)
        for layer in self.version.pooled:
            network.add_module(_pool_after(layer), CaffePool("max", (1, 3, 3), (1, 2, 2)))
        return channels

    def activations(self, network: nn.Module, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Run the layers of ``network`` on (N, C, T, H, W): yield ``layer_names`` with their activations."""
        for name in self.layer_names:
            x = network.get_submodule(name)(x)
            if name == "conv1":
                x = relu(x)
            yield name, x

    def initialize_layer(self, layer: Weighted, generator: torch.Generator) -> None:
        """Caffe's xavier weights, biases 0 [train_val.prototxt]."""
        xavier(layer, 0.0, generator)


class SqueezeNet(VideoModel):
    """One of the networks of this module's tables, for clips of any length and side; logits are means over the frames.

    Parameters
    ----------
    name
        The registry's name, which has the version.
    width
        Factor on all channels.
    dropout
        Share of fire9's outputs that training drops.
    num_classes, clip_length, side, options
        See `VideoModel` and `InputSpec`.

    Notes
    -----
    conv10 starts gaussian with standard deviation 0.01 and bias 0 [train_val.prototxt], the trunk as it says.
    """

    def __init__(
        self,
        name: str,
        *,
        num_classes: int,
        width: float,
        clip_length: int,
        side: int,
        dropout: float,
        options: Mapping[str, Any],
    ) -> None:
        version = _VERSIONS[name]
        width, length = positive_float("width", width), positive_int("clip_length", clip_length)
        trunk = SqueezeNetTrunk(width, version)
        trunk.require_rows(positive_int("side", side))
        super().__init__(
            name,
            num_classes=num_classes,
            options=options,
            input=InputSpec("rgb", 3, length, 1, positive_int("side", side), "caffenet"),
            layer_names=(*trunk.layer_names, "pool10", "conv10", "prob"),
            head_name="conv10",
            paper=version.paper,
            source=version.source,
            any_size=True,
        )
        self.trunk = trunk
        channels = trunk.add_to(self, 3)
        self.conv10 = nn.Linear(channels, self.num_classes)
        self.dropout = nn.Dropout(fraction("dropout", dropout))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        maps = x
        for name, maps in self.trunk.activations(self, x):
            yield name, maps
        x = self.dropout(maps).mean((3, 4), keepdim=True)
        yield "pool10", x
        x = self.conv10(x.mean((2, 3, 4)))
        yield "conv10", x
        yield "prob", x.softmax(1)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer, see the class's notes."""
        if name == "conv10":
            gaussian(layer, 0.01, 0.0, generator)
        else:
            self.trunk.initialize_layer(layer, generator)


def squeezenet(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 1,
    side: int = 227,
    dropout: float = 0.5,
) -> VideoModel:
    """SqueezeNet v1.0, or v1.1 by its name, frame by frame.

    Parameters
    ----------
    name
        The registry's name.
    num_classes
        Outputs of conv10 (the published network: 1000 for ImageNet).
    width
        Factor on all channels.
    clip_length
        Frames in a clip, each scored by itself; any other number is accepted too.
    side
        Height and width of the crop in pixels; any other size that leaves a row is accepted too.
    dropout
        Share of fire9's outputs dropped in training.
    """
    options = {"width": width, "clip_length": clip_length, "side": side, "dropout": dropout}
    return SqueezeNet(
        name,
        num_classes=num_classes,
        width=width,
        clip_length=clip_length,
        side=side,
        dropout=dropout,
        options=options,
    )


def _pool_after(layer: str) -> str:
    """Pools have the number of the layer before: pool1 after conv1, pool4 (of v1.0) after fire4."""
    return f"pool{layer[-1]}"
