"""Training on labels: one data set, or several that share all layers but the last (multi-task learning).

The steps themselves are in `tubelet.training.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from tubelet.allocator import set_allocator
from tubelet.datasets.loader import Batch, DecodedVideos, TrainingClips, input_sampling, plain_clips
from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.provenance import derive_seed
from tubelet.training.config import TrainConfig
from tubelet.training.precision import Precision, choose_precision
from tubelet.training.steps import StepLoss, TrainOutcome, build_optimizer, optimize, resume

_VALIDATION_BATCH = 16


def train(
    model: VideoModel,
    videos: DecodedVideos,
    config: TrainConfig,
    folder: Path,
    *,
    further: Sequence[DecodedVideos] = (),
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
    further
        Training videos of further data sets, one for each further head of ``model`` (option ``tasks`` of the
        Two-Stream networks): each head's loss counts the clips of its own data set only, and the losses are added
        (Simonyan and Zisserman 2014, section 4). A batch has as many clips of each data set; the paper does not say.
    device
        ``"cpu"`` or ``"cuda"``.
    on_step
        Called after each step with the number of steps taken (tests kill the process from here).

    Raises
    ------
    UsageError
        If heads and data sets do not fit, a layer of ``train_layers`` is unknown, or the rate is to follow the loss on
        validation videos that are not there.
    NumericalError
        If a loss or a gradient is not finite: names the step and the layer. Nothing is saved after it.
    KeyboardInterrupt
        After Ctrl-C, when the step under way is done and its checkpoint written.
    """
    set_allocator()
    if config.schedule == "plateau" and validation is None:
        raise UsageError(
            "the learning rate is to follow the loss on validation videos, and there are none",
            remedy="hold videos out, or choose the steps of its drops (schedule = 'multistep')",
        )
    sets = (videos, *further)
    _require_heads(model, sets)
    if config.train_layers is not None:
        model.train_only(config.train_layers)
    precision = choose_precision(model, config.precision, device)
    model.to(device)
    model.to(memory_format=precision.memory_format)  # type: ignore[call-overload]  # missing in torch's stubs
    optimizer = build_optimizer(model.parameter_groups(config.learning_rate, config.weight_decay), config)
    state, precision = resume(folder, model, optimizer, model, precision, device)
    clips = [_clips(model, one, config, task, len(sets)) for task, one in enumerate(sets)]
    objective = Classification(model, clips, precision, device, config.label_smoothing, validation)
    return optimize(objective, optimizer, config, folder, state, precision, on_step)


def _clips(model: VideoModel, videos: DecodedVideos, config: TrainConfig, task: int, tasks: int) -> TrainingClips:
    return TrainingClips(
        videos,
        config.jitter,
        clip_length=model.input.clip_length,
        step_frames=model.input.step_frames,
        batch_size=share(config.batch_size, tasks),
        seed=config.seed if task == 0 else derive_seed(config.seed, "task", task),
        every_clip=config.clips == "non_overlapping",
        segments=model.input.segments,
        class_uniform=config.class_uniform,
    )


def share(batch_size: int, tasks: int) -> int:
    """Clips of each of several data sets in a batch.

    Raises
    ------
    UsageError
        If the batch cannot be divided equally.
    """
    if batch_size % tasks:
        raise UsageError(
            f"a batch of {batch_size} clips cannot hold as many of each of {tasks} data sets",
            remedy=f"make --batch-size a multiple of {tasks}",
        )
    return batch_size // tasks


def _require_heads(model: VideoModel, sets: Sequence[DecodedVideos]) -> None:
    heads: tuple[str, ...] = getattr(model, "task_heads", (model.head_name,))
    outputs = [model.get_submodule(head).out_features for head in heads]
    classes = [len(one.manifest.classes) for one in sets]
    if outputs != classes:
        raise UsageError(
            f"{model.name} has heads of {', '.join(map(str, outputs))} outputs",
            why=f"the data sets have {', '.join(map(str, classes))} classes",
            remedy="build it with num_classes for the first and tasks=(...) for the others"
            if len(heads) > 1 or hasattr(model, "task_heads")
            else "give one data set with as many classes; only the two_stream networks take tasks=(...)",
        )


@dataclass
class Classification:
    """Cross-entropy of clips' labels, for each data set through a head of its own; see `Objective`.

    Attributes
    ----------
    model
        What learns.
    clips
        One stream of batches for each data set, in the order of the heads.
    precision, device
        Arithmetic of the forward pass, and where.
    label_smoothing
        Share of the target that goes to all classes alike.
    validation
        Videos of the first data set, or None.
    """

    model: VideoModel
    clips: Sequence[TrainingClips]
    precision: Precision
    device: str
    label_smoothing: float = 0.0
    validation: DecodedVideos | None = None

    @property
    def network(self) -> VideoModel:
        """The model."""
        return self.model

    @property
    def columns(self) -> tuple[str, ...]:
        """One loss for each data set, where there are several."""
        return tuple(f"task{number + 1}_loss" for number in range(len(self.clips))) if len(self.clips) > 1 else ()

    @property
    def clips_per_step(self) -> int:
        """Clips of the first data set in a batch."""
        return self.clips[0].batch_size

    @property
    def clips_per_epoch(self) -> int:
        """Clips in an epoch of the first data set."""
        return len(self.clips[0])

    def batches(self, first: int, stop: int) -> Iterator[tuple[Batch, ...]]:
        """One batch of every data set for each step."""
        streams = [
            one.batches(first, stop, ahead=0 if self.device == "cpu" and one.videos.in_memory else 3)
            for one in self.clips
        ]
        return zip(*streams, strict=True)

    def loss(self, batch: Sequence[Batch]) -> StepLoss:
        """Sum over the data sets of the mean loss of their clips."""
        clips = torch.cat([part.clips for part in batch]) if len(batch) > 1 else batch[0].clips
        clips = clips.to(device=self.device).contiguous(memory_format=self.precision.memory_format)
        losses: list[Tensor] = []
        right: list[Tensor] = []
        with self.precision.autocast(self.device):
            for part, logits in zip(batch, self._logits(clips, batch), strict=True):
                targets = part.targets.to(self.device)
                losses.append(F.cross_entropy(logits.float(), targets, label_smoothing=self.label_smoothing))
                right.append(logits.argmax(1) == targets)
            total = torch.stack(losses).sum() if len(losses) > 1 else losses[0]
        return StepLoss(total, torch.cat(right).float().mean(), tuple(losses) if len(losses) > 1 else ())

    def _logits(self, clips: Tensor, batch: Sequence[Batch]) -> list[Tensor]:
        if len(batch) == 1:
            return [self.model(clips)]
        sizes = [len(part.targets) for part in batch]
        # Every head sees every clip, which costs nothing beside the trunk, and keeps those of its own data set.
        return [
            logits.split(sizes)[task]
            for task, logits in enumerate(self.model.task_logits(clips))  # type: ignore[operator]
        ]

    def validate(self) -> dict[str, float]:
        """Accuracy and loss on the validation videos, where there are some."""
        if self.validation is None:
            return {}
        accuracy, loss = clip_scores(self.model, self.validation, self.precision, self.device)
        return {"val_accuracy": accuracy, "val_loss": loss}


def clip_scores(model: VideoModel, videos: DecodedVideos, precision: Precision, device: str) -> tuple[float, float]:
    """Accuracy (the metric of the C3D paper's figure 2) and mean cross-entropy of non-overlapping test-crop clips."""
    model.eval()
    spec = model.input
    sampling = input_sampling("non_overlapping", spec.clip_length, step_frames=spec.step_frames, segments=spec.segments)
    right = total = 0
    loss = 0.0
    targets = videos.manifest.targets
    with torch.inference_mode(), precision.autocast(device):
        for video in range(len(videos.lengths)):
            clips, _ = plain_clips(videos, video, sampling)
            for first in range(0, len(clips), _VALIDATION_BATCH):
                part = clips[first : first + _VALIDATION_BATCH]
                # A batch of one takes a slow path in fp32.
                pair = part if len(part) > 1 else part.expand(2, *part.shape[1:])
                logits = model(pair.to(device).contiguous(memory_format=precision.memory_format))[: len(part)].float()
                right += int((logits.argmax(1) == int(targets[video])).sum())
                loss += float((logits.logsumexp(1) - logits[:, int(targets[video])]).double().sum())
            total += len(clips)
    return right / total, loss / total
