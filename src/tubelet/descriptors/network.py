"""A network as a function from clips to vectors: layers, layout, precision and device settled once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tubelet.descriptors.pooling import FloatArray, clip_vectors
from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.winograd import use_winograd
from tubelet.training.precision import has_fast_bfloat16

PrecisionName = Literal["auto", "float32", "bfloat16"]

_MEASURED = 2  # clips that are run to learn the shapes
_BATCH_BYTES = 224 << 20
_BATCH_MOST = 16

# Layers whose arithmetic is worth halving; normalization keeps its float32 statistics.
_HEAVY = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class ClipNetwork:
    """Activations of named layers for batches of clips.

    Parameters
    ----------
    model
        The network; it is run in evaluation mode, whatever mode it is in. In float32 its own weights are used
        and laid out channels-last (their values stay); in bfloat16 a converted copy. On the CPU large
        convolutions are computed by Winograd's algorithm (`tubelet.models.winograd`).
    layers
        Names out of ``model.layer_names``.
    clip_length
        Frames in a clip.
    mirror
        Makes the mirror images of a batch; every clip's vectors are then averaged with those of its mirror image
        (``average_flip`` of `tubelet.clips.recipe.Recipe`).
    precision
        ``"auto"`` is float32: descriptors of different machines can then be compared. ``"bfloat16"`` is about
        1.4 times as fast where the processor has it, with a relative error near 3e-3 (docs/measured.md).
    device
        ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    UsageError
        For a layer that the model does not have, a clip length it cannot take, a device or a precision that
        this machine does not have.
    """

    def __init__(
        self,
        model: VideoModel,
        layers: Sequence[str],
        *,
        clip_length: int,
        mirror: Callable[[Tensor], Tensor] | None = None,
        precision: PrecisionName = "auto",
        device: str = "auto",
    ) -> None:
        self.layers = _known_layers(model, layers)
        self.mirror = mirror
        self.device = _device(device)
        self.precision = _precision(precision, self.device)
        self._dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        # deepcopy takes what its memo already holds, so weights are never there twice.
        if self.precision == "bfloat16":
            model = copy.deepcopy(model, _bfloat16_parameters(model))
        elif self.device.type == "cpu":
            model = copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})
        if self.device.type == "cpu":
            use_winograd(model)
        self._model = model.to(self.device)
        _lay_out_channels_last(self._model)
        with _largest_output(self._model) as largest:
            self.dimensions = self._measure(clip_length)
        self.fitting_batch = max(2, min(_BATCH_MOST, _BATCH_BYTES // max(1, largest[0] // _MEASURED)))
        """Clips per batch that keep the largest activation near 0.2 GB: 4 for C3D, 16 for a small net."""

    def __call__(self, clips: Sequence[Tensor] | Tensor) -> dict[str, FloatArray]:
        """Vectors of a batch of clips.

        Parameters
        ----------
        clips
            N clips ``(C, T, H, W)`` float32, preprocessed by the recipe; N at least 1.

        Returns
        -------
        dict
            By layer: ``(N, D)`` float32; see :func:`tubelet.descriptors.pooling.clip_vectors`.
        """
        n = len(clips)
        # PyTorch sends a lone float32 clip's deep convolutions to a slow kernel; two go to the fast one. Clips are
        # copied straight into the layout and type that the network wants: a stack would be a second batch.
        batch = torch.empty((max(n, 2), *clips[0].shape), dtype=self._dtype, memory_format=torch.channels_last_3d)
        for index in range(len(batch)):
            batch[index] = clips[min(index, n - 1)]
        batch = batch.to(self.device)
        with torch.inference_mode(), _evaluating(self._model), _exact_convolutions(self.device):
            vectors = self._vectors(batch, n)
            if self.mirror is not None:
                mirrored = self._vectors(self.mirror(batch), n)
                vectors = {layer: (vectors[layer] + mirrored[layer]) / 2 for layer in self.layers}
            return {layer: vectors[layer].cpu().numpy() for layer in self.layers}

    def _vectors(self, batch: Tensor, n: int) -> dict[str, Tensor]:
        activations = self._model.features(batch, self.layers)
        return {layer: clip_vectors(layer, activations[layer][:n]) for layer in self.layers}

    def _measure(self, clip_length: int) -> dict[str, int]:
        """Length of each layer's vectors, found by running two clips of zeros: half a second for C3D.

        Shapes alone would do, but PyTorch's meta device imports its compiler: 2 s and 40 MB.
        """
        spec = self._model.input
        height, width = spec.height_width
        try:
            vectors = self(torch.zeros(_MEASURED, spec.channels, clip_length, height, width))
        except RuntimeError as error:
            raise UsageError(
                f"{self._model.name} does not take clips of {clip_length} frames of {width}x{height}",
                why=str(error).splitlines()[0],
                remedy=f"use clip_length={spec.clip_length}, or create the model with another one",
            ) from error
        return {layer: rows.shape[1] for layer, rows in vectors.items()}


def _known_layers(model: VideoModel, layers: Sequence[str]) -> tuple[str, ...]:
    if isinstance(layers, str):
        layers = (layers,)
    wanted = tuple(dict.fromkeys(layers))
    if not wanted:
        raise UsageError("no layer to extract is named", remedy=f"{model.name} has {', '.join(model.layer_names)}")
    unknown = [layer for layer in wanted if layer not in model.layer_names]
    if unknown:
        raise UsageError(
            f"{model.name} has no layer {', '.join(unknown)}", remedy=f"it has {', '.join(model.layer_names)}"
        )
    return wanted


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"there is no device {device!r}", remedy="use auto, cpu or cuda") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available", remedy="use the device cpu, or see tubelet doctor")
    return chosen


def _precision(precision: PrecisionName, device: torch.device) -> Literal["float32", "bfloat16"]:
    if precision in ("auto", "float32"):
        return "float32"
    if precision != "bfloat16":
        raise UsageError(f"there is no precision {precision!r}", remedy="use auto, float32 or bfloat16")
    if not has_fast_bfloat16(str(device)):
        raise UsageError(
            "this machine has no bfloat16 arithmetic", why="emulated it would be slower", remedy="use float32"
        )
    return "bfloat16"


def _bfloat16_parameters(model: VideoModel) -> dict[int, Any]:
    """The heavy layers' parameters in bfloat16, by the ids of the originals."""
    return {
        id(parameter): nn.Parameter(parameter.detach().to(torch.bfloat16), requires_grad=False)
        for module in model.modules()
        if isinstance(module, _HEAVY)
        for parameter in module.parameters(recurse=False)
    }


@contextmanager
def _largest_output(model: nn.Module) -> Iterator[list[int]]:
    """Collect, while the block runs, the size in bytes of the largest tensor that a module gave out."""
    largest = [0]

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            largest[0] = max(largest[0], output.numel() * output.element_size())

    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        yield largest
    finally:
        for handle in handles:
            handle.remove()


def _lay_out_channels_last(model: nn.Module) -> None:
    # Not model.to(memory_format=...): that refuses networks which also have 2-D kernels.
    for parameter in model.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, the mode of each part as it was afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _exact_convolutions(device: torch.device) -> AbstractContextManager[object]:
    # cuDNN rounds float32 convolutions to 10 bits (TF32) unless told not to, and says nothing.
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
