"""``tubelet convert-weights``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tubelet.models import load_model
from tubelet.weights import catalog
from tubelet.weights.maps import c3d

sys.path.insert(0, str(Path(__file__).parents[1] / "weights"))
from test_maps_c3d import CLASSES, SMALL, caffe, stored, tensors


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A narrow C3D in Caffe's form, and layouts that expect it so narrow."""
    monkeypatch.setattr(c3d, "MAPS", tuple(replace(each, options=SMALL) for each in c3d.MAPS))
    yield caffe(tmp_path / "net.caffemodel", tensors()).path
    catalog._expected.cache_clear()  # which may have looked at the narrow layouts


def test_a_file_becomes_a_model(tubelet: Callable[..., Any], tmp_path: Path, net: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("".join(f"class {i}\n" for i in range(CLASSES)) + "\n")
    out = tmp_path / "out"
    found = tubelet("convert-weights", net, "-o", out, "--recipe", "c3d_channel_mean", "--labels", names)
    assert found.code == 0
    row = next(line for line in found.out.splitlines() if line.startswith("fc6-1[0]")).split()
    assert row[:6] == ["fc6-1[0]", "F32", "1×1×1×128×16", "transformed", "fc6.weight", "reshaped"]
    assert f"next: tubelet extract VIDEOS --model {out}" in found.err
    assert "c3d_channel_mean, which only approximates c3d_sports1m" in found.err
    model = load_model(out)
    assert model.labels == tuple(f"class {i}" for i in range(CLASSES))
    assert torch.equal(model.state_dict()["conv5b.weight"], tensors()["conv5b.weight"])


def test_json(tubelet: Callable[..., Any], tmp_path: Path, net: Path) -> None:
    found = tubelet(
        "convert-weights", net, "--model", "c3d", "-o", tmp_path / "out", "--recipe", "c3d_channel_mean", "--json"
    )
    assert (found.code, found.json["model"], found.json["classes"]) == (0, "c3d", CLASSES)
    assert (found.json["layout"], found.json["recipe"]) == ("c3d-caffe", "c3d_channel_mean")
    assert len(found.json["report"]["source_tensors"]) == 22
    assert found.json["report"]["problems"] == []


def test_a_public_file_says_where_its_classes_have_names(
    tubelet: Callable[..., Any], tmp_path: Path, net: Path
) -> None:
    """Only a file with a public name does, and only until the names are given."""
    public = net.rename(tmp_path / "conv3d_deepnetA_sport1m_iter_1900000")
    words = ("convert-weights", public, "-o", tmp_path / "out", "--recipe", "c3d_channel_mean")
    address = "https://raw.githubusercontent.com/gtoderici/sports-1m-dataset/master/labels.txt"
    assert f"the classes have no names: get {address} and add --labels labels.txt\n" in tubelet(*words).err
    (tmp_path / "names").write_text("".join(f"class {i}\n" for i in range(CLASSES)))
    assert "have no names" not in tubelet(*words, "--labels", tmp_path / "names").err
    own = ("convert-weights", public.rename(tmp_path / "mine"), *words[2:])
    assert "have no names" not in tubelet(*own).err


def test_errors_are_one_sentence(tubelet: Callable[..., Any], tmp_path: Path, net: Path) -> None:
    found = tubelet("convert-weights", net, "-o", tmp_path / "out")
    assert (found.code, found.out) == (2, "")
    assert "--mean" in found.complaint
    unknown = stored(tmp_path / "w.safetensors", {"x": torch.ones(1)}).path
    found = tubelet("convert-weights", unknown, "-o", tmp_path / "out")
    assert (found.code, found.out) == (4, "")
    assert "tubelet models weights" in found.complaint
    found = tubelet("convert-weights", net, "-o", tmp_path / "out", "--labels", tmp_path / "none")
    assert found.code == 4
    assert "class names cannot be read" in found.complaint
    assert not (tmp_path / "out").exists()
