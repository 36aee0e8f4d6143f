"""The training loop, readable from top to bottom.

A run is a function of its settings: every clip is a hash of (seed, epoch, sample), every step's dropout a hash of
(seed, step), the learning rate a function of the step. So a run killed anywhere and resumed from its last
checkpoint ends with the same bits as the unbroken run, on the same machine, torch, thread count and precision.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tubelet.allocator import set_allocator
from tubelet.datasets.loader import Batch, DecodedVideos, TrainingClips, input_sampling, plain_clips
from tubelet.errors import NumericalError
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
_VALIDATION_BATCH = 16


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
        One dict per step: step, epoch, learning_rate, loss, accuracy, and val_accuracy where measured.
    precision
        The arithmetic used and why.
    """

    steps: int
    resumed_from: int
    rows: list[dict[str, float]]
    precision: Precision


def train(
    model: VideoModel,
    videos: DecodedVideos,
    config: TrainConfig,
    folder: Path,
    *,
    validation: DecodedVideos | None = None,
    device: str = "cpu",
    on_step: Callable[[int], None] | None = None,
) -> TrainOutcome:
    """Train ``model`` in place; go on from the newest checkpoint in ``folder`` if there is one.

    Parameters
    ----------
    model
        Its ``input`` names the clip length and step; its head must have the manifest's number of classes.
    videos, validation
        Decoded training and validation videos.
    config
        All settings; part of the resume contract, so a changed setting needs a new folder.
    folder
        The run folder: ``checkpoints/``, ``metrics.csv`` and ``timing.csv`` are written there.
    device
        ``"cpu"`` or ``"cuda"``.
    on_step
        Called after each step with the number of steps taken (tests kill the process from here).

    Raises
    ------
    NumericalError
        If a loss or a gradient is not finite: names the step and the layer. Nothing is saved after it.
    KeyboardInterrupt
        After Ctrl-C, when the step under way is done and its checkpoint written.
    """
    set_allocator()
    precision = choose_precision(model, config.precision, device)
    model.to(device)
    model.to(memory_format=precision.memory_format)  # type: ignore[call-overload]  # missing in torch's stubs
    optimizer = build_optimizer(model, config)
    clips = TrainingClips(
        videos,
        config.jitter,
        clip_length=model.input.clip_length,
        step_frames=model.input.step_frames,
        batch_size=config.batch_size,
        seed=config.seed,
        every_clip=config.clips == "non_overlapping",
        segments=model.input.segments,
        class_uniform=config.class_uniform,
    )
    first = 0
    checkpoint = latest_checkpoint(folder / "checkpoints")
    if checkpoint is not None:
        state = load_checkpoint(checkpoint, model, optimizer)
        first = int(state["step"])
        if state["precision"] != precision.name:  # "auto" may come out otherwise another day; a run has one arithmetic
            _log.warning("the run goes on in %s, as it began", state["precision"])
            precision = choose_precision(model, state["precision"], device)
    with held_interrupt() as pressed, progress("training", total=config.iterations, unit="step", initial=first) as bar:
        log = MetricLog(folder, first)
        ready = clips.batches(first, config.iterations, ahead=0 if device == "cpu" and videos.in_memory else 3)
        for step in range(first, config.iterations):
            started = time.perf_counter()
            batch = next(ready)
            loss, accuracy = take_step(model, optimizer, batch, config, step, precision, device)
            row = {
                "step": step + 1,
                "epoch": (step + 1) * config.batch_size / len(clips),
                "learning_rate": learning_rate(config, step),
                "loss": loss,
                "accuracy": accuracy,
            }
            last = step + 1 == config.iterations
            if validation is not None and (last or _due(step, config.validate_every)):
                row["val_accuracy"] = clip_accuracy(model, validation, precision, device)
            log.add(row, seconds=time.perf_counter() - started, clips=config.batch_size)
            interrupted = pressed()
            if last or interrupted or _due(step, config.checkpoint_every):
                log.flush()
                state = {"step": step + 1, "seed": config.seed, "precision": precision.name}
                save_checkpoint(folder / "checkpoints", model, optimizer, state, config.keep_checkpoints)
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
    model.eval()
    return TrainOutcome(config.iterations, first, log.rows, precision)


def take_step(
    model: VideoModel,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: TrainConfig,
    step: int,
    precision: Precision,
    device: str,
) -> tuple[float, float]:
    """One optimizer step; returns the mean loss and the accuracy on the batch before the update."""
    model.train()
    torch.manual_seed(derive_seed(config.seed, "step", step))
    rate = learning_rate(config, step)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_mult"]
    clips = batch.clips.to(device=device).contiguous(memory_format=precision.memory_format)
    targets = batch.targets.to(device)
    with precision.autocast(device):
        logits = model(clips).float()
        loss = F.cross_entropy(logits, targets, label_smoothing=config.label_smoothing)
    if not math.isfinite(loss.item()):
        raise NumericalError(f"the loss is {loss.item()} at step {step + 1}", remedy=_NUMERICAL_REMEDY)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    _check_gradients(model, step)
    if config.gradient_clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
    optimizer.step()
    return loss.item(), (logits.argmax(1) == targets).float().mean().item()


def _check_gradients(model: nn.Module, step: int) -> None:
    # One number per tensor, one synchronization for all of them.
    named = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    norms: list[Tensor] = list(torch._foreach_norm([gradient for _, gradient in named]))
    if torch.isfinite(torch.stack(norms)).all():
        return
    bad = [name for (name, _), norm in zip(named, norms, strict=True) if not torch.isfinite(norm)]
    raise NumericalError(
        f"the gradient of {', '.join(bad[:4])} is not finite at step {step + 1}", remedy=_NUMERICAL_REMEDY
    )


def build_optimizer(model: VideoModel, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW, over the model's own parameter groups (the papers' multipliers)."""
    groups: list[dict[str, Any]] = model.parameter_groups(config.learning_rate, config.weight_decay)
    for group in groups:
        group["lr_mult"] = group["lr"] / config.learning_rate
    if config.optimizer == "sgd":
        # One kernel for each tensor instead of ten: a fifth of a small net's step.
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def clip_accuracy(model: VideoModel, videos: DecodedVideos, precision: Precision, device: str) -> float:
    """Share of non-overlapping test-crop clips whose top class is right (the paper's figure 2 metric)."""
    model.eval()
    spec = model.input
    sampling = input_sampling("non_overlapping", spec.clip_length, step_frames=spec.step_frames, segments=spec.segments)
    right = total = 0
    targets = videos.manifest.targets
    with torch.inference_mode(), precision.autocast(device):
        for video in range(len(videos.lengths)):
            clips, _ = plain_clips(videos, video, sampling)
            for first in range(0, len(clips), _VALIDATION_BATCH):
                part = clips[first : first + _VALIDATION_BATCH]
                # A batch of one takes a slow path in fp32.
                pair = part if len(part) > 1 else part.expand(2, *part.shape[1:])
                logits = model(pair.to(device).contiguous(memory_format=precision.memory_format))[: len(part)]
                right += int((logits.argmax(1) == int(targets[video])).sum())
            total += len(clips)
    return right / total


def _due(step: int, every: int) -> bool:
    return every > 0 and (step + 1) % every == 0
