"""Coordinates of vectors in the space that they span: the inner products stay."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.protocols.coordinates import coordinates


def test_inner_products_stay() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(7, 50))
    vectors[3] = vectors[1] - 2 * vectors[2]  # they need not be independent
    vectors[5] = 0
    found = coordinates(vectors)
    assert found.shape == (7, 7)
    assert found @ found.T == pytest.approx(vectors @ vectors.T, abs=1e-12)


def test_where_there_are_enough_vectors_nothing_is_turned() -> None:
    vectors = np.random.default_rng(1).normal(size=(6, 6))
    assert coordinates(vectors) is vectors
    assert coordinates(vectors[:, :4]).base is vectors


def test_what_others_are_turned_with_changes_no_inner_product() -> None:
    rng = np.random.default_rng(2)
    some, other, another = rng.normal(size=(4, 30)), rng.normal(size=(1, 30)), rng.normal(size=(1, 30))
    one, two = (coordinates(np.concatenate([some, last]))[:4] for last in (other, another))
    assert one @ one.T == pytest.approx(two @ two.T, abs=1e-12)
