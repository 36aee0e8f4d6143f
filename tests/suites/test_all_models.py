"""The suite that every network of the registry has to pass, whichever paper it comes from."""

from __future__ import annotations

import copy
import json
import re
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suites.case import Count
from suites.cases import CASES
from suites.lively import lively
from tubelet.clips.recipes import RECIPES
from tubelet.errors import UsageError
from tubelet.models import create_model, list_models, load_model, model_info
from tubelet.models.contract import VideoModel
from tubelet.models.registry import build_meta

CLASSES = 7

every_model = pytest.mark.parametrize("name", list_models())


@cache
def small(name: str) -> VideoModel:
    """A narrow network whose signals neither die nor explode on the way; tests must leave it as it is."""
    return lively(create_model(name, CLASSES, seed=3, **CASES[name].small))


def clips(model: VideoModel, n: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(n, *model.input.shape, generator=torch.Generator().manual_seed(seed))


def _keep(seen: dict[str, Tensor], layer: str, _: nn.Module, __: Any, output: Tensor | tuple[Tensor, Any]) -> None:
    value = output if isinstance(output, Tensor) else output[0]  # an LSTM's state comes second
    if value.dim() == 3:  # a vector for each frame, (N, T, D)
        value = value.transpose(1, 2)[..., None, None]
    seen[layer] = value.detach().clone()


def _untrained(name: str, parameter: str) -> bool:
    """Whether the case says that the logits do not depend on this parameter."""
    return any(parameter.startswith(part) for part in CASES[name].untrained_by_forward)


# ---------------------------------------------------------------------- the suite


def test_every_network_has_a_case_and_every_case_a_network() -> None:
    assert sorted(CASES) == list_models()


@pytest.mark.parametrize(
    ("name", "count"), [(name, count) for name, case in CASES.items() for count in case.counts], ids=str
)
def test_full_size_has_the_counts_of_the_specification(name: str, count: Count) -> None:
    info = model_info(name, count.classes, **count.options)
    assert info.parameters == count.parameters
    parameters, macs = CASES[name].cost(count.classes, info.options)
    assert parameters == count.parameters
    assert info.macs == macs
    if count.macs is not None:
        assert info.macs == pytest.approx(count.macs, rel=0 if isinstance(count.macs, int) else 1e-4)


@every_model
def test_counts_prove_a_network_or_it_says_what_was_chosen(name: str) -> None:
    source = build_meta(name, CLASSES, CASES[name].small).source
    assert source.origin
    assert source.choices if source.reconstruction else CASES[name].counts


@every_model
def test_counts_follow_the_options(name: str) -> None:
    info = model_info(name, CLASSES, **CASES[name].small)
    assert (info.parameters, info.macs) == CASES[name].cost(CLASSES, info.options)
    assert info.parameters == sum(p.numel() for p in small(name).parameters())
    assert sum(layer.macs for layer in info.layers) == info.macs


@every_model
def test_values_are_those_of_a_second_implementation(name: str) -> None:
    model = small(name)
    x = clips(model)
    with torch.no_grad():
        found = model(x)
        expected = CASES[name].forward(
            {k: v.double() for k, v in model.state_dict().items()}, x.double(), model.options
        )
    assert expected.shape == found.shape
    error = (found - expected).norm() / expected.norm()
    assert error < 1e-4
    # A network whose logits hardly depend on the clip would agree with anything.
    assert (expected[0] - expected[1]).norm() > 1e-3 * expected[0].norm()


@every_model
def test_gradients_are_those_of_float64(name: str) -> None:
    model = copy.deepcopy(small(name))
    exact = copy.deepcopy(model).double()
    x, targets = clips(model), torch.tensor([0, CLASSES - 1])
    nn.functional.cross_entropy(model(x), targets).backward()
    nn.functional.cross_entropy(exact(x.double()), targets).backward()
    wanted = dict(exact.named_parameters())
    for key, parameter in model.named_parameters():
        if _untrained(name, key):
            continue
        assert parameter.grad is not None, key
        gradient, right = parameter.grad.double(), wanted[key].grad
        assert right is not None, key
        # A value next to zero may be rectified in one precision and not in the other: more than rounding, rarely.
        assert (gradient - right).norm() <= 1e-2 * right.norm() + 1e-12, key


@every_model
def test_forward_gives_one_finite_row_of_logits_per_clip(name: str) -> None:
    model = small(name)
    logits = model(clips(model, 3))
    assert logits.shape == (3, CLASSES)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@every_model
def test_a_clip_alone_has_the_logits_it_has_in_a_batch(name: str) -> None:
    model = small(name)
    x = clips(model, 3)
    with torch.no_grad():
        together, alone = model(x), torch.cat([model(clip[None]) for clip in x])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


@every_model
def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    model = create_model(name, CLASSES, **CASES[name].small)
    x = clips(model).requires_grad_()
    loss = nn.functional.cross_entropy(model(x), torch.tensor([0, CLASSES - 1]))
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        if _untrained(name, parameter_name):
            assert parameter.grad is None, f"{parameter_name} is reached after all"
            continue
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@every_model
def test_features_are_what_hooks_see(name: str) -> None:
    model = small(name)
    x = clips(model)
    seen: dict[str, Tensor] = {}
    modules = dict(model.named_modules())
    hooks = []
    for layer in model.layer_names:
        if layer in CASES[name].unseen:
            continue
        # Where a batch normalization follows the layer, ReLU comes after that.
        module = modules.get(f"{layer}_bn", modules.get(layer))
        if module is not None:
            hooks.append(module.register_forward_hook(partial(_keep, seen, layer)))
    # With gradients enabled, so that no ReLU works in place on what a hook has seen.
    found = model.features(x, model.layer_names)
    logits = model(x)
    for handle in hooks:
        handle.remove()
    assert tuple(found) == model.layer_names
    unseen = set(model.layer_names) - set(seen)
    assert unseen <= {"prob", "pool5"} | CASES[name].unseen
    as_it_is = {model.head_name} | CASES[name].may_be_negative
    for layer, output in seen.items():
        expected = output if layer in as_it_is else output.clamp(min=0)
        torch.testing.assert_close(found[layer], expected, rtol=0, atol=0)
    for layer in model.layer_names:
        assert found[layer].shape[0] == 2
        assert found[layer].dim() in (2, 5)
        if layer != model.head_name and layer not in CASES[name].may_be_negative:
            assert found[layer].min() >= 0, layer
    torch.testing.assert_close(found[model.head_name], logits, rtol=0, atol=0)
    torch.testing.assert_close(found["prob"], logits.exp() / logits.exp().sum(1, keepdim=True))
    assert model.layer_names[-2:] == (model.head_name, "prob")


@every_model
def test_features_come_in_the_order_asked_for_and_alone_as_together(name: str) -> None:
    model = small(name)
    x = clips(model)
    with torch.no_grad():
        everything = model.features(x, model.layer_names)
        some = model.features(x, model.layer_names[::-3])
        assert list(some) == list(model.layer_names[::-3])
        for layer, value in some.items():
            torch.testing.assert_close(value, everything[layer], rtol=0, atol=0)
        assert model.features(x, ()) == {}


@every_model
def test_inference_and_channels_last_change_nothing_but_rounding(name: str) -> None:
    model = small(name)
    x = clips(model)
    with_gradients = model(x).detach()
    with torch.inference_mode():
        torch.testing.assert_close(model(x), with_gradients, rtol=1e-4, atol=1e-6)
        fast = copy.deepcopy(model).to(memory_format=torch.channels_last_3d)
        value = fast(x.contiguous(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(value, with_gradients, rtol=1e-3, atol=1e-5)


@every_model
def test_same_seed_same_weights_and_no_global_randomness(name: str) -> None:
    state = torch.random.get_rng_state()
    one, two, other = (create_model(name, CLASSES, seed=seed, **CASES[name].small) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), state)
    first, second, third = one.state_dict(), two.state_dict(), other.state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], third[key]) for key in first)
    assert (one.weights_id, one.seed) == ("untrained:5", 5)
    x = clips(one)
    one.eval()
    with torch.no_grad():
        assert torch.equal(one(x), one(x))


@every_model
def test_reset_head_is_the_head_of_a_fresh_network(name: str) -> None:
    model = create_model(name, CLASSES, seed=5, **CASES[name].small)
    model.reset_head(4)
    fresh = create_model(name, 4, seed=5, **CASES[name].small)
    assert model.num_classes == 4
    for key, value in fresh.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    assert model.weights_id == "untrained:5"
    assert model(clips(model)).shape == (2, 4)


@every_model
def test_save_and_load_is_bit_equal(name: str, tmp_path: Any) -> None:
    model = copy.deepcopy(small(name))
    labels = [f"class {i}" for i in range(CLASSES)]
    model.save(tmp_path / "model", labels=labels, provenance={"dataset": "none"})
    again = load_model(tmp_path / "model")
    assert not again.training
    assert (again.name, again.num_classes, again.options) == (name, CLASSES, model.options)
    assert again.input == model.input
    assert again.labels == tuple(labels)
    assert again.provenance["dataset"] == "none"
    assert again.weights_id == model.weights_id
    assert len(again.weights_id) == 64
    mine, theirs = model.state_dict(), again.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    x = clips(model)
    with torch.no_grad():
        assert torch.equal(model(x), again(x))
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"config.json", "model.safetensors", "labels.json", "provenance.json", "README.md"} <= names


@every_model
def test_options_rebuild_the_network(name: str) -> None:
    model = small(name)
    options = json.loads(json.dumps(model.options))
    again = create_model(name, CLASSES, **options)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in again.state_dict().items()} == shapes
    assert again.options == model.options
    assert again.input == model.input


@every_model
def test_parameter_groups_hold_every_parameter_once(name: str) -> None:
    model = small(name)
    groups = model.parameter_groups(0.003, 0.005)
    found = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(found) == len(set(found))
    assert set(found) == {id(parameter) for parameter in model.parameters()}
    for group in groups:
        assert group["lr"] == pytest.approx(0.003 * group["lr_mult"])
        assert group["weight_decay"] == pytest.approx(0.005 * group["decay_mult"])
    by_id = {id(p): group for group in groups for p in group["params"]}
    for key, parameter in model.named_parameters():
        # Called after the layer it follows, or, where it comes before its convolution as in DenseNets, norm1.
        normalizes = re.fullmatch(r".+_bn|(.+\.)?norm\d?", key.rsplit(".", 1)[0]) is not None
        wanted = (1, 0) if normalizes else (2, 0) if key.endswith("bias") else (1, 1)
        assert (by_id[id(parameter)]["lr_mult"], by_id[id(parameter)]["decay_mult"]) == wanted, key


@every_model
def test_torch_export_equals_eager(name: str) -> None:
    model = small(name)
    x = clips(model)
    with torch.no_grad():
        program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
        more = clips(model, 3)
        torch.testing.assert_close(program.module()(more), model(more), rtol=1e-4, atol=1e-6)


@every_model
def test_wrong_clips_and_layers_are_said(name: str) -> None:
    model = small(name)
    with pytest.raises(UsageError, match="takes clips of shape"):
        model(torch.zeros(2, 4, *model.input.shape[1:]))
    with pytest.raises(UsageError, match=f"did you mean '{model.layer_names[0]}'"):
        model.features(clips(model), (model.layer_names[0] + "_",))
    with pytest.raises(UsageError, match="one string"):
        model.features(clips(model), "prob")


@every_model
def test_the_paper_and_the_recipe_are_named(name: str) -> None:
    info = build_meta(name, 101, {})
    assert info.input.recipe in RECIPES
    assert 2000 < info.paper.year < 2030
    assert info.paper.url.startswith("https://arxiv.org/abs/" if info.paper.arxiv else "https://")
    assert info.paper.title
    assert info.paper.section
