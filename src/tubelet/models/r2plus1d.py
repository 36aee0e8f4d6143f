"""R(2+1)D, called 2.5D in 2017: every 3-D convolution in two factors (Tran et al. 2018, table 2).

A d×k×k convolution becomes a 1×k×k one (``middle``), batch normalization, ReLU, and a d×1×1 one (``time``). The
strides in space go to the first, the stride in time to the second. Between them are as many channels as keep the
number of weights:

    M = ⌊d·k²·C·C' / (k²·C + d·C')⌋ from C to C' channels,

but 45 in conv1. The rest is `tubelet.models.res3d`, whose table has the sizes.

========== ============= ===========================================================
stage      output        channels between (first block: its two convolutions; others)
========== ============= ===========================================================
conv1      64            45
conv2_x    64            144, 144; 144, 144
conv3_x    128           230, 288; 288, 288
conv4_x    256           460, 576; 576, 576
conv5_x    512           921, 1152; 1152, 1152
========== ============= ===========================================================

=========== ============= =============================== =====================================
network     blocks        parameters at 101, 400 classes  multiply-adds (10⁹), 8 frames of 112²
=========== ============= =============================== =====================================
r2plus1d_18 2, 2, 2, 2    33,217,452, 33,370,839          20.748
r2plus1d_34 3, 4, 6, 3    63,543,788, 63,697,175          38.089
=========== ============= =============================== =====================================

Stages of r2plus1d_34 go on with blocks like their second. It is what VMZ's PyTorch files hold, epsilon and all.

torchvision's port gives both convolutions of a block the channels of its first (230, 230 where the table has 230, 288)
and normalizes with 1e-5: ``shared_middle=True, epsilon=1e-5``, 31,505,325 parameters at 400 classes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from tubelet.models.contract import VideoModel
from tubelet.models.layers import relu
from tubelet.models.options import boolean, positive_float, scaled
from tubelet.models.res3d import BasicBlock, Res3D, convolution
from tubelet.models.res3d_mixed import PAPER, VMZ_EPSILON
from tubelet.models.spec import Source

_STEM = 45
BLOCKS = {"r2plus1d_18": (2, 2, 2, 2), "r2plus1d_34": (3, 4, 6, 3)}

_WITHOUT_POOLING = (
    "conv1 is not followed by max-pooling, as in the 2018 paper; VMZ has a variant with it (use_pool1), whose tensors "
    "are the same"
)

_SOURCES = {
    "r2plus1d_18": Source(
        origin="facebookresearch/VMZ: r3d_model.py, video_model.py; figures at 400 classes: tutorials/models.md",
        printed={"parameters": "33.3 M", "multiply-adds": "20.7 G"},
    ),
    "r2plus1d_34": Source(
        reconstruction=True,
        origin="facebookresearch/VMZ: pt/vmz/models/r2plus1d.py and utils.py, which its PyTorch files were made for",
        choices=(
            _WITHOUT_POOLING,
            "running statistics follow with a momentum of 0.1, as in all networks here; VMZ's code sets 0.9",
        ),
    ),
}


class FactoredConv(nn.Module):
    """A convolution in space, batch normalization, ReLU, and a convolution in time.

    Parameters
    ----------
    channels, out
        Channels that enter and leave.
    kernel, stride
        Of the 3-D convolution that it stands for.
    middle
        Channels between the two.
    """

    def __init__(
        self, channels: int, out: int, kernel: tuple[int, int, int], stride: tuple[int, int, int], middle: int
    ) -> None:
        super().__init__()
        self.middle = convolution(channels, middle, (1, kernel[1], kernel[2]), (1, stride[1], stride[2]))
        self.middle_bn = nn.BatchNorm3d(middle)
        self.time = convolution(middle, out, (kernel[0], 1, 1), (stride[0], 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, out, ⌈T/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉), not rectified."""
        y: Tensor = self.time(relu(self.middle_bn(self.middle(x))))
        return y


def equal_weights(channels: int, out: int, kernel: tuple[int, int, int]) -> int:
    """Channels between the factors that give them no more weights than the 3-D convolution, and hardly fewer."""
    depth, area = kernel[0], kernel[1] * kernel[2]
    return depth * area * channels * out // (area * channels + depth * out)


def factored(
    channels: int, out: int, kernel: tuple[int, int, int], stride: tuple[int, int, int], *, stem: int
) -> FactoredConv:
    """The factors of a convolution; ``stem`` channels lie between those of the first one, which has RGB as input."""
    middle = stem if kernel[1] == 7 else equal_weights(channels, out, kernel)
    return FactoredConv(channels, out, kernel, stride, middle)


def r2plus1d(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 8,
    step_frames: int = 2,
    side: int = 112,
    projection: bool = False,
    epsilon: float = VMZ_EPSILON,
    shared_middle: bool = False,
) -> VideoModel:
    """R(2+1)D-18 or -34 by its name; options as for `Res3D`. Channels between factors follow from those around them.

    With ``shared_middle`` a block's second convolution has as many between its factors as the first (torchvision).
    """
    shape: dict[str, Any] = {
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "projection": projection,
    }
    epsilon, shared_middle = positive_float("epsilon", epsilon), boolean("shared_middle", shared_middle)
    net = Res3D(
        name,
        BLOCKS[name],
        conv=partial(factored, stem=scaled(_STEM, positive_float("width", width))),
        epsilon=epsilon,
        num_classes=num_classes,
        **shape,
        options={**shape, "epsilon": epsilon, "shared_middle": shared_middle},
        paper=PAPER,
        source=_SOURCES[name],
    )
    if shared_middle:
        _share_middle(net, epsilon)
    return net


def _share_middle(net: Res3D, epsilon: float) -> None:
    """Give every block's second convolution as many channels between its factors as the first has."""
    for name in net.block_names:
        block = net.get_submodule(name)
        assert isinstance(block, BasicBlock)
        assert isinstance(block.branch2a, FactoredConv)
        out, middle = block.branch2a.time.out_channels, block.branch2a.middle.out_channels
        block.branch2b = FactoredConv(out, out, (3, 3, 3), (1, 1, 1), middle)
        block.branch2b.middle_bn.eps = epsilon
