from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models import create_model, load_model, model_info
from tubelet.models.layers import CaffePool, Lrn
from tubelet.models.registry import build_meta, model_options
from tubelet.models.two_stream import CnnM

NAMES = ("two_stream_spatial", "two_stream_temporal")
SMALL = {"width": 1 / 16, "side": 64}


def small(name: str, num_classes: int = 7, **options: object) -> CnnM:
    model = create_model(name, num_classes, seed=1, **{**SMALL, **options})
    assert isinstance(model, CnnM)
    # The published start is made for the published width.
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            fan = parameter[0].numel() if key.endswith("weight") else 200
            parameter.normal_(0, (2 / fan) ** 0.5, generator=generator)
    return model.eval()


def clips(model: CnnM, n: int = 2, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, *model.input.shape, generator=torch.Generator().manual_seed(5))


# ---------------------------------------------------------------------- the table


@pytest.mark.parametrize("name", NAMES)
def test_full_size_maps_are_those_of_the_table(name: str) -> None:
    model = build_meta(name, 101, {})
    x = torch.empty(1, *model.input.shape, device="meta")
    found = {layer: tuple(value.shape[1:]) for layer, value in model.features(x, model.layer_names).items()}
    assert found == {
        "conv1": (96, 1, 109, 109),
        "pool1": (96, 1, 54, 54),
        "conv2": (256, 1, 26, 26),
        "pool2": (256, 1, 13, 13),
        "conv3": (512, 1, 13, 13),
        "conv4": (512, 1, 13, 13),
        "conv5": (512, 1, 13, 13),
        "pool5": (512, 1, 6, 6),
        "full6": (4096, 1, 1, 1),
        "full7": (2048, 1, 1, 1),
        "fc8": (101,),
        "prob": (101,),
    }
    assert model.layer_names == tuple(found)


def test_layers_cost_what_the_specification_says() -> None:
    uses = {layer.name: layer.parameters for layer in model_info("two_stream_temporal").layers}
    assert uses == {
        "conv1": 94_176,
        "conv2": 614_656,
        "conv3": 1_180_160,
        "conv4": 2_359_808,
        "conv5": 2_359_808,
        "full6": 75_501_568,
        "full7": 8_390_656,
        "fc8": 2049 * 101,
    }
    for fields, parameters in ((1, 9_504), (5, 47_136)):
        assert model_info("two_stream_temporal", flow_fields=fields).layers[0].parameters == parameters
    # 92,469,864 numbers of four bytes are the 370 MB of the published ImageNet weights.
    assert round(model_info("two_stream_spatial", 1000).parameters * 4 / 1e6) == 370


def test_inputs_recipes_and_dropout_are_the_papers() -> None:
    spatial, temporal = (model_info(name) for name in NAMES)
    assert (spatial.input.modality, spatial.input.shape) == ("rgb", (3, 1, 224, 224))
    assert (temporal.input.modality, temporal.input.shape) == ("flow", (20, 1, 224, 224))
    assert (spatial.input.recipe, temporal.input.recipe) == ("two_stream_rgb", "two_stream_flow")
    assert model_info("two_stream_temporal", flow_fields=7).input.channels == 14
    assert model_options("two_stream_spatial")["dropout"] == 0.5
    assert model_options("two_stream_temporal")["dropout"] == 0.9


# ---------------------------------------------------------------------- what ports get wrong


def test_the_second_normalization_is_the_spatial_nets_alone() -> None:
    norms = {name: [key for key, module in small(name).named_modules() if isinstance(module, Lrn)] for name in NAMES}
    assert norms == {"two_stream_spatial": ["norm1", "norm2"], "two_stream_temporal": ["norm1"]}


def normalized_and_pooled(x: np.ndarray, alpha: float) -> np.ndarray:
    """(C, H, W) → (C, H', W'): alpha times the sum over five channels, then 3×3 maxima cut off at the border."""
    channels, height, width = x.shape
    y = np.empty_like(x)
    for c in range(channels):
        y[c] = x[c] / (2 + alpha * (x[max(0, c - 2) : c + 3] ** 2).sum(0)) ** 0.75
    rows, columns = (int(np.ceil((size - 3) / 2)) + 1 for size in (height, width))
    pooled = np.empty((channels, rows, columns))
    for i in range(rows):
        for j in range(columns):
            pooled[:, i, j] = y[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2))
    return pooled


def test_rectified_maps_are_normalized_by_the_sum_of_squares_and_then_pooled() -> None:
    model = small("two_stream_spatial")
    with torch.no_grad():
        found = model.features(clips(model, 1, scale=60.0), ("conv1", "pool1", "conv2", "pool2"))
    for layer in ("1", "2"):
        before = found[f"conv{layer}"][0, :, 0].double().numpy()
        after = found[f"pool{layer}"][0, :, 0].double().numpy()
        right = normalized_and_pooled(before, 1e-4)
        np.testing.assert_allclose(after, right, rtol=1e-5, atol=1e-6)
    # The popular ports' alpha of 1e-4 in PyTorch's form is a fifth of the paper's.
    before, after = (found[key][0, :, 0].double().numpy() for key in ("conv1", "pool1"))
    assert np.abs(normalized_and_pooled(before, 2e-5) - after).max() > 0.05 * np.abs(after).max()


def test_poolings_round_up() -> None:
    model = build_meta("two_stream_spatial", 101, {})
    assert [key for key, module in model.named_modules() if isinstance(module, CaffePool)] == [
        "pool1",
        "pool2",
        "pool5",
    ]
    assert model.get_submodule("pool2")(torch.empty(1, 1, 1, 26, 26)).shape[-1] == 13
    assert nn.MaxPool2d(3, 2)(torch.empty(1, 1, 26, 26)).shape[-1] == 12  # and then 5, not 6, under pool5


# ---------------------------------------------------------------------- frames and tasks


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_scored_one_by_one_and_averaged(name: str) -> None:
    several, one = small(name, clip_length=3), small(name)
    one.load_state_dict(several.state_dict())
    x = clips(several)
    with torch.no_grad():
        alone = torch.stack([one(x[:, :, [t]]) for t in range(3)])
        torch.testing.assert_close(several(x), alone.mean(0), rtol=1e-4, atol=1e-5)
        full7 = several.features(x, ("full7",))["full7"]
        torch.testing.assert_close(full7[:, :, [1]], one.features(x[:, :, [1]], ("full7",))["full7"])
    assert not torch.allclose(alone[0], alone[1])


def test_heads_of_several_tasks_share_one_pass() -> None:
    model = small("two_stream_temporal", 5, tasks=(3, 4), flow_fields=1)
    seen: list[str] = []
    for name, module in model.named_children():
        module.register_forward_hook(lambda *_, name=name: seen.append(name))
    x = clips(model)
    with torch.no_grad():
        logits = model.task_logits(x)
        assert seen.count("conv1") == seen.count("full7") == 1
        full7 = model.features(x, ("full7",))["full7"].flatten(1)
        torch.testing.assert_close(logits[0], model(x))
    assert [tuple(part.shape) for part in logits] == [(2, 5), (2, 3), (2, 4)]
    for head, part in zip(("fc8_task2", "fc8_task3"), logits[1:], strict=True):
        layer = model.get_submodule(head)
        torch.testing.assert_close(part, full7 @ layer.weight.T + layer.bias)


def test_a_tasks_loss_reaches_the_shared_layers_and_its_own_head_only() -> None:
    model = small("two_stream_spatial", 5, tasks=(3,))
    model.task_logits(clips(model))[1].square().sum().backward()
    assert model.fc8.weight.grad is None
    assert model.get_parameter("fc8_task2.weight").grad is not None
    assert model.get_parameter("conv1.weight").grad.abs().sum() > 0  # type: ignore[union-attr]


def test_tasks_survive_saving_and_a_new_head(tmp_path: Path) -> None:
    model = small("two_stream_spatial", 5, tasks=(3,))
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert isinstance(again, CnnM)
    assert again.options["tasks"] == [3]
    x = clips(model)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(model.task_logits(x), again.task_logits(x), strict=True))
    model.reset_head(2)
    with torch.no_grad():
        assert [part.shape[1] for part in model.task_logits(x)] == [2, 3]


@pytest.mark.parametrize("tasks", ["51", 51, (0,), (1.5,), (True,)])
def test_tasks_that_are_none_are_said(tasks: object) -> None:
    with pytest.raises(UsageError, match="tasks="):
        create_model("two_stream_spatial", 5, tasks=tasks, **SMALL)


@pytest.mark.parametrize("fields", [0, -1, 2.5, "10", True])
def test_numbers_of_flow_fields_that_are_none_are_said(fields: object) -> None:
    with pytest.raises(UsageError, match="flow_fields="):
        create_model("two_stream_temporal", 5, flow_fields=fields, **SMALL)


@pytest.mark.parametrize("side", [6, 10, 30])
def test_frames_that_leave_nothing_are_said(side: int) -> None:
    with pytest.raises(UsageError, match=f"side={side} is too small"):
        create_model("two_stream_spatial", 5, width=1 / 16, side=side)


def test_the_smallest_side_that_is_taken_works() -> None:
    taken = []
    for side in range(28, 48):
        try:
            model = create_model("two_stream_spatial", 5, width=1 / 32, side=side).eval()
        except UsageError:
            continue
        with torch.no_grad():
            assert model(torch.randn(1, *model.input.shape)).isfinite().all()
        taken.append(side)
    assert taken[0] > 28
    assert taken == list(range(taken[0], 48))


def test_weights_start_gaussian() -> None:
    model = create_model("two_stream_temporal", 101, width=0.25, tasks=(51,))
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            n = module.weight.numel()
            assert float(module.weight.detach().std()) == pytest.approx(0.01, rel=5 / (2 * n) ** 0.5), name
            assert (module.bias == 0).all(), name
    assert any("0.01" in choice for choice in model.source.choices)
    assert not model.source.reconstruction
