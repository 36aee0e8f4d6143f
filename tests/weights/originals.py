"""Files as the code bases that published weights would have written them, from small networks of ours.

Names go from ours to theirs here, and from theirs to ours in the maps: the two are written down separately.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from made_files import caffemodel, write
from safetensors.torch import save_file
from torch import Tensor

from tubelet.models.contract import VideoModel

Named = list[tuple[str, str, Tensor]]
"""Our name, theirs, and the tensor as they store it."""

CLASSES = 7
BLOBS = {"weight": 0, "bias": 1, "running_mean": 2, "running_var": 3}
SMALL = {"width": 1 / 16}
PARTS = {"branch2a": "1", "branch2b": "2", "branch2c": "3"}
P3D_PARTS = {"branch2a": "1", "branch2b": "2", "branch2b_t": "3", "branch2c": "4"}


@dataclass(frozen=True)
class Original:
    """A file to write: which map is for it, the network that it is made from, and how it is written."""

    layout: str
    model: str
    names: Callable[[str, Tensor], tuple[str, Tensor] | None]
    options: dict[str, Any] = field(default_factory=dict)
    form: str = "torch"
    nested: bool = False
    variant: str = ""
    fits: bool = True

    @property
    def label(self) -> str:
        return f"{self.layout}{self.variant and '-'}{self.variant}"

    def named(self, model: VideoModel) -> Named:
        found = ((ours, self.names(ours, tensor)) for ours, tensor in model.state_dict().items())
        return [(ours, *theirs) for ours, theirs in found if theirs is not None]

    def write(self, path: Path, named: Named) -> Path:
        tensors = OrderedDict((theirs, tensor.contiguous()) for _, theirs, tensor in named)
        if self.form == "safetensors":
            save_file(dict(tensors), path)
        elif self.form == "torch":
            state = OrderedDict((f"module.{name}", tensor) for name, tensor in tensors.items())
            torch.save({"epoch": 3, "state_dict": state, "best_prec1": 61.5} if self.nested else tensors, path)
        else:
            layers: dict[str, list[Any]] = {}
            for name, tensor in tensors.items():
                layer, index = name[:-3], int(name[-2])
                blobs = layers.setdefault(layer, [])
                assert index == len(blobs)
                blobs.append(legacy(tensor) if self.form == "legacy" else tensor.numpy())
            layout, numbering = ("V1", "legacy") if self.form == "legacy" else ("V2", "shape")
            kinds = [(name, 4 if layout == "V1" else "Made", blobs) for name, blobs in layers.items()]
            write(path, caffemodel(kinds, layout, numbering))
        return path


def legacy(tensor: Tensor) -> Any:
    """Four sides: norms (1,C) have their ones behind, everything else in front."""
    sides = tuple(tensor.shape)
    four = (*sides, 1, 1) if len(sides) == 2 and sides[0] == 1 else (1,) * (4 - len(sides)) + sides
    return np.ascontiguousarray(tensor.numpy().reshape(four))


def flat(tensor: Tensor) -> Tensor:
    return tensor.squeeze(2) if tensor.ndim == 5 else tensor


def place(block: str) -> tuple[int, int]:
    """res4b12 → (3, 12); res3c → (2, 2): stage and block as torch counts them."""
    tail = block[4:]
    return int(block[3]) - 1, int(tail[1:]) if len(tail) > 1 else ord(tail) - ord("a")


# Networks over frames


def squeezenet(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    return ours, tensor[:, :, None, None] if ours == "conv10.weight" else flat(tensor)


def torchvision_squeezenet(*places: int) -> Callable[[str, Tensor], tuple[str, Tensor]]:
    """``places`` of fire2 to fire9 in ``features``."""

    def names(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
        theirs, tensor = squeezenet(ours, tensor)
        theirs = re.sub(r"^fire(\d)", lambda match: f"features.{places[int(match[1]) - 2]}", theirs)
        return theirs.replace("conv10.", "classifier.1.").replace("conv1.", "features.0."), tensor

    return names


def squeezenet_caffe(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    theirs, tensor = squeezenet(ours, tensor)
    *layer, kind = theirs.replace("squeeze.", "squeeze1x1.").split(".")
    return f"{'/'.join(layer)}[{BLOBS[kind]}]", tensor


def torchvision_alexnet(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    layer, kind = ours.split(".")
    places = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
    place = f"features.{places[layer]}" if layer in places else f"classifier.{({'fc6': 1, 'fc7': 4, 'fc8': 6})[layer]}"
    return f"{place}.{kind}", flat(tensor)


def resnet(ours: str, tensor: Tensor, prefix: str = "", head: str = "fc") -> tuple[str, Tensor]:
    parts = ours.split(".")
    if parts[0] == "fc_action":
        return f"{head}.{parts[1]}", tensor
    if parts[0].startswith("conv1"):
        return f"{prefix}{'bn1' if parts[0].endswith('_bn') else 'conv1'}.{parts[1]}", flat(tensor)
    (stage, index), (branch, norm) = place(parts[0]), (parts[1].removesuffix("_bn"), parts[1].endswith("_bn"))
    if branch == "branch1":
        layer = f"downsample.{int(norm)}"
    else:
        layer = ("bn" if norm else "conv") + PARTS[branch]
    return f"{prefix}layer{stage}.{index}.{layer}.{parts[2]}", flat(tensor)


def tsn_resnet(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    return resnet(ours, tensor, "base_model.", "new_fc")


def mmaction(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    theirs, tensor = resnet(ours, tensor, "backbone.", "cls_head.fc_cls")
    theirs = theirs.replace("downsample.0", "downsample.conv").replace("downsample.1", "downsample.bn")
    theirs = re.sub(r"conv(\d)\.weight", r"conv\1.conv.weight", theirs)
    return re.sub(r"\bbn(\d)\.", r"conv\1.bn.", theirs), tensor


def densenet(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    if ours.startswith("classifier"):
        return ours, tensor
    return "features." + ours.replace("conv0_bn", "norm0"), flat(tensor)


def dotted_densenet(ours: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    theirs, tensor = densenet(ours, tensor)
    if theirs.endswith("num_batches_tracked"):  # as old as the dots
        return None
    return re.sub(r"(layer\d+\.(?:norm|conv))(\d)", r"\1.\2", theirs), tensor


def caffe_frames(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    layer, kind = ours.split(".")
    return f"{layer.replace('full', 'fc')}[{BLOBS[kind]}]", flat(tensor)


# Temporal segment networks


def tsn_caffe(ours: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    layer, kind = ours.split(".")
    if kind not in BLOBS:
        return None
    tensor = tensor[None] if layer.endswith("_bn") else flat(tensor)
    if layer == "fc_action":
        return f"fc-action[{BLOBS[kind]}]", tensor
    group = re.match(r"conv\d|inception_\d[a-e]", layer)
    assert group is not None
    return f"{group[0]}/{layer[len(group[0]) + 1 :]}[{BLOBS[kind]}]", tensor


def bn_inception(ours: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    layer, kind = ours.split(".")
    if kind not in BLOBS:
        return None
    return f"{'fc' if layer == 'fc_action' else layer}.{kind}", tensor[None] if layer.endswith("_bn") else flat(tensor)


def converted_tsn(ours: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    theirs = bn_inception(ours, tensor)
    return None if theirs is None else (re.sub(r"^fc\.", "fc_action.", theirs[0]), theirs[1])


def squeezed_bn_inception(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    return ours.replace("fc_action", "last_linear"), flat(tensor)


def tsn_torch(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    return ours.replace("fc_action", "new_fc") if ours[:2] == "fc" else f"base_model.{ours}", flat(tensor)


def tsn_torch_without_dropout(ours: str, tensor: Tensor) -> tuple[str, Tensor]:
    return f"base_model.{ours.replace('fc_action', 'fc')}", flat(tensor)


# Pseudo-3D networks


def p3d_caffe(head: str) -> Callable[[str, Tensor], tuple[str, Tensor] | None]:
    def names(ours: str, tensor: Tensor) -> tuple[str, Tensor] | None:
        *module, kind = ours.split(".")
        if kind not in BLOBS:
            return None
        if module == ["fc"]:
            layer = head
        elif module[-1].endswith("_bn"):
            layer = "bn_conv1" if len(module) == 1 else f"bn{module[0][3:]}_{module[1].removesuffix('_bn')}"
            tensor = tensor[None]
        else:
            layer = "_".join(module)
            tensor = flat(tensor) if layer.startswith("res5") else tensor
        return f"{layer}[{BLOBS[kind]}]", tensor

    return names


def p3d_torch(ours: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    *module, kind = ours.split(".")
    if kind == "num_batches_tracked":  # written by torch 0.2
        return None
    norm = module[-1].endswith("_bn")
    if module == ["fc"]:
        return ours, tensor
    if len(module) == 1:
        return f"{'bn1' if norm else 'conv1_custom'}.{kind}", tensor
    (stage, index), branch = place(module[0]), module[1].removesuffix("_bn")
    if branch == "branch1":
        layer = f"downsample.{int(norm)}"
    elif stage == 4 and branch == "branch2b":
        layer = "bn_normal" if norm else "conv_normal"
    else:
        layer = ("bn" if norm else "conv") + P3D_PARTS[branch]
    return f"layer{stage}.{index}.{layer}.{kind}", flat(tensor) if stage == 4 else tensor


def flow(**options: Any) -> dict[str, Any]:
    return {"modality": "flow", **SMALL, **options}


def _p3d_ports() -> Iterator[Original]:
    for depth in ("63", "131", "199"):
        for modality in ("rgb", "flow"):
            yield Original(
                f"p3d{depth}-torch-qzhao-{modality}",
                f"p3d_{depth}",
                p3d_torch,
                SMALL | {"modality": modality},
                nested=modality == "flow",
            )


ORIGINALS = (
    Original("squeezenet-caffe-decoded", "squeezenet", squeezenet, SMALL, "safetensors"),
    Original("squeezenet-torchvision", "squeezenet", torchvision_squeezenet(3, 4, 5, 7, 8, 9, 10, 12), SMALL),
    Original("squeezenet1_1-torchvision", "squeezenet1_1", torchvision_squeezenet(3, 4, 6, 7, 9, 10, 11, 12), SMALL),
    Original("squeezenet-caffe", "squeezenet", squeezenet_caffe, SMALL, "caffe"),
    Original("squeezenet1_1-caffe", "squeezenet1_1", squeezenet_caffe, SMALL, "caffe"),
    Original("alexnet-torchvision", "alexnet_owt", torchvision_alexnet, {"width": 1 / 32}),
    Original("alexnet-torchvision", "alexnet_owt", torchvision_alexnet, {"width": 1 / 32}, nested=True, variant="run"),
    Original("resnet50-torchvision", "tsn_resnet50", resnet, SMALL),
    Original("resnet101-torchvision", "tsn_resnet101", resnet, SMALL, nested=True),
    Original("resnet152-torchvision", "tsn_resnet152", resnet, SMALL),
    Original("densenet121-torchvision", "densenet_121", dotted_densenet, {"growth": 2, "stem": 8}, variant="dotted"),
    Original("densenet121-torchvision", "densenet_121", densenet, {"growth": 2, "stem": 8}),
    Original("densenet169-torchvision", "densenet_169", densenet, {"growth": 2, "stem": 8}, nested=True),
    Original("alexnet-caffe", "alexnet", caffe_frames, {"width": 1 / 32, "side": 99}, "legacy"),
    Original("alexnet-caffe", "alexnet", caffe_frames, {"width": 1 / 32, "side": 99}, "caffe", variant="v2"),
    Original("two-stream-vgg-m-caffe", "two_stream_spatial", caffe_frames, {"width": 1 / 32, "side": 96}, "legacy"),
    Original("tsn-caffe-rgb", "tsn_bn_inception", tsn_caffe, SMALL, "caffe"),
    Original("tsn-caffe-flow", "tsn_bn_inception", tsn_caffe, flow(), "legacy"),
    Original("tsn-caffe-converted-rgb", "tsn_bn_inception", converted_tsn, SMALL),
    Original("tsn-caffe-converted-flow", "tsn_bn_inception", converted_tsn, flow()),
    Original("bn-inception-torch", "tsn_bn_inception", bn_inception, SMALL),
    Original("bn-inception-torch", "tsn_bn_inception", squeezed_bn_inception, SMALL, variant="squeezed"),
    Original("tsn-torch-rgb", "tsn_bn_inception", tsn_torch, SMALL, nested=True),
    Original("tsn-torch-rgb", "tsn_bn_inception", tsn_torch_without_dropout, SMALL, nested=True, variant="fc"),
    Original("tsn-torch-flow", "tsn_bn_inception", tsn_torch, flow(), nested=True),
    Original(
        "tsn-torch-rgb-difference", "tsn_bn_inception", tsn_torch, SMALL | {"modality": "rgb_difference"}, nested=True
    ),
    Original("tsn-torch-resnet50", "tsn_resnet50", tsn_resnet, SMALL, nested=True),
    Original("tsn-torch-resnet101", "tsn_resnet101", tsn_resnet, SMALL, nested=True),
    Original("tsn-torch-resnet-flow", "tsn_resnet50", tsn_resnet, flow(), nested=True, fits=False),
    Original("tsn-mmaction-resnet50", "tsn_resnet50", mmaction, SMALL, nested=True),
    Original("tsn-mmaction-resnet101", "tsn_resnet101", mmaction, SMALL),
    Original("tsn-mmaction-resnet-flow", "tsn_resnet101", mmaction, flow(), fits=False),
    Original("p3d-caffe-rgb", "p3d_199", p3d_caffe("fc_sports1m"), SMALL, "caffe"),
    Original("p3d-caffe-flow", "p3d_199", p3d_caffe("fc_kinetics"), flow(), "caffe"),
    *_p3d_ports(),
)


def _other(*shapes: tuple[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.zeros(shape) for name, shape in shapes}


STRANGERS: dict[str, dict[str, Tensor]] = {
    "p3d-torch-qiu": _other(
        ("conv1.weight", (4, 3, 4, 7, 7)),
        ("layer1.0.conv1.weight", (4, 4, 1, 1, 1)),
        ("layer1.0.conv2.weight", (4, 4, 1, 3, 3)),
        ("layer1.0.conv2_t.weight", (4, 4, 3, 1, 1)),
        ("layer4.0.conv2_t.weight", (4, 4, 3, 1, 1)),
        ("fc.weight", (7, 4)),
    ),
}
"""Layouts that fit no network here, by the map that says so."""
