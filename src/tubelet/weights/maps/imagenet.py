"""Image networks trained on ImageNet: torchvision's files, and Caffe's CaffeNet, SqueezeNet and ResNet.

Kernels get a frame axis, for the networks here see frames side by side. Key names are those of torchvision's models
(alexnet.py, densenet.py, resnet.py, squeezenet.py), of BVLC/caffe's bvlc_reference_caffenet, and of the prototxts of
forresti/SqueezeNet and KaimingHe/deep-residual-networks.
"""

from __future__ import annotations

from collections.abc import Mapping

from tubelet.models.densenet import BLOCKS
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.layout import (
    BESIDES,
    NORM,
    classes_by,
    counts,
    fixed,
    is_kernel,
    shapes_of,
)
from tubelet.weights.maps.name_map import NameMap
from tubelet.weights.maps.resnet_rules import (
    BOTTLENECK,
    DEPTHS,
    caffe_trunk_rules,
    is_caffe_trunk,
    is_trunk,
    trunk_rules,
)
from tubelet.weights.rules import Refuse, Rule
from tubelet.weights.transforms import FLATTENED, FRAME_AXIS, TO_MATRIX, TO_VECTOR

_TORCHVISION = "torchvision is BSD-3-Clause and says nothing of the weights, trained on ImageNet"
_BVLC = "released for unrestricted use (BVLC/caffe, readme.md of bvlc_reference_caffenet and of bvlc_alexnet)"

_FORRESTI = "SqueezeNet's repository, which has the weights, is under a BSD license"
_MSRA = "deep-residual-networks is MIT and says nothing of the weights"

_FIRES = {3: 2, 4: 3, 5: 4, 7: 5, 8: 6, 9: 7, 10: 8, 12: 9}
_FIRES_1_1 = {3: 2, 4: 3, 6: 4, 7: 5, 9: 6, 10: 7, 11: 8, 12: 9}
"""torchvision's position of a fire module in ``features`` → its number, in v1.0 and v1.1."""

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
_SQUEEZENET_CAFFE = (
    Rule(r"conv1\[0\]", "conv1.weight", (FRAME_AXIS,)),
    Rule(r"(fire\d)/squeeze1x1\[0\]", r"\1.squeeze.weight", (FRAME_AXIS,)),
    Rule(r"(fire\d)/squeeze1x1\[1\]", r"\1.squeeze.bias", (TO_VECTOR,)),
    Rule(r"(fire\d)/(expand1x1|expand3x3)\[0\]", r"\1.\2.weight", (FRAME_AXIS,)),
    Rule(r"(fire\d)/(expand1x1|expand3x3)\[1\]", r"\1.\2.bias", (TO_VECTOR,)),
    Rule(r"conv10\[0\]", "conv10.weight", (FLATTENED,)),
    Rule(r"(conv1|conv10)\[1\]", r"\1.bias", (TO_VECTOR,)),
)
_ALEXNET_TORCHVISION: tuple[Rule | Refuse, ...] = (
    *BESIDES,
    *(Rule(rf"features\.{i}\.weight", f"conv{n}.weight", (FRAME_AXIS,)) for n, i in enumerate((0, 3, 6, 8, 10), 1)),
    *(Rule(rf"features\.{i}\.bias", f"conv{n}.bias") for n, i in enumerate((0, 3, 6, 8, 10), 1)),
    *(Rule(rf"classifier\.{i}\.(weight|bias)", rf"fc{n}.\1") for n, i in enumerate((1, 4, 6), 6)),
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


def _is_caffenet(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return is_kernel(shapes, "conv1[0]", side=11) and is_kernel(shapes, "conv5[0]", side=3) and "fc6[0]" in shapes


def _is_torchvision_alexnet(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return is_kernel(shapes, "features.0.weight", side=11) and is_kernel(shapes, "features.10.weight", side=3)


def _squeezenet_torchvision(version: str, model: str, kernel: int, fires: Mapping[int, int]) -> NameMap:
    """``fires``: torchvision's position → the number of each fire module."""
    rules: tuple[Rule | Refuse, ...] = (
        *BESIDES,
        Rule(r"features\.0\.weight", "conv1.weight", (FRAME_AXIS,)),
        Rule(r"features\.0\.bias", "conv1.bias"),
        *(Rule(rf"features\.{i}{_FIRE}", rf"fire{n}.\1.weight", (FRAME_AXIS,)) for i, n in fires.items()),
        *(Rule(rf"features\.{i}{_FIRE_BIAS}", rf"fire{n}.\1.bias") for i, n in fires.items()),
        Rule(r"classifier\.1\.weight", "conv10.weight", (FLATTENED,)),
        Rule(r"classifier\.1\.bias", "conv10.bias"),
    )

    def recognizes(foreign: ForeignFile) -> bool:
        shapes = shapes_of(foreign)
        return is_kernel(shapes, "features.0.weight", side=kernel) and all(
            is_kernel(shapes, f"features.{i}.squeeze.weight", side=1) for i in fires
        )

    return NameMap(
        name=f"{model}-torchvision",
        title=f"SqueezeNet {version} of torchvision, ImageNet; its ReLU behind the last convolution is left out here",
        models=(model,),
        recipe="resnet_rgb",
        recognizes=recognizes,
        build=fixed(rules, keep=()),
        classes=classes_by("classifier.1.weight"),
        options={"side": 224},
        license=_TORCHVISION,
    )


def _squeezenet_caffe(version: str, model: str, kernel: int) -> NameMap:
    def recognizes(foreign: ForeignFile) -> bool:
        shapes = shapes_of(foreign)
        return is_kernel(shapes, "conv1[0]", side=kernel) and is_kernel(shapes, "fire2/squeeze1x1[0]", side=1)

    return NameMap(
        name=f"{model}-caffe",
        title=f"SqueezeNet {version}, its authors' Caffe file, ImageNet; its ReLU behind conv10 is left out here",
        models=(model,),
        recipe="caffenet",
        recognizes=recognizes,
        build=fixed(_SQUEEZENET_CAFFE, keep=(), prefixes=()),
        classes=classes_by("conv10[0]"),
        license=_FORRESTI,
    )


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


def _resnet_caffe(number: str) -> NameMap:
    rules: tuple[Rule | Refuse, ...] = (
        *caffe_trunk_rules(number),
        Rule(r"fc1000\[0\]", "fc_action.weight", (TO_MATRIX,)),
        Rule(r"fc1000\[1\]", "fc_action.bias", (TO_VECTOR,)),
    )
    return NameMap(
        name=f"resnet{number}-caffe",
        title=f"ResNet-{number} of He et al.'s Caffe release, ImageNet, as a segment network's trunk and classifier",
        models=(f"tsn_resnet{number}",),
        recipe="resnet_bgr",
        recognizes=lambda foreign: is_caffe_trunk(shapes_of(foreign), number),
        build=fixed(rules, prefixes=()),
        classes=classes_by("fc1000[0]", axis=-2),
        options={"style": "caffe"},
        license=_MSRA,
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
    _squeezenet_caffe("v1.0", "squeezenet", 7),
    _squeezenet_caffe("v1.1", "squeezenet1_1", 3),
    _squeezenet_torchvision("v1.0", "squeezenet", 7, _FIRES),
    _squeezenet_torchvision("v1.1", "squeezenet1_1", 3, _FIRES_1_1),
    *(_resnet_caffe(number) for number in DEPTHS),
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
    NameMap(
        name="alexnet-torchvision",
        title="AlexNet of torchvision, ImageNet: one tower, no groups, no normalization",
        models=("alexnet_owt",),
        recipe="resnet_rgb",
        recognizes=_is_torchvision_alexnet,
        build=fixed(_ALEXNET_TORCHVISION, keep=()),
        classes=classes_by("classifier.6.weight"),
        license=_TORCHVISION,
    ),
)
"""All layouts of this module."""
