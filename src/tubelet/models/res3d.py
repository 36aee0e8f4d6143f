"""3D residual networks: Res3D, and SR in five depths (Tran et al. 2017, arXiv 1708.05038, table 2, observation 5).

========== ================================== ======================= =================
stage      operation                          Res3D, 8 × 112 × 112    SR, 4 × 112 × 112
========== ================================== ======================= =================
conv1      3×7×7, 64, stride 1×2×2            64 × 8 × 56 × 56        64 × 4 × 56 × 56
conv2_x    3×3×3, 64                          64 × 8 × 56 × 56        64 × 4 × 56 × 56
conv3_x    3×3×3, 128, first stride 2         128 × 4 × 28 × 28       128 × 2 × 28 × 28
conv4_x    3×3×3, 256, first stride 2         256 × 2 × 14 × 14       256 × 1 × 14 × 14
conv5_x    3×3×3, 512, first stride 2         512 × 1 × 7 × 7         512 × 1 × 7 × 7
pool5      average over time and space        512                     512
fc         classes
========== ================================== ======================= =================

Stages 2 to 5 hold blocks of two convolutions, named res2a, res2b, … There is no max-pooling. Convolutions have no
bias; batch normalization follows each. A block adds its input, by a 1×1×1 convolution where the size changes, and
rectifies the sum. In SR the first stride of conv5_x is 1×2×2.

========= ============= ============= ====================== =================================
network   blocks        classes       parameters             multiply-adds (10⁹; paper prints)
========= ============= ============= ====================== =================================
res3d_18  2, 2, 2, 2    101, 487      33,218,085, 33,416,103 20.348 (19.3)
res3d_34  3, 4, 6, 3    101           63,527,717             37.689
sr10      1, 1, 1, 1    101           14,413,605              5.235
sr16      2, 2, 2, 1    101           19,060,261             10.091
sr18      2, 2, 2, 2    101           33,218,085             10.784 (10.3)
sr26      2, 3, 4, 3    101           55,341,093             14.252
sr34      3, 4, 6, 3    101           63,527,717             19.802
========= ============= ============= ====================== =================================

The paper's other studies are options: ``clip_length`` 4, 8, 16, 32 of res3d_18 takes 10.78, 20.35, 40.70, 81.39, and
``side`` 56, 112, 224 of sr18 takes 2.79, 10.78, 43.14 billion multiply-adds. 2-D and mixed networks are in
`tubelet.models.res3d_mixed`, factored ones in `tubelet.models.r2plus1d`.

The released Caffe network has a 1×1×1 projection at res2a too, unlike the paper's: ``projection=True``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from string import ascii_lowercase
from typing import Any

import torch
from torch import Tensor, nn

from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian, he
from tubelet.models.layers import Conv3d, relu
from tubelet.models.options import boolean, positive_float, positive_int, scaled
from tubelet.models.spec import InputSpec, Paper, Source

PAPER = Paper(
    title="ConvNet Architecture Search for Spatiotemporal Feature Learning",
    authors="Du Tran, Jamie Ray, Zheng Shou, Shih-Fu Chang, Manohar Paluri",
    year=2017,
    arxiv="1708.05038",
    section="table 2",
)

BLOCKS = {
    "res3d_18": (2, 2, 2, 2),
    "res3d_34": (3, 4, 6, 3),
    "sr10": (1, 1, 1, 1),
    "sr16": (2, 2, 2, 1),
    "sr18": (2, 2, 2, 2),
    "sr26": (2, 3, 4, 3),
    "sr34": (3, 4, 6, 3),
}

_CAFFE = "facebook/C3D, C3D-v1.1 train_resnet18_r2.prototxt, and the paper's table 2"
_DEPTHS = "table 2 and the blocks of facebookresearch/VMZ, r3d_model.py, by the same authors"
_PROJECTION = "res2a has no projection, as in the paper's table; the released Caffe network has one (projection=True)"
_BLOCKS_OF_26 = (
    "2, 3, 4, 3 blocks of two convolutions, as in the authors' earlier release (VMZ 5d1b08e, lib/models): the block of "
    "the other depths, and 2·12 + 2 = 26 layers; the later release (c2/lib/models, for other networks too) has "
    "2, 2, 2, 2 bottlenecks, 20,286,757 parameters; no figure of the paper is known that would decide"
)

_SOURCES = {
    "res3d_18": Source(
        origin=f"{_CAFFE}; by these it takes 20.348 G multiply-adds (20.3 in the authors' later list, VMZ models.md)",
        choices=(_PROJECTION,),
        printed={"parameters": "33.2 M", "multiply-adds": "19.3 G"},
    ),
    "res3d_34": Source(origin=f"table 2, as res3d_18 ({_CAFFE})", choices=(_PROJECTION,)),
    "sr10": Source(origin=_DEPTHS, choices=(_PROJECTION,)),
    "sr16": Source(origin=_DEPTHS, choices=(_PROJECTION,)),
    "sr18": Source(
        origin=f"the paper's simplified network: {_CAFFE}, on 4 frames; by these it takes 10.784 G multiply-adds",
        choices=(_PROJECTION,),
        printed={"multiply-adds": "10.3 G"},
    ),
    "sr26": Source(
        reconstruction=True,
        origin=_DEPTHS,
        choices=(_BLOCKS_OF_26, _PROJECTION),
    ),
    "sr34": Source(origin=_DEPTHS, choices=(_PROJECTION,)),
}

Convolution = Callable[[int, int, tuple[int, int, int], tuple[int, int, int]], nn.Module]
"""(channels, out, kernel, stride) → a convolution without bias, padded by half its kernel."""


def convolution(
    channels: int, out: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
) -> Conv3d:
    """A convolution without bias that keeps the size where its stride is 1."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return Conv3d(channels, out, kernel, stride, padding=padding, bias=False)


class BasicBlock(nn.Module):
    """Two d×3×3 convolutions and a shortcut; the branches have the Caffe network's names.

    Parameters
    ----------
    channels, out
        Channels that enter and leave.
    stride
        Of the first convolution, in time and in space.
    projection
        Whether the shortcut is a 1×1×1 convolution even where the size stays.
    depth
        Depth of the kernels in frames: 3, or 1 for a block that sees each frame alone.
    conv
        What makes the two convolutions.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        stride: tuple[int, int],
        projection: bool,
        depth: int = 3,
        conv: Convolution = convolution,
    ) -> None:
        super().__init__()
        steps = (stride[0], stride[1], stride[1])
        self.branch2a = conv(channels, out, (depth, 3, 3), steps)
        self.branch2a_bn = nn.BatchNorm3d(out)
        self.branch2b = conv(out, out, (depth, 3, 3), (1, 1, 1))
        self.branch2b_bn = nn.BatchNorm3d(out)
        self.projects = projection or channels != out or stride != (1, 1)
        if self.projects:
            self.branch1 = convolution(channels, out, (1, 1, 1), steps)
            self.branch1_bn = nn.BatchNorm3d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, out, ⌈T/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉), not negative."""
        y = relu(self.branch2a_bn(self.branch2a(x)))
        y = self.branch2b_bn(self.branch2b(y))
        return relu(y + (self.branch1_bn(self.branch1(x)) if self.projects else x))


class Res3D(VideoModel):
    """The residual networks of this module's table and their relatives, for clips of any length and side.

    Parameters
    ----------
    name
        The registry's name.
    blocks
        Blocks in stages 2 to 5.
    depths
        Depth in frames of the kernels of conv1 and of stages 2 to 5: 3, or 1 for a stage that sees each frame
        alone and therefore keeps their number.
    conv5_time_stride
        Stride in time of the first block of stage 5, where that is 3-D.
    conv
        What makes conv1 and the blocks' convolutions.
    epsilon
        What batch normalization adds to the variance.
    projection
        Put a 1×1×1 convolution into the shortcut of res2a.
    width
        Factor on all channels.
    num_classes, clip_length, step_frames, side, options, paper, source
        See `VideoModel` and `InputSpec`; every second frame is published (``step_frames`` 2).

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
        *,
        depths: tuple[int, int, int, int, int] = (3, 3, 3, 3, 3),
        conv5_time_stride: int = 2,
        conv: Convolution = convolution,
        epsilon: float = 1e-5,
        num_classes: int,
        width: float,
        clip_length: int,
        step_frames: int,
        side: int,
        projection: bool,
        options: Mapping[str, Any],
        paper: Paper,
        source: Source,
    ) -> None:
        width, boolean_projection = positive_float("width", width), boolean("projection", projection)
        length, step = positive_int("clip_length", clip_length), positive_int("step_frames", step_frames)
        names = [f"res{stage}{ascii_lowercase[i]}" for stage, n in enumerate(blocks, 2) for i in range(n)]
        super().__init__(
            name,
            num_classes=num_classes,
            options=options,
            input=InputSpec("rgb", 3, length, step, positive_int("side", side), "res3d"),
            layer_names=("conv1", *names, "pool5", "fc", "prob"),
            head_name="fc",
            paper=paper,
            source=source,
            any_size=True,
        )
        self.block_names = tuple(names)
        channels = scaled(64, width)
        self.conv1 = conv(3, channels, (depths[0], 7, 7), (1, 2, 2))
        self.conv1_bn = nn.BatchNorm3d(channels)
        for block in names:
            stage, first = int(block[3]), block.endswith("a")
            out, depth = scaled(64 * 2 ** (stage - 2), width), depths[stage - 1]
            stride = (1, 1)
            if first and stage > 2:
                stride = (1 if depth == 1 else conv5_time_stride if stage == 5 else 2, 2)
            project = boolean_projection and block == "res2a"
            self.add_module(block, BasicBlock(channels, out, stride, project, depth, conv))
            channels = out
        self.fc = nn.Linear(channels, self.num_classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.eps = epsilon

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
    step_frames: int = 2,
    side: int = 112,
    projection: bool = False,
) -> VideoModel:
    """3D-ResNet-18 or -34 by its name, on every second of 16 frames; options as for `Res3D`."""
    options: dict[str, Any] = {
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "projection": projection,
    }
    return Res3D(
        name, BLOCKS[name], num_classes=num_classes, **options, options=options, paper=PAPER, source=_SOURCES[name]
    )


def sr(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 4,
    step_frames: int = 2,
    side: int = 112,
    projection: bool = False,
) -> VideoModel:
    """SR18, the simplified network of the paper's studies, or a shallower or deeper one by its name: 4 frames.

    Options as for `Res3D`.
    """
    options: dict[str, Any] = {
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "projection": projection,
    }
    return Res3D(
        name,
        BLOCKS[name],
        conv5_time_stride=1,
        num_classes=num_classes,
        **options,
        options=options,
        paper=PAPER if name == "sr18" else replace(PAPER, section="observation 5"),
        source=_SOURCES[name],
    )
