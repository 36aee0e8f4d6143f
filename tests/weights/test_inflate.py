from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tubelet.errors import InputDataError, UsageError
from tubelet.models import create_model, load_model
from tubelet.models.contract import VideoModel
from tubelet.models.p3d import P3D
from tubelet.models.registry import build_meta
from tubelet.weights.inflate import inflated
from tubelet.weights.start import start_from
from weights.two_d import caffe_resnet, counted, frozen, resnet_weights, time_without_ends

RES: dict[str, Any] = {"width": 0.0625, "side": 32}
DENSE: dict[str, Any] = {"growth": 4, "stem": 8, "blocks": (2, 1, 2, 1), "side": 64}
PLAIN: dict[str, Any] = {"width": 0.0625, "side": 32}
PAIRS = [
    ("r2d_18", "res3d_18", RES),
    ("r2d_18", "sr18", RES),
    ("densenet_121", "densenet3d_121", DENSE),
    ("c3d_depth1", "c3d_depth3", PLAIN),
    ("c3d_depth1", "c3d_increasing", {**PLAIN, "batch_norm": True}),
]
OTHERS = [("r2d_18", name, RES) for name in ("mc2_18", "mc3_18", "mc4_18", "mc5_18", "rmc2_18", "rmc5_18")]
OTHERS += [("r2d_34", "res3d_34", RES), ("c3d_depth1", "c3d_depth7", PLAIN)]


def pair(two: str, three: str, options: dict[str, Any]) -> tuple[VideoModel, VideoModel]:
    """The counted 2-D network, and the 3-D one in evaluation mode with its weights."""
    flat, deep = counted(create_model(two, 5, **options)), create_model(three, 5, **options, seed=1).eval()
    start_from(deep, flat)
    return flat, deep


def frame(model: VideoModel) -> Tensor:
    channels, _, height, width = model.input.shape
    return torch.randn(2, channels, 1, height, width, generator=torch.Generator().manual_seed(3))


# ---------------------------------------------------------------------- the tensors


@pytest.mark.parametrize(("two", "three", "options"), PAIRS + OTHERS, ids=lambda value: str(value)[:14])
def test_kernels_are_repeated_and_divided_and_all_else_stays(two: str, three: str, options: dict[str, Any]) -> None:
    flat, deep = counted(create_model(two, 5, **options)), create_model(three, 5, **options, seed=1)
    before = {name: tensor.clone() for name, tensor in deep.state_dict().items()}
    weights = flat.state_dict()
    found, report = inflated(weights, deep)
    assert all(torch.equal(tensor, before[name]) for name, tensor in deep.state_dict().items())
    assert list(found) == list(before)
    inflated_names = []
    for name, tensor in found.items():
        given = weights[name].numpy()
        if before[name].shape != given.shape:
            inflated_names.append(name)
            depth = before[name].shape[2]
            for t in range(depth):
                np.testing.assert_allclose(tensor.numpy()[:, :, t], given[:, :, 0] / depth, rtol=1e-6)
        else:
            np.testing.assert_array_equal(tensor.numpy(), given)
            assert tensor.data_ptr() != weights[name].data_ptr()
    assert report.names("transformed") == inflated_names
    assert report.names("used") == [name for name in found if name not in inflated_names]
    assert report.names("missing") == report.names("refused") == []
    assert bool(inflated_names)
    deep.load_state_dict(found, strict=True)


# ---------------------------------------------------------------------- a frozen video


@pytest.mark.parametrize(("two", "three", "options"), PAIRS, ids=lambda value: str(value)[:14])
def test_a_frozen_video_gives_what_its_frame_gives(two: str, three: str, options: dict[str, Any]) -> None:
    flat, deep = pair(two, three, options)
    still = frame(flat)
    alone = still if flat.any_size else frozen(still, flat.input.clip_length)
    clip = frozen(still, deep.input.clip_length)
    with torch.no_grad():
        expected = flat(alone)
        with time_without_ends(deep):
            found = deep(clip)
        padded = deep(clip)
    scale = float(expected.abs().max())
    assert (found - expected).abs().max() < 1e-5 * scale
    # Two clips give two outputs, so this is no comparison of constants, and zeros beyond the ends are seen.
    assert (expected[0] - expected[1]).abs().max() > 1e-3 * scale
    assert (padded - expected).abs().max() > 1e-3 * scale
    with torch.no_grad():
        flat, deep = flat.double(), deep.double()
        deep.load_state_dict(inflated(flat.state_dict(), deep)[0])
        with time_without_ends(deep):
            torch.testing.assert_close(deep(clip.double()), flat(alone.double()), rtol=1e-9, atol=1e-9 * scale)


def test_kernels_that_are_not_divided_do_not_pass() -> None:
    flat, deep = pair(*PAIRS[0])
    still = frame(flat)
    with torch.no_grad(), time_without_ends(deep):
        expected = flat(still)
        deep.res4a.branch2b.weight.mul_(3)
        assert (deep(frozen(still, 8)) - expected).abs().max() > 1e-2 * expected.abs().max()


@pytest.mark.parametrize(("two", "three", "options"), PAIRS, ids=lambda value: str(value)[:14])
def test_layers_agree_on_interior_frames_with_their_own_padding(two: str, three: str, options: dict[str, Any]) -> None:
    flat, deep = pair(two, three, options)
    inputs: dict[str, Tensor] = {}
    for name, module in flat.named_modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_pre_hook(lambda module, given, name=name: inputs.update({name: given[0].clone()}))
    flat(frame(flat) if flat.any_size else frozen(frame(flat), flat.input.clip_length))
    compared = 0
    with torch.no_grad():
        for name, given in inputs.items():
            layer, counterpart = flat.get_submodule(name), deep.get_submodule(name)
            assert isinstance(layer, nn.Conv3d)
            assert isinstance(counterpart, nn.Conv3d)
            # Norms follow a convolution by name in all of these but DenseNet, whose norms come before it.
            norms = [net.get_submodule(f"{name}_bn") if f"{name}_bn" in dict(net.named_modules()) else nn.Identity()
                     for net in (flat, deep)]  # fmt: skip
            still = given[:, :, :1]
            expected = norms[0](layer(still))[:, :, 0]
            (depth, _, _), (stride, _, _), pad = counterpart.kernel_size, counterpart.stride, depth_pad(counterpart)
            frames = 2 * depth + 3
            output = norms[1](counterpart(frozen(still, frames)))
            inside = [t for t in range(output.shape[2]) if stride * t >= pad and stride * t - pad + depth <= frames]
            for t in inside:
                torch.testing.assert_close(
                    output[:, :, t], expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max())
                )
            if depth > 1:
                compared += 1
                assert 0 not in inside
                # The first frame's window hangs over the start by ``pad`` frames: that share of the sum is missing.
                bias = 0 if layer.bias is None else layer.bias[:, None, None]
                first, whole = counterpart(frozen(still, frames))[:, :, 0], layer(still)[:, :, 0]
                torch.testing.assert_close(
                    first - bias,
                    (whole - bias) * (depth - pad) / depth,
                    rtol=1e-4,
                    atol=1e-5 * float(whole.abs().max()),
                )
    assert compared >= 5


def depth_pad(layer: nn.Conv3d) -> int:
    assert not isinstance(layer.padding, str)
    return layer.padding[0]


# ---------------------------------------------------------------------- P3D


@pytest.mark.parametrize(
    ("name", "blocks", "parameters", "temporal", "numbered"),
    [
        ("p3d_63", (3, 4, 6, 3), 25_557_032, 13, False),
        ("p3d_131", (3, 4, 23, 3), 44_549_160, 30, False),
        ("p3d_131", (3, 4, 23, 3), 44_549_160, 30, True),
        ("p3d_199", (3, 8, 36, 3), 60_192_808, 47, True),
    ],
)
def test_p3d_takes_an_imagenet_resnet(
    name: str, blocks: tuple[int, ...], parameters: int, temporal: int, numbered: bool
) -> None:
    weights = resnet_weights(blocks, 1000, numbered)
    learned = {key: value for key, value in weights.items() if not key.rsplit(".", 1)[1].startswith("running")}
    assert sum(value.numel() for value in learned.values()) == parameters  # spec section 3.3
    model = build_meta(name, 101, {})
    found, report = inflated(weights, model)
    assert list(found) == list(model.state_dict())
    taken = report.names("used") + report.names("transformed")
    assert len(taken) == len(weights) - 2
    assert report.names("refused") == ["fc.weight", "fc.bias"]
    missing = [key for key in report.names("missing") if not key.endswith("num_batches_tracked")]
    assert [key for key in missing if "branch2b_t" not in key] == ["fc.weight", "fc.bias"]
    assert sum(key.endswith("branch2b_t.weight") for key in missing) == temporal
    reasons = report.summary()["missing"]
    assert any("starts at random" in reason for reason in reasons)
    assert reasons["1000 classes instead of 101: the network's own stays"] == ["fc.weight", "fc.bias"]
    assert "as in the ResNets of Caffe's release (imagenet.resnet50_caffe" in report.notes[0]
    with pytest.raises(
        InputDataError, match=r"res\d\w+\.branch\w+\.weight is (missing|refused: it is not in the network)"
    ):
        inflated(resnet_weights((3, 4, 7, 3), 1000, numbered), model)


def test_p3d_has_the_resnet_in_it() -> None:
    # Type B without what T adds is the ResNet itself, so a layer in the wrong place would be seen.
    blocks = ["res2a", "res2b", "res3a", "res3b1", "res3b2", "res4a", "res5a"]
    torch.manual_seed(5)
    weights = resnet_weights((2, 3, 1, 1), 7, numbered=True, device="cpu")
    model = create_model("p3d_131", 7, depths=(2, 3, 1, 1), side=40, types="B", seed=2).eval()
    starts = {key: value.clone() for key, value in model.state_dict().items()}
    report = start_from(model, weights, weights_id="abc")
    assert report.names("refused") == []
    for key, value in model.state_dict().items():
        if "branch2b_t" in key:
            assert torch.equal(value, starts[key]), key
        elif not key.endswith("num_batches_tracked"):
            assert torch.equal(value, weights[key].reshape(value.shape)), key
    still = torch.randn(2, 3, 1, 40, 40, generator=torch.Generator().manual_seed(3))
    expected = caffe_resnet(weights, still[:, :, 0], blocks)
    clip = frozen(still, 16)
    with torch.no_grad():
        assert (model.features(clip, ("pool5",))["pool5"] - expected).abs().max() > 1e-2 * expected.abs().max()
        for name, module in model.named_modules():
            if name.endswith("branch2b_t_bn"):
                module.weight.zero_()
        found = model.features(clip, ("pool5",))["pool5"]
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
        torch.testing.assert_close(model(clip), found @ weights["fc.weight"].T + weights["fc.bias"])


def test_p3d_from_tsn_says_where_the_strides_are() -> None:
    resnet = counted(create_model("tsn_resnet50", 5, width=0.125, side=64, blocks=(1, 2, 1, 1)))
    model = create_model("p3d_63", 5, width=0.125, side=40, depths=(1, 2, 1, 1))
    assert isinstance(model, P3D)
    report = start_from(model, resnet)
    assert torch.equal(model.fc.weight, resnet.fc_action.weight)
    assert torch.equal(model.res3b.branch2b.weight, resnet.res3b.branch2b.weight)
    for says in (
        "stride is (2, 2) and was (1, 1) in tsn_resnet50: res3a.branch2a, res4a.branch2a, res5a.branch2a",
        "stride is (1, 1) and was (2, 2) in tsn_resnet50: res3a.branch2b, res4a.branch2b, res5a.branch2b",
        "clips are made by the recipe p3d_rgb and were made by resnet_rgb in tsn_resnet50",
    ):
        assert says in report.notes


def test_p3d_199_takes_every_block_of_resnet_152() -> None:
    resnet = counted(create_model("tsn_resnet152", 5, width=1 / 16, side=64))
    model = create_model("p3d_199", 5, width=1 / 16, side=40)
    start_from(model, resnet)
    state, given = model.state_dict(), resnet.state_dict()
    for ours, theirs in (("res3b7", "res3h"), ("res4a", "res4a"), ("res4b35", "res4b35"), ("res5c", "res5c")):
        for branch in ("branch2a", "branch2b", "branch2c"):
            assert torch.equal(state[f"{ours}.{branch}.weight"], given[f"{theirs}.{branch}.weight"])


# ---------------------------------------------------------------------- other forms, and refusals


def test_image_kernels_and_other_types_are_converted_and_said() -> None:
    flat, deep = counted(create_model("r2d_18", 5, **RES)), create_model("res3d_18", 5, **RES)
    weights = {
        name: (tensor.squeeze(2) if tensor.dim() == 5 else tensor).to(
            torch.float16 if tensor.is_floating_point() else tensor.dtype
        )
        for name, tensor in flat.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    found, report = inflated(weights, deep)
    assert all(found[name].dtype == tensor.dtype for name, tensor in deep.state_dict().items())
    wanted = weights["conv1.weight"].float().numpy() / 3
    np.testing.assert_allclose(found["conv1.weight"][:, :, 2].numpy(), wanted, rtol=1e-6)
    how = {line.name: line.detail for line in report.source_tensors}
    steps = "frame axis added, widened from float16, repeated 3 times along time and divided by 3"
    assert how["conv1.weight"] == steps
    assert how["fc.bias"] == "widened from float16"
    assert all(name.endswith("num_batches_tracked") for name in report.names("missing"))
    text = str(report).splitlines()
    assert text[0] == "state dict: weights without a name"
    assert text[1].startswith("into res3d_18 (mean-preserving inflation): 0 used, ")
    row = next(line for line in text if line.startswith("conv1.weight"))
    assert re.search(rf"F16 +4×3×7×7 +transformed +conv1\.weight +{steps} ", row)


def test_what_does_not_fit_is_refused() -> None:
    flat, deep = create_model("r2d_18", 5, **RES), create_model("res3d_18", 5, **RES)
    good = flat.state_dict()
    for change, says in (
        (
            {"conv1.weight": good["conv1.weight"][:2]},
            "conv1.weight is refused: its shape is 2×3×1×7×7 where conv1.weight has 4×3×3×7×7",
        ),
        ({"conv1.weight": good["conv1.weight"].repeat(1, 1, 2, 1, 1)}, "its shape is 4×3×2×7×7 where"),
        ({"conv1.weight": good["conv1.weight"].long()}, "conv1.weight is refused: numbers of type int64 do not become"),
        ({"extra.weight": torch.ones(1)}, "extra.weight is refused: it is not in the network"),
    ):
        with pytest.raises(InputDataError, match=says):
            inflated({**good, **change}, deep)
    with pytest.raises(InputDataError, match=r"conv1.weight is missing; .* and \d+ more"):
        inflated({}, deep)
    with pytest.raises(InputDataError, match="no tensor under 'state_dict'; give a state dict"):
        inflated({"state_dict": good}, deep)  # type: ignore[dict-item]
    with pytest.raises(InputDataError, match=r"one layer both res4b\.branch2a\.weight and res4b1\.branch"):
        inflated(
            {"res4b.branch2a.weight": torch.ones(1), "res4b1.branch2a.weight": torch.ones(1)},
            build_meta("p3d_63", 5, {}),
        )
    single = create_model("c3d_depth1", 5, **{**PLAIN, "side": 64}, clip_length=1)
    with pytest.raises(InputDataError, match=r"fc6\.weight is refused: its shape is"):
        inflated(single.state_dict(), create_model("c3d_depth3", 5, **PLAIN))


def test_without_strictness_all_is_reported() -> None:
    flat, deep = counted(create_model("r2d_18", 5, **RES)), create_model("res3d_18", 5, **RES, projection=True)
    weights = {**flat.state_dict(), "extra": torch.ones(1)}
    with pytest.raises(InputDataError, match=r"res2a\.branch1\.weight is missing"):
        inflated(weights, deep)
    found, report = inflated(weights, deep, strict=False)
    assert {name.rpartition(".")[0] for name in report.names("missing")} == {"res2a.branch1", "res2a.branch1_bn"}
    assert report.names("refused") == ["extra"]
    assert torch.equal(found["res2a.branch1.weight"], deep.res2a.branch1.weight)
    assert [line.name for line in report.source_tensors] == list(weights)
    assert [line.name for line in report.model_tensors] == list(deep.state_dict())
    assert report.problems() == []
    text = str(report)
    assert re.search(r"^extra +F32 +1 +refused +it is not in the network ", text, re.MULTILINE)
    assert "missing: res2a.branch1.weight (not in the weights: the network's own stays)" in text


# ---------------------------------------------------------------------- an image network on every snippet


SQUEEZE: dict[str, Any] = {"width": 0.25, "side": 47}


@pytest.mark.parametrize("segments", [1, 3])
def test_a_segment_network_starts_as_the_squeezenet_whose_weights_it_takes(segments: int) -> None:
    images = counted(create_model("squeezenet", 5, **SQUEEZE))
    model = create_model("tsn_squeezenet", 5, **SQUEEZE, segments=segments, seed=1).eval()
    report = start_from(model, images)
    weights, found = images.state_dict(), model.state_dict()
    assert {name.replace("fc_action", "conv10") for name in found} == set(weights)
    for name, tensor in found.items():
        assert torch.equal(tensor, weights[name.replace("fc_action", "conv10")]), name
    assert report.names("used") == list(weights)
    assert report.names("transformed") == report.names("missing") == report.names("refused") == []
    assert not any("recipe" in note for note in report.notes)  # the pixels are those that the weights saw
    x = torch.randn(2, *model.input.shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        # SqueezeNet's logits are means over frames, as the average consensus is over snippets.
        torch.testing.assert_close(model(x), images(x), rtol=1e-4, atol=1e-5)
        assert (model(x)[0] - model(x)[1]).abs().max() > 1e-2


def test_a_squeezenet_of_other_classes_leaves_the_segment_network_its_classifier() -> None:
    images = counted(create_model("squeezenet", 7, **SQUEEZE))
    model = create_model("tsn_squeezenet", 5, **SQUEEZE)
    head = model.fc_action.weight.detach().clone()
    report = start_from(model, images)
    assert torch.equal(model.fc_action.weight, head)
    assert torch.equal(model.fire9.expand3x3.weight, images.fire9.expand3x3.weight)
    assert report.names("missing") == ["fc_action.weight", "fc_action.bias"]
    assert report.names("refused") == ["conv10.weight", "conv10.bias"]
    assert {line.detail for line in report.model_tensors if line.outcome == "missing"} == {
        "7 classes instead of 5: the network's own stays"
    }
    # Without a classifier of either name the trunk alone is taken; a network for motion needs another first layer.
    trunk = {name: tensor for name, tensor in images.state_dict().items() if not name.startswith("conv10")}
    assert inflated(trunk, model)[1].names("missing") == ["fc_action.weight", "fc_action.bias"]
    with pytest.raises(InputDataError, match=r"conv1\.weight is refused: its shape is 24×3×1×7×7 where"):
        inflated(trunk, create_model("tsn_squeezenet", 5, **SQUEEZE, modality="flow"))


# ---------------------------------------------------------------------- a network filled in place


def test_a_filled_network_remembers_whose_weights_it_has(tmp_path: Path) -> None:
    flat = counted(create_model("r2d_18", 3, **RES))
    flat.labels, flat.provenance = (
        ("a", "b", "c"),
        {"trained_on": {"group_hashes": ["x"], "before": {"group_hashes": []}}},
    )
    model = create_model("mc3_18", 3, **RES)
    report = start_from(model, flat)
    assert model.labels == ("a", "b", "c")
    assert len(model.weights_id) == 64
    assert model.provenance is not None
    assert model.provenance["trained_on"] == flat.provenance["trained_on"]
    started = model.provenance["started_from"]
    assert (started["model"], started["weights_id"]) == ("r2d_18", flat.weights_id)
    assert started["method"] == "mean-preserving inflation"
    assert started["transformed"]["repeated 3 times along time and divided by 3"] == report.names("transformed")
    assert any(note.startswith("ε is 0.001 and was 1e-05 in r2d_18: conv1_bn") for note in report.notes)
    json.dumps(model.provenance)
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.provenance == model.provenance
    with torch.no_grad():
        clip = torch.randn(1, *model.input.shape)
        assert torch.equal(again(clip), model.eval()(clip))


def test_another_number_of_classes_leaves_a_fresh_classifier(caplog: pytest.LogCaptureFixture) -> None:
    flat, model = counted(create_model("r2d_18", 3, **RES)), create_model("sr18", 5, **RES)
    flat.labels = ("a", "b", "c")
    flat.provenance = {"trained_on": {"group_hashes": ["x"]}}
    model.provenance = {"trained_on": {"group_hashes": ["y"]}}
    head = model.fc.weight.detach().clone()
    report = start_from(model, flat)
    assert torch.equal(model.fc.weight, head)
    assert model.labels is None
    assert report.names("missing") == report.names("refused") == ["fc.weight", "fc.bias"]
    assert "sr18 keeps starting values of its own: fc.weight, fc.bias" in caplog.text
    # What is left of it was trained on y.
    assert model.provenance["trained_on"] == {"group_hashes": ["x"], "before": {"group_hashes": ["y"]}}


def test_a_refusal_leaves_the_network_as_it_was() -> None:
    model = create_model("res3d_18", 5, **RES)
    with pytest.raises(UsageError, match="the weights have no name; say whose they are"):
        start_from(model, create_model("r2d_18", 5, **RES).state_dict())
    flat = create_model("r2d_18", 5, **RES, seed=1)
    flat.register_buffer("x", torch.ones(1))
    with pytest.raises(InputDataError, match="x is refused: it is not in the network"):
        start_from(model, flat)
    assert model.weights_id == "untrained:0"
    assert model.provenance is None
