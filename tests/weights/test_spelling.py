"""Rules read backwards: every name that leads to a tensor, and none that does not."""

from __future__ import annotations

import pytest

from tubelet.models.registry import build_meta
from tubelet.weights import Refuse, Rule, WeightMap
from tubelet.weights.catalog import known_files
from tubelet.weights.maps import get_map, list_maps
from tubelet.weights.spelling import spellings
from tubelet.weights.transforms import (
    BN_FACTOR,
    FLATTENED,
    FRAME_AXIS,
    SQUEEZED,
    TO_MATRIX,
    TO_VECTOR,
    TRANSPOSED,
    UNCHANGED,
    stored_shape,
)


def names(target: str, *rules: Rule | Refuse) -> list[str]:
    return [name for name, _ in spellings(WeightMap(rules), target)]


@pytest.mark.parametrize(
    ("source", "template", "target", "expected"),
    [
        (r"(fc[678])(-1)?\[0\]", r"\1.weight", "fc7.weight", ["fc7[0]", "fc7-1[0]"]),
        (r"(fc[678])(-1)?\[0\]", r"\1.weight", "fc9.weight", []),
        (r"(?:new_fc|base\.fc)\.(weight|bias)", r"fc.\1", "fc.bias", ["new_fc.bias", "base.fc.bias"]),
        (r"([a-z]+\d)/(\w+)\[1\]", r"\1_\2.bias", "conv1_7x7_s2.bias", ["conv1/7x7_s2[1]"]),
        (r"x\.(?P<norm>weight|bias)", r"y.\g<norm>", "y.bias", ["x.bias"]),
        (r"a\.?([12])\.w", r"b\1.w", "b2.w", ["a2.w", "a.2.w"]),
        (r"(?:a|b(?:c|d)?)x[12]", "y", "y", ["ax1", "ax2", "bx1", "bx2", "bcx1", "bcx2", "bdx1", "bdx2"]),
        (r"(\d)-(\d)", r"\2\1\2", "858", ["5-8"]),
        (r"(\d)-(\d)", r"\2\1\2", "857", []),  # the group would be 8 and 7
        (r"fc(?:_one|_\w+)?", "fc", "fc", ["fc", "fc_one"]),  # of endlessly many, those that are written out
        (r"\d+", "fc", "fc", []),
    ],
)
def test_names_that_lead_to_a_tensor(source: str, template: str, target: str, expected: list[str]) -> None:
    assert names(target, Rule(source, template)) == expected


def test_the_first_rule_decides_backwards_too() -> None:
    """A name that an earlier rule takes elsewhere, or refuses, does not lead here."""
    anything = Rule(r"(\w+)\.weight", r"\1.weight")
    assert names("fc.weight", anything) == ["fc.weight"]
    assert names("fc.weight", Rule(r"fc\.weight", "head.weight"), anything) == []
    assert names("fc.weight", Refuse(r"fc\..+", "another head"), anything) == []


def test_a_pattern_that_cannot_be_followed_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot be followed beyond character 1"):
        names("b", Rule("a)", "b"))


_IN_THE_CATALOG = {each.map for each in known_files()}  # test_catalog sends all tensors of these there and back


@pytest.mark.parametrize(
    "layout", [name for name in list_maps() if get_map(name).models and name not in _IN_THE_CATALOG]
)
def test_every_tensor_of_a_network_has_a_name(layout: str) -> None:
    known = get_map(layout)
    network = build_meta(known.models[0], 7, dict(known.options))
    rules = known.build(network)
    nameless = [name for name in network.state_dict() if not rules.kept(name) and not list(spellings(rules, name))]
    assert nameless == []


def test_shapes_on_the_way_back() -> None:
    assert stored_shape((4, 3, 1, 7, 7), (FRAME_AXIS,)) == (4, 3, 7, 7)
    assert stored_shape((5,), (SQUEEZED,)) == (1, 5)
    assert stored_shape((6, 2), (FLATTENED,)) == (6, 2, 1, 1)
    assert stored_shape((6, 2), (TO_MATRIX,)) == (6, 2)
    assert stored_shape((6, 2), (TO_MATRIX,), 5) == (1, 1, 1, 6, 2)
    assert stored_shape((6,), (TO_VECTOR, BN_FACTOR), 4) == (1, 1, 1, 6)
    assert stored_shape((6, 3, 3, 3, 3), (UNCHANGED,), 5) == (6, 3, 3, 3, 3)
    for shape, step in (((4, 3, 3, 7, 7), FRAME_AXIS), ((2, 3), SQUEEZED), ((2, 3), TRANSPOSED + "1,0")):
        with pytest.raises(ValueError, match="no way back"):
            stored_shape(shape, (step,))
