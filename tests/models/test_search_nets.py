from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from tubelet.errors import UsageError
from tubelet.models import create_model, list_models, model_info
from tubelet.models.registry import build_meta

# Kernel depths, convolution parameters and total at 101 classes: spec c3d_res3d.md, section 2.
NETS = {
    "c3d_depth1": ((1, 1, 1, 1, 1), 1_550_976, 14_344_933),
    "c3d_depth3": ((3, 3, 3, 3, 3), 4_651_008, 17_444_965),
    "c3d_depth5": ((5, 5, 5, 5, 5), 7_751_040, 20_544_997),
    "c3d_depth7": ((7, 7, 7, 7, 7), 10_851_072, 23_645_029),
    "c3d_increasing": ((3, 3, 5, 5, 7), 8_779_776, 21_573_733),
    "c3d_decreasing": ((7, 5, 5, 3, 3), 5_395_200, 18_189_157),
}


@pytest.mark.parametrize("name", NETS)
def test_depths_and_counts(name: str) -> None:
    depths, convolutions, total = NETS[name]
    info = model_info(name)
    convs = [layer for layer in info.layers if layer.kind == "conv3d"]
    assert [layer.name for layer in convs] == ["conv1a", "conv2a", "conv3a", "conv4a", "conv5a"]
    assert tuple(layer.settings["kernel_size"][0] for layer in convs) == depths
    assert sum(layer.parameters for layer in convs) == convolutions
    assert info.parameters == total
    assert [layer.output_shape[2] for layer in convs] == [16, 16, 8, 4, 2]
    assert info.layers[-3].input_shape == (1, 4096)


def test_six_nets_are_listed() -> None:
    assert set(NETS) <= set(list_models("c3d_*"))


@pytest.mark.parametrize(("side", "total"), [(56, 11_153_509), (112, 17_444_965), (224, 34_746_469)])
def test_net_64_128_256(side: int, total: int) -> None:
    assert model_info("c3d_depth3", side=side).parameters == total


@pytest.mark.parametrize(
    ("name", "total", "gmacs"), [("c3d_depth1", 17_100_517, 17.84), ("c3d_depth3", 25_711_717, 53.48)]
)
def test_kernels_of_five_keep_the_sizes(name: str, total: int, gmacs: float) -> None:
    wide, narrow = model_info(name, kernel=5), model_info(name)
    assert (wide.parameters, round(wide.macs / 1e9, 2)) == (total, gmacs)
    assert [layer.output_shape for layer in wide.layers] == [layer.output_shape for layer in narrow.layers]
    for layer in wide.layers[:5]:
        assert layer.settings["kernel_size"][1:] == [5, 5]
        assert layer.settings["padding"][1:] == [2, 2]


@pytest.mark.parametrize("kernel", [4, 7, 1, 0, "5", True, 3.5])
def test_other_kernels_are_refused(kernel: object) -> None:
    for name in ("c3d_depth3", "c3d_small"):
        with pytest.raises(UsageError, match="kernel="):
            model_info(name, kernel=kernel)


def test_whole_frames_need_more_of_fc6() -> None:
    # spec, section 2: 240 x 320 leave 256 x 1 x 8 x 10, and 128 x 171 leave 256 x 1 x 4 x 6.
    for side, inputs, total in (((240, 320), 20_480, 50_999_397), ((128, 171), 6_144, 21_639_269)):
        info = model_info("c3d_depth3", side=side)
        assert info.layers[-3].input_shape == (1, inputs)
        assert info.parameters == total
        assert info.input.shape == (3, 16, *side)
        assert info.input.height_width == side
        assert info.options["side"] == list(side)
    assert model_info("c3d", side=[128, 171]).input.shape == (3, 16, 128, 171)


@pytest.mark.parametrize("side", [(), (240,), (240, 320, 3), (240, 0), (240, 32.5), "240", (True, 32), None])
def test_sizes_that_are_none_are_refused(side: object) -> None:
    with pytest.raises(UsageError, match="side="):
        model_info("c3d_depth3", side=side)


def test_sources_tell_what_the_paper_prints() -> None:
    depth3 = build_meta("c3d_depth3", 101, {}).source
    assert depth3.printed == {
        "parameters": "17.5 M",
        "parameters at side 56": "11.1 M",
        "parameters at side 224": "34.8 M",
    }
    for options, printed in (({}, 17.5), ({"side": 56}, 11.1), ({"side": 224}, 34.8)):
        assert abs(model_info("c3d_depth3", **options).parameters / 1e6 - printed) < 0.1  # type: ignore[arg-type]
    # spec, D5: the text's 17 thousand a step are 9 weights for every output channel, as if there were one input.
    assert 2 * 9 * (64 + 128 + 256 + 256 + 256) == 17_280
    for name in NETS:
        assert "3,100,032" in build_meta(name, 101, {}).source.origin
    assert "C3D-v1.0" in build_meta("c3d", 101, {}).source.origin
    assert not build_meta("c3d", 101, {}).source.printed
    assert build_meta("c3d_small", 101, {}).source.choices


def test_each_step_of_depth_adds_3_100_032_weights() -> None:
    totals = [model_info(f"c3d_depth{depth}").parameters for depth in (1, 3, 5, 7)]
    assert [b - a for a, b in pairwise(totals)] == [3_100_032] * 3


def test_small_preset_is_depth3_with_its_options() -> None:
    small = model_info("c3d_small", 10)
    same = model_info("c3d_depth3", 10, width=0.25, side=56, batch_norm=True, dropout=0.2)
    assert [x.settings for x in small.layers] == [x.settings for x in same.layers]
    assert [x.output_shape[1] for x in small.layers] == [16, 32, 64, 64, 64, 512, 512, 10]
    assert (small.parameters, small.macs) == (same.parameters, same.macs)
    assert {key: small.options[key] for key in same.options} == same.options
    assert small.input.recipe == "c3d_small"
    assert same.input.recipe == "c3d_channel_mean"
    one, two = create_model("c3d_small", 10), create_model("c3d_depth3", 10, **same.options)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_depth_profile_of_the_small_net() -> None:
    layers = model_info("c3d_small", depth=[7, 5, 5, 3, 3]).layers
    assert [layer.settings["kernel_size"][0] for layer in layers[:5]] == [7, 5, 5, 3, 3]
    for depth in (2, [3, 3], "33333", 0):
        with pytest.raises(UsageError, match="depth="):
            model_info("c3d_small", depth=depth)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("c3d_small", {"depth": 1}),
        ("c3d_depth1", {"width": 0.25, "side": 56, "batch_norm": True}),
        ("c3d_depth1", {}),
    ],
)
def test_depth_1_pooled_to_one_frame_cannot_see_the_arrow_of_time(name: str, options: dict[str, object]) -> None:
    model = create_model(name, 10, **options).eval()
    x = torch.randn(1, *model.input.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert model.features(x, ("pool5",))["pool5"].shape[2] == 1
        forward, backward = model(x), model(x.flip(2))
    spread = float(forward.std())
    assert spread > 0
    assert (forward - backward).abs().max() <= 1e-5 * min(1, spread)


def test_depth_3_can() -> None:
    model = create_model("c3d_small", 10).eval()
    x = torch.randn(1, *model.input.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (model(x) - model(x.flip(2))).abs().max() > 1e-3


def test_single_frame_net_is_a_2d_network() -> None:
    model = create_model("c3d_depth1", 4, width=0.125, side=56, clip_length=1).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 100
            parameter.normal_(0, (2 / fan) ** 0.5, generator=generator)
    frame = torch.randn(2, 3, 56, 56, generator=generator)
    x, weights = frame.double(), {k: v.double() for k, v in model.state_dict().items()}
    for stage in range(1, 6):
        x = F.conv2d(x, weights[f"conv{stage}a.weight"][:, :, 0], weights[f"conv{stage}a.bias"], padding=1).relu()
        x = F.max_pool2d(x, 2, ceil_mode=True)
    x = x.flatten(1)
    for fc in ("fc6", "fc7"):
        x = F.linear(x, weights[f"{fc}.weight"], weights[f"{fc}.bias"]).relu()
    x = F.linear(x, weights["fc8.weight"], weights["fc8.bias"])
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            found = model(frame.unsqueeze(2)).double()
        torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clip_length", [1, 2, 3, 7, 9, 17])
@pytest.mark.parametrize("name", ["c3d_depth1", "c3d_decreasing", "c3d_small"])
def test_any_clip_length_works(name: str, clip_length: int) -> None:
    model = create_model(name, 3, width=0.0625, side=20, clip_length=clip_length).eval()
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            assert model(torch.zeros(2, *model.input.shape)).shape == (2, 3)
