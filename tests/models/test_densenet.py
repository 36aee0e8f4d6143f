"""The 2-D DenseNets beyond the suite (Huang et al. 2017, table 1; torchvision's keys)."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from suites.lively import lively
from tubelet.models import create_model, model_info
from tubelet.models.contract import VideoModel
from tubelet.models.registry import build_meta


def small(**options: object) -> VideoModel:
    model = create_model("densenet_121", 5, growth=4, stem=8, blocks=(2, 1, 1, 1), side=64, **options)
    return lively(model, shift=0.2, norms_only=True)


@pytest.mark.parametrize(("name", "third", "last"), [("densenet_121", 1024, 1024), ("densenet_169", 1280, 1664)])
def test_shapes_are_those_of_table_1(name: str, third: int, last: int) -> None:
    model = build_meta(name, 1000, {}).eval()
    found = model.features(torch.empty(1, 3, 1, 224, 224, device="meta"), model.layer_names)
    maps = {
        "conv0": (64, 112), "pool0": (64, 56), "denseblock1": (256, 56), "transition1": (128, 28),
        "denseblock2": (512, 28), "transition2": (256, 14), "denseblock3": (third, 14),
        "transition3": (third // 2, 7), "denseblock4": (last, 7), "norm5": (last, 7), "pool5": (last, 1),
    }  # fmt: skip
    expected = {layer: (1, channels, 1, side, side) for layer, (channels, side) in maps.items()}
    expected |= {"classifier": (1, 1000), "prob": (1, 1000)}
    assert {layer: tuple(value.shape) for layer, value in found.items()} == expected


def test_every_kernel_is_one_frame_deep() -> None:
    for layer in model_info("densenet_121").layers:
        if layer.kind == "conv3d":
            assert layer.settings["kernel_size"][0] == layer.settings["stride"][0] == 1, layer.name
            assert layer.settings["padding"][0] == 0, layer.name


def test_frames_do_not_see_each_other_and_logits_are_their_mean() -> None:
    model = small(clip_length=3)
    clips = torch.randn(2, 3, 3, 64, 64)
    with torch.no_grad():
        together = model.features(clips, ("pool5", "classifier"))
        alone = [model.features(frame.unsqueeze(2), ("pool5", "classifier")) for frame in clips.unbind(2)]
    assert together["pool5"].shape == (2, model.classifier.in_features, 3, 1, 1)
    torch.testing.assert_close(together["pool5"], torch.cat([found["pool5"] for found in alone], 2))
    mean = torch.stack([found["classifier"] for found in alone]).mean(0)
    torch.testing.assert_close(together["classifier"], mean)


def torchvision_key(key: str) -> str:
    """Our key in torchvision's checkpoints, whose dense layers have dotted names."""
    if key.startswith("classifier."):
        return key
    key = key.replace("conv0_bn", "norm0")
    return "features." + re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", key)


def test_keys_map_onto_torchvisions() -> None:
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"features.conv0.weight", "classifier.weight", "classifier.bias"}
    expected |= {f"features.norm{i}.{part}" for i in (0, 5) for part in norm}
    for stage, layers in enumerate((6, 12, 24, 16), 1):
        for layer in range(1, layers + 1):
            at = f"features.denseblock{stage}.denselayer{layer}"
            expected |= {f"{at}.conv.{i}.weight" for i in (1, 2)}
            expected |= {f"{at}.norm.{i}.{part}" for i in (1, 2) for part in norm}
        if stage < 4:
            expected |= {f"features.transition{stage}.conv.weight"}
            expected |= {f"features.transition{stage}.norm.{part}" for part in norm}
    found = [torchvision_key(key) for key in build_meta("densenet_121", 1000, {}).state_dict()]
    assert len(found) == len(set(found)) == 727
    assert set(found) == expected


def test_forward_is_that_of_plain_two_dimensional_operations() -> None:
    model = small()
    frames = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    weights: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        weights[torchvision_key(key)] = value.squeeze(2) if value.dim() == 5 else value

    def ready(x: Tensor, key: str) -> Tensor:
        parts = (weights[f"features.{key}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.relu(F.batch_norm(x, *parts))

    x = F.conv2d(frames, weights["features.conv0.weight"], stride=2, padding=3)
    x = F.max_pool2d(ready(x, "norm0"), 3, 2, 1)
    for stage, layers in enumerate((2, 1, 1, 1), 1):
        for layer in range(1, layers + 1):
            at = f"denseblock{stage}.denselayer{layer}"
            y = F.conv2d(ready(x, f"{at}.norm.1"), weights[f"features.{at}.conv.1.weight"])
            y = F.conv2d(ready(y, f"{at}.norm.2"), weights[f"features.{at}.conv.2.weight"], padding=1)
            x = torch.cat((x, y), 1)
        if stage < 4:
            x = F.conv2d(ready(x, f"transition{stage}.norm"), weights[f"features.transition{stage}.conv.weight"])
            x = F.avg_pool2d(x, 2)
    pooled = ready(x, "norm5").mean((2, 3))
    expected = pooled @ weights["classifier.weight"].T + weights["classifier.bias"]
    with torch.no_grad():
        torch.testing.assert_close(model(frames.unsqueeze(2)), expected, rtol=1e-4, atol=1e-5)


def test_a_bfloat16_pass_stays_bfloat16_between_blocks() -> None:
    model = small()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model.features(torch.randn(1, 3, 1, 64, 64), ("pool0", "denseblock1", "transition1", "denseblock4"))
    assert {value.dtype for value in found.values()} == {torch.bfloat16}
