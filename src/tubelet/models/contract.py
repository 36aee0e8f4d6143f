"""What every network of this package is and can do, whichever paper it comes from."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.initialization import layer_generator, uniform
from tubelet.models.layers import Lstm
from tubelet.models.options import positive_int, suggestion
from tubelet.models.spec import InputSpec, Paper, Source

if TYPE_CHECKING:
    from tubelet.clips.recipe import Recipe


Weighted = nn.Conv3d | nn.Linear
"""What `VideoModel.initialize_layer` fills. A 2-D convolution is a `Conv3d` whose kernel is one frame deep."""


class VideoModel(nn.Module, ABC):
    """Base class of all networks: a plain ``nn.Module`` whose layers can be asked for by the paper's names.

    A subclass lists its layers in ``layer_names``, yields each one's activation from `activations`, names
    its classifier in ``head_name``, and fills one layer's starting weights in `initialize_layer`.
    Everything else is here. Networks are made by `tubelet.create_model`, which also initializes them.

    Attributes
    ----------
    name : str
        The registry's name.
    options : dict
        All options it was built with, JSON-ready.
    num_classes : int
        Outputs of the classifier.
    input : InputSpec
        The clip it takes.
    layer_names : tuple of str
        Names that `features` accepts, in order of computation.
    head_name : str
        The layer that gives the logits.
    any_size : bool
        Whether clips of another length and side than ``input`` says are accepted.
    paper : Paper
        Where it comes from.
    source : Source
        How it was reconstructed, where it was, and what the paper prints about it.
    seed : int or None
        Seed of the starting weights; None where they were read from a folder.
    recipe, labels, provenance
        Preprocessing, class names and training record; None until given by `save` or `tubelet.load_model`.
    """

    def __init__(
        self,
        name: str,
        *,
        num_classes: int,
        options: Mapping[str, Any],
        input: InputSpec,
        layer_names: Sequence[str],
        head_name: str,
        paper: Paper,
        source: Source | None = None,
        any_size: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.options: dict[str, Any] = dict(options)
        self.num_classes = positive_int("num_classes", num_classes)
        self.input = input
        self.layer_names = tuple(layer_names)
        self.head_name = head_name
        self.paper = paper
        self.source = source or Source()
        self.any_size = any_size
        self.trained_norms: int | None = None
        self.trained_layers: tuple[str, ...] | None = None
        self.seed: int | None = None
        self.recipe: Recipe | None = None
        self.labels: tuple[str, ...] | None = None
        self.provenance: dict[str, Any] | None = None
        self._identity: tuple[str, tuple[int, ...]] | None = None

    # ------------------------------------------------------------------ what a subclass says

    @abstractmethod
    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The network itself: yield every layer's name and activation, in the order of ``layer_names``.

        Activations are after ReLU and before dropout; the head's are the logits, ``prob``'s their softmax. What
        is computed for each frame or snippet keeps its time axis: (N, C, T, H, W), or (N, D, T, 1, 1).
        """

    @abstractmethod
    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Fill one layer's weights and biases in place by the paper's rule."""

    def initialize_lstm(self, name: str, layer: Lstm, generator: torch.Generator) -> None:
        """Fill an LSTM's weights and biases in place: here uniformly within 1/√(hidden units), as PyTorch does."""
        uniform(layer, layer.hidden_size**-0.5, generator)

    # ------------------------------------------------------------------ what every network does

    def train(self, mode: bool = True) -> Self:
        """As for every module, but frozen norms stay in evaluation mode (`freeze_norms`, `train_only`)."""
        super().train(mode)
        for norm in self._frozen_norms():
            norm.eval()
        return self

    def freeze_norms(self, trained: int = 1) -> None:
        """Partial batch normalization: all but the first ``trained`` norms keep statistics, scale and shift.

        Both released codes of TSN freeze scale and shift as well as mean and variance, unlike the paper's text
        (Wang et al. 2016, section 3.2).
        """
        self.trained_norms = trained
        for norm in self._frozen_norms():
            norm.requires_grad_(False)
        self.train(self.training)

    def train_only(self, layers: Sequence[str]) -> None:
        """Let only some layers learn: all other parameters take no gradient, and norms there keep their statistics.

        Dropout stays as it is everywhere. So autograd goes back no further than the first of these layers.

        Parameters
        ----------
        layers
            Names of modules, such as ``"conv1"`` or ``"fc8"``; ``"head"`` stands for the classifier, or for all of
            them where the network has several.

        Raises
        ------
        UsageError
            If there is no such module, or it has no parameter.
        """
        heads = getattr(self, "task_heads", (self.head_name,))
        chosen = tuple(name for layer in layers for name in (heads if layer == "head" else (layer,)))
        modules = dict(self.named_modules())
        learning: set[nn.Parameter] = set()
        for name in chosen:
            found = set(modules[name].parameters()) if name and name in modules else set()
            if not found:
                known = [key for key, module in self.named_children() if any(True for _ in module.parameters())]
                raise UsageError(
                    f"{self.name} has no layer {name!r} with weights to train",
                    remedy=suggestion(name, ("head", *known), "its layers with weights are"),
                )
            learning |= found
        for parameter in self.parameters():
            # What partial batch normalization froze stays frozen.
            parameter.requires_grad_(parameter in learning and parameter.requires_grad)
        self.trained_layers = chosen
        self.train(self.training)

    def _frozen_norms(self) -> list[nn.BatchNorm3d]:
        norms = {name: module for name, module in self.named_modules() if isinstance(module, nn.BatchNorm3d)}
        frozen = [] if self.trained_norms is None else list(norms.values())[self.trained_norms :]
        if self.trained_layers is not None:
            inside = tuple(f"{layer}." for layer in self.trained_layers)
            frozen += [norm for name, norm in norms.items() if not f"{name}.".startswith(inside)]
        return frozen

    def forward(self, x: Tensor) -> Tensor:
        """Logits of clips.

        Parameters
        ----------
        x
            (N, C, T, H, W) float, preprocessed by the network's recipe.

        Returns
        -------
        Tensor
            (N, num_classes) logits, not probabilities.

        Raises
        ------
        UsageError
            If the clips do not have the shape ``input`` says.
        """
        self._check_clips(x)
        value = x
        for name, value in self.activations(x):  # noqa: B007 - the value is used after the loop
            if name == self.head_name:
                break
        return value

    def features(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Activations of named layers; the network runs no further than the last one asked for.

        Parameters
        ----------
        x
            (N, C, T, H, W) float, as for `forward`.
        layers
            Names out of ``layer_names``.

        Returns
        -------
        dict
            Layer name → activation in the order asked for: (N, C', T', H', W') for convolutions and
            poolings, (N, D) for fully connected layers; after ReLU, before dropout.

        Raises
        ------
        UsageError
            If a name is unknown, or one string was given instead of several.
        """
        self._check_layers(layers)
        self._check_clips(x)
        missing, found = set(layers), {}
        for name, value in self.activations(x) if missing else ():
            if name in missing:
                found[name] = value
                missing.discard(name)
                if not missing:
                    break
        return {layer: found[layer] for layer in layers}

    def initialize(self, seed: int) -> None:
        """Fill all weights with the starting values that ``seed`` stands for.

        Each layer draws from its own generator, so the values depend on the seed and the layer's name only;
        the global random state is not touched.
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                self.initialize_layer(name, module, layer_generator(seed, name))
            elif isinstance(module, Lstm):
                self.initialize_lstm(name, module, layer_generator(seed, name))
            elif isinstance(module, nn.BatchNorm3d):
                module.reset_parameters()
            elif any(True for _ in chain(module.parameters(recurse=False), module.buffers(recurse=False))):
                raise TypeError(f"{type(module).__name__} {name} has tensors but no rule to initialize them")
        self.seed = seed
        self.set_weights_id(f"untrained:{seed}")

    def reset_head(self, num_classes: int, seed: int | None = None) -> None:
        """Replace the classifier by a fresh one with ``num_classes`` outputs, in place.

        It starts as it would in ``create_model(name, num_classes, seed=seed)``; ``seed`` is by default the
        network's own, 0 for one that was read from a folder. Class names are forgotten: they belong to the
        old classifier.
        """
        seed = (self.seed or 0) if seed is None else seed
        untrained = f"untrained:{seed}" if self.weights_id == f"untrained:{seed}" else None
        old = self.get_submodule(self.head_name)
        assert isinstance(old, nn.Linear)
        count = positive_int("num_classes", num_classes)
        new = nn.Linear(old.in_features, count, device="meta", dtype=old.weight.dtype)
        new = new.to_empty(device="cpu")
        self.initialize_layer(self.head_name, new, layer_generator(seed, self.head_name))
        setattr(self, self.head_name, new.to(old.weight.device))
        self.num_classes, self.labels, self._identity = count, None, None
        if untrained:
            self.set_weights_id(untrained)

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """The trainable parameters with the published multipliers, ready for a ``torch.optim`` optimizer.

        Weights have learning rate × 1 and decay × 1, biases × 2 and × 0, scale and shift of batch
        normalization × 1 and × 0 (C3D v1.0 and v1.1 prototxts).

        Returns
        -------
        list of dict
            ``name``, ``params``, ``lr``, ``weight_decay``, ``lr_mult``, ``decay_mult``. A schedule
            that changes the rate sets each group's ``lr`` to its ``lr_mult`` times the new one.
        """
        return published_groups(self, lr, weight_decay)

    def save(
        self,
        folder: str | os.PathLike[str],
        recipe: Recipe | None = None,
        labels: Sequence[str] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the network as a model folder, see `tubelet.models.folder.save_model`."""
        from tubelet.models.folder import save_model

        return save_model(self, folder, recipe=recipe, labels=labels, provenance=provenance)

    # ------------------------------------------------------------------ identity of the weights

    @property
    def weights_id(self) -> str:
        """``untrained:<seed>``, or the SHA-256 that the weights have as ``model.safetensors``.

        As soon as anything writes into a weight (an optimizer, ``load_state_dict``, batch statistics) the
        identity is that of the new contents. Conversions of memory format, type or device keep it.
        """
        if self._identity is None or self._identity[1] != self._versions():
            from tubelet.models.tensors import contents_sha256

            self._identity = (contents_sha256(self), self._versions())
        return self._identity[0]

    def set_weights_id(self, identity: str) -> None:
        """Record what the weights are at this moment; `weights_id` notices later changes itself."""
        self._identity = (identity, self._versions())

    def _versions(self) -> tuple[int, ...]:
        # PyTorch counts the in-place writes to each tensor, and batch normalization the batches it has seen;
        # its running statistics become new tensors when a network is converted, so their writes say nothing.
        writes = [-1 if tensor.is_inference() else tensor._version for tensor in self.parameters()]
        norms = (module for module in self.modules() if isinstance(module, nn.BatchNorm3d))
        return (
            *writes,
            *(int(norm.num_batches_tracked) for norm in norms if norm.num_batches_tracked is not None),
        )

    def __getstate__(self) -> dict[str, Any]:
        # A copy's tensors count their writes anew, so the copy has to be told who it is.
        state = self.__dict__.copy()
        if self._identity is not None:
            state["_identity"] = (self._identity[0], None) if self._identity[1] == self._versions() else None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if self._identity is not None:
            self.set_weights_id(self._identity[0])

    def _check_layers(self, layers: Sequence[str]) -> None:
        if isinstance(layers, str):
            raise UsageError(f"layers={layers!r} is one string", remedy=f"give a tuple: ({layers!r},)")
        for layer in layers:
            if layer not in self.layer_names:
                raise UsageError(
                    f"{self.name} has no layer {layer!r}",
                    remedy=suggestion(layer, self.layer_names, "its layers are"),
                )

    def _check_clips(self, x: Tensor) -> None:
        wanted = self.input.shape
        if x.dim() == 5 and (tuple(x.shape[1:]) == wanted or (self.any_size and x.shape[1] == wanted[0])):
            return
        if self.input.segments > 1 and x.dim() == 5 and (x.shape[1], *x.shape[3:]) == (wanted[0], *wanted[2:]):
            # A consensus is taken over any number of snippets: 3 in training and 25 in testing, say.
            snippets, rest = divmod(x.shape[2], self.input.clip_length)
            if snippets and not rest:
                return
        raise UsageError(
            f"{self.name} takes clips of shape (N, {', '.join(map(str, wanted))})",
            why=f"got {tuple(x.shape)}",
            remedy="preprocess them with its recipe, or build it with other clip_length and side options",
        )

    def extra_repr(self) -> str:
        """Name and options, for ``print(model)``."""
        return f"name={self.name!r}, num_classes={self.num_classes}, options={self.options}"


def published_groups(module: nn.Module, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """As `VideoModel.parameter_groups`, of any module."""
    kinds: dict[str, list[nn.Parameter]] = {"weights": [], "biases": [], "norms": []}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.requires_grad:
                norm = isinstance(part, nn.BatchNorm3d)
                kinds["norms" if norm else "biases" if name == "bias" else "weights"].append(parameter)
    multipliers = {"weights": (1.0, 1.0), "biases": (2.0, 0.0), "norms": (1.0, 0.0)}
    return [
        {
            "name": kind,
            "params": kinds[kind],
            "lr": lr * lr_mult,
            "weight_decay": weight_decay * decay_mult,
            "lr_mult": lr_mult,
            "decay_mult": decay_mult,
        }
        for kind, (lr_mult, decay_mult) in multipliers.items()
        if kinds[kind]
    ]
