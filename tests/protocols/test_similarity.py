"""The twelve similarities against SciPy's distances and plain loops, and at the edges of their domain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance

from tubelet.errors import UsageError
from tubelet.protocols.similarity import (
    EPSILON,
    MEASURE_NAMES,
    MEASURES,
    feature_names,
    pair_features,
    similarities,
)


def plainly(a: list[float], b: list[float]) -> dict[str, float]:
    """Table 3 value by value, in Python's floats."""

    def total(term) -> float:
        return math.fsum(term(x, y) for x, y in zip(a, b, strict=True))

    def over(x: float, y: float) -> float:
        return x / y if y else 0.0

    found = {
        "dot": total(lambda x, y: x * y),
        "root_dot": math.sqrt(total(lambda x, y: x * y)),
        "bhattacharyya": math.sqrt(total(lambda x, y: math.sqrt(x) * math.sqrt(y))),
        "harmonic": math.sqrt(total(lambda x, y: over(x * y, x + y))),
        "cosine": over(total(lambda x, y: x * y), math.sqrt(total(lambda x, _: x * x) * total(lambda _, y: y * y))),
        "chi": math.sqrt(total(lambda x, y: over((x - y) ** 2, x + y))),
        "city_block": total(lambda x, y: abs(x - y)),
        "hellinger": math.sqrt(total(lambda x, y: (math.sqrt(x) - math.sqrt(y)) ** 2)),
    }
    sums = math.fsum(a), math.fsum(b)
    a, b = ([over(value, whole) for value in side] for side, whole in zip((a, b), sums, strict=True))
    found["euclidean"] = math.sqrt(total(lambda x, y: (x - y) ** 2))
    e = EPSILON
    found["kullback_leibler"] = 0.5 * total(
        lambda x, y: x * math.log((x + e) / (y + e)) + y * math.log((y + e) / (x + e))
    )
    found["root_max"] = total(lambda x, y: over(math.sqrt(max(x, y)), math.sqrt(x + y)))
    found["intersection"] = over(total(min), math.fsum(a) * math.fsum(b))
    return found


def sides(seed: int, n: int = 6, d: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Half of the values 0, as behind a ReLU."""
    rng = np.random.default_rng(seed)
    a, b = (np.maximum(rng.normal(size=(n, d)), 0.0).astype(np.float32) for _ in range(2))
    return a, b


def test_all_twelve_are_those_of_plain_loops() -> None:
    a, b = sides(0)
    found = similarities(a, b)
    assert found.shape == (6, 12)
    assert found.dtype == np.float64
    for row in range(6):
        expected = plainly(a[row].astype(float).tolist(), b[row].astype(float).tolist())
        assert list(expected) == list(MEASURE_NAMES)
        assert dict(zip(MEASURE_NAMES, found[row].tolist(), strict=True)) == pytest.approx(expected, rel=1e-11)


def test_what_scipy_has_too_is_scipys() -> None:
    a, b = (side.astype(np.float64) for side in sides(1))
    found = dict(zip(MEASURE_NAMES, similarities(a, b).T, strict=True))
    p, q = (side / side.sum(axis=1, keepdims=True) for side in (a, b))
    for row in range(6):
        x, y = a[row], b[row]
        assert found["cosine"][row] == pytest.approx(1.0 - distance.cosine(x, y))
        assert found["city_block"][row] == pytest.approx(distance.cityblock(x, y))
        assert found["hellinger"][row] == pytest.approx(distance.euclidean(np.sqrt(x), np.sqrt(y)))
        assert found["euclidean"][row] == pytest.approx(distance.euclidean(p[row], q[row]))
        # Of vectors of sum one the intersection is what the city block leaves of 1 (Swain and Ballard 1991).
        assert found["intersection"][row] == pytest.approx(1.0 - distance.cityblock(p[row], q[row]) / 2.0)
        assert found["bhattacharyya"][row] ** 2 == pytest.approx(np.dot(np.sqrt(x), np.sqrt(y)))


def test_kullback_leibler_is_scipys_where_nothing_is_zero() -> None:
    from scipy.stats import entropy

    a, b = (side + 0.5 for side in sides(2))
    found = similarities(a, b)[:, MEASURE_NAMES.index("kullback_leibler")]
    both = [(entropy(x, y) + entropy(y, x)) / 2.0 for x, y in zip(a.astype(float), b.astype(float), strict=True)]
    np.testing.assert_allclose(found, both, rtol=1e-6)  # EPSILON is in ours


def test_unit_vectors_have_one_dot_product_and_cosine_and_equal_ones_no_distance() -> None:
    a, b = sides(3)
    a, b = (side / np.linalg.norm(side.astype(np.float64), axis=1, keepdims=True) for side in (a, b))
    columns = dict(zip(MEASURE_NAMES, similarities(a, b).T, strict=True))
    np.testing.assert_allclose(columns["dot"], columns["cosine"], rtol=1e-12)
    equal = dict(zip(MEASURE_NAMES, similarities(a, a).T, strict=True))
    for name in ("chi", "city_block", "hellinger", "euclidean", "kullback_leibler"):
        assert (equal[name] == 0.0).all(), name
    np.testing.assert_allclose(equal["cosine"], 1.0)
    np.testing.assert_allclose(equal["intersection"], 1.0)


def test_the_direction_of_each_is_right() -> None:
    a, b = sides(4)
    near = similarities(a, 0.9 * a + 0.1 * b)
    far = similarities(a, 0.1 * a + 0.9 * b)
    for column, measure in enumerate(MEASURES):
        if measure.name in ("dot", "root_dot", "bhattacharyya", "harmonic"):
            continue  # they grow with the vectors' lengths, which differ here
        sign = 1.0 if measure.more_is_alike else -1.0
        assert (sign * (near - far)[:, column] > 0).all(), measure.name


def test_vectors_of_zeros_count_nothing() -> None:
    a = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 3.0]])
    b = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 2.0], [0.0, 4.0, 0.0]])
    found = similarities(a, b)
    assert np.isfinite(found).all()
    assert (found[0] == 0.0).all()
    disjoint = dict(zip(MEASURE_NAMES, found[2].tolist(), strict=True))
    assert disjoint["cosine"] == disjoint["intersection"] == disjoint["harmonic"] == 0.0
    # p = (1/4, 0, 3/4) and q = (0, 1, 0): what one side lacks costs the logarithm of its weight over EPSILON
    expected = 0.5 * (1.0 * math.log(1 / EPSILON) + 0.25 * math.log(0.25 / EPSILON) + 0.75 * math.log(0.75 / EPSILON))
    assert disjoint["kullback_leibler"] == pytest.approx(expected, rel=1e-9)
    assert disjoint["chi"] == pytest.approx(math.sqrt(1 + 4 + 3))


values = st.one_of(st.just(0.0), st.floats(1e-30, 1e6, allow_subnormal=False))


@given(arrays(np.float64, (2, 1, 5), elements=values))
def test_always_finite_and_the_same_from_both_sides(pair: np.ndarray) -> None:
    found = similarities(pair[0], pair[1])
    assert np.isfinite(found).all()
    assert (found >= 0.0).all()
    assert np.array_equal(found, similarities(pair[1], pair[0]))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = sides(5)
    whole = similarities(a, b)
    monkeypatch.setattr("tubelet.protocols.similarity._BLOCK", 80)
    assert np.array_equal(similarities(a, b), whole)
    assert similarities(a[:0], b[:0]).shape == (0, 12)


@pytest.mark.parametrize(("bad", "says"), [(-0.1, "negative"), (np.nan, "finite"), (np.inf, "finite")])
def test_what_they_are_not_defined_for_is_refused(bad: float, says: str) -> None:
    a, b = sides(6)
    b[3, 7] = bad
    with pytest.raises(UsageError, match=says):
        similarities(a, b)
    with pytest.raises(UsageError, match="layer fc8"):
        pair_features({"fc8": np.concatenate([a, b])}, np.array([[0, 9]]), ("fc8",))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="two arrays"):
        similarities(np.ones((2, 3)), np.ones((3, 3)))


def test_four_layers_make_48_columns_in_order() -> None:
    rng = np.random.default_rng(7)
    layers = ("prob", "fc7", "fc6", "pool5")
    vectors = {layer: rng.random((5, 3 + index)).astype(np.float32) for index, layer in enumerate(layers)}
    pairs = np.array([[0, 4], [3, 3], [2, 1]])
    found = pair_features(vectors, pairs, layers)
    assert found.shape == (3, 48)
    assert len(feature_names(layers)) == 48
    assert feature_names(layers)[25] == ("fc6", "root_dot")
    np.testing.assert_array_equal(found[:, 24:36], similarities(vectors["fc6"][[0, 3, 2]], vectors["fc6"][[4, 3, 1]]))
