"""Resized uint8 frames become network input, as a recipe says.

Nothing outside ``tubelet.clips`` touches pixels: decoders call :func:`resize`, descriptors and protocols
:func:`to_input`, training :func:`jittered_input`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tubelet.clips.boxes import center_offset
from tubelet.clips.drawn import Draw, change_color, cut_box
from tubelet.clips.jitter import Jitter
from tubelet.clips.mirror import LEVELS_TOTAL, mirror_motion
from tubelet.clips.recipe import NO_MOTION_LEVEL, Recipe
from tubelet.clips.resize import Fields, as_tensor, check_flow, check_frames, resize
from tubelet.errors import UsageError

__all__ = ["Jitter", "drawn_input", "jittered_input", "mirror_inputs", "resize", "to_input"]


def to_input(frames: Fields, recipe: Recipe, *, offset_yx: tuple[int, int] | None = None, flip: bool = False) -> Tensor:
    """Crop, order the channels, subtract the mean, scale and (last) mirror a clip.

    The faithful order of C3D v1.0 (``image_io.cpp``), ``(y, x)`` being the corner of the crop:
    ``out[c, t, h, w] = (pixel[c, t, y + h, x + w] - mean[c, t, y + h, x + w]) * scale``, and the mirror image
    of that.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8 RGB as ``recipe.size`` resizes them. For a recipe of flow ``(T, H, W, 2L)``: T stacks
        of L fields (or fields one by one, L = 1), x and y in turns, as uint8 levels or, in pixels, as float32.
        Read-only is fine.
    recipe
        What to do. If it has a mean volume, ``T`` may not exceed the volume's; a shorter clip uses its first
        frames.
    offset_yx
        Corner of the crop in pixels; ``None`` is the central test crop, ``boxes.center_offset``.
    flip
        Mirror the result from left to right. Of flow every x is turned around too: ``255 - level``, or ``-x``
        (`tubelet.clips.mirror`).

    Returns
    -------
    Tensor
        ``(3, T, h, w)`` float32, contiguous, ``(h, w) = recipe.crop_hw``, channels in ``recipe.color`` order; of
        flow ``(2L, T, h, w)``, channels in the order given. Stack clips to get the ``(N, C, T, H, W)`` of the networks.

    Raises
    ------
    UsageError
        Frames of another shape, size or type; more frames than the mean volume has; a crop outside the frame.
    """
    if offset_yx is None:
        offset_yx = center_offset((frames.shape[1], frames.shape[2]), recipe.crop_hw)
    return drawn_input(frames, recipe, Draw(offset_yx, flip=flip))


def jittered_input(frames: Fields, recipe: Recipe, jitter: Jitter, rng: np.random.Generator) -> Tensor:
    """A training clip: one draw of box, colors and mirroring for all its frames, then as :func:`to_input`.

    A plain crop without color changes has exactly the pixels of ``to_input`` at the drawn offset.

    Parameters
    ----------
    frames, recipe
        As in :func:`to_input`.
    jitter
        How much chance may do.
    rng
        The only source of chance; as many numbers are taken from it as :meth:`Jitter.draw` says.

    Returns
    -------
    Tensor
        As of :func:`to_input`.

    Raises
    ------
    UsageError
        As :func:`to_input`.
    """
    _check(frames, recipe)
    return drawn_input(frames, recipe, jitter.draw(recipe, rng, (frames.shape[1], frames.shape[2])))


def drawn_input(frames: Fields, recipe: Recipe, draw: Draw) -> Tensor:
    """A clip as a given draw makes it: box, colors (cut to 0-255), light, mean, scale, mirror, in this order.

    Flow is mirrored before 128 is subtracted from its levels. The mean of a field in pixels is not subtracted here: it
    is that of the whole field, and gone before anything is cut out (`tubelet.flow.inputs`). A mean volume goes through
    the same box as the pixels, so that each pixel loses the mean of its own place. Parameters, result and errors are
    those of :func:`to_input`; a draw that changes the colors of flow is an error.
    """
    _check(frames, recipe)
    _check_draw(frames, recipe, draw)
    pixels = as_tensor(frames) if isinstance(frames, np.ndarray) else frames
    planes = cut_box(pixels, draw, recipe.crop_hw)
    if draw.changes_color:
        planes = change_color(planes, draw)
    if draw.adds_light:
        planes.add_(planes.new_tensor(draw.lighting_rgb).view(3, 1, 1, 1))
    if recipe.color == "bgr":
        planes = planes.flip(0)
    if recipe.color == "flow":
        if draw.flip:  # before the mean: levels and their opposites add up to 255, which is not twice 128
            total = LEVELS_TOTAL if pixels.dtype == torch.uint8 else 0
            planes = mirror_motion(planes, across=-1, components=0, total=total)
        if recipe.flow_mean == "level":
            planes.sub_(NO_MOTION_LEVEL)
    if recipe.mean_volume is not None:
        volume = as_tensor(recipe.mean_volume)[:, : len(pixels)]
        planes.sub_(cut_box(volume.permute(1, 2, 3, 0), draw, recipe.crop_hw))
    elif recipe.mean is not None:
        planes.sub_(planes.new_tensor(recipe.mean).view(3, 1, 1, 1))
    if isinstance(recipe.scale, tuple):
        planes.mul_(planes.new_tensor(recipe.scale).view(3, 1, 1, 1))
    elif recipe.scale != 1.0:
        planes.mul_(recipe.scale)
    return planes.flip(-1) if draw.flip and recipe.color != "flow" else planes


def mirror_inputs(clips: Tensor, recipe: Recipe) -> Tensor:
    """Mirror images of finished network inputs: what ``to_input(..., flip=True)`` would have made of their frames.

    Parameters
    ----------
    clips
        ``(..., C, T, h, w)`` floats.
    recipe
        The one that they were made by.
    """
    if recipe.color != "flow":
        return clips.flip(-1)
    # Levels lost 128 each, so that opposites add up to 255 - 256.
    total = _factor(recipe) * (LEVELS_TOTAL - 2 * NO_MOTION_LEVEL) if recipe.flow_mean == "level" else 0
    return mirror_motion(clips, across=-1, components=-4, total=total)


def _factor(recipe: Recipe) -> float:
    assert not isinstance(recipe.scale, tuple)  # a recipe of flow has one factor
    return recipe.scale


def _check(frames: Fields, recipe: Recipe) -> None:
    """Refuse frames that the recipe is not made for."""
    if recipe.color == "flow":
        check_flow(frames)
        if recipe.flow_mean is not None and (recipe.flow_mean == "level") != (frames.dtype in (torch.uint8, np.uint8)):
            raise UsageError(
                f"flow has the type {frames.dtype}",
                why=f"recipe {recipe.name} subtracts "
                + ("128 from uint8 levels" if recipe.flow_mean == "level" else "means of fields in pixels, as float32"),
                remedy="prepare the stack with tubelet.flow.inputs.arrange",
            )
    else:
        check_frames(frames)
    frame_hw = (frames.shape[1], frames.shape[2])
    if not recipe.fits(frame_hw):
        size = recipe.size
        wanted = f"a shorter side of {size}" if isinstance(size, int) else f"{size[0]}x{size[1]}"
        raise UsageError(
            f"frames are {frame_hw[0]}x{frame_hw[1]} pixels (height x width)",
            why=f"recipe {recipe.name} crops out of {wanted}",
            remedy="call resize(frames, recipe.size) first",
        )
    if recipe.mean_volume is not None and len(frames) > recipe.mean_volume.shape[1]:
        raise UsageError(
            f"a clip has {len(frames)} frames",
            why=f"the mean volume of recipe {recipe.name} has {recipe.mean_volume.shape[1]}",
            remedy="use shorter clips, or the recipe c3d_channel_mean, which suits any length",
        )


def _check_draw(frames: Fields, recipe: Recipe, draw: Draw) -> None:
    """Refuse a box outside the frame, and colors where there are none."""
    (y, x), (box_height, box_width) = draw.offset_yx, draw.box_hw or recipe.crop_hw
    height, width = frames.shape[1:3]
    if not (0 <= y <= height - box_height and 0 <= x <= width - box_width):
        raise UsageError(
            f"the crop at {draw.offset_yx} leaves the frame",
            why=f"{box_height}x{box_width} pixels are cut out of {height}x{width}",
            remedy=f"give an offset from (0, 0) to {(height - box_height, width - box_width)}",
        )
    if recipe.color == "flow" and (draw.changes_color or draw.adds_light):
        raise UsageError("flow has no colors to change", remedy="leave the draw's color factors at 1")
