from __future__ import annotations

import pytest
import torch

from suites.cases.alexnet import full, lstm
from tubelet.clips.recipes import get_recipe
from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.layers import Lstm
from tubelet.models.registry import build_meta

# The released prototxt at 227 x 227: output, parameters, multiply-adds of a frame. Products written out.
TABLE = {
    "conv1": ((96, 111, 111), 96 * 3 * 49 + 96, 96 * 3 * 49 * 111 * 111),
    "conv2": ((384, 26, 26), 384 * 48 * 25 + 384, 384 * 48 * 25 * 26 * 26),
    "conv3": ((512, 13, 13), 512 * 384 * 9 + 512, 512 * 384 * 9 * 13 * 13),
    "conv4": ((512, 13, 13), 512 * 256 * 9 + 512, 512 * 256 * 9 * 13 * 13),
    "conv5": ((384, 13, 13), 384 * 256 * 9 + 384, 384 * 256 * 9 * 13 * 13),
    "fc6": ((4096,), 4096 * 384 * 36 + 4096, 4096 * 384 * 36),
    # One bias of 4 x 256 in Caffe, two in PyTorch.
    "lstm1": ((256,), 4 * 256 * (4096 + 256) + 2 * 4 * 256, 4 * 256 * (4096 + 256)),
    "fc8_final": ((101,), 101 * 256 + 101, 101 * 256),
}

SMALL = {"width": 0.125, "side": 67, "clip_length": 4, "units": 16}


def test_layers_are_those_of_the_released_prototxt() -> None:
    info = model_info("lrcn")
    assert [layer.name for layer in info.layers] == list(TABLE)
    for layer in info.layers:
        shape, parameters, macs = TABLE[layer.name]
        assert (layer.parameters, layer.macs) == (parameters, 16 * macs), layer.name
        frames = layer.output_shape[2] if len(layer.output_shape) == 5 else layer.output_shape[1]
        assert frames == 16
        found = (layer.output_shape[1], *layer.output_shape[3:]) if len(layer.output_shape) == 5 else shape
        assert found == shape
    assert info.parameters == sum(row[1] for row in TABLE.values())


def test_full_size_activations() -> None:
    model = build_meta("lrcn", 101, {})
    found = model.features(torch.empty(2, 3, 16, 227, 227, device="meta"), model.layer_names)
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    # Rounding down, 26 would be pooled to 12, 12 to 5, and fc6 would not fit.
    assert shapes["norm1"] == (2, 96, 16, 55, 55)
    assert shapes["norm2"] == (2, 384, 16, 13, 13)
    assert shapes["pool5"] == (2, 384, 16, 6, 6)
    assert shapes["fc6"] == (2, 4096, 16, 1, 1)
    assert shapes["lstm1"] == (2, 256, 16, 1, 1)
    assert shapes["fc8_final"] == (2, 101)


def test_the_recipe_crops_frames_of_240_rows() -> None:
    model = build_meta("lrcn", 101, {})
    recipe = get_recipe(model.input.recipe)
    assert (recipe.resize_hw, recipe.crop_hw, recipe.color) == ((240, 320), (227, 227), "bgr")
    assert recipe.mean == (103.939, 116.779, 128.68)
    assert (model.input.clip_length, model.input.step_frames) == (16, 1)


def test_every_frame_predicts_from_the_frames_up_to_it_and_the_clip_is_their_mean() -> None:
    model = create_model("lrcn", 7, seed=1, **SMALL).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in (*model.lstm1.parameters(), *model.fc8_final.parameters()):
            parameter.normal_(0, 0.5, generator=generator)
    x = 100 * torch.randn(2, 3, 4, 67, 67, generator=generator)
    with torch.no_grad():
        fc6 = model.features(x, ("fc6",))["fc6"].flatten(2).transpose(1, 2)
        weights = model.state_dict()
        expected = full(weights, "fc8_final", lstm(weights, "lstm1", fc6, 1))
        found = model.frame_logits(x)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.features(x, ("prob",))["prob"], expected.softmax(2).mean(1))
        later = x.clone()
        later[:, :, 3] = 0
        changed = model.frame_logits(later)
    torch.testing.assert_close(changed[:, :3], found[:, :3])
    assert not torch.isclose(changed[:, 3], found[:, 3]).all()


def test_the_frame_loss_reaches_every_parameter() -> None:
    model = create_model("lrcn", 7, **SMALL)
    x = 100 * torch.randn(2, 3, 4, 67, 67, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([1, 4])
    model.eval()
    expected = torch.nn.functional.cross_entropy(model.frame_logits(x).flatten(0, 1), torch.tensor([1] * 4 + [4] * 4))
    loss = model.frame_loss(x, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_starting_weights_are_those_of_the_prototxt() -> None:
    model = create_model("lrcn", 101, width=0.25, side=99)
    for name in ("conv2", "conv3", "fc6", "fc8_final"):
        assert model.get_submodule(name).weight.std().item() == pytest.approx(0.01, rel=0.03), name
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6"):
        assert (model.get_submodule(name).bias == 0.1).all(), name
    assert (model.fc8_final.bias == 0).all()
    assert isinstance(model.lstm1, Lstm)
    for key, parameter in model.lstm1.named_parameters():
        if key.startswith("bias"):
            assert (parameter == 0).all(), key
        else:
            assert 0.0099 < parameter.abs().max() <= 0.01, key
            assert parameter.std().item() == pytest.approx(0.01 / 3**0.5, rel=0.03), key


def test_dropout_is_the_releases() -> None:
    model = build_meta("lrcn", 101, {})
    assert (model.dropout.p, model.lstm_dropout.p) == (0.9, 0.5)


def test_caffenet_can_be_the_base() -> None:
    info = model_info("lrcn", base="caffenet")
    alexnet = {layer.name: layer.parameters for layer in model_info("alexnet").layers}
    found = {layer.name: layer.parameters for layer in info.layers}
    assert {name: found[name] for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6")} == {
        name: count for name, count in alexnet.items() if name not in ("fc7", "fc8")
    }


def test_wrong_options_are_said() -> None:
    with pytest.raises(UsageError, match=r"base='cafenet' is unknown.*did you mean 'caffenet'"):
        create_model("lrcn", 5, base="cafenet")
    with pytest.raises(UsageError, match="votes='sum' is unknown"):
        create_model("lrcn", 5, votes="sum")
    with pytest.raises(UsageError, match="units=0"):
        create_model("lrcn", 5, units=0)
    model = create_model("lrcn", 5, **SMALL)
    with pytest.raises(UsageError, match="takes clips of shape"):
        model.frame_logits(torch.zeros(1, 3, 5, 67, 67))
