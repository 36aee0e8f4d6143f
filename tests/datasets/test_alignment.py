"""Two rows of hashes laid over each other: where they agree, by how many bits, and when that is enough."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.clips.frame_hash import CERTAIN, CHANGE, CLEAR, PICTURE
from tubelet.datasets.alignment import Overlap, Rule, change_bits, mirrored, overlap_at, still_overlap

ALL = (1 << 63) - 1


def film(n: int, seed: int, *, certain: int = ALL) -> np.ndarray:
    """(n, 4) uint64: a picture that stays, and changes as different as chance."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, ALL, (n, 4), np.uint64, endpoint=True)
    rows[:, PICTURE] = rows[0, PICTURE]
    rows[:, CERTAIN], rows[:, CLEAR] = certain, ALL
    return rows


def flipped(rows: np.ndarray, bits: int, column: int = CHANGE) -> np.ndarray:
    """The lowest ``bits`` bits turned around in every row."""
    other = rows.copy()
    other[:, column] ^= np.uint64((1 << bits) - 1)
    return other


@pytest.mark.parametrize(("first", "bits"), [(0, 0), (10, 3), (24, 6)])
def test_a_part_of_a_video_is_found_where_it_was_cut_out(first: int, bits: int) -> None:
    whole = film(120, 0)
    part = flipped(whole[first : first + 60], bits)
    found = overlap_at(whole, part, first, Rule())
    assert found is not None
    assert (found.start_a, found.start_b, found.length) == (first, 0, 60)
    assert (found.moving, found.change_bits, found.picture_bits) == (30, bits, 0)
    assert found.evidence == pytest.approx(30 * (8 - bits))
    assert found.seconds == 3.75
    assert found.similarity == pytest.approx(1 - bits / 63)
    assert overlap_at(whole, part, first + 2, Rule()) is None, "another shift of the same video"


def test_shifts_go_both_ways_and_odd_rows_of_the_first_are_never_needed() -> None:
    whole = film(120, 0)
    thin = whole.copy()
    thin[1::2] = 0  # as in a model folder
    for shift in (-31, -8, 7):
        here = max(0, -shift)
        other = np.concatenate([film(40, 1)[:here], whole[max(0, shift) :]])
        found = overlap_at(thin, other, shift, Rule())
        assert found is not None
        assert found.start_a - found.start_b == shift
        assert found.start_a % 2 == 0


def test_a_stretch_in_common_is_told_from_what_is_around_it() -> None:
    a, b = film(100, 0), film(100, 1)
    b[40:80] = a[20:60]
    found = overlap_at(a, b, -20, Rule())
    assert found is not None
    assert (found.start_a, found.start_b, found.length) == (20, 40, 40)


def test_the_same_picture_is_no_evidence() -> None:
    a, b = film(100, 0), film(100, 1)
    b[:, PICTURE] = a[:, PICTURE]
    assert overlap_at(a, b, 0, Rule()) is None


def test_another_picture_is_evidence_against() -> None:
    a = film(100, 0)
    assert overlap_at(a, flipped(a, 8, PICTURE), 0, Rule()) is not None
    assert overlap_at(a, flipped(a, 17, PICTURE), 0, Rule()) is None, "17 - 8 bits against, at most 8 for"


def test_a_short_stretch_has_to_agree_better() -> None:
    a = film(200, 0)
    rule = Rule()
    for bits, least in ((0, 6), (4, 12), (7, 45)):  # eighths of a second: 45 / (8 - bits)
        assert overlap_at(a[: 2 * least], flipped(a, bits)[: 2 * least], 0, rule) is not None
        assert overlap_at(a[: 2 * least - 2], flipped(a, bits)[: 2 * least - 2], 0, rule) is None
    assert overlap_at(a, flipped(a, 8), 0, rule) is None


def test_only_bits_certain_in_both_are_counted() -> None:
    low, middle = (1 << 40) - 1, ((1 << 40) - 1) << 20
    a, b = film(4, 0, certain=low), film(4, 0, certain=middle)
    b[:, CHANGE] ^= np.uint64((1 << 25) - 1)  # of these, bits 20 to 24 are certain in both, and bits 20 to 39 in all
    np.testing.assert_allclose(change_bits(a, b), 63 * 5 / 20)
    few = film(4, 0, certain=(1 << 11) - 1)
    assert np.isnan(change_bits(few, few)).all(), "eleven bits are no evidence"


def test_stills_are_compared_by_their_pictures() -> None:
    a = film(40, 0)
    a[:, [CHANGE, CERTAIN]] = 0
    assert still_overlap(a, flipped(a, 2, PICTURE), Rule()) == Overlap(
        0, 0, 40, 0, pytest.approx(float("nan"), nan_ok=True), 2.0, 0.0
    )
    assert still_overlap(a, flipped(a, 3, PICTURE), Rule()) is None
    assert still_overlap(a[:15], a[:15], Rule()) is None, "too short"
    assert still_overlap(a, film(40, 0), Rule()) is None, "something moves in one"
    black = np.zeros_like(a)
    assert still_overlap(black, black, Rule()) is None


def test_mirroring_twice_is_nothing_and_zero_stays() -> None:
    a = film(10, 0)
    a[3] = 0
    turned = mirrored(a)
    assert (turned != a)[[0, 1, 2, *range(4, 10)], :CLEAR].all()
    assert not turned[3].any()
    np.testing.assert_array_equal(mirrored(turned), a)
