"""SqueezeNet v1.0 and v1.1 (README of the data's weights of v1.0, and the released prototxts)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Tally, Weights
from suites.cases.two_stream import overlapping_max

_FIRES = ((2, 16, 64), (3, 16, 64), (4, 32, 128), (5, 32, 128), (6, 48, 192), (7, 48, 192), (8, 64, 256), (9, 64, 256))

_POOLED_1_0, _POOLED_1_1 = (4, 8), (3, 5)


def up_to_fire9(
    tally: Tally, o: dict[str, Any], channels: int = 96, kernel: int = 7, pooled: tuple[int, int] = _POOLED_1_0
) -> Tally:
    """Count the trunk on the input whose shape ``tally`` has."""
    tally.conv(int(channels * o["width"]), (1, kernel, kernel), (1, 2, 2), (0, 0, 0)).pool((1, 3, 3), (1, 2, 2))
    for number, squeeze, expand in _FIRES:
        tally.conv(int(squeeze * o["width"]), (1, 1, 1))
        side = Tally(*tally.shape).conv(int(expand * o["width"]), (1, 1, 1))
        tally.conv(int(expand * o["width"]), (1, 3, 3))
        tally.parameters += side.parameters
        tally.macs += side.macs
        tally.shape[0] *= 2
        if number in pooled:
            tally.pool((1, 3, 3), (1, 2, 2))
    return tally


def _cost(classes: int, o: dict[str, Any], channels: int, kernel: int, pooled: tuple[int, int]) -> tuple[int, int]:
    tally = up_to_fire9(Tally(3, o["clip_length"], o["side"], o["side"]), o, channels, kernel, pooled)
    tally.shape = tally.shape[:1]
    tally.linear(classes)
    return tally.parameters, tally.macs


def maps_before_conv10(w: Weights, x: Tensor, pooled: tuple[int, int] = _POOLED_1_0) -> Tensor:
    """(N, C, H, W) → fire9's maps, with 2-D convolutions."""

    def conv(x: Tensor, name: str, **settings: int) -> Tensor:
        kernels = w[f"{name}.weight"]
        kernels = kernels.squeeze(2) if kernels.dim() == 5 else kernels
        return F.conv2d(x, kernels, w[f"{name}.bias"], **settings).clamp(min=0)

    x = overlapping_max(conv(x, "conv1", stride=2))
    for number, _, _ in _FIRES:
        x = conv(x, f"fire{number}.squeeze")
        x = torch.cat((conv(x, f"fire{number}.expand1x1"), conv(x, f"fire{number}.expand3x3", padding=1)), 1)
        if number in pooled:
            x = overlapping_max(x)
    return x


def _forward(w: Weights, x: Tensor, o: dict[str, Any], pooled: tuple[int, int]) -> Tensor:
    scores = []
    for frame in x.unbind(2):
        # conv10 at every place, then the average of its maps.
        maps = F.conv2d(maps_before_conv10(w, frame, pooled), w["conv10.weight"][..., None, None], w["conv10.bias"])
        scores.append(maps.flatten(2).mean(2))
    return torch.stack(scores).mean(0)


CASES = {
    "squeezenet": Case(
        small={"width": 0.25, "side": 47, "clip_length": 2},
        counts=(Count(1_248_424, classes=1000), Count(787_237)),
        cost=partial(_cost, channels=96, kernel=7, pooled=_POOLED_1_0),
        forward=partial(_forward, pooled=_POOLED_1_0),
        unseen=frozenset({"pool10"}),
    ),
    "squeezenet1_1": Case(
        small={"width": 0.25, "side": 47, "clip_length": 2},
        counts=(Count(1_235_496, classes=1000), Count(1_235_496 - 899 * 513)),
        cost=partial(_cost, channels=64, kernel=3, pooled=_POOLED_1_1),
        forward=partial(_forward, pooled=_POOLED_1_1),
        unseen=frozenset({"pool10"}),
    ),
}
