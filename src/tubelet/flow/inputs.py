"""From the source of a snippet to network input: stacks before the recipe's crop, differences after it.

::

    source ── arrange ──► frames or stacks ── to_input, jittered_input, view_inputs ──► planes ── finish ──► input

Stacks are made of whole fields, since trajectories lead out of a crop and a field's mean is that of all its pixels.
Differences of frames are taken last, so that crop, mirroring and colors are those of the frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tubelet.clips.modality import LevelScale, Modality
from tubelet.clips.recipe import Recipe
from tubelet.clips.resize import Fields, as_tensor
from tubelet.errors import UsageError
from tubelet.flow.field import dequantize
from tubelet.flow.stack import bidirectional_stack, flow_stack, rgb_difference, subtract_mean, trajectory_stack


def arrange(source: NDArray[np.uint8], modality: Modality, recipe: Recipe, scale: LevelScale | None = None) -> Fields:
    """What the recipe is to be applied to.

    Parameters
    ----------
    source
        ``(n, H, W, 3)`` frames as the recipe resizes them. Of flow ``(n, H, W, 2)`` levels, resized likewise; for
        bidirectional stacks ``(n, H, W, 4)``, forward flow before backward flow.
    modality
        What becomes of them; ``n`` is a whole number of stacks.
    recipe
        Its ``flow_mean`` says whether stacks keep their levels, or become pixels, with or without their means.
    scale
        What levels stand for; needed for pixels.

    Returns
    -------
    ndarray or Tensor
        Frames as they came; of flow ``(T, H, W, 2L)``, uint8 levels or float32 pixels of the stored fields.

    Raises
    ------
    UsageError
        Another number of fields than stacks are made of, levels to follow, or pixels without their scale.
    """
    modality.check(recipe)
    if not modality.is_flow:
        return source
    per_stack, wanted = modality.per_frame, 4 if modality.both_directions else 2
    if source.ndim != 4 or len(source) % per_stack or source.shape[3] != wanted:
        raise UsageError(
            f"fields have the shape {source.shape}",
            why=f"stacks are made of {per_stack} fields (n, H, W, {wanted})",
            remedy="read Modality.source_length fields per snippet",
        )
    levels = as_tensor(source).reshape(-1, per_stack, *source.shape[1:])
    if recipe.flow_mean == "level":
        stack = _stack(levels, modality)
    else:
        if scale is None:
            raise UsageError("nothing says what the levels of flow stand for", remedy="give their scale")
        vectors = as_tensor(dequantize(levels.numpy(), scale.bound))
        if modality.follows:
            # Places are pixels of the resized field, and so must be the vectors that lead there.
            (full_height, full_width), (height, width) = scale.size_hw, source.shape[1:3]
            per_pixel = vectors.new_tensor((width / full_width, height / full_height))
            followed = _stack(vectors * per_pixel.repeat(wanted // 2), modality)
            stack = followed / per_pixel.repeat(per_stack).view(-1, 1, 1)
        else:
            stack = _stack(vectors, modality)
        if recipe.flow_mean == "field":
            stack = subtract_mean(stack)
    return stack.permute(0, 2, 3, 1)


def _stack(fields: Tensor, modality: Modality) -> Tensor:
    """``(T, L, H, W, 2 or 4)`` to ``(T, 2L, H, W)``."""
    if modality.both_directions:
        half = modality.per_frame // 2
        forward, backward = fields[:, half:, ..., :2], fields[:, :half, ..., 2:]
        return bidirectional_stack(forward, backward, follow=modality.follows)
    return trajectory_stack(fields) if modality.follows else flow_stack(fields)


def finish(planes: Tensor, modality: Modality, snippet_length: int) -> Tensor:
    """Network input from what the recipe made: differences of RGB; everything else is finished.

    Parameters
    ----------
    planes
        ``(..., 3, n, h, w)`` float32 of n frames: whole snippets, one after the other.
    modality
        What becomes of them.
    snippet_length
        Frames of the source in each snippet, ``Modality.source_length``.

    Returns
    -------
    Tensor
        ``(..., 3 k, T, h, w)``: the colors of the first difference, of the second, …; no difference crosses from one
        snippet to the next.
    """
    if modality.name != "rgb_difference":
        return planes
    *batch, _, _, height, width = planes.shape
    frames = planes.movedim(-4, -1).reshape(*batch, -1, snippet_length, height, width, 3)
    differences = rgb_difference(frames)  # (..., snippets, 3 (S - 1), h, w)
    return differences.reshape(*batch, -1, modality.channels, height, width).transpose(-4, -3).contiguous()
