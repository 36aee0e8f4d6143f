"""Ng et al.'s convolution pooling and LSTM (spec c3d_res3d.md, section 7): reconstructions, counted by arithmetic."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from suites.case import Case, Count, Weights
from suites.cases.alexnet import CAFFENET, full, full_cost, lstm, lstm_cost, trunk_cost, trunk_forward, vote


def _conv_cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    parameters, macs, values = trunk_cost(CAFFENET, o["width"], o["side"])
    units = int(4096 * o["width"])
    parts = [full_cost(values, units), full_cost(units, units), full_cost(units, classes)]
    return parameters + sum(p for p, _ in parts), o["clip_length"] * macs + sum(m for _, m in parts)


def _conv_forward(w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    x = trunk_forward(CAFFENET, w, x).amax(1).flatten(1)
    return full(w, "fc8", full(w, "fc7", full(w, "fc6", x).clamp(min=0)).clamp(min=0))


def _lstm_cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    parameters, macs, values = trunk_cost(CAFFENET, o["width"], o["side"])
    units = int(4096 * o["width"])
    parts = [full_cost(values, units), full_cost(units, units)]
    parts += [lstm_cost(units, o["units"], o["layers"]), full_cost(o["units"], classes)]
    return parameters + sum(p for p, _ in parts), o["clip_length"] * (macs + sum(m for _, m in parts))


def _lstm_forward(w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    x = trunk_forward(CAFFENET, w, x).flatten(2)
    x = full(w, "fc7", full(w, "fc6", x).clamp(min=0)).clamp(min=0)
    return vote(full(w, "fc8", lstm(w, "lstm", x, o["layers"])), o["votes"])


_SMALL = {"width": 0.0625, "side": 67, "clip_length": 5}

CASES = {
    "conv_pooling": Case(
        small=_SMALL,
        # AlexNet's parameters with 101 classes; its convolutions 120 times, the rest once.
        counts=(
            Count(
                60_965_224 - 899 * 4097,
                120 * (724_406_816 - 37_748_736 - 16_777_216 - 4_096_000) + 37_748_736 + 16_777_216 + 413_696,
            ),
        ),
        cost=_conv_cost,
        forward=_conv_forward,
        unseen=frozenset({"pool_time"}),
    ),
    "lstm_pooling": Case(
        small={**_SMALL, "units": 12, "layers": 5},
        # AlexNet without fc8, five layers of 4 x 512 gates with two biases, a classifier of 512.
        counts=(
            Count(
                60_965_224 - 1000 * 4097 + 2048 * (4096 + 512 + 2) + 4 * 2048 * (512 + 512 + 2) + 101 * 513,
                120 * (724_406_816 - 4_096_000 + 2048 * (4096 + 512) + 4 * 2048 * (512 + 512) + 101 * 512),
            ),
        ),
        cost=_lstm_cost,
        forward=_lstm_forward,
        may_be_negative=frozenset({"lstm"}),
        unseen=frozenset({"fc8"}),
    ),
}
