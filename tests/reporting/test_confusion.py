"""Confusion matrices: what is counted, listed and shown."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as reference_normalized

from tubelet.errors import UsageError
from tubelet.reporting import Confusion, Figure, confusion_matrix, most_confused
from tubelet.reporting.confusion import checked_counts, row_shares


def texts(figure: Figure) -> list[str]:
    assert figure.svg is not None
    root = ET.fromstring(figure.svg)
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_most_confused_by_hand() -> None:
    counts = [[8, 2, 0], [2, 2, 0], [0, 1, 9]]
    assert most_confused(counts, ["a", "b", "c"]) == [
        Confusion("b", "a", 2, 0.5),  # as many as a → b, but a larger share
        Confusion("a", "b", 2, 0.2),
        Confusion("c", "b", 1, 0.1),
    ]
    assert most_confused(counts, ["a", "b", "c"], top=1) == [Confusion("b", "a", 2, 0.5)]
    assert most_confused(np.eye(3), ["a", "b", "c"]) == []


def test_row_shares_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    counts = np.zeros((5, 5), dtype=int)
    np.add.at(counts, (true, predicted), 1)
    np.testing.assert_allclose(
        row_shares(checked_counts(counts, list("abcde"))),
        reference_normalized(true, predicted, normalize="true"),
    )


def test_cells_hold_percent_or_counts() -> None:
    counts = [[3, 1], [0, 0]]
    assert {"75", "25"} <= set(texts(confusion_matrix(counts, ["a", "b"])))
    shown = texts(confusion_matrix(counts, ["a", "b"], numbers="counts"))
    assert {"3", "1"} <= set(shown)
    assert "75" not in shown


@pytest.mark.parametrize("k", [2, 11, 40])
def test_all_labels_are_named(k: int) -> None:
    labels = [f"label {i}" for i in range(k)]
    shown = texts(confusion_matrix(np.eye(k, dtype=int) * 7, labels))
    assert all(shown.count(label) == 2 for label in labels)  # once per axis
    assert shown.count("100") == k


def test_many_classes_list_pairs_instead_of_numbers() -> None:
    counts = np.eye(101, dtype=int) * 37
    counts[5, 9], counts[7, 3] = 12, 4
    labels = [f"class{i}" for i in range(101)]
    figure = confusion_matrix(counts, labels)
    shown = texts(figure)
    assert "class5 → class9" in shown
    assert "12 · 24\u00a0%" in shown  # 12 of 49
    assert shown.index("class5 → class9") < shown.index("class7 → class3")
    assert "37" not in shown
    assert all(label in shown for label in labels)
    assert figure.wide
    assert figure.svg is not None
    assert len(figure.svg) < 400_000
    assert "class5 taken for class9 (12)" in figure.alt


def test_perfect_result_of_many_classes_says_so() -> None:
    shown = texts(confusion_matrix(np.eye(41, dtype=int), [str(i) for i in range(41)]))
    assert "none: every item is right" in shown


def test_alt_counts_what_is_right() -> None:
    figure = confusion_matrix([[3, 1], [1, 3]], ["left", "right"])
    assert "2 classes and 8 items, 75.0\u00a0% right" in figure.alt
    assert "left taken for right (1)" in figure.alt
    assert "0 items" in confusion_matrix([[0, 0], [0, 0]], ["a", "b"]).alt


@pytest.mark.parametrize(
    "counts", [[[1, 2]], [[1, 2], [3, 4], [5, 6]], [[-1, 0], [0, 1]], [[0.5, 0], [0, 1]], [[np.nan, 0], [0, 1]]]
)
def test_other_matrices_are_refused(counts: list[list[float]]) -> None:
    with pytest.raises(UsageError):
        confusion_matrix(counts, ["a", "b"])
    with pytest.raises(UsageError):
        confusion_matrix(np.zeros((0, 0)), [])
