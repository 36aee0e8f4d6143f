"""DenseNet: every layer sees the outputs of all before it (Huang et al., CVPR 2017, arXiv 1608.06993, table 1).

============ ============================================ ==================== ====================
layer        operation                                    densenet_121         densenet_169
============ ============================================ ==================== ====================
conv0        7×7, stride 2, padding 3                     64 × 112 × 112       64 × 112 × 112
pool0        3×3 maximum, stride 2, padding 1             64 × 56 × 56         64 × 56 × 56
denseblock1  (1×1 to 128, 3×3 to 32) × 6                  256 × 56 × 56        256 × 56 × 56
transition1  1×1, half the channels; 2×2 average          128 × 28 × 28        128 × 28 × 28
denseblock2  × 12                                         512 × 28 × 28        512 × 28 × 28
transition2                                               256 × 14 × 14        256 × 14 × 14
denseblock3  × 24 (169: × 32)                             1024 × 14 × 14       1280 × 14 × 14
transition3                                               512 × 7 × 7          640 × 7 × 7
denseblock4  × 16 (169: × 32)                             1024 × 7 × 7         1664 × 7 × 7
norm5        batch normalization, ReLU                    1024 × 7 × 7         1664 × 7 × 7
pool5        average over each frame                      1024                 1664
classifier   classes                                      1025 each            1665 each
============ ============================================ ==================== ====================

A convolution inside a block or transition comes after its own batch normalization and ReLU (only the stem's comes
before), and has no bias. A dense layer's 32 new channels are put behind those it was given, so the outputs of blocks
and transitions are sums that nothing has rectified. In all 7,978,856 and 14,149,480 parameters, 2.834 and 3.360 billion
multiply-adds a frame at 1000 classes.

The networks take frames side by side: kernels are one frame deep, and logits are the mean over the clip's frames. This
module also holds what the 3-D networks share with them (`tubelet.models.densenet3d`, `tubelet.models.t3d`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import he, uniform
from tubelet.models.layers import Conv3d, relu
from tubelet.models.options import fraction, positive_int, whole_numbers
from tubelet.models.spec import InputSpec, Paper, Source

PAPER = Paper(
    title="Densely Connected Convolutional Networks",
    authors="Gao Huang, Zhuang Liu, Laurens van der Maaten, Kilian Q. Weinberger",
    year=2017,
    arxiv="1608.06993",
    section="table 1",
)

BLOCKS = {"121": (6, 12, 24, 16), "169": (6, 12, 32, 32)}
"""Dense layers in blocks 1 to 4, by the number in the network's name."""

_BOTTLENECK = 4  # channels between a dense layer's two convolutions, in growth rates

_SOURCE = Source(
    reconstruction=True,
    origin="Huang et al. 2017, table 1; padding, starting weights and key names of torchvision's densenet.py",
    choices=(
        "What the paper's table leaves open (padding, biases, starting weights) is as in torchvision's networks.",
    ),
)

Transition = Callable[[int, int], tuple[nn.Module, int]]
"""(stage, channels) → what stands behind the stage's block, and the channels that leave it."""


class DenseLayer(nn.Module):
    """BN-ReLU-1×1×1 to four growth rates, BN-ReLU-d×3×3 to one; the names are the released networks'.

    Parameters
    ----------
    channels, growth
        Channels that enter, and new ones that leave.
    depth
        Kernel depth of the second convolution in frames, odd.
    drop_rate
        Share of new values that training drops.
    """

    def __init__(self, channels: int, growth: int, depth: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(channels)
        self.conv1 = Conv3d(channels, _BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(_BOTTLENECK * growth)
        self.conv2 = Conv3d(_BOTTLENECK * growth, growth, (depth, 3, 3), padding=(depth // 2, 1, 1), bias=False)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → the new channels alone, (N, growth, T, H, W), of either sign."""
        x = self.conv1(relu(self.norm1(x)))
        x = self.conv2(relu(self.norm2(x)))
        return self.drop(x)  # type: ignore[no-any-return]


class DenseBlock(nn.Module):
    """Dense layers, each on the input and the outputs of all before it; parameters as for `DenseLayer`."""

    def __init__(self, layers: int, channels: int, growth: int, depth: int, drop_rate: float) -> None:
        super().__init__()
        self.layers = layers
        for i in range(layers):
            self.add_module(f"denselayer{i + 1}", DenseLayer(channels + i * growth, growth, depth, drop_rate))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, C + layers · growth, T, H, W), the input in front."""
        for i in range(self.layers):
            x = torch.cat((x, self.get_submodule(f"denselayer{i + 1}")(x)), 1)
        return x


def average_halves(x: Tensor, frames: int) -> Tensor:
    """Means of ``frames`` × 2 × 2 windows side by side, an odd rest dropped; a single row or frame passes as it is."""
    window = [min(most, size) for most, size in zip((frames, 2, 2), x.shape[2:], strict=True)]
    # On the CPU, torch has no such average in bfloat16; under autocast it hands on float32, which blocks need not copy.
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    return F.avg_pool3d(wide, window, window).to(x.dtype)


class DenseTransition(nn.Module):
    """BN-ReLU-1×1×1, then averages of ``frames`` × 2 × 2 windows."""

    def __init__(self, channels: int, out: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.norm = nn.BatchNorm3d(channels)
        self.conv = Conv3d(channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, out, ⌊T/frames⌋, ⌊H/2⌋, ⌊W/2⌋), of either sign."""
        return average_halves(self.conv(relu(self.norm(x))), self.frames)


class DenseNet(VideoModel):
    """The stem, four dense blocks with transitions between them, and the classifier, for frames or for clips.

    Parameters
    ----------
    name
        The registry's name.
    frame_by_frame
        Kernels and windows are one frame deep, as in this module's table. Otherwise they are those of
        `tubelet.models.densenet3d`.
    growth
        New channels of each dense layer.
    stem
        Channels of conv0.
    blocks
        Dense layers in blocks 1 to 4.
    drop_rate
        Share of each dense layer's new values that training drops.
    transition, transition_name
        Makes what stands between blocks, by default half the channels; called so, with the stage's number.
    num_classes, input, paper, source, options
        See `VideoModel`.

    Notes
    -----
    Convolutions start after He et al. 2015 (fan in), the classifier uniformly within 1/√inputs with bias 0
    [torchvision densenet.py]. Windows of transitions take what is there, so clips of any length and side pass.
    """

    def __init__(
        self,
        name: str,
        *,
        frame_by_frame: bool,
        growth: int,
        stem: int,
        blocks: Sequence[int],
        drop_rate: float,
        num_classes: int,
        input: InputSpec,
        paper: Paper,
        source: Source,
        options: Mapping[str, Any],
        transition: Transition | None = None,
        transition_name: str = "transition",
    ) -> None:
        growth, channels = positive_int("growth", growth), positive_int("stem", stem)
        blocks, drop_rate = whole_numbers("blocks", blocks, 4), fraction("drop_rate", drop_rate)
        depth = 1 if frame_by_frame else 3

        def halve(stage: int, channels: int) -> tuple[nn.Module, int]:
            return DenseTransition(channels, channels // 2, 1 if frame_by_frame else 2), channels // 2

        between = [f"{part}{stage}" for stage in (1, 2, 3) for part in ("denseblock", transition_name)]
        super().__init__(
            name,
            num_classes=num_classes,
            options=options,
            input=input,
            layer_names=("conv0", "pool0", *between, "denseblock4", "norm5", "pool5", "classifier", "prob"),
            head_name="classifier",
            paper=paper,
            source=source,
            any_size=True,
        )
        self.frame_by_frame = frame_by_frame
        time_stride, time_padding = (1, 0) if frame_by_frame else (2, 1)
        self.conv0 = Conv3d(
            input.channels, channels, (depth, 7, 7), (time_stride, 2, 2), padding=(time_padding, 3, 3), bias=False
        )
        self.conv0_bn = nn.BatchNorm3d(channels)
        self.pool0 = nn.MaxPool3d((depth, 3, 3), (1, 2, 2), padding=(time_padding, 1, 1))
        for stage, layers in enumerate(blocks, 1):
            self.add_module(f"denseblock{stage}", DenseBlock(layers, channels, growth, depth, drop_rate))
            channels += layers * growth
            if stage < 4:
                module, channels = (transition or halve)(stage, channels)
                self.add_module(f"{transition_name}{stage}", module)
        self.norm5 = nn.BatchNorm3d(channels)
        self.classifier = nn.Linear(channels, self.num_classes)

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`.

        Those of blocks and transitions may be negative: the next layer's normalization comes before its ReLU. pool5
        is (N, D), and of a frame-by-frame network (N, D, T, 1, 1).
        """
        x = relu(self.conv0_bn(self.conv0(x)))
        yield "conv0", x
        # CPU autocast would pool in float32: the same maxima.
        with torch.autocast("cpu", enabled=False):
            x = self.pool0(x)
        yield "pool0", x
        for name in self.layer_names[2 : self.layer_names.index("norm5")]:
            x = self.get_submodule(name)(x)
            yield name, x
        x = relu(self.norm5(x))
        yield "norm5", x
        if self.frame_by_frame:
            x = x.mean((3, 4), keepdim=True)
            yield "pool5", x
            x = x.mean((2, 3, 4))
        else:
            x = x.mean((2, 3, 4))
            yield "pool5", x
        x = self.classifier(x)
        yield "classifier", x
        yield "prob", x.softmax(1)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer, see the class's notes."""
        if name == "classifier":
            uniform(layer, layer.weight.shape[1] ** -0.5, generator)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        else:
            he(layer, generator, fan="in")


def densenet(
    name: str,
    num_classes: int,
    *,
    growth: int = 32,
    stem: int = 64,
    blocks: Sequence[int] | None = None,
    drop_rate: float = 0.0,
    clip_length: int = 1,
    side: int = 224,
) -> VideoModel:
    """DenseNet-121 or -169 of ImageNet, by its name; the table is at the head of this module.

    Parameters
    ----------
    num_classes
        Outputs of the classifier (ImageNet: 1000).
    blocks
        Dense layers in blocks 1 to 4; None for the published ones of the name.
    clip_length, side
        Frames per clip, each of which is seen alone; height and width in pixels.
    growth, stem, drop_rate
        As for `DenseNet`.
    """
    options: dict[str, Any] = {
        "growth": growth,
        "stem": stem,
        "blocks": list(published_blocks(name) if blocks is None else whole_numbers("blocks", blocks, 4)),
        "drop_rate": drop_rate,
        "clip_length": clip_length,
        "side": side,
    }
    return DenseNet(
        name,
        frame_by_frame=True,
        growth=growth,
        stem=stem,
        blocks=options["blocks"],
        drop_rate=drop_rate,
        num_classes=num_classes,
        input=InputSpec(
            "rgb", 3, positive_int("clip_length", clip_length), 1, positive_int("side", side), "resnet_rgb"
        ),
        paper=PAPER,
        source=_SOURCE,
        options=options,
    )


def published_blocks(name: str) -> tuple[int, ...]:
    """Dense layers in blocks 1 to 4 of the network with this name."""
    return BLOCKS[name.rpartition("_")[2]]
