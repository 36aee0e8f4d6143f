from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suites.lively import lively
from tubelet.models import create_model, model_info
from tubelet.models.contract import VideoModel


def test_counts_of_the_released_and_the_papers_network() -> None:
    # spec c3d_res3d.md, section 9.1
    assert model_info("res3d_18").parameters == 33_218_085
    assert model_info("res3d_18", 487).parameters == 33_416_103
    assert model_info("res3d_18", projection=True).parameters == 33_222_309
    assert model_info("res3d_18", 487, projection=True).parameters == 33_420_327
    assert model_info("res3d_34").parameters == 63_527_717
    assert model_info("res3d_18").macs / 1e9 == pytest.approx(20.348, abs=5e-4)
    assert model_info("res3d_18", projection=True).macs / 1e9 == pytest.approx(20.451, abs=5e-4)
    assert model_info("res3d_34").macs / 1e9 == pytest.approx(37.689, abs=5e-4)


def test_sr18_counts_and_resolutions() -> None:
    assert model_info("sr18").parameters == 33_218_085
    for side, gmacs in ((56, 2.789), (112, 10.784), (224, 43.137)):
        info = model_info("sr18", side=side)
        assert info.macs / 1e9 == pytest.approx(gmacs, abs=6e-4)
        assert info.parameters == 33_218_085


@pytest.mark.parametrize(("name", "length"), [("res3d_18", 8), ("sr18", 4)])
def test_shapes_are_those_of_table_2(name: str, length: int) -> None:
    model = create_model(name, 5, width=1 / 16).eval()
    with torch.no_grad():
        found = model.features(torch.randn(1, 3, length, 112, 112), model.layer_names)
    times = (8, 8, 4, 2, 1) if name == "res3d_18" else (4, 4, 2, 1, 1)
    for stage, (layer, side) in enumerate({"conv1": 56, "res2b": 56, "res3b": 28, "res4b": 14, "res5b": 7}.items()):
        assert found[layer].shape[2:] == (times[stage], side, side), layer
    assert found["pool5"].shape == (1, 32)
    blocks = ("res2a", "res2b", "res3a", "res3b", "res4a", "res4b", "res5a", "res5b")
    assert model.layer_names == ("conv1", *blocks, "pool5", "fc", "prob")


def test_sr18_strides_space_only_in_conv5() -> None:
    strides = {layer.name: layer.settings.get("stride") for layer in model_info("sr18").layers}
    assert strides["res5a.branch2a"] == strides["res5a.branch1"] == [1, 2, 2]
    assert strides["res4a.branch2a"] == strides["res4a.branch1"] == [2, 2, 2]
    assert {layer.name: layer for layer in model_info("res3d_18").layers}["res5a.branch2a"].settings["stride"] == [
        2,
        2,
        2,
    ]


def normalized(x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    mean, var, gamma, beta = (
        w[f"{name}.{key}"].view(1, -1, 1, 1, 1) for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * gamma + beta


def second_forward(w: dict[str, Tensor], x: Tensor, name: str) -> Tensor:
    counts = {"res3d_18": (2, 2, 2, 2), "res3d_34": (3, 4, 6, 3), "sr18": (2, 2, 2, 2)}[name]
    x = F.conv3d(x, w["conv1.weight"], stride=(1, 2, 2), padding=(1, 3, 3))
    x = normalized(x, w, "conv1_bn").clamp(min=0)
    for stage, count in enumerate(counts, start=2):
        for letter in "abcdef"[:count]:
            block = f"res{stage}{letter}"
            stride = (2, 2, 2) if letter == "a" and stage > 2 else (1, 1, 1)
            if name == "sr18" and block == "res5a":
                stride = (1, 2, 2)
            y = F.conv3d(x, w[f"{block}.branch2a.weight"], stride=stride, padding=1)
            y = normalized(y, w, f"{block}.branch2a_bn").clamp(min=0)
            y = normalized(F.conv3d(y, w[f"{block}.branch2b.weight"], padding=1), w, f"{block}.branch2b_bn")
            if f"{block}.branch1.weight" in w:
                x = F.conv3d(x, w[f"{block}.branch1.weight"], stride=stride)
                x = normalized(x, w, f"{block}.branch1_bn")
            x = (x + y).clamp(min=0)
    x = x.flatten(2).mean(2)
    return x @ w["fc.weight"].T + w["fc.bias"]


def with_statistics(model: VideoModel) -> VideoModel:
    return lively(model, shift=0.2, norms_only=True)


@pytest.mark.parametrize(
    ("name", "projection"), [("res3d_18", False), ("res3d_18", True), ("res3d_34", False), ("sr18", False)]
)
def test_forward_equals_a_second_one(name: str, projection: bool) -> None:
    model = with_statistics(create_model(name, 5, width=1 / 16, side=56, projection=projection))
    x = torch.randn(2, *model.input.shape, generator=torch.Generator().manual_seed(1))
    weights = {key: value.double() for key, value in model.state_dict().items()}
    expected = second_forward(weights, x.double(), name)
    with torch.no_grad():
        found = model(x).double()
    assert (found - expected).norm() / expected.norm() < 1e-4
    assert ("res2a.branch1.weight" in weights) == projection


def test_initialization_is_msra_fan_out() -> None:
    model = create_model("res3d_18", 7, width=0.5)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            fan_out = module.weight[:, 0].numel()
            std, n = (2 / fan_out) ** 0.5, module.weight.numel()
            assert float(module.weight.detach().std()) == pytest.approx(std, rel=4 / (2 * n) ** 0.5), name
            assert module.bias is None
    assert float(model.fc.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert (model.fc.bias == 0).all()


def test_clips_of_any_length_and_side_pass() -> None:
    model = create_model("res3d_18", 5, width=1 / 16).eval()
    with torch.no_grad():
        for shape in ((16, 112, 112), (8, 64, 86), (1, 33, 33)):
            assert model(torch.randn(1, 3, *shape)).shape == (1, 5)
