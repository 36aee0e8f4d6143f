"""Public weights of residual 3-D networks: Caffe's Res3D, torchvision's R3D, MC3 and R(2+1)D, VMZ's R(2+1)D-34.

==================== ============ ====================================== ===========================================
layout               network      convolutions of a block                what differs from the network's defaults
==================== ============ ====================================== ===========================================
res3d-caffe          res3d_18     res2a_branch2a, _branch2b, _branch1    a projection in res2a
r3d-torchvision      res3d_18     layer1.0.conv1.0, .conv2.0, downsample clips of 16 frames
mc3-torchvision      mc3_18       the same                               the same, and a norm's epsilon of 1e-5
r2plus1d-torchvision r2plus1d_18  layer1.0.conv1.0.0, .conv1.0.3, …      the same, and fewer channels between factors
r2plus1d34-vmz       r2plus1d_34  the same                               nothing: 8 frames, VMZ's channels and epsilon
==================== ============ ====================================== ===========================================

In Caffe a norm is two layers, bn2a_branch2a (mean, variance, factor) and scale2a_branch2a (gamma, beta), at conv1
bn_conv1 and scale_conv1; the classifier is fc8 (Sports-1M) or fc8-new (UCF101). torchvision computes the channels
between the factors once for a block, ⌊27·C·C' / (9·C + 3·C')⌋ from C that enter: 230, 460, 921 where the second
convolutions of stages 3 to 5 have 288, 576, 1152 in VMZ.

Sources: facebook/C3D v1.1 ``train_resnet18_r2.prototxt`` and ``c3d_resnet18_ucf101_feature_extraction.prototxt``;
torchvision ``models/video/resnet.py``; VMZ ``pt/vmz/models/r2plus1d.py`` and ``utils.py``. VMZ's PyTorch files have
torchvision's names and its own channels and epsilon; those of 152 layers, in bottlenecks, fit no network here.
"""

from __future__ import annotations

from tubelet.models.contract import VideoModel
from tubelet.models.r2plus1d import BLOCKS as R2PLUS1D_BLOCKS
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.layout import (
    BESIDES,
    PREFIXES,
    UNCOUNTED,
    caffe_scaled_norm,
    classes_by,
    counts,
    shapes_of,
)
from tubelet.weights.maps.name_map import NameMap
from tubelet.weights.rules import Rule, WeightMap
from tubelet.weights.transforms import TO_MATRIX, TO_VECTOR

_TORCHVISION_LICENSE = "torchvision is BSD-3-Clause and says nothing of the weights, trained on Kinetics-400"
_KINETICS = "torchvision's {} trained on Kinetics-400, 16 frames a clip"


def _caffe_like(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    telling = {"bn_conv1[0]", "res2a_branch1[0]", "res2b_branch2b[0]"}
    # P3D's blocks have the same names and a third branch.
    return len(shapes.get("conv1[0]", ())) == 5 and telling <= shapes.keys() and "res2a_branch2c[0]" not in shapes


def _torchvision_kind(foreign: ForeignFile) -> str | None:
    """Which network with torchvision's names a file holds, by these and its kernels."""
    shapes = shapes_of(foreign, PREFIXES)
    if len(shapes.get("stem.0.weight", ())) != 5:
        return None
    first, second = (shapes.get(f"layer2.0.conv{i}.0.0.weight", ()) for i in (1, 2))
    if len(first) == 5 == len(second):
        if first[0] == second[0]:
            return "r2plus1d"
        # The channels of VMZ, and therefore its epsilon.
        return "r2plus1d34" if counts(shapes, r"layer(\d)\.(\d+)\.") == R2PLUS1D_BLOCKS["r2plus1d_34"] else None
    depths = tuple(shapes[name][2] for name in _PLAIN if len(shapes.get(name, ())) == 5)
    return "r3d" if depths == (3, 3, 3, 3) else "mc3" if depths == (3, 1, 1, 1) else None


_PLAIN = tuple(f"layer{stage}.0.conv1.0.weight" for stage in (1, 2, 3, 4))


def _caffe_map(_: VideoModel) -> WeightMap:
    block = r"(\d[a-z])_(branch1|branch2a|branch2b)"
    rules = (
        Rule(r"conv1\[0\]", "conv1.weight"),
        Rule(rf"res{block}\[0\]", r"res\1.\2.weight"),
        Rule(r"fc8(-new)?\[0\]", "fc.weight", (TO_MATRIX,)),
        Rule(r"fc8(-new)?\[1\]", "fc.bias", (TO_VECTOR,)),
        *caffe_scaled_norm(rf"bn{block}", rf"scale{block}", r"res\1.\2_bn", r"bn\1_\2[2]"),
        *caffe_scaled_norm("bn_conv1", "scale_conv1", "conv1_bn", "bn_conv1[2]"),
    )
    return WeightMap(rules, keep=(UNCOUNTED,))


def _torchvision_map(model: VideoModel) -> WeightMap:
    factored = "conv1.middle.weight" in model.state_dict()
    places = _convolution(r"stem\.0", "conv1", r"stem\.1") if not factored else _factors("stem", 0, "conv1", r"stem\.4")
    for name in model.layer_names:
        if not name.startswith("res"):
            continue
        block = rf"layer{int(name[3]) - 1}\.{ord(name[4]) - ord('a')}"
        for i, branch in ((1, "branch2a"), (2, "branch2b")):
            norm = rf"{block}\.conv{i}\.1"
            if factored:
                places += _factors(rf"{block}\.conv{i}\.0", 0, f"{name}.{branch}", norm)
            else:
                places += _convolution(rf"{block}\.conv{i}\.0", f"{name}.{branch}", norm)
        places += _convolution(rf"{block}\.downsample\.0", f"{name}.branch1", rf"{block}\.downsample\.1")
    rules = [Rule(rf"{source}\.(\w+)", rf"{target}.\1") for source, target in places]
    return WeightMap((*rules, Rule(r"fc\.(\w+)", r"fc.\1"), *BESIDES), keep=(UNCOUNTED,), prefixes=PREFIXES)


def _convolution(source: str, target: str, norm: str) -> list[tuple[str, str]]:
    return [(source, target), (norm, f"{target}_bn")]


def _factors(sequence: str, first: int, target: str, norm: str) -> list[tuple[str, str]]:
    """A sequence of convolution in space, norm, ReLU, convolution in time; the norm behind it lies elsewhere."""
    inside = [(first, "middle"), (first + 1, "middle_bn"), (first + 3, "time")]
    return [*((rf"{sequence}\.{i}", f"{target}.{part}") for i, part in inside), (norm, f"{target}_bn")]


def _torchvision(kind: str, network: str, title: str, **options: object) -> NameMap:
    return NameMap(
        name=f"{kind}-torchvision",
        title=_KINETICS.format(title),
        models=(network,),
        recipe="r3d_kinetics",
        recognizes=lambda foreign: _torchvision_kind(foreign) == kind,
        build=_torchvision_map,
        classes=classes_by("fc.weight", prefixes=PREFIXES),
        options={"clip_length": 16, **options},
        license=_TORCHVISION_LICENSE,
    )


MAPS = (
    NameMap(
        name="res3d-caffe",
        title="Res3D-18 as Caffe saves it (C3D v1.1): Sports-1M (fc8) or UCF101 (fc8-new)",
        models=("res3d_18",),
        recipe="res3d",
        recognizes=_caffe_like,
        build=_caffe_map,
        classes=classes_by("fc8[0]", "fc8-new[0]", axis=-2),
        options={"projection": True},
        license="none of the weights was found in facebook/C3D",
    ),
    _torchvision("r3d", "res3d_18", "R3D-18"),
    _torchvision("mc3", "mc3_18", "MC3-18", epsilon=1e-5),
    _torchvision("r2plus1d", "r2plus1d_18", "R(2+1)D-18", epsilon=1e-5, shared_middle=True),
    NameMap(
        name="r2plus1d34-vmz",
        title="R(2+1)D-34 of VMZ's PyTorch code: IG-65M, Kinetics-400; 8 frames a clip, or 32 (clip_length=32)",
        models=("r2plus1d_34",),
        recipe="r3d_kinetics",
        recognizes=lambda foreign: _torchvision_kind(foreign) == "r2plus1d34",
        build=_torchvision_map,
        classes=classes_by("fc.weight", prefixes=PREFIXES),
        license="VMZ is Apache-2.0 (pt/README.md), moabitcoin/ig65m-pytorch is MIT; neither speaks of the weights",
    ),
)
"""All layouts of this module."""
