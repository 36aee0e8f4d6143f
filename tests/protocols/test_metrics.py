"""Metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tubelet.protocols.metrics import confusion_matrix, hits_at, per_class_table, ranked_classes


@settings(max_examples=40)
@given(n=st.integers(1, 40), classes=st.integers(2, 6), seed=st.integers(0, 999))
def test_confusion_and_shares_are_scikit_learns(n: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, predicted = rng.integers(0, classes, n), rng.integers(0, classes, n)
    confusion = confusion_matrix(targets, predicted, classes)
    labels = list(range(classes))
    assert np.array_equal(confusion, reference.confusion_matrix(targets, predicted, labels=labels))
    rows = per_class_table(confusion, [f"c{index}" for index in labels])
    recall = reference.recall_score(targets, predicted, labels=labels, average=None, zero_division=np.nan)
    precision = reference.precision_score(targets, predicted, labels=labels, average=None, zero_division=np.nan)
    for row, share, deserved in zip(rows, recall, precision, strict=True):
        assert (np.nan if row.accuracy is None else row.accuracy) == pytest.approx(share, nan_ok=True)
        assert (np.nan if row.precision is None else row.precision) == pytest.approx(deserved, nan_ok=True)


@settings(max_examples=40)
@given(n=st.integers(2, 30), k=st.integers(1, 4), seed=st.integers(0, 999))
def test_top_k_is_scikit_learns(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, targets = rng.random((n, 5)), rng.integers(0, 5, n)
    expected = reference.top_k_accuracy_score(targets, scores, k=k, labels=range(5))
    assert hits_at(scores, targets, k).mean() == pytest.approx(expected)


def test_equal_scores_rank_in_class_order() -> None:
    assert ranked_classes(np.array([[0.5, 0.7, 0.5, 0.7]])).tolist() == [[1, 3, 0, 2]]


def test_the_most_frequent_mistake_is_named() -> None:
    rows = per_class_table(np.array([[5, 1, 2], [0, 3, 0], [0, 0, 0]]), ["a", "b", "c"])
    assert [row.mistaken_for for row in rows] == ["c", None, None]
    assert [row.n for row in rows] == [8, 3, 0]
    assert rows[2].accuracy is None
    assert rows[2].precision == 0.0
