"""Random crops, boxes and colors for training: the settings, and one draw a clip.

The draw is separate from the pixels so that it can be tested, written down and repeated: everything that
chance decides about a clip is in a :class:`~tubelet.clips.drawn.Draw`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from tubelet.clips.boxes import Positions, box_sizes, center_offset, grid_offsets
from tubelet.clips.drawn import Draw
from tubelet.clips.recipe import Recipe
from tubelet.errors import UsageError

Crop = Literal["published", "inclusive", "corners", "none"]

# Principal components of ImageNet's RGB values, a column each, and their strengths for pixels of 0 to 1. Krizhevsky
# et al. (2012, section 4.1) print none; these are fb.resnet.torch's (datasets/imagenet.lua), which others use too.
_PRINCIPAL = np.array([(-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203)])
_STRENGTHS = np.array((0.2175, 0.0188, 0.0045))


@dataclass(frozen=True)
class Jitter:
    """How much chance may change a training clip; the default is C3D's published training crop and flip.

    Attributes
    ----------
    crop
        Where the crop box lies before anything else: ``published`` draws the offset as C3D v1.0 does,
        ``rand % (H - h)``, which never gives the last offset; ``inclusive`` as C3D v1.1 does, the last
        included, and as Two-Stream and P3D do, anywhere in the whole frame; ``corners`` takes one of a few fixed
        places, as TSN and T3D do; ``none`` takes the central test crop.
    positions
        With ``corners``: 5 (the corners and the center) or 13 (the middles of the sides and of the quarters too).
    sizes
        With ``corners``: None cuts boxes of the crop size. TSN's are fractions of the frame's shorter side; height
        and width are drawn as a pair and the box resized to the crop size, bilinear. See `boxes.box_sizes`.
    max_distort
        With ``sizes``: how many places apart in that list a box's height and width may be; 0 keeps it square.
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
    lighting
        AlexNet's color change (Krizhevsky et al. 2012, section 4.1), that of Two-Stream: along each principal
        component of ImageNet's colors the whole clip moves by the component's strength times a normal number of
        this standard deviation; 0.1 as published, which is 5.5 gray levels along the first. Added last and not cut
        to 0-255, as there.
    flip_p
        Probability of mirroring the clip; only where ``recipe.flip`` allows it.

    Colors do not change where the recipe is of flow, which has none.

    As published:

    - C3D: the default.
    - Two-Stream: ``crop="inclusive"``, for RGB ``lighting=0.1`` too (section 5). P3D: ``crop="inclusive"``.
    - TSN: ``crop="corners", positions=13, sizes=(1, 0.875, 0.75, 0.66)``, for flow and RGB differences without 0.66
      in both releases; the ECCV text (section 3.2) has four sizes for flow too, and 5 positions.
    - T3D: ``crop="corners", positions=5``.

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
    positions: Positions = 13
    sizes: tuple[float, ...] | None = None
    max_distort: int = 1
    lighting: float = 0.0

    def __post_init__(self) -> None:
        if self.crop not in get_args(Crop):
            raise UsageError(f"jitter has the crop {self.crop!r}", remedy=f"choose one of {', '.join(get_args(Crop))}")
        if self.scale is not None:
            if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < math.inf:
                raise UsageError(f"jitter has the scale {self.scale!r}", remedy="give (low, high) with 0 < low <= high")
            object.__setattr__(self, "scale", (float(self.scale[0]), float(self.scale[1])))
        if self.sizes is not None:
            if not self.sizes or not all(0 < size <= 1 for size in self.sizes):
                raise UsageError(
                    f"jitter has the sizes {self.sizes!r}", remedy="give fractions of the shorter side, above 0 up to 1"
                )
            object.__setattr__(self, "sizes", tuple(map(float, self.sizes)))
            if self.crop != "corners":
                raise UsageError(f"jitter has sizes and the crop {self.crop!r}", remedy='set crop = "corners"')
        if self.crop == "corners" and (self.scale is not None or self.shift):
            raise UsageError(
                "jitter moves boxes that lie in corners",
                why="scale and shift are given",
                remedy="leave them out, or choose another crop",
            )
        if self.positions not in get_args(Positions):
            raise UsageError(f"jitter has {self.positions!r} positions", remedy="choose 5 or 13")
        if isinstance(self.max_distort, bool) or not isinstance(self.max_distort, int) or self.max_distort < 0:
            raise UsageError(f"jitter has max_distort = {self.max_distort!r}", remedy="give a whole number from 0")
        for name in ("shift", "brightness", "contrast", "saturation", "white_balance", "lighting", "flip_p"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise UsageError(f"jitter has {name} = {value!r}", remedy="give a number from 0 to 1")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        values = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Jitter:
        """The inverse of :meth:`to_dict`; fields left out have their defaults, unknown ones are refused."""
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise UsageError(
                f"jitter has no {', '.join(unknown)}",
                remedy=f"its fields are {', '.join(cls.__dataclass_fields__)}",
            )
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**fields)

    def draw(self, recipe: Recipe, rng: np.random.Generator, frame_hw: tuple[int, int] | None = None) -> Draw:
        """Decide about one clip. Always takes the same 17 numbers from ``rng``, whatever the settings.

        So two settings that differ in one respect see the same chance in all others.

        Parameters
        ----------
        recipe
            Says the crop size, and whether clips may be mirrored and have colors.
        rng
            The only source of chance.
        frame_hw
            Height and width of the resized frames; None where the recipe resizes all to one size.

        Raises
        ------
        UsageError
            No ``frame_hw``, and the recipe keeps the aspect ratio.
        """
        y, x, scale, shift_y, shift_x, brightness, contrast, saturation, flip, *gains = rng.random(12).tolist()
        # Newer numbers come last, so that older settings draw what they always drew.
        size, position = rng.random(2).tolist()
        along = rng.standard_normal(3)
        if frame_hw is None:
            if recipe.resize_hw is None:
                raise UsageError(f"recipe {recipe.name} gives frames of any shape", remedy="give frame_hw")
            frame_hw = recipe.resize_hw
        box_hw = None
        if self.crop == "corners":
            box_hw = recipe.crop_hw
            if self.sizes is not None:
                box_hw = _one(box_sizes(frame_hw, recipe.crop_hw, self.sizes, self.max_distort), size)
            offset_yx = _one(grid_offsets(frame_hw, box_hw, self.positions), position)
        else:
            offset_yx = self._offset(frame_hw, recipe.crop_hw, y, x)
        (crop_height, crop_width), low, high = recipe.crop_hw, 1.0, 1.0
        if self.scale is not None:
            low, high = self.scale
        geometry = Draw(
            offset_yx=offset_yx,
            scale=low + (high - low) * scale,
            shift_yx=(
                self.shift * crop_height * (2 * shift_y - 1),
                self.shift * crop_width * (2 * shift_x - 1),
            ),
            flip=recipe.flip and flip < self.flip_p,
            box_hw=box_hw,
        )
        if recipe.color == "flow":
            return geometry
        red, green, blue = (1 + self.white_balance * (2 * gain - 1) for gain in gains)
        lights = 255 * _PRINCIPAL @ (self.lighting * along * _STRENGTHS)
        return replace(
            geometry,
            brightness=1 + self.brightness * (2 * brightness - 1),
            contrast=1 + self.contrast * (2 * contrast - 1),
            saturation=1 + self.saturation * (2 * saturation - 1),
            gains_rgb=(red, green, blue),
            lighting_rgb=tuple(lights.tolist()) if self.lighting else (0.0, 0.0, 0.0),
        )

    def _offset(self, frame_hw: tuple[int, int], crop_hw: tuple[int, int], y: float, x: float) -> tuple[int, int]:
        if self.crop == "none":
            return center_offset(frame_hw, crop_hw)
        (height, width), (crop_height, crop_width) = frame_hw, crop_hw
        last = 0 if self.crop == "published" else 1
        # Where the crop fills the frame there is one offset, and the original's rand % 0 would be undefined.
        return int(y * max(height - crop_height + last, 1)), int(x * max(width - crop_width + last, 1))


def _one(choices: Sequence[tuple[int, int]], chance: float) -> tuple[int, int]:
    return choices[int(chance * len(choices))]
