"""3D residual networks: Res3D and SR18 (Tran et al. 2017, arXiv 1708.05038, table 2).

========== ================================== ======================= =================
stage      operation                          Res3D, 8 × 112 × 112    SR18, 4 × 112 × 112
========== ================================== ======================= =================
conv1      3×7×7, 64, stride 1×2×2            64 × 8 × 56 × 56        64 × 4 × 56 × 56
conv2_x    3×3×3, 64                          64 × 8 × 56 × 56        64 × 4 × 56 × 56
conv3_x    3×3×3, 128, first stride 2         128 × 4 × 28 × 28       128 × 2 × 28 × 28
conv4_x    3×3×3, 256, first stride 2         256 × 2 × 14 × 14       256 × 1 × 14 × 14
conv5_x    3×3×3, 512, first stride 2         512 × 1 × 7 × 7         512 × 1 × 7 × 7
pool5      average over time and space        512                     512
fc         classes
========== ================================== ======================= =================

Stages 2 to 5 hold 2, 2, 2, 2 blocks of two convolutions (18 layers) or 3, 4, 6, 3 (34 layers), named res2a,
res2b, … There is no max-pooling. Convolutions have no bias; batch normalization follows each. A block adds
its input, by a 1×1×1 convolution where the size changes, and rectifies the sum. In SR18 the first stride of
conv5_x is 1×2×2.

========= ============= ====================== =================================
network   classes       parameters             multiply-adds (10⁹; paper prints)
========= ============= ====================== =================================
res3d_18  101, 487      33,218,085, 33,416,103 20.348 (19.3)
res3d_34  101           63,527,717             37.689 (36.7)
sr18      101           33,218,085             10.784 (10.3)
========= ============= ====================== =================================

The released Caffe network has a 1×1×1 projection at res2a too, unlike the paper's: ``projection=True``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import ascii_lowercase
from typing import Any

import torch
from torch import Tensor, nn

from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian, he
from tubelet.models.layers import Conv3d, relu
from tubelet.models.options import boolean, positive_float, positive_int, scaled
from tubelet.models.spec import InputSpec, Paper

PAPER = Paper(
    title="ConvNet Architecture Search for Spatiotemporal Feature Learning",
    authors="Du Tran, Jamie Ray, Zheng Shou, Shih-Fu Chang, Manohar Paluri",
    year=2017,
    arxiv="1708.05038",
    section="table 2",
)

_BLOCKS = {"res3d_18": (2, 2, 2, 2), "res3d_34": (3, 4, 6, 3), "sr18": (2, 2, 2, 2)}


class BasicBlock(nn.Module):
    """Two 3×3×3 convolutions and a shortcut; the branches have the Caffe network's names.

    Parameters
    ----------
    channels, out
        Channels that enter and leave.
    stride
        Of the first convolution, in time and in space.
    projection
        Whether the shortcut is a 1×1×1 convolution even where the size stays.
    """

    def __init__(self, channels: int, out: int, stride: tuple[int, int], projection: bool) -> None:
        super().__init__()
        steps = (stride[0], stride[1], stride[1])
        self.branch2a = Conv3d(channels, out, 3, steps, padding=1, bias=False)
        self.branch2a_bn = nn.BatchNorm3d(out)
        self.branch2b = Conv3d(out, out, 3, padding=1, bias=False)
        self.branch2b_bn = nn.BatchNorm3d(out)
        self.projects = projection or channels != out or stride != (1, 1)
        if self.projects:
            self.branch1 = Conv3d(channels, out, 1, steps, bias=False)
            self.branch1_bn = nn.BatchNorm3d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, out, ⌈T/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉), not negative."""
        y = relu(self.branch2a_bn(self.branch2a(x)))
        y = self.branch2b_bn(self.branch2b(y))
        return relu(y + (self.branch1_bn(self.branch1(x)) if self.projects else x))


class Res3D(VideoModel):
    """The residual networks of this module's table, for clips of any length and side.

    Parameters
    ----------
    name
        The registry's name.
    blocks
        Blocks in stages 2 to 5.
    conv5_time_stride
        Stride in time of the first block of stage 5.
    projection
        Put a 1×1×1 convolution into the shortcut of res2a.
    width
        Factor on all channels.
    num_classes, clip_length, side, options
        See `VideoModel` and `InputSpec`.

    Notes
    -----
    Convolutions start after He et al. 2015 (fan out), fc gaussian with standard deviation 0.01 and bias 0
    [C3D-v1.1 train_resnet18_r2.prototxt]. Batch statistics follow with PyTorch's usual momentum of 0.1, not
    Caffe's 0.001, whose running sums are corrected for their short history and PyTorch's are not.
    """

    def __init__(
        self,
        name: str,
        blocks: tuple[int, int, int, int],
        conv5_time_stride: int,
        *,
        num_classes: int,
        width: float,
        clip_length: int,
        side: int,
        projection: bool,
        options: Mapping[str, Any],
    ) -> None:
        width, boolean_projection = positive_float("width", width), boolean("projection", projection)
        names = [f"res{stage}{ascii_lowercase[i]}" for stage, n in enumerate(blocks, 2) for i in range(n)]
        super().__init__(
            name,
            num_classes=num_classes,
            options=options,
            input=InputSpec("rgb", 3, positive_int("clip_length", clip_length), 2, positive_int("side", side), "res3d"),
            layer_names=("conv1", *names, "pool5", "fc", "prob"),
            head_name="fc",
            paper=PAPER,
            any_size=True,
        )
        self.block_names = tuple(names)
        channels = scaled(64, width)
        self.conv1 = Conv3d(3, channels, (3, 7, 7), (1, 2, 2), padding=(1, 3, 3), bias=False)
        self.conv1_bn = nn.BatchNorm3d(channels)
        for block in names:
            stage, first = int(block[3]), block.endswith("a")
            out = scaled(64 * 2 ** (stage - 2), width)
            stride = (1, 1)
            if first and stage > 2:
                stride = (conv5_time_stride if stage == 5 else 2, 2)
            self.add_module(block, BasicBlock(channels, out, stride, boolean_projection and block == "res2a"))
            channels = out
        self.fc = nn.Linear(channels, self.num_classes)

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        x = relu(self.conv1_bn(self.conv1(x)))
        yield "conv1", x
        for name in self.block_names:
            x = self.get_submodule(name)(x)
            yield name, x
        x = x.mean((2, 3, 4))
        yield "pool5", x
        x = self.fc(x)
        yield "fc", x
        yield "prob", x.softmax(1)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer, see the class's notes."""
        if name == "fc":
            gaussian(layer, 0.01, 0.0, generator)
        else:
            he(layer, generator, fan="out")


def res3d(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 8,
    side: int = 112,
    projection: bool = False,
) -> VideoModel:
    """3D-ResNet-18 or -34 by its name, on every second of 16 frames; options as for `Res3D`."""
    return _residual(name, num_classes, width, clip_length, side, projection)


def sr18(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 4,
    side: int = 112,
    projection: bool = False,
) -> VideoModel:
    """SR18, the simplified 18-layer network of the paper's studies: 4 frames; options as for `Res3D`."""
    return _residual(name, num_classes, width, clip_length, side, projection)


def _residual(name: str, num_classes: int, width: float, clip_length: int, side: int, projection: bool) -> VideoModel:
    options = {"width": width, "clip_length": clip_length, "side": side, "projection": projection}
    return Res3D(
        name,
        _BLOCKS[name],
        1 if name == "sr18" else 2,
        num_classes=num_classes,
        width=width,
        clip_length=clip_length,
        side=side,
        projection=projection,
        options=options,
    )
