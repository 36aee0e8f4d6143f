from __future__ import annotations

import pytest
import torch
from torch import nn

from suites.cases.alexnet_owt import forward, to_six
from suites.lively import lively
from tubelet.clips.recipes import get_recipe
from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.registry import build_meta

# torchvision's layers at 224 x 224: output, parameters, multiply-adds. Products written out.
TABLE = {
    "conv1": ((64, 55, 55), 64 * 3 * 121 + 64, 64 * 3 * 121 * 55 * 55),
    "conv2": ((192, 27, 27), 192 * 64 * 25 + 192, 192 * 64 * 25 * 27 * 27),
    "conv3": ((384, 13, 13), 384 * 192 * 9 + 384, 384 * 192 * 9 * 13 * 13),
    "conv4": ((256, 13, 13), 256 * 384 * 9 + 256, 256 * 384 * 9 * 13 * 13),
    "conv5": ((256, 13, 13), 256 * 256 * 9 + 256, 256 * 256 * 9 * 13 * 13),
    "fc6": ((4096,), 4096 * 9216 + 4096, 4096 * 9216),
    "fc7": ((4096,), 4096 * 4096 + 4096, 4096 * 4096),
    "fc8": ((1000,), 1000 * 4096 + 1000, 1000 * 4096),
}


def test_layers_are_torchvisions() -> None:
    info = model_info("alexnet_owt", 1000)
    assert [layer.name for layer in info.layers] == list(TABLE)
    for layer in info.layers:
        shape, parameters, macs = TABLE[layer.name]
        assert (layer.parameters, layer.macs) == (parameters, macs), layer.name
        assert [n for n in layer.output_shape[1:] if n != 1] == list(shape)
    assert info.parameters == sum(row[1] for row in TABLE.values()) == 61_100_840
    assert info.macs == sum(row[2] for row in TABLE.values())
    assert round(info.macs / 1e9, 3) == 0.714
    assert info.receptive_field == (1, 195, 195)


def test_it_takes_torchvisions_pixels() -> None:
    info = model_info("alexnet_owt")
    assert (info.input.modality, info.input.shape, info.input.recipe) == ("rgb", (3, 1, 224, 224), "resnet_rgb")
    recipe = get_recipe(info.input.recipe)
    assert (recipe.color, recipe.resize_short, recipe.crop_hw) == ("rgb", 256, (224, 224))
    # Of values in [0, 1], as torchvision writes them.
    assert [mean / 255 for mean in recipe.mean] == pytest.approx([0.485, 0.456, 0.406])
    assert isinstance(recipe.scale, tuple)
    assert [255 * scale for scale in recipe.scale] == pytest.approx([1 / 0.229, 1 / 0.224, 1 / 0.225])


def test_full_size_activations_keep_the_frames() -> None:
    model = build_meta("alexnet_owt", 1000, {"clip_length": 2})
    found = model.features(torch.empty(3, 3, 2, 224, 224, device="meta"), model.layer_names)
    shapes = {name: tuple(value.shape[1:]) for name, value in found.items()}
    assert shapes == {
        "conv1": (64, 2, 55, 55),
        "pool1": (64, 2, 27, 27),
        "conv2": (192, 2, 27, 27),
        "pool2": (192, 2, 13, 13),
        "conv3": (384, 2, 13, 13),
        "conv4": (256, 2, 13, 13),
        "conv5": (256, 2, 13, 13),
        "pool5": (256, 2, 6, 6),
        "avgpool": (256, 2, 6, 6),
        "fc6": (4096, 2, 1, 1),
        "fc7": (4096, 2, 1, 1),
        "fc8": (1000,),
        "prob": (1000,),
    }


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 63, 63), (2, 224, 224), (3, 287, 151)])
def test_frames_of_any_size_equal_a_second_implementation(frames: int, height: int, width: int) -> None:
    """63 is the least that torchvision takes; 224 leaves 6 rows, 287 leaves 8 and 151 four."""
    model = lively(create_model("alexnet_owt", 5, width=0.0625))
    x = torch.randn(2, 3, frames, height, width, generator=torch.Generator().manual_seed(0))
    weights = {key: value.double() for key, value in model.state_dict().items()}
    expected = forward(weights, x.double(), model.options)
    with torch.no_grad():
        assert (model(x) - expected).norm() < 1e-5 * expected.norm()
        maps = model.features(x, ("pool5", "avgpool"))
        for t in range(frames):
            torch.testing.assert_close(maps["avgpool"][:, :, t], to_six(maps["pool5"][:, :, t]))
    assert (expected[0] - expected[1]).norm() > 1e-3 * expected.norm()


def test_dropout_comes_before_fc6_and_fc7() -> None:
    model = create_model("alexnet_owt", 5, width=0.125, side=63, dropout=0.75)
    model.train()
    seen: dict[str, torch.Tensor] = {}
    for layer in ("fc6", "fc7", "fc8"):
        model.get_submodule(layer).register_forward_pre_hook(
            lambda _, given, layer=layer: seen.update({layer: given[0].detach()})
        )
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for layer in ("conv5", "fc6", "fc7"):  # all ones behind ReLU, so zeros are dropout's
            nn.init.zeros_(model.get_submodule(layer).weight)
            nn.init.ones_(model.get_submodule(layer).bias)
        model(torch.rand(8, 3, 1, 63, 63))
    for layer in ("fc6", "fc7"):
        assert float((seen[layer] == 0).float().mean()) == pytest.approx(0.75, abs=0.02), layer
    assert not (seen["fc8"] == 0).any()


def test_starting_weights_are_pytorchs() -> None:
    model = create_model("alexnet_owt", 1000, width=0.25)
    for name in TABLE:
        layer = model.get_submodule(name)
        limit = layer.weight[0].numel() ** -0.5
        for tensor in (layer.weight, layer.bias):
            assert float(tensor.detach().abs().max()) <= limit, name
        assert float(layer.weight.detach().std()) == pytest.approx(limit / 3**0.5, rel=0.03), name


def test_it_is_neither_caffes_network_nor_normalized() -> None:
    owt, caffe = build_meta("alexnet_owt", 1000, {}), build_meta("alexnet", 1000, {})
    assert all(module.groups == 1 for module in owt.modules() if isinstance(module, nn.Conv3d))
    assert not any("norm" in name for name in owt.layer_names)
    assert owt.get_submodule("conv3").weight.shape != caffe.get_submodule("conv3").weight.shape
    assert "No response normalization" in owt.source.choices[0]
    assert owt.paper.url == "https://arxiv.org/abs/1404.5997"


def test_wrong_options_are_said() -> None:
    with pytest.raises(UsageError, match=r"nothing left of side=20 at pool\d; make it larger"):
        create_model("alexnet_owt", 5, side=20)
    with pytest.raises(UsageError, match="has no option 'norm_first'"):
        create_model("alexnet_owt", 5, norm_first=True)
    with pytest.raises(UsageError, match="dropout=1"):
        create_model("alexnet_owt", 5, dropout=1)
