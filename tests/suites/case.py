"""What the model suite has to be told about a network, by somebody who has not read the code under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import Tensor

Weights = Mapping[str, Tensor]
Forward = Callable[[Weights, Tensor, dict[str, Any]], Tensor]
"""(state dict, clips, options) → logits in evaluation mode: a second implementation that shares no code.

Written from the specification's layer table with ``torch.nn.functional`` or NumPy; it imports nothing from ``tubelet``.
"""


@dataclass(frozen=True)
class Count:
    """A count of the specification: ``parameters`` (and ``macs`` of one input) with these classes and options."""

    parameters: int
    macs: float | None = None
    classes: int = 101
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One network of the registry.

    Attributes
    ----------
    small
        Options of a shrunken instance, on which everything but the counts is checked.
    counts
        The specification's counts at full size; none for a reconstruction that the specification does not count.
    cost
        (classes, options) → parameters and multiply-adds of one input, by plain arithmetic. ``options`` are complete.
    forward
        The second implementation.
    may_be_negative
        Layers besides the head whose activations are not rectified.
    unseen
        Layers that are no submodule of that name, so that no hook sees them.
    """

    small: dict[str, Any]
    counts: tuple[Count, ...]
    cost: Callable[[int, dict[str, Any]], tuple[int, int]]
    forward: Forward
    may_be_negative: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()


class Tally:
    """Plain arithmetic: feed it the layers of a table, it keeps the shape and adds up parameters and multiply-adds."""

    def __init__(self, *shape: int) -> None:
        self.shape = list(shape)
        self.parameters = 0
        self.macs = 0

    def conv(
        self,
        out: int,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int] = (1, 1, 1),
        pad: tuple[int, int, int] | None = None,
        *,
        bias: bool = True,
        norm: bool = False,
    ) -> Tally:
        """A convolution, padded by half its kernel unless told, with or without bias and normalization."""
        pad = tuple(k // 2 for k in kernel) if pad is None else pad
        sizes = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(self.shape[1:], pad, kernel, stride, strict=True)]
        weights = self.shape[0] * out * prod(kernel)
        self.parameters += weights + out * bias + 2 * out * norm
        self.macs += weights * prod(sizes)
        self.shape = [out, *sizes]
        return self

    def pool(
        self, kernel: tuple[int, int, int], stride: tuple[int, int, int], pad: tuple[int, int, int] = (0, 0, 0)
    ) -> Tally:
        """A pooling in ceil mode."""
        sizes = zip(self.shape[1:], pad, kernel, stride, strict=True)
        self.shape = [self.shape[0], *(-(-(n + 2 * p - k) // s) + 1 for n, p, k, s in sizes)]
        return self

    def linear(self, out: int, *, times: int = 1, bias: bool = True) -> Tally:
        """A fully connected layer on all that is there, or on the channels alone at ``times`` places."""
        inputs = prod(self.shape) // times
        self.parameters += (inputs + bias) * out
        self.macs += inputs * out * times
        self.shape = [out * times]
        return self
