"""The networks of C3D's architecture search (Tran et al., ICCV 2015, sections 3.1 and 3.2, appendix A).

And a small one that trains on a laptop.

=========== ============================ ============================ ===========
layer       kernel (d: frames), stride    output C × T × H × W        fc6, fc7
=========== ============================ ============================ ===========
conv1a      d1 × 3 × 3, 1                 64 × 16 × 112 × 112
pool1       1 × 2 × 2, alike              64 × 16 × 56 × 56
conv2a      d2 × 3 × 3, 1                 128 × 16 × 56 × 56
pool2       2 × 2 × 2, alike              128 × 8 × 28 × 28
conv3a      d3 × 3 × 3, 1                 256 × 8 × 28 × 28
pool3       2 × 2 × 2, alike              256 × 4 × 14 × 14
conv4a      d4 × 3 × 3, 1                 256 × 4 × 14 × 14
pool4       2 × 2 × 2, alike              256 × 2 × 7 × 7
conv5a      d5 × 3 × 3, 1                 256 × 2 × 7 × 7
pool5       2 × 2 × 2, alike, ceil        256 × 1 × 4 × 4              2048, 2048
=========== ============================ ============================ ===========

================ ============= ============ ====================
network          d1 … d5       parameters   multiply-adds (10⁹)
================ ============= ============ ====================
c3d_depth1       1 1 1 1 1     14,344,933          6.429
c3d_depth3       3 3 3 3 3     17,444,965         19.261
c3d_depth5       5 5 5 5 5     20,544,997         32.093
c3d_depth7       7 7 7 7 7     23,645,029         44.926
c3d_increasing   3 3 5 5 7     21,573,733         24.117
c3d_decreasing   7 5 5 3 3     18,189,157         31.747
================ ============= ============ ====================

at 101 classes. The paper says that pooling has stride 1 (a slip: the released files and its own parameter
count need stride 2) and that the depths cost 17 thousand parameters a step (it forgets the input channels:
3.1 million).

What else the paper tried is options of c3d_depth3 (and of c3d_depth1):

============================ ==================== ============= ====================
network                      options              parameters    multiply-adds (10⁹)
============================ ==================== ============= ====================
appendix A's net-64          side=56              11,153,509          4.832
its net-256                  side=224             34,746,469         77.023
5×5 kernels, depth-1         kernel=5             17,100,517         17.835
5×5 kernels, depth-3         kernel=5             25,711,717         53.480
whole frames of UCF101       side=(240, 320)      50,999,397        117.893
whole frames, resized        side=(128, 171)      21,639,269         33.853
============================ ==================== ============= ====================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tubelet.errors import UsageError
from tubelet.models.c3d import PAPER as C3D_PAPER
from tubelet.models.contract import VideoModel
from tubelet.models.options import kernel_depths, positive_int
from tubelet.models.plain import Conv, PlainNet, Pool
from tubelet.models.spec import Source

PAPER = replace(C3D_PAPER, section="3.1-3.2")

_DEPTHS = {
    "c3d_depth1": (1, 1, 1, 1, 1),
    "c3d_depth3": (3, 3, 3, 3, 3),
    "c3d_depth5": (5, 5, 5, 5, 5),
    "c3d_depth7": (7, 7, 7, 7, 7),
    "c3d_increasing": (3, 3, 5, 5, 7),
    "c3d_decreasing": (7, 5, 5, 3, 3),
}
_CHANNELS = (64, 128, 256, 256, 256)
_FC = 2048


_ORIGIN = (
    "facebook/C3D, C3D-v1.0: conv3d_ucf101_train.prototxt (depth 3; pooling in strides of 2, where the text says 1), "
    "with the depths of section 3.1; these cost 3,100,032 parameters a step, not the 17 thousand that the text says"
)
_PRINTED = {
    "c3d_depth3": {"parameters": "17.5 M", "parameters at side 56": "11.1 M", "parameters at side 224": "34.8 M"},
}


def _rows(depths: Sequence[int], kernel: object) -> list[Conv | Pool]:
    side = positive_int("kernel", kernel)
    if side not in (3, 5):
        raise UsageError(f"kernel={kernel!r} is neither 3 nor 5")
    rows: list[Conv | Pool] = []
    for stage, (channels, depth) in enumerate(zip(_CHANNELS, depths, strict=True), start=1):
        rows.append(Conv(f"conv{stage}a", channels, depth, side))
        rows.append(Pool(f"pool{stage}", depth=1 if stage == 1 else 2))
    return rows


def search_net(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 16,
    step_frames: int = 1,
    side: int | Sequence[int] = 112,
    kernel: int = 3,
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> VideoModel:
    """One of the six search nets, by its name; the tables are at the head of this module.

    With 16 frames pool5 leaves one frame, so a clip and its time reversal are the same to ``c3d_depth1``.
    With ``clip_length=1`` that net is a single-frame network.

    Parameters
    ----------
    kernel
        Rows and columns of all kernels: 3, or the 5 that section 3.2 tried.
    num_classes, width, clip_length, step_frames, side, batch_norm, dropout
        As for `tubelet.models.c3d.c3d`.
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
        _rows(_DEPTHS[name], kernel),
        _FC,
        num_classes=num_classes,
        **options,
        paper=PAPER,
        source=Source(origin=_ORIGIN, printed=_PRINTED.get(name, {})),
        recipe="c3d_channel_mean",
        options={**options, "kernel": kernel},
    )


def c3d_small(
    name: str,
    num_classes: int,
    *,
    depth: int | Sequence[int] = 3,
    width: float = 0.25,
    clip_length: int = 16,
    step_frames: int = 1,
    side: int | Sequence[int] = 56,
    kernel: int = 3,
    batch_norm: bool = True,
    dropout: float = 0.2,
) -> VideoModel:
    """A search net for a laptop: channels 16, 32, 64, 64, 64, fc 512, 56 × 56 pixels, batch normalization.

    The default of ``tubelet train`` and ``tubelet demo``; not in the paper. It is ``c3d_depth3`` with those
    options and with the recipe ``c3d_small``.

    Parameters
    ----------
    depth
        Kernel depth in frames, odd: one number for all layers or five. ``depth=1`` is the frame-by-frame
        network to compare with, ``depth=1, clip_length=1`` the single-frame one.
    dropout
        0.2, not the paper's 0.5: in 300 steps of 24 synthetic motion clips it reached 87 % of 400 unseen ones
        where 0.5 reached 79 % (one seed each, all else equal).
    num_classes, width, clip_length, step_frames, side, kernel, batch_norm
        As for `search_net`.
    """
    depths = kernel_depths("depth", depth, len(_CHANNELS))
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
        _rows(depths, kernel),
        _FC,
        num_classes=num_classes,
        **options,
        paper=replace(PAPER, section="3.1-3.2, made small here"),
        source=Source(
            reconstruction=True,
            origin="made here out of c3d_depth3",
            choices=("a quarter of the channels, half the side, batch normalization, less dropout, RGB in [-1, 1]",),
        ),
        recipe="c3d_small",
        options={"depth": list(depths), **options, "kernel": kernel},
    )
