"""Learning rates against Caffe's formula and PyTorch's own one-cycle schedule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.training.config import TrainConfig
from tubelet.training.schedule import learning_rate, plateau_drops


def test_step_is_the_released_solver() -> None:
    # C3D-v1.0 conv3d_ucf101_solver: 0.003, step 20,000, x 0.1, up to 60,000.
    config = TrainConfig(
        iterations=60_000, optimizer="sgd", learning_rate=0.003, schedule="step", step_every=20_000, step_factor=0.1
    )
    rates = [learning_rate(config, step) for step in (0, 19_999, 20_000, 39_999, 40_000, 59_999)]
    assert rates == pytest.approx([3e-3, 3e-3, 3e-4, 3e-4, 3e-5, 3e-5], rel=1e-12)


@settings(max_examples=25)
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


@settings(max_examples=25)
@given(milestones=st.lists(st.integers(1, 60), min_size=1, max_size=4, unique=True))
def test_multistep_is_pytorchs(milestones: list[int]) -> None:
    config = TrainConfig(
        iterations=60, learning_rate=0.5, schedule="multistep", milestones=sorted(milestones), step_factor=0.1
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    reference = torch.optim.lr_scheduler.MultiStepLR(optimizer, sorted(milestones), gamma=0.1)
    for step in range(60):
        assert learning_rate(config, step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        reference.step()


@settings(max_examples=50)
@given(losses=st.lists(st.sampled_from((1.0, 0.9, 0.8, 0.7)), max_size=30), patience=st.integers(1, 4))
def test_plateau_is_pytorchs_without_tolerance(losses: list[float], patience: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # PyTorch's patience does not count the validation that brings the drop.
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience - 1, threshold=0.0, threshold_mode="abs", eps=0.0
    )
    for loss in losses:
        reference.step(loss)
    assert 0.5 ** plateau_drops(losses, patience) == optimizer.param_groups[0]["lr"]
