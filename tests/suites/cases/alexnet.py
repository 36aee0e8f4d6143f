"""Caffe's reference AlexNet (spec c3d_res3d.md, section 7), and what the recurrent networks' cases share with it.

The table is that of bvlc_reference_caffenet/train_val.prototxt. Frames are computed as a batch of images here, in two
dimensions; the networks under test compute them side by side in three.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from suites.case import Case, Count, Weights

# (kind, name, channels, kernel, stride, pad, groups)
CAFFENET = [
    ("conv", "conv1", 96, 11, 4, 0, 1),
    ("pool", "pool1"),
    ("norm", "norm1"),
    ("conv", "conv2", 256, 5, 1, 2, 2),
    ("pool", "pool2"),
    ("norm", "norm2"),
    ("conv", "conv3", 384, 3, 1, 1, 1),
    ("conv", "conv4", 384, 3, 1, 1, 2),
    ("conv", "conv5", 256, 3, 1, 1, 2),
    ("pool", "pool5"),
]


def trunk_cost(table: list[tuple[Any, ...]], width: float, side: int) -> tuple[int, int, int]:
    """Parameters, multiply-adds of one frame, and values of pool5."""
    channels, size, parameters, macs = 3, side, 0, 0
    for kind, _, *row in table:
        if kind == "conv":
            out, kernel, stride, pad, groups = row
            out = int(out * width)
            size = (size + 2 * pad - kernel) // stride + 1
            weights = out * (channels // groups) * kernel * kernel
            parameters, macs, channels = parameters + weights + out, macs + weights * size * size, out
        elif kind == "pool":
            size = -(-(size - 3) // 2) + 1
    return parameters, macs, channels * size * size


def full_cost(inputs: int, outputs: int) -> tuple[int, int]:
    """Parameters and multiply-adds of a fully connected layer at one place."""
    return inputs * outputs + outputs, inputs * outputs


def lstm_cost(inputs: int, cells: int, layers: int) -> tuple[int, int]:
    """Parameters and multiply-adds of one step: four gates, from input and last output, two biases as in PyTorch."""
    parameters = macs = 0
    for layer in range(layers):
        weights = 4 * cells * ((cells if layer else inputs) + cells)
        parameters, macs = parameters + weights + 8 * cells, macs + weights
    return parameters, macs


def trunk_forward(table: list[tuple[Any, ...]], w: Weights, x: Tensor) -> Tensor:
    """pool5 of each frame: (N, 3, T, H, W) → (N, T, C, H', W')."""
    clips, frames = len(x), x.shape[2]
    x = x.transpose(1, 2).flatten(0, 1)
    for kind, name, *row in table:
        if kind == "conv":
            _, _, stride, pad, groups = row
            x = F.conv2d(x, w[f"{name}.weight"][:, :, 0], w[f"{name}.bias"], stride, pad, groups=groups).clamp(min=0)
        elif kind == "pool":
            # The last window hangs over the edge: padding on the right with what no maximum takes.
            odd = [(size - 3) % 2 for size in x.shape[2:]]
            x = F.pad(x, (0, odd[1], 0, odd[0]), value=float("-inf")).unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
        else:
            squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
            around = sum(squares[:, i : i + x.shape[1]] for i in range(5))
            x = x / (1 + 1e-4 * around / 5) ** 0.75
    return x.unflatten(0, (clips, frames))


def full(w: Weights, layer: str, x: Tensor) -> Tensor:
    """A fully connected layer on the last axis, without ReLU."""
    return x @ w[f"{layer}.weight"].T + w[f"{layer}.bias"]


def lstm(w: Weights, name: str, x: Tensor, layers: int) -> Tensor:
    """All outputs of an LSTM, gate by gate, from a state of zeros: (N, T, D) → (N, T, H)."""
    for layer in range(layers):
        into, back = w[f"{name}.weight_ih_l{layer}"], w[f"{name}.weight_hh_l{layer}"]
        bias = w[f"{name}.bias_ih_l{layer}"] + w[f"{name}.bias_hh_l{layer}"]
        hidden = cell = x.new_zeros(len(x), back.shape[1])
        outputs = []
        for step in x.unbind(1):
            i, f, g, o = (step @ into.T + hidden @ back.T + bias).chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            outputs.append(hidden)
        x = torch.stack(outputs, 1)
    return x


def vote(frame_logits: Tensor, votes: str) -> Tensor:
    """Logarithms of the frames' probabilities, combined."""
    probabilities = frame_logits.exp() / frame_logits.exp().sum(2, keepdim=True)
    frames = frame_logits.shape[1]
    if votes == "max":
        return probabilities.amax(1).log()
    weights = {
        "average": [1.0] * frames,
        "last": [0.0] * (frames - 1) + [1.0],
        "linear": [float(t) for t in range(frames)],
    }[votes]
    weighted = sum(weight * probabilities[:, t] for t, weight in enumerate(weights))
    return (weighted / sum(weights)).log()


def _cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    parameters, macs, values = trunk_cost(CAFFENET, o["width"], o["side"])
    units = int(4096 * o["width"])
    for inputs in (values, units):
        more = full_cost(inputs, units)
        parameters, macs = parameters + more[0], macs + more[1]
    head = full_cost(units, classes)
    return parameters + head[0], macs * o["clip_length"] + head[1]


def _forward(w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    table = CAFFENET
    if o["norm_first"]:
        order = ("conv1", "norm1", "pool1", "conv2", "norm2", "pool2", "conv3", "conv4", "conv5", "pool5")
        table = sorted(CAFFENET, key=lambda row: order.index(row[1]))
    x = trunk_forward(table, w, x).flatten(2)
    x = full(w, "fc7", full(w, "fc6", x).clamp(min=0)).clamp(min=0)
    return full(w, "fc8", x).mean(1)


CASES = {
    "alexnet": Case(
        small={"width": 0.125, "side": 67, "clip_length": 3},
        counts=(
            Count(60_965_224, 724_406_816, classes=1000),
            Count(60_965_224, 724_406_816, classes=1000, options={"norm_first": True}),
        ),
        cost=_cost,
        forward=_forward,
    ),
}
