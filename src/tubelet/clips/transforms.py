"""Resized uint8 frames become network input, as a recipe says.

Nothing outside ``tubelet.clips`` touches pixels: decoders call :func:`resize`, descriptors and protocols
:func:`to_input`, training :func:`jittered_input`.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tubelet.clips.jitter import Draw, Jitter, change_color, sample_box
from tubelet.clips.recipe import Recipe
from tubelet.clips.resize import Frames, as_tensor, check_frames, resize
from tubelet.errors import UsageError

__all__ = ["Jitter", "drawn_input", "jittered_input", "resize", "to_input"]


def to_input(frames: Frames, recipe: Recipe, *, offset_yx: tuple[int, int] | None = None, flip: bool = False) -> Tensor:
    """Crop, order the channels, subtract the mean, scale and (last) mirror a clip.

    The faithful order of C3D v1.0 (``image_io.cpp``), ``(y, x)`` being the corner of the crop:
    ``out[c, t, h, w] = (pixel[c, t, y + h, x + w] - mean[c, t, y + h, x + w]) * scale``, and the mirror image
    of that.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8 RGB, ``(H, W) = recipe.resize_hw``. Read-only is fine.
    recipe
        What to do. If it has a mean volume, ``T`` may not exceed the volume's; a shorter clip uses its first
        frames.
    offset_yx
        Corner of the crop in pixels; ``None`` is the central test crop, ``recipe.test_offset``.
    flip
        Mirror the result from left to right.

    Returns
    -------
    Tensor
        ``(3, T, h, w)`` float32, contiguous, ``(h, w) = recipe.crop_hw``, channels in ``recipe.color`` order.
        Stack clips to get the ``(N, C, T, H, W)`` of the networks.

    Raises
    ------
    UsageError
        Frames of another shape, size or type; more frames than the mean volume has; a crop outside the frame.
    """
    offset = recipe.test_offset if offset_yx is None else offset_yx
    return drawn_input(frames, recipe, Draw(offset, flip=flip))


def jittered_input(frames: Frames, recipe: Recipe, jitter: Jitter, rng: np.random.Generator) -> Tensor:
    """A training clip: one draw of box, colors and mirroring for all its frames, then as :func:`to_input`.

    A plain crop without color changes has exactly the pixels of ``to_input`` at the drawn offset.

    Parameters
    ----------
    frames, recipe
        As in :func:`to_input`.
    jitter
        How much chance may do.
    rng
        The only source of chance; twelve numbers are taken from it.

    Returns
    -------
    Tensor
        ``(3, T, h, w)`` float32, contiguous.

    Raises
    ------
    UsageError
        As :func:`to_input`.
    """
    return drawn_input(frames, recipe, jitter.draw(recipe, rng))


def drawn_input(frames: Frames, recipe: Recipe, draw: Draw) -> Tensor:
    """A clip as a given draw makes it: box, colors (cut to 0-255), mean, scale, mirror, in this order.

    A mean volume goes through the same box as the pixels, so that each pixel loses the mean of its own place.
    Parameters, result and errors are those of :func:`to_input`.
    """
    pixels = _checked(frames, recipe, draw)
    (y, x), (height, width) = draw.offset_yx, recipe.crop_hw
    volume = None
    if recipe.mean_volume is not None:
        volume = as_tensor(recipe.mean_volume)[:, : len(pixels)]
    if draw.moves_box:
        # Uint8 first, then float: interleaved to planar is cheaper on bytes.
        planes = sample_box(pixels.permute(3, 0, 1, 2).contiguous().float(), draw, recipe.crop_hw)
        if volume is not None:
            volume = sample_box(volume.contiguous(), draw, recipe.crop_hw)
    else:
        crop = pixels[:, y : y + height, x : x + width]
        planes = crop.permute(3, 0, 1, 2).contiguous().float()
        if volume is not None:
            volume = volume[:, :, y : y + height, x : x + width]
    if draw.changes_color:
        planes = change_color(planes, draw)
    if recipe.color == "bgr":
        planes = planes.flip(0)
    if volume is not None:
        planes.sub_(volume)
    elif recipe.mean is not None:
        planes.sub_(planes.new_tensor(recipe.mean).view(3, 1, 1, 1))
    if isinstance(recipe.scale, tuple):
        planes.mul_(planes.new_tensor(recipe.scale).view(3, 1, 1, 1))
    elif recipe.scale != 1.0:
        planes.mul_(recipe.scale)
    return planes.flip(-1) if draw.flip else planes


def _checked(frames: Frames, recipe: Recipe, draw: Draw) -> Tensor:
    check_frames(frames)
    height, width = recipe.resize_hw
    if tuple(frames.shape[1:3]) != (height, width):
        raise UsageError(
            f"frames are {frames.shape[1]}x{frames.shape[2]} pixels (height x width)",
            why=f"recipe {recipe.name} crops out of {height}x{width}",
            remedy="call resize(frames, recipe.resize_hw) first",
        )
    if recipe.mean_volume is not None and len(frames) > recipe.mean_volume.shape[1]:
        raise UsageError(
            f"a clip has {len(frames)} frames",
            why=f"the mean volume of recipe {recipe.name} has {recipe.mean_volume.shape[1]}",
            remedy="use shorter clips, or the recipe c3d_channel_mean, which suits any length",
        )
    (y, x), (crop_height, crop_width) = draw.offset_yx, recipe.crop_hw
    if not (0 <= y <= height - crop_height and 0 <= x <= width - crop_width):
        raise UsageError(
            f"the crop at {draw.offset_yx} leaves the frame",
            why=f"{crop_height}x{crop_width} pixels are cut out of {height}x{width}",
            remedy=f"give an offset from (0, 0) to {(height - crop_height, width - crop_width)}",
        )
    return as_tensor(frames) if isinstance(frames, np.ndarray) else frames
