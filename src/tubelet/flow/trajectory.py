"""Pixels followed through several flow fields (Two-Stream's equations (2) and (3))."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from tubelet.errors import NumericalError, UsageError


def trajectories(vectors: Tensor) -> Tensor:
    """Where each pixel is in the L frames: ``p_1 = (u, v)``, ``p_k = p_{k-1} + d_{τ+k-2}(p_{k-1})``.

    Parameters
    ----------
    vectors
        ``(..., L, H, W, 2)`` floats in pixels: L consecutive fields from frame τ on.

    Returns
    -------
    Tensor
        ``(..., L, H, W, 2)`` of the same type: x and y in pixels, the center of the top left pixel being (0, 0). A
        place may lie outside the frame.

    Raises
    ------
    UsageError
        Vectors that are not floats.
    NumericalError
        A vector is not finite.

    References
    ----------
    Simonyan and Zisserman 2014, section 3.1, equation (3).
    """
    places = torch.stack([places for places, _ in _follow(vectors)], dim=1)
    return places.movedim(2, -1).to(vectors.dtype).reshape(vectors.shape)


def motion_along(vectors: Tensor) -> Tensor:
    """The motion of each pixel where it has moved to: ``d_{τ+k-1}(p_k)``, p_k as by :func:`trajectories`.

    Between pixels a field is read bilinearly, outside the frame at the nearest place on its border; the paper does
    not say. Parameters and errors are those of :func:`trajectories`.

    Returns
    -------
    Tensor
        ``(..., L, H, W, 2)``.
    """
    motion = torch.stack([motion.to(vectors.dtype) for _, motion in _follow(vectors)], dim=1)
    return motion.movedim(2, -1).reshape(vectors.shape)


def _follow(vectors: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For each of the L frames, the places of all pixels and the motion there: ``(N, 2, H, W)`` float64, x first."""
    if not vectors.is_floating_point():
        raise UsageError(
            f"flow has the type {vectors.dtype}",
            why="pixels are followed by vectors, not by levels",
            remedy="call dequantize first",
        )
    if not bool(torch.isfinite(vectors).all()):
        raise NumericalError("the flow has vectors that are not finite", remedy="compute the flow again")
    runs = vectors.reshape(-1, *vectors.shape[-4:])
    count, height, width = runs.shape[1:4]
    along = (torch.arange(side, dtype=torch.float64, device=vectors.device) for side in (width, height))
    places = torch.stack(torch.meshgrid(*along, indexing="xy")).expand(len(runs), -1, -1, -1)
    for step in range(count):
        field = runs[:, step].movedim(-1, 1).double()
        motion = _sample(field, places) if step else field
        yield places, motion
        places = places + motion


def _sample(field: Tensor, places: Tensor) -> Tensor:
    """A field ``(N, 2, H, W)`` at places ``(N, 2, H, W)`` in pixels: bilinear, clamped to the border.

    In float64: ``grid_sample`` wants places as fractions of the frame, and in float32 that rounds whole pixels to
    places 1e-5 beside them, so that a pixel at rest would not read its own value.
    """
    height, width = field.shape[2:]
    size = places.new_tensor((width, height)).view(2, 1, 1)
    grid = (2 * places + 1) / size - 1
    return F.grid_sample(field, grid.movedim(1, -1), mode="bilinear", padding_mode="border", align_corners=False)
