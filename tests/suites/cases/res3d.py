"""Res3D, its depths, mixed and factored relatives (spec c3d_res3d.md, section 9; facebookresearch/VMZ)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Tally, Weights

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Net:
    """What tells one network of the table from another.

    ``frames`` are the kernels' depths in conv1 and stages 2 to 5, ``factored`` is R(2+1)D.
    """

    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    frames: str = "33333"
    conv5_time: int = 2
    factored: bool = False
    epsilon: float = 1e-5

    def convolutions(self) -> list[tuple[str, Triple, Triple, str, Triple]]:
        """(block, kernel, stride of its first convolution, the name of its shortcut or nothing, kernel of that)."""
        found = []
        for stage, count in enumerate(self.blocks, 2):
            deep = int(self.frames[stage - 1])
            for i in range(count):
                stride = (1, 1, 1)
                if stage > 2 and i == 0:
                    time = (self.conv5_time if stage == 5 else 2) if deep == 3 else 1
                    stride = (time, 2, 2)
                block = f"res{stage}{'abcdef'[i]}"
                shortcut = f"{block}.branch1" if stride != (1, 1, 1) else ""
                found.append((block, (deep, 3, 3), stride, shortcut, (1, 1, 1)))
        return found


NETS = {
    "res3d_18": Net(),
    "res3d_34": Net((3, 4, 6, 3)),
    "sr10": Net((1, 1, 1, 1), conv5_time=1),
    "sr16": Net((2, 2, 2, 1), conv5_time=1),
    "sr18": Net(conv5_time=1),
    "sr26": Net((2, 3, 4, 3), conv5_time=1),
    "sr34": Net((3, 4, 6, 3), conv5_time=1),
    "mc2_18": Net(frames="31111", epsilon=1e-3),
    "mc3_18": Net(frames="33111", epsilon=1e-3),
    "mc4_18": Net(frames="33311", epsilon=1e-3),
    "mc5_18": Net(frames="33331", epsilon=1e-3),
    "rmc2_18": Net(frames="13333", epsilon=1e-3),
    "rmc3_18": Net(frames="11333", epsilon=1e-3),
    "rmc4_18": Net(frames="11133", epsilon=1e-3),
    "rmc5_18": Net(frames="11113", epsilon=1e-3),
    "r2d_18": Net(frames="11111"),
    "r2d_34": Net((3, 4, 6, 3), frames="11111"),
    "r2plus1d_18": Net(factored=True, epsilon=1e-3),
    "r2plus1d_34": Net((3, 4, 6, 3), factored=True, epsilon=1e-3),
}


def _cost(net: Net, classes: int, o: dict[str, Any]) -> tuple[int, int]:
    base = int(64 * o["width"])
    tally = Tally(3, o["clip_length"], o["side"], o["side"])

    def convolve(out: int, kernel: Triple, stride: Triple, middle: int | None = None) -> None:
        if not net.factored:
            tally.conv(out, kernel, stride, bias=False, norm=True)
            return
        entered = tally.shape[0]
        if middle is None:
            middle = int(3 * entered * out * 9 / (9 * entered + 3 * out))
        tally.conv(middle, (1, *kernel[1:]), (1, *stride[1:]), bias=False, norm=True)
        tally.conv(out, (kernel[0], 1, 1), (stride[0], 1, 1), bias=False, norm=True)

    convolve(base, (int(net.frames[0]), 7, 7), (1, 2, 2), round(45 * o["width"]))
    for block, kernel, stride, shortcut, _ in net.convolutions():
        out, entry = base * 2 ** (int(block[3]) - 2), list(tally.shape)
        convolve(out, kernel, stride)
        convolve(out, kernel, (1, 1, 1))
        if shortcut or (o["projection"] and block == "res2a"):
            side = Tally(*entry).conv(out, (1, 1, 1), stride, bias=False, norm=True)
            assert side.shape == tally.shape
            tally.parameters += side.parameters
            tally.macs += side.macs
    tally.shape = tally.shape[:1]
    tally.linear(classes)
    return tally.parameters, tally.macs


def _forward(net: Net, w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    def normalize(x: Tensor, layer: str) -> Tensor:
        norm = [w[f"{layer}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *norm, eps=net.epsilon)

    def unit(x: Tensor, layer: str, kernel: Triple, stride: Triple) -> Tensor:
        (t, h, v), (st, sh, sv) = kernel, stride
        if net.factored and kernel != (1, 1, 1):
            x = F.conv3d(x, w[f"{layer}.middle.weight"], None, (1, sh, sv), (0, h // 2, v // 2))
            x = normalize(x, f"{layer}.middle_bn").clamp(min=0)
            x = F.conv3d(x, w[f"{layer}.time.weight"], None, (st, 1, 1), (t // 2, 0, 0))
        else:
            x = F.conv3d(x, w[f"{layer}.weight"], None, stride, (t // 2, h // 2, v // 2))
        return normalize(x, f"{layer}_bn")

    x = unit(x, "conv1", (int(net.frames[0]), 7, 7), (1, 2, 2)).clamp(min=0)
    for block, kernel, stride, shortcut, point in net.convolutions():
        y = unit(x, f"{block}.branch2a", kernel, stride).clamp(min=0)
        y = unit(y, f"{block}.branch2b", kernel, (1, 1, 1))
        if shortcut or (o["projection"] and block == "res2a"):
            x = unit(x, f"{block}.branch1", point, stride)
        x = (x + y).clamp(min=0)
    return x.mean((2, 3, 4)) @ w["fc.weight"].T + w["fc.bias"]


COUNTS = {
    "res3d_18": (
        Count(33_218_085, 20.348e9),
        Count(33_416_103, classes=487),
        Count(33_222_309, 20.451e9, options={"projection": True}),
        Count(33_420_327, classes=487, options={"projection": True}),
        # The study of input frames: as many weights, and these multiply-adds.
        Count(33_218_085, 10.7843e9, options={"clip_length": 4}),
        Count(33_218_085, 40.6964e9, options={"clip_length": 16}),
        Count(33_218_085, 81.3927e9, options={"clip_length": 32}),
    ),
    "res3d_34": (Count(63_527_717, 37.689e9),),
    "sr10": (Count(14_413_605, 5.2352e9),),
    "sr16": (Count(19_060_261, 10.0906e9),),
    "sr18": (
        Count(33_218_085, 10.784e9),
        Count(33_218_085, 2.7895e9, options={"side": 56}),  # the study of resolution
        Count(33_218_085, 43.137e9, options={"side": 224}),
    ),
    "sr26": (Count(55_341_093),),  # the blocks of VMZ's earlier release; the specification counts them at 8 frames
    "sr34": (Count(63_527_717, 19.8015e9),),
    "mc2_18": (Count(11_400_528, 14.2727e9, classes=400), Count(11_247_141, 7.1363e9, options={"clip_length": 4})),
    "mc3_18": (Count(11_695_440, 21.6714e9, classes=400), Count(11_542_053, 10.8357e9, options={"clip_length": 4})),
    "mc4_18": (Count(12_727_632, 19.9759e9, classes=400), Count(12_574_245, 9.9879e9, options={"clip_length": 4})),
    "mc5_18": (Count(16_856_400, 19.9502e9, classes=400), Count(16_703_013, 9.975e9, options={"clip_length": 4})),
    # Computed apart from this file; the authors print 33.3, 33, 32 and 27.9 M, 19.9, 12.5, 14.5 and 15.4 G.
    "rmc2_18": (Count(33_352_656, 19_876_323_328, classes=400),),
    "rmc3_18": (Count(33_057_744, 12_477_571_072, classes=400),),
    "rmc4_18": (Count(32_025_552, 14_545_625_088, classes=400),),
    "rmc5_18": (Count(27_896_784, 15_393_398_784, classes=400),),
    "r2d_18": (
        Count(11_228_325, 1.7251e9),
        Count(11_381_712, 13.8006e9, classes=400, options={"clip_length": 8}),  # fR2D
    ),
    "r2d_34": (Count(21_336_485, 3.5748e9),),
    "r2plus1d_18": (
        Count(33_217_452, 20.7481e9),
        Count(33_370_839, 20.7483e9, classes=400),
        Count(33_217_452, 10.9322e9, options={"clip_length": 4}),
    ),
    # Summed by hand apart from this file; later papers list R(2+1)D-34 on 32 frames with 152 G (from memory).
    "r2plus1d_34": (
        Count(63_543_788, 38.0889e9),
        Count(63_697_175, 152.356e9, classes=400, options={"clip_length": 32}),
    ),
}


def _case(net: Net, small: dict[str, Any], counts: tuple[Count, ...]) -> Case:
    return Case(
        small=small,
        counts=counts,
        cost=lambda classes, options: _cost(net, classes, options),
        forward=lambda weights, x, options: _forward(net, weights, x, options),
    )


_SMALL = {
    "res3d_18": {"width": 0.125, "side": 56},
    "res3d_34": {"width": 0.125, "side": 56},
    "sr18": {"width": 0.125, "side": 56},
    "r2d_18": {"width": 0.125, "side": 32, "clip_length": 3},  # frames that are averaged
    "sr10": {"width": 0.125, "side": 32, "projection": True},
    "mc4_18": {"width": 0.125, "side": 33, "projection": True},
    "r2plus1d_18": {"width": 0.125, "side": 33, "clip_length": 7},
}

CASES = {name: _case(net, _SMALL.get(name, {"width": 0.125, "side": 32}), COUNTS[name]) for name, net in NETS.items()}
