"""A network of transformers as a `VideoModel`: its hidden states are layers, its classifier, if any, the head.

========================= ============================================================= ==============================
layer                     what transformers calls it                                    shape
========================= ============================================================= ==============================
hidden_0                  ``hidden_states[0]``: the embeddings                          (N, D, T', H', W')
hidden_1 … hidden_n       ``hidden_states[i]``: behind the i-th block or stage          (N, D, T', H', W')
last_hidden_state         behind the final norm                                         (N, D, T', H', W')
pooled                    the vector that the network itself is read by, see below      (N, D), images (N, D, T, 1, 1)
logits, prob              of the classifier                                             (N, K)
========================= ============================================================= ==============================

Maps hold the tokens of patches; a class token and registers, which have no place, are left out of them. Image networks
see every frame by itself; their logits are means over the frames.

``pooled`` is what the classifier reads, where there is one: for VideoMAE the normalized mean of all tokens, for V-JEPA
2 what its attentive pooler gives. Without a classifier it is the mean of all tokens (VideoMAE, whose classifiers
average them: ``VideoMAEForVideoClassification``; V-JEPA 2: ``get_vision_features``, averaged), and of image networks
``image_embeds`` (CLIP's projection), else ``pooler_output``, else the class token, else the mean of all tokens.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from tubelet.clips.recipe import Recipe
from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.huggingface.layout import base_name, check_length, classifier_name
from tubelet.models.per_frame import with_time
from tubelet.models.spec import InputSpec, Paper, Source

HIDDEN, LAST, POOLED, LOGITS, PROB = "hidden_", "last_hidden_state", "pooled", "logits", "prob"

_MOST_EXTRA_TOKENS = 16  # a class token, a distillation token, registers; more is another layout


@dataclass(frozen=True)
class Loaded:
    """A network of transformers with its weights, and what is known of it.

    Attributes
    ----------
    module
        In evaluation mode.
    name
        What it is called here, such as ``hf:videomae``.
    recipe
        How its processor prepares pixels.
    labels
        Class names; None where it has no classifier or they are only numbered.
    paper, source
        As for every network.
    """

    module: Any
    name: str
    recipe: Recipe
    labels: tuple[str, ...] | None
    paper: Paper
    source: Source


@dataclass
class _Seen:
    """What hooks caught of one pass: the output of the network below the classifier, and what the classifier read."""

    base: Any = None
    read: Tensor | None = None


class HuggingFaceNetwork(VideoModel):
    """Base class of the adapters: describes clips, and neither learns nor is saved.

    Parameters
    ----------
    loaded
        The network.
    hidden
        How many hidden states it gives, the embeddings included.
    input
        The clips it takes.
    """

    def __init__(self, loaded: Loaded, hidden: int, input: InputSpec) -> None:
        config = loaded.module.config
        head = classifier_name(loaded.module)
        ends = (POOLED,) if head is None else (POOLED, LOGITS, PROB)
        super().__init__(
            loaded.name,
            num_classes=1 if head is None else config.num_labels,
            options={
                "architecture": type(loaded.module).__name__,
                "attention": config._attn_implementation,
                "clip_length": input.clip_length,
                "step_frames": input.step_frames,
            },
            input=input,
            layer_names=(*(f"{HIDDEN}{index}" for index in range(hidden)), LAST, *ends),
            head_name=LOGITS,
            paper=loaded.paper,
            source=loaded.source,
        )
        self.network: nn.Module = loaded.module
        self.classifier_name = head
        if head is None:
            self.num_classes = 0
        self.recipe, self.labels = loaded.recipe, loaded.labels

    # ------------------------------------------------------------------ what an adapter says

    @abstractmethod
    def _pixels(self, x: Tensor) -> dict[str, Any]:
        """Arguments of the network for clips ``x`` (N, C, T, H, W)."""

    @abstractmethod
    def _map(self, tokens: Tensor, x: Tensor) -> Tensor:
        """What a layer gave out, as (N, D, T', H', W')."""

    @abstractmethod
    def _pooled(self, seen: _Seen, x: Tensor) -> Tensor:
        """The layer ``pooled``: (N, D), or (N, D, T, 1, 1)."""

    def _logits(self, logits: Tensor, x: Tensor) -> Tensor:
        """(N, K) scores of the clips out of what the classifier gave."""
        return logits

    # ------------------------------------------------------------------ what all of them do

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``; all are there after one pass."""
        found = self._run(x, hidden=True)
        yield from ((name, found[name]) for name in self.layer_names)

    def features(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """As `VideoModel.features`; the network always runs to its end, and keeps hidden states only if asked."""
        self._check_layers(layers)
        self._check_clips(x)
        found = self._run(x, hidden=any(layer.startswith(HIDDEN) for layer in layers))
        return {layer: found[layer] for layer in layers}

    def forward(self, x: Tensor) -> Tensor:
        """Logits of clips, as `VideoModel.forward`.

        Raises
        ------
        UsageError
            If the network has no classifier, or the clips do not have the shape ``input`` says.
        """
        if self.classifier_name is None:
            raise UsageError(
                f"{self.name} has no classifier",
                why="its weights are those of an encoder",
                remedy=f"describe clips with the layer {POOLED}, and fit an SVM on them",
            )
        self._check_clips(x)
        return self._run(x, hidden=False)[LOGITS]

    def _run(self, x: Tensor, *, hidden: bool) -> dict[str, Tensor]:
        with _mixed_precision(x), self._watching() as seen:
            output = self.network(**self._pixels(x), output_hidden_states=hidden, return_dict=True)
            states = getattr(output, "reshaped_hidden_states", None) or output.hidden_states if hidden else ()
            found = {f"{HIDDEN}{index}": self._map(state, x) for index, state in enumerate(states)}
            found |= {LAST: self._map(seen.base.last_hidden_state, x), POOLED: self._pooled(seen, x)}
            if self.classifier_name is not None:
                logits = self._logits(output.logits, x)
                found |= {LOGITS: logits, PROB: logits.softmax(1)}
        return found

    @contextmanager
    def _watching(self) -> Iterator[_Seen]:
        seen = _Seen()

        def base(module: nn.Module, arguments: object, output: Any) -> None:
            seen.base = output

        def head(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen.read = arguments[0]

        hooks = []
        if self.classifier_name is None:
            hooks.append(self.network.register_forward_hook(base))
        else:
            hooks.append(self.network.get_submodule(base_name(self.network)).register_forward_hook(base))
            hooks.append(self.network.get_submodule(self.classifier_name).register_forward_pre_hook(head))
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()

    # ------------------------------------------------------------------ what none of them does

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Refused: it starts from the folder's weights."""
        self._refuse("is not started from a seed")

    def initialize(self, seed: int) -> None:
        """Refused: it starts from the folder's weights."""
        self._refuse("is not started from a seed")

    def reset_head(self, num_classes: int, seed: int | None = None) -> None:
        """Refused: it is not trained here."""
        self._refuse("gets no other classifier here")

    def save(
        self,
        folder: str | os.PathLike[str],
        recipe: Recipe | None = None,
        labels: Sequence[str] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Path:
        """Refused: its folder is transformers' to write."""
        self._refuse("is not saved by Tubelet")

    def _refuse(self, what: str) -> NoReturn:
        raise UsageError(
            f"{self.name} {what}",
            why="networks of Hugging Face are described with, not trained",
            remedy="fit an SVM on its descriptors (tubelet evaluate descriptors --model), or use transformers",
        )


class VideoNetwork(HuggingFaceNetwork):
    """VideoMAE and V-JEPA 2: tokens of ``tubelet_size`` × patch × patch pixels.

    Parameters
    ----------
    loaded
        The network.
    frames
        Default length of a clip; VideoMAE takes no other, since every place of its tokens has an embedding.
    step_frames
        Video frames from one of a clip to the next.
    any_length
        Whether other lengths (whole tubelets) are accepted: V-JEPA 2, whose places are rotations.
    """

    def __init__(self, loaded: Loaded, frames: int, step_frames: int, *, any_length: bool) -> None:
        config = loaded.module.config
        super().__init__(
            loaded,
            hidden=config.num_hidden_layers + 1,
            input=InputSpec("rgb", 3, frames, step_frames, _side(loaded.recipe), loaded.recipe.name),
        )
        self.any_length = any_length

    def _pixels(self, x: Tensor) -> dict[str, Any]:
        video = x.transpose(1, 2)
        if self.network.main_input_name == "pixel_values":
            return {"pixel_values": video}
        # The predictor of V-JEPA 2 guesses masked tokens, which is no feature; classifiers leave it out themselves.
        return {"pixel_values_videos": video} | ({"skip_predictor": True} if self.classifier_name is None else {})

    def _map(self, tokens: Tensor, x: Tensor) -> Tensor:
        config: Any = self.network.config
        rows, columns = (side // config.patch_size for side in x.shape[3:])
        return torch.unflatten(tokens.transpose(1, 2), 2, (x.shape[2] // config.tubelet_size, rows, columns))

    def _pooled(self, seen: _Seen, x: Tensor) -> Tensor:
        mean: Tensor = seen.base.last_hidden_state.mean(1) if seen.read is None else seen.read
        return mean

    def _check_clips(self, x: Tensor) -> None:
        if x.dim() != 5:
            super()._check_clips(x)
        config: Any = self.network.config
        check_length(self.name, x.shape[2], self.input.clip_length, config.tubelet_size, any_length=self.any_length)
        _check_sides(self, x)


class ImageNetwork(HuggingFaceNetwork):
    """Any image network, on each frame of a clip by itself.

    Parameters
    ----------
    loaded
        The network.
    frames
        Default length of a clip; every other length is accepted.
    step_frames
        Video frames from one of a clip to the next.
    """

    def __init__(self, loaded: Loaded, frames: int = 1, step_frames: int = 1) -> None:
        side = loaded.recipe.crop_hw
        with torch.inference_mode():  # how many stages there are is written nowhere
            states = loaded.module(pixel_values=torch.zeros(1, 3, *side), output_hidden_states=True).hidden_states
        super().__init__(
            loaded,
            hidden=len(states),
            input=InputSpec("rgb", 3, frames, step_frames, _side(loaded.recipe), loaded.recipe.name),
        )
        with torch.inference_mode():  # a family that is laid out otherwise is refused here, not in the middle of videos
            self.features(torch.zeros(1, 3, 1, *side), self.layer_names)

    def _pixels(self, x: Tensor) -> dict[str, Any]:
        return {"pixel_values": x.transpose(1, 2).flatten(0, 1)}

    def _map(self, tokens: Tensor, x: Tensor) -> Tensor:
        maps = tokens if tokens.dim() == 4 else self._placed(tokens, x)
        return torch.unflatten(maps, 0, (len(x), x.shape[2])).transpose(1, 2)

    def _placed(self, tokens: Tensor, x: Tensor) -> Tensor:
        """(frames, L, D) tokens as (frames, D, rows, columns), without those that have no place."""
        config: Any = self.network.config
        patch = getattr(getattr(config, "vision_config", config), "patch_size", None)
        count = tokens.shape[1]
        if isinstance(patch, int):
            rows, columns = x.shape[3] // patch, x.shape[4] // patch
            if 0 <= count - rows * columns <= _MOST_EXTRA_TOKENS:
                return torch.unflatten(tokens[:, count - rows * columns :].transpose(1, 2), 2, (rows, columns))
        side = isqrt(count)  # stages that halve the sides: Swin
        shape = (side, side) if side * side == count else (count, 1)
        return torch.unflatten(tokens.transpose(1, 2), 2, shape)

    def _pooled(self, seen: _Seen, x: Tensor) -> Tensor:
        vectors = seen.read
        if vectors is None:
            vectors = getattr(seen.base, "image_embeds", None)
        if vectors is None:
            vectors = getattr(seen.base, "pooler_output", None)
        if vectors is None:
            last: Tensor = seen.base.last_hidden_state
            placed = self._placed(last, x) if last.dim() == 3 else last
            has_class_token = last.dim() == 3 and last.shape[1] > placed[0, 0].numel()
            vectors = last[:, 0] if has_class_token else placed.flatten(2).mean(2)
        return with_time(torch.unflatten(vectors.flatten(1), 0, (len(x), x.shape[2])))

    def _logits(self, logits: Tensor, x: Tensor) -> Tensor:
        return torch.unflatten(logits, 0, (len(x), x.shape[2])).mean(1)

    def _check_clips(self, x: Tensor) -> None:
        if x.dim() == 5 and x.shape[2] > 0:
            _check_sides(self, x)
            return
        super()._check_clips(x)


def _side(recipe: Recipe) -> int | tuple[int, int]:
    height, width = recipe.crop_hw
    return height if height == width else (height, width)


def _check_sides(model: VideoModel, x: Tensor) -> None:
    wanted = model.input.shape
    if (x.shape[1], *x.shape[3:]) != (wanted[0], *wanted[2:]):
        raise UsageError(
            f"{model.name} takes clips of shape (N, {wanted[0]}, T, {wanted[2]}, {wanted[3]})",
            why=f"got {tuple(x.shape)}",
            remedy="preprocess them with its recipe",
        )


def _mixed_precision(x: Tensor) -> AbstractContextManager[object]:
    """For clips in bfloat16: products in it, norms and sums in float32, whatever the parameters are in."""
    return torch.autocast(x.device.type, torch.bfloat16) if x.dtype == torch.bfloat16 else nullcontext()
