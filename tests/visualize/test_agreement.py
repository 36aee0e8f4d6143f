"""Figures that hold a map against its descriptors, against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.visualize import measure_agreement


def plain(space: np.ndarray, labels: list[str | None], videos: list[str], row: int) -> float | None:
    """The share of the nearest others with the row's label, by definition."""
    away = [
        float(((space[row] - space[other]) ** 2).sum()) if videos[other] != videos[row] and labels[other] else np.inf
        for other in range(len(space))
    ]
    if labels[row] is None or min(away) == np.inf:
        return None
    tied = [other for other, distance in enumerate(away) if distance == min(away)]
    return float(np.mean([labels[other] == labels[row] for other in tied]))


@pytest.mark.parametrize("by_video", [False, True])
def test_shares_are_those_of_a_plain_loop(by_video: bool) -> None:
    rng = np.random.default_rng(0)
    n = 70
    labels = [None if i % 9 == 0 else "abcd"[rng.integers(4)] for i in range(n)]
    videos = [f"v{i // 3 if by_video else i}" for i in range(n)]
    # Whole numbers: distances are exact, and many are tied.
    layout, vectors = rng.integers(0, 6, size=(n, 2)).astype(float), rng.integers(0, 3, size=(n, 5)).astype(float)
    found = measure_agreement(layout, vectors, labels, np.array(videos) if by_video else None)
    rows = [row for row in range(n) if labels[row] is not None]
    assert found.in_map == pytest.approx(np.mean([plain(layout, labels, videos, row) for row in rows]))
    assert found.in_descriptor == pytest.approx(np.mean([plain(vectors, labels, videos, row) for row in rows]))
    chances = [
        np.mean([labels[j] == labels[i] for j in range(n) if labels[j] and videos[j] != videos[i]]) for i in rows
    ]
    assert found.chance == pytest.approx(np.mean(chances))
    assert (found.asked, found.labeled, found.other_videos) == (n, len(rows), by_video)
    for each in found.by_label:
        own = [row for row in rows if labels[row] == each.label]
        assert each.asked == len(own)
        assert each.in_descriptor == pytest.approx(np.mean([plain(vectors, labels, videos, row) for row in own]))
    assert [each.in_descriptor for each in found.by_label] == sorted(each.in_descriptor for each in found.by_label)


def test_kept_neighbors() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(60, 2))
    same = measure_agreement(3 * vectors + 1, vectors, [None] * 60)
    assert (same.kept, same.kept_by_chance, same.neighbors) == (1.0, pytest.approx(10 / 59), 10)
    assert (same.in_map, same.in_descriptor, same.chance, same.by_label) == (None, None, None, ())
    other = measure_agreement(rng.normal(size=(60, 2)), vectors, [None] * 60)
    assert other.kept is not None
    assert abs(other.kept - 10 / 59) < 0.06  # 600 neighbors without order


def test_what_a_label_lies_beside() -> None:
    # On a line: a a b b, and one c beside b.
    line = np.array([[0.0], [1.0], [10.0], [11.0], [12.5]])
    found = measure_agreement(np.pad(line, ((0, 0), (0, 1))), line, list("aabbc"))
    first = found.by_label[0]
    assert (first.label, first.in_descriptor, first.beside, first.beside_count) == ("c", 0.0, "b", 1)
    assert [each.label for each in found.by_label] == ["c", "a", "b"]
    assert found.by_label[1].beside is None
    assert found.in_map == found.in_descriptor == pytest.approx(4 / 5)


def test_many_points_are_asked_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tubelet.visualize.agreement.MOST_ASKED", 12)
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(40, 3))
    found = measure_agreement(vectors[:, :2], vectors, ["a", "b"] * 20, seed=4)
    assert (found.asked, found.labeled) == (12, 12)
    assert found == measure_agreement(vectors[:, :2], vectors, ["a", "b"] * 20, seed=4)


def test_few_points_and_equal_points() -> None:
    alone = measure_agreement(np.zeros((1, 2)), np.ones((1, 4)), ["a"])
    assert (alone.in_map, alone.kept, alone.neighbors, alone.labeled) == (None, None, 0, 0)
    # All on one place: each nearest other is as good as any, so the share is that of chance.
    equal = measure_agreement(np.zeros((6, 2)), np.full((6, 3), 0.3, np.float32), list("aaabbb"))
    assert equal.in_map == equal.in_descriptor == equal.chance == pytest.approx(2 / 5)
    # And so are the neighbors that are kept, though both spaces hold them in the same order.
    assert (equal.kept, equal.kept_by_chance) == (pytest.approx(2 / 5), pytest.approx(2 / 5))


def test_neighbors_tied_for_the_last_places_are_kept_in_part() -> None:
    # Of each point two neighbors count. By descriptor 1 and 2 lie beside 0, which has both for sure; 3 and 4 are equal.
    line = np.array([[0.0], [1.0], [-1.0], [9.0], [9.0]])
    first = measure_agreement(np.pad(line, ((0, 0), (0, 1))), line, [None] * 5)
    # 0: 1 and 2. 1: 0 and 2. 2: 0 and 1. 3: 4 and 1 (8 away, 0 is 9 away). 4: 3 and 1. Nothing is tied.
    assert (first.kept, first.neighbors) == (1.0, 2)
    tied = np.array([[0.0], [1.0], [-1.0], [1.0], [-1.0]])
    second = measure_agreement(np.pad(tied, ((0, 0), (0, 1))), tied, [None] * 5)
    # 0: four are tied for two places, each a half: 4 * (1/2)^2 = 1 of 2. The others: the equal one, then 0: 2 of 2.
    assert second.kept == pytest.approx((1 / 2 + 4 * 1) / 5)
