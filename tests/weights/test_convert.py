"""From a foreign file to a model folder: what is saved beside the weights, and what is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tubelet.errors import InputDataError, TubeletError, UsageError
from tubelet.models import load_model
from tubelet.provenance import sha256_file
from tubelet.weights import convert
from tubelet.weights.convert import _recipe
from tubelet.weights.maps import c3d, get_map
from tubelet.weights.maps.layout import NO_CLASSIFIER

sys.path.insert(0, str(Path(__file__).parent))
from made_files import blob, encode
from test_maps_c3d import CLASSES, SMALL, caffe, mmaction, stored, tensors


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return caffe(tmp_path / "net.caffemodel", tensors()).path


def test_a_folder_with_everything(tmp_path: Path, net: Path) -> None:
    labels = [f"class {i}" for i in range(CLASSES)]
    report = convert(net, out=tmp_path / "out", recipe="c3d_channel_mean", labels=labels, options=SMALL)
    assert report.problems() == []
    model = load_model(tmp_path / "out")
    assert (model.name, model.num_classes, list(model.labels or ())) == ("c3d", CLASSES, labels)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in tensors().items())
    assert model.recipe is not None
    assert (model.recipe.name, model.recipe.crop_hw) == ("c3d_channel_mean", (32, 32))
    origin = json.loads((tmp_path / "out/provenance.json").read_text())["converted_from"]
    assert origin["sha256"] == sha256_file(net)
    assert (origin["file"], origin["layout"]) == ("net.caffemodel", "c3d-caffe")
    assert (origin["recipe"], origin["recipe_of_training"]) == ("c3d_channel_mean", "c3d_sports1m")
    # Eight kernels as they are; eight biases, three matrices and three biases reshaped.
    assert origin["tensors"] == {"used": 8, "transformed": 14, "refused": 0, "filled": 22, "missing": 0}
    assert sum(map(len, origin["transformed"].values())) == 14
    assert origin["missing"] == origin["refused"] == {}


def test_the_mean_in_caffes_form(tmp_path: Path) -> None:
    """A binaryproto of Caffe is as good as an array."""
    cube = np.random.default_rng(0).random((1, 3, 16, 128, 171), np.float32) * 100
    (tmp_path / "mean.binaryproto").write_bytes(encode(blob(cube, "c3d")))
    np.save(tmp_path / "mean.npy", cube[0])
    layout = get_map("c3d-caffe")
    found = _recipe(layout, None, tmp_path / "mean.binaryproto")
    assert found == _recipe(layout, None, tmp_path / "mean.npy")
    assert found.mean_volume is not None
    assert (found.mean_volume == cube[0]).all()


def test_a_file_without_classifier_needs_a_number(tmp_path: Path) -> None:
    trunk = stored(tmp_path / "trunk.safetensors", mmaction(tensors(), head=False)).path
    with pytest.raises(UsageError, match="no classifier, so the number of classes is not known"):
        convert(trunk, out=tmp_path / "out", options=SMALL)
    convert(trunk, num_classes=3, out=tmp_path / "out", options=SMALL)
    model = load_model(tmp_path / "out")
    assert model.num_classes == 3
    assert model.provenance is not None
    assert model.provenance["converted_from"]["missing"] == {NO_CLASSIFIER: ["fc8.weight", "fc8.bias"]}


@pytest.mark.parametrize(
    ("wanted", "error", "why"),
    [
        ({}, UsageError, "needs its mean volume"),
        ({"recipe": "res3d"}, UsageError, "saw the recipe c3d_sports1m in training, not res3d"),
        ({"num_classes": 3}, UsageError, f"have {CLASSES} classes, not 3"),
        ({"model": "c3dd"}, UsageError, "did you mean 'c3d'"),
        ({"model": "res3d_18"}, InputDataError, "not those of res3d_18"),
        ({"model": "res3d_18"}, InputDataError, "name a network that they fill (model= in Python"),
        ({"map": "c3d-cafe"}, UsageError, "did you mean 'c3d-caffe'"),
        ({"map": "res3d-caffe", "model": "c3d"}, UsageError, "fill res3d_18, not c3d"),
        ({"map": "res3d-caffe", "options": {"projection": False}}, UsageError, "need res3d_18 with projection=True"),
        ({"sha256": "0" * 64}, InputDataError, "not the file that was published"),
        ({"options": {"width": 1 / 16, "side": 32}}, InputDataError, "conv1a[0] is refused: its shape is"),
        ({"labels": ["a"]}, UsageError, "1 labels"),
    ],
)
def test_what_does_not_belong_to_the_weights_is_refused(
    tmp_path: Path, net: Path, wanted: dict[str, Any], error: type[TubeletError], why: str
) -> None:
    given = {"options": SMALL, "recipe": None if wanted == {} else "c3d_channel_mean", **wanted}
    if str(given.get("map", "")).startswith("res3d"):
        given["recipe"] = None
        given["num_classes"] = CLASSES
    with pytest.raises(error) as caught:
        convert(net, out=tmp_path / "out", **given)
    assert why in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_nothing_is_guessed(tmp_path: Path, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither which of two layouts a file has, nor which of two networks it is for."""
    two = ("c3d", "c3d_small")
    monkeypatch.setattr(c3d, "MAPS", tuple(replace(m, recognizes=lambda _: True, models=two) for m in c3d.MAPS))
    with pytest.raises(InputDataError, match=r"may have several layouts: .* of c3d-caffe, c3d-torch-davidea, "):
        convert(net, "c3d", out=tmp_path / "out")
    with pytest.raises(UsageError, match="fill c3d, c3d_small, so a network has to be named"):
        convert(net, map="c3d-caffe", out=tmp_path / "out")


def test_a_layout_that_fits_no_network_is_refused_with_its_reason(tmp_path: Path) -> None:
    """The later code of P3D's authors has the name of a network here, and is another one."""
    shapes = {
        "conv1.weight": (4, 3, 4, 7, 7),
        "layer1.0.conv1.weight": (4, 4, 1, 1, 1),
        "layer1.0.conv2.weight": (4, 4, 1, 3, 3),
        "layer1.0.conv2_t.weight": (4, 4, 3, 1, 1),
        "fc.weight": (7, 4),
    }
    file = stored(tmp_path / "w", {name: torch.ones(shape) for name, shape in shapes.items()}).path
    for model in (None, "p3d_199"):
        with pytest.raises(InputDataError, match=r"fit no network here.*later network of the same name"):
            convert(file, model, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
