"""Colors, shapes and places of names on a map."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tubelet.reporting.map_groups import SHAPES, map_groups, name_boxes
from tubelet.reporting.style import SERIES


def test_few_labels_take_colors_in_order() -> None:
    names = [f"l{i:02d}" for i in range(12)]
    groups = map_groups(np.random.default_rng(0).normal(size=(24, 2)), names * 2, order=["l05", "l03"])
    assert [group.name for group in groups[:3]] == ["l05", "l03", "l00"]
    assert [(group.color, group.shape) for group in groups] == [(i % 10, i // 10) for i in range(12)]
    assert groups[0].rows.tolist() == [5, 17]
    assert (groups[0].light, groups[0].variable) == (SERIES[0].light, "series-1")


def test_many_labels_have_looks_of_their_own_and_equal_colors_far_apart() -> None:
    side = 8
    places = np.array(list(itertools.product(range(side), range(side))), dtype=float)
    groups = map_groups(places, [f"l{i:02d}" for i in range(64)])
    assert len({(group.color, group.shape) for group in groups}) == 64
    assert {group.marker for group in groups} <= set(SHAPES)
    nearest = min(
        np.hypot(*(np.array(one.middle) - other.middle))
        for one, other in itertools.combinations(groups, 2)
        if one.color == other.color
    )
    assert nearest >= 2  # ten colors on a grid of step one: no two neighbors, also not diagonally, are alike


def test_middle_is_a_point_and_not_pulled_by_a_far_one() -> None:
    xy = np.array([[1, 0], [-1, 0], [0, 0], [0, 1], [0, -1], [100, 0]], dtype=float)
    (group,) = map_groups(xy, ["a"] * 6)  # sums of distances: 104 from the third, 104.8 and more from the others
    assert group.middle == (0.0, 0.0)
    assert group.rise == pytest.approx(np.sqrt(2))  # its distances are 0, four times 1, and 100


def test_points_of_a_disk_rise_to_its_edge() -> None:
    # A sunflower of radius 3: equal areas for all, half of them within 3 / √2 of the middle.
    number = np.arange(400)
    radius, angle = 3 * np.sqrt((number + 0.5) / 400), number * np.pi * (3 - np.sqrt(5))
    (group,) = map_groups(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), ["a"] * 400)
    assert group.rise == pytest.approx(3, rel=0.02)


def test_points_without_a_label_come_last_and_gray() -> None:
    groups = map_groups(np.zeros((3, 2)), [None, "b", None])
    assert [(group.name, group.color) for group in groups] == [("b", 0), ("", -1)]
    assert groups[1].variable == "rest"


def test_names_do_not_cover_each_other() -> None:
    rng = np.random.default_rng(0)
    centers = [tuple(place) for place in rng.uniform(50, 350, size=(60, 2))]
    boxes = name_boxes(centers, [(60.0, 14.0)] * 60, 400, 400)
    placed = [box for box in boxes if box is not None]
    assert len(placed) > 50
    for one, other in itertools.combinations(placed, 2):
        assert abs(one[0] - other[0]) >= 60 - 1e-9 or abs(one[1] - other[1]) >= 14 - 1e-9
    for center, box in zip(centers, boxes, strict=True):
        if box is not None:
            assert np.hypot(box[0] - center[0], box[1] - center[1]) <= 90 + 1e-9
            assert 30 <= box[0] <= 370
            assert 7 <= box[1] <= 393
    assert boxes[0] == pytest.approx(centers[0])  # who comes first stands where it belongs


def test_a_name_that_is_too_long_has_no_place() -> None:
    assert name_boxes([(5.0, 5.0)], [(50.0, 4.0)], 10, 10) == [None]
