"""Supervision transfer from images to video (Diba et al. 2017, arXiv 1711.08200, figure 2): no labels needed.

============ ==================================================== ==================================
part         operation                                            parameters
============ ==================================================== ==================================
teacher      frozen image network on each of the 32 frames,       none trained
             its features averaged over them; 1024
teacher_fc   only where the teacher's features are not 1024       D · 1024 + 1024
student      3-D network on the clip of the same 32 frames;       its own, its classifier unused
             pooled features (T3D-121: 896)
student_fc   896 → 1024                                           918,528
(joined)     teacher's and student's, 2048
fc1          2048 → 512, ReLU                                     1,049,088
fc2          512 → 128, ReLU                                      65,664
classifier   128 → 2: 1 for frames and clip of one video at one   258
             time, 0 for two different videos
============ ==================================================== ==================================

The student learns what the teacher sees by telling whether frames and clip belong together; then it is fine-tuned on
labels (``network.student.reset_head``). The paper trains on about 500,000 unlabeled clips with stochastic gradient
descent, Nesterov momentum 0.9, weight decay 1e-4, batches of 32, and a rate of 0.1 divided by 10 every 30 epochs.

The sources do not say, so it was decided here: ReLU behind fc1 and fc2 and none behind teacher_fc and student_fc, no
dropout, the teacher's features first, teacher_fc trained with the head, and the head's starting weights.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel, published_groups
from tubelet.models.initialization import he, layer_generator, xavier
from tubelet.models.layers import relu
from tubelet.models.options import positive_int

_FC1, _FC2 = 512, 128


class SupervisionTransfer(nn.Module):
    """A frozen image network, a 3-D network that learns from it, and the head that compares them.

    Parameters
    ----------
    teacher
        An image network with trained weights: one whose ``input`` is a single frame, such as ``densenet_121``. It is
        kept, not copied, and from now on its parameters take no gradient and it stays in evaluation mode.
    student
        The network to train, such as ``t3d_121``; kept, not copied.
    teacher_layer, student_layer
        Layers whose activations are compared; feature maps are averaged over what they extend over.
    features
        Length of both vectors before they are joined.
    seed
        What the head's starting weights depend on: He et al. 2015 (fan in) where a ReLU follows, else variance
        1/fan-in; biases 0. The global random state is neither read nor changed.

    Raises
    ------
    UsageError
        If the teacher takes several frames, is the student itself, or a layer is unknown.
    """

    def __init__(
        self,
        teacher: VideoModel,
        student: VideoModel,
        *,
        teacher_layer: str = "pool5",
        student_layer: str = "pool5",
        features: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__()
        features = positive_int("features", features)
        if teacher is student:
            raise UsageError("teacher and student are the same network", remedy="build two")
        if teacher.input.frames != 1:
            raise UsageError(
                f"the teacher {teacher.name} takes {teacher.input.frames} frames",
                why="a teacher sees frames one by one",
                remedy="build an image network, e.g. densenet_121, with clip_length=1",
            )
        self.teacher_layer, self.student_layer = teacher_layer, student_layer
        taught, seen = feature_size(teacher, teacher_layer), feature_size(student, student_layer)
        self.teacher = teacher.requires_grad_(False)
        self.student = student
        self.teacher_fc = _linear(taught, features) if taught != features else None
        self.student_fc = _linear(seen, features)
        self.fc1 = _linear(2 * features, _FC1)
        self.fc2 = _linear(_FC1, _FC2)
        self.classifier = _linear(_FC2, 2)
        for name, layer in self.named_children():
            if isinstance(layer, nn.Linear):
                generator = layer_generator(seed, f"supervision_transfer.{name}")
                if name in ("fc1", "fc2"):
                    he(layer, generator, fan="in")
                else:
                    xavier(layer, 0.0, generator)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As for every module, but the teacher stays in evaluation mode: its statistics are part of what it knows."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, frames: Tensor, clips: Tensor) -> Tensor:
        """Whether frames and clips belong together.

        Parameters
        ----------
        frames
            (N, C, X, H, W) float: X frames by the teacher's recipe, seen one by one.
        clips
            (N, C, T, H, W) float: clips by the student's recipe.

        Returns
        -------
        Tensor
            (N, 2) logits; column 1 says that they match.

        Raises
        ------
        UsageError
            If a network does not take clips of this shape, or there are more of one than of the other.
        """
        return self.match(self.teacher_features(frames), self.student_features(clips))

    @torch.no_grad()
    def teacher_features(self, frames: Tensor) -> Tensor:
        """The teacher's features of frames (N, C, X, H, W), averaged over X: (N, D) without gradient."""
        if frames.dim() != 5:
            raise UsageError(f"frames have the shape {tuple(frames.shape)}", remedy="give (N, C, X, H, W)")
        n, count = len(frames), frames.shape[2]
        alone = frames.transpose(1, 2).flatten(0, 1).unsqueeze(2)
        values = _vectors(self.teacher.features(alone, (self.teacher_layer,))[self.teacher_layer])
        return values.view(n, count, -1).mean(1)

    def student_features(self, clips: Tensor) -> Tensor:
        """The student's features of clips (N, C, T, H, W): (N, D)."""
        return _vectors(self.student.features(clips, (self.student_layer,))[self.student_layer])

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """Student and head with the multipliers of `VideoModel.parameter_groups`; the teacher does not learn."""
        return published_groups(self, lr, weight_decay)

    def match(self, taught: Tensor, seen: Tensor) -> Tensor:
        """Logits (N, 2) from N features of either network.

        To compare one batch in several ways, compute its features once and give them here in the order of
        `matching_pairs`: ``match(taught[pairs.frames], seen[pairs.clips])``.
        """
        if len(taught) != len(seen):
            raise UsageError(f"{len(taught)} stacks of frames cannot be compared with {len(seen)} clips")
        if self.teacher_fc is not None:
            taught = self.teacher_fc(taught)
        x = torch.cat((taught, self.student_fc(seen)), 1)
        x = relu(self.fc2(relu(self.fc1(x))))
        return self.classifier(x)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Pairs:
    """Which frames of a batch are put beside which of its clips.

    Attributes
    ----------
    frames, clips
        (M,) int64: places in the batch.
    matches
        (M,) int64: 1 where both are of the same place, 0 where they are of different videos.
    """

    frames: Tensor
    clips: Tensor
    matches: Tensor


def matching_pairs(videos: Sequence[Hashable], generator: torch.Generator) -> Pairs:
    """Every clip of a batch with its own frames, then every clip with frames of another video, drawn at random.

    Parameters
    ----------
    videos
        Which video each of the batch's N places is of. Two places may be of one video (at two times): they are
        never a pair, neither a match nor none.
    generator
        Draws the others, all places of other videos alike; the global random state is not touched.

    Returns
    -------
    Pairs
        2N pairs, N that match and N that do not; both halves have the clips in the order of the batch.

    Raises
    ------
    UsageError
        If there are not two videos.
    """
    places: dict[Hashable, list[int]] = {}
    for place, video in enumerate(videos):
        places.setdefault(video, []).append(place)
    if len(places) < 2:
        raise UsageError(
            f"a batch of {len(places)} video has no pair that does not match",
            remedy="put clips of several videos into each batch",
        )
    # Places in the order of their videos: those of one video are a run, and the others all that is around it.
    order = [place for run in places.values() for place in run]
    others = torch.empty(len(order), dtype=torch.int64)
    start = 0
    for run in places.values():
        drawn = torch.randint(len(order) - len(run), (len(run),), generator=generator).tolist()
        for place, k in zip(run, drawn, strict=True):
            others[place] = order[k if k < start else k + len(run)]
        start += len(run)
    own = torch.arange(len(order))
    return Pairs(torch.cat((own, others)), own.repeat(2), torch.tensor([1, 0]).repeat_interleave(len(order)))


def feature_size(model: VideoModel, layer: str) -> int:
    """Length of a layer's vector, found without computing it; the network is left as it is.

    Raises
    ------
    UsageError
        If there is no such layer.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    meta = {f"model.{key}": tensor.to("meta") for key, tensor in tensors.items()}
    clip = torch.empty((1, *model.input.shape), device="meta")
    training = model.training
    try:
        with torch.no_grad():
            value: Tensor = functional_call(_Layer(model.eval(), layer), meta, (clip,))
    finally:
        model.train(training)
    return value.shape[1]


class _Layer(nn.Module):
    """One layer's vectors as a module's output, which is what ``functional_call`` can ask for."""

    def __init__(self, model: VideoModel, layer: str) -> None:
        super().__init__()
        self.model, self.layer = model, layer

    def forward(self, x: Tensor) -> Tensor:
        return _vectors(self.model.features(x, (self.layer,))[self.layer])


def _vectors(activation: Tensor) -> Tensor:
    return activation if activation.dim() == 2 else activation.flatten(2).mean(2)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    # Made without memory first, so that no random number is drawn that nobody keeps.
    return nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
