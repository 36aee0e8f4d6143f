"""Pseudo-3D residual networks: the authors' Caffe networks, the popular PyTorch port, the authors' later code.

Caffe's layers are called as ours are, with the block and the branch joined by ``_`` and norms called ``bn2a_branch2a``
(ZhaofanQiu/pseudo-3d-residual-networks, deploy prototxts). The port counts blocks within stages and calls S ``conv2``,
T ``conv3`` and the last convolution ``conv4``; its res5 is 2-D (qijiezhao/pseudo-3d-pytorch, p3d_model.py). Its
weights were converted from the Caffe files, says its README. They run here with the Caffe networks' arithmetic and
recipe: the port itself rectifies T, adds without halves and pads its first pooling, and scales pixels otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from tubelet.models.contract import VideoModel
from tubelet.models.resnet import block_names
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.layout import (
    BESIDES,
    NORM,
    PREFIXES,
    UNCOUNTED,
    Shapes,
    caffe_norms,
    counts,
    fixed,
    is_kernel,
    refusal,
    shapes_of,
)
from tubelet.weights.maps.name_map import NameMap
from tubelet.weights.maps.resnet_rules import block_rules
from tubelet.weights.rules import Refuse, Rule, WeightMap
from tubelet.weights.transforms import FRAME_AXIS, TO_MATRIX, TO_VECTOR

_DEPTHS = {"63": (3, 4, 6, 3), "131": (3, 4, 23, 3), "199": (3, 8, 36, 3)}
_MODALITIES = {"rgb": (3, "p3d_rgb"), "flow": (2, "flow_160")}

_LICENSE = "pseudo-3d-residual-networks is MIT and says nothing of the weights"

_BLOCK = r"([2-5][a-z]\d*)"
_BRANCH = r"branch(1|2[abc]|2b_t)"
_CAFFE = (
    Rule(r"conv1\[0\]", "conv1.weight"),
    *caffe_norms("bn_conv1", "conv1_bn"),
    # The last stage is 2-D: its kernels have four sides.
    Rule(rf"res(5[a-z]\d*)_{_BRANCH}\[0\]", r"res\1.branch\2.weight", (FRAME_AXIS,)),
    Rule(rf"res{_BLOCK}_{_BRANCH}\[0\]", r"res\1.branch\2.weight"),
    *caffe_norms(rf"bn{_BLOCK}_{_BRANCH}", r"res\1.branch\2_bn"),
    # The last names are those of networks that were fine-tuned.
    Rule(r"fc(?:_kinetics|_sports1m|_\w+)?\[0\]", "fc.weight", (TO_MATRIX,)),
    Rule(r"fc(?:_kinetics|_sports1m|_\w+)?\[1\]", "fc.bias", (TO_VECTOR,)),
)

_SHORTCUT = {r"downsample\.0": (r"downsample\.1", "branch1")}
_PSEUDO_3D = {
    "conv1": ("bn1", "branch2a"),
    "conv2": ("bn2", "branch2b"),
    "conv3": ("bn3", "branch2b_t"),
    "conv4": ("bn4", "branch2c"),
    **_SHORTCUT,
}
_FLAT = {
    "conv1": ("bn1", "branch2a"),
    "conv_normal": ("bn_normal", "branch2b"),
    "conv4": ("bn4", "branch2c"),
    **_SHORTCUT,
}


def _torch_rules(model: VideoModel) -> WeightMap:
    rules: list[Rule | Refuse] = [
        *BESIDES,
        Rule(r"conv1_custom\.weight", "conv1.weight"),
        Rule(rf"bn1\.{NORM}", r"conv1_bn.\1"),
        Rule(r"fc\.(weight|bias)", r"fc.\1"),
    ]
    names = block_names(model.options["depths"], numbered=model.name != "p3d_63")
    for stage in range(1, 5):
        blocks = {str(i): name for i, name in enumerate(name for name in names if name[3] == str(stage + 1))}
        if (first := f"res{stage + 1}b") + "1" in blocks.values():
            blocks = {"0": blocks["0"], r"([1-9]\d*)": rf"{first}\1"}
        rules += block_rules("", blocks, stage, _FLAT if stage == 4 else _PSEUDO_3D, flat=stage == 4)
    return WeightMap((*rules,), (UNCOUNTED,), PREFIXES)


def _is_port(modality: str, depth: str) -> Callable[[ForeignFile], bool]:
    def recognizes(foreign: ForeignFile) -> bool:
        shapes = shapes_of(foreign)
        return (
            is_kernel(shapes, "conv1_custom.weight", 5, channels=_MODALITIES[modality][0])
            and is_kernel(shapes, "layer4.0.conv_normal.weight", side=3)
            and counts(shapes, r"layer(\d)\.(\d+)\.") == _DEPTHS[depth]
        )

    return recognizes


def _is_caffe(modality: str) -> Callable[[ForeignFile], bool]:
    def recognizes(foreign: ForeignFile) -> bool:
        shapes = shapes_of(foreign)
        return (
            is_kernel(shapes, "conv1[0]", 5, channels=_MODALITIES[modality][0])
            and is_kernel(shapes, "res2a_branch2b_t[0]", 5)
            and counts(shapes, r"res(\d)([a-z]\d*)_branch2a\[0\]") == _DEPTHS["199"]
        )

    return recognizes


def _is_later(foreign: ForeignFile) -> bool:
    shapes: Shapes = shapes_of(foreign)
    return (
        is_kernel(shapes, "conv1.weight", 5)
        and is_kernel(shapes, "layer1.0.conv1.weight", 5)
        and ("layer1.0.conv2_t.weight" in shapes)
    )


def _caffe_classes(foreign: ForeignFile) -> int | None:
    heads = [s for name, s in shapes_of(foreign).items() if name.startswith("fc") and name.endswith("[0]")]
    return heads[0][-2] if len(heads) == 1 and len(heads[0]) >= 2 else None


def _torch_classes(foreign: ForeignFile) -> int | None:
    shape = shapes_of(foreign).get("fc.weight", ())
    return shape[0] if len(shape) == 2 else None


def _caffe(modality: str) -> NameMap:
    return NameMap(
        name=f"p3d-caffe-{modality}",
        title=f"P3D-199, the authors' Caffe networks (Sports-1M or Kinetics), {modality}",
        models=("p3d_199",),
        recipe=_MODALITIES[modality][1],
        recognizes=_is_caffe(modality),
        build=fixed(_CAFFE, prefixes=()),
        classes=_caffe_classes,
        options={"modality": modality},
        license=_LICENSE,
    )


def _port(modality: str, depth: str) -> NameMap:
    return NameMap(
        name=f"p3d{depth}-torch-qzhao-{modality}",
        title=f"P3D-{depth}, PyTorch port of the Caffe networks (p3d_{modality}_{depth}.checkpoint.pth.tar); "
        "run with the Caffe networks' arithmetic and pixels, not the port's",
        models=(f"p3d_{depth}",),
        recipe=_MODALITIES[modality][1],
        recognizes=_is_port(modality, depth),
        build=_torch_rules,
        classes=_torch_classes,
        options={"modality": modality},
        license=f"{_LICENSE}; so is pseudo-3d-pytorch",
    )


MAPS: tuple[NameMap, ...] = (
    *(_caffe(modality) for modality in _MODALITIES),
    *(_port(modality, depth) for modality in _MODALITIES for depth in _DEPTHS),
    refusal(
        "p3d-torch-qiu",
        "P3D-ResNet, the authors' later PyTorch code",
        _is_later,
        why="it is a later network of the same name: one norm behind S and T together, no halves, the stride in S, "
        "a first kernel several frames deep and a pseudo-3D last stage",
        remedy="give the Caffe networks of P3D-199 or their PyTorch port",
        recipe="p3d_rgb",
    ),
)
"""All layouts of this module."""
