from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from suites.cases.alexnet import full, lstm
from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.contract import VideoModel
from tubelet.models.registry import build_meta

SMALL = {"width": 0.125, "side": 67, "clip_length": 5}


def lively(name: str, **options: object) -> VideoModel:
    """A narrow network whose signals reach the end."""
    model = create_model(name, 7, **{**SMALL, **options}).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 100
            parameter.normal_(0, (2 if key.startswith("lstm") else 1.4) * fan**-0.5, generator=generator)
    return model


def clip(frames: int = 5) -> torch.Tensor:
    return torch.randn(2, 3, frames, 67, 67, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["conv_pooling", "lstm_pooling"])
def test_a_clip_is_120_frames_one_a_second_and_the_network_a_reconstruction(name: str) -> None:
    model = build_meta(name, 101, {})
    assert model.input.shape == (3, 120, 227, 227)
    assert model.input.step_frames == 30
    assert build_meta(name, 101, {"step_frames": 25}).input.step_frames == 25
    assert model.source.reconstruction
    assert len(model.source.choices) >= 3


def test_full_size_activations_of_conv_pooling() -> None:
    model = build_meta("conv_pooling", 101, {})
    found = model.features(torch.empty(1, 3, 120, 227, 227, device="meta"), model.layer_names)
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    assert shapes["pool5"] == (1, 256, 120, 6, 6)
    assert shapes["pool_time"] == (1, 256, 1, 6, 6)
    assert shapes["fc6"] == shapes["fc7"] == (1, 4096)
    assert model.layer_names[-6:] == ("pool5", "pool_time", "fc6", "fc7", "fc8", "prob")


def test_conv_pooling_takes_the_largest_response_at_each_place_whatever_the_order() -> None:
    model, x = lively("conv_pooling"), clip()
    with torch.no_grad():
        found = model.features(x, ("conv5", "pool5", "pool_time", "fc8"))
        shuffled = model(x[:, :, [3, 0, 4, 2, 1]])
        one_less = model(torch.cat([x[:, :, :4], x[:, :, :1]], 2))
    expected = found["pool5"].max(2).values
    torch.testing.assert_close(found["pool_time"][:, :, 0], expected, rtol=0, atol=0)
    # Maximum over time of conv5, pooled in space, is the same.
    torch.testing.assert_close(F.max_pool2d(found["conv5"].max(2).values, 3, 2, ceil_mode=True), expected)
    torch.testing.assert_close(shuffled, found["fc8"], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(one_less, found["fc8"], rtol=1e-3)


def test_conv_pooling_is_alexnet_for_a_clip_of_one_frame_repeated() -> None:
    model = lively("conv_pooling")
    image = create_model("alexnet", 7, width=0.125, side=67).eval()
    image.load_state_dict(model.state_dict())
    x = clip(1)
    with torch.no_grad():
        torch.testing.assert_close(model(x.expand(-1, -1, 5, -1, -1)), image(x), rtol=1e-4, atol=1e-5)


def test_lstm_pooling_has_five_layers_of_512_cells_on_fc7() -> None:
    layers = {layer.name: layer for layer in model_info("lstm_pooling").layers}
    assert layers["lstm"].settings == {"input_size": 4096, "hidden_size": 512, "num_layers": 5}
    matrices = 4 * 512 * (4096 + 512) + 4 * 4 * 512 * (512 + 512)
    assert layers["lstm"].macs == 120 * matrices
    assert layers["lstm"].parameters == matrices + 5 * 2 * 4 * 512
    assert layers["fc7"].macs == 120 * 4096 * 4096


@pytest.mark.parametrize("votes", ["linear", "average", "last", "max"])
def test_frames_predict_one_by_one_and_are_combined(votes: str) -> None:
    model, x = lively("lstm_pooling", units=12, layers=2, votes=votes), clip()
    with torch.no_grad():
        found = model.features(x, ("fc7", "lstm", "prob"))
        weights = model.state_dict()
        hidden = lstm(weights, "lstm", found["fc7"].flatten(2).transpose(1, 2), 2)
        torch.testing.assert_close(found["lstm"].flatten(2).transpose(1, 2), hidden, rtol=1e-4, atol=1e-5)
        frames = full(weights, "fc8", hidden).softmax(2)
        torch.testing.assert_close(model.frame_logits(x).softmax(2), frames, rtol=1e-4, atol=1e-5)
    if votes == "max":
        expected = frames.max(1).values
        expected = expected / expected.sum(1, keepdim=True)
    else:
        gains = {"linear": [0, 0.25, 0.5, 0.75, 1], "average": [1] * 5, "last": [0, 0, 0, 0, 1]}[votes]
        gain = torch.tensor(gains, dtype=torch.float32)
        expected = (frames * gain[:, None]).sum(1) / gain.sum()
    torch.testing.assert_close(found["prob"], expected, rtol=1e-4, atol=1e-5)


def test_the_order_of_frames_matters_to_the_lstm() -> None:
    model, x = lively("lstm_pooling", units=12, layers=2), clip()
    with torch.no_grad():
        assert not torch.allclose(model(x), model(x.flip(2)), rtol=1e-3)


def test_the_lstm_starts_within_one_over_the_root_of_its_cells() -> None:
    model = create_model("lstm_pooling", 7, units=64, **SMALL)
    for key, parameter in model.lstm.named_parameters():
        assert parameter.abs().max() <= 0.125, key
        if parameter.dim() == 2:
            assert parameter.std().item() == pytest.approx(0.125 / 3**0.5, rel=0.03), key


def test_wrong_options_are_said() -> None:
    with pytest.raises(UsageError, match=r"votes='lineer' is unknown.*did you mean 'linear'"):
        create_model("lstm_pooling", 5, votes="lineer")
    with pytest.raises(UsageError, match="layers=0"):
        create_model("lstm_pooling", 5, layers=0)
    for name in ("conv_pooling", "lstm_pooling"):
        with pytest.raises(UsageError, match="step_frames=0"):
            create_model(name, 5, step_frames=0)
