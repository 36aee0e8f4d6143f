"""T3D: DenseNet3D with temporal transition layers (Diba et al. 2017, arXiv 1711.08200, table 1 and figure 1).

============ ============================================ ====================== ======================
layer        operation, T × H × W                         t3d_121                t3d_169
============ ============================================ ====================== ======================
conv0        3×7×7, stride 2, padding 1×3×3               64 × 16 × 112 × 112    64 × 16 × 112 × 112
pool0        3×3×3 maximum, stride 1×2×2, padding 1       64 × 16 × 56 × 56      64 × 16 × 56 × 56
denseblock1  (1×1×1 to 128, 3×3×3 to 32) × 6              256 × 16 × 56 × 56     256 × 16 × 56 × 56
ttl1         1×1×1, 3×3×3, 6×3×3, to 128 each; average    384 × 8 × 28 × 28      384 × 8 × 28 × 28
denseblock2  × 12                                         768 × 8 × 28 × 28      768 × 8 × 28 × 28
ttl2         1×1×1, 3×3×3, 4×3×3, to 128 each; average    384 × 4 × 14 × 14      384 × 4 × 14 × 14
denseblock3  × 24 (169: × 32)                             1152 × 4 × 14 × 14     1408 × 4 × 14 × 14
ttl3         1×1×1, 3×3×3, 4×3×3, to 128 each; average    384 × 2 × 7 × 7        384 × 2 × 7 × 7
denseblock4  × 16 (169: × 32)                             896 × 2 × 7 × 7        1408 × 2 × 7 × 7
norm5        batch normalization, ReLU                    896 × 2 × 7 × 7        1408 × 2 × 7 × 7
pool5        average over time and space                  896                    1408
classifier   classes                                      897 each               1409 each
============ ============================================ ====================== ======================

The paper writes kernels H × W × T; here they are T × H × W. A temporal transition layer (TTL) has three branches on the
block's output, each BN-ReLU-convolution of another depth in time; their outputs are put one behind the other and
averaged over 2×2×2 windows.

======== ============= ======================= ==================================
network  classes       parameters              multiply-adds (10⁹, at 101)
======== ============= ======================= ==================================
t3d_121  101, 400      29,608,677, 29,876,880  244.098
t3d_169  101, 400      38,097,893, 38,519,184  247.852
======== ============= ======================= ==================================

The released ``T3D.py``, which cannot run, has depth 4 in all three TTLs and BN-ReLU-1×1×1 from 384 to 384 channels
behind each: ``ttl_depths=(4, 4, 4), extra_transition=True``, 29,731,728 and 38,374,032 parameters at 400 classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tubelet.models.contract import VideoModel
from tubelet.models.densenet import DenseNet, average_halves, published_blocks
from tubelet.models.densenet3d import CHOICES, ORIGIN, PAPER, clip_of
from tubelet.models.layers import Conv3d, relu
from tubelet.models.options import boolean, positive_int, whole_numbers
from tubelet.models.spec import Source

_SOURCE = Source(
    reconstruction=True,
    origin=ORIGIN,
    choices=(
        *CHOICES,
        "Kernels of even depth d are padded by (d-1)//2 frames before and d//2 after the clip; the paper does not say.",
        "Each branch of a temporal transition layer gives 128 channels, which only the released code says.",
        "Depths, and no extra_transition behind the branches, are the paper's; the released code cannot run.",
    ),
)


class Branch(nn.Module):
    """BN-ReLU-convolution that keeps length and side, also under a kernel of even depth.

    Parameters
    ----------
    channels, out
        Channels that enter and leave.
    depth, side
        Kernel in frames, and in rows and columns (odd). An even depth d is padded by (d-1)//2 frames before the
        first and d//2 behind the last.
    """

    def __init__(self, channels: int, out: int, depth: int, side: int) -> None:
        super().__init__()
        even = depth % 2 == 0
        self.before, self.behind = ((depth - 1) // 2, depth // 2) if even else (0, 0)
        self.norm = nn.BatchNorm3d(channels)
        padding = (0 if even else depth // 2, side // 2, side // 2)
        self.conv = Conv3d(channels, out, (depth, side, side), padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, out, T, H, W), of either sign."""
        x = relu(self.norm(x))
        if self.behind:
            x = F.pad(x, (0, 0, 0, 0, self.before, self.behind))
        return self.conv(x)  # type: ignore[no-any-return]


class TemporalTransition(nn.Module):
    """A temporal transition layer (figure 1): 1×1×1, 3×3×3 and depth×3×3 side by side, then the average of 2×2×2.

    Parameters
    ----------
    channels
        Channels that enter.
    width
        Channels of each branch; three times as many leave.
    depth
        Frames under the third kernel.
    extra
        Whether BN-ReLU-1×1×1 stands between concatenation and pooling, as in the released code.
    """

    def __init__(self, channels: int, width: int, depth: int, *, extra: bool) -> None:
        super().__init__()
        self.b1 = Branch(channels, width, 1, 1)
        self.b2 = Branch(channels, width, 3, 3)
        self.b3 = Branch(channels, width, depth, 3)
        self.extra = extra
        if extra:
            self.norm = nn.BatchNorm3d(3 * width)
            self.conv = Conv3d(3 * width, 3 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, 3 · width, ⌊T/2⌋, ⌊H/2⌋, ⌊W/2⌋), of either sign."""
        x = torch.cat((self.b1(x), self.b2(x), self.b3(x)), 1)
        if self.extra:
            x = self.conv(relu(self.norm(x)))
        return average_halves(x, 2)


def t3d(
    name: str,
    num_classes: int,
    *,
    growth: int = 32,
    stem: int = 64,
    blocks: Sequence[int] | None = None,
    ttl_width: int = 128,
    ttl_depths: Sequence[int] = (6, 4, 4),
    extra_transition: bool = False,
    drop_rate: float = 0.0,
    clip_length: int = 32,
    step_frames: int = 2,
    side: int = 224,
) -> VideoModel:
    """T3D-121 or -169 by its name; the table is at the head of this module.

    Parameters
    ----------
    num_classes
        Outputs of the classifier (Kinetics: 400).
    blocks
        Dense layers in blocks 1 to 4; None for the published ones of the name.
    ttl_width
        Channels of each of a temporal transition layer's three branches.
    ttl_depths
        Frames under the third kernel of the three temporal transition layers; the released code has 4, 4, 4.
    extra_transition
        Put BN-ReLU-1×1×1 between concatenation and pooling, as the released code does.
    clip_length, side
        Frames per clip; height and width in pixels. Windows take what is there.
    step_frames
        Video frames from one frame of a clip to the next. The paper tried 1, 2, 4 and 16; 2 was best.
    growth, stem, drop_rate
        As for `tubelet.models.densenet.DenseNet`.
    """
    width, extra = positive_int("ttl_width", ttl_width), boolean("extra_transition", extra_transition)
    depths = whole_numbers("ttl_depths", ttl_depths, 3)
    options: dict[str, Any] = {
        "growth": growth,
        "stem": stem,
        "blocks": list(published_blocks(name) if blocks is None else whole_numbers("blocks", blocks, 4)),
        "ttl_width": ttl_width,
        "ttl_depths": list(depths),
        "extra_transition": extra_transition,
        "drop_rate": drop_rate,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
    }

    def transition(stage: int, channels: int) -> tuple[nn.Module, int]:
        return TemporalTransition(channels, width, depths[stage - 1], extra=extra), 3 * width

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
        source=_SOURCE,
        options=options,
        transition=transition,
        transition_name="ttl",
    )
