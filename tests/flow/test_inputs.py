"""From fields and frames to stacks and differences, against loops written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tubelet.clips.modality import RGB, LevelScale, Modality
from tubelet.clips.recipe import Recipe
from tubelet.clips.transforms import to_input
from tubelet.errors import UsageError
from tubelet.flow.inputs import arrange, finish

HEIGHT, WIDTH = 5, 7
RNG = np.random.default_rng(0)


def recipe(mean: str | None) -> Recipe:
    return Recipe("f", (HEIGHT, WIDTH), (HEIGHT, WIDTH), "flow", flow_mean=mean)  # type: ignore[arg-type]


def pixels(levels: np.ndarray, bound: float) -> np.ndarray:
    return levels.astype(np.float64) / 255 * 2 * bound - bound


def test_levels_are_stacked_x_and_y_in_turns() -> None:
    levels = RNG.integers(0, 256, (6, HEIGHT, WIDTH, 2), np.uint8)
    stacks = np.asarray(arrange(levels, Modality("flow", 6), recipe("level")))
    assert stacks.shape == (2, HEIGHT, WIDTH, 6)
    assert stacks.dtype == np.uint8
    for stack in range(2):
        for field in range(3):
            for component in range(2):
                assert (stacks[stack, ..., 2 * field + component] == levels[3 * stack + field, ..., component]).all()


def test_each_field_in_pixels_loses_its_own_mean_vector() -> None:
    levels = RNG.integers(0, 256, (2, HEIGHT, WIDTH, 2), np.uint8)
    scale = LevelScale(10.0, (HEIGHT, WIDTH))
    stack = np.asarray(arrange(levels, Modality("flow", 4), recipe("field"), scale))[0]
    plain = np.asarray(arrange(levels, Modality("flow", 4), recipe(None), scale))[0]
    for field in range(2):
        for component in range(2):
            values = pixels(levels[field, ..., component], 10.0)
            np.testing.assert_allclose(plain[..., 2 * field + component], values, atol=1e-5)
            np.testing.assert_allclose(stack[..., 2 * field + component], values - values.mean(), atol=1e-5)


def test_bidirectional_stacks_begin_at_the_middle_frame() -> None:
    both = RNG.integers(0, 256, (4, HEIGHT, WIDTH, 4), np.uint8)
    stack = np.asarray(arrange(both, Modality("flow", 8, "bidirectional"), recipe("level")))[0]
    # Frame tau is the third of five: forward fields 2 and 3, then backward fields 1 and 0.
    expected = [both[2, ..., :2], both[3, ..., :2], both[1, ..., 2:], both[0, ..., 2:]]
    assert (stack == np.concatenate(expected, axis=-1)).all()


@pytest.mark.parametrize("follow_both", [False, True])
def test_trajectories_are_those_of_the_fields_as_they_were_computed(follow_both: bool) -> None:
    # Motion that grows by s pixels per pixel: d(p) = d0 + s p at the full size, of which every third pixel is left.
    size, third, bound = 60, 20, 30.0
    slope = 2 * bound / 255
    level = (100 + 3 * np.arange(third) + 1).astype(np.uint8)
    one = np.zeros((third, third, 2), np.uint8)
    one[..., 0], one[..., 1] = level[None, :], level[:, None]
    name = "bidirectional_trajectory" if follow_both else "trajectory"
    source = np.stack([np.concatenate([one, one], -1)] * 4) if follow_both else np.stack([one] * 2)
    small = Recipe("f", (third, third), (third, third), "flow")
    modality = Modality("flow", 2 * len(source), name)  # type: ignore[arg-type]
    stack = np.asarray(arrange(source, modality, small, LevelScale(bound, (size, size))))[0]
    place = 3.0 * np.arange(third) + 1
    first = pixels(level, bound)
    there = place + first
    inside = (there >= 1) & (there <= size - 2)  # within the centers of the pixels that are left
    second = first + slope * first
    assert inside.sum() > 10
    for middle in (5, 10):
        np.testing.assert_allclose(stack[middle, :, 0], first, atol=1e-4)
        np.testing.assert_allclose(stack[middle, inside, 2], second[inside], atol=1e-3)
        np.testing.assert_allclose(stack[inside, middle, 3], second[inside], atol=1e-3)
        if follow_both:
            np.testing.assert_allclose(stack[middle, inside, 6], second[inside], atol=1e-3)


def test_differences_stay_within_their_snippet_and_follow_crop_and_mirror() -> None:
    frames = RNG.integers(0, 256, (2 * 5, HEIGHT, WIDTH, 3), np.uint8)  # two snippets of 2 stacks of 2 differences
    modality = Modality("rgb_difference", 6)
    assert modality.source_length(2) == 5
    bgr = Recipe("d", (HEIGHT, WIDTH), (3, 4), "bgr")
    planes = to_input(arrange(frames, modality, bgr), bgr, offset_yx=(1, 2), flip=True)
    found = finish(planes, modality, 5)
    cropped = frames[:, 1:4, 2:6][:, :, ::-1, ::-1].astype(float)  # mirrored, and blue first
    assert found.shape == (6, 4, 3, 4)
    for snippet in range(2):
        for time in range(2):
            for k in range(2):
                at = 5 * snippet + 2 * time + k
                expected = cropped[at + 1] - cropped[at]
                for color in range(3):
                    assert (found[3 * k + color, 2 * snippet + time].numpy() == expected[..., color]).all()
    several = finish(torch.stack([planes, planes + 1]), modality, 5)
    assert (several == torch.stack([found, found])).all()


def test_frames_stay_frames() -> None:
    frames = RNG.integers(0, 256, (4, HEIGHT, WIDTH, 3), np.uint8)
    colors = Recipe("c", (HEIGHT, WIDTH), (HEIGHT, WIDTH))
    assert arrange(frames, RGB, colors) is frames
    planes = torch.rand(3, 4, 5, 5)
    assert finish(planes, RGB, 4) is planes


def test_what_does_not_fit_is_refused() -> None:
    fields = np.zeros((5, HEIGHT, WIDTH, 2), np.uint8)
    with pytest.raises(UsageError, match="made of 2 fields"):
        arrange(fields, Modality("flow", 4), recipe("level"))
    with pytest.raises(UsageError, match=r"\(n, H, W, 4\)"):
        arrange(fields[:4], Modality("flow", 8, "bidirectional"), recipe("level"))
    with pytest.raises(UsageError, match="stand for"):
        arrange(fields, Modality("flow", 10), recipe("field"))
