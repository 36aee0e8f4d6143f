"""What is done to pixels before a network sees them.

A recipe is one frozen value, bound to a model's weights and hashed into every output.
"""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, SupportsFloat, get_args

from tubelet.artifacts import write_json
from tubelet.clips.boxes import Size, size_after
from tubelet.clips.mean_volume import (
    MeanVolume,
    as_mean_volume,
    load_mean_volume,
    mean_volume_sha256,
    write_mean_volume,
)
from tubelet.errors import InputDataError, UsageError
from tubelet.provenance import hash_json

Color = Literal["rgb", "bgr", "flow"]
FlowMean = Literal["level", "field"]

RECIPE_FILE = "preprocessor_config.json"
MEAN_VOLUME_FILE = "mean_volume.npy"

NO_MOTION_LEVEL = 128
"""The level of no motion, which TSN and P3D subtract from quantized flow."""

# Goes into every hash. Raise it when the same values begin to give other pixels (a new resize, say).
PIXEL_VERSION = 1


@dataclass(frozen=True, eq=False)
class Recipe:
    """Resize, crop, color order, mean and scale: ``out = (pixel - mean) * scale``.

    In this order: the frame is resized to ``resize_hw`` whatever its aspect, or to a shorter side of
    ``resize_short``, cropped, its channels put in the order of ``color``, the mean subtracted (of a volume: the part
    under the crop), scaled, and last of all mirrored where that is asked for.

    Two recipes are equal when they do the same to pixels; the name is a label and takes no part.

    Attributes
    ----------
    name
        What it is called, such as ``c3d_sports1m``.
    resize_hw, crop_hw
        Height and width in pixels. ``resize_hw`` is None where ``resize_short`` is given.
    color
        ``rgb`` or ``bgr``: the order of the channels that the network sees. ``flow``: channels are displacements,
        x and y in turns (x1, y1, x2, y2, …); mirroring turns every x around, colors do not vary, and the mean is
        ``flow_mean``'s affair.
    mean
        Three gray levels (0 to 255) in the order of ``color``, or None.
    mean_volume
        ``(3, T, H, W)`` float32, read-only, channels in the order of ``color``, ``(H, W) = resize_hw``; or
        None. A clip of fewer frames than ``T`` uses the first ones.
    scale
        Factor applied after the mean: one, or three in the order of ``color``.
    flip
        Whether a mirrored clip keeps its label, so that training may mirror it.
    average_flip
        Whether every clip is described, and classified, by the mean of itself and its mirror image. Off in the
        published recipes; only where ``flip`` holds.
    resize_short
        Length in pixels that the shorter side is resized to, the longer one in proportion (`boxes.size_after`); or
        None. Frames of videos of different shapes then have different sizes, and so the same crop.
    flow_mean
        What flow becomes. ``level``: stored levels minus 128, as TSN and P3D do. ``field``: pixels again, and each
        field minus its own mean vector over all its pixels, before anything is cut out (Two-Stream, section 3.1).
        None: pixels as they are.

    Raises
    ------
    UsageError
        Values that do not fit together.
    """

    name: str
    resize_hw: tuple[int, int] | None
    crop_hw: tuple[int, int]
    color: Color = "rgb"
    mean: tuple[float, float, float] | None = None
    mean_volume: MeanVolume | None = None
    scale: float | tuple[float, float, float] = 1.0
    flip: bool = True
    average_flip: bool = False
    resize_short: int | None = None
    flow_mean: FlowMean | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__  # the way for a frozen dataclass to tidy its own values
        if (self.resize_hw is None) == (self.resize_short is None):
            raise _misfit(
                f"has resize_hw = {self.resize_hw!r} and resize_short = {self.resize_short!r}",
                "give one of them and None for the other",
            )
        if self.resize_hw is not None:
            set_(self, "resize_hw", _size("resize_hw", self.resize_hw))
        if self.resize_short is not None:
            set_(self, "resize_short", _size("resize_short", (self.resize_short, self.resize_short))[0])
        set_(self, "crop_hw", _size("crop_hw", self.crop_hw))
        set_(self, "scale", _scale(self.scale))
        least = (self.size, self.size) if isinstance(self.size, int) else self.size
        if any(crop > full for crop, full in zip(self.crop_hw, least, strict=True)):
            raise _misfit(f"crops {self.crop_hw} out of {least}", "crop no more than resize_hw or resize_short")
        if self.color not in get_args(Color):
            raise _misfit(f"has the color {self.color!r}", "choose rgb, bgr or flow")
        if self.color == "flow" and (self.mean is not None or self.mean_volume is not None):
            raise _misfit("of flow has a mean of colors", "leave it out: the mean of flow is flow_mean")
        if self.color == "flow" and isinstance(self.scale, tuple):
            raise _misfit("of flow has three scales", "give one for x and y")
        if self.flow_mean is not None and (self.color != "flow" or self.flow_mean not in get_args(FlowMean)):
            raise _misfit(f"of color {self.color} has flow_mean = {self.flow_mean!r}", "give level or field, for flow")
        if not all(math.isfinite(factor) and factor > 0 for factor in _factors(self.scale)):
            raise _misfit(f"has the scale {self.scale}", "give a positive number, or three")
        for name in ("flip", "average_flip"):
            if not isinstance(getattr(self, name), bool):
                raise _misfit(f"has {name} = {getattr(self, name)!r}", "give True or False")
        if self.average_flip and not self.flip:
            raise _misfit("averages mirror images that mean something else", "set flip, or not average_flip")
        if self.mean is not None:
            set_(self, "mean", _three_levels(self.mean))
        if self.mean_volume is not None:
            if self.mean is not None:
                raise _misfit("has two means", "give either mean or mean_volume")
            volume = as_mean_volume(self.mean_volume)
            set_(self, "mean_volume", volume)
            if volume.shape[2:] != self.resize_hw:
                raise _misfit(
                    f"resizes to {self.size} and has a mean volume of {volume.shape}",
                    "give a volume of (3, T, height, width) for that height and width",
                )

    @property
    def size(self) -> Size:
        """What :func:`tubelet.clips.resize.resize` and decoders take: ``resize_hw`` or ``resize_short``."""
        size = self.resize_short if self.resize_hw is None else self.resize_hw
        assert size is not None  # one of the two is always given
        return size

    def fits(self, frame_hw: tuple[int, int]) -> bool:
        """Whether frames of a height and width are as this recipe resizes them."""
        return size_after(self.size, frame_hw) == frame_hw

    @cached_property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of the values as canonical JSON.

        All but the name; the mean volume by its bytes; ``average_flip``, ``resize_short`` and ``flow_mean`` only
        where they are set. Canonical is: keys sorted, no spaces, floats in their shortest form that reads back the
        same. So it is the same in every process and version of Python.
        """
        values = self.to_dict()
        del values["name"]
        for newer in ("average_flip", "resize_short", "flow_mean"):  # recipes from before they existed keep their hash
            if not values[newer]:
                del values[newer]
        return hash_json({"pixel_version": PIXEL_VERSION, **values})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def with_flip(self, flip: bool) -> Recipe:
        """The same recipe for labels that survive mirroring (``True``) or do not (``False``)."""
        return self if flip == self.flip else replace(self, flip=flip, average_flip=flip and self.average_flip)

    def with_average_flip(self) -> Recipe:
        """The same recipe with every clip averaged with its mirror image, where labels survive mirroring."""
        return replace(self, average_flip=True) if self.flip else self

    def with_side(self, side: int | tuple[int, int]) -> Recipe:
        """The same recipe for a square input of ``side`` pixels: resize and crop in the same proportion.

        For example 128 x 171 cropped to 112 becomes 64 x 86 (half pixels rounded up) cropped to 56, and a shorter
        side of 256 cropped to 224 one of 128 cropped to 112. A pair (height, width) resizes to just that size and
        cuts nothing off.

        Raises
        ------
        UsageError
            The crop is not square, or the mean is a volume, which exists for one size only.
        """
        if isinstance(side, tuple):
            return self._scaled(side, side)
        crop_height, crop_width = self.crop_hw
        if crop_height != crop_width:
            raise _misfit(f"crops {self.crop_hw}, not a square", "make a Recipe with the sizes you need")
        if side == crop_height:
            return self

        def scaled(full: int) -> int:
            return (2 * full * side + crop_height) // (2 * crop_height)

        size = self.size
        return self._scaled(scaled(size) if isinstance(size, int) else (scaled(size[0]), scaled(size[1])), (side, side))

    def _scaled(self, size: Size, crop_hw: tuple[int, int]) -> Recipe:
        if self.mean_volume is not None and size != self.size:
            raise UsageError(
                f"recipe {self.name} cannot be scaled to {' x '.join(map(str, crop_hw))} pixels",
                why=f"its mean volume fits frames of {self.mean_volume.shape[2]}x{self.mean_volume.shape[3]} only",
                remedy="use c3d_channel_mean, which subtracts one level per channel",
            )
        if isinstance(size, int):
            return replace(self, resize_short=size, crop_hw=crop_hw)
        return replace(self, resize_hw=size, resize_short=None, crop_hw=crop_hw)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; a mean volume appears as its shape and SHA-256 (see :meth:`save`)."""
        volume = None
        if self.mean_volume is not None:
            volume = {"shape": list(self.mean_volume.shape), "sha256": mean_volume_sha256(self.mean_volume)}
        return {
            "name": self.name,
            "resize_hw": None if self.resize_hw is None else list(self.resize_hw),
            "crop_hw": list(self.crop_hw),
            "color": self.color,
            "mean": None if self.mean is None else list(self.mean),
            "mean_volume": volume,
            "scale": list(self.scale) if isinstance(self.scale, tuple) else self.scale,
            "flip": self.flip,
            "average_flip": self.average_flip,
            "resize_short": self.resize_short,
            "flow_mean": self.flow_mean,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], mean_volume: MeanVolume | None = None) -> Recipe:
        """The inverse of :meth:`to_dict`; a mean volume must be given beside, and be the one described.

        Raises
        ------
        UsageError
            Missing, unknown or impossible values, or another volume than the one described.
        """
        fields = set(cls.__dataclass_fields__)
        values = {"average_flip": False, "resize_short": None, "flow_mean": None, **values}
        if fields != set(values):
            raise _misfit(f"has the fields {', '.join(sorted(values))}", f"the fields are {', '.join(sorted(fields))}")
        described = values["mean_volume"]
        recipe = cls(**{**values, "mean_volume": mean_volume})
        if recipe.to_dict()["mean_volume"] != described:
            raise _misfit(
                f"describes the mean volume {described} and got {recipe.to_dict()['mean_volume']}",
                f"give the {MEAN_VOLUME_FILE} that was saved with it",
            )
        return recipe

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``preprocessor_config.json`` and, where there is a volume, ``mean_volume.npy`` into a folder.

        Returns
        -------
        Path
            The JSON file. It is written last, so a folder that has it is complete.
        """
        if self.mean_volume is not None:
            write_mean_volume(Path(folder) / MEAN_VOLUME_FILE, self.mean_volume)
        return write_json(Path(folder) / RECIPE_FILE, self.to_dict())

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Recipe:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputDataError
            A file is missing or damaged, or the volume is not the one that was saved.
        """
        path = Path(folder) / RECIPE_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            has_volume = values["mean_volume"] is not None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputDataError(
                "cannot read the recipe", path=path, why=str(error), remedy="save the model folder again"
            ) from error
        volume = load_mean_volume(Path(folder) / MEAN_VOLUME_FILE) if has_volume else None
        try:
            return cls.from_dict(values, volume)
        except (UsageError, TypeError, ValueError) as error:
            raise InputDataError(
                "the recipe is damaged", path=path, why=str(error), remedy="save the model folder again"
            ) from error


def _misfit(what: str, remedy: str) -> UsageError:
    return UsageError(f"the recipe {what}", remedy=remedy)


def _size(name: str, size_hw: Iterable[int]) -> tuple[int, int]:
    try:
        height, width = (operator.index(side) for side in size_hw)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise _misfit(f"has {name} = {size_hw!r}", "give (height, width) in pixels")
    return height, width


def _three_levels(mean: Iterable[float]) -> tuple[float, float, float]:
    levels = tuple(map(_number, mean))
    if len(levels) != 3 or not all(map(math.isfinite, levels)):
        raise _misfit(f"has the mean {mean!r}", "give three gray levels in the order of its color")
    return levels


def _scale(scale: object) -> float | tuple[float, float, float]:
    if isinstance(scale, Iterable) and not isinstance(scale, str):
        factors = tuple(map(_number, scale))
        return factors if len(factors) == 3 else math.nan
    return _number(scale)


def _factors(scale: float | tuple[float, float, float]) -> tuple[float, ...]:
    return scale if isinstance(scale, tuple) else (scale,)


def _number(value: object) -> float:
    """``value`` as a float, so that 1 and 1.0 have one hash; not a number where it is none."""
    return float(value) if isinstance(value, SupportsFloat) else math.nan
