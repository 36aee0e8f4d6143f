from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.contract import VideoModel
from tubelet.models.registry import build_meta

NAMES = tuple(f"deepvideo_{kind}" for kind in ("early", "late", "multires", "single", "slow"))


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    model = build_meta(name, 487, {})
    x = torch.empty(1, *model.input.shape, device="meta")
    return {layer: tuple(value.shape[1:]) for layer, value in model.features(x, model.layer_names).items()}


def small(name: str, **options: object) -> VideoModel:
    model = create_model(name, 5, **{"width": 1 / 16, "side": 94 if name.endswith("multires") else 47, **options})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            fan = parameter[0].numel() if key.endswith("weight") else 200
            parameter.normal_(0, (2 / fan) ** 0.5, generator=generator)
    return model.eval()


def clip(model: VideoModel) -> Tensor:
    return torch.randn(1, *model.input.shape, generator=torch.Generator().manual_seed(3))


# ---------------------------------------------------------------------- geometry


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("deepvideo_single", (1, 1, 1, 1, 1)),
        ("deepvideo_early", (1, 1, 1, 1, 1)),
        ("deepvideo_late", (2, 2, 2, 2, 2)),
        ("deepvideo_slow", (4, 2, 1, 1, 1)),
    ],
)
def test_full_frames_end_in_7_by_7(name: str, frames: tuple[int, ...]) -> None:
    found = shapes(name)
    convs = [found[f"conv{i}"] for i in range(1, 6)]
    assert [shape[0] for shape in convs] == [96, 256, 384, 384, 256]
    assert tuple(shape[1] for shape in convs) == frames
    assert [shape[2] for shape in convs] == [54, 27, 14, 14, 14]
    assert [found[f"pool{i}"][2:] for i in (1, 2, 5)] == [(27, 27), (14, 14), (7, 7)]
    assert found["pool5"][0] == 256
    assert found["fc6"][0] == found["fc7"][0] == 4096
    assert found["fc8"] == (487,)


def test_both_streams_of_multires_end_in_7_by_7_without_the_last_pooling() -> None:
    found = shapes("deepvideo_multires")
    for stream in ("context", "fovea"):
        assert [found[f"{stream}_conv{i}"][2] for i in range(1, 6)] == [27, 14, 7, 7, 7]
        assert found[f"{stream}_conv5"] == (256, 1, 7, 7)
        assert f"{stream}_pool5" not in found
    assert model_info("deepvideo_multires").layers[-3].settings["in_features"] == 2 * 7 * 7 * 256


def test_kernels_and_strides_in_time() -> None:
    def convs(name: str) -> list[tuple[list[int], list[int]]]:
        uses = [layer for layer in model_info(name).layers if layer.kind == "conv3d"]
        return [(layer.settings["kernel_size"], layer.settings["stride"]) for layer in uses]

    assert convs("deepvideo_single")[0] == ([1, 11, 11], [1, 3, 3])
    assert convs("deepvideo_early")[0] == ([10, 11, 11], [1, 3, 3])
    assert convs("deepvideo_early")[1:] == convs("deepvideo_single")[1:] == convs("deepvideo_late")[1:]
    assert convs("deepvideo_slow") == [
        ([4, 11, 11], [2, 3, 3]),
        ([2, 5, 5], [2, 1, 1]),
        ([2, 3, 3], [2, 1, 1]),
        ([1, 3, 3], [1, 1, 1]),
        ([1, 3, 3], [1, 1, 1]),
    ]


def test_inputs_are_the_papers() -> None:
    clips = {name: model_info(name).input for name in NAMES}
    assert {name: spec.shape for name, spec in clips.items()} == {
        "deepvideo_single": (3, 1, 170, 170),
        "deepvideo_early": (3, 10, 170, 170),
        "deepvideo_late": (3, 2, 170, 170),
        "deepvideo_slow": (3, 10, 170, 170),
        "deepvideo_multires": (3, 1, 178, 178),
    }
    assert {spec.step_frames for name, spec in clips.items() if name != "deepvideo_late"} == {1}
    assert clips["deepvideo_late"].step_frames == 15
    assert {spec.recipe for spec in clips.values()} == {"deepvideo"}


def test_parameters_by_hand() -> None:
    kernels = [(96, 3, 11, 11), (256, 96, 5, 5), (384, 256, 3, 3), (384, 384, 3, 3), (256, 384, 3, 3)]
    trunk = sum(prod(kernel) + kernel[0] for kernel in kernels)
    ends = 4096 * 4097 + 487 * 4097

    def fc6(maps: int) -> int:
        return (maps * 7 * 7 * 256 + 1) * 4096

    more_time = 3 * prod(kernels[0]) + prod(kernels[1]) + prod(kernels[2])
    expected = {
        "deepvideo_single": trunk + fc6(1) + ends,
        "deepvideo_early": trunk + 9 * prod(kernels[0]) + fc6(1) + ends,
        "deepvideo_late": trunk + fc6(2) + ends,
        "deepvideo_slow": trunk + more_time + fc6(1) + ends,
        "deepvideo_multires": 2 * trunk + fc6(2) + ends,
    }
    assert {name: model_info(name, 487).parameters for name in NAMES} == expected


# ---------------------------------------------------------------------- who sees what


def test_fused_nets_see_the_order_of_frames_and_the_single_frame_net_does_not() -> None:
    for name, sees in (("single", False), ("late", True), ("early", True), ("slow", True)):
        model = small(f"deepvideo_{name}", **({"clip_length": 4} if name == "single" else {}))
        x = clip(model)
        with torch.no_grad():
            forward, backward = model(x), model(x.flip(2))
        assert torch.allclose(forward, backward, rtol=1e-4, atol=1e-5) != sees, name


def test_both_towers_of_late_fusion_are_the_same() -> None:
    model = small("deepvideo_late")
    x = clip(model)
    with torch.no_grad():
        maps = model.features(x, ("pool5",))["pool5"]
        swapped = model.features(x.flip(2), ("pool5",))["pool5"]
    torch.testing.assert_close(maps.flip(2), swapped)


def test_fovea_sees_details_in_the_middle_and_context_sees_none() -> None:
    model = small("deepvideo_multires")  # 94 pixels: the middle is 23 to 69
    x = clip(model)
    names = ("context_conv5", "fovea_conv5")
    with torch.no_grad():
        before = model.features(x, names)
        for corner, seen in ((4, False), (40, True)):
            other = x.clone()
            # A detail that half the resolution averages away.
            other[..., corner, corner] += 8
            other[..., corner + 1, corner] -= 8
            after = model.features(other, names)
            torch.testing.assert_close(after["context_conv5"], before["context_conv5"], rtol=1e-4, atol=1e-5)
            assert torch.equal(after["fovea_conv5"], before["fovea_conv5"]) != seen
        brighter = x.clone()
        brighter[..., :20, :20] += 8
        after = model.features(brighter, names)
    assert not torch.allclose(after["context_conv5"], before["context_conv5"], atol=1e-2)
    assert torch.equal(after["fovea_conv5"], before["fovea_conv5"])


def test_normalization_is_krizhevskys_with_a_power_of_a_half() -> None:
    model = small("deepvideo_single")
    with torch.no_grad():
        found = model.features(60 * clip(model), ("conv1", "pool1"))
    x, after = (found[layer][0, :, 0].double().numpy() for layer in ("conv1", "pool1"))

    def normalized(alpha: float, beta: float) -> np.ndarray:
        sums = np.stack([(x[max(0, c - 2) : c + 3] ** 2).sum(0) for c in range(len(x))])
        y = np.pad(x / (2 + alpha * sums) ** beta, ((0, 0), (0, 1), (0, 1)))  # 13 rows under windows of two
        return y.reshape(len(x), 7, 2, 7, 2).max((2, 4))

    np.testing.assert_allclose(after, normalized(1e-4, 0.5), rtol=1e-5, atol=1e-6)
    for alpha, beta in ((2e-5, 0.5), (1e-4, 0.75)):
        assert np.abs(normalized(alpha, beta) - after).max() > 0.05 * np.abs(after).max()


# ---------------------------------------------------------------------- reconstruction and options


@pytest.mark.parametrize("name", NAMES)
def test_they_are_reconstructions_and_say_what_was_chosen(name: str) -> None:
    model = build_meta(name, 5, {})
    assert model.source.reconstruction
    assert model.source.printed == {}
    words = " ".join(model.source.choices)
    for word in ("padded", "round up", "5e-4", "0.01", "dropout", "maximum", "ReLU"):
        assert word in words
    assert ("2×2 pixels" in words) == name.endswith("multires")
    assert model.paper.url.startswith("https://cs.stanford.edu/")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("deepvideo_multires", {"side": 177}, "side=177 is odd"),
        ("deepvideo_single", {"side": 10}, "side=10 is too small"),
        ("deepvideo_multires", {"side": 20}, "side=20 is too small"),
        ("deepvideo_late", {"step_frames": 0}, "step_frames=0"),
        ("deepvideo_early", {"clip_length": 0}, "clip_length=0"),
        ("deepvideo_slow", {"clip_length": 16}, "has no option 'clip_length'"),
        ("deepvideo_slow", {"width": 0}, "width=0"),
        ("deepvideo_slow", {"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_impossible_options_are_said(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_model(name, 5, **options)


def test_weights_start_gaussian() -> None:
    model = create_model("deepvideo_multires", 101, width=0.125, side=94)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            n = module.weight.numel()
            assert float(module.weight.detach().std()) == pytest.approx(0.01, rel=5 / (2 * n) ** 0.5), name
            assert (module.bias == 0).all(), name
