from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

from suites.cases import CASES
from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.contract import VideoModel
from tubelet.models.p3d import PseudoBottleneck
from tubelet.models.registry import build_meta
from tubelet.models.resnet import block_names

NETS = ("p3d_63", "p3d_131", "p3d_199")
SMALL: dict[str, Any] = {"width": 0.125, "side": 40, "depths": (1, 1, 1, 1)}


def with_statistics(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm3d):
                norm.running_mean.normal_(0, 0.2, generator=generator)
                norm.running_var.uniform_(0.5, 2, generator=generator)
                norm.weight.uniform_(0.5, 1.5, generator=generator)
                norm.bias.normal_(0, 0.2, generator=generator)
    return module.eval()


def kinds(model: VideoModel) -> list[tuple[str, str]]:
    return [(name, block.kind) for name, block in model.named_children() if isinstance(block, PseudoBottleneck)]


# ---------------------------------------------------------------------- tables of the specification


def test_shapes_at_full_size_are_those_of_table_3_2() -> None:
    model = build_meta("p3d_199", 400, {})
    found = model.features(torch.empty(2, 3, 16, 160, 160, device="meta"), model.layer_names)
    table = {
        "conv1": (64, 16, 80, 80),
        "pool1": (64, 8, 40, 40),
        "res2a": (256, 8, 40, 40),
        "res2c": (256, 8, 40, 40),
        "3a_pool": (256, 4, 40, 40),
        "res3a": (512, 4, 20, 20),
        "res3b7": (512, 4, 20, 20),
        "4a_pool": (512, 2, 20, 20),
        "res4a": (1024, 2, 10, 10),
        "res4b35": (1024, 2, 10, 10),
        "res5a_pool": (1024, 1, 10, 10),
        "res5a": (2048, 1, 5, 5),
        "res5c": (2048, 1, 5, 5),
        "pool5": (2048,),
        "fc": (400,),
    }
    for layer, shape in table.items():
        assert found[layer].shape == (2, *shape), layer
    order = [layer for layer in model.layer_names if layer in table]
    assert order == list(table)


def test_p3d_199_is_made_of_the_parts_that_were_counted() -> None:
    layers = model_info("p3d_199", 400).layers
    convs = [layer for layer in layers if layer.kind == "conv3d"]
    temporal = [layer for layer in convs if layer.settings["kernel_size"] == [3, 1, 1]]
    assert (len(convs), sum(layer.parameters for layer in convs)) == (202, 65_500_352)
    assert (len(temporal), sum(layer.parameters for layer in temporal)) == (47, 7_507_968)
    model = build_meta("p3d_199", 400, {})
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    assert (len(norms), sum(2 * norm.num_features for norm in norms)) == (202, 172_288)
    assert {norm.eps for norm in norms} == {1e-5}


@pytest.mark.parametrize(
    ("name", "classes", "megabytes"),
    [("p3d_63", 101, 100.76), ("p3d_131", 400, 192.83), ("p3d_199", 487, 267.37)],
)
def test_sizes_of_all_blobs_in_megabytes(name: str, classes: int, megabytes: float) -> None:
    state = build_meta(name, classes, {}).state_dict()
    numbers = sum(value.numel() for key, value in state.items() if not key.endswith("num_batches_tracked"))
    assert numbers * 4 / 1e6 == pytest.approx(megabytes, abs=0.005)


def test_types_take_turns_through_all_stages() -> None:
    found = kinds(build_meta("p3d_199", 400, {}))
    assert [kind for _, kind in found] == [*("ABC" * 15 + "AB"), "2D", "2D", "2D"]
    assert Counter(kind for _, kind in found) == {"A": 16, "B": 16, "C": 15, "2D": 3}
    # The counter does not start again with a stage.
    types = dict(found)
    assert (types["res2a"], types["res3a"], types["res4a"], types["res4b35"]) == ("A", "A", "C", "B")
    for name, count in (("p3d_63", 13), ("p3d_131", 30)):
        turn = ("ABC" * 10)[:count]
        assert [kind for _, kind in kinds(build_meta(name, 5, {}))] == [*turn, "2D", "2D", "2D"]
    for letter in "ABC":
        assert {kind for _, kind in kinds(build_meta("p3d_63", 5, {"types": letter}))} == {letter, "2D"}


def test_blocks_have_the_names_of_the_caffe_networks() -> None:
    stages = {name: [block for block, _ in kinds(build_meta(name, 5, {}))] for name in NETS}
    two, five = ["res2a", "res2b", "res2c"], ["res5a", "res5b", "res5c"]
    assert stages["p3d_63"] == [*two, *(f"res3{x}" for x in "abcd"), *(f"res4{x}" for x in "abcdef"), *five]
    for name, third, fourth in (("p3d_131", 3, 22), ("p3d_199", 7, 35)):
        middle = ["res3a", *(f"res3b{i}" for i in range(1, third + 1))]
        middle += ["res4a", *(f"res4b{i}" for i in range(1, fourth + 1))]
        assert stages[name] == [*two, *middle, *five]
    assert block_names((28, 1, 1, 1), numbered=False)[:3] == ["res2a", "res2b1", "res2b2"]
    keys = build_meta("p3d_199", 5, {}).state_dict()
    for key in ("conv1.weight", "conv1_bn.bias", "res2a.branch1_bn.weight", "res4b35.branch2b_t.weight", "fc.bias"):
        assert key in keys
    assert "res5a.branch2b_t.weight" not in keys
    assert "res2b.branch1.weight" not in keys


def test_the_first_1x1x1_convolution_strides_and_no_other_but_the_shortcut() -> None:
    for layer in model_info("p3d_63").layers[:-1]:
        first = layer.name in {f"res{stage}a.branch{x}" for stage in (3, 4, 5) for x in ("1", "2a")}
        wanted = [1, 2, 2] if first or layer.name == "conv1" else [1, 1, 1]
        assert layer.settings["stride"] == wanted, layer.name


# ---------------------------------------------------------------------- variants


@pytest.mark.parametrize(
    "options",
    [
        {"types": "A"},
        {"types": "B"},
        {"types": "C"},
        {"types": "CAB", "depths": (2, 2, 2, 1)},
        {"modality": "flow"},
        {"clip_length": 32},
        {"side": 33},
    ],
    ids=str,
)
def test_variants_have_the_values_of_a_second_implementation(options: dict[str, Any]) -> None:
    model = create_model("p3d_63", 5, seed=1, **{**SMALL, **options})
    with_statistics(model)
    with torch.no_grad():
        model.fc.weight.mul_(100)  # logits of 0.001 × pool5 would hide behind the bias
        x = torch.randn(2, *model.input.shape, generator=torch.Generator().manual_seed(1))
        found = model(x).double()
        weights = {key: value.double() for key, value in model.state_dict().items()}
        expected = CASES["p3d_63"].forward(weights, x.double(), model.options)
    assert (found - expected).norm() / expected.norm() < 1e-4
    assert (expected[0] - expected[1]).norm() > 1e-3 * expected[0].norm()


def test_types_make_a_difference() -> None:
    x = torch.randn(1, 3, 16, 40, 40, generator=torch.Generator().manual_seed(1))
    models = [with_statistics(create_model("p3d_63", 5, **SMALL, types=types)) for types in ("A", "B", "C", "ABC")]
    with torch.no_grad():
        found = [model(x) for model in models]
    assert len({tuple(logits[0].tolist()) for logits in found}) == 4
    states = [model.state_dict() for model in models]
    assert all(state.keys() == states[0].keys() for state in states)


def test_flow_has_two_channels_and_its_own_recipe() -> None:
    info = model_info("p3d_199", 400, modality="flow")
    assert (info.input.modality, info.input.channels, info.input.recipe) == ("flow", 2, "flow_160")
    assert info.input.shape == (2, 16, 160, 160)
    rgb = model_info("p3d_199", 400)
    assert (rgb.input.modality, rgb.input.channels, rgb.input.recipe) == ("rgb", 3, "p3d_rgb")
    assert rgb.parameters - info.parameters == 64 * 7 * 7
    model = create_model("p3d_63", 5, modality="flow", **SMALL)
    with pytest.raises(UsageError, match="takes clips of shape"):
        model(torch.zeros(1, 3, 16, 40, 40))


def test_longer_clips_leave_a_frame_of_each_sixteen() -> None:
    model = create_model("p3d_63", 5, clip_length=48, **SMALL).eval()
    with torch.no_grad():
        found = model.features(torch.randn(1, 3, 48, 40, 40), ("res5a_pool", "res5a", "pool5"))
    assert [found[layer].shape[2] for layer in ("res5a_pool", "res5a")] == [3, 3]
    torch.testing.assert_close(found["pool5"], found["res5a"].mean((2, 3, 4)))


def test_dropout_is_that_of_each_study_and_comes_after_pool5() -> None:
    assert [model_info(name).options["dropout"] for name in NETS] == [0.9, 0.1, 0.1]
    model = create_model("p3d_63", 5, **SMALL)
    assert model.dropout.p == 0.9
    x = torch.randn(2, *model.input.shape, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    model.train()
    found = model.features(x, ("pool5", "fc"))
    assert (found["pool5"] > 0).float().mean() > 0.5
    assert not torch.allclose(found["fc"], model.fc(found["pool5"]))
    assert create_model("p3d_199", 5, **SMALL, dropout=0.5).dropout.p == 0.5


def test_partial_bn_trains_the_first_norm_alone() -> None:
    model = create_model("p3d_63", 5, **SMALL, partial_bn=True).train()
    norms = {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm3d)}
    assert len(norms) > 10
    for name, norm in norms.items():
        first = name == "conv1_bn"
        assert norm.training == norm.weight.requires_grad == norm.bias.requires_grad == first, name
    before = {name: norm.running_mean.clone() for name, norm in norms.items()}
    model(torch.randn(2, *model.input.shape) + 1).sum().backward()
    changed = {name for name, norm in norms.items() if not torch.equal(norm.running_mean, before[name])}
    assert changed == {"conv1_bn"}
    assert all(
        norm.training for norm in create_model("p3d_63", 5, **SMALL).modules() if isinstance(norm, nn.BatchNorm3d)
    )


def test_convolutions_start_with_the_xavier_filler() -> None:
    model = create_model("p3d_63", 400, width=0.5, side=32)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            fan_in, n = module.weight[0].numel(), module.weight.numel()
            values = module.weight.detach()
            # Uniform with variance 1/fan-in; the standard deviation of n uniform values errs by 0.45/√n of itself.
            assert float(values.std()) == pytest.approx(fan_in**-0.5, rel=4 * 0.45 / n**0.5), name
            assert values.abs().max() <= (3 / fan_in) ** 0.5
            assert module.bias is None
    assert float(model.fc.weight.detach().std()) == pytest.approx(0.001, rel=0.02)
    assert (model.fc.bias == 0).all()


def test_the_signal_survives_norms_that_know_nothing_yet() -> None:
    model = create_model("p3d_63", 5, width=0.25, side=32, partial_bn=True)
    x = 60 * torch.randn(2, *model.input.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert 0.1 < model.features(x, ("pool5",))["pool5"].std() < 10
        # The filler of the later RGB prototxts, for weights that are overwritten.
        for module in model.modules():
            if isinstance(module, nn.Conv3d):
                module.weight.normal_(0, 0.001)
        assert model.features(x, ("pool5",))["pool5"].std() < 1e-6


# ---------------------------------------------------------------------- what it says


def test_networks_without_a_released_original_say_so() -> None:
    sources = {name: build_meta(name, 5, {}).source for name in NETS}
    assert [sources[name].reconstruction for name in NETS] == [True, True, False]
    assert sources["p3d_63"].choices
    assert sources["p3d_131"].choices
    assert sources["p3d_63"].printed["model size"] == "98 MB"
    assert sources["p3d_199"].printed["model size"] == "261 MB"
    # 98 MB are 6 more than table 1's 92 for ResNet-50: thirteen T are 5.7 MB, with those of a 3-D res5 15.1 MB.
    layers = model_info("p3d_63").layers
    weight = sum(layer.parameters for layer in layers if layer.name.endswith("branch2b_t")) * 4 / 1e6
    assert weight == pytest.approx(5.65, abs=0.01)
    assert weight + 3 * 3 * 512**2 * 4 / 1e6 == pytest.approx(15.09, abs=0.01)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"types": ""}, "no types of blocks"),
        ({"types": "ABD"}, "no types of blocks"),
        ({"types": "abc"}, "no types of blocks"),
        ({"types": ["A", "B"]}, "no types of blocks"),
        ({"modality": "rbg"}, "did you mean 'rgb'"),
        ({"modality": None}, "it can be: rgb, flow"),
        ({"depths": (3, 4, 6)}, "not four numbers"),
        ({"depths": "3463"}, "not four numbers"),
        ({"depths": 3}, "not four numbers"),
        ({"depths": (3, 4, 0, 3)}, "depths=0"),
        ({"clip_length": 8}, "multiple of 16"),
        ({"clip_length": 24}, "multiple of 16"),
        ({"side": 2}, "nothing to pool"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"partial_bn": 1}, "neither True nor False"),
        ({"width": 0}, "width=0"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        model_info("p3d_63", 5, **options)


def test_the_smallest_side_passes() -> None:
    model = create_model("p3d_63", 5, width=0.125, depths=(1, 1, 1, 1), side=3).eval()
    assert model(torch.zeros(1, 3, 16, 3, 3)).shape == (1, 5)
