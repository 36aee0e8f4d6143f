"""P3D (spec two_stream_tsn_p3d_t3d.md, section 3)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Tally, Weights

_DEPTHS = {"p3d_63": [3, 4, 6, 3], "p3d_131": [3, 4, 23, 3], "p3d_199": [3, 8, 36, 3]}


def _blocks(name: str, o: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    """(block, its type or "" for a plain one, bottleneck channels, stride in space), and (pool, "", 0, 0)."""
    found: list[tuple[str, str, int, int]] = []
    before = 0
    for stage, count in enumerate(o["depths"], 2):
        if stage > 2:
            found.append(({3: "3a_pool", 4: "4a_pool", 5: "res5a_pool"}[stage], "", 0, 0))
        for i in range(count):
            letter = (
                "abcdefgh"[i] if name == "p3d_63" or stage in (2, 5) else ["a", *(f"b{j}" for j in range(1, 40))][i]
            )
            kind = "" if stage == 5 else o["types"][before % len(o["types"])]
            stride = 2 if i == 0 and stage > 2 else 1
            found.append((f"res{stage}{letter}", kind, int(2 ** (stage + 4) * o["width"]), stride))
            before += 1
    return found


def _cost(name: str, classes: int, o: dict[str, Any]) -> tuple[int, int]:
    tally = Tally({"rgb": 3, "flow": 2}[o["modality"]], o["clip_length"], o["side"], o["side"])
    tally.conv(int(64 * o["width"]), (1, 7, 7), (1, 2, 2), bias=False, norm=True)
    tally.pool((2, 3, 3), (2, 2, 2))
    for _, kind, inner, stride in _blocks(name, o):
        if not inner:
            tally.pool((2, 1, 1), (2, 1, 1))
            continue
        entry = list(tally.shape)
        steps = (1, stride, stride)
        tally.conv(inner, (1, 1, 1), steps, bias=False, norm=True)
        tally.conv(inner, (1, 3, 3), bias=False, norm=True)
        if kind:
            tally.conv(inner, (3, 1, 1), bias=False, norm=True)
        tally.conv(4 * inner, (1, 1, 1), bias=False, norm=True)
        if entry != tally.shape:
            side = Tally(*entry).conv(4 * inner, (1, 1, 1), steps, bias=False, norm=True)
            tally.parameters += side.parameters
            tally.macs += side.macs
    tally.shape = tally.shape[:1]
    tally.linear(classes)
    return tally.parameters, tally.macs


def _forward(name: str, w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    def unit(x: Tensor, layer: str, stride: int = 1) -> Tensor:
        weight = w[f"{layer}.weight"]
        x = F.conv3d(x, weight, None, (1, stride, stride), tuple(k // 2 for k in weight.shape[2:]))
        mean, var, scale, shift = (w[f"{layer}_bn.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        shape = (1, -1, 1, 1, 1)
        return (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt() * scale.view(shape) + shift.view(shape)

    x = unit(x, "conv1", 2).clamp(min=0)
    # Windows of 3 that begin at 0, 2, 4, …: what hangs over the right edge is padding that no maximum takes.
    odd = [1 - size % 2 for size in x.shape[3:]]
    x = F.pad(x, (0, odd[1], 0, odd[0]), value=float("-inf")).unfold(3, 3, 2).unfold(4, 3, 2).amax((-1, -2))
    x = x.unfold(2, 2, 2).amax(-1)
    for block, kind, inner, stride in _blocks(name, o):
        if not inner:
            x = x.unfold(2, 2, 2).amax(-1)
            continue
        y = unit(x, f"{block}.branch2a", stride).clamp(min=0)
        s = unit(y, f"{block}.branch2b").clamp(min=0)
        if kind == "A":
            s = unit(s, f"{block}.branch2b_t").clamp(min=0)
        elif kind == "B":
            s = (s + unit(y, f"{block}.branch2b_t")).clamp(min=0)
        elif kind == "C":
            s = ((s + unit(s, f"{block}.branch2b_t")) / 2).clamp(min=0)
        z = unit(s, f"{block}.branch2c")
        if x.shape != z.shape:
            x = unit(x, f"{block}.branch1", stride)
        x = (x + z).clamp(min=0)
    return x.flatten(2).mean(2) @ w["fc.weight"].T + w["fc.bias"]


def _case(name: str, depths: list[int], *counts: Count) -> Case:
    return Case(
        small={"width": 0.125, "side": 40, "depths": depths},
        counts=counts,
        cost=lambda classes, options: _cost(name, classes, options),
        forward=lambda weights, x, options: _forward(name, weights, x, options),
    )


CASES = {
    "p3d_63": _case(
        "p3d_63",
        [1, 1, 2, 1],
        Count(25_132_581),
        Count(25_745_232, classes=400),
        Count(25_923_495, classes=487),
        # Single types have the size of the mixture.
        *(Count(25_132_581, options={"types": types}) for types in "ABC"),
    ),
    "p3d_131": _case(
        "p3d_131",
        [1, 1, 1, 1],
        Count(47_475_749),
        Count(48_088_400, classes=400),
        Count(48_266_663, classes=487),
    ),
    "p3d_199": _case(
        "p3d_199",
        [2, 2, 1, 2],
        Count(65_879_589),
        Count(66_492_240, classes=400),
        Count(66_670_503, classes=487),
        Count(66_489_104, classes=400, options={"modality": "flow"}),
        *(Count(66_492_240, classes=400, options={"types": types}) for types in "ABC"),
    ),
}
