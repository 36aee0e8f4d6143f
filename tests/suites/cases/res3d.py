"""Res3D (spec c3d_res3d.md, section 9)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Tally, Weights

_BLOCKS = {"res3d_18": (2, 2, 2, 2), "res3d_34": (3, 4, 6, 3), "sr18": (2, 2, 2, 2)}


def _strides(name: str) -> list[tuple[str, tuple[int, int, int]]]:
    """(block, stride of its first convolution)."""
    found = []
    for stage, count in enumerate(_BLOCKS[name], 2):
        for block in range(count):
            stride = (1, 1, 1) if stage == 2 or block else (2, 2, 2)
            if name == "sr18" and stage == 5 and block == 0:
                stride = (1, 2, 2)
            found.append((f"res{stage}{'abcdef'[block]}", stride))
    return found


def _cost(name: str, classes: int, o: dict[str, Any]) -> tuple[int, int]:
    base = int(64 * o["width"])
    tally = Tally(3, o["clip_length"], o["side"], o["side"])
    tally.conv(base, (3, 7, 7), (1, 2, 2), bias=False, norm=True)
    for block, stride in _strides(name):
        out, entry = base * 2 ** (int(block[3]) - 2), list(tally.shape)
        tally.conv(out, (3, 3, 3), stride, bias=False, norm=True)
        tally.conv(out, (3, 3, 3), bias=False, norm=True)
        if stride != (1, 1, 1) or (o["projection"] and block == "res2a"):
            side = Tally(*entry).conv(out, (1, 1, 1), stride, bias=False, norm=True)
            tally.parameters += side.parameters
            tally.macs += side.macs
    tally.shape = tally.shape[:1]
    tally.linear(classes)
    return tally.parameters, tally.macs


def _forward(name: str, w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    def unit(x: Tensor, layer: str, stride: tuple[int, int, int]) -> Tensor:
        weight = w[f"{layer}.weight"]
        x = F.conv3d(x, weight, None, stride, tuple(k // 2 for k in weight.shape[2:]))
        norm = [w[f"{layer}_bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *norm)

    x = unit(x, "conv1", (1, 2, 2)).clamp(min=0)
    for block, stride in _strides(name):
        y = unit(x, f"{block}.branch2a", stride).clamp(min=0)
        y = unit(y, f"{block}.branch2b", (1, 1, 1))
        if stride != (1, 1, 1) or (o["projection"] and block == "res2a"):
            x = unit(x, f"{block}.branch1", stride)
        x = (x + y).clamp(min=0)
    return x.mean((2, 3, 4)) @ w["fc.weight"].T + w["fc.bias"]


def _case(name: str, *counts: Count) -> Case:
    return Case(
        small={"width": 0.125, "side": 56},
        counts=counts,
        cost=lambda classes, options: _cost(name, classes, options),
        forward=lambda weights, x, options: _forward(name, weights, x, options),
    )


CASES = {
    "res3d_18": _case(
        "res3d_18",
        Count(33_218_085, 20.348e9),
        Count(33_416_103, classes=487),
        Count(33_222_309, 20.451e9, options={"projection": True}),
        Count(33_420_327, classes=487, options={"projection": True}),
    ),
    "res3d_34": _case("res3d_34", Count(63_527_717, 37.689e9)),
    "sr18": _case("sr18", Count(33_218_085, 10.784e9)),
}
