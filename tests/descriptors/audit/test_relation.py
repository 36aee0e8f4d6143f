"""Relations between two sets of vectors, planted; neighbors and CKA against plain definitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from tubelet.descriptors.audit.closeness import row_distances
from tubelet.descriptors.audit.geometry import linear_cka, neighborhood
from tubelet.descriptors.audit.relation import permutation, relate
from tubelet.errors import UsageError

Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return np.random.default_rng(3).standard_normal((20, 12)).astype(np.float32)


def unit(rows: Vectors) -> Vectors:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


ORDER = np.random.default_rng(5).permutation(12)
PLANES = [8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3]
PIXELS = [2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda a: a, "equal", "equal bit by bit"),
        (lambda a: a * np.float32(1 + 3e-6), "rounding", "up to rounding"),
        (lambda a: a / 255, "scaled", "B is 0.00392157 times A"),
        (unit, "normalized", "B is A with every vector scaled to length one"),
        (lambda a: a * np.arange(1, 21, dtype=np.float32)[:, None], "row-scaled", "a factor of its own"),
        (lambda a: a[:, ORDER], "permuted", "in another order"),
        (lambda a: a[:, PLANES], "permuted", "three channels turned around, as BGR is of RGB"),
        (lambda a: a[:, PIXELS], "permuted", "three channels turned around, as BGR is of RGB"),
        (lambda a: a + np.arange(12, dtype=np.float32), "shifted", "plus one vector"),
        (lambda a: 2.5 * a - np.arange(12, dtype=np.float32), "scaled and shifted", "B is 2.5 times A plus one"),
        (lambda a: a @ np.random.default_rng(1).standard_normal((12, 12)).astype(np.float32), "other", "no simple"),
        (np.abs, "other", "no simple relation"),
    ],
)
def test_a_planted_relation_is_named(vectors: Vectors, change: object, kind: str, words: str) -> None:
    found = relate(vectors, change(vectors))  # type: ignore[operator]
    assert found.kind == kind
    assert words in found.sentence


def test_the_other_way_round_the_first_is_normalized(vectors: Vectors) -> None:
    assert relate(unit(vectors), vectors).sentence == "A is B with every vector scaled to length one"


def test_the_figures_of_a_relation_are_what_they_say(vectors: Vectors) -> None:
    other = vectors[:, ::-1] * 2
    found = relate(vectors, other)
    one, two = vectors.astype(np.float64), other.astype(np.float64)
    cosines = (one * two).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)
    assert found.cosine.median == pytest.approx(np.median(cosines))
    assert found.cosine.least == pytest.approx(cosines.min())
    assert found.norm_ratio is not None
    assert (found.norm_ratio.least, found.norm_ratio.largest) == pytest.approx((2.0, 2.0))
    assert found.equal == 0.0
    assert found.largest == pytest.approx(np.abs(two - one).max())
    difference = two - one
    within = ((difference - difference.mean(0)) ** 2).sum()
    assert found.constant_share == pytest.approx(1 - within / (difference**2).sum())
    # s A + c by least squares, one s for all numbers.
    design = np.concatenate([one.reshape(-1, 1), np.tile(np.eye(12), (20, 1))], axis=1)
    solution, *_ = np.linalg.lstsq(design, two.ravel(), rcond=None)
    left = ((design @ solution - two.ravel()) ** 2).sum()
    assert found.scale == pytest.approx(solution[0])
    assert found.affine_share == pytest.approx(1 - left / ((two - two.mean(0)) ** 2).sum())


def test_dead_columns_do_not_hide_a_permutation(vectors: Vectors) -> None:
    some = vectors.copy()
    some[:, [1, 4, 7]] = 0
    found = permutation(some.astype(np.float64), some[:, ORDER].astype(np.float64))
    assert found is not None
    assert np.array_equal(some[:, found], some[:, ORDER])
    assert permutation(some.astype(np.float64), np.abs(some).astype(np.float64)) is None


def test_zeros_and_what_is_not_finite() -> None:
    rows = np.array([[0, 0], [0, 0], [3, 4], [np.inf, 0]], dtype=np.float32)
    other = np.array([[0, 0], [3, 4], [3, 4], [1, 0]], dtype=np.float32)
    found = row_distances(rows, other)
    assert found.cosine[:3].tolist() == [1.0, 0.0, 1.0]
    assert np.isnan(found.cosine[3])
    assert found.relative.tolist() == [0.0, 1.0, 0.0, np.inf]
    assert found.largest.tolist() == [0.0, 4.0, 0.0, np.inf]


def test_small_angles_keep_their_digits() -> None:
    angle = 1e-6
    found = row_distances(np.array([[1.0, 0.0]]), np.array([[np.cos(angle), np.sin(angle)]]))
    assert 1 - found.cosine[0] == pytest.approx(angle**2 / 2, rel=1e-3)


def test_shapes_have_to_agree(vectors: Vectors) -> None:
    with pytest.raises(UsageError, match="one shape"):
        relate(vectors, vectors[:, :5])


def test_neighbors_against_a_plain_loop(vectors: Vectors) -> None:
    other = np.abs(vectors[:, :7])
    found = neighborhood(vectors, other, k=4)
    assert found is not None
    shared, first = [], []
    for i in range(20):
        near = []
        for rows in (vectors, other):
            cosine = [float(rows[i] @ row / np.linalg.norm(row)) if j != i else -9.0 for j, row in enumerate(rows)]
            near.append(sorted(range(20), key=lambda j, c=cosine: -c[j])[:4])  # type: ignore[misc]
        shared.append(len(set(near[0]) & set(near[1])) / 4)
        first.append(near[0][0] == near[1][0])
    assert found.shared == pytest.approx(np.mean(shared))
    assert found.first == pytest.approx(np.mean(first))
    assert found.chance == pytest.approx(4 / 19)


def test_neighbors_of_few_are_not_all_of_them(vectors: Vectors) -> None:
    found = neighborhood(vectors[:7], vectors[:7])
    assert found is not None
    assert (found.k, found.items, found.shared, found.first) == (3, 7, 1.0, 1.0)
    assert neighborhood(vectors[:2], vectors[:2]) is None


def hsic(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Song et al.'s U-statistic by its definition: the mean over all ordered tuples of four different items."""
    k, h = one @ one.T, other @ other.T
    terms = [k[i, j] * (h[i, j] + h[q, r] - 2 * h[i, q]) for i, j, q, r in permutations(range(len(one)), 4)]
    return float(np.mean(terms))


def test_cka_is_the_mean_over_all_tuples_of_four(vectors: Vectors) -> None:
    one = vectors[:7].astype(np.float64) + 5.0
    other = np.abs(one[:, :4]) ** 1.5
    expected = hsic(one, other) / np.sqrt(hsic(one, one) * hsic(other, other))
    assert linear_cka(one, other) == pytest.approx(expected, rel=1e-9)


def test_cka_of_a_rotation_and_of_nothing_in_common(vectors: Vectors) -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((12, 12)))
    assert linear_cka(vectors, 3 * vectors @ rotation + 1) == pytest.approx(1.0)
    many = np.random.default_rng(8).standard_normal((2, 60, 300))
    found = linear_cka(many[0], many[1])
    assert found is not None
    assert abs(found) < 0.1  # the biased estimator gives 0.8 here
    assert linear_cka(vectors[:3], vectors[:3]) is None
    assert linear_cka(vectors, np.ones((20, 3))) is None
