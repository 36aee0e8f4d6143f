from __future__ import annotations

import numpy as np
import pytest
import torch

from tubelet.descriptors.pooling import clip_vectors
from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.registry import build_meta

# The released prototxt at 227 x 227: output, parameters, multiply-adds. Products written out.
TABLE = {
    "conv1": ((96, 55, 55), 96 * 3 * 121 + 96, 96 * 3 * 121 * 55 * 55),
    "conv2": ((256, 27, 27), 256 * 48 * 25 + 256, 256 * 48 * 25 * 27 * 27),
    "conv3": ((384, 13, 13), 384 * 256 * 9 + 384, 384 * 256 * 9 * 13 * 13),
    "conv4": ((384, 13, 13), 384 * 192 * 9 + 384, 384 * 192 * 9 * 13 * 13),
    "conv5": ((256, 13, 13), 256 * 192 * 9 + 256, 256 * 192 * 9 * 13 * 13),
    "fc6": ((4096,), 4096 * 9216 + 4096, 4096 * 9216),
    "fc7": ((4096,), 4096 * 4096 + 4096, 4096 * 4096),
    "fc8": ((1000,), 1000 * 4096 + 1000, 1000 * 4096),
}

SMALL = {"width": 0.125, "side": 67}


def test_layers_are_those_of_the_prototxt() -> None:
    info = model_info("alexnet", 1000)
    assert [layer.name for layer in info.layers] == list(TABLE)
    for layer in info.layers:
        shape, parameters, macs = TABLE[layer.name]
        assert (layer.parameters, layer.macs) == (parameters, macs), layer.name
        assert [n for n in layer.output_shape[1:] if n != 1] == list(shape)
    assert info.parameters == sum(row[1] for row in TABLE.values()) == 60_965_224
    assert info.macs == sum(row[2] for row in TABLE.values()) == 724_406_816


def test_full_size_activations_keep_the_frames() -> None:
    model = build_meta("alexnet", 1000, {"clip_length": 2})
    found = model.features(torch.empty(3, 3, 2, 227, 227, device="meta"), model.layer_names)
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    assert shapes["pool1"] == shapes["norm1"] == (3, 96, 2, 27, 27)
    assert shapes["pool2"] == shapes["norm2"] == (3, 256, 2, 13, 13)
    assert shapes["pool5"] == (3, 256, 2, 6, 6)
    assert shapes["fc6"] == shapes["fc7"] == (3, 4096, 2, 1, 1)
    assert shapes["fc8"] == shapes["prob"] == (3, 1000)


def test_a_norm_divides_the_mean_square_of_five_channels() -> None:
    model = create_model("alexnet", 5, **SMALL)
    x = 300 * torch.randn(1, 12, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    array = x.numpy()
    expected = np.empty_like(array)
    for channel in range(12):
        around = (array[:, max(channel - 2, 0) : channel + 3] ** 2).sum(1)
        expected[:, channel] = array[:, channel] / (1 + 1e-4 / 5 * around) ** 0.75
    torch.testing.assert_close(model.norm1(x), torch.from_numpy(expected))
    # As strong as intended: with Krizhevsky's k = 2, or α not divided by five, it would be something else.
    assert not np.allclose(expected, array / 1.5)


@pytest.mark.parametrize(("layer", "inputs"), [("conv2", 6), ("conv4", 24), ("conv5", 24)])
def test_half_the_filters_see_half_the_channels(layer: str, inputs: int) -> None:
    conv = create_model("alexnet", 5, **SMALL).get_submodule(layer)
    x = torch.randn(1, 2 * inputs, 1, 5, 5)
    other = x.clone()
    other[:, inputs:] += 1
    before, after = conv(x), conv(other)
    half = before.shape[1] // 2
    torch.testing.assert_close(before[:, :half], after[:, :half], rtol=0, atol=0)
    assert not torch.isclose(before[:, half:], after[:, half:]).any()


def test_krizhevskys_order_changes_values_and_no_count() -> None:
    first = create_model("alexnet", 5, norm_first=True, **SMALL)
    pooled = create_model("alexnet", 5, **SMALL)
    assert pooled.layer_names[:3] == ("conv1", "pool1", "norm1")
    assert first.layer_names[:6] == ("conv1", "norm1", "pool1", "conv2", "norm2", "pool2")
    assert first.layer_names[6:] == pooled.layer_names[6:]
    assert model_info("alexnet", norm_first=True).parameters == model_info("alexnet").parameters
    first.load_state_dict(pooled.state_dict())
    x = 100 * torch.randn(2, 3, 1, 67, 67, generator=torch.Generator().manual_seed(0))
    a, b = (model.eval().features(x, ("conv1", "conv2")) for model in (first, pooled))
    assert torch.equal(a["conv1"], b["conv1"])
    assert not torch.allclose(a["conv2"], b["conv2"])


def test_the_logits_of_a_clip_are_the_mean_of_its_frames() -> None:
    clip = create_model("alexnet", 5, clip_length=3, **SMALL).eval()
    frame = create_model("alexnet", 5, **SMALL).eval()
    frame.load_state_dict(clip.state_dict())
    x = 100 * torch.randn(2, 3, 3, 67, 67, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        frames = [frame(x[:, :, t : t + 1]) for t in range(3)]
        torch.testing.assert_close(clip(x), torch.stack(frames).mean(0), rtol=1e-4, atol=1e-6)
        # The Imagenet baseline describes a clip by the mean of its frames' fc6.
        each = [frame.features(x[:, :, t : t + 1], ("fc6",))["fc6"].flatten(1) for t in range(3)]
        found = clip_vectors("fc6", clip.features(x, ("fc6",))["fc6"])
    torch.testing.assert_close(found, torch.stack(each).mean(0), rtol=1e-4, atol=1e-6)


def test_starting_weights_are_those_of_the_prototxts() -> None:
    for norm_first, bias in ((False, 1.0), (True, 0.1)):
        model = create_model("alexnet", 1000, width=0.25, side=99, norm_first=norm_first)
        for name, std in (("conv2", 0.01), ("conv3", 0.01), ("fc6", 0.005), ("fc7", 0.005), ("fc8", 0.01)):
            assert model.get_submodule(name).weight.std().item() == pytest.approx(std, rel=0.03), name
        for name in ("conv1", "conv3", "fc8"):
            assert (model.get_submodule(name).bias == 0).all(), name
        for name in ("conv2", "conv4", "conv5", "fc6", "fc7"):
            assert (model.get_submodule(name).bias == bias).all(), name


def test_odd_widths_keep_the_groups_even() -> None:
    model = create_model("alexnet", 5, width=0.07, side=67).eval()
    assert [model.get_submodule(f"conv{i}").out_channels % 2 for i in range(1, 6)] == [0] * 5
    assert model(torch.zeros(1, 3, 1, 67, 67)).shape == (1, 5)


def test_wrong_options_are_said() -> None:
    for options in ({"side": 30}, {"side": 10}):
        with pytest.raises(UsageError, match=r"nothing left of side=\d+ at .*make it larger"):
            create_model("alexnet", 5, **options)
    with pytest.raises(UsageError, match="norm_first='yes' is neither True nor False"):
        create_model("alexnet", 5, norm_first="yes")
    with pytest.raises(UsageError, match="dropout=1"):
        create_model("alexnet", 5, dropout=1)
    with pytest.raises(UsageError, match="clip_length=0"):
        create_model("alexnet", 5, clip_length=0)


def test_the_source_is_named() -> None:
    source = build_meta("alexnet", 1000, {}).source
    assert "bvlc_reference_caffenet" in source.origin
