"""C3D against a second forward that is written from the paper's table with ``torch.nn.functional`` alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tubelet.errors import UsageError
from tubelet.models import create_model, model_info

# Layer, output at 101 classes, parameters, multiply-adds: spec c3d_res3d.md, section 1.1.
TABLE = {
    "conv1a": ((64, 16, 112, 112), 5_248, 1_040_449_536),
    "conv2a": ((128, 16, 56, 56), 221_312, 11_098_128_384),
    "conv3a": ((256, 8, 28, 28), 884_992, 5_549_064_192),
    "conv3b": ((256, 8, 28, 28), 1_769_728, 11_098_128_384),
    "conv4a": ((512, 4, 14, 14), 3_539_456, 2_774_532_096),
    "conv4b": ((512, 4, 14, 14), 7_078_400, 5_549_064_192),
    "conv5a": ((512, 2, 7, 7), 7_078_400, 693_633_024),
    "conv5b": ((512, 2, 7, 7), 7_078_400, 693_633_024),
    "fc6": ((4096,), 33_558_528, 33_554_432),
    "fc7": ((4096,), 16_781_312, 16_777_216),
    "fc8": ((101,), 4097 * 101, 4096 * 101),
}


def ceil_pool(x: Tensor, depth: int) -> Tensor:
    """Pad with minus infinity on the far side, then pool without ceil mode."""
    t, h, w = x.shape[2:]
    x = F.pad(x, (0, -w % 2, 0, -h % 2, 0, -t % depth), value=-torch.inf)
    return F.max_pool3d(x, (depth, 2, 2))


def second_forward(weights: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    out = {}
    for stage, convs in enumerate((["1a"], ["2a"], ["3a", "3b"], ["4a", "4b"], ["5a", "5b"]), start=1):
        for conv in (f"conv{name}" for name in convs):
            x = F.conv3d(x, weights[f"{conv}.weight"], weights[f"{conv}.bias"], padding=1).clamp(min=0)
            out[conv] = x
        x = ceil_pool(x, 1 if stage == 1 else 2)
        out[f"pool{stage}"] = x
    x = x.reshape(len(x), -1)
    for fc in ("fc6", "fc7"):
        x = (x @ weights[f"{fc}.weight"].T + weights[f"{fc}.bias"]).clamp(min=0)
        out[fc] = x
    out["fc8"] = x @ weights["fc8.weight"].T + weights["fc8.bias"]
    return out


def spread(model: torch.nn.Module) -> None:
    """He-sized random weights and biases: the published start is nearly constant in a narrow network."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            fan = parameter[0].numel() if name.endswith("weight") else 100
            parameter.normal_(0, (2 / fan) ** 0.5, generator=generator)


def test_counts_are_the_papers() -> None:
    assert model_info("c3d").parameters == 78_409_573
    info = model_info("c3d", 487)
    assert info.parameters == 79_991_015
    assert info.macs == 38_548_959_232
    assert model_info("c3d", 400).parameters == 79_634_576


def test_every_layer_has_the_tables_shape_parameters_and_multiply_adds() -> None:
    rows = {layer.name: (layer.output_shape[1:], layer.parameters, layer.macs) for layer in model_info("c3d").layers}
    assert rows == TABLE


def test_pool5_of_7_rows_has_4() -> None:
    model = create_model("c3d", 3, width=1 / 64)
    x = torch.randn(1, 3, 16, 112, 112)
    shapes = {name: tuple(value.shape[1:]) for name, value in model.features(x, model.layer_names).items()}
    assert shapes["conv5b"] == (8, 2, 7, 7)
    assert shapes["pool5"] == (8, 1, 4, 4)
    assert shapes["fc6"] == (64,)
    assert shapes["prob"] == (3,)


def test_full_forward_equals_the_second_one() -> None:
    model = create_model("c3d", 5, width=1 / 16).eval()
    spread(model)
    x = torch.randn(2, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = model.features(x, model.layer_names)
        logits = model(x)
    expected = second_forward({k: v.double() for k, v in model.state_dict().items()}, x.double())
    for name, value in expected.items():
        error = (found[name].double() - value).norm() / value.norm()
        assert error < 1e-4, name
        assert value.std() > 0
    assert (logits.double() - expected["fc8"]).norm() / expected["fc8"].norm() < 1e-4


@pytest.mark.parametrize(("clip_length", "side"), [(4, 28), (5, 30), (1, 17)])
def test_gradients_in_float64_equal_the_second_forwards(clip_length: int, side: int) -> None:
    model = create_model("c3d", 5, width=1 / 32, clip_length=clip_length, side=side).double().eval()
    spread(model)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, clip_length, side, side, generator=generator, dtype=torch.float64)
    upstream = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    model(mine).backward(upstream)
    weights = {k: v.detach().clone().requires_grad_() for k, v in model.named_parameters()}
    second_forward(weights, theirs)["fc8"].backward(upstream)
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=1e-9, atol=1e-12)
    # And both agree with a difference quotient along one direction.
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        step = 1e-6 * direction
        slope = ((model(x + step) - model(x - step)) * upstream).sum() / 2e-6
    assert float(slope) == pytest.approx(float((mine.grad * direction).sum()), rel=1e-5)


def test_initialization_is_the_published_one() -> None:
    model = create_model("c3d", 11, width=0.25)
    for name, parameter in model.state_dict().items():
        layer, kind = name.split(".")
        if kind == "bias":
            assert (parameter == (0.0 if layer in ("conv1a", "fc8") else 1.0)).all(), name
        else:
            std = 0.005 if layer in ("fc6", "fc7") else 0.01
            n = parameter.numel()
            assert float(parameter.std()) == pytest.approx(std, rel=4 / (2 * n) ** 0.5), name
            assert abs(float(parameter.mean())) < 4 * std / n**0.5, name


def test_biases_have_twice_the_rate_and_no_decay() -> None:
    model = create_model("c3d", 3, width=1 / 64)
    optimizer = torch.optim.SGD(model.parameter_groups(0.003, 0.005), lr=0.003, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer.step()
    for name, value in model.named_parameters():
        old = before[name]
        step = 0.006 if name.endswith("bias") else 0.003 * (1 + 0.005 * old)
        torch.testing.assert_close(value, old - step, rtol=1e-6, atol=1e-8)


def test_dropout_is_halves_of_fc6_and_fc7_and_leaves_features_alone() -> None:
    model = create_model("c3d", 3, width=1 / 32, side=28, clip_length=4)
    spread(model)
    x = torch.randn(2, 3, 4, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.train()
        training = model.features(x, ("fc6", "fc8"))
        model.eval()
        evaluation = model.features(x, ("fc6", "fc8"))
    assert model.dropout.p == 0.5
    assert torch.equal(training["fc6"], evaluation["fc6"])
    assert not torch.equal(training["fc8"], evaluation["fc8"])


def test_batch_normalized_variant_starts_with_he_and_keeps_the_size_of_signals() -> None:
    model = create_model("c3d", 3, width=1 / 8, side=56, clip_length=8, batch_norm=True)
    assert model.conv3a.bias is None
    assert (model.conv3a_bn.weight == 1).all()
    fan = model.conv3a.weight[0].numel()
    assert float(model.conv3a.weight.detach().std()) == pytest.approx((2 / fan) ** 0.5, rel=0.05)
    assert (model.fc6.bias == 0).all()
    x = torch.randn(4, 3, 8, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = model.features(x, ("conv1a", "conv5b", "fc7"))
    sizes = [float(value.square().mean().sqrt()) for value in found.values()]
    assert all(0.3 < size < 3 for size in sizes), sizes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"width": True}, "width=True"),
        ({"width": float("inf")}, "width=inf"),
        ({"side": 0}, "side=0"),
        ({"side": 56.5}, "side=56.5"),
        ({"clip_length": -1}, "clip_length=-1"),
        ({"batch_norm": 1}, "batch_norm=1"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"num_classes": "ten"}, "num_classes='ten'"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_model("c3d", **options)  # type: ignore[arg-type]
