"""Random crops, boxes and colors for training: settings, one draw a clip, and what the draw does to pixels.

The draw is separate from the pixels so that it can be tested, written down and repeated: everything that
chance decides about a clip is in a :class:`Draw`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tubelet.clips.recipe import Recipe
from tubelet.errors import UsageError

Crop = Literal["published", "inclusive", "none"]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, of red, green, blue


@dataclass(frozen=True)
class Jitter:
    """How much chance may change a training clip; the default is C3D's published training crop and flip.

    Attributes
    ----------
    crop
        Where the crop box lies before anything else: ``published`` draws the offset as C3D v1.0 does,
        ``rand % (H - h)``, which never gives the last offset; ``inclusive`` as C3D v1.1 does, the last
        included; ``none`` takes the central test crop.
    scale
        ``(low, high)`` or None: the side of the box is multiplied by a factor drawn uniformly from there and
        the box resampled to the crop size, bilinear. Below 1 zooms in. A box may leave the frame; what lies
        outside repeats the frame's edge.
    shift
        The box moves along each axis by up to this fraction of the crop side, either way, uniformly.
    brightness, contrast, saturation
        Each is a strength ``s`` from 0 to 1; the factor is drawn uniformly from ``1 - s`` to ``1 + s``.
        Brightness multiplies the pixels, contrast stretches them about the clip's mean gray, saturation about
        each pixel's own gray; the result is cut to 0-255.
    white_balance
        A strength likewise; red, green and blue are multiplied by a factor each, drawn uniformly from ``1 - s``
        to ``1 + s``, as if the camera had been set to another light.
    flip_p
        Probability of mirroring the clip; only where ``recipe.flip`` allows it.

    Raises
    ------
    UsageError
        Values out of range.
    """

    crop: Crop = "published"
    scale: tuple[float, float] | None = None
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    white_balance: float = 0.0
    flip_p: float = 0.5

    def __post_init__(self) -> None:
        if self.crop not in get_args(Crop):
            raise UsageError(f"jitter has the crop {self.crop!r}", remedy=f"choose one of {', '.join(get_args(Crop))}")
        if self.scale is not None:
            if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < math.inf:
                raise UsageError(f"jitter has the scale {self.scale!r}", remedy="give (low, high) with 0 < low <= high")
            object.__setattr__(self, "scale", (float(self.scale[0]), float(self.scale[1])))
        for name in ("shift", "brightness", "contrast", "saturation", "white_balance", "flip_p"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise UsageError(f"jitter has {name} = {value!r}", remedy="give a number from 0 to 1")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        values = asdict(self)
        return {**values, "scale": None if self.scale is None else list(self.scale)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Jitter:
        """The inverse of :meth:`to_dict`; fields left out have their defaults, unknown ones are refused."""
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise UsageError(
                f"jitter has no {', '.join(unknown)}",
                remedy=f"its fields are {', '.join(cls.__dataclass_fields__)}",
            )
        scale = values.get("scale")
        return cls(**{**values, "scale": None if scale is None else tuple(scale)})

    def draw(self, recipe: Recipe, rng: np.random.Generator) -> Draw:
        """Decide about one clip. Always takes the same twelve numbers from ``rng``, whatever the settings.

        So two settings that differ in one respect see the same chance in all others.
        """
        y, x, scale, shift_y, shift_x, brightness, contrast, saturation, flip, *gains = rng.random(12).tolist()
        red, green, blue = (1 + self.white_balance * (2 * gain - 1) for gain in gains)
        (crop_height, crop_width), low, high = recipe.crop_hw, 1.0, 1.0
        if self.scale is not None:
            low, high = self.scale
        return Draw(
            offset_yx=self._offset(recipe, y, x),
            scale=low + (high - low) * scale,
            shift_yx=(
                self.shift * crop_height * (2 * shift_y - 1),
                self.shift * crop_width * (2 * shift_x - 1),
            ),
            brightness=1 + self.brightness * (2 * brightness - 1),
            contrast=1 + self.contrast * (2 * contrast - 1),
            saturation=1 + self.saturation * (2 * saturation - 1),
            gains_rgb=(red, green, blue),
            flip=recipe.flip and flip < self.flip_p,
        )

    def _offset(self, recipe: Recipe, y: float, x: float) -> tuple[int, int]:
        if self.crop == "none":
            return recipe.test_offset
        (height, width), (crop_height, crop_width) = recipe.resize_hw, recipe.crop_hw
        last = 0 if self.crop == "published" else 1
        # Where the crop fills the frame there is one offset, and the original's rand % 0 would be undefined.
        return int(y * max(height - crop_height + last, 1)), int(x * max(width - crop_width + last, 1))


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
    """

    offset_yx: tuple[int, int]
    scale: float = 1.0
    shift_yx: tuple[float, float] = (0.0, 0.0)
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    gains_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    flip: bool = False

    @property
    def moves_box(self) -> bool:
        """Whether the box differs from a plain crop, so that pixels must be resampled."""
        return self.scale != 1.0 or self.shift_yx != (0.0, 0.0)

    @property
    def changes_color(self) -> bool:
        """Whether any color factor differs from 1."""
        return (self.brightness, self.contrast, self.saturation, *self.gains_rgb) != (1.0,) * 6


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
