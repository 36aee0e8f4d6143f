"""Residual networks whose stages are 3-D or 2-D: MCx, rMCx and frame-wise R2D (Tran et al. 2018, table 2).

The same question, 3-D convolutions in which layers, is observation 4 of Tran et al. 2017. A 2-D stage has kernels of
one frame and keeps the number of frames; a 3-D one is that of `tubelet.models.res3d`. Everything else is as there.

========= ======================== ============================ =========== =====================
network   3-D stages (1: conv1)    frames after stage 1, …, 5   parameters  multiply-adds (10⁹)
========= ======================== ============================ =========== =====================
mc2_18    1                        8 8 8 8 8                    11,400,528  14.273 (14.3)
mc3_18    1 2                      8 8 8 8 8                    11,695,440  21.671 (21.7)
mc4_18    1 2 3                    8 8 4 4 4                    12,727,632  19.976 (20)
mc5_18    1 2 3 4                  8 8 4 2 2                    16,856,400  19.950 (20)
rmc2_18   2 3 4 5                  8 8 4 2 1                    33,352,656  19.876 (19.9)
rmc3_18   3 4 5                    8 8 4 2 1                    33,057,744  12.478 (12.5)
rmc4_18   4 5                      8 8 8 4 2                    32,025,552  14.546 (14.5)
rmc5_18   5                        8 8 8 8 4                    27,896,784  15.393 (15.4)
r2d_18    none                     1 1 1 1 1                    11,381,712   1.725
r2d_34    none                     1 1 1 1 1                    21,489,872   3.575
========= ======================== ============================ =========== =====================

at 400 classes, 8 frames (R2D: one) of 112 × 112 pixels; in brackets what the authors print. At 101 classes R2D-18 has
11,228,325 and R2D-34 21,336,485 parameters. On 8 frames (``clip_length=8``) r2d_18 is the authors' fR2D: 13.801.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tubelet.models.contract import VideoModel
from tubelet.models.options import positive_float
from tubelet.models.res3d import PAPER as RES3D_PAPER
from tubelet.models.res3d import Res3D
from tubelet.models.spec import Paper, Source

PAPER = Paper(
    title="A Closer Look at Spatiotemporal Convolutions for Action Recognition",
    authors="Du Tran, Heng Wang, Lorenzo Torresani, Jamie Ray, Yann LeCun, Manohar Paluri",
    year=2018,
    arxiv="1711.11248",
    section="table 2",
)

VMZ_EPSILON = 1e-3  # of batch normalization [VMZ video_model.py]; Caffe's networks and torchvision's ports have 1e-5

# Printed in VMZ, tutorials/models.md, for 400 classes and 8 frames.
_PRINTED = {
    "mc2_18": ("11.4 M", "14.3 G"),
    "mc3_18": ("11.7 M", "21.7 G"),
    "mc4_18": ("12.7 M", "20 G"),
    "mc5_18": ("16.8 M", "20 G"),
    "rmc2_18": ("33.3 M", "19.9 G"),
    "rmc3_18": ("33 M", "12.5 G"),
    "rmc4_18": ("32 M", "14.5 G"),
    "rmc5_18": ("27.9 M", "15.4 G"),
}
_REVERSED = "stages x to 5 are 3-D and those before 2-D; the authors print no exact count, only these rounded figures"
_R2D_BLOCKS = {"r2d_18": (2, 2, 2, 2), "r2d_34": (3, 4, 6, 3)}


def mixed(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 8,
    step_frames: int = 2,
    side: int = 112,
    projection: bool = False,
    epsilon: float = VMZ_EPSILON,
) -> VideoModel:
    """MCx (3-D below stage x, 2-D from there) or rMCx (the reverse) by its name; options as for `Res3D`.

    The 2017 paper keeps the networks of its study at a similar number of parameters; with which channels is not known.
    These are the later paper's, which have the channels of Res3D. ``width`` brings them to equal numbers roughly.
    """
    shape: dict[str, Any] = {
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "projection": projection,
    }
    epsilon = positive_float("epsilon", epsilon)
    parameters, macs = _PRINTED[name]
    return Res3D(
        name,
        (2, 2, 2, 2),
        depths=_depths(name),
        epsilon=epsilon,
        num_classes=num_classes,
        **shape,
        options={**shape, "epsilon": epsilon},
        paper=PAPER,
        source=Source(
            reconstruction=name.startswith("rmc"),
            origin="facebookresearch/VMZ: r3d_model.py, video_model.py; figures at 400 classes: tutorials/models.md",
            choices=(_REVERSED,) if name.startswith("rmc") else (),
            printed={"parameters": parameters, "multiply-adds": macs},
        ),
    )


def r2d(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 1,
    step_frames: int = 2,
    side: int = 112,
    projection: bool = False,
) -> VideoModel:
    """2D-ResNet-18 or -34 by its name, on one frame; of several it averages the features. Options as for `Res3D`."""
    options: dict[str, Any] = {
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "projection": projection,
    }
    return Res3D(
        name,
        _R2D_BLOCKS[name],
        depths=(1, 1, 1, 1, 1),
        num_classes=num_classes,
        **options,
        options=options,
        paper=replace(RES3D_PAPER, section="table 3"),
        source=Source(
            origin="table 2 with kernels of one frame; VMZ r3d_model.py, create_r2df, has the same layers",
            choices=(
                "batch normalization adds 1e-5 as in the paper's Caffe networks, where VMZ's fR2D adds 1e-3",
                "several frames are averaged before fc, as VMZ's fR2D does; the 2017 paper's nets see one",
            ),
        ),
    )


def _depths(name: str) -> tuple[int, int, int, int, int]:
    first = int(name.removesuffix("_18")[-1])
    below, above = (1, 3) if name.startswith("r") else (3, 1)
    one, two, three, four, five = (below if stage < first else above for stage in range(1, 6))
    return one, two, three, four, five
