from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from suites.cases.tsn import forward
from suites.lively import lively
from tubelet.errors import UsageError
from tubelet.models import create_model, load_model, model_info
from tubelet.models.contract import VideoModel
from tubelet.models.registry import build_meta
from tubelet.models.resnet import ResNet

SMALL: dict[str, Any] = {"width": 0.125, "side": 64}
MODALITIES = {"rgb": 3, "rgb_difference": 15, "flow": 10, "warped_flow": 10}


def small(name: str = "tsn_bn_inception", **options: Any) -> VideoModel:
    """A narrow network in evaluation mode whose logits depend on the clip."""
    return lively(create_model(name, 5, **{**SMALL, **options}))


def snippets(model: VideoModel, count: int, n: int = 2) -> Tensor:
    channels, _, height, width = model.input.shape
    return torch.randn(n, channels, count, height, width, generator=torch.Generator().manual_seed(1))


# ---------------------------------------------------------------------- ResNet


def test_resnet_50_has_the_size_that_mmaction2_prints() -> None:
    # spec section 2.9: 24.33 M parameters on Kinetics-400
    assert round(model_info("tsn_resnet50", 400).parameters / 1e6, 2) == 24.33


def test_resnet_shapes_and_names() -> None:
    model = build_meta("tsn_resnet101", 101, {}).eval()
    with torch.no_grad():
        found = model.features(torch.empty(1, 3, 3, 224, 224, device="meta"), model.layer_names)
    last = {"conv1": (64, 112), "pool1": (64, 56), "res2c": (256, 56), "res3d": (512, 28), "res4w": (1024, 14)}
    for layer, (channels, side) in (last | {"res5c": (2048, 7)}).items():
        assert found[layer].shape == (1, channels, 3, side, side), layer
    assert len(model.layer_names) == 2 + 33 + 4
    assert "res4f" in model_info("tsn_resnet50").layer_names
    assert "res4g" not in model_info("tsn_resnet50").layer_names
    # The 36 blocks of stage 4 have no letters any more, and Caffe's names for them.
    of_152 = build_meta("tsn_resnet152", 101, {}).layer_names
    assert [name for name in of_152 if name.startswith("res4")] == ["res4a", *(f"res4b{i}" for i in range(1, 36))]
    assert [name for name in of_152 if name.startswith("res3")] == [f"res3{letter}" for letter in "abcdefgh"]


@pytest.mark.parametrize(("depth", "billions"), [(50, 3.8), (101, 7.6), (152, 11.3)])
def test_he_et_al_s_own_style_has_the_cost_that_they_print(depth: int, billions: float) -> None:
    """Table 1: multiply-adds of one image of 224 pixels, where torchvision's has 4.1, 7.8 and 11.5 billion."""
    info = model_info(f"tsn_resnet{depth}", 1000, segments=1, style="caffe")
    assert info.macs / 1e9 == pytest.approx(billions, abs=0.06)
    layers = {layer.name: layer for layer in info.layers}
    for block in ("res3a", "res4a", "res5a"):
        strides = {branch: layers[f"{block}.{branch}"].settings["stride"][1:] for branch in ("branch1", "branch2a")}
        assert strides == {"branch1": [2, 2], "branch2a": [2, 2]}
        assert layers[f"{block}.branch2b"].settings["stride"] == [1, 1, 1]
    assert layers["res2a.branch2a"].output_shape[-2:] == (56, 56)
    assert layers["res5c.branch2c"].output_shape[-2:] == (7, 7)
    assert info.parameters == model_info(f"tsn_resnet{depth}", 1000).parameters
    assert (info.input.recipe, info.source.origin) == (
        "resnet_bgr",
        "layers as in the prototxts of KaimingHe/deep-residual-networks",
    )
    assert any("was not published" in choice for choice in info.source.choices)


def test_the_stride_is_in_the_3x3_convolution() -> None:
    # He et al. have it in branch2a: the same parameters, fewer multiply-adds and other values.
    layers = {layer.name: layer for layer in model_info("tsn_resnet50").layers}
    for block in ("res3a", "res4a", "res5a"):
        assert layers[f"{block}.branch2a"].settings["stride"] == [1, 1, 1]
        assert layers[f"{block}.branch2b"].settings["stride"] == [1, 2, 2]
        assert layers[f"{block}.branch1"].settings["stride"] == [1, 2, 2]
    assert layers["res2a.branch2b"].settings["stride"] == layers["res2a.branch1"].settings["stride"] == [1, 1, 1]
    assert all(layer.settings["kernel_size"][0] == 1 for layer in layers.values() if layer.kind == "conv3d")


def test_resnet_blocks_and_sides() -> None:
    model = small("tsn_resnet50", blocks=(1, 1, 2, 1), side=45)
    assert model.trunk == ResNet(0.125, (1, 1, 2, 1))
    assert model.layer_names[2:7] == ("res2a", "res3a", "res4a", "res4b", "res5a")
    assert model.options["blocks"] == [1, 1, 2, 1]
    for wrong, said in (
        (3, "not four numbers"),
        ((1, 1), "not four"),
        ("3463", "four"),
    ):
        with pytest.raises(UsageError, match=said):
            create_model("tsn_resnet50", 5, blocks=wrong)
    with pytest.raises(UsageError, match="blocks=0 is not a whole number"):
        create_model("tsn_resnet50", 5, blocks=(1, 0, 1, 1))
    with pytest.raises(UsageError, match="style='cafe' is unknown; did you mean 'caffe'"):
        create_model("tsn_resnet50", 5, style="cafe")
    with pytest.raises(UsageError, match="style=2 is unknown; choose one of: torchvision, caffe"):
        create_model("tsn_resnet50", 5, style=2)


def test_resnet_starts_after_he() -> None:
    model = create_model("tsn_resnet50", 101, width=0.5, blocks=(1, 1, 1, 1))
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            std, n = (2 / module.weight[:, 0].numel()) ** 0.5, module.weight.numel()
            assert float(module.weight.detach().std()) == pytest.approx(std, rel=4 / (2 * n) ** 0.5), name
            assert module.bias is None
    assert float(model.fc_action.weight.detach().std()) == pytest.approx(0.001, rel=0.02)


# ---------------------------------------------------------------------- modalities


@pytest.mark.parametrize("modality", MODALITIES)
def test_modalities_have_their_channels_dropout_and_recipe(modality: str) -> None:
    info = build_meta("tsn_bn_inception", 101, {"modality": modality, "segments": 7})
    assert info.input.shape == (MODALITIES[modality], 7, 224, 224)
    assert (info.input.modality, info.input.segments, info.input.clip_length) == (modality, 7, 1)
    # D14: 0.8 for RGB and differences, 0.7 for flow in training
    assert info.options["dropout"] == (0.7 if "flow" in modality else 0.8)
    recipes = {"rgb": "tsn_rgb", "rgb_difference": "tsn_rgb_difference"}
    assert info.input.recipe == recipes.get(modality, "flow_224")
    resnet = build_meta("tsn_resnet50", 101, {"modality": modality})
    assert resnet.input.recipe == ("resnet_rgb" if modality == "rgb" else info.input.recipe)
    assert resnet.input.shape == (MODALITIES[modality], 3, 224, 224)
    assert len(resnet.source.choices) == (modality != "rgb")


def test_unknown_modalities_and_shares_are_said() -> None:
    with pytest.raises(UsageError, match="there is no modality 'flaw'; did you mean 'flow'"):
        create_model("tsn_resnet50", 5, modality="flaw")
    with pytest.raises(UsageError, match="there is no modality"):
        create_model("tsn_bn_inception", 5, modality=["rgb"])
    with pytest.raises(UsageError, match="dropout=1 is not"):
        create_model("tsn_bn_inception", 5, dropout=1)
    with pytest.raises(UsageError, match="segments=0 is not"):
        create_model("tsn_bn_inception", 5, segments=0)
    assert create_model("tsn_bn_inception", 5, **SMALL, dropout=0.1).dropout.p == 0.1
    assert create_model("tsn_bn_inception", 5, **SMALL, modality="flow").dropout.p == 0.7


def multipliers(model: VideoModel) -> dict[str, tuple[float, float]]:
    """Of every trainable parameter; each must be in one group, whose rates follow from the multipliers."""
    names = {id(parameter): name for name, parameter in model.named_parameters() if parameter.requires_grad}
    found: dict[str, tuple[float, float]] = {}
    groups = model.parameter_groups(0.005, 5e-4)
    assert len({group["name"] for group in groups}) == len(groups)
    for group in groups:
        assert group["params"]
        assert group["lr"] == pytest.approx(0.005 * group["lr_mult"])
        assert group["weight_decay"] == pytest.approx(5e-4 * group["decay_mult"])
        for parameter in group["params"]:
            assert names[id(parameter)] not in found
            found[names[id(parameter)]] = (group["lr_mult"], group["decay_mult"])
    assert set(found) == set(names.values())
    torch.optim.SGD(groups, momentum=0.9)
    return found


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", ["tsn_bn_inception", "tsn_resnet50"])
def test_the_first_layer_of_flow_learns_five_times_as_fast(name: str, modality: str) -> None:
    # spec section 2.7
    options = {} if name == "tsn_bn_inception" else {"blocks": (1, 1, 1, 1)}
    first = "conv1_7x7_s2" if name == "tsn_bn_inception" else "conv1"
    for parameter, found in multipliers(create_model(name, 5, **SMALL, **options, modality=modality)).items():
        layer, kind = parameter.rsplit(".", 1)
        if layer.endswith("_bn"):
            wanted = (1, 0)
        elif layer == first and "flow" in modality:
            wanted = (5, 1) if kind == "weight" else (10, 0)
        else:
            wanted = (1, 1) if kind == "weight" else (2, 0)
        assert found == wanted, parameter


# ---------------------------------------------------------------------- training


def test_a_training_step_in_bfloat16_has_finite_gradients() -> None:
    model = create_model("tsn_bn_inception", 5, **SMALL, segments=2, consensus="attention")
    x = snippets(model, 2).contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        loss = nn.functional.cross_entropy(model(x).float(), torch.tensor([0, 1]))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model = small(segments=2)
    with torch.no_grad():
        exact = model(x)
        rounded = model.bfloat16()(x.bfloat16()).float()
    assert (rounded - exact).norm() < 0.1 * exact.norm()


def test_partial_batch_normalization_trains_the_first_alone() -> None:
    # D12: scale and shift are frozen too, as in both released codes
    model = create_model("tsn_bn_inception", 5, **SMALL, partial_bn=True, modality="flow", segments=2)
    assert model.training
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameter_groups(0.1, 0.0))
    nn.functional.cross_entropy(model(snippets(model, 2)), torch.tensor([0, 1])).backward()
    optimizer.step()
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    norms = {key for key in before if key.rsplit(".", 1)[0].endswith("_bn")}
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert changed & norms == {f"conv1_7x7_s2_bn.{part}" for part in parts}
    assert {key for key in before if key.endswith("weight") and key not in norms} <= changed
    assert not any("_bn" in name and "conv1_7x7_s2_bn" not in name for name in multipliers(model))
    assert create_model("tsn_bn_inception", 5, **SMALL).inception_5b_1x1_bn.weight.requires_grad
    with pytest.raises(UsageError, match="partial_bn=1 is neither"):
        create_model("tsn_bn_inception", 5, partial_bn=1)


# ---------------------------------------------------------------------- SqueezeNet


def test_squeezenet_keeps_its_pixels_and_says_that_no_paper_has_it() -> None:
    info = model_info("tsn_squeezenet", 5)
    assert (info.input.shape, info.input.recipe, info.options["dropout"]) == ((3, 3, 227, 227), "caffenet", 0.8)
    assert "partial_bn" not in info.options
    assert info.source.reconstruction
    assert "No paper" in info.source.choices[0]
    assert not model_info("tsn_bn_inception", 5, width=0.125, side=64).source.reconstruction
    flow = build_meta("tsn_squeezenet", 5, {"modality": "flow", "segments": 1, "consensus": "weighted"})
    assert (flow.input.shape, flow.input.recipe, flow.dropout.p) == ((10, 1, 227, 227), "flow_224", 0.7)
    assert "start at 1/K" in flow.source.choices[-1]
    with torch.no_grad():
        maps = flow.eval().features(torch.empty(1, *flow.input.shape, device="meta"), ("fire4", "fire9", "global_pool"))
    assert [tuple(value.shape[1:]) for value in maps.values()] == [(256, 1, 55, 55), (512, 1, 13, 13), (512, 1, 1, 1)]


def test_squeezenets_dropout_drops_pooled_activations() -> None:
    model = small("tsn_squeezenet", segments=1, side=47, width=0.25, dropout=0.5)
    model.train()
    seen: list[Tensor] = []
    model.fc_action.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    x = snippets(model, 1)
    torch.manual_seed(0)
    pooled = model.features(x, ("global_pool", "fc_action"))["global_pool"].detach().flatten(1)
    (dropped,) = seen
    kept = dropped.flatten(1) != 0
    assert 0.3 < float(kept.float().mean()) < 0.7
    torch.testing.assert_close(dropped.flatten(1)[kept], 2 * pooled[kept])


# ---------------------------------------------------------------------- snippets and their consensus


VARIANTS = [
    ("tsn_bn_inception", {"modality": "flow", "segments": 3}),
    ("tsn_bn_inception", {"modality": "rgb_difference", "segments": 2, "consensus": "max"}),
    ("tsn_bn_inception", {"modality": "warped_flow", "segments": 3, "consensus": "top_k", "top_k": 2}),
    ("tsn_bn_inception", {"segments": 3, "consensus": "weighted"}),
    ("tsn_bn_inception", {"segments": 3, "consensus": "attention"}),
    ("tsn_bn_inception", {"segments": 1, "side": 96}),
    ("tsn_resnet50", {"modality": "flow", "segments": 3, "consensus": "attention", "blocks": [1, 2, 1, 1]}),
    ("tsn_resnet101", {"modality": "rgb_difference", "consensus": "weighted", "side": 33, "blocks": [1, 1, 2, 1]}),
    ("tsn_squeezenet", {"modality": "flow", "segments": 3, "consensus": "attention", "width": 0.25}),
    ("tsn_squeezenet", {"modality": "rgb_difference", "segments": 2, "consensus": "top_k", "top_k": 2, "side": 51}),
    # conv1 leaves 28 rows of 55, of which unpadded windows of 3 with stride 2 leave 14, the last of them cut off.
    ("tsn_resnet50", {"style": "caffe", "segments": 2, "side": 55, "blocks": [2, 2, 1, 1]}),
    # More blocks in a stage than there are letters.
    ("tsn_resnet152", {"width": 0.0625, "segments": 1, "side": 33, "blocks": [1, 1, 29, 1]}),
    ("tsn_resnet152", {"width": 0.0625, "segments": 1, "side": 33, "blocks": [1, 27, 1, 1], "style": "caffe"}),
]


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_variants_equal_a_second_implementation(name: str, options: dict[str, Any]) -> None:
    model = small(name, **options)
    x = snippets(model, model.input.segments)
    weights = {key: value.double() for key, value in model.state_dict().items()}
    with torch.no_grad():
        found = model(x).double()
    expected = forward(weights, x.double(), model.options)
    assert (found - expected).norm() < 1e-4 * expected.norm()
    assert (expected[0] - expected[1]).norm() > 1e-3 * expected[0].norm()


@pytest.mark.parametrize(("consensus", "top_k"), [("average", None), ("max", None), ("top_k", 2), ("attention", None)])
def test_networks_trained_on_3_snippets_take_25(consensus: str, top_k: int | None) -> None:
    model = small(consensus=consensus, top_k=top_k)
    x = snippets(model, 25, n=1)
    weights = {key: value.double() for key, value in model.state_dict().items()}
    with torch.no_grad():
        found = model(x).double()
    expected = forward(weights, x.double(), model.options)
    assert (found - expected).norm() < 1e-4 * expected.norm()


def test_weighted_consensus_says_why_it_takes_no_other_number() -> None:
    model = small(consensus="weighted")
    assert model(snippets(model, 3)).shape == (2, 5)
    with pytest.raises(UsageError, match=r"takes 3 snippets, not 25 .*one weight for each of 3 segments"):
        model(snippets(model, 25, n=1))
    # What comes before the consensus is there for all of them.
    found = model.features(snippets(model, 25, n=1), ("segment_scores",))
    assert found["segment_scores"].shape == (1, 5, 25, 1, 1)


def test_the_classifier_scores_each_snippet_and_the_layer_is_their_consensus() -> None:
    model = small(segments=4)
    x = snippets(model, 4) * torch.tensor([0.1, 1, 10, 100])[:, None, None]  # snippets with something of their own
    seen: list[Tensor] = []
    handle = model.fc_action.register_forward_hook(lambda _, __, output: seen.append(output.detach().clone()))
    found = model.features(x, ("global_pool", "segment_scores", "fc_action", "prob"))
    handle.remove()
    (scores,) = seen
    assert scores.shape == (2, 4, 5)
    torch.testing.assert_close(found["segment_scores"][..., 0, 0].transpose(1, 2), scores, rtol=0, atol=0)
    np.testing.assert_allclose(found["fc_action"].detach().numpy(), scores.numpy().sum(1) / 4, rtol=1e-5, atol=1e-6)
    hidden = found["global_pool"][..., 0, 0].detach().double().numpy()  # N, D, S
    weight, bias = (model.fc_action.get_parameter(key).detach().double().numpy() for key in ("weight", "bias"))
    by_hand = np.einsum("nds,kd->nsk", hidden, weight) + bias
    np.testing.assert_allclose(scores.numpy(), by_hand, rtol=1e-4, atol=1e-5)
    # Softmax follows the consensus: the mean of the snippets' probabilities is something else.
    after = found["fc_action"].softmax(1)
    torch.testing.assert_close(found["prob"], after)
    assert (scores.softmax(2).mean(1) - after).abs().max() > 1e-3


def test_snippets_do_not_look_at_each_other() -> None:
    model = small(modality="flow")
    x = snippets(model, 3)
    other = x.clone()
    other[:, :, 1] += 1
    with torch.no_grad():
        one, two = (model.features(clip, ("segment_scores",))["segment_scores"] for clip in (x, other))
        alone = model.features(x[:, :, 2:], ("segment_scores",))["segment_scores"]
        torch.testing.assert_close(one[:, :, [0, 2]], two[:, :, [0, 2]], rtol=1e-4, atol=1e-5)
        assert (one[:, :, 1] - two[:, :, 1]).abs().max() > 1e-3
        torch.testing.assert_close(one[:, :, 2:], alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model(x), model(x.flip(2)), rtol=1e-4, atol=1e-5)


def test_learned_consensuses_start_as_an_average() -> None:
    average = create_model("tsn_bn_inception", 5, **SMALL, seed=4).eval()
    x = snippets(average, 3)
    for consensus in ("weighted", "attention"):
        model = create_model("tsn_bn_inception", 5, **SMALL, seed=4, consensus=consensus).eval()
        with torch.no_grad():
            torch.testing.assert_close(model(x), average(x), rtol=1e-4, atol=1e-7)
        model.train()
        nn.functional.cross_entropy(model(x), torch.tensor([0, 1])).backward()
        (learned,) = (p for name, p in model.named_parameters() if name.startswith("consensus"))
        assert learned.grad is not None
        assert learned.grad.abs().max() > 0
        assert any("start at" in choice for choice in model.source.choices)
        assert not model.source.reconstruction
    assert average.source.choices == ()
    assert average.source.printed == {}


def test_wrong_snippets_are_refused() -> None:
    model = small()
    for shape in ((2, 10, 3, 64, 64), (2, 3, 3, 64, 96), (2, 3, 0, 64, 64), (2, 3, 64, 64)):
        with pytest.raises(UsageError, match=r"takes clips of shape \(N, 3, 3, 64, 64\)"):
            model(torch.zeros(shape))


def test_variants_are_saved_with_their_options(tmp_path: Path) -> None:
    model = small("tsn_resnet50", modality="flow", consensus="top_k", top_k=2, partial_bn=True, blocks=(1, 1, 1, 1))
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.options == model.options
    assert again.trained_norms == 1
    with torch.no_grad():
        assert torch.equal(again(snippets(model, 3)), model(snippets(model, 3)))
    assert 'layers=("global_pool",)' in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
