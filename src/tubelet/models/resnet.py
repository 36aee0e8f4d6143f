"""2-D residual networks over frames: ResNet-50, -101 and -152 (He et al. 2016, arXiv 1512.03385, table 1).

======== ====================================== ================ =====================
stage    operation on each frame                output at 224    blocks (50; 101; 152)
======== ====================================== ================ =====================
conv1    7×7, 64, stride 2                      64 × 112 × 112
pool1    max 3×3, stride 2, padded by 1         64 × 56 × 56
conv2_x  1×1, 64; 3×3, 64; 1×1, 256             256 × 56 × 56    3; 3; 3
conv3_x  1×1, 128; 3×3, 128; 1×1, 512           512 × 28 × 28    4; 4; 8
conv4_x  1×1, 256; 3×3, 256; 1×1, 1024          1024 × 14 × 14   6; 23; 36
conv5_x  1×1, 512; 3×3, 512; 1×1, 2048          2048 × 7 × 7     3; 3; 3
======== ====================================== ================ =====================

Blocks are named res2a, res2b, … (res4a, res4b1, … where there are more than 26), with the branches branch2a, branch2b,
branch2c and, in the first block of a stage, branch1: the 1×1 projection of the shortcut. Convolutions have no bias;
batch normalization follows each. The trunks have 23,508,032, 42,500,160 and 58,143,808 parameters (RGB).

Two styles of the same names, parameters and sizes at 224 are about, and weights belong to one of them:

=========== =========================================== ============================== =======================
style       halves rows and columns in res3a, 4a, 5a in pool1                          multiply-adds, 50, at 224
=========== =========================================== ============================== =======================
torchvision the 3×3 convolution (branch2b)              padded by 1, rounds down       4,087,136,256
caffe       the first 1×1 convolution (branch2a)        not padded, rounds up          3,855,925,248
=========== =========================================== ============================== =======================

``"caffe"`` is He et al.'s own (KaimingHe/deep-residual-networks), whose weights P3D started from;
``"torchvision"`` is what the video networks of `tubelet.models.tsn` had. mmaction2 calls them caffe and pytorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.contract import Weighted
from tubelet.models.initialization import he
from tubelet.models.layers import CaffePool, Conv3d, relu
from tubelet.models.options import positive_int, scaled, suggestion

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks in stages 2 to 5 by the network's number."""

STYLES = ("torchvision", "caffe")


def resnet_style(option: str, value: object) -> str:
    """``value`` as one of `STYLES`.

    Raises
    ------
    UsageError
        If it is none.
    """
    if value not in STYLES:
        raise UsageError(f"{option}={value!r} is unknown", remedy=suggestion(str(value), STYLES, "choose one of"))
    return str(value)


def stage_blocks(option: str, value: object) -> tuple[int, int, int, int]:
    """``value`` as the numbers of blocks in stages 2 to 5.

    Raises
    ------
    UsageError
        If it is not four whole numbers from 1.
    """
    counts = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(counts) != 4:
        raise UsageError(f"{option}={value!r} is not four numbers of blocks", remedy="ResNet-50 has 3, 4, 6, 3")
    two, three, four, five = (positive_int(option, count) for count in counts)
    return two, three, four, five


def block_names(depths: Sequence[int], *, numbered: bool = False) -> list[str]:
    """Names of all blocks as Caffe's residual networks have them.

    Parameters
    ----------
    depths
        Blocks in stages 2 to 5.
    numbered
        Whether the blocks of stages 3 and 4 are a, b1, b2, … (ResNet-101 and -152) or a, b, c, … (ResNet-50). Where
        letters run out, numbers serve.
    """
    names = []
    for stage, count in enumerate(depths, 2):
        numbers = (numbered and stage in (3, 4)) or count > len(ascii_lowercase)
        names += [f"res{stage}{'a' if i == 0 else f'b{i}' if numbers else ascii_lowercase[i]}" for i in range(count)]
    return names


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions on each frame, and a shortcut.

    Parameters
    ----------
    channels, inner, out
        Channels that enter, of the first two convolutions, and that leave.
    stride
        Of the projection and of one convolution, over rows and columns.
    projection
        Whether the shortcut is a 1×1 convolution.
    early
        Whether that convolution is the first, not the 3×3 one.
    """

    def __init__(self, channels: int, inner: int, out: int, stride: int, projection: bool, *, early: bool) -> None:
        super().__init__()
        steps = (1, stride, stride)
        self.branch2a = Conv3d(channels, inner, 1, steps if early else 1, bias=False)
        self.branch2a_bn = nn.BatchNorm3d(inner)
        self.branch2b = Conv3d(inner, inner, (1, 3, 3), 1 if early else steps, padding=(0, 1, 1), bias=False)
        self.branch2b_bn = nn.BatchNorm3d(inner)
        self.branch2c = Conv3d(inner, out, 1, bias=False)
        self.branch2c_bn = nn.BatchNorm3d(out)
        self.projects = projection
        if projection:
            self.branch1 = Conv3d(channels, out, 1, steps, bias=False)
            self.branch1_bn = nn.BatchNorm3d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, out, T, ⌈H/stride⌉, ⌈W/stride⌉), not negative."""
        y = relu(self.branch2a_bn(self.branch2a(x)))
        y = relu(self.branch2b_bn(self.branch2b(y)))
        y = self.branch2c_bn(self.branch2c(y))
        return relu(y + (self.branch1_bn(self.branch1(x)) if self.projects else x))


@dataclass(frozen=True)
class ResNet:
    """The trunk of this module's table: it puts its layers into a network and runs them there.

    Attributes
    ----------
    width
        Factor on all channels.
    blocks
        Blocks in stages 2 to 5.
    style
        One of `STYLES`: where rows and columns are halved.
    """

    width: float
    blocks: tuple[int, int, int, int]
    style: str = "torchvision"

    @property
    def block_names(self) -> tuple[str, ...]:
        """res2a, res2b, …"""
        return tuple(block_names(self.blocks))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """conv1, pool1 and the blocks, in order of computation."""
        return ("conv1", "pool1", *self.block_names)

    @property
    def first_layer(self) -> str:
        """The convolution that sees the pixels."""
        return "conv1"

    def add_to(self, network: nn.Module, channels: int) -> int:
        """Register all layers in ``network`` for inputs with ``channels`` channels; returns the channels that leave."""
        stem = scaled(64, self.width)
        network.add_module("conv1", Conv3d(channels, stem, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False))
        network.add_module("conv1_bn", nn.BatchNorm3d(stem))
        caffe = self.style == "caffe"
        window, step = (1, 3, 3), (1, 2, 2)
        network.add_module("pool1", CaffePool("max", window, step) if caffe else nn.MaxPool3d(window, step, (0, 1, 1)))
        channels = stem
        for name in self.block_names:
            stage, first = int(name[3]), name.endswith("a")
            inner, out = (scaled(base * 2 ** (stage - 2), self.width) for base in (64, 256))
            stride = 2 if first and stage > 2 else 1
            network.add_module(name, Bottleneck(channels, inner, out, stride, projection=first, early=caffe))
            channels = out
        return channels

    def activations(self, network: nn.Module, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Run the layers of ``network`` on (N, C, T, H, W): yield ``layer_names`` with their activations."""
        x = relu(network.get_submodule("conv1_bn")(network.get_submodule("conv1")(x)))
        yield "conv1", x
        for name in ("pool1", *self.block_names):
            x = network.get_submodule(name)(x)
            yield name, x

    def initialize_layer(self, layer: Weighted, generator: torch.Generator) -> None:
        """He et al. 2015, fan out, as torchvision starts these networks."""
        he(layer, generator, fan="out")
