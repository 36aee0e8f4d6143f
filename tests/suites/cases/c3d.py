"""C3D and the networks of its search (spec c3d_res3d.md, sections 1.1 and 2)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Tally, Weights

_STAGES = (64, 128, 256, 256, 256)
_DEPTHS = {
    "c3d_depth1": (1, 1, 1, 1, 1),
    "c3d_depth3": (3, 3, 3, 3, 3),
    "c3d_depth5": (5, 5, 5, 5, 5),
    "c3d_depth7": (7, 7, 7, 7, 7),
    "c3d_increasing": (3, 3, 5, 5, 7),
    "c3d_decreasing": (7, 5, 5, 3, 3),
    "c3d_small": (3, 3, 3, 3, 3),
}


def _table(name: str) -> list[list[tuple[str, int, int]]]:
    """Stages of (layer, channels, depth)."""
    if name == "c3d":
        wide = ((64, "a"), (128, "a"), (256, "ab"), (512, "ab"), (512, "ab"))
        return [[(f"conv{i}{x}", out, 3) for x in letters] for i, (out, letters) in enumerate(wide, 1)]
    return [[(f"conv{i}a", out, d)] for i, (out, d) in enumerate(zip(_STAGES, _DEPTHS[name], strict=True), 1)]


def _cost(name: str, classes: int, o: dict[str, Any]) -> tuple[int, int]:
    height, width = (o["side"], o["side"]) if isinstance(o["side"], int) else o["side"]
    tally = Tally(3, o["clip_length"], height, width)
    taps = o.get("kernel", 3)
    for stage, convs in enumerate(_table(name)):
        for _, out, depth in convs:
            plain = not o["batch_norm"]
            tally.conv(int(out * o["width"]), (depth, taps, taps), bias=plain, norm=not plain)
        window = (1 if stage == 0 else 2, 2, 2)
        tally.pool(window, window)
    units = int((4096 if name == "c3d" else 2048) * o["width"])
    tally.linear(units).linear(units).linear(classes)
    return tally.parameters, tally.macs


def _forward(name: str, w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    pad = {3: 1, 5: 2}[o.get("kernel", 3)]
    for stage, convs in enumerate(_table(name)):
        for layer, _, depth in convs:
            x = F.conv3d(x, w[f"{layer}.weight"], w.get(f"{layer}.bias"), padding=(depth // 2, pad, pad))
            if o["batch_norm"]:
                mean, var = w[f"{layer}_bn.running_mean"], w[f"{layer}_bn.running_var"]
                x = F.batch_norm(x, mean, var, w[f"{layer}_bn.weight"], w[f"{layer}_bn.bias"])
            x = x.clamp(min=0)
        # Caffe's last window hangs over the edge: padding on the right with what no maximum takes.
        frames = 1 if stage == 0 else 2
        odd = [(-size) % n for size, n in zip(x.shape[2:], (frames, 2, 2), strict=True)]
        x = F.pad(x, (0, odd[2], 0, odd[1], 0, odd[0]), value=float("-inf"))
        n, c, t, height, width = x.shape
        x = x.view(n, c, t // frames, frames, height // 2, 2, width // 2, 2).amax((3, 5, 7))
    x = x.reshape(len(x), -1)
    for layer in ("fc6", "fc7"):
        x = (x @ w[f"{layer}.weight"].T + w[f"{layer}.bias"]).clamp(min=0)
    return x @ w["fc8.weight"].T + w["fc8.bias"]


def _case(name: str, *counts: Count, **small: Any) -> Case:
    return Case(
        small={"width": 0.125, "side": 56, **small},
        counts=counts,
        cost=lambda classes, options: _cost(name, classes, options),
        forward=lambda weights, x, options: _forward(name, weights, x, options),
    )


CASES = {
    "c3d": _case("c3d", Count(78_409_573, 38_547_378_176), Count(79_991_015, 38_548_959_232, classes=487)),
    "c3d_depth1": _case(
        "c3d_depth1", Count(14_344_933, 6.429e9), Count(17_100_517, 17.8353e9, options={"kernel": 5}), kernel=5
    ),
    "c3d_depth3": _case(
        "c3d_depth3",
        Count(17_444_965, 19.261e9),
        Count(11_153_509, options={"side": 56}),  # appendix A: net-64, printed 11.1 M
        Count(34_746_469, 77.0234e9, options={"side": 224}),  # net-256, printed 34.8 M
        Count(25_711_717, 53.4803e9, options={"kernel": 5}),
        Count(50_999_397, 117.8932e9, options={"side": [240, 320]}),
        Count(21_639_269, 33.8528e9, options={"side": [128, 171]}),
    ),
    "c3d_depth5": _case("c3d_depth5", Count(20_544_997, 32.093e9), side=[40, 54]),
    "c3d_depth7": _case("c3d_depth7", Count(23_645_029, 44.926e9)),
    "c3d_increasing": _case("c3d_increasing", Count(21_573_733, 24.117e9)),
    "c3d_decreasing": _case("c3d_decreasing", Count(18_189_157, 31.747e9)),
    "c3d_small": _case("c3d_small"),
}
