"""DenseNet, DenseNet3D and T3D (spec two_stream_tsn_p3d_t3d.md, section 4, rulings D27 to D33)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Tally, Weights

_BLOCKS = ("denseblock1", "denseblock2", "denseblock3", "denseblock4")


def _kind(name: str) -> tuple[bool, bool]:
    """(kernels in time, temporal transition layers)."""
    return not name.startswith("densenet_"), name.startswith("t3d")


def _halve(tally: Tally, frames: int) -> None:
    sizes = zip(tally.shape[1:], (frames, 2, 2), strict=True)
    tally.shape[1:] = [max(1, size // window) for size, window in sizes]


def _norm(tally: Tally) -> None:
    tally.parameters += 2 * tally.shape[0]


def _cost(name: str, classes: int, o: dict[str, Any]) -> tuple[int, int]:
    deep, ttl = _kind(name)
    growth = o["growth"]
    tally = Tally(3, o["clip_length"], o["side"], o["side"])
    kernel, stride = ((3, 7, 7), (2, 2, 2)) if deep else ((1, 7, 7), (1, 2, 2))
    tally.conv(o["stem"], kernel, stride, bias=False, norm=True)
    # The stem's pooling leaves every second row, the first one included.
    tally.shape[2:] = [(size + 1) // 2 for size in tally.shape[2:]]
    for stage, layers in enumerate(o["blocks"]):
        for _ in range(layers):
            channels = tally.shape[0]
            _norm(tally)
            tally.conv(4 * growth, (1, 1, 1), bias=False, norm=True)
            tally.conv(growth, (3 if deep else 1, 3, 3), bias=False)
            tally.shape[0] = channels + growth
        if stage == 3:
            break
        if ttl:
            entry = list(tally.shape)
            for depth, side in ((1, 1), (3, 3), (o["ttl_depths"][stage], 3)):
                # Padded to keep the length, as many products for each output as the kernel has weights.
                weights = entry[0] * o["ttl_width"] * depth * side * side
                tally.parameters += 2 * entry[0] + weights
                tally.macs += weights * entry[1] * entry[2] * entry[3]
            tally.shape[0] = 3 * o["ttl_width"]
            if o["extra_transition"]:
                _norm(tally)
                tally.conv(tally.shape[0], (1, 1, 1), bias=False)
        else:
            _norm(tally)
            tally.conv(tally.shape[0] // 2, (1, 1, 1), bias=False)
        _halve(tally, 2 if deep else 1)
    _norm(tally)
    tally.shape = tally.shape[:1]
    tally.linear(classes)
    return tally.parameters, tally.macs


def _ready(w: Weights, key: str, x: Tensor) -> Tensor:
    """Batch normalization by its formula, then ReLU."""
    mean, var, scale, shift = (
        w[f"{key}.{part}"].view(1, -1, 1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)


def _same(x: Tensor, weight: Tensor) -> Tensor:
    """A sum of shifted 2-D convolutions: tap k of depth d looks at frame t + k - (d-1)//2."""
    n, _, frames, height, width = x.shape
    depth, side = weight.shape[2], weight.shape[3]
    total = x.new_zeros(n, len(weight), frames, height, width)
    for k in range(depth):
        for t in range(frames):
            seen = t + k - (depth - 1) // 2
            if 0 <= seen < frames:
                total[:, :, t] += F.conv2d(x[:, :, seen], weight[:, :, k], padding=side // 2)
    return total


def _averages(x: Tensor, frames: int) -> Tensor:
    for axis, window in ((2, frames), (3, 2), (4, 2)):
        if x.shape[axis] >= window > 1:
            x = x.unfold(axis, window, window).mean(-1)
    return x


def _forward(name: str, w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    deep, ttl = _kind(name)
    if deep:
        x = F.conv3d(x, w["conv0.weight"], stride=2, padding=(1, 3, 3))
    else:
        x = F.conv3d(x, w["conv0.weight"], stride=(1, 2, 2), padding=(0, 3, 3))
    x = _ready(w, "conv0_bn", x)
    edge = (1, 1, 1, 1, *((1, 1) if deep else (0, 0)))
    x = F.pad(x, edge)  # after ReLU a zero changes no maximum
    if deep:
        x = x.unfold(2, 3, 1).amax(-1)
    x = x.unfold(3, 3, 2).amax(-1).unfold(4, 3, 2).amax(-1)
    for stage, layers in enumerate(o["blocks"], 1):
        seen = [x]
        for layer in range(1, layers + 1):
            key = f"denseblock{stage}.denselayer{layer}"
            y = _same(_ready(w, f"{key}.norm1", torch.cat(seen, 1)), w[f"{key}.conv1.weight"])
            seen.append(_same(_ready(w, f"{key}.norm2", y), w[f"{key}.conv2.weight"]))
        x = torch.cat(seen, 1)
        if stage == 4:
            break
        if ttl:
            keys = [f"ttl{stage}.b{branch}" for branch in (1, 2, 3)]
            x = torch.cat([_same(_ready(w, f"{key}.norm", x), w[f"{key}.conv.weight"]) for key in keys], 1)
            if o["extra_transition"]:
                x = _same(_ready(w, f"ttl{stage}.norm", x), w[f"ttl{stage}.conv.weight"])
        else:
            key = f"transition{stage}"
            x = _same(_ready(w, f"{key}.norm", x), w[f"{key}.conv.weight"])
        x = _averages(x, 2 if deep else 1)
    x = _ready(w, "norm5", x)
    logits = [frame.flatten(2).mean(2) @ w["classifier.weight"].T + w["classifier.bias"] for frame in x.unbind(2)]
    return torch.stack(logits).mean(0)


def _case(name: str, *counts: Count) -> Case:
    deep, ttl = _kind(name)
    # Sides and lengths that leave an odd rest at one transition and come down to a single frame.
    small = {"growth": 4, "stem": 8, "blocks": [1, 2, 1, 1], "side": 72, "clip_length": 20 if deep else 2}
    if ttl:
        small |= {"ttl_width": 6, "extra_transition": name.endswith("169")}
    between = "ttl" if ttl else "transition"
    return Case(
        small=small,
        counts=counts,
        cost=lambda classes, options: _cost(name, classes, options),
        forward=lambda weights, x, options: _forward(name, weights, x, options),
        may_be_negative=frozenset((*_BLOCKS, *(f"{between}{stage}" for stage in (1, 2, 3)))),
    )


_RELEASED: dict[str, Any] = {"ttl_depths": [4, 4, 4], "extra_transition": True}

CASES = {
    # torchvision's pages print 14,149,480 parameters and 3.36 billion multiply-adds for densenet169, 7.98 M for 121.
    "densenet_121": _case("densenet_121", Count(7_978_856, classes=1000)),
    "densenet_169": _case("densenet_169", Count(14_149_480, 3.36e9, classes=1000)),
    "densenet3d_121": _case("densenet3d_121", Count(11_352_421), Count(11_658_896, classes=400)),
    "densenet3d_169": _case("densenet3d_169", Count(18_717_157), Count(19_214_992, classes=400)),
    "t3d_121": _case(
        "t3d_121",
        Count(29_608_677),
        Count(29_876_880, classes=400),
        Count(29_463_525, options=_RELEASED),
        Count(29_731_728, classes=400, options=_RELEASED),
    ),
    "t3d_169": _case(
        "t3d_169",
        Count(38_097_893),
        Count(38_519_184, classes=400),
        Count(37_952_741, options=_RELEASED),
        Count(38_374_032, classes=400, options=_RELEASED),
    ),
}
