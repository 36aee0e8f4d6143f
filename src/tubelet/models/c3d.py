"""C3D: eight 3 × 3 × 3 convolutions (Tran et al., ICCV 2015, section 3.3, figure 3).

=========== ==================== ===================== ================== ==============
layer       kernel, stride       output C × T × H × W  parameters         multiply-adds
=========== ==================== ===================== ================== ==============
conv1a      3×3×3, 1             64 × 16 × 112 × 112        5,248          1,040,449,536
pool1       1×2×2, 1×2×2         64 × 16 × 56 × 56
conv2a      3×3×3, 1             128 × 16 × 56 × 56       221,312         11,098,128,384
pool2       2×2×2, 2             128 × 8 × 28 × 28
conv3a      3×3×3, 1             256 × 8 × 28 × 28        884,992          5,549,064,192
conv3b      3×3×3, 1             256 × 8 × 28 × 28      1,769,728         11,098,128,384
pool3       2×2×2, 2             256 × 4 × 14 × 14
conv4a      3×3×3, 1             512 × 4 × 14 × 14      3,539,456          2,774,532,096
conv4b      3×3×3, 1             512 × 4 × 14 × 14      7,078,400          5,549,064,192
pool4       2×2×2, 2             512 × 2 × 7 × 7
conv5a      3×3×3, 1             512 × 2 × 7 × 7        7,078,400            693,633,024
conv5b      3×3×3, 1             512 × 2 × 7 × 7        7,078,400            693,633,024
pool5       2×2×2, 2, ceil       512 × 1 × 4 × 4
fc6         8192 → 4096          4096                  33,558,528             33,554,432
fc7         4096 → 4096          4096                  16,781,312             16,777,216
fc8         4096 → classes       classes               4,097 each              4,096 each
=========== ==================== ===================== ================== ==============

Convolutions are padded to keep the size and have biases; each is followed by ReLU, fc6 and fc7 by ReLU and
dropout. In all 78,409,573 parameters at 101 classes, 79,991,015 at 487, and 38.55 billion multiply-adds a
clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tubelet.models.contract import VideoModel
from tubelet.models.plain import Conv, PlainNet, Pool
from tubelet.models.spec import Paper, Source

PAPER = Paper(
    title="Learning Spatiotemporal Features with 3D Convolutional Networks",
    authors="Du Tran, Lubomir Bourdev, Rob Fergus, Lorenzo Torresani, Manohar Paluri",
    year=2015,
    arxiv="1412.0767",
    section="3.3",
)

SOURCE = Source(
    origin="facebook/C3D, C3D-v1.0: c3d_sport1m_feature_extractor_frm.prototxt, c3d_ucf101_finetuning_train.prototxt, "
    "pool3d_layer.cpp (ceil mode)",
)

LAYERS = (
    Conv("conv1a", 64),
    Pool("pool1", depth=1),
    Conv("conv2a", 128),
    Pool("pool2"),
    Conv("conv3a", 256),
    Conv("conv3b", 256),
    Pool("pool3"),
    Conv("conv4a", 512),
    Conv("conv4b", 512),
    Pool("pool4"),
    Conv("conv5a", 512),
    Conv("conv5b", 512),
    Pool("pool5"),
)


def c3d(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 16,
    step_frames: int = 1,
    side: int | Sequence[int] = 112,
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> VideoModel:
    """C3D as published; the table is at the head of this module.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of fc8 (the published networks: 487 for Sports-1M, 101 for UCF101).
    width
        Factor on all channels and on the 4096 units of fc6 and fc7.
    clip_length
        Frames per clip; pooling windows take what is there.
    step_frames
        Video frames from one frame of a clip to the next; 1, as published: consecutive ones.
    side
        Height and width of the square crop in pixels, or (height, width) of whole frames, which are then not cropped.
    batch_norm
        Normalize convolutions before ReLU; not in the paper.
    dropout
        Share of fc6 and fc7 dropped in training.
    """
    options: dict[str, Any] = {
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "batch_norm": batch_norm,
        "dropout": dropout,
    }
    return PlainNet(
        name,
        LAYERS,
        4096,
        num_classes=num_classes,
        **options,
        paper=PAPER,
        source=SOURCE,
        recipe="c3d_sports1m",
        options=options,
    )
