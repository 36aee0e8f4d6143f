"""C3D's layouts: files in the originals' exact form fill the network, every tensor in its place, bit for bit."""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tubelet.errors import InputDataError
from tubelet.models import create_model
from tubelet.models.contract import VideoModel
from tubelet.weights import ForeignFile, apply_map, read_weights
from tubelet.weights.maps import get_map, list_maps, matching_maps
from tubelet.weights.torch_file import torch_pool

sys.path.insert(0, str(Path(__file__).parent))
from made_files import Floats, caffemodel, write

# A thirty-second of the published channels; of pool5 16 × 1 × 1 × 1 is left.
CHANNELS = {"conv1a": 2, "conv2a": 4, "conv3a": 8, "conv3b": 8, "conv4a": 16, "conv4b": 16, "conv5a": 16, "conv5b": 16}
UNITS, CLASSES = 128, 7
SMALL = {"width": 1 / 32, "side": 32}


def tensors(seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the paper's layer names, with shapes from its table."""
    generator = torch.Generator().manual_seed(seed)
    made, entering = {}, 3
    for layer, out in CHANNELS.items():
        made[f"{layer}.weight"], made[f"{layer}.bias"] = (out, entering, 3, 3, 3), (out,)
        entering = out
    for layer, out in (("fc6", UNITS), ("fc7", UNITS), ("fc8", CLASSES)):
        made[f"{layer}.weight"], made[f"{layer}.bias"] = (out, entering), (out,)
        entering = out
    return {name: torch.randn(shape, generator=generator) for name, shape in made.items()}


def small() -> VideoModel:
    return create_model("c3d", CLASSES, **SMALL)


def caffe(path: Path, weights: dict[str, Tensor], suffix: str = "-1", drop: str = "") -> ForeignFile:
    """The layout of C3D v1.0: five sides everywhere, layers of types without weights in between."""
    layers: list[tuple[str, int, list[Floats]]] = [("data", 34, [])]
    for name in dict.fromkeys(key.split(".")[0] for key in weights):
        matrix, bias = (weights[f"{name}.{part}"].numpy() for part in ("weight", "bias"))
        five = matrix if matrix.ndim == 5 else matrix.reshape(1, 1, 1, *matrix.shape)
        blobs = [five, bias.reshape(1, 1, 1, 1, -1)]
        layers += [(name + (suffix if name.startswith("fc") else ""), 14 if name.startswith("fc") else 30, blobs)]
        layers += [(f"relu_{name}", 18, [])]
    return read_weights(write(path, caffemodel([each for each in layers if each[0] != drop], "V1", "c3d")))


def stored(path: Path, weights: dict[str, Tensor]) -> ForeignFile:
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)
    return read_weights(path)


def davidea(weights: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{name}".replace("conv1a", "conv1").replace("conv2a", "conv2"): t for name, t in weights.items()}


def mmaction(weights: dict[str, Tensor], head: bool, prefix: str = "") -> dict[str, Tensor]:
    found = {}
    for name, tensor in weights.items():
        layer, part = name.split(".")
        if layer == "fc8":
            if head:
                found[f"{prefix.removesuffix('backbone.')}cls_head.fc_cls.{part}"] = tensor
        else:
            found[f"{prefix}{layer}{'.conv' if layer.startswith('conv') else ''}.{part}"] = tensor
    return found


def filled(foreign: ForeignFile, layout: str) -> dict[str, Tensor]:
    model = small()
    known = get_map(layout)
    assert [each.name for each in matching_maps(foreign)] == [layout]
    assert known.classes(foreign) == (None if layout.endswith("trunk") else CLASSES)
    report = apply_map(foreign, model, known.build(model))
    assert report.problems() == []
    return model.state_dict()


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("suffix", ["-1", ""])
def test_the_caffe_release(tmp_path: Path, suffix: str) -> None:
    weights = tensors()
    assert same(filled(caffe(tmp_path / "net", weights, suffix), "c3d-caffe"), weights)


@pytest.mark.parametrize("prefix", ["", "state_dict.module."])
def test_the_port_of_davidea(tmp_path: Path, prefix: str) -> None:
    weights = tensors()
    assert same(filled(stored(tmp_path / "w", davidea(weights, prefix)), "c3d-torch-davidea"), weights)


@pytest.mark.parametrize("prefix", ["", "backbone.", "state_dict.backbone."])
def test_the_port_of_mmaction(tmp_path: Path, prefix: str) -> None:
    weights = tensors()
    whole = stored(tmp_path / "w", mmaction(weights, True, prefix))
    assert same(filled(whole, "c3d-torch-mmaction"), weights)
    trunk = {name: tensor for name, tensor in weights.items() if not name.startswith("fc8")}
    found = filled(stored(tmp_path / "t", mmaction(weights, False, prefix)), "c3d-torch-mmaction-trunk")
    assert same(found, trunk)
    start = small().state_dict()  # the classifier is as it started, from the same seed
    assert torch.equal(found["fc8.weight"], start["fc8.weight"])
    assert not torch.equal(found["fc8.weight"], weights["fc8.weight"])


def test_files_of_torch_save(tmp_path: Path) -> None:
    """c3d.pickle is of torch before 1.6; mmaction's checkpoints have the weights below ``state_dict``."""
    weights = tensors()
    torch.save(OrderedDict(davidea(weights)), tmp_path / "c3d.pickle", _use_new_zipfile_serialization=False)
    checkpoint = {"meta": {"epoch": 45}, "state_dict": OrderedDict(mmaction(weights, True, "backbone."))}
    torch.save(checkpoint, tmp_path / "ucf101.pth")
    with torch_pool(1 << 20) as pool:
        for name, layout in (("c3d.pickle", "c3d-torch-davidea"), ("ucf101.pth", "c3d-torch-mmaction")):
            with read_weights(tmp_path / name, pool=pool) as foreign:
                assert same(filled(foreign, layout), weights)


def test_an_optimizer_is_left_out_knowingly(tmp_path: Path) -> None:
    weights = davidea(tensors(), "state_dict.") | {"optimizer.state.0.momentum_buffer": torch.ones(3)}
    model, foreign = small(), stored(tmp_path / "w", weights)
    report = apply_map(foreign, model, get_map("c3d-torch-davidea").build(model))
    assert [line.detail for line in report.source_tensors if line.outcome == "refused"] == ["the optimizer's state"]


def complaint(foreign: ForeignFile, layout: str) -> str:
    model = small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputDataError) as caught:
        apply_map(foreign, model, get_map(layout).build(model))
    assert same(model.state_dict(), before)
    return str(caught.value)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    weights = tensors()
    assert "conv4b.weight is missing" in complaint(caffe(tmp_path / "a", weights, drop="conv4b"), "c3d-caffe")
    assert "fc8.bias is missing" in complaint(
        stored(tmp_path / "b", {k: v for k, v in davidea(weights).items() if k != "fc8.bias"}), "c3d-torch-davidea"
    )
    more = stored(tmp_path / "c", mmaction(weights, True) | {"conv1a.bn.weight": torch.ones(2)})
    assert "conv1a.bn.weight is refused: no rule names it" in complaint(more, "c3d-torch-mmaction")
    turned = weights | {"fc6.weight": weights["fc6.weight"].T.contiguous()}
    why = complaint(caffe(tmp_path / "d", turned), "c3d-caffe")
    assert "fc6-1[0] is refused: its shape is 16×128 where fc6.weight has 128×16" in why
    flat = weights | {"conv3b.weight": weights["conv3b.weight"][:, :, :1]}
    why = complaint(stored(tmp_path / "e", davidea(flat)), "c3d-torch-davidea")
    assert "conv3b.weight is refused: its shape is 8×8×1×3×3 where conv3b.weight has " in why


def test_a_half_classifier_is_no_trunk(tmp_path: Path) -> None:
    """Else the bias that is not there would quietly stay as it started."""
    half = mmaction(tensors(), True)
    del half["cls_head.fc_cls.bias"]
    foreign = stored(tmp_path / "w", half)
    assert [each.name for each in matching_maps(foreign)] == ["c3d-torch-mmaction"]
    assert "fc8.bias is missing" in complaint(foreign, "c3d-torch-mmaction")


def test_other_files_are_recognized_by_none(tmp_path: Path) -> None:
    assert matching_maps(stored(tmp_path / "w", tensors())) == []  # our own names
    two = {"conv1.weight": torch.ones(2, 3, 7, 7), "conv2.weight": torch.ones(1), "conv3b.weight": torch.ones(1)}
    assert matching_maps(stored(tmp_path / "v", two | {"fc6.weight": torch.ones(1)})) == []
    layers = [("conv1a", "Convolution", [np.ones((2, 3, 3, 3))]), ("conv5b", "C", [np.ones(1)])]
    assert matching_maps(read_weights(write(tmp_path / "n", caffemodel(layers, "V2", "shape")))) == []


def test_every_layout_says_what_it_is() -> None:
    from tubelet.clips.recipes import RECIPES
    from tubelet.models import list_models

    for name in list_maps():
        known = get_map(name)
        assert known.name == name
        assert known.recipe in RECIPES
        assert set(known.models) <= set(list_models())
        assert known.title
        assert known.license
