"""How much of the clip one value of a feature map sees.

The network is run once on PyTorch's ``meta`` device, where nothing is computed, while every convolution and pooling
that it calls adds to the field of its input: ``size += (kernel - 1) · jump``, ``jump *= stride``, jump being the
distance in the clip between neighboring values. Where branches meet the largest field counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tubelet.models.contract import VideoModel

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class ReceptiveField:
    """The box of the clip that one value of a feature map depends on.

    Attributes
    ----------
    size
        Frames, rows, columns; it may be larger than the clip, whose padding it then sees.
    jump
        The same, from one value to its neighbor.
    """

    size: Triple = (1, 1, 1)
    jump: Triple = (1, 1, 1)

    def after(self, kernel: Triple, stride: Triple) -> ReceptiveField:
        """The field behind a convolution or pooling (kernel: what it spans, dilation included)."""
        size = [s + (k - 1) * j for s, k, j in zip(self.size, kernel, self.jump, strict=True)]
        jump = [j * s for j, s in zip(self.jump, stride, strict=True)]
        return ReceptiveField((size[0], size[1], size[2]), (jump[0], jump[1], jump[2]))

    def __str__(self) -> str:
        return "{} × {} × {}".format(*self.size)


def receptive_fields(model: VideoModel) -> dict[str, ReceptiveField]:
    """Fields of the network's feature maps by layer name, in order of computation.

    Layers behind the first global pooling, flattening or fully connected layer are left out: they see what it sees.

    Parameters
    ----------
    model
        On any device; its weights are not read and its modes stay.
    """
    modes = [(module, module.training) for module in model.modules()]
    weights = {name: tensor.to("meta") for name, tensor in model.state_dict(keep_vars=True).items()}
    clip = torch.empty((1, *model.input.shape), device="meta")
    tracker = _Tracker(clip)
    fields: dict[str, ReceptiveField] = {}
    model.eval()
    try:
        with torch.no_grad(), tracker, torch.nn.utils.stateless._reparametrize_module(model, weights):
            for name, value in model.activations(clip):
                field = tracker.field(value)
                if field is not None:
                    fields[name] = field
    finally:
        for module, training in modes:
            module.training = training
    return fields


class _Tracker(TorchFunctionMode):
    """Follows tensors through PyTorch's functions; those that mix all places end the chase."""

    def __init__(self, clip: Tensor) -> None:
        super().__init__()
        # The tensors are kept beside their fields: an id is a tensor's own only while the tensor lives.
        self._known: dict[int, tuple[Tensor, ReceptiveField | None]] = {id(clip): (clip, ReceptiveField())}

    def field(self, value: Tensor) -> ReceptiveField | None:
        return self._known.get(id(value), (value, None))[1]

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        # A norm keeps the shape; what PyTorch does for one on meta takes three quarters of the whole pass.
        result = torch.empty_like(args[0]) if func is F.batch_norm else func(*args, **kwargs)
        found = [self._known[id(t)][1] for t in _tensors((*args, *kwargs.values())) if id(t) in self._known]
        if found:
            field = None if func in _MIXING or None in found else _widest([f for f in found if f is not None])
            if field is not None and func in _WINDOWS:
                field = field.after(*_WINDOWS[func](*args, **kwargs))
            for tensor in _tensors(result if isinstance(result, tuple | list) else (result,)):
                self._known.setdefault(id(tensor), (tensor, field))
        return result


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _widest(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    sizes, jumps = zip(*(field.size for field in fields), strict=True), zip(*(f.jump for f in fields), strict=True)
    size, jump = [max(axis) for axis in sizes], [max(axis) for axis in jumps]
    return ReceptiveField((size[0], size[1], size[2]), (jump[0], jump[1], jump[2]))


def _triple(value: int | Sequence[int]) -> Triple:
    return (value, value, value) if isinstance(value, int) else (value[0], value[1], value[2])


def _of_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> tuple[Triple, Triple]:
    spans = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], _triple(dilation), strict=True)]
    return (spans[0], spans[1], spans[2]), _triple(stride)


def _of_pooling(
    input: Tensor, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = None, *_: Any, **__: Any
) -> tuple[Triple, Triple]:
    return _triple(kernel_size), _triple(kernel_size if stride is None else stride)


_WINDOWS: dict[Callable[..., Any], Callable[..., tuple[Triple, Triple]]] = {
    F.conv3d: _of_convolution,
    F.max_pool3d: _of_pooling,
    F.avg_pool3d: _of_pooling,
}
_MIXING = {Tensor.mean, Tensor.flatten, F.linear, F.adaptive_avg_pool3d, torch.mean, torch.flatten, Tensor.amax}
