"""One setting of a way to describe videos replaced by another way's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tubelet.clips.recipe import Recipe
from tubelet.descriptors.audit.remaking import Remaking
from tubelet.descriptors.request import VideoRequest
from tubelet.errors import UsageError


@dataclass(frozen=True, eq=False)
class Way:
    """How a sample of videos is described.

    Attributes
    ----------
    remaking
        Network, recipe, sampling, precision; its recipe is given.
    layer
        Which vectors.
    videos
        What is read, by ``video_id``.
    """

    remaking: Remaking
    layer: str
    videos: Mapping[str, VideoRequest]

    @property
    def recipe(self) -> Recipe:
        """Its recipe."""
        assert self.remaking.recipe is not None
        return self.remaking.recipe


def switched(own: Way, other: Way, setting: str) -> Way:
    """``own`` with one setting of ``other``.

    Parameters
    ----------
    own, other
        Two ways.
    setting
        One of `SWITCHES`.

    Raises
    ------
    UsageError
        The setting does not go with the others, such as a crop that is larger than the frames.
    """
    return SWITCHES[setting](own, other)


def _with(own: Way, **changes: object) -> Way:
    return replace(own, remaking=replace(own.remaking, **changes))  # type: ignore[arg-type]


def _in_recipe(own: Way, **changes: object) -> Way:
    return _with(own, recipe=replace(own.recipe, **changes))  # type: ignore[arg-type]


def _weights(own: Way, other: Way) -> Way:
    taken = _with(own, model=other.remaking.model)
    if own.recipe.crop_hw == other.recipe.crop_hw:
        return taken
    # A network of another input size takes no other frames: the size comes with it.
    return _resize(taken, other, crop=True)


def _resize(own: Way, other: Way, crop: bool = False) -> Way:
    if own.recipe.mean_volume is not None and own.recipe.resize_hw != other.recipe.resize_hw:
        raise UsageError("a mean volume fits frames of one size only")
    sizes = {"resize_hw": other.recipe.resize_hw, "resize_short": other.recipe.resize_short}
    return _in_recipe(own, **sizes, **({"crop_hw": other.recipe.crop_hw} if crop else {}))


def _color(own: Way, other: Way) -> Way:
    """The color order alone: each channel keeps its mean and scale, unless both tables write them alike."""
    here, there = own.recipe, other.recipe
    changes: dict[str, object] = {"color": there.color}
    values = here.to_dict(), there.to_dict()
    for field in ("mean", "scale"):
        levels = getattr(here, field)
        if isinstance(levels, tuple) and "flow" not in (here.color, there.color):
            changes[field] = levels if values[0][field] == values[1][field] else levels[::-1]
    if here.mean_volume is not None and values[0]["mean_volume"] != values[1]["mean_volume"]:
        changes["mean_volume"] = np.ascontiguousarray(here.mean_volume[::-1])
    return _in_recipe(own, **changes)


def _levels(field: str) -> Callable[[Way, Way], Way]:
    def switch(own: Way, other: Way) -> Way:
        levels = getattr(other.recipe, field)
        if isinstance(levels, tuple) and own.recipe.color != other.recipe.color:
            levels = levels[::-1]
        return _in_recipe(own, **{field: levels})

    return switch


def _mean(own: Way, other: Way) -> Way:
    volume, levels = other.recipe.mean_volume, other.recipe.mean
    if own.recipe.color != other.recipe.color:
        volume = None if volume is None else np.ascontiguousarray(volume[::-1])
        levels = None if levels is None else (levels[2], levels[1], levels[0])
    return _in_recipe(own, mean=levels, mean_volume=volume)


def _recipe_field(field: str) -> Callable[[Way, Way], Way]:
    return lambda own, other: _in_recipe(own, **{field: getattr(other.recipe, field)})


def _sampling_field(field: str) -> Callable[[Way, Way], Way]:
    def switch(own: Way, other: Way) -> Way:
        value = getattr(other.remaking.sampling, field)
        return _with(own, sampling=replace(own.remaking.sampling, **{field: value}))

    return switch


SWITCHES: Mapping[str, Callable[[Way, Way], Way]] = {
    "layer": lambda own, other: replace(own, layer=other.layer),
    "weights": _weights,
    "recipe": lambda own, other: _with(own, recipe=other.recipe),
    "resize": _resize,
    "crop": _recipe_field("crop_hw"),
    "color": _color,
    "mean": _mean,
    "scale": _levels("scale"),
    "mirror averaging": _recipe_field("average_flip"),
    "flow mean": _recipe_field("flow_mean"),
    "clip length": _sampling_field("clip_length"),
    "stride": _sampling_field("stride_frames"),
    "step": _sampling_field("step_frames"),
    "short videos": _sampling_field("short"),
    "precision": lambda own, other: _with(own, precision=other.remaking.precision),
    "flow": lambda own, other: _with(own, flow=other.remaking.flow),
    "video files": lambda own, other: replace(own, videos=other.videos),
}
"""What can be switched, by the names of `tubelet.descriptors.audit.differences`."""

SAMPLING = frozenset({"clip length", "stride", "step", "short videos", "sampling policy", "clips per video", "rows"})
"""Settings that decide which clips there are: with another one, only whole videos can be compared."""


def switch_name(setting: str) -> str | None:
    """The switch that a differing setting is a part of; None where it cannot be switched."""
    together = {"network": "weights", "mean volume": "mean"}
    name = together.get(setting, setting)
    return name if name in SWITCHES else None
