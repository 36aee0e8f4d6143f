"""DenseNet3D: DenseNet with kernels in time (Diba et al. 2017, arXiv 1711.08200, table 1).

============ ============================================ ====================== ======================
layer        operation, T × H × W                         densenet3d_121         densenet3d_169
============ ============================================ ====================== ======================
conv0        3×7×7, stride 2, padding 1×3×3               64 × 16 × 112 × 112    64 × 16 × 112 × 112
pool0        3×3×3 maximum, stride 1×2×2, padding 1       64 × 16 × 56 × 56      64 × 16 × 56 × 56
denseblock1  (1×1×1 to 128, 3×3×3 to 32) × 6              256 × 16 × 56 × 56     256 × 16 × 56 × 56
transition1  1×1×1, half the channels; 2×2×2 average      128 × 8 × 28 × 28      128 × 8 × 28 × 28
denseblock2  × 12                                         512 × 8 × 28 × 28      512 × 8 × 28 × 28
transition2                                               256 × 4 × 14 × 14      256 × 4 × 14 × 14
denseblock3  × 24 (169: × 32)                             1024 × 4 × 14 × 14     1280 × 4 × 14 × 14
transition3                                               512 × 2 × 7 × 7        640 × 2 × 7 × 7
denseblock4  × 16 (169: × 32)                             1024 × 2 × 7 × 7       1664 × 2 × 7 × 7
norm5        batch normalization, ReLU                    1024 × 2 × 7 × 7       1664 × 2 × 7 × 7
pool5        average over time and space                  1024                   1664
classifier   classes                                      1025 each              1665 each
============ ============================================ ====================== ======================

The clip is 32 frames of 224 × 224, every second of the video. A convolution inside a block or transition comes after
its own batch normalization and ReLU, and has no bias.

=============== ============= ======================= ==================================
network         classes       parameters              multiply-adds (10⁹, at 101)
=============== ============= ======================= ==================================
densenet3d_121  101, 400      11,352,421, 11,658,896  62.546
densenet3d_169  101, 400      18,717,157, 19,214,992  64.861
=============== ============= ======================= ==================================

Table 1 prints "stride 1" for pool0 while its size goes from 112 × 112 × 16 to 56 × 56 × 16, so the stride is 1 in time
and 2 in space. The released PyTorch code differs: it halves time there too and averages 1 × 7 × 7 at the end, which
is another network for the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tubelet.models.contract import VideoModel
from tubelet.models.densenet import DenseNet, published_blocks
from tubelet.models.options import positive_int, whole_numbers
from tubelet.models.spec import InputSpec, Paper, Source

PAPER = Paper(
    title="Temporal 3D ConvNets: New Architecture and Transfer Learning for Video Classification",
    authors="Ali Diba, Mohsen Fayyaz, Vivek Sharma, Amir Hossein Karami, Mohammad Mahdi Arzani, Rahman Yousefzadeh, "
    "Luc Van Gool",
    year=2017,
    arxiv="1711.08200",
    section="table 1",
)

ORIGIN = "T3D paper, table 1; growth, stem, padding and final normalization of the authors' code (MohsenFayyaz89/T3D)"

CHOICES = (
    "pool0 has stride 1 in time and 2 in space, as table 1's sizes say beside a printed stride of 1.",
    "Nothing is dropped (drop_rate 0) as in table 1; two of the released helpers drop 0.2 in dense layers.",
    "Starting weights are those of torchvision's DenseNet; the sources do not say.",
    "Frames are in RGB with the channel means of ImageNet; the paper says mean-subtracted and not which means.",
)
"""What the sources leave open in all networks of the paper."""


def clip_of(clip_length: int, step_frames: int, side: int) -> InputSpec:
    """The clip of all networks of the paper, which are published for every second frame."""
    length, step = positive_int("clip_length", clip_length), positive_int("step_frames", step_frames)
    return InputSpec("rgb", 3, length, step, positive_int("side", side), "t3d_rgb")


def densenet3d(
    name: str,
    num_classes: int,
    *,
    growth: int = 32,
    stem: int = 64,
    blocks: Sequence[int] | None = None,
    drop_rate: float = 0.0,
    clip_length: int = 32,
    step_frames: int = 2,
    side: int = 224,
) -> VideoModel:
    """DenseNet3D-121 or -169 by its name; the table is at the head of this module.

    Parameters
    ----------
    num_classes
        Outputs of the classifier (Kinetics: 400).
    blocks
        Dense layers in blocks 1 to 4; None for the published ones of the name.
    clip_length, side
        Frames per clip; height and width in pixels. Windows take what is there.
    step_frames
        Video frames from one frame of a clip to the next. The paper tried 1, 2, 4 and 16; 2 was best.
    growth, stem, drop_rate
        As for `tubelet.models.densenet.DenseNet`.
    """
    options: dict[str, Any] = {
        "growth": growth,
        "stem": stem,
        "blocks": list(published_blocks(name) if blocks is None else whole_numbers("blocks", blocks, 4)),
        "drop_rate": drop_rate,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
    }
    return DenseNet(
        name,
        frame_by_frame=False,
        growth=growth,
        stem=stem,
        blocks=options["blocks"],
        drop_rate=drop_rate,
        num_classes=num_classes,
        input=clip_of(clip_length, step_frames, side),
        paper=PAPER,
        source=Source(reconstruction=True, origin=ORIGIN, choices=CHOICES),
        options=options,
    )
