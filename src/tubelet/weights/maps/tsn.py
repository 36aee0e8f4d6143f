"""Temporal segment networks: the authors' Caffe and PyTorch releases, their ImageNet start, and mmaction2's.

Layer names of the Caffe release become ours with ``_`` in place of ``/`` and ``-``, as in the PyTorch release. Its
``BN`` layers keep scale, shift, mean and variance (yjxiong/caffe, branch action_recog); RGB, flow and differences of
RGB are told apart by the channels of the first convolution (temporal-segment-networks, tsn-pytorch models.py).
"""

from __future__ import annotations

from collections.abc import Callable

from tubelet.models.tsn import CHANNELS
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.layout import (
    BESIDES,
    caffe_norms,
    classes_by,
    fixed,
    is_kernel,
    refusal,
    shapes_of,
)
from tubelet.weights.maps.name_map import NameMap
from tubelet.weights.maps.resnet_rules import BOTTLENECK, MM_BOTTLENECK, is_trunk, trunk_rules
from tubelet.weights.rules import Refuse, Rule
from tubelet.weights.transforms import FRAME_AXIS, TO_MATRIX, TO_VECTOR

_ADVICE = "of the weights' use in products the author says to ask for legal advice (its issue 127)"
_CAFFE_LICENSE = f"temporal-segment-networks is BSD-2-Clause; {_ADVICE}"
_MM_LICENSE = "mmaction2 is Apache-2.0 and says nothing of the weights"

_BARE = "conv1_7x7_s2.weight"
_CAFFE_LAYER = r"(conv\d|inception_\d[a-e])/(\w+)"
_CAFFE = (
    Rule(r"fc-action\[0\]", "fc_action.weight", (TO_MATRIX,)),
    Rule(r"fc-action\[1\]", "fc_action.bias", (TO_VECTOR,)),
    *caffe_norms(rf"{_CAFFE_LAYER}_bn", r"\1_\2_bn"),
    Rule(rf"{_CAFFE_LAYER}\[0\]", r"\1_\2.weight", (FRAME_AXIS,)),
    Rule(rf"{_CAFFE_LAYER}\[1\]", r"\1_\2.bias", (TO_VECTOR,)),
)


def _torch_rules(prefix: str, head: str) -> tuple[Rule | Refuse, ...]:
    layer = rf"{prefix}((?:conv\d|inception_\d[a-e])_\w+)"
    return (
        *BESIDES,
        Rule(rf"{head}\.(weight|bias)", r"fc_action.\1"),
        Rule(rf"{layer}_bn\.num_batches_tracked", r"\1_bn.num_batches_tracked"),
        # The ImageNet files have (1,C) here, checkpoints that were trained from them (C,).
        Rule(rf"{layer}_bn\.(weight|bias|running_mean|running_var)", r"\1_bn.\2", (TO_VECTOR,)),
        Rule(rf"{layer}\.weight", r"\1.weight", (FRAME_AXIS,)),
        Rule(rf"{layer}\.bias", r"\1.bias"),
    )


def _sees(name: str, channels: int) -> Callable[[ForeignFile], bool]:
    return lambda foreign: is_kernel(shapes_of(foreign), name, channels=channels, side=7)


def _caffe(modality: str, recipe: str, files: str) -> NameMap:
    return NameMap(
        name=f"tsn-caffe-{modality}",
        title=f"Temporal segment networks on BN-Inception, the authors' Caffe release: {files}",
        models=("tsn_bn_inception",),
        recipe=recipe,
        recognizes=_sees("conv1/7x7_s2[0]", CHANNELS[modality]),
        build=fixed(_CAFFE, prefixes=()),
        classes=classes_by("fc-action[0]", axis=-2),
        options={"modality": modality},
        license=_CAFFE_LICENSE,
    )


def _converted(modality: str, recipe: str) -> NameMap:
    """The Caffe release's layers under torch's names, as its own converter writes them: Caffe's weights and pixels."""

    def recognizes(foreign: ForeignFile) -> bool:
        shapes = shapes_of(foreign)
        return is_kernel(shapes, _BARE, channels=CHANNELS[modality], side=7) and "fc_action.weight" in shapes

    return NameMap(
        name=f"tsn-caffe-converted-{modality}",
        title=f"Temporal segment networks on BN-Inception, the Caffe release converted for PyTorch, {modality}",
        models=("tsn_bn_inception",),
        recipe=recipe,
        recognizes=recognizes,
        build=fixed(_torch_rules("", "fc_action")),
        classes=classes_by("fc_action.weight"),
        options={"modality": modality},
        license=_CAFFE_LICENSE,
    )


def _is_image_network(foreign: ForeignFile) -> bool:
    shapes = shapes_of(foreign)
    return is_kernel(shapes, _BARE, channels=3, side=7) and "fc_action.weight" not in shapes


def _torch(modality: str, recipe: str) -> NameMap:
    return NameMap(
        name=f"tsn-torch-{modality.replace('_', '-')}",
        title=f"Temporal segment networks on BN-Inception, checkpoints of tsn-pytorch, {modality.replace('_', ' ')}",
        models=("tsn_bn_inception",),
        recipe=recipe,
        recognizes=_sees("base_model.conv1_7x7_s2.weight", CHANNELS[modality]),
        # Without dropout the release puts the classifier where ImageNet's was.
        build=fixed(_torch_rules(r"base_model\.", r"(?:new_fc|base_model\.fc)")),
        classes=classes_by("new_fc.weight", "base_model.fc.weight"),
        options={"modality": modality},
    )


def _is_rgb_trunk(prefix: str, conv: str, depth: str) -> Callable[[ForeignFile], bool]:
    def recognizes(foreign: ForeignFile) -> bool:
        shapes = shapes_of(foreign)
        return is_kernel(shapes, f"{prefix}conv1{conv}", channels=3) and is_trunk(shapes, prefix, conv, depth)

    return recognizes


def _is_other_trunk(prefix: str, conv: str) -> Callable[[ForeignFile], bool]:
    def recognizes(foreign: ForeignFile) -> bool:
        shapes = shapes_of(foreign)
        return not is_kernel(shapes, f"{prefix}conv1{conv}", channels=3) and is_trunk(shapes, prefix, conv)

    return recognizes


def _torch_resnet(depth: str) -> NameMap:
    rules: tuple[Rule | Refuse, ...] = (
        *BESIDES,
        *trunk_rules(r"base_model\.", depth, ("conv1", "bn1"), BOTTLENECK),
        Rule(r"(?:new_fc|base_model\.fc)\.(weight|bias)", r"fc_action.\1"),
    )
    return NameMap(
        name=f"tsn-torch-resnet{depth}",
        title=f"Temporal segment networks on ResNet-{depth}, checkpoints of tsn-pytorch, RGB",
        models=(f"tsn_resnet{depth}",),
        recipe="resnet_rgb",
        recognizes=_is_rgb_trunk("base_model.", ".weight", depth),
        build=fixed(rules),
        classes=classes_by("new_fc.weight", "base_model.fc.weight"),
    )


def _mmaction(depth: str) -> NameMap:
    rules: tuple[Rule | Refuse, ...] = (
        *BESIDES,
        Refuse(r"data_preprocessor\.(mean|std)", "means and scales, which the recipe has"),
        *trunk_rules(r"backbone\.", depth, (r"conv1\.conv", r"conv1\.bn"), MM_BOTTLENECK),
        Rule(r"cls_head\.fc_cls\.(weight|bias)", r"fc_action.\1"),
    )
    return NameMap(
        name=f"tsn-mmaction-resnet{depth}",
        title=f"Temporal segment networks on ResNet-{depth} of mmaction2, RGB",
        models=(f"tsn_resnet{depth}",),
        recipe="resnet_rgb",
        recognizes=_is_rgb_trunk("backbone.", ".conv.weight", depth),
        build=fixed(rules),
        classes=classes_by("cls_head.fc_cls.weight"),
        license=_MM_LICENSE,
    )


_SCALED = "its residual network saw flow or differences that were scaled by the spread of pixels, which no recipe does"

MAPS: tuple[NameMap, ...] = (
    _caffe("rgb", "tsn_rgb", "…_tsn_rgb_reference_bn_inception.caffemodel"),
    # Warped flow has as many channels, and a network of the same names: the file does not say which it saw.
    _caffe("flow", "flow_224", "…_tsn_flow_reference_bn_inception.caffemodel, also for warped flow"),
    _converted("rgb", "tsn_rgb"),
    _converted("flow", "flow_224"),
    NameMap(
        name="bn-inception-torch",
        title="BN-Inception, ImageNet, converted from Caffe for PyTorch (bn_inception-….pth), BGR",
        models=("tsn_bn_inception",),
        # Trained in Caffe, but both code bases that hand it out subtract this recipe's third mean.
        recipe="tsn_rgb_torch",
        recognizes=_is_image_network,
        build=fixed(_torch_rules("", "(?:fc|last_linear)")),
        classes=classes_by("fc.weight", "last_linear.weight"),
        options={"modality": "rgb"},
    ),
    _torch("rgb", "tsn_rgb_torch"),
    _torch("flow", "flow_224"),
    _torch("rgb_difference", "tsn_rgb_difference"),
    _torch_resnet("50"),
    _torch_resnet("101"),
    refusal(
        "tsn-torch-resnet-flow",
        "Temporal segment networks on ResNet, checkpoints of tsn-pytorch, flow or differences",
        _is_other_trunk("base_model.", ".weight"),
        why=_SCALED,
        remedy="give the RGB network, or a flow network on BN-Inception",
        recipe="flow_224",
    ),
    _mmaction("50"),
    _mmaction("101"),
    refusal(
        "tsn-mmaction-resnet-flow",
        "Temporal segment networks on ResNet of mmaction2, flow",
        _is_other_trunk("backbone.", ".conv.weight"),
        why=_SCALED,
        remedy="give the RGB network, or a flow network on BN-Inception",
        recipe="flow_224",
        license=_MM_LICENSE,
    ),
)
"""All layouts of this module."""
