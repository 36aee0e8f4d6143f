"""TSN (spec two_stream_tsn_p3d_t3d.md, section 2)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Tally, Weights
from suites.cases.squeezenet import maps_before_conv10, up_to_fire9

_CHANNELS = {"rgb": 3, "rgb_difference": 15, "flow": 10, "warped_flow": 10}

# Section 2.2: 1×1 | 3×3 reduce, 3×3 | double reduce, first, second | projection; a dash in the table is 0 here.
_BLOCKS = {
    "3a": (64, 64, 64, 64, 96, 96, 32),
    "3b": (64, 64, 96, 64, 96, 96, 64),
    "3c": (0, 128, 160, 64, 96, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128, 128),
    "4c": (160, 128, 160, 128, 160, 160, 128),
    "4d": (96, 128, 192, 160, 192, 192, 128),
    "4e": (0, 128, 192, 192, 256, 256, 0),
    "5a": (352, 192, 320, 160, 224, 224, 128),
    "5b": (352, 192, 320, 192, 224, 224, 128),
}


# ---------------------------------------------------------------------- cost


def _head(tally: Tally, classes: int, o: dict[str, Any]) -> tuple[int, int]:
    """The classifier at every snippet, then what the consensus learns."""
    units, snippets = tally.shape[0], o["segments"]
    tally.shape = [units, snippets]
    tally.linear(classes, times=snippets)
    if o["consensus"] == "weighted":
        return tally.parameters + snippets, tally.macs + snippets * classes
    if o["consensus"] == "attention":
        return tally.parameters + units, tally.macs + units * snippets
    return tally.parameters, tally.macs


def _branch(total: Tally, shape: list[int], *convs: tuple[int, int, int]) -> int:
    """Convolutions (channels, kernel, stride) one after the other, added to ``total``; channels that come out."""
    tally = Tally(*shape)
    for out, kernel, stride in convs:
        tally.conv(out, (1, kernel, kernel), (1, stride, stride), norm=True)
    total.parameters += tally.parameters
    total.macs += tally.macs
    return tally.shape[0]


def _bn_inception_cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    def wide(channels: int) -> int:
        return int(channels * o["width"])

    tally = Tally(_CHANNELS[o["modality"]], o["segments"], o["side"], o["side"])
    tally.conv(wide(64), (1, 7, 7), (1, 2, 2), norm=True).pool((1, 3, 3), (1, 2, 2))
    tally.conv(wide(64), (1, 1, 1), norm=True).conv(wide(192), (1, 3, 3), norm=True).pool((1, 3, 3), (1, 2, 2))
    for row in _BLOCKS.values():
        one, reduce, three, first, second, third, projection = map(wide, row)
        stride, shape = (1 if one else 2), list(tally.shape)
        out = _branch(tally, shape, (one, 1, 1)) if one else 0
        out += _branch(tally, shape, (reduce, 1, 1), (three, 3, stride))
        out += _branch(tally, shape, (first, 1, 1), (second, 3, 1), (third, 3, stride))
        out += _branch(tally, shape, (projection, 1, 1)) if projection else shape[0]
        tally.shape = [out, shape[1], shape[2] // stride, shape[3] // stride]
    return _head(tally, classes, o)


def _resnet_cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    tally = Tally(_CHANNELS[o["modality"]], o["segments"], o["side"], o["side"])
    caffe = o["style"] == "caffe"
    tally.conv(int(64 * o["width"]), (1, 7, 7), (1, 2, 2), bias=False, norm=True)
    if caffe:
        tally.pool((1, 3, 3), (1, 2, 2))
    else:
        tally.shape[2:] = [(size + 1) // 2 for size in tally.shape[2:]]
    for stage, count in enumerate(o["blocks"]):
        inner, out = int(64 * o["width"]) * 2**stage, int(256 * o["width"]) * 2**stage
        for block in range(count):
            steps = (1, 2, 2) if stage and not block else (1, 1, 1)
            entry = list(tally.shape)
            tally.conv(inner, (1, 1, 1), steps if caffe else (1, 1, 1), bias=False, norm=True)
            tally.conv(inner, (1, 3, 3), (1, 1, 1) if caffe else steps, bias=False, norm=True)
            tally.conv(out, (1, 1, 1), bias=False, norm=True)
            if not block:
                side = Tally(*entry).conv(out, (1, 1, 1), steps, bias=False, norm=True)
                tally.parameters += side.parameters
                tally.macs += side.macs
    return _head(tally, classes, o)


def _squeezenet_cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    tally = up_to_fire9(Tally(_CHANNELS[o["modality"]], o["segments"], o["side"], o["side"]), o)
    return _head(tally, classes, o)


# ---------------------------------------------------------------------- a second forward: images one after the other


def _unit(w: Weights, layer: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = w[f"{layer}.weight"][:, :, 0]
    x = F.conv2d(x, weight, w.get(f"{layer}.bias"), stride, weight.shape[-1] // 2)
    scale = w[f"{layer}_bn.weight"] / (w[f"{layer}_bn.running_var"] + 1e-5).sqrt()
    shift = w[f"{layer}_bn.bias"] - scale * w[f"{layer}_bn.running_mean"]
    return x * scale[:, None, None] + shift[:, None, None]


def _ceil_max(x: Tensor) -> Tensor:
    """Windows of 3, stride 2, that begin at 0, 2, 4, … as long as they hold something the one before did not."""
    height, width = x.shape[2:]
    rows, columns = -(-(height - 3) // 2) * 2 + 3, -(-(width - 3) // 2) * 2 + 3
    x = F.pad(x, (0, columns - width, 0, rows - height), value=float("-inf"))
    return x.unfold(2, 3, 2).unfold(3, 3, 2).amax((-1, -2))


def _bn_inception(w: Weights, x: Tensor) -> Tensor:
    def conv(layer: str, x: Tensor, stride: int = 1) -> Tensor:
        return _unit(w, layer, x, stride).clamp(min=0)

    x = _ceil_max(conv("conv1_7x7_s2", x, 2))
    x = _ceil_max(conv("conv2_3x3", conv("conv2_3x3_reduce", x)))
    for name in _BLOCKS:
        block, stride = f"inception_{name}", 2 if name in ("3c", "4e") else 1
        three = conv(f"{block}_3x3", conv(f"{block}_3x3_reduce", x), stride)
        double = conv(f"{block}_double_3x3_1", conv(f"{block}_double_3x3_reduce", x))
        double = conv(f"{block}_double_3x3_2", double, stride)
        if stride == 2:
            x = torch.cat([three, double, _ceil_max(x)], 1)
            continue
        if name == "5b":
            around = F.pad(x, (1, 1, 1, 1), value=float("-inf")).unfold(2, 3, 1).unfold(3, 3, 1)
            pooled = around.amax((-1, -2))
        else:
            pooled = F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).sum((-1, -2)) / 9
        x = torch.cat([conv(f"{block}_1x1", x), three, double, conv(f"{block}_pool_proj", pooled)], 1)
    return x.mean((2, 3))


def _resnet(w: Weights, x: Tensor, blocks: list[int], style: str) -> Tensor:
    caffe = style == "caffe"
    x = _unit(w, "conv1", x, 2).clamp(min=0)
    if caffe:
        x = _ceil_max(x)
    else:
        x = F.pad(x, (1, 1, 1, 1), value=float("-inf")).unfold(2, 3, 2).unfold(3, 3, 2).amax((-1, -2))
    for stage, count in enumerate(blocks, 2):
        # 27 blocks have no letters: Caffe's ResNet-152 counts them from the second on.
        names = "abcdefghijklmnopqrstuvwxyz"[:count] if count <= 26 else ["a", *(f"b{i}" for i in range(1, count))]
        for name in names:
            block, stride = f"res{stage}{name}", 2 if name == "a" and stage > 2 else 1
            y = _unit(w, f"{block}.branch2a", x, stride if caffe else 1).clamp(min=0)
            y = _unit(w, f"{block}.branch2b", y, 1 if caffe else stride).clamp(min=0)
            y = _unit(w, f"{block}.branch2c", y)
            x = (y + (_unit(w, f"{block}.branch1", x, stride) if name == "a" else x)).clamp(min=0)
    return x.mean((2, 3))


def _pooled(w: Weights, images: Tensor, o: dict[str, Any]) -> Tensor:
    if "blocks" in o:
        return _resnet(w, images, o["blocks"], o["style"])
    if "fire9.squeeze.weight" in w:
        return maps_before_conv10(w, images).mean((2, 3))
    return _bn_inception(w, images)


def _scores(w: Weights, images: Tensor, pooled: Tensor) -> Tensor:
    if "fire9.squeeze.weight" not in w:
        return pooled @ w["fc_action.weight"].T + w["fc_action.bias"]
    # As SqueezeNet has it: the classifier at every place, then the average of its maps.
    classifier = w["fc_action.weight"][..., None, None]
    return F.conv2d(maps_before_conv10(w, images), classifier, w["fc_action.bias"]).mean((2, 3))


def forward(w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    """Logits by a second implementation, for every modality and consensus; dropout does nothing."""
    n, snippets = len(x), x.shape[2]
    images = torch.cat([x[:, :, k] for k in range(snippets)])
    pooled = _pooled(w, images, o)
    scores = _scores(w, images, pooled)
    of_video = [scores[i::n] for i in range(n)]
    kind = o["consensus"]
    if kind == "average":
        return torch.stack([f.sum(0) / snippets for f in of_video])
    if kind == "max":
        return torch.stack([f.sort(0).values[-1] for f in of_video])
    if kind == "top_k":
        return torch.stack([f.sort(0).values[-o["top_k"] :].sum(0) / o["top_k"] for f in of_video])
    if kind == "weighted":
        omega = w["consensus.weights.weight"].flatten()
        return torch.stack([sum(omega[k] * f[k] for k in range(snippets)) for f in of_video])
    energies = (pooled * w["consensus.attention.weight"]).sum(1).exp()
    return torch.stack([(energies[i::n, None] * f).sum(0) / energies[i::n].sum() for i, f in enumerate(of_video)])


_UNSEEN = frozenset({"segment_scores", "fc_action"})  # tests/models/test_tsn.py hooks the classifier
_SMALL = {"width": 0.125, "side": 64, "segments": 2}

CASES = {
    "tsn_bn_inception": Case(
        small=_SMALL,
        counts=(
            Count(10_373_765),
            Count(10_395_717, options={"modality": "flow"}),
            Count(10_395_717, options={"modality": "warped_flow", "segments": 1}),
            Count(10_411_397, options={"modality": "rgb_difference", "segments": 7}),
            Count(10_322_515, classes=51),
            Count(10_344_467, classes=51, options={"modality": "flow"}),
            Count(10_373_765 + 3, options={"consensus": "weighted"}),
            Count(10_373_765 + 1024, options={"consensus": "attention"}),
        ),
        cost=_bn_inception_cost,
        forward=forward,
        may_be_negative=frozenset({"segment_scores"}),
        unseen=_UNSEEN,
    ),
    "tsn_resnet50": Case(
        small={**_SMALL, "blocks": [2, 1, 1, 1]},
        # The specification has 24.33 M at 400 classes (section 2.9); the cost below agrees with all of them.
        counts=(
            Count(24_327_632, classes=400),
            Count(23_714_981),
            Count(23_736_933, options={"modality": "flow"}),
            # He et al. 2016 print 25.5 M and 3.8 G (table 1); spec section 3.3 has the parameters.
            Count(25_557_032, classes=1000, options={"style": "caffe", "segments": 1}),
        ),
        cost=_resnet_cost,
        forward=forward,
        may_be_negative=frozenset({"segment_scores"}),
        unseen=_UNSEEN,
    ),
    "tsn_resnet101": Case(
        small={**_SMALL, "side": 50, "blocks": [1, 2, 2, 1]},
        counts=(Count(42_707_109),),
        cost=_resnet_cost,
        forward=forward,
        may_be_negative=frozenset({"segment_scores"}),
        unseen=_UNSEEN,
    ),
    "tsn_resnet152": Case(
        small={**_SMALL, "side": 40, "blocks": [1, 2, 3, 1]},
        # torchvision's 60,192,808 with 1000 classes; each takes 2048 weights and a bias.
        counts=(Count(60_192_808, classes=1000), Count(60_192_808 - 899 * 2049)),
        cost=_resnet_cost,
        forward=forward,
        may_be_negative=frozenset({"segment_scores"}),
        unseen=_UNSEEN,
    ),
    "tsn_squeezenet": Case(
        small={"width": 0.25, "side": 47, "segments": 2},
        # In no paper: SqueezeNet's own 1,248,424 and 787,237, and 96 · 49 weights for each further channel.
        counts=(
            Count(1_248_424, classes=1000),
            Count(787_237, options={"segments": 7}),
            Count(787_237 + 7 * 96 * 49, options={"modality": "flow"}),
            Count(787_237 + 12 * 96 * 49, options={"modality": "rgb_difference", "segments": 1}),
            Count(787_237 + 512, options={"consensus": "attention"}),
        ),
        cost=_squeezenet_cost,
        forward=forward,
        may_be_negative=frozenset({"segment_scores"}),
        unseen=_UNSEEN,
    ),
}
