"""Learning rates as a pure function of the step, so that resuming needs no scheduler state."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from tubelet.training.config import TrainConfig

_START_DIVISOR = 25.0
_END_DIVISOR = 1e4


def learning_rate(config: TrainConfig, step: int, validation_losses: Sequence[float] = ()) -> float:
    """Learning rate used at ``step`` (0-based).

    Parameters
    ----------
    config
        ``schedule = "step"`` is Caffe's: ``base * factor ** (step // step_every)``, as the released solvers
        have it (C3D-v1.0, conv3d_ucf101_solver). ``"multistep"`` is Caffe's policy of that name: the base times the
        factor for every milestone that is at most ``step``. ``"plateau"`` is the base times the factor for every
        drop that `plateau_drops` counts. ``"one-cycle"`` rises from base/25 to base over
        ``warmup_fraction`` of the run and falls to base/25/10,000, both along half a cosine (Smith and Topin
        2018, in the form torch.optim.lr_scheduler.OneCycleLR made common). ``"constant"`` is the base.
    step
        Steps already taken.
    validation_losses
        What validation has found in these steps, oldest first; only ``"plateau"`` looks at them. They are part of
        a checkpoint, so that a resumed run has the rates of the unbroken one.
    """
    base = config.learning_rate
    if config.schedule == "constant":
        return base
    if config.schedule == "step":
        return base * float(config.step_factor ** (step // config.step_every))
    if config.schedule == "multistep":
        return base * float(config.step_factor ** bisect_right(config.milestones, step))
    if config.schedule == "plateau":
        return base * float(config.step_factor ** plateau_drops(validation_losses, config.patience))
    start = base / _START_DIVISOR
    peak = config.warmup_fraction * config.iterations - 1
    last = config.iterations - 1
    if step <= peak:
        return _half_cosine(start, base, step / peak if peak > 0 else 1.0)
    return _half_cosine(base, start / _END_DIVISOR, (step - peak) / (last - peak) if last > peak else 1.0)


def plateau_drops(losses: Sequence[float], patience: int) -> int:
    """How often the rate has dropped because the validation loss no longer fell (Diba et al. 2017, T3D on Kinetics).

    The paper says "saturates" and no more, so it was decided here: a drop follows ``patience`` validations in a row
    none of which is below the lowest loss before them; then the count begins anew.
    """
    lowest, waited, drops = math.inf, 0, 0
    for loss in losses:
        if loss < lowest:
            lowest, waited = loss, 0
            continue
        waited += 1
        if waited == patience:
            waited, drops = 0, drops + 1
    return drops


def _half_cosine(first: float, second: float, share: float) -> float:
    return second + (first - second) * (1 + math.cos(math.pi * share)) / 2
