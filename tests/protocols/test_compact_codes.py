"""Principal components against an eigendecomposition and scikit-learn, eight bits against plain arithmetic, ranks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tubelet.protocols.compact_codes import Int8Codes, Principal


@pytest.mark.parametrize(("n", "length"), [(40, 12), (12, 40)])
def test_components_are_those_of_the_covariance(n: int, length: int) -> None:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(n, length)) * np.linspace(3, 1, length)).astype(np.float32)
    found = Principal.fit(rows, 5)
    variances, vectors = np.linalg.eigh(np.cov(rows.T.astype(np.float64)))
    ours = found.transform(rows)
    assert ours.shape == (n, 5)
    assert ours.var(axis=0, ddof=1) == pytest.approx(variances[::-1][:5])
    assert np.abs((found.components * vectors[:, ::-1][:, :5].T).sum(axis=1)) == pytest.approx(1.0)
    others = rng.normal(size=(3, length))
    theirs = PCA(5, svd_solver="full").fit(rows.astype(np.float64)).transform(others)
    assert np.abs(found.transform(others)) == pytest.approx(np.abs(theirs), abs=1e-9)


def test_fewer_components_are_the_first_of_more() -> None:
    rows = np.random.default_rng(1).normal(size=(30, 10))
    assert np.array_equal(Principal.fit(rows, 3).transform(rows), Principal.fit(rows, 9).transform(rows)[:, :3])


def test_the_rank_is_measured() -> None:
    rng = np.random.default_rng(2)
    assert Principal.fit(rng.normal(size=(20, 50)), 5).rank == 19, "centered, n videos span n - 1"
    assert Principal.fit(rng.normal(size=(50, 20)), 5).rank == 20
    twice = rng.normal(size=(8, 30))
    assert Principal.fit(np.concatenate([twice, twice]), 99).rank == 7, "copies span nothing new"
    assert len(Principal.fit(twice, 99).components) == 7
    # Four directions, and then rounding to float32, which spans all fifty but means nothing.
    low = (rng.normal(size=(60, 4)) @ rng.normal(size=(4, 50))).astype(np.float32)
    values = np.linalg.svd(low.astype(np.float64) - low.mean(axis=0, dtype=np.float64), compute_uv=False)
    assert (values > 0).sum() == 50
    assert Principal.fit(low, 9).rank == 4
    # A direction that is really there counts, however small beside the others.
    small = np.concatenate([low, np.full((60, 1), 1e-3, np.float32) * rng.normal(size=(60, 1))], axis=1)
    assert Principal.fit(small.astype(np.float32), 9).rank == 5
    assert Principal.fit(np.ones((6, 3)), 2).rank == 0


def test_eight_bits_are_255_steps_from_the_lowest_to_the_highest() -> None:
    train = np.array([[-1.0, 5.0, 0.0], [0.25, 5.0, 0.1], [4.1, 5.0, 0.51]], np.float32)
    codes = Int8Codes.fit(train)
    assert codes.lowest == pytest.approx([-1.0, 5.0, 0.0])
    assert codes.step == pytest.approx([5.1 / 255, 1.0, 0.002])
    coded = codes.encode(train)
    assert coded.dtype == np.int8
    # (0.25 + 1) / 0.02 = 62.5, which float32's step puts on one side; 0.1 / 0.002 = 50.
    assert coded[:, 0].tolist() in ([-128, 62 - 128, 127], [-128, 63 - 128, 127])
    assert coded[:, 1].tolist() == [-128, -128, -128]
    assert coded[:, 2].tolist() == [-128, 50 - 128, 127]
    beyond = codes.encode(np.array([[-50.0, 9.0, 99.0]], np.float32))
    assert beyond.tolist() == [[-128, 4 - 128, 127]], "values beyond the training's stop at its ends"
    assert codes.decode(beyond) == pytest.approx(np.array([[-1.0, 9.0, 0.51]]))


def test_codes_equal_a_loop_over_numbers() -> None:
    rng = np.random.default_rng(3)
    train, test = (rng.normal(size=(n, 4)).astype(np.float32) for n in (9, 5))
    codes = Int8Codes.fit(train)
    decoded = codes.decode(codes.encode(test))
    for column in range(4):
        low, high = float(train[:, column].min()), float(train[:, column].max())
        for value, ours in zip(test[:, column].tolist(), decoded[:, column].tolist(), strict=True):
            level = min(range(256), key=lambda k: abs(low + k * (high - low) / 255 - value))
            assert ours == pytest.approx(low + level * (high - low) / 255, abs=1e-6)
    again = codes.decode(codes.encode(train))
    assert (np.abs(again - train).max(axis=0) <= (train.max(axis=0) - train.min(axis=0)) / 510 + 1e-6).all()
