"""How the networks on AlexNet start when they are trained from nothing: ``initialization="he"``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tubelet.errors import UsageError
from tubelet.models.registry import create_model

SMALL: dict[str, dict[str, Any]] = {
    "alexnet": {},
    "conv_pooling": {"clip_length": 2},
    "lrcn": {"clip_length": 2, "units": 64},
    "lstm_composite": {"clip_length": 2, "units": 64},
    "lstm_pooling": {"clip_length": 2, "units": 64, "layers": 1},
}


def spread(logits: Tensor) -> float:
    """Standard deviation between clips, of the classes' mean square."""
    return float(logits.var(0).mean().sqrt())


@pytest.mark.parametrize("name", SMALL)
def test_he_has_variance_two_over_fan_in_and_no_bias(name: str) -> None:
    model = create_model(name, 3, width=0.25, side=67, initialization="he", **SMALL[name])
    # conv2 has 5 × 5 taps and, in each of its two groups, half of conv1's channels: 12 of 24.
    conv2, fc6 = model.get_submodule("conv2"), model.get_submodule("fc6")
    assert conv2.weight.std().item() == pytest.approx((2 / (25 * 12)) ** 0.5, rel=0.03)
    assert fc6.weight.std().item() == pytest.approx((2 / fc6.in_features) ** 0.5, rel=0.03)
    assert not conv2.bias.any()
    assert not fc6.bias.any()
    head = model.get_submodule(model.head_name)
    published = create_model(name, 3, width=0.25, side=67, **SMALL[name]).get_submodule(model.head_name)
    assert torch.equal(head.weight, published.weight)


@pytest.mark.parametrize("name", SMALL)
def test_a_narrow_network_tells_clips_apart_from_the_start(name: str) -> None:
    """Noise of variance 1 on black and white: in numbers, what was the reason for a second rule."""
    options = {"width": 0.125, "side": 67, **SMALL[name]}
    clips = torch.randn(4, 3, options.get("clip_length", 1), 67, 67, generator=torch.Generator().manual_seed(0))
    found = {}
    for rule in ("published", "he"):
        model = create_model(name, 3, initialization=rule, **options).eval()
        with torch.no_grad():
            found[rule] = spread(model(clips))
    assert found["he"] > 1e4 * found["published"]
    assert found["he"] > 1e-5


@pytest.mark.parametrize("name", ["lrcn", "lstm_composite", "lstm_pooling"])
def test_the_lstm_then_starts_as_pytorchs(name: str) -> None:
    model = create_model(name, 3, width=0.0625, side=67, initialization="he", **SMALL[name])
    lstms = [module for module in model.modules() if isinstance(module, torch.nn.LSTM)]
    assert lstms
    for lstm in lstms:
        for parameter in lstm.parameters():
            # Uniform within 1/√64 = 1/8: the largest of hundreds of draws is close to it.
            assert 0.115 < parameter.abs().max().item() <= 0.125


def test_a_rule_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match=r"initialization='hee' is unknown.*did you mean 'he'\?"):
        create_model("alexnet", 3, initialization="hee")
