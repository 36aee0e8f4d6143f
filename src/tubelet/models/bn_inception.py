"""BN-Inception: Inception with batch normalization (Ioffe and Szegedy 2015), as the authors of TSN released it.

===================== ===== ===== ============ ================= ============= ================
block                 in    1×1   3×3 (reduce) double 3×3        pool → proj   output at 224
===================== ===== ===== ============ ================= ============= ================
conv1_7x7_s2          3                                                        64 × 112 × 112
pool1_3x3_s2          64                                         max           64 × 56 × 56
conv2_3x3_reduce      64                                                       64 × 56 × 56
conv2_3x3             64                                                       192 × 56 × 56
pool2_3x3_s2          192                                        max           192 × 28 × 28
inception_3a_output   192   64    64 (64)      96, 96 (64)       average → 32  256 × 28 × 28
inception_3b_output   256   64    96 (64)      96, 96 (64)       average → 64  320 × 28 × 28
inception_3c_output   320         160 (128) /2 96, 96 (64) /2    max /2        576 × 14 × 14
inception_4a_output   576   224   96 (64)      128, 128 (96)     average → 128 576 × 14 × 14
inception_4b_output   576   192   128 (96)     128, 128 (96)     average → 128 576 × 14 × 14
inception_4c_output   576   160   160 (128)    160, 160 (128)    average → 128 608 × 14 × 14
inception_4d_output   608   96    192 (128)    192, 192 (160)    average → 128 608 × 14 × 14
inception_4e_output   608         192 (128) /2 256, 256 (192) /2 max /2        1056 × 7 × 7
inception_5a_output   1056  352   320 (192)    224, 224 (160)    average → 128 1024 × 7 × 7
inception_5b_output   1024  352   320 (192)    224, 224 (192)    max → 128     1024 × 7 × 7
===================== ===== ===== ============ ================= ============= ================

69 convolutions, each with a bias although batch normalization (eps 1e-5) follows, then ReLU: 10,270,240 parameters
of which 10,016 are biases and 20,032 scales and shifts. Poolings have windows of 3×3. Those of stride 2 are not
padded and round up, as Caffe does; those of stride 1 are padded by one, and the average counts the padding. A block
concatenates its branches in the order of the columns; 3c and 4e pass their pooled input on as it is. Layers have the
names of the released prototxts with ``_`` in place of ``/`` [temporal-segment-networks,
tsn_bn_inception_rgb_deploy.prototxt].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.contract import Weighted
from tubelet.models.initialization import xavier
from tubelet.models.layers import CaffePool, Conv3d, relu
from tubelet.models.options import scaled


@dataclass(frozen=True)
class Inception:
    """A row of the table.

    Attributes
    ----------
    name
        Without ``inception_``.
    one
        Channels of the 1×1 branch; 0: the block has none, and halves rows and columns.
    three, double
        Channels of the reduction and of the one or two 3×3 convolutions behind it.
    pool
        Kind of the pooling branch.
    projection
        Channels of the 1×1 convolution behind the pooling; 0: what is pooled passes on.
    """

    name: str
    one: int
    three: tuple[int, int]
    double: tuple[int, int]
    pool: Literal["average", "max"]
    projection: int


BLOCKS = (
    Inception("3a", 64, (64, 64), (64, 96), "average", 32),
    Inception("3b", 64, (64, 96), (64, 96), "average", 64),
    Inception("3c", 0, (128, 160), (64, 96), "max", 0),
    Inception("4a", 224, (64, 96), (96, 128), "average", 128),
    Inception("4b", 192, (96, 128), (96, 128), "average", 128),
    Inception("4c", 160, (128, 160), (128, 160), "average", 128),
    Inception("4d", 96, (128, 192), (160, 192), "average", 128),
    Inception("4e", 0, (128, 192), (192, 256), "max", 0),
    Inception("5a", 352, (192, 320), (160, 224), "average", 128),
    Inception("5b", 352, (192, 320), (192, 224), "max", 128),
)

_STEM = ("conv1_7x7_s2", "pool1_3x3_s2", "conv2_3x3_reduce", "conv2_3x3", "pool2_3x3_s2")


class Concat(nn.Module):
    """Branches become one activation: the ``output`` layer of an Inception block."""

    def forward(self, *branches: Tensor) -> Tensor:
        """(N, Cᵢ, T, H, W) each → (N, ΣCᵢ, T, H, W)."""
        return torch.cat(branches, 1)


@dataclass(frozen=True)
class BnInception:
    """The trunk of this module's table: it puts its layers into a network and runs them there.

    The layers belong to the network itself, so that its state dict has the released names without a prefix.

    Attributes
    ----------
    width
        Factor on all channels.
    side
        Height and width of the input in pixels.

    Raises
    ------
    UsageError
        If the blocks that halve would meet an odd number of rows, where a padded convolution and a pooling give
        different sizes. Multiples of 32 always fit.
    """

    width: float
    side: int

    def __post_init__(self) -> None:
        # conv1 rounds up; a pooling without padding of an even or odd number of rows leaves half, rounded down.
        rows = -(-self.side // 2) // 4
        if rows < 4 or rows % 4:
            raise UsageError(
                f"side={self.side} does not fit BN-Inception",
                why=f"its blocks 3c and 4e have to halve {rows} rows, which must be a multiple of 4",
                remedy=f"choose a multiple of 32, for example {max(32, round(self.side / 32) * 32)}",
            )

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The stem's layers and the blocks' outputs, in order of computation."""
        return (*_STEM, *(f"inception_{block.name}_output" for block in BLOCKS))

    @property
    def first_layer(self) -> str:
        """The convolution that sees the pixels."""
        return _STEM[0]

    def add_to(self, network: nn.Module, channels: int) -> int:
        """Register all layers in ``network`` for inputs with ``channels`` channels; returns the channels that leave."""

        def conv(name: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> int:
            outputs, pad = scaled(outputs, self.width), kernel // 2
            sizes = (1, kernel, kernel), (1, stride, stride), (0, pad, pad)
            network.add_module(name, Conv3d(inputs, outputs, *sizes))
            network.add_module(f"{name}_bn", nn.BatchNorm3d(outputs))
            return outputs

        channels = conv("conv1_7x7_s2", channels, 64, 7, 2)
        network.add_module("pool1_3x3_s2", _pool("max", 2))
        channels = conv("conv2_3x3_reduce", channels, 64, 1)
        channels = conv("conv2_3x3", channels, 192, 3)
        network.add_module("pool2_3x3_s2", _pool("max", 2))
        for block in BLOCKS:
            name, stride = f"inception_{block.name}", 1 if block.one else 2
            total = conv(f"{name}_1x1", channels, block.one, 1) if block.one else 0
            inner = conv(f"{name}_3x3_reduce", channels, block.three[0], 1)
            total += conv(f"{name}_3x3", inner, block.three[1], 3, stride)
            inner = conv(f"{name}_double_3x3_reduce", channels, block.double[0], 1)
            inner = conv(f"{name}_double_3x3_1", inner, block.double[1], 3)
            total += conv(f"{name}_double_3x3_2", inner, block.double[1], 3, stride)
            network.add_module(f"{name}_pool", _pool(block.pool, stride))
            total += conv(f"{name}_pool_proj", channels, block.projection, 1) if block.projection else channels
            network.add_module(f"{name}_output", Concat())
            channels = total
        return channels

    def activations(self, network: nn.Module, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Run the layers of ``network`` on (N, C, T, H, W): yield ``layer_names`` with their activations."""

        def unit(name: str, x: Tensor) -> Tensor:
            return relu(network.get_submodule(f"{name}_bn")(network.get_submodule(name)(x)))

        for name in _STEM:
            x = network.get_submodule(name)(x) if name.startswith("pool") else unit(name, x)
            yield name, x
        for block in BLOCKS:
            name = f"inception_{block.name}"
            branches = [unit(f"{name}_1x1", x)] if block.one else []
            branches.append(unit(f"{name}_3x3", unit(f"{name}_3x3_reduce", x)))
            inner = unit(f"{name}_double_3x3_1", unit(f"{name}_double_3x3_reduce", x))
            branches.append(unit(f"{name}_double_3x3_2", inner))
            pooled = network.get_submodule(f"{name}_pool")(x)
            branches.append(unit(f"{name}_pool_proj", pooled) if block.projection else pooled)
            x = network.get_submodule(f"{name}_output")(*branches)
            yield f"{name}_output", x

    def initialize_layer(self, layer: Weighted, generator: torch.Generator) -> None:
        """Caffe's xavier weights, biases 0.2 [released prototxts]."""
        xavier(layer, 0.2, generator)


def _pool(kind: Literal["average", "max"], stride: int) -> CaffePool:
    pad = 1 if stride == 1 else 0
    return CaffePool(kind, (1, 3, 3), (1, stride, stride), (0, pad, pad))
