"""Training a 3-D network by an image network, without labels (Diba et al. 2017, figure 2).

The student learns to tell whether frames, seen by the teacher, and a clip, seen by itself, belong together. The teacher
does not change, so what it says of every frame is computed once: its test crop of the frame, whatever chance does to
the student's clip of the same frames. (The paper does not say whether teacher and student see one crop.)

The teacher's features are divided by their root mean square over the training frames. Those of a DenseNet, the paper's
teacher, are near 1 by themselves; SqueezeNet's, from pixels of 0 to 255, are not, and training ran away within five
steps at a fifth of the published learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tubelet.allocator import set_allocator
from tubelet.clips.transforms import to_input
from tubelet.datasets.loader import Batch, DecodedVideos, TrainingClips, input_sampling, plain_clips
from tubelet.errors import UsageError
from tubelet.models.supervision_transfer import SupervisionTransfer, matching_pairs
from tubelet.provenance import derive_seed
from tubelet.training.config import TrainConfig
from tubelet.training.precision import Precision, choose_precision
from tubelet.training.steps import StepLoss, TrainOutcome, build_optimizer, optimize, resume

_CHUNK = 16


@dataclass(frozen=True)
class TaughtVideos:
    """Videos as the student reads them, with what the teacher says of every frame.

    Attributes
    ----------
    videos
        Decoded by the student's recipe.
    taught
        For each video (frames, D) float32: the teacher's features, each frame by itself, over ``scale``.
    scale
        What the teacher's features were divided by.
    """

    videos: DecodedVideos
    taught: tuple[Tensor, ...]
    scale: float


def taught_videos(
    network: SupervisionTransfer,
    videos: DecodedVideos,
    teacher_videos: DecodedVideos,
    *,
    scale: float | None = None,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> TaughtVideos:
    """Let the teacher look at every frame once. Memory: 4 · D bytes a frame, 2 MB for 1,000 frames of 512 features.

    Parameters
    ----------
    network
        Its teacher looks.
    videos, teacher_videos
        The same videos, decoded by the student's and by the teacher's recipe.
    scale
        What to divide the features by: that of the training videos. None: the root mean square of all found here.
    device
        Where the teacher is to be.
    progress
        Called with 1 after each video.

    Raises
    ------
    UsageError
        If these are not the same videos.
    """
    same = [item.span for item in videos.manifest.items] == [item.span for item in teacher_videos.manifest.items]
    if not same or videos.lengths != teacher_videos.lengths:
        raise UsageError("student and teacher do not see the same videos", remedy="decode one manifest twice")
    network.teacher.to(device)
    network.eval()
    taught = []
    for video, length in enumerate(teacher_videos.lengths):
        parts = []
        for first in range(0, length, _CHUNK):
            indices = np.arange(first, min(first + _CHUNK, length))
            clip = to_input(teacher_videos.frames(video, indices), teacher_videos.recipe)
            frames = clip.transpose(0, 1).unsqueeze(2)  # (C, T, H, W) → T inputs of one frame
            parts.append(network.teacher_features(frames.to(device)).float().cpu())
        taught.append(torch.cat(parts))
        if progress is not None:
            progress(1)
    if scale is None:
        total = sum(float(features.double().square().sum()) for features in taught)
        scale = (total / sum(features.numel() for features in taught)) ** 0.5 or 1.0
    return TaughtVideos(videos, tuple(features / scale for features in taught), scale)


def train_transfer(
    network: SupervisionTransfer,
    videos: TaughtVideos,
    config: TrainConfig,
    folder: Path,
    *,
    validation: TaughtVideos | None = None,
    device: str = "cpu",
    on_step: Callable[[int], None] | None = None,
) -> TrainOutcome:
    """Train student and head in place; go on from the newest checkpoint in ``folder`` if there is one.

    Parameters
    ----------
    network
        Teacher, student and head.
    videos, validation
        Labels are not looked at.
    config, folder, device, on_step
        As for `tubelet.training.loop.train`. A batch of N clips makes 2N pairs, N that match and N that do not.

    Raises
    ------
    UsageError
        If there are fewer than two videos, batches may be of one video, the student takes several segments, or
        ``config`` asks for what only labels can give.
    NumericalError, KeyboardInterrupt
        As `tubelet.training.loop.train`.
    """
    set_allocator()
    student = network.student
    if len(videos.videos.lengths) < 2:
        raise UsageError("frames that do not match a clip are of another video, and there is one only")
    if student.input.segments > 1:
        raise UsageError(f"{student.name} takes several segments, not one clip", remedy="choose a 3-D network")
    if config.train_layers is not None or config.label_smoothing or config.class_uniform:
        raise UsageError("a teacher trains all layers, and without labels", remedy="leave these settings away")
    if config.clips != "random" or config.batch_size < 3:
        raise UsageError(
            "frames that do not match a clip are of another video, so every batch needs several",
            remedy='take clips = "random", one of each video in turn, in batches of 3 or more',
        )
    if config.schedule == "plateau" and validation is None:
        raise UsageError("the learning rate is to follow validation videos, and there are none")
    precision = choose_precision(student, config.precision, device)
    network.to(device)
    student.to(memory_format=precision.memory_format)  # type: ignore[call-overload]  # missing in torch's stubs
    optimizer = build_optimizer(network.parameter_groups(config.learning_rate, config.weight_decay), config)
    state, precision = resume(folder, network, optimizer, student, precision, device)
    clips = TrainingClips(
        videos.videos,
        config.jitter,
        clip_length=student.input.clip_length,
        step_frames=student.input.step_frames,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    objective = Matching(network, clips, videos.taught, config.seed, precision, device, validation)
    return optimize(objective, optimizer, config, folder, state, precision, on_step)


@dataclass
class Matching:
    """Cross-entropy of "these frames belong to this clip"; see `tubelet.training.steps.Objective`."""

    network: SupervisionTransfer
    clips: TrainingClips
    taught: tuple[Tensor, ...]
    seed: int
    precision: Precision
    device: str
    validation: TaughtVideos | None = None
    columns: tuple[str, ...] = ()

    @property
    def clips_per_step(self) -> int:
        """Clips in a batch."""
        return self.clips.batch_size

    @property
    def clips_per_epoch(self) -> int:
        """Clips in an epoch."""
        return len(self.clips)

    def batches(self, first: int, stop: int) -> Iterator[tuple[int, Batch]]:
        """Each step with its batch: which pairs do not match depends on the step alone."""
        ahead = 0 if self.device == "cpu" and self.clips.videos.in_memory else 3
        return zip(range(first, stop), self.clips.batches(first, stop, ahead=ahead), strict=True)

    def loss(self, batch: tuple[int, Batch]) -> StepLoss:
        """Mean over all pairs of the batch."""
        step, clips = batch
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "pairs", step))
        pairs = matching_pairs(clips.videos, generator)
        taught = torch.stack(
            [self.taught[video][frames].mean(0) for video, frames in zip(clips.videos, clips.frames, strict=True)]
        ).to(self.device)
        inputs = clips.clips.to(self.device).contiguous(memory_format=self.precision.memory_format)
        matches = pairs.matches.to(self.device)
        with self.precision.autocast(self.device):
            seen = self.network.student_features(inputs)
            logits = self.network.match(taught[pairs.frames], seen[pairs.clips]).float()
            loss = F.cross_entropy(logits, matches)
        return StepLoss(loss, (logits.argmax(1) == matches).float().mean())

    def validate(self) -> dict[str, float]:
        """Share of right pairs of the validation videos, and their loss."""
        if self.validation is None:
            return {}
        found = pair_scores(self.network, self.validation, self.precision, self.device, self.seed)
        return {"val_accuracy": float(np.mean(found.right)), "val_loss": found.loss}


@dataclass(frozen=True)
class PairScores:
    """Pairs of held-out videos.

    Attributes
    ----------
    right
        For each clip the share of right answers to its two pairs: its own frames, and another video's.
    videos
        Index of each clip's video.
    loss
        Mean cross-entropy of all pairs.
    """

    right: tuple[float, ...]
    videos: tuple[int, ...]
    loss: float


def pair_scores(
    network: SupervisionTransfer, videos: TaughtVideos, precision: Precision, device: str, seed: int
) -> PairScores:
    """Every non-overlapping test-crop clip with its own frames, and with frames of another video drawn by ``seed``."""
    network.eval()
    spec = network.student.input
    sampling = input_sampling("non_overlapping", spec.clip_length, step_frames=spec.step_frames, segments=1)
    seen: list[Tensor] = []
    taught: list[Tensor] = []
    owners: list[int] = []
    with torch.inference_mode(), precision.autocast(device):
        for video in range(len(videos.videos.lengths)):
            clips, indices = plain_clips(videos.videos, video, sampling)
            for first in range(0, len(clips), _CHUNK):
                part = clips[first : first + _CHUNK]
                pair = part if len(part) > 1 else part.expand(2, *part.shape[1:])  # a lone one takes a slow path
                inputs = pair.to(device).contiguous(memory_format=precision.memory_format)
                seen.append(network.student_features(inputs)[: len(part)].float())
            taught += [videos.taught[video][frames].mean(0) for frames in indices.frames]
            owners += [video] * len(clips)
        pairs = matching_pairs(owners, torch.Generator().manual_seed(derive_seed(seed, "held-out pairs")))
        frames = torch.stack(taught).to(device)
        logits = network.match(frames[pairs.frames], torch.cat(seen)[pairs.clips]).float().cpu()
    answers = (logits.argmax(1) == pairs.matches).float().view(2, -1)  # matching pairs first, in the clips' order
    loss = F.cross_entropy(logits, pairs.matches).item()
    return PairScores(tuple(answers.mean(0).tolist()), tuple(owners), loss)
