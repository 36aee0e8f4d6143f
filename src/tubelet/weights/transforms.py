"""The named ways in which a stored tensor becomes a tensor of ours; name maps refer to them by these names.

`cast` is one that nobody has to name: numbers of another width are brought over, and said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

UNCHANGED = "unchanged"
FRAME_AXIS = "frame axis added"
SQUEEZED = "squeezed (1,C)"
TO_MATRIX = "reshaped (1,1,1,N,K) to (N,K)"
TO_VECTOR = "reshaped (1,1,1,1,N) to (N)"
FLATTENED = "flattened (N,C,H,W) to (N,CHW)"
BN_FACTOR = "BN divided by blob[2]"
LESS_BIAS = "less the convolution's bias"
TRANSPOSED = "transposed "
"""Followed by the axes, as in ``transposed 3,2,0,1``: axis 0 of the result is axis 3 of the stored tensor."""

COMPANIONED = (BN_FACTOR, LESS_BIAS)
"""Those that need another tensor of the file."""

_Step = Callable[[Tensor, Tensor | None], Tensor]


def cast(value: Tensor, dtype: torch.dtype) -> tuple[Tensor, tuple[str, ...]]:
    """The value in the network's type, and how it was brought there: fractions to fractions, whole to whole numbers.

    Raises
    ------
    ValueError
        Another kind of number, or one that the type cannot hold.
    """
    if value.dtype == dtype:
        return value, ()
    name = _name(value.dtype)
    if _kind(value.dtype) != _kind(dtype) or _kind(dtype) == "other":
        raise ValueError(f"numbers of type {name} do not become {_name(dtype)}")
    found = value.to(dtype)
    fraction = dtype.is_floating_point
    if not value.is_meta:
        held = found.isfinite() == value.isfinite() if fraction else found.to(value.dtype) == value
        if not held.all():
            raise ValueError(f"its numbers do not fit into {_name(dtype)}")
    word = "widened" if value.dtype.itemsize < dtype.itemsize else "rounded" if fraction else "narrowed"
    return found, (f"{word} from {name}",)


def _kind(dtype: torch.dtype) -> str:
    if dtype.is_floating_point:
        return "fraction"
    return "other" if dtype.is_complex or dtype == torch.bool else "whole"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def transform(tensor: Tensor, how: tuple[str, ...], companions: Sequence[Tensor] = ()) -> Tensor:
    """Apply the named steps in order.

    Parameters
    ----------
    tensor
        As stored.
    how
        Names from this file.
    companions
        A tensor for each of the steps that are among `COMPANIONED`, in their order.

    Raises
    ------
    ValueError
        An unknown name, or a tensor that is not of the form that the step takes; the message says which.
    """
    waiting = iter(companions)
    for name in how:
        if name.startswith(TRANSPOSED):
            tensor = _transposed(tensor, name)
        elif name in _STEPS:
            tensor = _STEPS[name](tensor, next(waiting, None) if name in COMPANIONED else None)
        else:
            raise ValueError(f"there is no transformation called {name!r}")
    return tensor.contiguous()


def stored_shape(shape: tuple[int, ...], how: tuple[str, ...], sides: int | None = None) -> tuple[int, ...]:
    """The shape of a stored tensor that `transform` brings to ``shape``: the way back.

    Parameters
    ----------
    shape
        Of the result.
    how
        As for `transform`.
    sides
        With how many sides the file stores the tensor, ones in front, where the way there takes any number of them.

    Raises
    ------
    ValueError
        A step that has no way back, or not from this shape.
    """
    for name in reversed(how):
        if name == FRAME_AXIS and len(shape) == 5 and shape[2] == 1:
            shape = (*shape[:2], *shape[3:])
        elif name == SQUEEZED and len(shape) == 1:
            shape = (1, *shape)
        elif name == FLATTENED and len(shape) == 2:
            shape = (*shape, 1, 1)  # of a 1 × 1 kernel, as all that are flattened here
        elif name in (TO_MATRIX, TO_VECTOR):
            shape = (1,) * ((sides or 0) - len(shape)) + shape
        elif name not in (UNCHANGED, *COMPANIONED):
            raise ValueError(f"from {shape} there is no way back through {name!r}")
    return shape


def _same(tensor: Tensor, _: Tensor | None) -> Tensor:
    return tensor


def _frame_axis(tensor: Tensor, _: Tensor | None) -> Tensor:
    if tensor.ndim != 4:
        raise ValueError(f"a 2-D kernel (O,I,H,W) is needed, not {tuple(tensor.shape)}")
    return tensor.unsqueeze(2)


def _squeezed(tensor: Tensor, _: Tensor | None) -> Tensor:
    if tensor.ndim < 2 or tensor.shape[0] != 1 or prod(tensor.shape) != tensor.shape[1]:
        raise ValueError(f"(1,C) is needed, not {tuple(tensor.shape)}")
    return tensor.reshape(-1)


def _to_matrix(tensor: Tensor, _: Tensor | None) -> Tensor:
    if tensor.ndim < 2 or any(side != 1 for side in tensor.shape[:-2]):
        raise ValueError(f"(1,…,N,K) is needed, not {tuple(tensor.shape)}")
    return tensor.reshape(tensor.shape[-2:])


def _to_vector(tensor: Tensor, _: Tensor | None) -> Tensor:
    if tensor.ndim < 1 or any(side != 1 for side in tensor.shape[:-1]):
        raise ValueError(f"(1,…,N) is needed, not {tuple(tensor.shape)}")
    return tensor.reshape(-1)


def _flattened(tensor: Tensor, _: Tensor | None) -> Tensor:
    if tensor.ndim < 2:
        raise ValueError(f"(N,C,…) is needed, not {tuple(tensor.shape)}")
    return tensor.flatten(1)


def _bn_factor(tensor: Tensor, companion: Tensor | None) -> Tensor:
    """Caffe's BatchNorm keeps sums: mean and variance times the moving average's weight, which is its blob 2."""
    if companion is None or companion.numel() != 1:
        raise ValueError("the factor, one number, is not there")
    factor = companion.reshape(()).item()
    if not factor > 0:
        raise ValueError(f"the factor is {factor}: the statistics were never collected")
    return tensor / factor


def _less_bias(tensor: Tensor, companion: Tensor | None) -> Tensor:
    """A mean from which a norm subtracts the bias that the convolution before it adds: (x + b) - m = x - (m - b)."""
    if companion is None or companion.shape != tensor.shape:
        raise ValueError("the bias, as many numbers, is not there")
    return tensor - companion


def _transposed(tensor: Tensor, name: str) -> Tensor:
    axes = [int(axis) for axis in re.findall(r"\d+", name)]
    if sorted(axes) != list(range(tensor.ndim)):
        raise ValueError(f"{tuple(tensor.shape)} cannot be {name}")
    return tensor.permute(axes)


_STEPS: dict[str, _Step] = {
    UNCHANGED: _same,
    FRAME_AXIS: _frame_axis,
    SQUEEZED: _squeezed,
    TO_MATRIX: _to_matrix,
    TO_VECTOR: _to_vector,
    FLATTENED: _flattened,
    BN_FACTOR: _bn_factor,
    LESS_BIAS: _less_bias,
}
