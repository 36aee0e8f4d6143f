"""What a network costs, measured on its layers and not typed in: shapes, parameters, multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from tubelet.models.contract import VideoModel
from tubelet.models.layers import Conv3d, Lstm

_KINDS: dict[type[nn.Module], str] = {
    nn.Conv3d: "conv3d",
    nn.Conv2d: "conv2d",
    nn.Linear: "linear",
    Lstm: "lstm",
}


@dataclass(frozen=True)
class LayerUse:
    """One convolution, fully connected layer or LSTM at work.

    Attributes
    ----------
    name
        Its name in the network's state dict.
    kind
        ``"conv3d"``, ``"conv2d"`` (networks of Hugging Face), ``"linear"`` or ``"lstm"``.
    input_shape, output_shape
        With the batch: (N, C, T, H, W) or (N, D).
    parameters
        Weights and biases.
    macs
        Multiply-adds for one clip, biases not counted (of an LSTM: its eight matrices, for all steps).
    settings
        What it takes to build the layer again (JSON-ready): channels, kernel, stride, padding, dilation,
        groups, bias; ``ours`` tells `tubelet.models.layers.Conv3d` from ``torch.nn.Conv3d``.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    settings: dict[str, Any]


def layer_uses(model: nn.Module, input_shape: tuple[int, ...] | None = None) -> tuple[LayerUse, ...]:
    """Every convolution and fully connected layer of one forward pass, in order, without computing it.

    Parameters
    ----------
    model
        Any module; its weights and mode are left alone.
    input_shape
        (N, C, T, H, W) of the pass; default: one clip as a `VideoModel`'s ``input`` says.
    """
    if input_shape is None:
        if not isinstance(model, VideoModel):
            raise TypeError("input_shape is needed for a module that does not say what it takes")
        input_shape = (1, *model.input.shape)
    with recording(model, input_shape[0]) as work:
        run_without_computing(model, input_shape)
    return tuple(work.uses)


@dataclass
class Work:
    """What `recording` saw.

    Attributes
    ----------
    uses
        Layers with weights, in the order in which they worked; twice if one worked twice.
    activation_bytes
        Bytes, in float32, of what all layers gave out for one input: convolutions, poolings, norms, fully connected.
        Training keeps about this much for each input of a batch (and again for the gradients); inference keeps a
        layer's input and output at a time. Rectified values and sums, which are no layers, are not counted twice.
    """

    uses: list[LayerUse]
    activation_bytes: int = 0


@contextmanager
def recording(model: nn.Module, inputs: int = 1) -> Iterator[Work]:
    """Note what every layer does while the block runs the network once on a batch of ``inputs``."""
    work = Work([])

    def count(module: nn.Module, arguments: object, result: object) -> None:
        output = result[0] if isinstance(result, tuple) else result
        if isinstance(output, Tensor):
            work.activation_bytes += 4 * output.numel() // inputs

    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d | nn.Conv2d | nn.Linear | Lstm):
            hooks.append(module.register_forward_hook(_recorder(name, work.uses, inputs)))
        if not isinstance(module, nn.Dropout) and next(module.children(), None) is None:
            hooks.append(module.register_forward_hook(count))
    try:
        yield work
    finally:
        for hook in hooks:
            hook.remove()


def norm_parameters(model: nn.Module) -> int:
    """Scales and shifts of all batch normalizations."""
    norms = (module for module in model.modules() if isinstance(module, nn.BatchNorm3d))
    return sum(parameter.numel() for norm in norms for parameter in norm.parameters())


class WholePass(nn.Module):
    """A network run to its last layer, whether that is a classifier's or not.

    Parameters
    ----------
    model
        The network.
    """

    def __init__(self, model: VideoModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """The activation of the last of ``layer_names``."""
        last = self.model.layer_names[-1]
        return self.model.features(x, (last,))[last]


def attention_macs(total: int, work: Work) -> int:
    """Multiply-adds between activations, such as queries × keys: what a pass took beyond layers with weights.

    Parameters
    ----------
    total
        Of the pass, see `run_without_computing`.
    work
        What `recording` saw of it.
    """
    return total - sum(layer.macs for layer in work.uses)


def run_without_computing(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """One pass in evaluation mode on PyTorch's ``meta`` device: shapes and hooks, no arithmetic.

    Returns
    -------
    int
        Multiply-adds of one input in all convolutions and products of matrices, as PyTorch counts them.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counted:
            meta = {name: tensor.to("meta") for name, tensor in tensors.items()}
            functional_call(model, meta, (torch.empty(input_shape, device="meta"),))
    finally:
        for module, training in modes:
            module.training = training
    operations: int = counted.get_total_flops()
    return operations // (2 * input_shape[0])  # a product and a sum each


def _recorder(
    name: str, uses: list[LayerUse], clips: int
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor | tuple[Tensor, Any]], None]:
    def record(module: nn.Module, inputs: tuple[Tensor, ...], result: Tensor | tuple[Tensor, Any]) -> None:
        assert isinstance(module, nn.Conv3d | nn.Conv2d | nn.Linear | Lstm)
        output = result if isinstance(result, Tensor) else result[0]
        if isinstance(module, Lstm):
            steps = inputs[0].shape[0] * inputs[0].shape[1]
            weights = [tensor for key, tensor in module.named_parameters() if key.startswith("weight")]
            macs = steps * sum(tensor.numel() for tensor in weights)
        else:
            # Each output value takes as many multiply-adds as one output channel has weights.
            macs = output.numel() * prod(module.weight.shape[1:])
        uses.append(
            LayerUse(
                name=name,
                kind=_KINDS[next(kind for kind in _KINDS if isinstance(module, kind))],
                input_shape=tuple(inputs[0].shape),
                output_shape=tuple(output.shape),
                parameters=sum(parameter.numel() for parameter in module.parameters()),
                macs=macs // clips,
                settings=_settings(module),
            )
        )

    return record


def _settings(module: nn.Conv3d | nn.Conv2d | nn.Linear | Lstm) -> dict[str, Any]:
    if isinstance(module, Lstm):
        return {
            "input_size": module.input_size,
            "hidden_size": module.hidden_size,
            "num_layers": module.num_layers,
        }
    if isinstance(module, nn.Linear):
        return {
            "in_features": module.in_features,
            "out_features": module.out_features,
            "bias": module.bias is not None,
        }
    return {
        "in_channels": module.in_channels,
        "out_channels": module.out_channels,
        "kernel_size": list(module.kernel_size),
        "stride": list(module.stride),
        "padding": module.padding if isinstance(module.padding, str) else list(module.padding),
        "dilation": list(module.dilation),
        "groups": module.groups,
        "bias": module.bias is not None,
        "ours": isinstance(module, Conv3d),
    }
