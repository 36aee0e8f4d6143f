"""The steps of every kind of training, readable from top to bottom.

A run is a function of its settings: every clip is a hash of (seed, epoch, sample), every step's dropout a hash of
(seed, step), the learning rate a function of the step and of the validation losses so far. So a run killed anywhere and
resumed from its last checkpoint ends with the same bits as the unbroken run, on the same machine, torch, thread count
and precision.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tubelet.errors import NumericalError, UsageError
from tubelet.models.contract import VideoModel
from tubelet.provenance import derive_seed
from tubelet.reporting.terminal import progress
from tubelet.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from tubelet.training.config import TrainConfig
from tubelet.training.interrupt import held_interrupt
from tubelet.training.metrics import MetricLog
from tubelet.training.precision import Precision, choose_precision
from tubelet.training.schedule import learning_rate

_log = logging.getLogger(__name__)

_NUMERICAL_REMEDY = "lower --learning-rate, or use --precision float32"


@dataclass(frozen=True)
class StepLoss:
    """What the network makes of one batch.

    Attributes
    ----------
    total
        Scalar float32 with its graph; what is minimized.
    accuracy
        Scalar: the share of right answers in the batch.
    parts
        Scalars that ``total`` is the sum of, one for each of the objective's ``columns``; none where it is one loss.
    """

    total: Tensor
    accuracy: Tensor
    parts: tuple[Tensor, ...] = ()


class Objective(Protocol):
    """What is minimized, on which batches.

    Attributes
    ----------
    network
        The module that learns; a checkpoint holds all of it.
    columns
        Names of the loss's parts in ``metrics.csv``; none where it is one loss.
    clips_per_step, clips_per_epoch
        How far a step goes through the (first) data set.
    """

    @property
    def network(self) -> nn.Module: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def clips_per_step(self) -> int: ...

    @property
    def clips_per_epoch(self) -> int: ...

    def batches(self, first: int, stop: int) -> Iterator[Any]:
        """The batches of steps ``first`` to ``stop - 1``, in order."""

    def loss(self, batch: Any) -> StepLoss:
        """The loss on one batch, in training mode."""

    def validate(self) -> dict[str, float]:
        """Columns such as ``val_accuracy`` and ``val_loss``; empty where there is nothing to validate on."""


@dataclass(frozen=True)
class TrainOutcome:
    """What a run ended with.

    Attributes
    ----------
    steps
        Optimizer steps taken in all, those before a resume included.
    resumed_from
        Step of the checkpoint the run went on from (0: from the start).
    rows
        One dict per step: step, epoch, learning_rate, loss, accuracy, the objective's columns, and val_accuracy and
        val_loss where measured.
    precision
        The arithmetic used and why.
    """

    steps: int
    resumed_from: int
    rows: list[dict[str, float]]
    precision: Precision


def resume(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    model: VideoModel,
    precision: Precision,
    device: str,
) -> tuple[dict[str, Any], Precision]:
    """Fill network and optimizer from the newest checkpoint of a run folder, if there is one.

    Returns
    -------
    state
        What was saved with it; ``{"step": 0}`` where there is none.
    precision
        That of the run so far: "auto" may come out otherwise another day, and a run has one arithmetic.
    """
    checkpoint = latest_checkpoint(folder / "checkpoints")
    if checkpoint is None:
        return {"step": 0}, precision
    state = load_checkpoint(checkpoint, network, optimizer)
    if state["precision"] != precision.name:
        _log.warning("the run goes on in %s, as it began", state["precision"])
        precision = choose_precision(model, state["precision"], device)
    return state, precision


def optimize(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    folder: Path,
    state: dict[str, Any],
    precision: Precision,
    on_step: Callable[[int], None] | None = None,
) -> TrainOutcome:
    """Take all steps that are left, from ``state`` on (see `resume`).

    Raises
    ------
    NumericalError
        If a loss or a gradient is not finite: names the step and the layer. Nothing is saved after it.
    KeyboardInterrupt
        After Ctrl-C, when the step under way is done and its checkpoint written.
    """
    first = int(state["step"])
    validated = [float(loss) for loss in state.get("validation_losses", [])]
    with held_interrupt() as pressed, progress("training", total=config.iterations, unit="step", initial=first) as bar:
        log = MetricLog(folder, first, objective.columns)
        ready = objective.batches(first, config.iterations)
        for step in range(first, config.iterations):
            started = time.perf_counter()
            rate = learning_rate(config, step, validated)
            found = descend(objective, optimizer, next(ready), config, step, rate)
            row = {
                "step": step + 1,
                "epoch": (step + 1) * objective.clips_per_step / objective.clips_per_epoch,
                "learning_rate": rate,
                "loss": found.total.item(),
                "accuracy": found.accuracy.item(),
                **{name: part.item() for name, part in zip(objective.columns, found.parts, strict=True)},
            }
            last = step + 1 == config.iterations
            if last or _due(step, config.validate_every):
                row.update(objective.validate())
                validated += [row["val_loss"]] if "val_loss" in row else []
            log.add(row, seconds=time.perf_counter() - started, clips=config.batch_size)
            interrupted = pressed()
            if last or interrupted or _due(step, config.checkpoint_every):
                log.flush()
                state = {
                    "step": step + 1,
                    "seed": config.seed,
                    "precision": precision.name,
                    "validation_losses": validated,
                }
                save_checkpoint(folder / "checkpoints", objective.network, optimizer, state, config.keep_checkpoints)
            recent = log.recent()
            bar.update(
                1,
                loss=recent.loss,
                accuracy=recent.accuracy,
                rate=f"{recent.rate:.3g} clips/s",
            )
            if on_step is not None:
                on_step(step + 1)
            if interrupted:
                log.close()
                raise KeyboardInterrupt
    log.close()
    objective.network.eval()
    return TrainOutcome(config.iterations, first, log.rows, precision)


def descend(
    objective: Objective, optimizer: torch.optim.Optimizer, batch: Any, config: TrainConfig, step: int, rate: float
) -> StepLoss:
    """One optimizer step at learning rate ``rate``; returns the loss and the accuracy before the update."""
    network = objective.network
    network.train()
    torch.manual_seed(derive_seed(config.seed, "step", step))
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_mult"]
    found = objective.loss(batch)
    if not math.isfinite(found.total.item()):
        raise NumericalError(f"the loss is {found.total.item()} at step {step + 1}", remedy=_NUMERICAL_REMEDY)
    optimizer.zero_grad(set_to_none=True)
    found.total.backward()  # type: ignore[no-untyped-call]
    _check_gradients(network, step)
    if config.gradient_clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
    optimizer.step()
    return StepLoss(found.total.detach(), found.accuracy.detach(), tuple(part.detach() for part in found.parts))


def _check_gradients(network: nn.Module, step: int) -> None:
    # One number per tensor, one synchronization for all of them.
    named = [(name, p.grad) for name, p in network.named_parameters() if p.grad is not None]
    norms: list[Tensor] = list(torch._foreach_norm([gradient for _, gradient in named]))
    if torch.isfinite(torch.stack(norms)).all():
        return
    bad = [name for (name, _), norm in zip(named, norms, strict=True) if not torch.isfinite(norm)]
    raise NumericalError(
        f"the gradient of {', '.join(bad[:4])} is not finite at step {step + 1}", remedy=_NUMERICAL_REMEDY
    )


def build_optimizer(groups: Sequence[dict[str, Any]], config: TrainConfig) -> torch.optim.Optimizer:
    """SGD with (Nesterov's) momentum, or AdamW, over parameter groups with the papers' multipliers.

    Parameters
    ----------
    groups
        As from `VideoModel.parameter_groups`: each with its ``lr_mult`` and ``weight_decay``.
    config
        Optimizer and rate.

    Raises
    ------
    UsageError
        If nothing is left to train.
    """
    if not groups:
        raise UsageError("every weight of the network is frozen, so nothing would learn", remedy="train some layer")
    if config.optimizer == "sgd":
        # One kernel for each tensor instead of ten: a fifth of a small net's step.
        return torch.optim.SGD(
            groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.nesterov, fused=True
        )
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _due(step: int, every: int) -> bool:
    return every > 0 and (step + 1) % every == 0
