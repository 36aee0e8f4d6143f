"""Image networks trained on ImageNet: torchvision's files, Caffe's reference network, the decoded SqueezeNet.

Kernels get a frame axis, for the networks here see frames side by side. Key names are those of torchvision's models
(alexnet.py, densenet.py, resnet.py, squeezenet.py) and of BVLC/caffe's bvlc_reference_caffenet.
"""

from __future__ import annotations

from tubelet.models.densenet import BLOCKS
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.layout import (
    BESIDES,
    NORM,
    classes_by,
    counts,
    fixed,
    is_kernel,
    refusal,
    shapes_of,
)
from tubelet.weights.maps.name_map import NameMap
from tubelet.weights.maps.resnet_rules import BOTTLENECK, is_trunk, trunk_rules
from tubelet.weights.rules import Refuse, Rule
from tubelet.weights.transforms import FLATTENED, FRAME_AXIS, TO_MATRIX, TO_VECTOR

_TORCHVISION = "torchvision is BSD-3-Clause and says nothing of the weights, trained on ImageNet"
_BVLC = "released for unrestricted use (BVLC/caffe, readme.md of bvlc_reference_caffenet and of bvlc_alexnet)"

_FIRES = {3: 2, 4: 3, 5: 4, 7: 5, 8: 6, 9: 7, 10: 8, 12: 9}
"""torchvision's position of a fire module in ``features`` → its number."""

_FIRE = r"\.(squeeze|expand1x1|expand3x3)\.weight"
_FIRE_BIAS = r"\.(squeeze|expand1x1|expand3x3)\.bias"

_SQUEEZENET = (
    Rule(r"conv1\.weight", "conv1.weight", (FRAME_AXIS,)),
    Rule(r"conv1\.bias", "conv1.bias"),
    Rule(rf"(fire\d){_FIRE}", r"\1.\2.weight", (FRAME_AXIS,)),
    Rule(rf"(fire\d){_FIRE_BIAS}", r"\1.\2.bias"),
    Rule(r"conv10\.weight", "conv10.weight", (FLATTENED,)),
    Rule(r"conv10\.bias", "conv10.bias"),
)
_SQUEEZENET_TORCHVISION = (
    Rule(r"features\.0\.weight", "conv1.weight", (FRAME_AXIS,)),
    Rule(r"features\.0\.bias", "conv1.bias"),
    *(Rule(rf"features\.{i}{_FIRE}", rf"fire{n}.\1.weight", (FRAME_AXIS,)) for i, n in _FIRES.items()),
    *(Rule(rf"features\.{i}{_FIRE_BIAS}", rf"fire{n}.\1.bias") for i, n in _FIRES.items()),
    Rule(r"classifier\.1\.weight", "conv10.weight", (FLATTENED,)),
    Rule(r"classifier\.1\.bias", "conv10.bias"),
)
_DENSENET = (
    *BESIDES,
    Rule(r"features\.conv0\.weight", "conv0.weight", (FRAME_AXIS,)),
    Rule(rf"features\.norm0\.{NORM}", r"conv0_bn.\1"),
    # Older files have a dot before the number.
    Rule(r"features\.(denseblock\d)\.(denselayer\d+)\.conv\.?([12])\.weight", r"\1.\2.conv\3.weight", (FRAME_AXIS,)),
    Rule(rf"features\.(denseblock\d)\.(denselayer\d+)\.norm\.?([12])\.{NORM}", r"\1.\2.norm\3.\4"),
    Rule(r"features\.(transition\d)\.conv\.weight", r"\1.conv.weight", (FRAME_AXIS,)),
    Rule(rf"features\.(transition\d)\.norm\.{NORM}", r"\1.norm.\2"),
    Rule(rf"features\.norm5\.{NORM}", r"norm5.\1"),
    Rule(r"classifier\.(weight|bias)", r"classifier.\1"),
)
_CAFFENET = (
    Rule(r"(conv[1-5])\[0\]", r"\1.weight", (FRAME_AXIS,)),
    Rule(r"(fc[678])\[0\]", r"\1.weight", (TO_MATRIX,)),
    Rule(r"(conv[1-5]|fc[678])\[1\]", r"\1.bias", (TO_VECTOR,)),
)


def _is_squeezenet(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return is_kernel(shapes, "conv1.weight", side=7) and is_kernel(shapes, "fire2.squeeze.weight", side=1)


def _is_torchvision_squeezenet(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return is_kernel(shapes, "features.0.weight", side=7) and is_kernel(shapes, "features.5.squeeze.weight", side=1)


def _is_squeezenet_1_1(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return is_kernel(shapes, "features.0.weight", side=3) and is_kernel(shapes, "features.6.squeeze.weight", side=1)


def _is_caffenet(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return is_kernel(shapes, "conv1[0]", side=11) and is_kernel(shapes, "conv5[0]", side=3) and "fc6[0]" in shapes


def _is_torchvision_alexnet(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return is_kernel(shapes, "features.0.weight", side=11) and is_kernel(shapes, "features.10.weight", side=3)


def _densenet(number: str) -> NameMap:
    def recognizes(foreign: ForeignFile) -> bool:
        shapes = shapes_of(foreign)
        return is_kernel(shapes, "features.conv0.weight", side=7) and (
            counts(shapes, r"features\.denseblock(\d)\.denselayer(\d+)\.") == BLOCKS[number]
        )

    return NameMap(
        name=f"densenet{number}-torchvision",
        title=f"DenseNet-{number} of torchvision, ImageNet, with either spelling of the layers in its blocks",
        models=(f"densenet_{number}",),
        recipe="resnet_rgb",
        recognizes=recognizes,
        build=fixed(_DENSENET),
        classes=classes_by("classifier.weight"),
        license=_TORCHVISION,
    )


def _resnet(number: str) -> NameMap:
    rules: tuple[Rule | Refuse, ...] = (
        *BESIDES,
        *trunk_rules("", number, ("conv1", "bn1"), BOTTLENECK),
        Rule(r"fc\.(weight|bias)", r"fc_action.\1"),
    )
    return NameMap(
        name=f"resnet{number}-torchvision",
        title=f"ResNet-{number} of torchvision, ImageNet, as a segment network's trunk and classifier",
        models=(f"tsn_resnet{number}",),
        recipe="resnet_rgb",
        recognizes=lambda foreign: is_trunk(shapes_of(foreign), "", ".weight", number),
        build=fixed(rules),
        classes=classes_by("fc.weight"),
        license=_TORCHVISION,
    )


MAPS: tuple[NameMap, ...] = (
    NameMap(
        name="squeezenet-caffe-decoded",
        title="SqueezeNet v1.0, ImageNet, decoded from the published compressed Caffe file",
        models=("squeezenet",),
        recipe="caffenet",
        recognizes=_is_squeezenet,
        build=fixed(_SQUEEZENET, keep=()),
        classes=classes_by("conv10.weight"),
    ),
    NameMap(
        name="squeezenet-torchvision",
        title="SqueezeNet v1.0 of torchvision, ImageNet; its ReLU behind the last convolution is left out here",
        models=("squeezenet",),
        recipe="resnet_rgb",
        recognizes=_is_torchvision_squeezenet,
        build=fixed((*BESIDES, *_SQUEEZENET_TORCHVISION), keep=()),
        classes=classes_by("classifier.1.weight"),
        license=_TORCHVISION,
    ),
    refusal(
        "squeezenet1_1-torchvision",
        "SqueezeNet v1.1 of torchvision, ImageNet",
        _is_squeezenet_1_1,
        why="SqueezeNet v1.1 is another network: 3×3 kernels in conv1, poolings at other places",
        remedy="give squeezenet1_0",
        recipe="resnet_rgb",
        license=_TORCHVISION,
    ),
    _resnet("50"),
    _resnet("101"),
    _resnet("152"),
    _densenet("121"),
    _densenet("169"),
    NameMap(
        name="alexnet-caffe",
        title="Caffe's reference AlexNet, ImageNet; bvlc_alexnet.caffemodel has the same names and shapes, and is "
        "right with the option norm_first=True only",
        models=("alexnet",),
        recipe="caffenet",
        recognizes=_is_caffenet,
        build=fixed(_CAFFENET, keep=(), prefixes=()),
        classes=classes_by("fc8[0]", axis=-2),
        license=_BVLC,
    ),
    refusal(
        "alexnet-torchvision",
        "AlexNet of torchvision, ImageNet",
        _is_torchvision_alexnet,
        why="torchvision's AlexNet is another network: 64, 192, 384, 256 and 256 channels, no groups, no "
        "normalization, 224 pixels",
        remedy="give Caffe's bvlc_reference_caffenet.caffemodel",
        recipe="resnet_rgb",
        license=_TORCHVISION,
    ),
)
"""All layouts of this module."""
