"""Res3D's studies: depth, 2-D and mixed stages, factored convolutions (spec c3d_res3d.md, section 9; VMZ)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models import create_model, list_models, model_info
from tubelet.models.contract import VideoModel
from tubelet.models.counts import LayerUse
from tubelet.models.r2plus1d import equal_weights
from tubelet.models.registry import build_meta

# Millions of parameters at 400 classes and 10⁹ multiply-adds of 8 frames, as VMZ's tutorials/models.md prints them.
VMZ = {
    "mc2_18": ("11.4 M", "14.3 G"),
    "mc3_18": ("11.7 M", "21.7 G"),
    "mc4_18": ("12.7 M", "20 G"),
    "mc5_18": ("16.8 M", "20 G"),
    "rmc2_18": ("33.3 M", "19.9 G"),
    "rmc3_18": ("33 M", "12.5 G"),
    "rmc4_18": ("32 M", "14.5 G"),
    "rmc5_18": ("27.9 M", "15.4 G"),
    "r2plus1d_18": ("33.3 M", "20.7 G"),
}


def layers(name: str, **options: Any) -> dict[str, LayerUse]:
    return {layer.name: layer for layer in model_info(name, **options).layers}


def shown(figure: str) -> float:
    return float(figure.split()[0])


@pytest.mark.parametrize("name", VMZ)
def test_figures_are_those_the_authors_print(name: str) -> None:
    info, source = model_info(name, 400), build_meta(name, 400, {}).source
    parameters, macs = VMZ[name]
    assert dict(source.printed) == {"parameters": parameters, "multiply-adds": macs}
    assert source.reconstruction == name.startswith("rmc")
    # They round some figures and cut off others: 16.856 is printed as 16.8, 14.273 as 14.3.
    assert abs(info.parameters / 1e6 - shown(parameters)) < 0.1
    assert abs(info.macs / 1e9 - shown(macs)) < 0.1


def test_frame_wise_r2d_costs_what_the_authors_print() -> None:
    info = model_info("r2d_18", 400, clip_length=8)  # fR2D-18: 11.4 M, 13.8 G
    assert (round(info.parameters / 1e6, 1), round(info.macs / 1e9, 1)) == (11.4, 13.8)


# ---------------------------------------------------------------------- depth


@pytest.mark.parametrize("name", ["sr10", "sr16", "sr18", "sr26", "sr34", "res3d_18", "res3d_34", "r2d_18", "r2d_34"])
def test_a_network_has_as_many_layers_as_its_name_says(name: str) -> None:
    on_the_way = [layer for layer in layers(name) if not layer.endswith("branch1")]
    assert len(on_the_way) == int(name[-2:])


@pytest.mark.parametrize("name", ["sr10", "sr16", "sr26", "sr34"])
def test_every_depth_is_the_simplified_network(name: str) -> None:
    model = build_meta(name, 101, {})
    assert model.input.shape == (3, 4, 112, 112)
    found = layers(name)
    assert found["res5a.branch2a"].settings["stride"] == found["res5a.branch1"].settings["stride"] == [1, 2, 2]
    assert found["res4a.branch2a"].settings["stride"] == [2, 2, 2]
    last = [layer.output_shape for key, layer in found.items() if key.startswith("res5")][-1]
    assert last == (1, 512, 1, 7, 7)


def test_what_nobody_counted_is_a_reconstruction() -> None:
    family = [name for name in list_models() if name.startswith(("sr", "res3d", "mc", "rmc", "r2"))]
    assert len(family) == 18
    sources = {name: build_meta(name, 101, {}).source for name in family}
    assert [name for name, source in sources.items() if source.reconstruction] == [
        "rmc2_18", "rmc3_18", "rmc4_18", "rmc5_18", "sr26",
    ]  # fmt: skip
    assert "2, 3, 4, 3" in sources["sr26"].choices[0]
    assert all(source.origin for source in sources.values())
    assert sources["res3d_18"].printed == {"parameters": "33.2 M", "multiply-adds": "19.3 G"}
    assert sources["sr18"].printed == {"multiply-adds": "10.3 G"}


def test_the_paper_prints_fewer_multiply_adds_than_its_table_takes() -> None:
    # spec, D11: 19.3 and 10.3 are printed, 20.348 and 10.784 follow from table 2; parameters agree.
    for name, exact in (("res3d_18", 20.348), ("sr18", 10.784)):
        printed = shown(build_meta(name, 101, {}).source.printed["multiply-adds"])
        assert printed < 0.97 * exact
        assert model_info(name).macs / 1e9 == pytest.approx(exact, abs=5e-4)


# ---------------------------------------------------------------------- 3-D and 2-D stages


@pytest.mark.parametrize(
    ("name", "deep", "frames"),
    [
        ("mc2_18", "1", (8, 8, 8, 8, 8)),
        ("mc3_18", "12", (8, 8, 8, 8, 8)),
        ("mc4_18", "123", (8, 8, 4, 4, 4)),
        ("mc5_18", "1234", (8, 8, 4, 2, 2)),
        ("rmc2_18", "2345", (8, 8, 4, 2, 1)),
        ("rmc3_18", "345", (8, 8, 4, 2, 1)),
        ("rmc4_18", "45", (8, 8, 8, 4, 2)),
        ("rmc5_18", "5", (8, 8, 8, 8, 4)),
        ("r2plus1d_18", "12345", (8, 8, 4, 2, 1)),
    ],
)
def test_kernels_and_frames_of_each_stage(name: str, deep: str, frames: tuple[int, ...]) -> None:
    model = build_meta(name, 101, {})
    with torch.device("meta"):
        found = model.eval().features(torch.empty(1, 3, 8, 112, 112), model.layer_names)
    for stage, (layer, side) in enumerate({"conv1": 56, "res2b": 56, "res3b": 28, "res4b": 14, "res5b": 7}.items()):
        assert found[layer].shape[2:] == (frames[stage], side, side), layer
    for key, module in model.named_modules():
        if isinstance(module, nn.Conv3d) and not key.endswith(("branch1", "middle")):
            stage_name = "1" if key.startswith("conv1") else key[3]
            depth = 3 if stage_name in deep else 1
            assert module.kernel_size[0] == depth, key
            assert module.padding[0] == depth // 2, key
            if depth == 1:
                assert module.stride[0] == 1, key


def changed_frames(name: str, layer: str, **options: Any) -> list[int]:
    """Frames of a layer that change when the first frame of the clip does."""
    model = create_model(name, 3, width=1 / 16, side=32, clip_length=8, **options).eval()
    x = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    other = x.clone()
    other[:, :, 0] += 1
    with torch.no_grad():
        before, after = (model.features(clip, (layer,))[layer] for clip in (x, other))
    differs = (before != after).amax((0, 1, 3, 4))
    return [t for t, changed in enumerate(differs.tolist()) if changed]


def test_2d_stages_keep_frames_apart() -> None:
    assert changed_frames("r2d_18", "res5b") == [0]
    assert changed_frames("rmc5_18", "res4b") == [0]
    # Kernels of three frames reach one further each: conv1 of MC2; conv1 and the four of stage 2 of MC3.
    assert changed_frames("mc2_18", "res5b") == [0, 1]
    assert changed_frames("mc3_18", "res5b") == [0, 1, 2, 3, 4, 5]
    assert changed_frames("rmc5_18", "res5a") == [0, 1]


def test_a_2d_network_does_not_see_the_order_of_frames() -> None:
    model = create_model("r2d_18", 5, width=1 / 8, side=32, clip_length=4).eval()
    x = torch.randn(1, *model.input.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean = torch.stack([model.features(x[:, :, t : t + 1], ("pool5",))["pool5"] for t in range(4)]).mean(0)
        torch.testing.assert_close(model.features(x, ("pool5",))["pool5"], mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model(x.flip(2)), model(x), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------- factored convolutions


@pytest.mark.parametrize(
    ("channels", "out", "middle"),
    [
        (64, 64, 144),
        (64, 128, 230),
        (128, 128, 288),
        (128, 256, 460),
        (256, 256, 576),
        (256, 512, 921),
        (512, 512, 1152),
    ],
)
def test_channels_between_factors(channels: int, out: int, middle: int) -> None:
    assert equal_weights(channels, out, (3, 3, 3)) == middle
    # spec: int(3·C·C'·9 / (9·C + 3·C')); one more would be more than the 27·C·C' weights of the whole.
    cost = 9 * channels + 3 * out
    assert middle * cost <= 27 * channels * out < (middle + 1) * cost


def test_factors_have_the_tables_channels_and_split_the_strides() -> None:
    found = layers("r2plus1d_18")
    channels = {key.removesuffix(".middle"): use.output_shape[1] for key, use in found.items() if "middle" in key}
    assert channels == {
        "conv1": 45,
        "res2a.branch2a": 144, "res2a.branch2b": 144, "res2b.branch2a": 144, "res2b.branch2b": 144,
        "res3a.branch2a": 230, "res3a.branch2b": 288, "res3b.branch2a": 288, "res3b.branch2b": 288,
        "res4a.branch2a": 460, "res4a.branch2b": 576, "res4b.branch2a": 576, "res4b.branch2b": 576,
        "res5a.branch2a": 921, "res5a.branch2b": 1152, "res5b.branch2a": 1152, "res5b.branch2b": 1152,
    }  # fmt: skip
    assert found["conv1.middle"].settings["kernel_size"] == [1, 7, 7]
    assert found["conv1.middle"].settings["stride"] == [1, 2, 2]
    assert found["conv1.time"].settings["kernel_size"] == [3, 1, 1]
    assert found["conv1.time"].settings["stride"] == [1, 1, 1]
    for stage in "345":
        first = f"res{stage}a.branch2a"
        assert found[f"{first}.middle"].settings["stride"] == [1, 2, 2]
        assert found[f"{first}.time"].settings["stride"] == [2, 1, 1]
        assert found[f"res{stage}a.branch1"].settings["stride"] == [2, 2, 2]


def test_a_factored_network_has_the_parameters_of_the_whole_one() -> None:
    whole, factored = model_info("res3d_18").parameters, model_info("r2plus1d_18").parameters
    assert factored == 33_217_452
    assert abs(factored - whole) < 1e-3 * whole
    assert build_meta("r2plus1d_18", 5, {"width": 0.5}).conv1.middle.out_channels == 22  # half of 45, rounded to even


# ---------------------------------------------------------------------- all of them


def test_starting_weights_are_msra_fan_out_and_norms_have_their_epsilon() -> None:
    for name, epsilon in {"mc3_18": 1e-3, "rmc4_18": 1e-3, "r2plus1d_18": 1e-3, "r2d_18": 1e-5, "sr10": 1e-5}.items():
        model = create_model(name, 7, width=0.5)
        for key, module in model.named_modules():
            if isinstance(module, nn.Conv3d):
                std, n = (2 / module.weight[:, 0].numel()) ** 0.5, module.weight.numel()
                assert float(module.weight.detach().std()) == pytest.approx(std, rel=4 / (2 * n) ** 0.5), key
                assert module.bias is None
            elif isinstance(module, nn.BatchNorm3d):
                assert module.eps == epsilon, key


def projected(model: VideoModel) -> bool:
    weights: dict[str, Tensor] = model.state_dict()
    return "res2a.branch1.weight" in weights


@pytest.mark.parametrize("name", ["sr10", "sr34", "mc2_18", "rmc5_18", "r2d_34", "r2plus1d_18"])
def test_every_one_can_project_at_res2a(name: str) -> None:
    assert not projected(build_meta(name, 5, {}))
    assert projected(build_meta(name, 5, {"projection": True}))
    difference = model_info(name, projection=True).parameters - model_info(name).parameters
    assert difference == 64 * 64 + 2 * 64


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"width": "1"}, {"clip_length": 0}, {"side": 1.5}, {"projection": 1}], ids=str
)
@pytest.mark.parametrize("name", ["sr26", "mc4_18", "r2d_18", "r2plus1d_18"])
def test_impossible_options_are_said(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options))}="):
        create_model(name, 5, **options)
