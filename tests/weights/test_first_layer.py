from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tubelet.errors import InputDataError, UsageError
from tubelet.models import create_model
from tubelet.models.contract import VideoModel
from tubelet.weights.first_layer import across_modalities, first_layer
from tubelet.weights.start import start_from
from weights.two_d import counted

INCEPTION: dict[str, Any] = {"width": 0.125, "side": 64}
RESNET: dict[str, Any] = {**INCEPTION, "blocks": (1, 2, 1, 1)}
STREAM: dict[str, Any] = {"width": 0.0625, "side": 112}
P3D: dict[str, Any] = {"width": 0.125, "side": 40, "depths": (1, 2, 1, 1)}
# RGB network, network for motion, options of both, of the second alone, first layer, channels
VARIANTS = [
    (name, name, options, {"modality": modality}, first, channels)
    for name, options, first in (
        ("tsn_bn_inception", INCEPTION, "conv1_7x7_s2"),
        ("tsn_resnet50", RESNET, "conv1"),
        ("tsn_resnet101", RESNET, "conv1"),
        ("tsn_squeezenet", INCEPTION, "conv1"),
    )
    for modality, channels in (("flow", 10), ("warped_flow", 10), ("rgb_difference", 15))
] + [
    ("two_stream_spatial", "two_stream_temporal", STREAM, {}, "conv1", 20),
    ("two_stream_spatial", "two_stream_temporal", STREAM, {"flow_fields": 5}, "conv1", 10),
    ("p3d_63", "p3d_63", P3D, {"modality": "flow"}, "conv1", 2),
    ("p3d_131", "p3d_131", P3D, {"modality": "flow"}, "conv1", 2),
    ("p3d_199", "p3d_199", P3D, {"modality": "flow"}, "conv1", 2),
]


def check(weights: dict[str, Tensor], model: VideoModel, first: str, channels: int) -> None:
    """Every tensor of ``model`` is what TSN makes of the RGB network's, by NumPy."""
    found = model.state_dict()
    assert set(found) == set(weights)
    for name, tensor in found.items():
        wanted = weights[name].double().numpy()
        if name == f"{first}.weight":
            assert tensor.shape[1] == channels
            mean = (wanted[:, 0] + wanted[:, 1] + wanted[:, 2]) / 3
            wanted = np.stack([mean] * channels, axis=1)
        np.testing.assert_allclose(tensor.double().numpy(), wanted, rtol=1e-5, atol=1e-7, err_msg=name)


def shape_filter(weights: dict[str, Tensor], model: VideoModel) -> None:
    """The known bug: what has another shape is left out without a word."""
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in weights.items() if k in own and v.shape == own[k].shape}, strict=False)


@pytest.mark.parametrize(("rgb", "motion", "options", "more", "first", "channels"), VARIANTS, ids=str)
def test_every_variant_starts_from_rgb(
    rgb: str, motion: str, options: dict[str, Any], more: dict[str, Any], first: str, channels: int
) -> None:
    source = counted(create_model(rgb, 5, **options))
    weights = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    model = create_model(motion, 5, **options, **more, seed=1)
    assert first_layer(model) == first
    report = start_from(model, source, across_modalities)
    check(weights, model, first, channels)
    check_names = (report.names("transformed"), report.names("missing"), report.names("refused"))
    assert check_names == ([f"{first}.weight"], [], [])
    assert len(report.names("used")) == len(weights) - 1
    (transformed,) = (line for line in report.source_tensors if line.outcome == "transformed")
    assert transformed.detail == f"mean over RGB, repeated for {channels} channels, not rescaled"
    assert model.provenance is not None
    assert model.provenance["started_from"]["method"] == "cross-modality first layer"
    assert all(torch.equal(tensor, weights[name]) for name, tensor in source.state_dict().items())
    # Another network of the same kind, loaded as the known bug has it, does not pass.
    skipped = create_model(motion, 5, **options, **more, seed=1)
    shape_filter(weights, skipped)
    with pytest.raises(AssertionError, match=rf"{first}\.weight"):
        check(weights, skipped, first, channels)


def test_a_gray_picture_counts_once_for_each_channel() -> None:
    # Nothing is rescaled: ten channels of a gray level give 10/3 of what three give.
    source = counted(create_model("tsn_bn_inception", 5, **INCEPTION))
    model = create_model("tsn_bn_inception", 5, **INCEPTION, modality="flow").eval()
    start_from(model, source, across_modalities)
    gray = torch.randn(1, 1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        bias = source.conv1_7x7_s2.bias[:, None, None, None]
        three = source.conv1_7x7_s2(gray.expand(-1, 3, -1, -1, -1)) - bias
        ten = model.conv1_7x7_s2(gray.expand(-1, 10, -1, -1, -1)) - bias
    torch.testing.assert_close(ten, three * 10 / 3, rtol=1e-4, atol=1e-4)
    assert three.abs().max() > 0.1


def test_another_number_of_classes_leaves_a_fresh_classifier() -> None:
    source = counted(create_model("tsn_resnet50", 7, **RESNET))
    model = create_model("tsn_resnet50", 5, **RESNET, modality="flow")
    head = model.fc_action.weight.detach().clone()
    report = start_from(model, source, across_modalities)
    assert torch.equal(model.fc_action.weight, head)
    assert report.names("missing") == report.names("refused") == ["fc_action.weight", "fc_action.bias"]


def test_what_cannot_cross_is_refused() -> None:
    rgb, flow, difference = (
        create_model("tsn_resnet50", 5, **RESNET, modality=modality) for modality in ("rgb", "flow", "rgb_difference")
    )
    with pytest.raises(UsageError, match="takes RGB, so there is no modality to cross"):
        across_modalities(flow.state_dict(), rgb)
    # A mean over x and y of several fields is no picture.
    with pytest.raises(
        InputDataError, match=r"conv1.weight is refused: its shape is 8×10×1×7×7 where conv1.weight has 8×15×1×7×7"
    ):
        across_modalities(flow.state_dict(), difference)
    with pytest.raises(InputDataError, match=r"conv1.weight is missing"):
        across_modalities({k: v for k, v in rgb.state_dict().items() if k != "conv1.weight"}, flow)
    found, report = across_modalities(
        flow.state_dict(), create_model("tsn_resnet50", 5, **RESNET, modality="warped_flow")
    )
    assert torch.equal(found["conv1.weight"], flow.state_dict()["conv1.weight"])
    assert report.names("transformed") == []


def test_a_network_without_convolution_on_its_input_is_said() -> None:
    model = create_model("tsn_resnet50", 5, **RESNET, modality="flow")
    model.conv1 = nn.Conv3d(4, 8, 1)
    with pytest.raises(UsageError, match="has no convolution on its input"):
        first_layer(model)
