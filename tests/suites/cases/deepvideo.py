"""DeepVideo's five networks (spec c3d_res3d.md, section 7): reconstructions, which the specification does not count."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Tally, Weights
from suites.cases.two_stream import krizhevsky_norm

_TABLE = ((96, 11, 3, 0), (256, 5, 1, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1))


def _time(name: str, o: dict[str, Any]) -> list[tuple[int, int]]:
    """Depth and stride of the five convolutions in frames."""
    first = {"early": [(o.get("clip_length", 1), 1)], "slow": [(4, 2), (2, 2), (2, 2)]}.get(name, [])
    return first + [(1, 1)] * (5 - len(first))


def _frames(name: str, o: dict[str, Any]) -> int:
    return {"late": 2, "slow": 10}.get(name) or o["clip_length"]


def _cost(name: str, classes: int, o: dict[str, Any]) -> tuple[int, int]:
    streams = 2 if name == "multires" else 1
    side = o["side"] // streams
    tally = Tally(3, _frames(name, o), side, side)
    for index, ((out, kernel, stride, pad), (depth, step)) in enumerate(zip(_TABLE, _time(name, o), strict=True)):
        tally.conv(int(out * o["width"]), (depth, kernel, kernel), (step, stride, stride), (0, pad, pad))
        if index < 2 or (index == 4 and streams == 1):
            tally.pool((1, 2, 2), (1, 2, 2))
    tally.parameters *= streams
    tally.macs *= streams
    tally.shape[0] *= streams
    scored = o["clip_length"] if name in ("single", "multires") else 1
    units = int(4096 * o["width"])
    tally.linear(units, times=scored).linear(units, times=scored)
    tally.shape = [units]
    tally.linear(classes)
    return tally.parameters, tally.macs


def _trunk(name: str, stream: str, w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    for index, ((_, _, stride, pad), (_, step)) in enumerate(zip(_TABLE, _time(name, o), strict=True), 1):
        layer = f"{stream}conv{index}"
        x = F.conv3d(x, w[f"{layer}.weight"], w[f"{layer}.bias"], (step, stride, stride), (0, pad, pad)).clamp(min=0)
        if index < 3:
            x = torch.stack([krizhevsky_norm(frame, 0.5) for frame in x.unbind(2)], 2)
        if index < 3 or (index == 5 and not stream):
            n, c, t, height, width = x.shape
            x = F.pad(x, (0, width % 2, 0, height % 2), value=float("-inf"))
            x = x.view(n, c, t, (height + 1) // 2, 2, (width + 1) // 2, 2).amax((4, 6))
    return x


def _scores(w: Weights, x: Tensor) -> Tensor:
    x = x.reshape(len(x), -1)
    for layer in ("fc6", "fc7"):
        x = (x @ w[f"{layer}.weight"].T + w[f"{layer}.bias"]).clamp(min=0)
    return x @ w["fc8.weight"].T + w["fc8.bias"]


def _forward(name: str, w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    if name == "multires":
        half, corner = o["side"] // 2, (o["side"] - o["side"] // 2) // 2
        fovea = x[..., corner : corner + half, corner : corner + half]
        context = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
        x = torch.cat((_trunk(name, "context_", w, context, o), _trunk(name, "fovea_", w, fovea, o)), 1)
    else:
        x = _trunk(name, "", w, x, o)
    if name in ("single", "multires"):
        return torch.stack([_scores(w, frame) for frame in x.unbind(2)]).mean(0)
    return _scores(w, x)


def _case(name: str, **small: Any) -> Case:
    return Case(
        small={"width": 1 / 16, **small},
        counts=(),
        cost=lambda classes, options: _cost(name, classes, options),
        forward=lambda weights, x, options: _forward(name, weights, x, options),
    )


CASES = {
    "deepvideo_early": _case("early", side=47, clip_length=4),
    "deepvideo_late": _case("late", side=47),
    "deepvideo_multires": _case("multires", side=94, clip_length=2),
    "deepvideo_single": _case("single", side=47, clip_length=2),
    "deepvideo_slow": _case("slow", side=47),
}
