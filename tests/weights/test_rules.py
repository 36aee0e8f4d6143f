"""Name maps: every tensor of both sides accounted for, all or nothing, transformations by name."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tubelet.errors import InputDataError
from tubelet.weights import Keep, Refuse, Rule, WeightMap, apply_map, plan_map, read_weights
from tubelet.weights.foreign import ForeignFile, ForeignTensor
from tubelet.weights.transforms import (
    BN_FACTOR,
    FLATTENED,
    FRAME_AXIS,
    LESS_BIAS,
    SQUEEZED,
    TO_MATRIX,
    TO_VECTOR,
    UNCHANGED,
    cast,
    transform,
)

sys.path.insert(0, str(Path(__file__).parent))
from made_files import CAFFE_MAP, SAME_MAP, Small, caffe_layers, caffemodel, filled, numbered, write


def stored(path: Path, **tensors: Tensor) -> ForeignFile:
    save_file(tensors, path)
    return read_weights(path)


def state(model: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(("layout", "numbering"), [("V1", "c3d"), ("V1", "shape"), ("V2", "c3d"), ("V2", "shape")])
def test_a_caffe_network_fills_ours(tmp_path: Path, layout: str, numbering: str) -> None:
    source, model = filled(), filled(1)
    layers = caffe_layers(source, 5 if numbering == "c3d" else None)
    path = write(tmp_path / "net", caffemodel(numbered(layers) if layout == "V1" else layers, layout, numbering))
    report = apply_map(read_weights(path), model, CAFFE_MAP)
    assert state(model) == state(source)
    outcomes = {line.name: line.outcome for line in report.source_tensors}
    assert outcomes == {
        "conv1a[0]": "used",
        "conv1a[1]": "transformed",
        "bn1[0]": "transformed",
        "bn1[1]": "transformed",
        "bn1[2]": "used",
        "scale1[0]": "transformed",
        "scale1[1]": "transformed",
        "fc6-1[0]": "transformed",
        "fc6-1[1]": "transformed",
    }
    details = {line.name: line.detail for line in report.source_tensors}
    assert details["bn1[1]"] == f"{TO_VECTOR}, {BN_FACTOR}"
    assert details["bn1[2]"] == "with bn1[0], bn1[1]"
    missing = [(line.name, line.detail) for line in report.model_tensors if line.outcome == "missing"]
    assert missing == [("bn.num_batches_tracked", "Caffe does not count batches")]
    assert len(report.model_tensors) == len(model.state_dict())
    assert report.problems() == []


def test_prefixes_and_refusals_are_data(tmp_path: Path) -> None:
    source, model = filled(), filled(1)
    tensors = {f"state_dict.module.{name}": tensor for name, tensor in source.state_dict().items()}
    foreign = stored(tmp_path / "a", **tensors, **{"optimizer.0": torch.ones(2)})
    rules = (Refuse(r"optimizer\..*", "the optimizer's state"), *SAME_MAP.rules)
    report = apply_map(foreign, model, WeightMap(rules, prefixes=SAME_MAP.prefixes))
    assert state(model) == state(source)
    line = next(line for line in report.source_tensors if line.name == "optimizer.0")
    assert (line.outcome, line.detail, line.wanted) == ("refused", "the optimizer's state", True)


def changed(name: str, value: Tensor | None) -> dict[str, Tensor]:
    tensors = dict(filled().state_dict())
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    return tensors


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        (changed("fc6.bias", None), "fc6.bias is missing"),
        (changed("extra", torch.ones(1)), "extra is refused: the network has no extra"),
        (changed("fc6.bias", torch.ones(6)), "its shape is 6 where fc6.bias has 5"),
        (changed("fc6.bias", torch.ones(5, dtype=torch.int32)), "numbers of type int32 do not become float32"),
        (changed("bn.num_batches_tracked", torch.tensor(1.0)), "numbers of type float32 do not become int64"),
        (changed("fc6.bias", torch.full((5,), 1e300, dtype=torch.float64)), "do not fit into float32"),
        (changed("fc6.bias", torch.tensor([1, 2, 3, 4, torch.nan])), "fc6.bias has 1 values that are not finite"),
        (changed("module.fc6.bias", torch.ones(5)), "fc6.bias is filled by fc6.bias already"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path, tensors: dict[str, Tensor], why: str) -> None:
    model = filled(1)
    before = state(model)
    with pytest.raises(InputDataError, match="the weights do not fit small") as caught:
        apply_map(stored(tmp_path / "a", **tensors), model, SAME_MAP)
    assert why in str(caught.value)
    assert state(model) == before


def test_the_first_problems_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"missing; and 5 more"):
        apply_map(stored(tmp_path / "a", other=torch.ones(1)), Small(), SAME_MAP)
    with pytest.raises(InputDataError, match=r"other is refused: no rule names it"):
        apply_map(stored(tmp_path / "a", other=torch.ones(1)), Small(), WeightMap(()))


def test_types_of_another_width_are_brought_over_and_said(tmp_path: Path) -> None:
    tensors = changed("fc6.bias", torch.tensor([0.5, 1, 2, 3, 4]).half())
    tensors["conv1a.bias"] = torch.full((4,), 1 / 3, dtype=torch.float64)
    model = Small()
    report = apply_map(stored(tmp_path / "a", **tensors), model, SAME_MAP)
    details = {line.name: (line.outcome, line.detail) for line in report.source_tensors}
    assert details["fc6.bias"] == ("transformed", "widened from float16")
    assert details["conv1a.bias"] == ("transformed", "rounded from float64")
    assert details["fc6.weight"] == ("used", "")
    assert model.fc6.bias.tolist() == [0.5, 1, 2, 3, 4]
    assert model.conv1a.bias is not None
    assert model.conv1a.bias.tolist() == [np.float32(1 / 3)] * 4


class One(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(size))


def test_a_helper_that_is_absent_or_senseless_is_refused(tmp_path: Path) -> None:
    weights = WeightMap((Rule(r"(\w+)\.mean", "w", (BN_FACTOR,), companions=(r"\1.factor",)),))
    cases = {
        "a.factor, which it needs, is not in the file": {},
        "the factor is 0.0: the statistics were never collected": {"a.factor": torch.zeros(1)},
        "the factor is nan": {"a.factor": torch.full((1,), torch.nan)},
        "the factor, one number, is not there": {"a.factor": torch.ones(2)},
    }
    for why, helper in cases.items():
        report, values = plan_map(stored(tmp_path / "a", **{"a.mean": torch.ones(3)}, **helper), One(3), weights)
        assert any(why in problem for problem in report.problems()), why
        assert values == {}


def test_each_step_gets_the_helper_in_its_place(tmp_path: Path) -> None:
    """(x + bias) - sum/factor = x - (sum/factor - bias)."""
    rule = Rule("mean", "w", (BN_FACTOR, LESS_BIAS), companions=("factor", "bias"))
    tensors = {"mean": torch.tensor([8.0, 4, 2]), "factor": torch.tensor([4.0]), "bias": torch.tensor([1.0, 2, 3])}
    model = One(3)
    report = apply_map(stored(tmp_path / "a", **tensors), model, WeightMap((rule,)))
    assert model.w.tolist() == [1, -1, -2.5]
    told = {line.name: (line.outcome, line.detail) for line in report.source_tensors}
    assert told == {
        "mean": ("transformed", f"{BN_FACTOR}, {LESS_BIAS}"),
        "factor": ("used", "with mean"),
        "bias": ("used", "with mean"),
    }
    for change, why in (
        ({"bias": torch.ones(2)}, "the bias, as many numbers, is not there"),
        ({"factor": torch.ones(3)}, "the factor, one number, is not there"),
    ):
        report, values = plan_map(stored(tmp_path / "a", **{**tensors, **change}), One(3), WeightMap((rule,)))
        assert any(why in problem for problem in report.problems())
        assert values == {}


def test_unreadable_tensors_are_refused_unless_a_rule_foresees_it(tmp_path: Path) -> None:
    def file() -> ForeignFile:
        odd = ForeignTensor("odd", "torch.complex64", (2,), None, unreadable="complex numbers are not read")
        return ForeignFile(tmp_path / "x", "made", "0" * 64, {"odd": odd})

    for rules in ((), (Rule("odd", "w"),)):
        report, _ = plan_map(file(), One(2), WeightMap(rules))
        assert "odd is refused: complex numbers are not read" in report.problems()
    report, _ = plan_map(file(), One(2), WeightMap((Refuse("odd", "not needed"),), keep=(Keep("w", "starts anew"),)))
    assert report.problems() == []
    needing = WeightMap((Rule("a", "w", (BN_FACTOR,), companions=("odd",)),))
    both = file()
    both.tensors = {**both.tensors, **stored(tmp_path / "a", a=torch.ones(2)).tensors}
    report, _ = plan_map(both, One(2), needing)
    assert "a is refused: odd, which it needs, is not in the file" in report.problems()


def test_the_report_prints_and_is_json(tmp_path: Path) -> None:
    tensors = changed("bn.num_batches_tracked", None)
    save_file({**tensors, "more\u202e": torch.zeros(0)}, tmp_path / "a", metadata={"note": "from\nhere"})
    with pytest.raises(InputDataError, match="a tensor called"):  # a mark that turns the writing around
        read_weights(tmp_path / "a")
    save_file({**tensors, "more": torch.zeros(0)}, tmp_path / "a", metadata={"note": "from\nhere"})
    report, _ = plan_map(read_weights(tmp_path / "a"), Small(), SAME_MAP)
    text = str(report)
    assert "into small (name map): 8 used, 0 transformed, 1 refused; 8 of 9 tensors of the network filled" in text
    assert "missing: bn.num_batches_tracked (no tensor fills it)" in text
    assert "note: metadata note: from here" in text
    row = next(line for line in text.splitlines() if line.startswith("fc6.weight"))
    assert re.search(r"F32 +5×6 +used +fc6\.weight", row)
    lines = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert {line["name"] for line in lines["source_tensors"]} == {*tensors, "more"}
    assert {line["name"] for line in lines["model_tensors"]} == set(Small().state_dict())
    statistics = next(line["statistics"] for line in lines["source_tensors"] if line["name"] == "fc6.bias")
    assert statistics["mean"] == pytest.approx(filled().fc6.bias.double().mean().item())
    assert lines["problems"] == report.problems() != []


@pytest.mark.parametrize(
    ("value", "dtype", "how"),
    [
        (torch.tensor([0.5, -2]).bfloat16(), torch.float32, ("widened from bfloat16",)),
        (torch.tensor([0.1], dtype=torch.float64), torch.float32, ("rounded from float64",)),
        (torch.tensor([3], dtype=torch.int32), torch.int64, ("widened from int32",)),
        (torch.tensor([3]), torch.uint8, ("narrowed from int64",)),
        (torch.tensor([True]), torch.bool, ()),
        (torch.ones(2, dtype=torch.float16, device="meta"), torch.float32, ("widened from float16",)),
    ],
)
def test_numbers_of_another_width_are_cast(value: Tensor, dtype: torch.dtype, how: tuple[str, ...]) -> None:
    found, steps = cast(value, dtype)
    assert (found.dtype, steps) == (dtype, how)
    if not value.is_meta:
        np.testing.assert_allclose(found.double().numpy(), value.double().numpy(), rtol=1e-7)


@pytest.mark.parametrize(
    ("value", "dtype", "why"),
    [
        (torch.tensor([256]), torch.uint8, "its numbers do not fit into uint8"),
        (torch.tensor([1e5]), torch.float16, "its numbers do not fit into float16"),
        (torch.tensor([True]), torch.int64, "numbers of type bool do not become int64"),
        (torch.tensor([1]), torch.float32, "numbers of type int64 do not become float32"),
        (torch.tensor([1j]), torch.float32, "numbers of type complex64 do not become float32"),
    ],
)
def test_other_kinds_of_numbers_are_not(value: Tensor, dtype: torch.dtype, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        cast(value, dtype)


A = torch.arange(24.0)


@pytest.mark.parametrize(
    ("given", "how", "expected"),
    [
        (A.reshape(2, 3, 2, 2), (UNCHANGED,), A.reshape(2, 3, 2, 2)),
        (A.reshape(2, 3, 2, 2), (FRAME_AXIS,), A.reshape(2, 3, 1, 2, 2)),
        (A.reshape(1, 24), (SQUEEZED,), A),
        (A.reshape(1, 24, 1, 1), (SQUEEZED,), A),
        (A.reshape(1, 1, 1, 4, 6), (TO_MATRIX,), A.reshape(4, 6)),
        (A.reshape(4, 6), (TO_MATRIX,), A.reshape(4, 6)),
        (A.reshape(1, 1, 1, 1, 24), (TO_VECTOR,), A),
        (A.reshape(2, 3, 2, 2), (FLATTENED,), A.reshape(2, 12)),
        (A, (BN_FACTOR,), A / 8),
    ],
)
def test_transformations(given: Tensor, how: tuple[str, ...], expected: Tensor) -> None:
    assert torch.equal(transform(given, how, (torch.tensor([8.0]),)), expected)


def test_a_transposition_reads_as_numpy_does() -> None:
    """MatConvNet's filters are H×W×In×Out."""
    given = A.reshape(2, 3, 2, 2)
    found = transform(given, ("transposed 3,2,0,1", FRAME_AXIS))
    assert found.is_contiguous()
    assert (found.numpy() == given.numpy().transpose(3, 2, 0, 1)[:, :, None]).all()


@pytest.mark.parametrize(
    ("given", "how", "why"),
    [
        (A, (FRAME_AXIS,), "a 2-D kernel"),
        (A, (SQUEEZED,), r"\(1,C\) is needed"),
        (A.reshape(2, 12), (SQUEEZED,), r"\(1,C\) is needed"),
        (A.reshape(1, 2, 12), (SQUEEZED,), r"\(1,C\) is needed"),
        (A.reshape(2, 1, 12), (TO_MATRIX,), r"\(1,…,N,K\) is needed"),
        (A.reshape(1, 1, 24, 1), (TO_VECTOR,), r"\(1,…,N\) is needed"),
        (A, (FLATTENED,), r"\(N,C,…\) is needed"),
        (A, (BN_FACTOR,), "the factor, one number, is not there"),
        (A, (LESS_BIAS,), "the bias, as many numbers, is not there"),
        (A.reshape(4, 6), ("transposed 0,1,2",), "cannot be transposed 0,1,2"),
        (A, ("turned",), "no transformation called 'turned'"),
    ],
)
def test_transformations_refuse_other_forms(given: Tensor, how: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        transform(given, how)
