"""What each suspect is changed to: other pixels, other clips. Pure values; nothing is scored here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tubelet.clips.mean_volume import load_mean_volume
from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.clips.sampling import Sampling
from tubelet.errors import UsageError
from tubelet.models.spec import InputSpec
from tubelet.protocols.diagnosis import Suspect
from tubelet.protocols.views import TestViews

STEPS = (1, 2, 4)
"""Frames from one of a clip to the next that are tried."""

_MEANS = (
    ("128 subtracted", "c3d_v11"),
    ("ImageNet's channel means (Caffe)", "caffenet"),
    ("ImageNet's mean and deviation (torchvision)", "resnet_rgb"),
    ("Kinetics' mean and deviation (torchvision)", "r3d_kinetics"),
    ("Sports-1M's channel means", "c3d_channel_mean"),
    ("pixels from -1 to 1", "c3d_small"),
)
_CLOSE_LEVELS, _CLOSE_FACTOR = 2.0, 0.02  # means and scales so near to each other are one variant


@dataclass(frozen=True)
class PixelVariant:
    """Other pixels: suspect, name, and the recipe that makes them."""

    suspect: Suspect
    name: str
    recipe: Recipe


@dataclass(frozen=True)
class ClipVariant:
    """Other clips of a network over test views: name, views, and the step between a clip's frames."""

    name: str
    views: TestViews
    step_frames: int


@dataclass(frozen=True)
class SamplingVariant:
    """Other clips of a descriptor: name and sampling."""

    name: str
    sampling: Sampling


def pixel_variants(
    recipe: Recipe, *, differences: bool = False, mean: str | os.PathLike[str] | None = None
) -> tuple[PixelVariant, ...]:
    """Color orders and means other than a recipe's; size, crop and mirroring stay.

    Parameters
    ----------
    recipe
        What the figure was made with; of colors, not of flow.
    differences
        Whether the network sees differences of frames, in which a mean cancels: then only the scale is changed.
    mean
        A mean volume to be tried, BGR, see `tubelet.clips.recipes.get_recipe`.

    Raises
    ------
    InputDataError
        The mean volume cannot be read.
    UsageError
        It fits frames of another size.
    """
    found: list[PixelVariant] = []
    for one in (*_colors(recipe), *_means(recipe, mean)):
        known = [recipe, *(other.recipe for other in found)]
        if differences and one.suspect == "mean" and one.recipe.scale == recipe.scale:
            continue
        if not any(_same_pixels(one.recipe, other) for other in known):
            found.append(one)
    return tuple(found)


def clip_variants(spec: InputSpec, views: TestViews) -> tuple[ClipVariant, ...]:
    """Steps within a clip and places of clips other than those of a network's test.

    Crops stay as they are. A network of single frames has no step.
    """
    found = []
    if spec.content.source_length(spec.clip_length) > 1:
        found = [ClipVariant(_step(step), views, step) for step in STEPS if step != spec.step_frames]
    places = (
        ("clips every 8 frames", replace(views, name="dense", policy="dense", n_clips=None)),
        ("clips one behind the other", replace(views, name="non_overlapping", policy="non_overlapping", n_clips=None)),
        ("10 clips at equal spacing", replace(views, name="10", policy="uniform", n_clips=10)),
        ("one clip, in the middle", replace(views, name="1", policy="uniform", n_clips=1)),
    )
    found += [ClipVariant(name, other, spec.step_frames) for name, other in places if other.hash != views.hash]
    return tuple(found)


def sampling_variants(sampling: Sampling) -> tuple[SamplingVariant, ...]:
    """Strides between a descriptor's clips and steps within them other than its own.

    Parameters
    ----------
    sampling
        Dense, as ``tubelet extract`` does it.
    """
    own = sampling.stride_frames or 8
    strides = sorted({max(1, own // 2), 2 * own, 8, sampling.span_frames} - {own})
    steps = [step for step in STEPS if step != sampling.step_frames] if sampling.clip_length > 1 else []
    return (
        *(SamplingVariant(_step(step), replace(sampling, step_frames=step)) for step in steps),
        *(SamplingVariant(f"a clip every {n} frames", replace(sampling, stride_frames=n)) for n in strides),
    )


def _step(step: int) -> str:
    return "neighboring frames" if step == 1 else f"every {step}{'nd' if step == 2 else 'th'} frame"


def _colors(recipe: Recipe) -> Iterator[PixelVariant]:
    other = "RGB" if recipe.color == "bgr" else "BGR"
    yield PixelVariant("color order", other, turned(recipe))
    yield PixelVariant("color order", f"{other}, the mean in the old order", _with_color_of(recipe, turned(recipe)))


def turned(recipe: Recipe) -> Recipe:
    """The same pixels in the other color order: mean and scale follow their channels."""
    scale = recipe.scale[::-1] if isinstance(recipe.scale, tuple) else recipe.scale
    return replace(
        recipe,
        color="rgb" if recipe.color == "bgr" else "bgr",
        mean=None if recipe.mean is None else recipe.mean[::-1],
        mean_volume=None if recipe.mean_volume is None else recipe.mean_volume[::-1].copy(),
        scale=scale,
    )


def _with_color_of(recipe: Recipe, other: Recipe) -> Recipe:
    return replace(recipe, color=other.color)


def _means(recipe: Recipe, mean: str | os.PathLike[str] | None) -> Iterator[PixelVariant]:
    def variant(name: str, published: Recipe) -> PixelVariant:
        like = published if published.color == recipe.color else turned(published)
        changed = replace(recipe, mean=like.mean, mean_volume=like.mean_volume, scale=like.scale)
        return PixelVariant("mean", name, changed)

    bare = replace(recipe, mean=None, mean_volume=None, scale=1.0)
    yield PixelVariant("mean", "pixels from 0 to 255, no mean", bare)
    yield PixelVariant("mean", "pixels from 0 to 1, no mean", replace(bare, scale=1 / 255))
    if mean is not None:
        volume = load_mean_volume(mean)
        if volume.shape[2:] != recipe.resize_hw:
            raise UsageError(
                f"the mean volume fits frames of {volume.shape[2]}x{volume.shape[3]}",
                path=mean,
                why=f"recipe {recipe.name} resizes to {recipe.size}",
                remedy="leave it away: the channel means are tried anyway",
            )
        yield variant("the mean volume", replace(bare, color="bgr", mean_volume=volume))
    for name, published in _MEANS:
        yield variant(name, get_recipe(published))
    # The mean of BGR subtracted from RGB, or the other way round.
    yield PixelVariant("mean", "its mean in the other color order", _with_color_of(turned(recipe), recipe))


def _same_pixels(first: Recipe, second: Recipe) -> bool:
    """Whether two recipes of one size differ by no more than a network could notice."""
    if first == second:
        return True
    if first.color != second.color or first.mean_volume is not None or second.mean_volume is not None:
        return False
    means = zip(first.mean or (0.0,) * 3, second.mean or (0.0,) * 3, strict=True)
    scales = zip(_three(first.scale), _three(second.scale), strict=True)
    return all(abs(a - b) < _CLOSE_LEVELS for a, b in means) and all(
        abs(a - b) < _CLOSE_FACTOR * max(a, b) for a, b in scales
    )


def _three(scale: float | Sequence[float]) -> Sequence[float]:
    return scale if isinstance(scale, Sequence) else (scale,) * 3
