"""The LSTM composite (spec c3d_res3d.md, section 7): a reconstruction, counted by arithmetic.

The logits come from the classifier; encoder and decoders are trained by a loss of their own, which
tests/models/test_lstm_composite.py compares with another implementation.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from suites.case import Case, Count, Weights
from suites.cases.alexnet import CAFFENET, full, full_cost, lstm, lstm_cost, trunk_cost, trunk_forward, vote


def _cost(classes: int, o: dict[str, Any]) -> tuple[int, int]:
    parameters, macs, values = trunk_cost(CAFFENET, o["width"], o["side"])
    percept, cells = int(4096 * o["width"]), o["units"]
    reader = lstm_cost(percept, cells, o["layers"])
    decoder = lstm_cost(percept if o["conditioned"] else 1, cells, o["layers"])
    fc6, head = full_cost(values, percept), full_cost(cells, classes)
    parameters += fc6[0] + 2 * reader[0] + head[0] + 2 * (decoder[0] + full_cost(cells, percept)[0])
    return parameters, o["clip_length"] * (macs + fc6[1] + reader[1] + head[1])


def _forward(w: Weights, x: Tensor, o: dict[str, Any]) -> Tensor:
    x = full(w, "fc6", trunk_forward(CAFFENET, w, x).flatten(2)).clamp(min=0)
    return vote(full(w, "classifier_out", lstm(w, "classifier_lstm", x, o["layers"])), o["votes"])


# AlexNet up to fc6; four LSTMs of 2048 cells on 4096 values; two outputs of 4096; a classifier.
_FULL = (
    (60_965_224 - 1000 * 4097 - 16_781_312) + 4 * 8192 * (4096 + 2048 + 2) + 2 * 4096 * (2048 + 1) + 101 * (2048 + 1)
)

CASES = {
    "lstm_composite": Case(
        small={"width": 0.0625, "side": 67, "clip_length": 4, "units": 20, "layers": 2, "future_length": 3},
        counts=(Count(_FULL, 16 * (724_406_816 - 4_096_000 - 16_777_216 + 8192 * (4096 + 2048) + 101 * 2048)),),
        cost=_cost,
        forward=_forward,
        may_be_negative=frozenset({"classifier_lstm"}),
        unseen=frozenset({"classifier_out"}),
        untrained_by_forward=frozenset({"encoder_lstm.", "reconstruction_", "prediction_"}),
    ),
}
