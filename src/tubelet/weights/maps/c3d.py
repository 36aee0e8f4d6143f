"""C3D's public weights: the Caffe release and its two best-known PyTorch ports.

========================== ============================================ ============================================
layout                     names of a layer with weights                classifier
========================== ============================================ ============================================
c3d-caffe                  conv1a … conv5b, fc6-1, fc7-1 (or fc6, fc7)  fc8-1 (Sports-1M), fc8 (UCF101)
c3d-torch-davidea          conv1, conv2, conv3a … conv5b, fc6, fc7      fc8
c3d-torch-mmaction         conv1a.conv … conv5b.conv, fc6, fc7          cls_head.fc_cls
c3d-torch-mmaction-trunk   the same                                     none
========================== ============================================ ============================================

Sources: facebook/C3D v1.0 (prototxts and ``caffe.proto``), DavideA/c3d-pytorch ``C3D_model.py``, mmaction2
``backbones/c3d.py``. Caffe keeps a fully connected layer as 1×1×1×N×K and a bias as 1×1×1×1×N; convolutions and the
order of fc6's inputs (C, T, H, W) are those of PyTorch. The ports pad pool5 on both sides where Caffe, and Tubelet,
lets the last window stick out: with the same weights they compute other numbers.
"""

from __future__ import annotations

from tubelet.models.contract import VideoModel
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.layout import BESIDES, NO_CLASSIFIER, PREFIXES, classes_by, shapes_of
from tubelet.weights.maps.name_map import NameMap
from tubelet.weights.rules import Keep, Rule, WeightMap
from tubelet.weights.transforms import TO_MATRIX, TO_VECTOR

_CAFFE_CLASSIFIERS = ("fc8-1[0]", "fc8[0]")
_MM_PREFIXES = (*PREFIXES, "backbone.")
_LATER = r"(conv3a|conv3b|conv4a|conv4b|conv5a|conv5b|fc6|fc7)"
_PART = r"(weight|bias)"
_LICENSE = "none of the weights was found in facebook/C3D"
_PADDED = "the port pads pool5 on both sides, here it is as in Caffe"


def _volume(shape: tuple[int, ...] | None) -> bool:
    """Whether a tensor is a 3-D convolution's kernel on three channels: (out, 3, T, H, W)."""
    return shape is not None and len(shape) == 5 and shape[1] == 3


def _caffe_like(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return _volume(shapes.get("conv1a[0]")) and "conv5b[0]" in shapes and bool({"fc6-1[0]", "fc6[0]"} & shapes.keys())


def _davidea_like(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign, PREFIXES)
    return _volume(shapes.get("conv1.weight")) and {"conv2.weight", "conv3b.weight", "fc6.weight"} <= shapes.keys()


def _mmaction_like(foreign: ForeignFile, with_head: bool) -> bool:
    shapes = shapes_of(foreign, _MM_PREFIXES)
    has_head = any(name.startswith("cls_head.") for name in shapes)
    return _volume(shapes.get("conv1a.conv.weight")) and "fc6.weight" in shapes and has_head == with_head


def _caffe_map(_: VideoModel) -> WeightMap:
    return WeightMap(
        (
            Rule(r"(conv\d[ab])\[0\]", r"\1.weight"),
            Rule(r"(conv\d[ab])\[1\]", r"\1.bias", (TO_VECTOR,)),
            Rule(r"(fc[678])(-1)?\[0\]", r"\1.weight", (TO_MATRIX,)),
            Rule(r"(fc[678])(-1)?\[1\]", r"\1.bias", (TO_VECTOR,)),
        )
    )


def _davidea_map(_: VideoModel) -> WeightMap:
    return WeightMap(
        (
            Rule(rf"(conv[12])\.{_PART}", r"\1a.\2"),
            Rule(rf"{_LATER}\.{_PART}", r"\1.\2"),
            Rule(rf"fc8\.{_PART}", r"fc8.\1"),
            *BESIDES,
        ),
        prefixes=PREFIXES,
    )


_MM_RULES = (
    Rule(rf"(?:backbone\.)?(conv\d[ab])\.conv\.{_PART}", r"\1.\2"),
    Rule(rf"(?:backbone\.)?(fc[67])\.{_PART}", r"\1.\2"),
    Rule(rf"cls_head\.fc_cls\.{_PART}", r"fc8.\1"),
    *BESIDES,
)


def _mmaction_map(_: VideoModel) -> WeightMap:
    return WeightMap(_MM_RULES, prefixes=PREFIXES)


def _trunk_map(_: VideoModel) -> WeightMap:
    return WeightMap(_MM_RULES, keep=(Keep(r"fc8\..+", NO_CLASSIFIER),), prefixes=PREFIXES)


MAPS = (
    NameMap(
        name="c3d-caffe",
        title="C3D v1.0 as Caffe saves it: Sports-1M (fc6-1, fc7-1, fc8-1) or UCF101 (fc6, fc7, fc8)",
        models=("c3d",),
        recipe="c3d_sports1m",
        recognizes=_caffe_like,
        build=_caffe_map,
        classes=classes_by(*_CAFFE_CLASSIFIERS, axis=-2),
        license=_LICENSE,
    ),
    NameMap(
        name="c3d-torch-davidea",
        title="c3d.pickle of DavideA/c3d-pytorch, Sports-1M: Caffe's weights by way of Keras, tested by their author "
        f"only qualitatively; they saw BGR minus the mean volume, for which channel means stand in; {_PADDED}",
        models=("c3d",),
        recipe="c3d_channel_mean",
        recognizes=_davidea_like,
        build=_davidea_map,
        classes=classes_by("fc8.weight", prefixes=PREFIXES),
        license=f"{_LICENSE}; the port is MIT",
    ),
    NameMap(
        name="c3d-torch-mmaction",
        title=f"C3D fine-tuned with mmaction2, which feeds it RGB minus (104, 117, 128); {_PADDED}",
        models=("c3d",),
        recipe="c3d_mmaction",
        recognizes=lambda foreign: _mmaction_like(foreign, with_head=True),
        build=_mmaction_map,
        classes=classes_by("cls_head.fc_cls.weight", prefixes=_MM_PREFIXES),
        license=f"{_LICENSE}; mmaction2 is Apache-2.0",
    ),
    NameMap(
        name="c3d-torch-mmaction-trunk",
        title="mmaction2's c3d_sports1m_pretrain, without a classifier: Caffe's weights, which saw BGR minus the mean "
        f"volume, for which channel means stand in (mmaction2 itself feeds them RGB minus (104, 117, 128)); {_PADDED}",
        models=("c3d",),
        recipe="c3d_channel_mean",
        recognizes=lambda foreign: _mmaction_like(foreign, with_head=False),
        build=_trunk_map,
        classes=lambda _: None,
        license=f"{_LICENSE}; mmaction2 is Apache-2.0",
    ),
)
"""All layouts of this module."""
