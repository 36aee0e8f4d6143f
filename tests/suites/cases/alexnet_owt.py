"""AlexNet in one tower, from torchvision's models/alexnet.py: its layers, its count of parameters, its 0.714 G."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Weights
from suites.cases.alexnet import full, full_cost

# (name, channels, kernel, stride, pad, whether 3 × 3 windows with stride 2 follow)
_CONVS = [
    ("conv1", 64, 11, 4, 2, True),
    ("conv2", 192, 5, 1, 2, True),
    ("conv3", 384, 3, 1, 1, False),
    ("conv4", 256, 3, 1, 1, False),
    ("conv5", 256, 3, 1, 1, True),
]


def _cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    channels, size, parameters, macs = 3, o["side"], 0, 0
    for _, out, kernel, stride, pad, pools in _CONVS:
        out = int(out * o["width"])
        size = (size + 2 * pad - kernel) // stride + 1
        weights = out * channels * kernel * kernel
        parameters, macs, channels = parameters + weights + out, macs + weights * size * size, out
        size = (size - 3) // 2 + 1 if pools else size
    units = int(4096 * o["width"])
    for inputs in (channels * 6 * 6, units):  # six rows and columns, whatever the last map has
        more = full_cost(inputs, units)
        parameters, macs = parameters + more[0], macs + more[1]
    head = full_cost(units, classes)
    return parameters + head[0], macs * o["clip_length"] + head[1]


def to_six(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, 6, 6): means from ⌊i·H/6⌋ to ⌈(i+1)·H/6⌉, window by window."""
    height, width = x.shape[2:]
    rows, columns = ([(i * n // 6, -(-(i + 1) * n // 6)) for i in range(6)] for n in (height, width))
    means = [[x[:, :, top:bottom, left:right].mean((2, 3)) for left, right in columns] for top, bottom in rows]
    return torch.stack([torch.stack(row, -1) for row in means], -2)


def forward(w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    """Logits by a second implementation, for frames of any size."""
    scores = []
    for frame in x.unbind(2):
        for name, _, _, stride, pad, pools in _CONVS:
            frame = F.conv2d(frame, w[f"{name}.weight"][:, :, 0], w[f"{name}.bias"], stride, pad).clamp(min=0)
            frame = frame.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5)) if pools else frame
        vector = full(w, "fc6", to_six(frame).flatten(1)).clamp(min=0)
        scores.append(full(w, "fc8", full(w, "fc7", vector).clamp(min=0)))
    return torch.stack(scores).mean(0)


CASES = {
    "alexnet_owt": Case(
        # 70 pixels leave 16, 7 and 3 rows, of which the poolings leave the last, and one for the average.
        small={"width": 0.125, "side": 70, "clip_length": 2},
        counts=(Count(61_100_840, 714_188_480, classes=1000), Count(61_100_840 - 899 * 4097)),
        cost=_cost,
        forward=forward,
    ),
}
