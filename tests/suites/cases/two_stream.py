"""Two-Stream's CNN-M-2048 (spec two_stream_tsn_p3d_t3d.md, section 1.1, rulings D4, D6, D7)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Tally, Weights

_TABLE = ((96, 7, 2, 0), (256, 5, 2, 1), (512, 3, 1, 1), (512, 3, 1, 1), (512, 3, 1, 1))


def krizhevsky_norm(x: Tensor, beta: float) -> Tensor:
    """x / (2 + 1e-4 · sum of squares over five channels)^β, the sum not divided by five."""
    channels = x.shape[1]
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    return x / (2 + 1e-4 * sum(squares[:, i : i + channels] for i in range(5))) ** beta


def overlapping_max(x: Tensor) -> Tensor:
    """Maxima of 3×3 windows at every second place of (N, C, H, W), the last window cut off at the border."""
    odd = [(size - 3) % 2 for size in x.shape[2:]]
    x = F.pad(x, (0, odd[1], 0, odd[0]), value=float("-inf"))
    return x.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))


def _cost(channels: int, classes: int, o: dict[str, Any]) -> tuple[int, int]:
    tally = Tally(channels, o["clip_length"], o["side"], o["side"])
    for index, (out, kernel, stride, pad) in enumerate(_TABLE):
        tally.conv(int(out * o["width"]), (1, kernel, kernel), (1, stride, stride), (0, pad, pad))
        if index in (0, 1, 4):
            tally.pool((1, 3, 3), (1, 2, 2))
    frames = o["clip_length"]
    tally.linear(int(4096 * o["width"]), times=frames).linear(int(2048 * o["width"]), times=frames)
    features = tally.shape[0] // frames
    tally.shape = [features]
    tally.linear(classes)
    # Heads of further tasks are parameters, but `forward` does not run them.
    tally.parameters += sum((features + 1) * more for more in o["tasks"])
    return tally.parameters, tally.macs


def _forward(spatial: bool, w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    scores = []
    for frame in x.unbind(2):
        y = frame
        for index, (_, _, stride, pad) in enumerate(_TABLE, 1):
            kernels = w[f"conv{index}.weight"].squeeze(2)
            y = F.conv2d(y, kernels, w[f"conv{index}.bias"], stride, pad).clamp(min=0)
            if index == 1 or (index == 2 and spatial):
                y = krizhevsky_norm(y, 0.75)
            if index in (1, 2, 5):
                y = overlapping_max(y)
        y = y.reshape(len(y), -1)
        for layer in ("full6", "full7"):
            y = (y @ w[f"{layer}.weight"].T + w[f"{layer}.bias"]).clamp(min=0)
        scores.append(y @ w["fc8.weight"].T + w["fc8.bias"])
    return torch.stack(scores).mean(0)


CASES = {
    "two_stream_spatial": Case(
        small={"width": 1 / 16, "side": 64, "clip_length": 2},
        counts=(
            Count(92_469_864, classes=1000),
            Count(90_627_813),
            Count(90_525_363, classes=51),
        ),
        cost=lambda classes, options: _cost(3, classes, options),
        forward=lambda weights, x, options: _forward(True, weights, x, options),
    ),
    "two_stream_temporal": Case(
        small={"width": 1 / 16, "side": 64, "clip_length": 2, "flow_fields": 3},
        counts=(
            Count(90_623_109, options={"flow_fields": 1}),
            Count(90_660_741, options={"flow_fields": 5}),
            Count(90_707_781),
            Count(90_605_331, classes=51),
            Count(90_812_280, options={"tasks": (51,)}),
        ),
        cost=lambda classes, options: _cost(2 * options["flow_fields"], classes, options),
        forward=lambda weights, x, options: _forward(False, weights, x, options),
    ),
}
