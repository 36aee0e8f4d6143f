"""The suite that every network of the registry has to pass, whichever paper it comes from."""

from __future__ import annotations

import copy
import json
from functools import cache, partial
from math import ceil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tubelet.clips.recipe import RECIPES
from tubelet.errors import UsageError
from tubelet.models import create_model, list_models, load_model, model_info
from tubelet.models.contract import VideoModel

# Parameters and multiply-adds per clip at 101 classes (spec c3d_res3d.md, sections 1.1, 2 and 9.1).
PUBLISHED = {
    "c3d": (78_409_573, 38_547_378_176),
    "c3d_depth1": (14_344_933, 6_428_895_232),
    "c3d_depth3": (17_444_965, 19_261_106_176),
    "c3d_depth5": (20_544_997, 32_093_317_120),
    "c3d_depth7": (23_645_029, 44_925_528_064),
    "c3d_increasing": (21_573_733, 24_116_537_344),
    "c3d_decreasing": (18_189_157, 31_746_500_608),
    "res3d_18": (33_218_085, 20.348e9),
    "res3d_34": (63_527_717, 37.689e9),
    "sr18": (33_218_085, 10.784e9),
}
DEPTHS = {
    "c3d_depth1": (1, 1, 1, 1, 1),
    "c3d_depth3": (3, 3, 3, 3, 3),
    "c3d_depth5": (5, 5, 5, 5, 5),
    "c3d_depth7": (7, 7, 7, 7, 7),
    "c3d_increasing": (3, 3, 5, 5, 7),
    "c3d_decreasing": (7, 5, 5, 3, 3),
    "c3d_small": (3, 3, 3, 3, 3),
}
SMALL = {"width": 0.125, "side": 56}
CLASSES = 7

every_model = pytest.mark.parametrize("name", list_models())


@cache
def small(name: str) -> VideoModel:
    """A narrow network with statistics that are not the initial ones; tests must leave it as it is."""
    model = create_model(name, CLASSES, seed=3, **SMALL)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
    return model.eval()


def clips(model: VideoModel, n: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(n, *model.input.shape, generator=torch.Generator().manual_seed(seed))


def _keep(seen: dict[str, Tensor], layer: str, _: nn.Module, __: Any, output: Tensor) -> None:
    seen[layer] = output.detach().clone()


# ---------------------------------------------------------------------- independent arithmetic


def _conv(
    shape: list[int], out: int, kernel: tuple[int, int, int], stride: tuple[int, int, int], bias: int
) -> tuple[list[int], int, int]:
    """Padded by half the kernel: (new shape, parameters, multiply-adds)."""
    sizes = [ceil(size / step) for size, step in zip(shape[1:], stride, strict=True)]
    weights = shape[0] * out * kernel[0] * kernel[1] * kernel[2]
    return [out, *sizes], weights + bias * out, weights * sizes[0] * sizes[1] * sizes[2]


def plain_cost(name: str, classes: int, width: float, side: int, batch_norm: bool) -> tuple[int, int]:
    if name == "c3d":
        stages = [[(64, 3)], [(128, 3)], [(256, 3)] * 2, [(512, 3)] * 2, [(512, 3)] * 2]
        fc = 4096
    else:
        stages = [[pair] for pair in zip((64, 128, 256, 256, 256), DEPTHS[name], strict=True)]
        fc = 2048
    shape, parameters, macs = [3, 16, side, side], 0, 0
    for stage, convs in enumerate(stages):
        for channels, depth in convs:
            out = int(channels * width)
            shape, p, m = _conv(shape, out, (depth, 3, 3), (1, 1, 1), 0 if batch_norm else 1)
            parameters, macs = parameters + p + (2 * out if batch_norm else 0), macs + m
        shape = [
            shape[0],
            shape[1] if stage == 0 else ceil(shape[1] / 2),
            ceil(shape[2] / 2),
            ceil(shape[3] / 2),
        ]
    size = shape[0] * shape[1] * shape[2] * shape[3]
    for out in (int(fc * width), int(fc * width), classes):
        parameters, macs, size = parameters + (size + 1) * out, macs + size * out, out
    return parameters, macs


def residual_cost(name: str, classes: int, width: float, side: int) -> tuple[int, int]:
    blocks = (3, 4, 6, 3) if name == "res3d_34" else (2, 2, 2, 2)
    base = int(64 * width)
    shape, parameters, macs = _conv([3, 4 if name == "sr18" else 8, side, side], base, (3, 7, 7), (1, 2, 2), 0)
    parameters += 2 * base
    for group, count in enumerate(blocks):
        out = base * 2**group
        for block in range(count):
            stride = (1, 1, 1) if group == 0 or block else (2, 2, 2)
            if group == 3 and block == 0 and name == "sr18":
                stride = (1, 2, 2)
            entry = shape
            shape, p1, m1 = _conv(entry, out, (3, 3, 3), stride, 0)
            shape, p2, m2 = _conv(shape, out, (3, 3, 3), (1, 1, 1), 0)
            parameters, macs = parameters + p1 + p2 + 4 * out, macs + m1 + m2
            if stride != (1, 1, 1):
                _, p, m = _conv(entry, out, (1, 1, 1), stride, 0)
                parameters, macs = parameters + p + 2 * out, macs + m
    return parameters + (shape[0] + 1) * classes, macs + shape[0] * classes


def cost(name: str, classes: int, width: float, side: int) -> tuple[int, int]:
    if name.startswith(("res3d", "sr18")):
        return residual_cost(name, classes, width, side)
    return plain_cost(name, classes, width, side, batch_norm=name == "c3d_small")


# ---------------------------------------------------------------------- the suite


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_size_has_the_published_counts(name: str) -> None:
    info = model_info(name)
    parameters, macs = PUBLISHED[name]
    assert info.parameters == parameters
    assert info.macs == pytest.approx(macs, rel=0 if isinstance(macs, int) else 5e-5)
    assert (info.parameters, info.macs) == cost(name, 101, 1, 112)


@every_model
def test_counts_follow_width_side_and_classes(name: str) -> None:
    info = model_info(name, CLASSES, **SMALL)
    assert (info.parameters, info.macs) == cost(name, CLASSES, 0.125, 56)
    assert info.parameters == sum(p.numel() for p in small(name).parameters())
    assert sum(layer.macs for layer in info.layers) == info.macs


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
    model = create_model(name, CLASSES, **SMALL)
    x = clips(model).requires_grad_()
    loss = nn.functional.cross_entropy(model(x), torch.tensor([0, CLASSES - 1]))
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
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
    assert unseen <= {"prob", "pool5"}
    for layer, output in seen.items():
        expected = output if layer == model.head_name else output.clamp(min=0)
        torch.testing.assert_close(found[layer], expected, rtol=0, atol=0)
    for layer in model.layer_names:
        assert found[layer].shape[0] == 2
        assert found[layer].dim() in (2, 5)
        if layer != model.head_name:
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
    one, two, other = (create_model(name, CLASSES, seed=seed, **SMALL) for seed in (5, 5, 6))
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
    model = create_model(name, CLASSES, seed=5, **SMALL)
    model.reset_head(4)
    fresh = create_model(name, 4, seed=5, **SMALL)
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
        normalizes = key.rsplit(".", 1)[0].endswith("_bn")
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
    info = model_info(name)
    assert info.input.recipe in RECIPES
    assert 2000 < info.paper.year < 2030
    assert info.paper.url.startswith("https://arxiv.org/abs/")
    assert info.paper.title
    assert info.paper.section
