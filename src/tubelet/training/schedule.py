"""Learning rates as a pure function of the step, so that resuming needs no scheduler state."""

from __future__ import annotations

import math

from tubelet.training.config import TrainConfig

_START_DIVISOR = 25.0
_END_DIVISOR = 1e4


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate used at ``step`` (0-based).

    Parameters
    ----------
    config
        ``schedule = "step"`` is Caffe's: ``base * factor ** (step // step_every)``, as the released solvers
        have it (C3D-v1.0, conv3d_ucf101_solver). ``"one-cycle"`` rises from base/25 to base over
        ``warmup_fraction`` of the run and falls to base/25/10,000, both along half a cosine (Smith and Topin
        2018, in the form torch.optim.lr_scheduler.OneCycleLR made common). ``"constant"`` is the base.
    step
        Steps already taken.
    """
    base = config.learning_rate
    if config.schedule == "constant":
        return base
    if config.schedule == "step":
        return base * float(config.step_factor ** (step // config.step_every))
    start = base / _START_DIVISOR
    peak = config.warmup_fraction * config.iterations - 1
    last = config.iterations - 1
    if step <= peak:
        return _half_cosine(start, base, step / peak if peak > 0 else 1.0)
    return _half_cosine(base, start / _END_DIVISOR, (step - peak) / (last - peak) if last > peak else 1.0)


def _half_cosine(first: float, second: float, share: float) -> float:
    return second + (first - second) * (1 + math.cos(math.pi * share)) / 2
