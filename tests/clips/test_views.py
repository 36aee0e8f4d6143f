"""Views, against crops cut by hand; and what mirroring does to flow."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch

from tubelet.clips.drawn import Draw
from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.clips.transforms import drawn_input, to_input
from tubelet.clips.views import Views, view_draws, view_inputs
from tubelet.errors import UsageError

RGB = Recipe("rgb", (13, 18), (8, 8), "bgr", (104, 117, 123), scale=0.5)
FLOW = Recipe("flow", (13, 18), (8, 8), "flow")


def noise(shape: tuple[int, ...], kind: Any = np.uint8) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, shape)
    return (values - 100).astype(kind) if kind == np.float32 else values.astype(kind)


def by_hand(frames: np.ndarray, y: int, x: int, mirrored: bool) -> np.ndarray:
    """One view with nothing but slices: (C, T, 8, 8) before mean and scale."""
    out = frames[:, y : y + 8, x : x + 8].astype(np.float64)
    if mirrored:
        out = out[:, :, ::-1].copy()
        if frames.shape[3] != 3:
            for channel in range(0, frames.shape[3], 2):
                middle = 255 if frames.dtype == np.uint8 else 0
                out[..., channel] = middle - out[..., channel]
    return out.transpose(3, 0, 1, 2)


CORNERS = [(0, 0), (0, 10), (5, 0), (5, 10), (2, 5)]  # of 8 x 8 out of 13 x 18
PLACES = {
    "center": [(2, 5, False)],
    "center_flip": [(2, 5, False), (2, 5, True)],
    "three": [(2, 0, False), (2, 5, False), (2, 10, False)],
    "four": [(0, 0, False), (5, 10, False), (0, 0, True), (5, 10, True)],
    "five": [(y, x, False) for y, x in CORNERS],
    "ten": [(y, x, mirrored) for mirrored in (False, True) for y, x in CORNERS],
}


@pytest.mark.parametrize("views", get_args(Views))
@pytest.mark.parametrize(("channels", "kind"), [(3, np.uint8), (2, np.uint8), (10, np.uint8), (20, np.float32)])
def test_views_are_the_crops_cut_by_hand(views: Any, channels: int, kind: Any) -> None:
    frames = noise((2, 13, 18, channels), kind)
    expected = np.stack([by_hand(frames, *place) for place in PLACES[views]])
    if channels == 3:
        expected = (expected[:, ::-1] - np.array((104, 117, 123)).reshape(1, 3, 1, 1, 1)) * 0.5
    result = view_inputs(frames, RGB if channels == 3 else FLOW, views)
    assert result.dtype == torch.float32
    assert (result.numpy() == expected).all()


def test_two_streams_ten_views_of_a_frame() -> None:
    frames = noise((1, 256, 341, 3))
    views = view_inputs(frames, get_recipe("two_stream_rgb"), "ten")
    assert views.shape == (10, 3, 1, 224, 224)
    assert torch.equal(views[9], to_input(frames, get_recipe("two_stream_rgb"), flip=True))
    # The last column of the right corners is the frame's.
    assert (views[1, :, 0, 0, -1].numpy() == np.float32(frames[0, 0, -1]) - np.float32([123.68, 116.78, 103.94])).all()


def test_only_x_changes_its_sign() -> None:
    still = np.full((3, 13, 18, 10), 128, np.uint8)
    flipped = to_input(still, FLOW, flip=True)
    assert (flipped[0::2] == 127).all()  # 255 - 128
    assert (flipped[1::2] == 128).all()
    vectors = np.full((1, 13, 18, 2), 1.5, np.float32)
    assert to_input(vectors, FLOW, flip=True)[:, 0, 0, 0].tolist() == [-1.5, 1.5]


def test_a_flip_of_a_flip_is_the_clip() -> None:
    for frames in (noise((2, 13, 18, 6)), noise((2, 13, 18, 6), np.float32)):
        once = to_input(frames, FLOW, flip=True)
        again = to_input(
            once.permute(1, 2, 3, 0).numpy().astype(frames.dtype), Recipe("f", (8, 8), (8, 8), "flow"), flip=True
        )
        assert torch.equal(again, to_input(frames, FLOW))


def test_mirror_images_are_refused_where_they_mean_something_else() -> None:
    recipe = RGB.with_flip(False)
    assert len(view_inputs(noise((1, 13, 18, 3)), recipe, "five")) == 5
    for views in ("ten", "center_flip"):
        with pytest.raises(UsageError, match="choose center, three or five"):
            view_inputs(noise((1, 13, 18, 3)), recipe, views)
    with pytest.raises(UsageError, match="choose one of center"):
        view_draws("eleven", (13, 18), (8, 8))  # type: ignore[arg-type]


def test_what_flow_refuses() -> None:
    fields = noise((2, 13, 18, 4))
    with pytest.raises(UsageError, match=r"x and y in turns.*frames to one of rgb"):
        to_input(noise((2, 13, 18, 3)), FLOW)
    with pytest.raises(UsageError, match=r"\(T, H, W, 3\)"):
        to_input(fields, RGB)
    with pytest.raises(UsageError, match="uint8 levels, or float32"):
        to_input(fields.astype(np.float64), FLOW)
    for draw in (Draw((0, 0), brightness=1.1), Draw((0, 0), lighting_rgb=(1.0, 1.0, 1.0))):
        with pytest.raises(UsageError, match="flow has no colors"):
            drawn_input(fields, FLOW, draw)
    with pytest.raises(UsageError, match="mean of flow is flow_mean"):
        Recipe("f", (8, 8), (8, 8), "flow", (128, 128, 128))


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_stacks_with_their_channels_first_are_read_where_they_lie(kind: Any) -> None:
    stack = torch.from_numpy(noise((2, 10, 13, 18), kind))  # (T, 2L, H, W), as tubelet.flow.stack makes them
    for draw in (Draw((1, 2), flip=True), Draw((0, 3), box_hw=(13, 13)), Draw((0, 0), scale=1.2)):
        expected = drawn_input(np.ascontiguousarray(stack.numpy().transpose(0, 2, 3, 1)), FLOW, draw)
        assert torch.equal(drawn_input(stack.movedim(1, -1), FLOW, draw), expected)
