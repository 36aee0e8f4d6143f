"""Fully connected layers on every frame of a clip, and the sizes that lead to them.

Networks for single frames take clips too: their convolutions are one frame deep, and `frame_vectors` hands every
frame's features to an ``nn.Linear``, which works on the last axis.
"""

from __future__ import annotations

from torch import Tensor

from tubelet.errors import UsageError


def frame_vectors(x: Tensor) -> Tensor:
    """(N, C, T, H, W) → (N, T, C·H·W): one row per frame, in the order channels, rows, columns, as Caffe has it."""
    return x.transpose(1, 2).flatten(2)


def with_time(x: Tensor) -> Tensor:
    """(N, T, D) → (N, D, T, 1, 1), the form in which ``VideoModel.activations`` yields what has a time axis."""
    return x.transpose(1, 2)[..., None, None]


def convolved(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    """Rows or columns behind a convolution."""
    return (size + 2 * padding - kernel) // stride + 1


def pooled(size: int, kernel: int, stride: int) -> int:
    """Rows or columns behind an unpadded pooling in ceil mode."""
    return -(-(size - kernel) // stride) + 1


def at_least_one(sizes: list[int], side: int) -> int:
    """The last of ``sizes``, unless one of them is empty.

    Raises
    ------
    UsageError
        If frames of ``side`` pixels leave nothing to look at.
    """
    if min(sizes) < 1:
        raise UsageError(f"side={side} is too small", why="some layer would have no output", remedy="enlarge it")
    return sizes[-1]
