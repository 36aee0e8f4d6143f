"""One account for weights from a file and weights from a network: the same lines, the same check, the same forms."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tubelet.errors import InputDataError
from tubelet.models import create_model
from tubelet.models.contract import VideoModel
from tubelet.provenance import sha256_file
from tubelet.weights import Rule, WeightMap, WeightsReport, inflated, plan_map, read_weights, start_from
from weights.two_d import counted

sys.path.insert(0, str(Path(__file__).parent))
from test_rules import SAME_MAP, Small, filled

SMALL: dict[str, Any] = {"width": 0.0625, "side": 32}


@pytest.fixture(scope="module")
def flat() -> VideoModel:
    return counted(create_model("r2d_18", 5, **SMALL))


@pytest.fixture(scope="module")
def of_network(flat: VideoModel) -> WeightsReport:
    return start_from(create_model("mc3_18", 5, **SMALL), flat)


@pytest.fixture
def of_file(tmp_path: Path) -> WeightsReport:
    save_file(dict(filled().state_dict()), tmp_path / "a")
    return plan_map(read_weights(tmp_path / "a"), Small(), SAME_MAP)[0]


def keys(value: Any) -> Any:
    """The shape of a JSON value: keys, and of lists their first entry."""
    if isinstance(value, dict):
        return {key: keys(entry) for key, entry in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_both_have_one_form(of_file: WeightsReport, of_network: WeightsReport) -> None:
    whole = [json.loads(json.dumps(report.to_dict(), allow_nan=False)) for report in (of_file, of_network)]
    origins = [each.pop("source") for each in whole]
    assert [set(origin) for origin in origins] == [{"file", "format", "sha256"}, {"model", "options", "weights_id"}]
    notes = [each.pop("notes") for each in whole]  # a file's words, and the differences of two networks
    assert notes[0] == []
    assert len(notes[1]) > 0
    assert keys(whole[0]) == keys(whole[1])
    brief = [report.summary() for report in (of_file, of_network)]
    assert brief[0].keys() - origins[0].keys() == brief[1].keys() - origins[1].keys()
    first = str(of_file).splitlines(), str(of_network).splitlines()
    assert first[0][3].split() == first[1][3].split()  # the table's head
    for report, lines in zip((of_file, of_network), first, strict=True):
        assert len(lines) == 4 + len(report.source_tensors) + len(report.notes)


def test_whose_weights_they_are(tmp_path: Path, flat: VideoModel, of_network: WeightsReport) -> None:
    save_file({"w": torch.ones(1)}, tmp_path / "a.safetensors")
    report, _ = plan_map(read_weights(tmp_path / "a.safetensors"), Small(), WeightMap(()))
    sha = sha256_file(tmp_path / "a.safetensors")
    assert report.source.to_dict() == {"file": "a.safetensors", "format": "safetensors", "sha256": sha}
    assert str(report).startswith(f"{tmp_path / 'a.safetensors'}: safetensors, SHA-256 {sha[:16]}…\n")
    assert of_network.source.to_dict() == {"model": "r2d_18", "options": flat.options, "weights_id": flat.weights_id}
    assert str(of_network).startswith(f"r2d_18: weights {flat.weights_id}\ninto mc3_18 (mean-preserving inflation): ")
    again = start_from(create_model("mc3_18", 5, **SMALL), flat.state_dict(), weights_id="mine")
    assert again.source.to_dict() == {"model": None, "options": None, "weights_id": "mine"}
    assert str(again).startswith("state dict: weights mine\n")


def test_every_tensor_of_a_network_is_told(flat: VideoModel, of_network: WeightsReport) -> None:
    given = flat.state_dict()
    assert [line.name for line in of_network.source_tensors] == list(given)
    for line in of_network.source_tensors:
        values = given[line.name].double()
        assert (line.shape, line.dtype) == (values.shape, "I64" if line.name.endswith("tracked") else "F32")
        assert line.statistics is not None
        assert line.statistics.mean == pytest.approx(values.mean().item(), abs=1e-12)
        assert line.statistics.not_finite == 0
    filled_from = {line.name: line.detail for line in of_network.model_tensors if line.outcome == "filled"}
    assert filled_from == {line.target: line.name for line in of_network.source_tensors}
    counts = of_network.summary()["tensors"]
    assert counts["used"] + counts["transformed"] == counts["filled"] == len(given)
    assert counts["refused"] == counts["missing"] == 0


def of_a_file(path: Path, weights: dict[str, Tensor]) -> str:
    """What is said of these weights beside all that `Small` needs."""
    save_file({**filled().state_dict(), **weights}, path)
    report, _ = plan_map(read_weights(path), Small(), SAME_MAP)
    with pytest.raises(InputDataError) as caught:
        report.check()
    return str(caught.value)


def of_a_network(own: dict[str, Tensor], weights: dict[str, Tensor]) -> str:
    """What is said of these weights beside all that a 3-D network needs."""
    model = create_model("mc3_18", 5, **SMALL)
    with pytest.raises(InputDataError) as caught:
        inflated({**own, **weights}, model)
    return str(caught.value)


def test_both_are_refused_in_the_same_words(tmp_path: Path, flat: VideoModel) -> None:
    own, path = dict(flat.state_dict()), tmp_path / "a"
    remedy = "; build the network with the options of the one that the weights are from, or give other weights"
    bias = torch.tensor([1, 2, torch.inf, torch.nan, 5])
    told = of_a_file(path, {"fc6.bias": bias})
    assert told == f"the weights do not fit small: {path} (fc6.bias has 2 values that are not finite){remedy}"
    told = of_a_network(own, {"fc.bias": bias})
    assert told == f"the weights do not fit mc3_18 (fc.bias has 2 values that are not finite){remedy}"
    extra = {f"extra{i}": torch.ones(1) for i in range(7)}
    for told in (of_a_file(path, extra), of_a_network(own, extra)):
        assert told.count(" is refused: ") == 5
        assert "; and 2 more)" in told
    told = of_a_file(path, {"conv1a.bias": torch.ones(3)})
    assert "(conv1a.bias is refused: its shape is 3 where conv1a.bias has 4; conv1a.bias is missing)" in told
    told = of_a_network(own, {"conv1.bias": torch.ones(3), "fc.bias": torch.ones(5, 1)})
    assert "(fc.bias is refused: its shape is 5×1 where fc.bias has 5; conv1.bias is refused: it is not in the " in told
    assert "network; fc.bias is missing)" in told


def test_what_a_model_remembers_names_what_is_not_plain(tmp_path: Path) -> None:
    tensors = {"weight": torch.ones(2, dtype=torch.float64), "state": torch.ones(1)}
    save_file(tensors, tmp_path / "a")
    model = torch.nn.PReLU(2)
    report, _ = plan_map(read_weights(tmp_path / "a"), model, WeightMap((Rule("weight", "weight"),)))
    brief = report.summary()
    assert brief["tensors"] == {"used": 0, "transformed": 1, "refused": 1, "filled": 1, "missing": 0}
    assert brief["transformed"] == {"rounded from float64": ["weight"]}
    assert brief["refused"] == {"no rule names it": ["state"]}
    assert (brief["missing"], brief["method"]) == ({}, "name map")
