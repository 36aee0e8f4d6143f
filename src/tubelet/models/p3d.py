"""Pseudo-3D residual networks (Qiu, Yao and Mei, ICCV 2017, section 3, figures 2 to 4).

=========== ====================================== ==================== ===========================
stage       operation                              output C × T × H × W blocks in p3d_63, _131, _199
=========== ====================================== ==================== ===========================
conv1       1×7×7, 64, stride 1×2×2                64 × 16 × 80 × 80
pool1       max 2×3×3, stride 2, ceil              64 × 8 × 40 × 40
res2a, b…   bottlenecks 64 → 256                   256 × 8 × 40 × 40    3, 3, 3
3a_pool     max 2×1×1                              256 × 4 × 40 × 40
res3a, …    bottlenecks 128 → 512, space / 2       512 × 4 × 20 × 20    4, 4, 8
4a_pool     max 2×1×1                              512 × 2 × 20 × 20
res4a, …    bottlenecks 256 → 1024, space / 2      1024 × 2 × 10 × 10   6, 23, 36
res5a_pool  max 2×1×1                              1024 × 1 × 10 × 10
res5a, b, c 2-D bottlenecks 512 → 2048, space / 2  2048 × 1 × 5 × 5     3, 3, 3
pool5       average over time and space            2048
fc          dropout, classes
=========== ====================================== ==================== ===========================

A 3×3×3 convolution is taken apart into S (1×3×3) and T (3×1×1). Between the 1×1×1 convolutions of a bottleneck
(the first, branch2a, makes y and strides; the last, branch2c, takes z) they stand in one of three ways, with b the
batch normalization and r the ReLU after it::

    A, one after the other    s = r(b(S y))    z = r(b(T s))
    B, side by side           s = r(b(S y))    z = r(s + b(T y))
    C, with a shortcut        s = r(b(S y))    z = r(0.5 s + 0.5 b(T s))
    2-D                       s = r(b(S y))    z = s

So they stand in the authors' Caffe networks: T has no ReLU of its own in B and C, and the halves of C are not in the
paper. The popular PyTorch port rectifies T, not the sum, and has no halves; it also pads pool1, which shifts its
windows by a pixel. Blocks take turns through all stages: A is res2a, B res2b, C res2c, A res3a, … Convolutions have
no bias. p3d_63, _131 and _199 are ResNet-50, -101 and -152 with a T in each of their first 13, 30 and 47 blocks.

======== ========================================= ======================
network  parameters at 101, 400, 487 classes       multiply-adds, 101 cls
======== ========================================= ======================
p3d_63   25,132,581   25,745,232   25,923,495      8,441,243,648
p3d_131  47,475,749   48,088,400   48,266,663      12,897,691,648
p3d_199  65,879,589   66,492,240   66,670,503      18,402,715,648
======== ========================================= ======================

The size does not depend on the types of blocks. In 4-byte numbers, running statistics included, that is 100.8 MB for
p3d_63 at 101 classes and 267.4 MB for p3d_199 at 487; the paper prints 98 and 261 MB, which no unit reproduces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian, xavier
from tubelet.models.layers import CaffePool, Conv3d, MaxPool3d, relu
from tubelet.models.options import boolean, fraction, positive_float, positive_int, scaled, suggestion
from tubelet.models.resnet import block_names
from tubelet.models.spec import InputSpec, Paper, Source

PAPER = Paper(
    title="Learning Spatio-Temporal Representation with Pseudo-3D Residual Networks",
    authors="Zhaofan Qiu, Ting Yao, Tao Mei",
    year=2017,
    arxiv="1711.10305",
    section="3",
)

_DEPTHS = {"p3d_63": (3, 4, 6, 3), "p3d_131": (3, 4, 23, 3), "p3d_199": (3, 8, 36, 3)}
_DROPOUT = {"p3d_63": 0.9, "p3d_131": 0.1, "p3d_199": 0.1}
_POOL_BEFORE = {"res3a": "3a_pool", "res4a": "4a_pool", "res5a": "res5a_pool"}  # the Caffe network's names
_CHANNELS = {"rgb": 3, "flow": 2}
_RECIPES = {"rgb": "p3d_rgb", "flow": "flow_160"}

_ORIGIN = "the authors' Caffe networks of P3D-199 (ZhaofanQiu/pseudo-3d-residual-networks, three deploy prototxts)"
_SHORTER = (
    "The blocks' arithmetic, the order A, B, C through all stages, the poolings and a 2-D res5 are those of P3D-199."
)
_SOURCES = {
    "p3d_63": Source(
        reconstruction=True,
        origin=f"table 1 of the paper; {_ORIGIN}",
        choices=(
            _SHORTER + " Table 1 agrees: it prints 6 MB more than for ResNet-50, thirteen T weigh 5.7 MB, and sixteen "
            "(with a pseudo-3D res5) would weigh 15.1.",
            "Blocks are named as in the Caffe release of ResNet-50.",
        ),
        printed={"model size": "98 MB", "speed (K40)": "8.8 clip/s"},
    ),
    "p3d_131": Source(
        reconstruction=True,
        origin=_ORIGIN,
        choices=(
            "The paper has no network on ResNet-101; third-party ports do. " + _SHORTER,
            "Blocks are named as in the Caffe release of ResNet-101.",
            "Dropout is P3D-199's on Sports-1M.",
        ),
    ),
    "p3d_199": Source(origin=_ORIGIN, printed={"model size": "261 MB"}),
}

BlockType = Literal["A", "B", "C", "2D"]


class PseudoBottleneck(nn.Module):
    """A bottleneck with its 3×3×3 convolution taken apart; the branches have the Caffe network's names.

    Parameters
    ----------
    kind
        ``"A"``, ``"B"`` or ``"C"`` as at the head of this module; ``"2D"`` has no T at all.
    channels, inner
        Channels that enter, and those between the 1×1×1 convolutions; four times as many leave.
    stride
        In space, of the first 1×1×1 convolution.
    """

    def __init__(self, kind: BlockType, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        self.kind = kind
        steps, out = (1, stride, stride), 4 * inner
        self.branch2a = Conv3d(channels, inner, 1, steps, bias=False)
        self.branch2a_bn = nn.BatchNorm3d(inner)
        self.branch2b = Conv3d(inner, inner, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.branch2b_bn = nn.BatchNorm3d(inner)
        if kind != "2D":
            self.branch2b_t = Conv3d(inner, inner, (3, 1, 1), padding=(1, 0, 0), bias=False)
            self.branch2b_t_bn = nn.BatchNorm3d(inner)
        self.branch2c = Conv3d(inner, out, 1, bias=False)
        self.branch2c_bn = nn.BatchNorm3d(out)
        self.projects = channels != out or stride != 1
        if self.projects:
            self.branch1 = Conv3d(channels, out, 1, steps, bias=False)
            self.branch1_bn = nn.BatchNorm3d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, 4·inner, T, ⌈H/stride⌉, ⌈W/stride⌉), not negative."""
        y = relu(self.branch2a_bn(self.branch2a(x)))
        z = self.branch2c_bn(self.branch2c(self.pseudo_3d(y)))
        return relu(z + (self.branch1_bn(self.branch1(x)) if self.projects else x))

    def pseudo_3d(self, y: Tensor) -> Tensor:
        """What stands for the 3×3×3 convolution: y → z of the formulas at the head of this module, same shape."""
        s = relu(self.branch2b_bn(self.branch2b(y)))
        if self.kind == "A":
            return relu(self._temporal(s))
        if self.kind == "B":
            return relu(s + self._temporal(y))
        if self.kind == "C":
            return relu(0.5 * s + 0.5 * self._temporal(s))
        return s

    def _temporal(self, x: Tensor) -> Tensor:
        result: Tensor = self.branch2b_t_bn(self.branch2b_t(x))
        return result

    def extra_repr(self) -> str:
        """Its type, for ``print(model)``."""
        return f"kind={self.kind!r}"


class P3D(VideoModel):
    """The pseudo-3D residual networks of this module's table.

    Parameters
    ----------
    name
        The registry's name; it decides how blocks are called.
    num_classes
        Outputs of fc.
    options
        All of them, checked: `p3d` does that.

    Notes
    -----
    Convolutions start with Caffe's ``xavier`` filler, fc gaussian with standard deviation 0.001 and bias 0, as in the
    authors' flow prototxt and the first version of those for RGB. The later RGB ones fill convolutions, too, with
    gaussians of 0.001, which stand for weights that will be read from a file. Measured, all else equal:

    - 20 moving textures, p3d_63 of width 1/8, side 32, dropout 0, 50 epochs, seeds 0 to 2: right are 100, 100 and 95 %
      with xavier, 80, 25 and 100 % with 0.001, always 100 % after He et al. 2015 (fan in).
    - ``partial_bn`` with fresh norms, p3d_199 of width 1/4, noise: pool5 has a standard deviation of 5.7 with xavier,
      2e-9 with 0.001 and 4e6 after He.

    The prototxts also multiply fc's rate by ten, and that of flow's conv1 by five, to fine-tune;
    `VideoModel.parameter_groups` does not.
    """

    def __init__(self, name: str, num_classes: int, options: Mapping[str, Any]) -> None:
        width, modality = options["width"], options["modality"]
        names = block_names(options["depths"], numbered=name != "p3d_63")
        layers = ["conv1", "pool1"]
        for block in names:
            layers += [_POOL_BEFORE[block], block] if block in _POOL_BEFORE else [block]
        super().__init__(
            name,
            num_classes=num_classes,
            options=options,
            input=InputSpec(
                modality,
                _CHANNELS[modality],
                options["clip_length"],
                options["step_frames"],
                options["side"],
                _RECIPES[modality],
            ),
            layer_names=(*layers, "pool5", "fc", "prob"),
            head_name="fc",
            paper=PAPER,
            source=_SOURCES[name],
        )
        channels = scaled(64, width)
        self.conv1 = Conv3d(_CHANNELS[modality], channels, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False)
        self.conv1_bn = nn.BatchNorm3d(channels)
        self.pool1 = CaffePool("max", (2, 3, 3), (2, 2, 2))
        turn = cycle(options["types"])
        for block in names:
            stage = int(block[3])
            if block in _POOL_BEFORE:
                self.add_module(_POOL_BEFORE[block], MaxPool3d(2, side=1))
            kind = "2D" if stage == 5 else cast(BlockType, next(turn))
            inner = scaled(2 ** (stage + 4), width)
            stride = 2 if stage > 2 and block.endswith("a") else 1
            self.add_module(block, PseudoBottleneck(kind, channels, inner, stride))
            channels = 4 * inner
        self.fc = nn.Linear(channels, self.num_classes)
        self.dropout = nn.Dropout(options["dropout"])
        if options["partial_bn"]:
            self.freeze_norms()

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        x = relu(self.conv1_bn(self.conv1(x)))
        yield "conv1", x
        for name in islice(self.layer_names, 1, len(self.layer_names) - 3):
            x = self.get_submodule(name)(x)
            yield name, x
        x = x.mean((2, 3, 4))
        yield "pool5", x
        x = self.fc(self.dropout(x))
        yield "fc", x
        yield "prob", x.softmax(1)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer, see the class's notes."""
        if name == "fc":
            gaussian(layer, 0.001, 0.0, generator)
        else:
            xavier(layer, 0.0, generator)


def p3d(
    name: str,
    num_classes: int,
    *,
    types: str = "ABC",
    modality: str = "rgb",
    width: float = 1.0,
    depths: Sequence[int] | None = None,
    clip_length: int = 16,
    step_frames: int = 1,
    side: int = 160,
    dropout: float | None = None,
    partial_bn: bool = False,
) -> VideoModel:
    """A pseudo-3D residual network by its name; the table is at the head of this module.

    Parameters
    ----------
    name, num_classes
        The released networks of P3D-199 have 487 (Sports-1M) and 400 classes (Kinetics).
    types
        Types of the 3-D blocks, which take turns: ``"ABC"`` is the paper's P3D ResNet, ``"A"``, ``"B"`` and ``"C"``
        are the networks of one type that its table 1 compares with.
    modality
        ``"rgb"``, or ``"flow"``: the two components of the motion between frames.
    width
        Factor on all channels.
    depths
        Blocks in stages 2 to 5, for smaller networks; default as in the table.
    clip_length
        Frames, a multiple of 16: four poolings leave one frame of each sixteen. The authors' networks take 16; of
        longer clips pool5 averages the frames that are left.
    step_frames
        Video frames (or stored fields) from one frame of a clip to the next; 1, as published: consecutive ones.
    side
        Height and width of the crop in pixels.
    dropout
        Share of pool5 that training drops. Default: 0.9 for ``p3d_63`` (the paper's study on UCF101), 0.1 for the
        others (P3D-199 on Sports-1M). The authors' networks for Kinetics have 0.5 (RGB) and 0.7 (flow). 0.9 goes with
        weights from ImageNet; a narrow network from scratch hardly learns with it.
    partial_bn
        Keep all norms but the first as they are, as the paper does. Off by default because it starts from trained
        weights: fresh norms have not seen any clip.

    Raises
    ------
    UsageError
        If an option's value is none of these.
    """
    if not isinstance(modality, str) or modality not in _CHANNELS:
        raise UsageError(f"modality={modality!r} is unknown", remedy=suggestion(str(modality), _CHANNELS, "it can be"))
    if not isinstance(types, str) or not types or set(types) - set("ABC"):
        raise UsageError(f"types={types!r} are no types of blocks", remedy="give letters out of A, B and C, as 'ABC'")
    frames, pixels = positive_int("clip_length", clip_length), positive_int("side", side)
    if frames % 16:
        raise UsageError(
            f"clip_length={frames} is not a multiple of 16", remedy="four poolings halve it: give 16 or 32"
        )
    if pixels < 3:
        raise UsageError(f"side={pixels} leaves nothing to pool", remedy="give at least 3 pixels, 160 as published")
    options: dict[str, Any] = {
        "types": types,
        "modality": modality,
        "width": positive_float("width", width),
        "depths": _depths(_DEPTHS[name] if depths is None else depths),
        "clip_length": frames,
        "step_frames": positive_int("step_frames", step_frames),
        "side": pixels,
        "dropout": fraction("dropout", _DROPOUT[name] if dropout is None else dropout),
        "partial_bn": boolean("partial_bn", partial_bn),
    }
    return P3D(name, num_classes, options)


def _depths(value: object) -> list[int]:
    """``value`` as the numbers of blocks in stages 2 to 5."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 4:
        raise UsageError(f"depths={value!r} are not four numbers of blocks", remedy="give them as in (3, 4, 6, 3)")
    return [positive_int("depths", count) for count in value]
