"""The map of systems by classes or folds: what stands where, how strong its color is, and what it refuses."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tubelet.errors import UsageError
from tubelet.reporting import Figure
from tubelet.reporting.share_grid import MOST_PARTS, share_grid

RIGHT, TOTALS = [[6, 0, 3], [2, 4, 4]], [6, 4, 4]


def texts(figure: Figure) -> list[str]:
    assert figure.svg is not None
    return [element.text or "" for element in ET.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text")]


def test_numbers_are_counts_and_the_last_row_says_of_how_many() -> None:
    figure = share_grid(RIGHT, TOTALS, ["net", "svm"], ["bend", "jack", "run"], rules=[1])
    shown = texts(figure)
    assert [text for text in shown if text.isdigit()][:9] == ["6", "0", "3", "2", "4", "4", "6", "4", "4"]
    assert {"net", "svm", "videos", "bend", "jack", "run", "100 %"} <= set(shown)
    assert figure.alt == "Map of 2 systems by 3 classes: net is worst at jack; svm is worst at bend."


def test_a_color_is_the_share_to_the_power_of_the_color_bar() -> None:
    svg = share_grid([[1, 4]], [4, 4], ["net"], ["a", "b"]).svg
    assert svg is not None
    found = [float(value) for value in re.findall(r"opacity: ?([0-9.]+)", svg.decode())]
    # A quarter is 0.25^0.65 = 0.406 of 40 shades: the 16th; the color bar comes after.
    assert found[0] == 16 / 40


def test_all_right_is_said() -> None:
    figure = share_grid([[2, 2]], [2, 2], ["net"], ["g1", "g2"], what="folds")
    assert figure.alt == "Map of 1 systems by 2 folds: net gets all right."


def test_long_names_are_turned_and_all_there() -> None:
    names = [f"a rather long name {index}" for index in range(MOST_PARTS)]
    shown = texts(share_grid([[1] * MOST_PARTS], [1] * MOST_PARTS, ["net"], names))
    assert sum(text.startswith("a rather") for text in shown) == MOST_PARTS


@pytest.mark.parametrize(
    ("right", "totals", "parts", "complaint"),
    [
        ([[1, 2]], [2, 2], ["a"], "the counts by part do not fit"),
        ([[1, 2]], [2], ["a", "b"], "the counts by part do not fit"),
        ([[]], [], [], "the counts by part do not fit"),
        ([[3]], [2], ["a"], "more videos of a part right than there are"),
        ([[-1]], [2], ["a"], "or fewer than none"),
        ([[1] * 41], [1] * 41, list(map(str, range(41))), "41 parts do not fit one map"),
    ],
)
def test_what_does_not_fit_is_refused(
    right: list[list[int]], totals: list[int], parts: list[str], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        share_grid(right, totals, ["net"], parts)
