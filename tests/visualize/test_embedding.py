"""Embedding maps keep neighbors together and take any collection."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from tubelet.errors import ExitCode, MissingExtraError, UsageError
from tubelet.visualize import Embedding, embed_principal, embed_tsne, needs_tsne

Clusters = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def clusters() -> Clusters:
    """Three Gaussians of 20 points in 32 dimensions, 12 standard deviations apart."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    return np.eye(32)[labels] * 12 / np.sqrt(2) * np.sqrt(32) / 4 + rng.normal(size=(60, 32)), labels


@pytest.fixture(scope="module")
def layout(clusters: Clusters) -> Embedding:
    return embed_tsne(clusters[0], jobs=1)


def divergence(vectors: np.ndarray, points: np.ndarray, perplexity: float) -> float:
    """What t-SNE minimizes, from van der Maaten and Hinton's equations 1 to 5 in float64, every pair counted."""
    squares = ((vectors[:, None] - vectors[None]) ** 2).sum(2)
    n = len(vectors)
    joint = np.zeros((n, n))
    for i in range(n):
        others = np.arange(n) != i
        low, high = 1e-12, 1e12
        for _ in range(200):  # the precision at which the entropy is that of the perplexity, by bisection
            beta = np.sqrt(low * high)
            weights = np.exp(-beta * (squares[i, others] - squares[i, others].min()))
            p = weights / weights.sum()
            entropy = -(p[p > 0] * np.log(p[p > 0])).sum()
            low, high = (beta, high) if entropy > np.log(perplexity) else (low, beta)
        joint[i, others] = p
    joint = (joint + joint.T) / (2 * n)
    near = 1 / (1 + ((points[:, None] - points[None]) ** 2).sum(2))
    np.fill_diagonal(near, 0)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / (near / near.sum())[some])).sum())


def test_far_clusters_stay_apart(clusters: Clusters, layout: Embedding) -> None:
    points, labels = layout.points, clusters[1]
    assert (points.shape, points.dtype) == ((60, 2), np.float64)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1)
    away = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert away[labels[:, None] == labels[None]].max() < away[labels[:, None] != labels[None]].min()


def test_divergence_is_that_of_the_definition(clusters: Clusters, layout: Embedding) -> None:
    # A third of 59 others, so that every pair has an affinity; 32 principal components keep every distance.
    assert layout.perplexity == pytest.approx(59 / 3)
    assert layout.dimensions == 32
    assert layout.kept == pytest.approx(1)
    found = divergence(clusters[0], layout.points * layout.scale, 59 / 3)
    assert layout.kl_divergence == pytest.approx(found, rel=1e-6)
    # And it was minimized: the start is far from it.
    assert found < 0.3 * divergence(clusters[0], embed_principal(clusters[0]).points, 59 / 3)


def test_same_bits_again(clusters: Clusters, layout: Embedding) -> None:
    np.testing.assert_array_equal(layout.points, embed_tsne(clusters[0], jobs=1).points)


def test_a_winding_line_keeps_its_neighbors() -> None:
    # Turned so that its two widest directions show it three times over itself; in six it never meets itself.
    t = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    line = np.stack([f(k * t) * k for k in (1, 2, 3) for f in (np.cos, np.sin)], axis=1)
    assert trustworthiness(line, embed_principal(line).points, n_neighbors=4) < 0.9
    assert trustworthiness(line, embed_tsne(line, perplexity=6).points, n_neighbors=4) > 0.99


def test_start_is_the_principal_components() -> None:
    # Two far groups on a line: PCA puts them left and right, and the layout keeps that.
    rng = np.random.default_rng(1)
    line = np.repeat([-10.0, 10.0], 20)[:, None] * np.array([1.0, 0.5, 0.0]) + rng.normal(size=(40, 3)) * 0.1
    points = embed_tsne(line, steps=300).points
    start = embed_principal(line).points
    assert abs(start[:, 1]).max() < 0.05
    assert (points[:20, 0].max() < points[20:, 0].min()) == (start[:20, 0].max() < start[20:, 0].min())
    assert points[:20, 0].max() < points[20:, 0].min() or points[:20, 0].min() > points[20:, 0].max()


def test_principal_components_are_those_of_the_covariance() -> None:
    vectors = np.random.default_rng(3).normal(size=(30, 5)) * [5, 3, 1, 1, 0.1]
    values, axes = np.linalg.eigh(np.cov(vectors.T))
    scores = (vectors - vectors.mean(0)) @ axes[:, ::-1][:, :2]
    found = embed_principal(vectors)
    assert found.kept == pytest.approx(values[::-1][:2].sum() / values.sum())
    for column in range(2):
        assert abs(np.corrcoef(scores[:, column], found.points[:, column])[0, 1]) == pytest.approx(1)
    assert (found.method, found.steps, found.perplexity, found.kl_divergence) == ("principal components", 0, None, None)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_small_collections(n: int) -> None:
    found = embed_tsne(np.random.default_rng(n).normal(size=(n, 16)), perplexity=100)
    assert found.points.shape == (n, 2)
    assert np.isfinite(found.points).all()
    assert len(np.unique(found.points.round(6), axis=0)) == n
    assert found.method == ("t-SNE" if n >= 5 else "principal components")
    if found.perplexity is not None:
        assert found.perplexity == pytest.approx((n - 1) / 3)  # each has n - 1 others
        assert found.kl_divergence is not None
        assert found.kl_divergence > 0  # below zero the optimizer's tree has lost points


def test_one_dimension_and_equal_vectors() -> None:
    assert embed_tsne(np.arange(12.0)[:, None], steps=250).points.shape == (12, 2)
    equal = embed_tsne(np.full((20, 8), 0.3))
    np.testing.assert_array_equal(equal.points, np.zeros((20, 2)))
    assert equal.distinct == 1
    assert [needs_tsne(vectors) for vectors in (np.full((20, 8), 0.3), np.eye(4), np.eye(5))] == [False, False, True]


def test_equal_vectors_lie_on_one_place() -> None:
    kinds = np.arange(24) % 8
    found = embed_tsne(np.eye(8)[kinds].astype(np.float32), steps=300)
    assert (found.distinct, found.method) == (8, "t-SNE")
    for kind in range(8):
        assert len(np.unique(found.points[kinds == kind], axis=0)) == 1
    assert len(np.unique(found.points.round(6), axis=0)) == 8


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    embed_tsne(np.random.default_rng(0).normal(size=(9, 4)), steps=320, progress=lambda *each: told.append(each))
    assert told[0] == (50, 320)
    assert told == sorted(told)
    assert told[-1][0] <= 320


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.zeros((4, 0)), np.zeros(4), [[1.0, np.nan], [0.0, 1.0]]])
def test_other_inputs_are_refused(vectors: object) -> None:
    for embed in (embed_tsne, embed_principal):
        with pytest.raises(UsageError):
            embed(vectors)  # type: ignore[operator]


@pytest.mark.parametrize("options", [{"perplexity": 0}, {"perplexity": float("nan")}, {"steps": 249}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="250 steps"):
        embed_tsne(np.eye(6), **options)  # type: ignore[arg-type]


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(MissingExtraError, match="extra map") as caught:
        embed_tsne(np.random.default_rng(0).normal(size=(9, 4)))
    assert caught.value.exit_code == ExitCode.MISSING_EXTRA
    assert embed_principal(np.eye(9)).points.shape == (9, 2)
