"""``tubelet evaluate published``: filters, marks, and the three forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Tubelet = Callable[..., Any]


def test_tables_are_printed_as_in_the_papers(tubelet: Tubelet) -> None:
    found = tubelet("evaluate", "published", "--table", "c3d_2")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0] == "C3D (Tran et al., ICCV 2015), table 2  [c3d_2]"
    assert lines[1].split() == ["row", "data", "set", "input", "metric", "figure", "how", "sure", "note"]
    assert len(lines) == 2 + 5 * 3
    doubtful = [line for line in lines if "72.4 %" in line]
    assert len(doubtful) == 1
    assert "MEMORY, not looked up" in doubtful[0]


def test_filters_take_patterns(tubelet: Tubelet) -> None:
    found = tubelet("evaluate", "published", "--dataset", "ucf101", "--network", "c3d*", "--protocol", "svm", "--json")
    figures = {(each["method"], each["value"]) for each in found.json}
    assert ("C3D (1 net) + linear SVM", 82.3) in figures
    assert all(each["dataset"] == "ucf101" and each["protocol"] == "svm" for each in found.json)
    assert len(tubelet("evaluate", "published", "--json").json) > 500


def test_markdown_has_a_table_for_each_of_the_papers(tubelet: Tubelet) -> None:
    found = tubelet("evaluate", "published", "--table", "two_stream_[24]", "--markdown")
    assert found.out.count("| row |") == 2
    assert "**Two-Stream (Simonyan and Zisserman, NIPS 2014), table 4** (`two_stream_4`)" in found.out
    assert "| spatial stream | hmdb51 | mean of 1-3 | rgb | accuracy | 40.5 % | paper |" in found.out


def test_nothing_found_names_what_there_is(tubelet: Tubelet) -> None:
    found = tubelet("evaluate", "published", "--dataset", "weizmann")
    assert (found.code, found.out) == (2, "")
    assert found.complaint.startswith("no published figure fits; the data sets are activitynet")


@pytest.mark.parametrize("option", ["--table", "--markdown", "--dataset"])
def test_help_explains_itself(tubelet: Tubelet, option: str) -> None:
    assert option in tubelet("evaluate", "published", "--help").out
