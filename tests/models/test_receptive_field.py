"""Receptive fields: the specification's figures, and what a change of one pixel really reaches."""

from __future__ import annotations

import pytest
import torch

from tubelet.models import create_model, model_info
from tubelet.models.receptive_field import ReceptiveField, receptive_fields
from tubelet.models.registry import build_meta


def test_c3d_has_the_fields_of_the_specification() -> None:
    """Spec c3d_res3d.md, section 1.1: frames × pixels of conv3b, conv4b, conv5b and pool5."""
    found = receptive_fields(build_meta("c3d", 101, {}))
    wanted = {"conv3b": (14, 26, 26), "conv4b": (32, 62, 62), "conv5b": (68, 134, 134), "pool5": (76, 150, 150)}
    assert {name: found[name].size for name in wanted} == wanted
    assert found["pool5"].jump == (16, 32, 32)
    assert next(iter(found)) == "conv1a"
    assert not {"fc6", "fc7", "fc8", "prob"} & set(found)
    assert model_info("c3d").receptive_field == (76, 150, 150)


@pytest.mark.parametrize(
    ("name", "layer", "options"),
    [
        ("c3d_small", "pool2", {"side": 40, "clip_length": 16}),
        ("c3d_small", "conv3a", {"side": 56, "clip_length": 32, "depth": [1, 3, 5, 1, 1]}),
        ("sr18", "res2a", {"side": 48, "clip_length": 12, "projection": True}),
        ("sr18", "res3a", {"side": 96, "clip_length": 24}),
    ],
)
def test_a_value_depends_on_its_field_and_on_nothing_else(name: str, layer: str, options: dict[str, object]) -> None:
    model = create_model(name, 2, width=0.0625, **options).eval()
    field = receptive_fields(model)[layer]
    reached = torch.zeros(model.input.shape[1:], dtype=torch.bool)
    for seed in range(12):
        # A maximum and a rectified value pass one place at a time: many clips together reach the whole field.
        x = torch.randn(1, *model.input.shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()
        value = model.features(x, (layer,))[layer]
        middle = [size // 2 for size in value.shape[2:]]
        value[0, :, middle[0], middle[1], middle[2]].sum().backward()
        assert x.grad is not None
        reached |= (x.grad[0] != 0).any(0)
    places = reached.nonzero()
    extent = (places.amax(0) - places.amin(0) + 1).tolist()
    assert tuple(extent) == field.size


def test_a_field_grows_by_the_jump() -> None:
    field = ReceptiveField().after((3, 7, 7), (1, 2, 2)).after((1, 3, 3), (2, 1, 1))
    assert (field.size, field.jump) == ((3, 11, 11), (2, 2, 2))
    assert str(field) == "3 × 11 × 11"


def test_the_network_is_left_as_it_was() -> None:
    model = create_model("c3d_small", 2, width=0.0625, side=16, clip_length=4)
    before = {key: (id(value), value.device) for key, value in model.named_parameters()}
    receptive_fields(model)
    assert {key: (id(value), value.device) for key, value in model.named_parameters()} == before
    assert model.training
    assert model.weights_id == "untrained:0"


def test_activations_are_those_of_the_papers_table() -> None:
    """Figure 3 of the C3D paper: convolutions and poolings of one clip, then 4096, 4096 and the classes."""
    maps = [(64, 16, 112), (64, 16, 56), (128, 16, 56), (128, 8, 28), (256, 8, 28), (256, 8, 28), (256, 4, 14)]
    maps += [(512, 4, 14), (512, 4, 14), (512, 2, 7), (512, 2, 7), (512, 2, 7), (512, 1, 4)]
    values = sum(channels * frames * side * side for channels, frames, side in maps) + 4096 + 4096 + 101
    assert model_info("c3d").activation_bytes == 4 * values
