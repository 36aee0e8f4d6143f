"""Which rows are chosen, and what a choice can tell."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tubelet.descriptors.audit.sample import found_by, sample_size, spread_over_videos


@pytest.mark.parametrize(
    ("rows", "share", "clips", "expected"),
    [(1000, 0.05, None, 50), (1001, 0.05, None, 51), (100, 0.05, None, 16), (9, 0.05, None, 9), (100, 0.05, 3, 3),
     (5, 1.0, 80, 5)],
)  # fmt: skip
def test_how_many(rows: int, share: float, clips: int | None, expected: int) -> None:
    assert sample_size(rows, share, clips) == expected


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=12), count=st.integers(0, 60), seed=st.integers(0, 99))
def test_rows_are_spread_as_evenly_as_there_are_rows(lengths: list[int], count: int, seed: int) -> None:
    rows = {f"v{i}": list(range(100 * i, 100 * i + n)) for i, n in enumerate(lengths)}
    chosen = spread_over_videos(rows, count, seed)
    assert sum(map(len, chosen.values())) == min(count, sum(lengths))
    assert list(chosen) == [name for name in rows if name in chosen]
    taken = {name: len(chosen.get(name, [])) for name in rows}
    for name, picked in chosen.items():
        assert picked == sorted(set(picked))
        assert set(picked) <= set(rows[name])
    # Nobody has two more than another that still had some left.
    most = max(taken.values(), default=0)
    assert all(taken[name] >= min(most - 1, len(rows[name])) for name in rows)
    assert spread_over_videos(rows, count, seed) == chosen


def test_another_seed_chooses_others() -> None:
    rows = {f"v{i}": list(range(20)) for i in range(50)}
    assert spread_over_videos(rows, 10, 1) != spread_over_videos(rows, 10, 2)


@pytest.mark.parametrize(("total", "seen"), [(30, 16), (30, 30), (500, 25), (1, 1), (40, 1), (7, 0)])
def test_what_a_sample_would_have_shown(total: int, seen: int) -> None:
    missed = [comb(total - bad, seen) / comb(total, seen) for bad in range(1, total + 1)]
    expected = next((bad for bad, p in enumerate(missed, start=1) if p <= 0.05), total)
    assert found_by(total, seen) == expected
