"""Learning rates against Caffe's formula and PyTorch's own one-cycle schedule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.training.config import TrainConfig
from tubelet.training.schedule import learning_rate


def test_step_is_the_released_solver() -> None:
    # C3D-v1.0 conv3d_ucf101_solver: 0.003, step 20,000, x 0.1, up to 60,000.
    config = TrainConfig(
        iterations=60_000, optimizer="sgd", learning_rate=0.003, schedule="step", step_every=20_000, step_factor=0.1
    )
    rates = [learning_rate(config, step) for step in (0, 19_999, 20_000, 39_999, 40_000, 59_999)]
    assert rates == pytest.approx([3e-3, 3e-3, 3e-4, 3e-4, 3e-5, 3e-5], rel=1e-12)


@settings(deadline=None, max_examples=25)
@given(iterations=st.integers(10, 400), warmup=st.floats(0.11, 0.9), rate=st.floats(1e-5, 1.0))
def test_one_cycle_is_pytorchs(iterations: int, warmup: float, rate: float) -> None:
    config = TrainConfig(iterations=iterations, learning_rate=rate, warmup_fraction=warmup, schedule="one-cycle")
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=rate)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=iterations, pct_start=warmup)
    for step in range(iterations):
        assert learning_rate(config, step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if step + 1 < iterations:
            reference.step()


def test_one_cycle_of_one_step_has_a_rate() -> None:
    config = TrainConfig(iterations=1, learning_rate=0.1)
    assert 0 < learning_rate(config, 0) <= 0.1


def test_constant() -> None:
    config = TrainConfig(iterations=5, learning_rate=0.25, schedule="constant")
    assert {learning_rate(config, step) for step in range(5)} == {0.25}
