"""Two-Stream networks: their published start on ImageNet, VGG_CNN_M_2048 (Chatfield et al. 2014), for the spatial net.

The authors' own video networks were not released. The Caffe file calls the fully connected layers fc6, fc7 and fc8;
fc6 takes 18432 = 512 × 6 × 6 values in the order channels, rows, columns, as ours does. Its network saw BGR.
"""

from __future__ import annotations

from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.layout import classes_by, fixed, is_kernel, shapes_of
from tubelet.weights.maps.name_map import NameMap
from tubelet.weights.rules import Rule
from tubelet.weights.transforms import FRAME_AXIS, TO_MATRIX, TO_VECTOR

_RULES = (
    Rule(r"(conv[1-5])\[0\]", r"\1.weight", (FRAME_AXIS,)),
    Rule(r"fc([67])\[0\]", r"full\1.weight", (TO_MATRIX,)),
    Rule(r"fc([67])\[1\]", r"full\1.bias", (TO_VECTOR,)),
    Rule(r"fc8\[0\]", "fc8.weight", (TO_MATRIX,)),
    Rule(r"(conv[1-5]|fc8)\[1\]", r"\1.bias", (TO_VECTOR,)),
)


def _recognizes(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    # CaffeNet has the same names and 11 × 11 kernels.
    return (
        is_kernel(shapes, "conv1[0]", channels=3, side=7)
        and is_kernel(shapes, "conv2[0]", side=5)
        and ("fc6[0]" in shapes)
    )


MAPS: tuple[NameMap, ...] = (
    NameMap(
        name="two-stream-vgg-m-caffe",
        title="VGG_CNN_M_2048.caffemodel, ImageNet, from which the spatial net starts; BGR",
        models=("two_stream_spatial",),
        recipe="vgg_m_bgr",
        recognizes=_recognizes,
        build=fixed(_RULES, keep=(), prefixes=()),
        classes=classes_by("fc8[0]", axis=-2),
    ),
)
"""All layouts of this module."""
