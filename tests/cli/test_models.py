"""``tubelet models``: the networks with the figures of the specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tubelet.models import list_models, model_info, registry

# spec/c3d_res3d.md, sections 1, 2 and 9 (101 classes): parameters, GMACs. c3d_small is ours, so not in the papers.
PUBLISHED = {
    "c3d": (78_409_573, 38.547),
    "c3d_depth1": (14_344_933, 6.429),
    "c3d_depth3": (17_444_965, 19.261),
    "c3d_depth5": (20_544_997, 32.093),
    "c3d_depth7": (23_645_029, 44.926),
    "c3d_increasing": (21_573_733, 24.117),
    "c3d_decreasing": (18_189_157, 31.747),
    "res3d_18": (33_218_085, 20.348),
    "res3d_34": (63_527_717, 37.689),
    "sr18": (33_218_085, 10.784),
}


@pytest.fixture(autouse=True, scope="module")
def each_network_is_counted_once() -> Iterator[None]:
    """Three listings are made here, and fifty networks take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "model_info", cache(registry.model_info))
        yield


def test_every_network_has_a_row_and_its_exact_counts(tubelet: Callable[..., Any]) -> None:
    found = tubelet("models")
    assert found.code == 0
    rows = [line.split() for line in found.out.splitlines()[1:]]
    listed = {row[0]: (int(row[1].replace(",", "")), float(row[2])) for row in rows}
    assert [row[0] for row in rows] == list_models()
    assert {name: listed[name] for name in PUBLISHED} == PUBLISHED
    assert all(len(line) <= 80 for line in found.out.splitlines()), "a row is a line"
    assert "No weights ship" in found.err
    # What one input is, snippets included: it is what the multiply-adds beside it are of.
    inputs = {row[0]: row[3] for row in rows}
    assert inputs["tsn_bn_inception"] == "3×3×224×224"
    assert (inputs["c3d"], inputs["two_stream_temporal"]) == ("3×16×112×112", "20×1×224×224")


def test_json_has_the_same_facts(tubelet: Callable[..., Any]) -> None:
    found = tubelet("models", "--json")
    assert found.err == ""
    facts = {entry["name"]: entry for entry in found.json}
    assert {name: facts[name]["parameters"] for name in PUBLISHED} == {name: p for name, (p, _) in PUBLISHED.items()}
    assert facts["c3d"]["macs"] == 38_547_378_176
    assert facts["c3d"]["layer_names"][-4:] == ["fc6", "fc7", "fc8", "prob"]
    assert facts["c3d"]["paper"]["year"] == 2015


def test_the_number_of_classes_changes_the_classifier(tubelet: Callable[..., Any]) -> None:
    # Sports-1M has 487 classes: 79,991,015 (spec section 1) and 33,416,103 (section 9.1).
    found = tubelet("models", "c3d", "--classes", 487, "--json").json
    assert found[0]["parameters"] == 79_991_015
    assert tubelet("models", "res3d_18", "--classes", 487, "--json").json[0]["parameters"] == 33_416_103


def test_a_pattern_lists_and_a_name_tells_all(tubelet: Callable[..., Any]) -> None:
    assert [line.split()[0] for line in tubelet("models", "res3d_*").out.splitlines()[1:]] == ["res3d_18", "res3d_34"]
    told = tubelet("models", "c3d").out
    assert told == f"{model_info('c3d')}\n", "one text, on the command line and in Python"
    assert "Learning Spatiotemporal Features with 3D Convolutional Networks" in " ".join(told.split())
    rows = {line.split()[0]: line.split() for line in told.splitlines() if line[:1].isalpha()}
    # conv5b: 512 × 512 × 27 weights and 512 biases; fc6: 512·1·4·4 inputs, 4096 outputs.
    assert rows["conv5b"][2] == f"{512 * 512 * 27 + 512:,}"
    assert rows["fc6"][2] == f"{(8192 + 1) * 4096:,}"
    assert rows["total"][1:] == ["78,409,573", "38,547,378,176"]
    # The activations and the receptive field of the specification's table.
    assert "105.5 MiB" in told
    assert "76×150×150" in told
    assert "batch normalization" in tubelet("models", "c3d_small").out


@pytest.mark.parametrize(("name", "remedy"), [("c3dd", "did you mean 'c3d'?"), ("x*", "the models are alexnet, ")])
def test_what_does_not_exist_is_a_usage_error(tubelet: Callable[..., Any], name: str, remedy: str) -> None:
    found = tubelet("models", name)
    assert (found.code, found.out) == (2, "")
    assert remedy in found.complaint


def test_the_page_of_networks_is_up_to_date(tubelet: Callable[..., Any]) -> None:
    """``make docs`` writes it."""
    page = Path(__file__).parents[2] / "docs" / "models.md"
    assert tubelet("models", "--markdown").out == page.read_text(encoding="utf-8")
