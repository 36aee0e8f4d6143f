"""DenseNet3D and T3D beyond the suite (spec two_stream_tsn_p3d_t3d.md, section 4, rulings D27 to D33)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from tubelet.clips.recipes import get_recipe
from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.registry import build_meta
from tubelet.models.t3d import Branch, TemporalTransition

SMALL: dict[str, Any] = {"growth": 4, "stem": 8, "blocks": (1, 1, 1, 1), "side": 40, "clip_length": 16}

# Table 1 as T × H × W, with the channels of section 4.1.
STEM = {"conv0": (64, 16, 112, 112), "pool0": (64, 16, 56, 56), "denseblock1": (256, 16, 56, 56)}
TABLE: dict[str, dict[str, tuple[int, ...]]] = {
    "densenet3d_121": {
        **STEM,
        "transition1": (128, 8, 28, 28),
        "denseblock2": (512, 8, 28, 28),
        "transition2": (256, 4, 14, 14),
        "denseblock3": (1024, 4, 14, 14),
        "transition3": (512, 2, 7, 7),
        "denseblock4": (1024, 2, 7, 7),
        "norm5": (1024, 2, 7, 7),
        "pool5": (1024,),
    },
    "densenet3d_169": {
        **STEM,
        "transition1": (128, 8, 28, 28),
        "denseblock2": (512, 8, 28, 28),
        "transition2": (256, 4, 14, 14),
        "denseblock3": (1280, 4, 14, 14),
        "transition3": (640, 2, 7, 7),
        "denseblock4": (1664, 2, 7, 7),
        "norm5": (1664, 2, 7, 7),
        "pool5": (1664,),
    },
    "t3d_121": {
        **STEM,
        "ttl1": (384, 8, 28, 28),
        "denseblock2": (768, 8, 28, 28),
        "ttl2": (384, 4, 14, 14),
        "denseblock3": (1152, 4, 14, 14),
        "ttl3": (384, 2, 7, 7),
        "denseblock4": (896, 2, 7, 7),
        "norm5": (896, 2, 7, 7),
        "pool5": (896,),
    },
    "t3d_169": {
        **STEM,
        "ttl1": (384, 8, 28, 28),
        "denseblock2": (768, 8, 28, 28),
        "ttl2": (384, 4, 14, 14),
        "denseblock3": (1408, 4, 14, 14),
        "ttl3": (384, 2, 7, 7),
        "denseblock4": (1408, 2, 7, 7),
        "norm5": (1408, 2, 7, 7),
        "pool5": (1408,),
    },
}


@pytest.mark.parametrize("name", TABLE)
def test_shapes_are_those_of_table_1(name: str) -> None:
    model = build_meta(name, 400, {}).eval()
    found = model.features(torch.empty(1, 3, 32, 224, 224, device="meta"), model.layer_names)
    expected = {**TABLE[name], "classifier": (400,), "prob": (400,)}
    assert {layer: tuple(value.shape[1:]) for layer, value in found.items()} == expected


@pytest.mark.parametrize("name", TABLE)
def test_the_clip_is_32_frames_of_every_second(name: str) -> None:
    spec = model_info(name).input
    assert (spec.shape, spec.step_frames, spec.recipe) == ((3, 32, 224, 224), 2, "t3d_rgb")
    assert get_recipe(spec.recipe).crop_hw == (224, 224)


def test_parameters_part_by_part() -> None:
    # spec section 4.2, T3D-121 at 400 classes
    model = build_meta("t3d_121", 400, {})
    parts: dict[str, int] = {}
    for key, parameter in model.named_parameters():
        part = key.partition(".")[0]
        part = {"conv0_bn": "conv0", "classifier": "norm5"}.get(part, part)
        parts[part] = parts.get(part, 0) + parameter.numel()
    assert parts == {
        "conv0": 28_352,
        "denseblock1": 777_408,
        "ttl1": 2_688_512,
        "denseblock2": 2_203_776,
        "ttl2": 6_296_064,
        "denseblock3": 5_006_592,
        "ttl3": 9_444_096,
        "denseblock4": 3_071_488,
        "norm5": 360_592,
    }


def settings(name: str, **options: Any) -> dict[str, dict[str, Any]]:
    return {layer.name: layer.settings for layer in model_info(name, **options).layers}


def test_kernels_of_the_temporal_transition_layers() -> None:
    found = settings("t3d_121")
    for stage, deepest in ((1, 6), (2, 4), (3, 4)):
        kernels = [found[f"ttl{stage}.b{branch}.conv"]["kernel_size"] for branch in (1, 2, 3)]
        assert kernels == [[1, 1, 1], [3, 3, 3], [deepest, 3, 3]]  # frames first; the paper writes them last
        assert [found[f"ttl{stage}.b{branch}.conv"]["out_channels"] for branch in (1, 2, 3)] == [128, 128, 128]
    assert "ttl1.conv" not in found
    released = settings("t3d_121", ttl_depths=(4, 4, 4), extra_transition=True)
    assert released["ttl1.b3.conv"]["kernel_size"] == [4, 3, 3]
    assert (released["ttl1.conv"]["in_channels"], released["ttl1.conv"]["out_channels"]) == (384, 384)


def test_time_is_not_halved_by_the_first_pooling() -> None:
    # The released DenseNet3D halves it (ruling D27) and would leave a single frame in block 4.
    model = create_model("densenet3d_121", 3, **SMALL)
    pool = model.get_submodule("pool0")
    assert isinstance(pool, nn.MaxPool3d)
    assert (pool.kernel_size, pool.stride, pool.padding) == ((3, 3, 3), (1, 2, 2), (1, 1, 1))
    assert settings("densenet3d_121")["conv0"]["stride"] == [2, 2, 2]


def array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().numpy()


def branch_by_scipy(x: NDArray[np.float64], module: Branch) -> NDArray[np.float64]:
    """One clip (C, T, H, W): BN-ReLU by the formula, then correlations of SciPy, summed over input channels."""
    norm, weight = module.norm, array(module.conv.weight)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, scale = array(norm.running_mean), array(norm.weight) / np.sqrt(array(norm.running_var) + 1e-5)
    shape = (-1, 1, 1, 1)
    x = np.maximum((x - mean.reshape(shape)) * scale.reshape(shape) + array(norm.bias).reshape(shape), 0)
    depth = weight.shape[2]
    # SciPy centers an even kernel on its later middle frame d // 2; ours looks (d - 1) // 2 frames back.
    origin = ((depth - 1) // 2 - depth // 2, 0, 0)
    return np.stack(
        [
            sum(ndimage.correlate(c, k, mode="constant", origin=origin) for c, k in zip(x, row, strict=True))
            for row in weight
        ]
    )


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
def test_temporal_transition_layer_is_scipys(depth: int, extra: bool) -> None:
    torch.manual_seed(depth)
    layer = TemporalTransition(5, 4, depth, extra=extra).eval()
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm3d):
            for part in (module.running_mean, module.weight, module.bias):
                assert part is not None
                nn.init.normal_(part, 0.3, 0.5)
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 0.5, 2)
    clips = torch.randn(2, 5, 7, 5, 6)
    with torch.no_grad():
        found = layer(clips)
    assert found.shape == (2, 12, 3, 2, 3)
    for clip, result in zip(array(clips), array(found), strict=True):
        x = np.concatenate([branch_by_scipy(clip, branch) for branch in (layer.b1, layer.b2, layer.b3)])
        assert x.shape == (12, 7, 5, 6)
        if extra:
            mean, var = array(layer.norm.running_mean), array(layer.norm.running_var)
            scale, shift = array(layer.norm.weight) / np.sqrt(var + 1e-5), array(layer.norm.bias)
            x = (x - mean[:, None, None, None]) * scale[:, None, None, None] + shift[:, None, None, None]
            x = np.einsum("oc,cthw->othw", array(layer.conv.weight)[:, :, 0, 0, 0], np.maximum(x, 0))
        x = x[:, :6, :4].reshape(12, 3, 2, 2, 2, 3, 2).mean((2, 4, 6))
        np.testing.assert_allclose(result, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth", [4, 6])
def test_an_even_kernel_sees_one_frame_more_ahead_than_back(depth: int) -> None:
    branch = Branch(1, 1, depth, 1).eval()
    nn.init.ones_(branch.conv.weight)
    clip = torch.zeros(1, 1, 16, 1, 1)
    clip[:, :, 8] = 1
    with torch.no_grad():
        seen = branch(clip).flatten().nonzero().flatten().tolist()
    # Frame t sees t - (d-1)//2 to t + d//2, so frame 8 is seen from 8 - d//2 to 8 + (d-1)//2.
    assert seen == list(range(8 - depth // 2, 8 + (depth - 1) // 2 + 1))


def test_a_branch_before_the_norm_pads_with_zeros_after_it() -> None:
    # A shifted norm turns zeros into something else: padding belongs behind it.
    branch = Branch(1, 1, 4, 1).eval()
    nn.init.ones_(branch.conv.weight)
    nn.init.constant_(branch.norm.bias, 1.0)
    with torch.no_grad():
        assert branch(torch.zeros(1, 1, 6, 1, 1)).flatten().tolist() == [3, 4, 4, 4, 3, 2]


def test_dense_layers_keep_what_came_before_in_front() -> None:
    model = create_model("t3d_121", 3, **SMALL).eval()
    with torch.no_grad():
        found = model.features(torch.randn(1, *model.input.shape), ("pool0", "denseblock1"))
    assert torch.equal(found["denseblock1"][:, :8], found["pool0"])
    assert found["denseblock1"].shape[1] == 12
    assert found["denseblock1"][:, 8:].min() < 0  # convolutions come last in a dense layer


def test_nothing_is_dropped_unless_asked_for() -> None:
    x = torch.randn(2, 3, 16, 40, 40)
    plain, dropping = (create_model("densenet3d_121", 3, drop_rate=rate, **SMALL).train() for rate in (0.0, 0.2))
    assert torch.equal(plain(x), plain(x))
    assert not torch.equal(dropping(x), dropping(x))
    dropping.eval()
    assert torch.equal(dropping(x), dropping(x))
    kept = dropping.train().get_submodule("denseblock1.denselayer1")(torch.randn(1, 8, 8, 20, 20)) != 0
    assert 0.75 < kept.float().mean() < 0.85


def test_clips_of_any_length_and_side_pass() -> None:
    for name in ("densenet3d_121", "t3d_121"):
        model = create_model(name, 3, **SMALL).eval()
        with torch.no_grad():
            for shape in ((1, 32, 32), (7, 33, 50), (40, 16, 16)):
                assert model(torch.randn(1, 3, *shape)).shape == (1, 3)


def test_initialization_is_he_fan_in() -> None:
    model = create_model("t3d_121", 50, growth=16, stem=32, blocks=(1, 1, 1, 1), ttl_width=64)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            assert module.bias is None
            weight = module.weight.detach()
            std, n = (2 / weight[0].numel()) ** 0.5, weight.numel()
            assert float(weight.std()) == pytest.approx(std, rel=4 / (2 * n) ** 0.5), name
            assert abs(float(weight.mean())) < 4 * std / n**0.5, name
    head = model.get_submodule("classifier")
    assert isinstance(head, nn.Linear)
    limit = head.in_features**-0.5
    assert 0.9 * limit < float(head.weight.detach().abs().max()) <= limit
    assert (head.bias == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": (1, 2, 3)}, "4 whole numbers"),
        ({"blocks": 6}, "4 whole numbers"),
        ({"blocks": (1, 2, 3, 0)}, "whole number from 1"),
        ({"ttl_depths": (4, 4)}, "3 whole numbers"),
        ({"ttl_depths": "644"}, "3 whole numbers"),
        ({"ttl_width": 0}, "ttl_width"),
        ({"extra_transition": 1}, "neither True nor False"),
        ({"drop_rate": 1.0}, "drop_rate"),
        ({"growth": 2.5}, "growth"),
        ({"stem": 0}, "stem"),
        ({"width": 0.5}, "has no option"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_meta("t3d_121", 3, options)


def test_what_the_sources_leave_open_is_said() -> None:
    source = build_meta("t3d_121", 3, {}).source
    assert source.reconstruction
    for word in ("pool0", "even depth", "dropped", "128", "extra_transition", "Starting weights"):
        assert sum(word in choice for choice in source.choices) == 1, word
    assert build_meta("densenet3d_121", 3, {}).source.reconstruction
    assert "table leaves open" in build_meta("densenet_121", 3, {}).source.choices[0]
