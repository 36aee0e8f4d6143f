"""Mirroring of motion: the definition written out, and finished inputs against mirrored sources."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tubelet.clips.mirror import LEVELS_TOTAL, mirror_motion
from tubelet.clips.recipe import Recipe
from tubelet.clips.transforms import mirror_inputs, to_input
from tubelet.errors import UsageError


def test_levels_and_vectors_as_arrays_and_tensors() -> None:
    levels = np.array([[[0, 1], [127, 2], [200, 3]]], np.uint8)  # a row of three pixels, x and y
    expected = np.array([[[55, 3], [128, 2], [255, 1]]], np.uint8)
    mirrored = mirror_motion(torch.from_numpy(levels), across=1, components=2, total=LEVELS_TOTAL)
    assert mirrored.dtype == torch.uint8
    assert (mirrored.numpy() == expected).all()
    vectors = levels.astype(np.float32)
    turned = mirror_motion(vectors, across=1, components=2, total=0)
    assert turned.tolist() == [[[-200, 3], [-127, 2], [0, 1]]]
    assert vectors[0, 0, 0] == 0  # the original is as it was


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("mean", ["level", "field", None])
def test_finished_inputs_mirror_as_their_sources_do(mean: str | None, scale: float) -> None:
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 256, (2, 6, 9, 4), np.uint8)
    fields = stack if mean == "level" else stack.astype(np.float32) - 100
    recipe = Recipe("f", (6, 9), (6, 9), "flow", scale=scale, flow_mean=mean)  # type: ignore[arg-type]
    batch = torch.stack([to_input(fields, recipe), to_input(fields[::-1].copy(), recipe)])
    expected = torch.stack([to_input(fields, recipe, flip=True), to_input(fields[::-1].copy(), recipe, flip=True)])
    assert (mirror_inputs(batch, recipe) == expected).all()
    assert not torch.equal(expected, batch.flip(-1))


def test_colors_are_only_mirrored() -> None:
    recipe = Recipe("r", (4, 5), (4, 5), "bgr", mean=(1, 2, 3))
    clip = torch.rand(3, 2, 4, 5)
    assert (mirror_inputs(clip, recipe) == clip.flip(-1)).all()


def test_128_is_subtracted_after_the_mirror() -> None:
    fields = np.full((1, 2, 2, 2), 128, np.uint8)  # no motion
    recipe = Recipe("f", (2, 2), (2, 2), "flow", flow_mean="level")
    assert to_input(fields, recipe).unique().tolist() == [0]
    assert to_input(fields, recipe, flip=True)[0].unique().tolist() == [-1]  # 255 - 128 - 128
    assert to_input(fields, recipe, flip=True)[1].unique().tolist() == [0]


def test_a_recipe_of_levels_takes_no_pixels_and_the_other_way_round() -> None:
    recipe = Recipe("f", (2, 2), (2, 2), "flow", flow_mean="level")
    with pytest.raises(UsageError, match="128 from uint8 levels"):
        to_input(np.zeros((1, 2, 2, 2), np.float32), recipe)
    recipe = Recipe("f", (2, 2), (2, 2), "flow", flow_mean="field")
    with pytest.raises(UsageError, match="fields in pixels"):
        to_input(np.zeros((1, 2, 2, 2), np.uint8), recipe)


def test_only_flow_has_a_mean_of_flow_and_it_is_hashed() -> None:
    plain, level, field = (
        Recipe("f", (2, 2), (2, 2), "flow", flow_mean=mean)  # type: ignore[arg-type]
        for mean in (None, "level", "field")
    )
    assert len({plain.hash, level.hash, field.hash}) == 3
    assert Recipe.from_dict(field.to_dict()) == field
    older = {key: value for key, value in plain.to_dict().items() if key != "flow_mean"}
    assert Recipe.from_dict(older).hash == plain.hash
    for wrong in ({"color": "rgb", "flow_mean": "level"}, {"color": "flow", "flow_mean": "mean"}):
        with pytest.raises(UsageError, match="flow_mean"):
            Recipe("f", (2, 2), (2, 2), **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="three scales"):
        Recipe("f", (2, 2), (2, 2), "flow", scale=(1, 1, 1))
