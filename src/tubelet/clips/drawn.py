"""What chance decided about one clip, and what that does to its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tubelet.clips.resize import as_tensor, resize_field

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, of red, green, blue


@dataclass(frozen=True)
class Draw:
    """What chance decided about one clip, the same for all its frames.

    Attributes
    ----------
    offset_yx
        Corner of the crop box, in pixels.
    scale
        Factor on the sides of the box, about its center.
    shift_yx
        Movement of the box, in pixels.
    brightness, contrast, saturation
        Factors; 1 leaves the pixels alone.
    gains_rgb
        Factors of red, green and blue.
    flip
        Whether the clip is mirrored.
    box_hw
        Height and width of the crop box, which is then resized to the crop size; None: it has that size.
    lighting_rgb
        Gray levels added to red, green and blue.
    """

    offset_yx: tuple[int, int]
    scale: float = 1.0
    shift_yx: tuple[float, float] = (0.0, 0.0)
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    gains_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    flip: bool = False
    box_hw: tuple[int, int] | None = None
    lighting_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def moves_box(self) -> bool:
        """Whether the box differs from a plain crop, so that pixels must be resampled."""
        return self.scale != 1.0 or self.shift_yx != (0.0, 0.0)

    @property
    def changes_color(self) -> bool:
        """Whether any color factor differs from 1."""
        return (self.brightness, self.contrast, self.saturation, *self.gains_rgb) != (1.0,) * 6

    @property
    def adds_light(self) -> bool:
        """Whether gray levels are added to the colors."""
        return self.lighting_rgb != (0.0, 0.0, 0.0)


def cut_box(pixels: Tensor, draw: Draw, crop_hw: tuple[int, int]) -> Tensor:
    """Cut the drawn box out of every frame: the geometry of a draw but for its mirroring, whatever the channels are.

    A plain crop keeps its pixels; a box of another size goes through the package's resize, as the papers' code
    resizes its crops, edges and rounding included; a box that is scaled or shifted through :func:`sample_box`.

    Parameters
    ----------
    pixels
        ``(T, H, W, C)`` uint8 or float32.
    draw
        The box.
    crop_hw
        Size of the result.

    Returns
    -------
    Tensor
        ``(C, T, h, w)`` float32, contiguous, in memory of its own.
    """
    if draw.moves_box:
        # Bytes first, then float: interleaved to planar is cheaper on bytes.
        return sample_box(_planar(pixels), draw, crop_hw)
    (y, x), (height, width) = draw.offset_yx, draw.box_hw or crop_hw
    box = pixels[:, y : y + height, x : x + width]
    if (height, width) != crop_hw:
        box = as_tensor(resize_field(box.numpy(), crop_hw))
    return _planar(box)


def _planar(pixels: Tensor) -> Tensor:
    return pixels.permute(3, 0, 1, 2).clone(memory_format=torch.contiguous_format).float()


def sample_box(planes: Tensor, draw: Draw, crop_hw: tuple[int, int]) -> Tensor:
    """Cut the drawn box out of every plane and resample it to the crop size in one affine bilinear step.

    Output pixel ``(i, j)`` reads the frame at ``center + (i + 1/2 - h/2, j + 1/2 - w/2) * scale - 1/2``,
    where ``center`` is the middle of the crop box plus the shift; places outside the frame read its edge.

    Parameters
    ----------
    planes
        ``(C, T, H, W)`` float32, contiguous.
    draw
        The box.
    crop_hw
        Size of the result.

    Returns
    -------
    Tensor
        ``(C, T, h, w)`` float32.
    """
    channels, frames, height, width = planes.shape
    ys = _normalized(draw.offset_yx[0], crop_hw[0], draw.shift_yx[0], draw.scale, height)
    xs = _normalized(draw.offset_yx[1], crop_hw[1], draw.shift_yx[1], draw.scale, width)
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1)[None]
    # All frames and channels share the box: as channels of one image they share the work of finding it.
    image = planes.reshape(1, channels * frames, height, width)
    boxes = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return boxes.view(channels, frames, *crop_hw)


def _normalized(offset: int, crop: int, shift: float, scale: float, full: int) -> Tensor:
    """Where each output pixel reads, in ``grid_sample``'s units: -1 and 1 are the frame's outer edges."""
    steps = torch.arange(crop, dtype=torch.float64) + 0.5 - crop / 2
    return ((offset + crop / 2 + shift + steps * scale) * (2 / full) - 1).float()


def change_color(planes: Tensor, draw: Draw) -> Tensor:
    """Apply brightness, contrast, saturation and white balance, in this order, as one 3x3 matrix and an offset.

    Parameters
    ----------
    planes
        ``(3, T, h, w)`` float32, RGB, 0 to 255.
    draw
        The factors.

    Returns
    -------
    Tensor
        Same shape, cut to 0-255.
    """
    luma = planes.new_tensor(_LUMA)
    flat = planes.reshape(3, -1)
    clip_gray = float(luma @ flat.mean(dim=1)) * draw.brightness
    gain = draw.brightness * draw.contrast
    matrix = gain * (draw.saturation * torch.eye(3) + (1 - draw.saturation) * luma.expand(3, 3))
    offset = (1 - draw.contrast) * clip_gray
    gains = planes.new_tensor(draw.gains_rgb).view(3, 1)
    return torch.addmm(gains * offset, gains * matrix, flat).clamp_(0, 255).view(planes.shape)
