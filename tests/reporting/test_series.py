"""Columns are parsed, thinned and smoothed without losing what matters."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.reporting.series import column, smooth, thin


def test_column_reads_what_csv_gives() -> None:
    rows: list[dict[str, object]] = [{"a": "1.5"}, {"a": ""}, {}, {"a": 2}, {"a": "x"}, {"a": True}, {"a": "inf"}]
    np.testing.assert_array_equal(column(rows, "a"), [1.5, np.nan, np.nan, 2, np.nan, np.nan, np.nan])


@settings(max_examples=40)
@given(st.integers(1, 9000), st.integers(0, 2**32 - 1))
def test_thinning_keeps_extremes_ends_and_order(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.arange(n, dtype=float), rng.normal(size=n)
    y[rng.random(n) < 0.1] = np.nan
    few_x, few_y = thin(x, y, points=300)
    assert len(few_x) <= max(n if n <= 300 else 0, 302)
    assert few_x[0] == 0
    assert few_x[-1] == n - 1
    assert (np.diff(few_x) > 0).all()
    if np.isfinite(y).any():
        assert np.nanmin(few_y) == np.nanmin(y)
        assert np.nanmax(few_y) == np.nanmax(y)
    np.testing.assert_array_equal(few_y, y[few_x.astype(int)])


def test_thinning_keeps_a_gap() -> None:
    y = np.ones(6000)
    y[3000:3400] = np.nan
    assert np.isnan(thin(np.arange(6000.0), y)[1]).any()


def test_smooth_is_the_running_mean() -> None:
    y = np.array([1.0, 2.0, np.nan, 4.0, 9.0])
    # Window of three: the neighbors that exist, NaN left out of the mean and kept as a gap.
    np.testing.assert_allclose(smooth(y, 3), [1.5, 1.5, np.nan, 6.5, 6.5])
    np.testing.assert_array_equal(smooth(y, 1), y)
    np.testing.assert_allclose(smooth(np.full(100, 7.0), 9), 7.0)
