"""Sizes and places of boxes, against the formulas of the papers' code and plain fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tubelet.clips.boxes import (
    box_sizes,
    center_offset,
    corner_offsets,
    grid_offsets,
    side_offsets,
    size_after,
)
from tubelet.errors import UsageError

SIDE = st.integers(1, 600)


@given(SIDE, SIDE, st.integers(1, 300))
def test_a_shorter_side_keeps_the_aspect(height: int, width: int, short: int) -> None:
    result = size_after(short, (height, width))
    assert min(result) == short
    scale = Fraction(short, min(height, width))
    for before, after in zip((height, width), result, strict=True):
        off = after - before * scale
        assert Fraction(-1, 2) < off <= Fraction(1, 2)
    assert size_after(short, result) == result, "resized frames are as they should be"
    assert size_after((7, 9), (height, width)) == (7, 9)


def test_sizes_by_hand() -> None:
    assert size_after(256, (240, 320)) == (256, 341)  # 341.33
    assert size_after(256, (1080, 1920)) == (256, 455)  # 455.11
    assert size_after(256, (640, 360)) == (455, 256)
    assert size_after(2, (4, 5)) == (2, 3)  # 2.5: half up
    for size in (0, (0, 5), (5, 0), -1):
        with pytest.raises(UsageError, match="at least 1"):
            size_after(size, (4, 5))


def test_tsn_has_ten_pairs_of_four_sizes_and_seven_of_three() -> None:
    four = box_sizes((256, 340), (224, 224), (1, 0.875, 0.75, 0.66), 1)
    assert len(four) == 10
    assert set(four) == {
        *((256, 256), (256, 224), (224, 256), (224, 224), (224, 192)),
        *((192, 224), (192, 192), (192, 168), (168, 192), (168, 168)),
    }
    three = box_sizes((256, 340), (224, 224), (1, 0.875, 0.75), 1)
    assert len(three) == 7
    assert set(three) == {pair for pair in four if 168 not in pair}
    assert box_sizes((256, 340), (224, 224), (1, 0.75), 0) == ((256, 256), (192, 192))


@given(
    st.tuples(st.integers(60, 300), st.integers(60, 300)),
    st.tuples(st.integers(40, 60), st.integers(40, 60)),
    st.lists(st.floats(0.2, 1), min_size=1, max_size=5),
    st.integers(0, 3),
)
def test_pairs_are_the_released_loop(
    frame: tuple[int, int], crop: tuple[int, int], sizes: list[float], distort: int
) -> None:
    expected = []
    for i, size_h in enumerate(sizes):
        for j, size_w in enumerate(sizes):
            h, w = int(min(frame) * size_h), int(min(frame) * size_w)
            h = crop[0] if abs(h - crop[0]) < 3 else h
            w = crop[1] if abs(w - crop[1]) < 3 else w
            if abs(i - j) <= distort:
                expected.append((h, w))
    assert list(box_sizes(frame, crop, sizes, distort)) == expected


def test_the_thirteen_places_of_tsn() -> None:
    # (340 - 224) // 4 = 29 across, (256 - 224) // 4 = 8 down; the specification lists (x, y).
    w, h = 29, 8
    five = [(0, 0), (4 * w, 0), (0, 4 * h), (4 * w, 4 * h), (2 * w, 2 * h)]
    more = [
        *((0, 2 * h), (4 * w, 2 * h), (2 * w, 4 * h), (2 * w, 0)),
        *((w, h), (3 * w, h), (w, 3 * h), (3 * w, 3 * h)),
    ]
    assert {(x, y) for y, x in grid_offsets((256, 340), (224, 224), 5)} == set(five)
    thirteen = grid_offsets((256, 340), (224, 224), 13)
    assert len(thirteen) == len(set(thirteen)) == 13
    assert {(x, y) for y, x in thirteen} == {*five, *more}
    # Where the room is a multiple of 4, as here, corners are the frame's own; elsewhere they stay short of its edge.
    assert set(corner_offsets((256, 340), (224, 224))) == set(grid_offsets((256, 340), (224, 224), 5))
    assert max(x for _, x in grid_offsets((256, 341), (224, 224), 5)) == 116
    assert max(x for _, x in corner_offsets((256, 341), (224, 224))) == 117


@given(st.tuples(SIDE, SIDE), st.data())
def test_every_place_is_inside(frame: tuple[int, int], data: Any) -> None:
    box = tuple(data.draw(st.integers(1, side)) for side in frame)
    for places, count in (
        (grid_offsets(frame, box, 5), 5),
        (grid_offsets(frame, box, 13), 13),
        (corner_offsets(frame, box), 5),
        (side_offsets(frame, box), 3),
        ((center_offset(frame, box),), 1),
    ):
        assert len(places) == count
        assert all(0 <= y <= frame[0] - box[0] and 0 <= x <= frame[1] - box[1] for y, x in places)


def test_views_by_hand() -> None:
    assert corner_offsets((10, 20), (6, 7)) == ((0, 0), (0, 13), (4, 0), (4, 13), (2, 6))
    assert side_offsets((10, 20), (6, 7)) == ((2, 0), (2, 6), (2, 13))
    assert side_offsets((20, 10), (7, 6)) == ((0, 2), (6, 2), (13, 2))
    assert center_offset((128, 171), (112, 112)) == (8, 29)
