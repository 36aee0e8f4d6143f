"""He et al.'s ResNet-50, -101 and -152 as Caffe saves them: every blob in its place, and what the file computes.

Written from the deploy prototxts of KaimingHe/deep-residual-networks: convolutions without bias, but for conv1 of
ResNet-50; ``BatchNorm`` (mean, variance, factor) and ``Scale`` behind each; stages 3 and 4 of ResNet-101 and -152
count their blocks from the second on.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tubelet.models import create_model, load_model
from tubelet.models.contract import VideoModel
from tubelet.weights import apply_map, convert, plan_map, read_weights
from tubelet.weights.maps import get_map, imagenet, matching_maps
from tubelet.weights.start import start_from
from tubelet.weights.transforms import BN_FACTOR, FRAME_AXIS, LESS_BIAS, TO_MATRIX, TO_VECTOR

sys.path.insert(0, str(Path(__file__).parent))
from made_files import FACTOR, Floats, caffemodel, write

DEPTHS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
STEM, CLASSES = 4, 7  # a sixteenth of the channels
WIDTH = STEM / 64
Blobs = dict[str, list[Tensor]]


def places(depth: str) -> Iterator[tuple[str, str, bool]]:
    """(Caffe's block without "res", ours, whether it is the first of its stage)."""
    for stage, count in enumerate(DEPTHS[depth], 2):
        for i in range(count):
            letter = "abcdefghijklmnopqrstuvwxyz"[i] if i < 26 else ""
            numbered = i > 0 and depth != "50" and stage in (3, 4)
            ours = f"b{i}" if count > 26 and i else letter
            yield f"{stage}{f'b{i}' if numbered else letter}", f"res{stage}{ours}", i == 0


def made(depth: str) -> Blobs:
    """Random blobs by Caffe's layers, in the prototxt's order."""
    generator = torch.Generator().manual_seed(4)

    def norm(where: str, channels: int) -> Blobs:
        mean, variance, gamma, beta = (torch.rand(channels, generator=generator) + 0.5 for _ in range(4))
        factor = torch.tensor([FACTOR])
        return {
            f"bn{where}": [(mean - 1) * FACTOR, variance * FACTOR, factor],
            f"scale{where}": [gamma, beta - 1],
        }

    def conv(out: int, channels: int, side: int) -> Tensor:
        return torch.randn(out, channels, side, side, generator=generator) * (2 / channels) ** 0.5 / side

    bias = [torch.randn(STEM, generator=generator)] if depth == "50" else []
    blobs: Blobs = {"conv1": [conv(STEM, 3, 7), *bias], **norm("_conv1", STEM)}
    channels = STEM
    for place, _, first in places(depth):
        inner = STEM * 2 ** (int(place[0]) - 2)
        shapes = {"branch1": (4 * inner, channels, 1)} if first else {}
        shapes |= {"branch2a": (inner, channels, 1), "branch2b": (inner, inner, 3), "branch2c": (4 * inner, inner, 1)}
        for branch, (out, entering, side) in shapes.items():
            blobs |= {f"res{place}_{branch}": [conv(out, entering, side)], **norm(f"{place}_{branch}", out)}
        channels = 4 * inner
    head = [torch.randn(CLASSES, channels, generator=generator), torch.randn(CLASSES, generator=generator)]
    return blobs | {"fc1000": head}


def written(blobs: Blobs, path: Path) -> Path:
    layers: list[tuple[str, str, list[Floats]]] = [("data", "Input", [])]
    layers += [(name, "Made", [tensor.numpy() for tensor in tensors]) for name, tensors in blobs.items()]
    return write(path, caffemodel(layers, "V2", "shape"))


def network(depth: str) -> VideoModel:
    return create_model(f"tsn_resnet{depth}", CLASSES, width=WIDTH, side=64, segments=1, style="caffe")


def forward(blobs: Blobs, x: Tensor, depth: str) -> Tensor:
    """What Caffe computes from the file: probabilities' logits of images (N, 3, H, W)."""
    blobs = {name: [tensor.double() for tensor in tensors] for name, tensors in blobs.items()}

    def unit(name: str, where: str, x: Tensor, stride: int = 1, pad: int = 0) -> Tensor:
        x = F.conv2d(x, blobs[name][0], blobs[name][1] if len(blobs[name]) > 1 else None, stride, pad)
        mean, variance, factor = blobs[f"bn{where}"]
        gamma, beta = blobs[f"scale{where}"]
        columns = (mean / factor, (variance / factor + 1e-5).sqrt(), gamma, beta)
        mean, spread, gamma, beta = (values[:, None, None] for values in columns)
        return (x - mean) / spread * gamma + beta

    x = unit("conv1", "_conv1", x, 2, 3).clamp(min=0)
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    for place, _, first in places(depth):
        stride = 2 if first and place[0] != "2" else 1
        y = unit(f"res{place}_branch2a", f"{place}_branch2a", x, stride).clamp(min=0)
        y = unit(f"res{place}_branch2b", f"{place}_branch2b", y, pad=1).clamp(min=0)
        y = unit(f"res{place}_branch2c", f"{place}_branch2c", y)
        x = (y + (unit(f"res{place}_branch1", f"{place}_branch1", x, stride) if first else x)).clamp(min=0)
    return x.mean((2, 3)) @ blobs["fc1000"][0].T + blobs["fc1000"][1]


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_blob_comes_to_its_place(depth: str, tmp_path: Path) -> None:
    blobs = made(depth)
    with read_weights(written(blobs, tmp_path / "net")) as foreign:
        assert [each.name for each in matching_maps(foreign)] == [f"resnet{depth}-caffe"]
        layout = get_map(f"resnet{depth}-caffe")
        assert (layout.classes(foreign), layout.recipe, layout.options) == (CLASSES, "resnet_bgr", {"style": "caffe"})
        model = network(depth)
        report = apply_map(foreign, model, layout.build(model))
    assert {line.outcome for line in report.source_tensors} <= {"used", "transformed"}
    # Convolutions; norms with three and two blobs each; the classifier; and one bias.
    norms = sum(name.startswith("bn") for name in blobs)
    assert norms == {"50": 53, "101": 104, "152": 155}[depth]
    assert len(report.source_tensors) == 6 * norms + 2 + (depth == "50")
    found = model.state_dict()
    bias = blobs["conv1"][1] if depth == "50" else 0
    pairs = [("conv1", "_conv1", "conv1")]
    for place, ours, first in places(depth):
        branches = ("branch1", "branch2a", "branch2b", "branch2c")[not first :]
        pairs += [(f"res{place}_{branch}", f"{place}_{branch}", f"{ours}.{branch}") for branch in branches]
    for conv, where, ours in pairs:
        assert torch.equal(found[f"{ours}.weight"][:, :, 0], blobs[conv][0]), ours
        (mean, variance, factor), (gamma, beta) = blobs[f"bn{where}"], blobs[f"scale{where}"]
        wanted = {"running_mean": mean / factor - (bias if ours == "conv1" else 0), "running_var": variance / factor}
        for part, tensor in {**wanted, "weight": gamma, "bias": beta}.items():
            assert torch.equal(found[f"{ours}_bn.{part}"], tensor), (ours, part)
    assert len(pairs) == norms
    assert torch.equal(found["fc_action.weight"], blobs["fc1000"][0])
    assert torch.equal(found["fc_action.bias"], blobs["fc1000"][1])


@pytest.mark.parametrize("depth", ["50", "101"])
def test_the_network_computes_what_caffe_computes(depth: str, tmp_path: Path) -> None:
    """The bias of conv1, the first 1×1 convolutions' strides and an unpadded pooling, in float64."""
    blobs = made(depth)
    with read_weights(written(blobs, tmp_path / "net")) as foreign:
        model = network(depth)
        apply_map(foreign, model, get_map(f"resnet{depth}-caffe").build(model))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).double()
    expected = forward(blobs, x, depth)
    with torch.no_grad():
        found = model.double().eval()(x[:, :, None])
    assert (found - expected).norm() < 1e-5 * expected.norm()
    assert (expected[0] - expected[1]).norm() > 1e-3 * expected.norm()


def test_the_report_says_what_became_of_the_bias(tmp_path: Path) -> None:
    with read_weights(written(made("50"), tmp_path / "net")) as foreign:
        model = network("50")
        report, _ = plan_map(foreign, model, get_map("resnet50-caffe").build(model))
    told = {line.name: line for line in report.source_tensors}
    assert told["bn_conv1[0]"].detail == f"{TO_VECTOR}, {BN_FACTOR}, {LESS_BIAS}"
    assert told["bn_conv1[0]"].target == "conv1_bn.running_mean"
    assert (told["conv1[1]"].outcome, told["conv1[1]"].detail) == ("used", "with bn_conv1[0]")
    assert told["conv1[0]"].detail == FRAME_AXIS
    assert told["fc1000[0]"].detail == TO_MATRIX


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ({"conv1": 1}, r"bn_conv1\[0\] is refused: conv1\[1\], which it needs, is not in the file"),
        ({"scale_conv1": 1}, r"conv1_bn\.bias is missing"),
        ({"bn2a_branch1": 2}, r"bn2a_branch1\[0\] is refused: bn2a_branch1\[2\], which it needs, is not in the file"),
    ],
)
def test_a_blob_that_is_not_there_is_missed(damage: dict[str, int], says: str, tmp_path: Path) -> None:
    blobs = {name: tensors[: damage.get(name, 9)] for name, tensors in made("50").items()}
    with read_weights(written(blobs, tmp_path / "net")) as foreign:
        model = network("50")
        report, _ = plan_map(foreign, model, get_map("resnet50-caffe").build(model))
    assert any(re.search(says, problem) for problem in report.problems()), report.problems()[:5]


def test_a_folder_that_p3d_starts_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way that P3D's authors went, on narrow networks: Caffe's file, its pixels, the same strides in P3D."""
    maps = tuple(
        replace(each, options={**each.options, "width": WIDTH, "side": 40, "segments": 1})
        if each.name == "resnet152-caffe"
        else each
        for each in imagenet.MAPS
    )
    monkeypatch.setattr(imagenet, "MAPS", maps)
    convert(written(made("152"), tmp_path / "net.caffemodel"), out=tmp_path / "resnet")
    resnet = load_model(tmp_path / "resnet")
    assert (resnet.name, resnet.options["style"], resnet.num_classes) == ("tsn_resnet152", "caffe", CLASSES)
    assert resnet.recipe is not None
    assert (resnet.recipe.name, resnet.recipe.color, resnet.recipe.mean) == ("resnet_bgr", "bgr", (104, 117, 123))
    model = create_model("p3d_199", 5, width=WIDTH, side=40, types="B").eval()
    report = start_from(model, resnet)
    assert not [note for note in report.notes if note.startswith(("stride", "padding", "ε"))]
    assert any("p3d_rgb and were made by resnet_bgr" in note for note in report.notes)
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.endswith("branch2b_t_bn"):
                module.weight.zero_()  # without what T adds, blocks of type B are the ResNet's
        still = torch.randn(2, 3, 1, 40, 40, generator=torch.Generator().manual_seed(3))
        found = model.features(still.expand(-1, -1, 16, -1, -1).contiguous(), ("pool5",))["pool5"]
        expected = resnet.features(still, ("global_pool",))["global_pool"].flatten(1)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_neither_p3d_nor_res3d_nor_another_depth_is_taken_for_one(tmp_path: Path) -> None:
    blobs = made("50")
    changes: tuple[dict[str, list[Tensor] | None], ...] = (
        {"conv1": [blobs["conv1"][0][:, :, None]]},  # P3D's first kernel has five sides
        {"res4f_branch2a": None},
        {"scale_conv1": None},
    )
    for change in changes:
        changed = {name: tensors for name, tensors in {**blobs, **change}.items() if tensors is not None}
        with read_weights(written(changed, tmp_path / "net")) as foreign:
            assert matching_maps(foreign) == []
