"""Embedding maps keep neighbors together and take any collection."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from tubelet.errors import UsageError
from tubelet.visualize import embed_tsne


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 25)
    centers = rng.normal(size=(6, 128)) * 3
    vectors = centers[labels] + rng.normal(size=(150, 128))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels


def test_clusters_stay_together_and_runs_repeat(clusters: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, labels = clusters
    layout = embed_tsne(vectors, seed=3, iterations=400)
    assert layout.shape == (150, 2)
    assert layout.dtype == np.float64
    assert np.linalg.norm(layout, axis=1).max() == pytest.approx(1)
    # Leave-one-out by hand: the five nearest others agree with the label.
    votes = KNeighborsClassifier(6).fit(layout, labels).kneighbors(layout, return_distance=False)[:, 1:]
    assert (labels[votes] == labels[:, None]).mean() > 0.97
    np.testing.assert_array_equal(layout, embed_tsne(vectors, seed=3, iterations=400))


def test_start_is_the_principal_components(clusters: tuple[np.ndarray, np.ndarray]) -> None:
    # Two far groups on a line: PCA puts them left and right, and the layout keeps that.
    rng = np.random.default_rng(1)
    line = np.repeat([-10.0, 10.0], 20)[:, None] * np.array([1.0, 0.5, 0.0]) + rng.normal(size=(40, 3)) * 0.1
    layout = embed_tsne(line, iterations=300)
    assert (layout[:20, 0].max() < layout[20:, 0].min()) or (layout[20:, 0].max() < layout[:20, 0].min())


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_small_collections(n: int) -> None:
    layout = embed_tsne(np.random.default_rng(n).normal(size=(n, 16)), iterations=250)
    assert layout.shape == (n, 2)
    assert np.isfinite(layout).all()
    if n > 1:
        assert np.linalg.norm(layout, axis=1).max() == pytest.approx(1)


def test_one_dimension_and_equal_vectors() -> None:
    assert embed_tsne(np.arange(12.0)[:, None], iterations=250).shape == (12, 2)
    np.testing.assert_array_equal(embed_tsne(np.full((20, 8), 0.3)), np.zeros((20, 2)))
    duplicates = np.repeat(np.eye(4), 5, axis=0)
    assert np.isfinite(embed_tsne(duplicates, iterations=250)).all()


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.zeros((4, 0)), np.zeros(4), [[1.0, np.nan], [0.0, 1.0]]])
def test_other_inputs_are_refused(vectors: object) -> None:
    with pytest.raises(UsageError):
        embed_tsne(vectors)  # type: ignore[arg-type]
