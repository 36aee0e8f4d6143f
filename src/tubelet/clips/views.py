"""Test-time views: the crops and mirror images of a clip whose scores are averaged."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from tubelet.clips.boxes import HW, center_offset, corner_offsets, side_offsets
from tubelet.clips.drawn import Draw
from tubelet.clips.indices import one_of
from tubelet.clips.recipe import Recipe
from tubelet.clips.resize import Fields
from tubelet.clips.transforms import drawn_input
from tubelet.errors import UsageError

Views = Literal["center", "center_flip", "three", "four", "five", "ten"]
_MIRRORED = ("center_flip", "four", "ten")


def view_draws(views: Views, frame_hw: HW, crop_hw: HW) -> tuple[Draw, ...]:
    """The views of frames of one size, each as a draw in which chance had no part.

    Parameters
    ----------
    views
        ``center``: the central crop. ``center_flip``: that and its mirror image. ``three``: both ends and the middle
        of the longer side. ``four``: the upper left and the lower right corner, then the mirror images of both
        (DeepVideo, section 4.1, tests every clip four times "with different crops and flips" and says no more).
        ``five``: four corners and the center. ``ten``: these, then the mirror images of these (Two-Stream, section 5;
        TSN, section 3.3).
    frame_hw, crop_hw
        Height and width of the resized frames and of the crop, in pixels.

    Raises
    ------
    UsageError
        Unknown views.
    """
    one_of("views", views, get_args(Views))
    if views in ("center", "center_flip"):
        offsets: tuple[HW, ...] = (center_offset(frame_hw, crop_hw),)
    elif views == "three":
        offsets = side_offsets(frame_hw, crop_hw)
    else:
        corners = corner_offsets(frame_hw, crop_hw)
        offsets = (corners[0], corners[3]) if views == "four" else corners
    mirrored = (False, True) if mirrors(views) else (False,)
    return tuple(Draw(offset, flip=flip) for flip in mirrored for offset in offsets)


def mirrors(views: Views) -> bool:
    """Whether mirror images are among them."""
    return views in _MIRRORED


def view_inputs(frames: Fields, recipe: Recipe, views: Views) -> Tensor:
    """Network inputs of all views of one clip or stack.

    Parameters
    ----------
    frames, recipe
        As in :func:`~tubelet.clips.transforms.to_input`. Mirror images of flow have their x turned around.
    views
        As in :func:`view_draws`.

    Returns
    -------
    Tensor
        ``(V, C, T, h, w)`` float32: 1, 2, 3, 4, 5 or 10 views in the order of :func:`view_draws`.

    Raises
    ------
    UsageError
        As :func:`~tubelet.clips.transforms.to_input`; unknown views; mirror images under a recipe that forbids them.
    """
    draws = view_draws(views, (frames.shape[1], frames.shape[2]), recipe.crop_hw)
    if not recipe.flip and any(draw.flip for draw in draws):
        raise UsageError(
            f"the views {views!r} hold mirror images",
            why=f"recipe {recipe.name} says that a mirrored clip has another label",
            remedy="choose center, three or five",
        )
    return torch.stack([drawn_input(frames, recipe, draw) for draw in draws])
