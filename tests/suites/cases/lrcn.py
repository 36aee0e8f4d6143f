"""LRCN (spec c3d_res3d.md, section 7; the table is that of the released train_test_lstm_RGB.prototxt)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from suites.case import Case, Count, Weights
from suites.cases.alexnet import CAFFENET, full, full_cost, lstm, lstm_cost, trunk_cost, trunk_forward, vote

_HYBRID = [
    ("conv", "conv1", 96, 7, 2, 0, 1),
    ("pool", "pool1"),
    ("norm", "norm1"),
    ("conv", "conv2", 384, 5, 2, 0, 2),
    ("pool", "pool2"),
    ("norm", "norm2"),
    ("conv", "conv3", 512, 3, 1, 1, 1),
    ("conv", "conv4", 512, 3, 1, 1, 2),
    ("conv", "conv5", 384, 3, 1, 1, 2),
    ("pool", "pool5"),
]
_TABLES = {"hybrid": _HYBRID, "caffenet": CAFFENET}


def _cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    parameters, macs, values = trunk_cost(_TABLES[o["base"]], o["width"], o["side"])
    percept = int(4096 * o["width"])
    parts = [full_cost(values, percept), lstm_cost(percept, o["units"], 1), full_cost(o["units"], classes)]
    return parameters + sum(p for p, _ in parts), o["clip_length"] * (macs + sum(m for _, m in parts))


def _forward(w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    x = full(w, "fc6", trunk_forward(_TABLES[o["base"]], w, x).flatten(2)).clamp(min=0)
    return vote(full(w, "fc8_final", lstm(w, "lstm1", x, 1)), o["votes"])


# The released network by its prototxt; its LSTM has one bias vector of 4 x 256, PyTorch's two.
_FRAME = (
    (96 * 3 * 49 + 96)
    + (384 * 48 * 25 + 384)
    + (512 * 384 * 9 + 512)
    + (512 * 256 * 9 + 512)
    + (384 * 256 * 9 + 384)
    + (384 * 6 * 6 * 4096 + 4096)
)
_RELEASED = _FRAME + 4 * 256 * (4096 + 256) + 4 * 256 + (256 * 101 + 101)

CASES = {
    "lrcn": Case(
        small={"width": 0.0625, "side": 67, "clip_length": 4, "units": 24},
        counts=(
            Count(_RELEASED + 4 * 256, 19_110_429_184),
            Count(65_422_309, 19_110_429_184),
            Count(
                60_965_224 - 1000 * 4097 - 16_781_312 + 1024 * (4096 + 256 + 2) + 101 * 257,
                options={"base": "caffenet"},
            ),
        ),
        cost=_cost,
        forward=_forward,
        may_be_negative=frozenset({"lstm1"}),
        unseen=frozenset({"fc8_final"}),
    ),
}
