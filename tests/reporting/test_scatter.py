"""Maps of labeled points."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.reporting import scatter_map
from tubelet.reporting.style import REST


def test_legend_follows_the_given_order_and_marks_are_explained() -> None:
    points = np.arange(12.0).reshape(6, 2)
    figure = scatter_map(points, list("abcabc"), correct=[True] * 5 + [False], order=["c", "a"])
    for drawing in (figure.svg, figure.narrow_svg):
        assert drawing is not None
        text = drawing.decode()
        assert text.index(">c<") < text.index(">a<") < text.index(">b<")
        assert ">classified wrong<" in text
    assert "6 points colored by 3 labels: c, a, b; 83.3\u00a0% are classified right" in figure.alt


def test_many_labels_are_named_in_the_map() -> None:
    rng = np.random.default_rng(0)
    labels = [f"label{i:03d}" for i in range(101) for _ in range(3)]
    middles = rng.uniform(-1, 1, size=(101, 2)).repeat(3, axis=0)
    figure = scatter_map(middles + rng.normal(size=(303, 2)) * 0.02, labels)
    assert figure.svg is not None
    assert figure.wide
    text = figure.svg.decode()
    named = [name for name in dict.fromkeys(labels) if f">{name}<" in text]
    assert len(named) >= 95
    # The others are told.
    assert all(name in figure.caption for name in set(labels) - set(named))
    assert "colored by 101 labels" in figure.alt
    assert figure.alt.endswith("label019, and 81 more.")


def test_names_stand_above_their_points() -> None:
    # 21 far clusters of one size: in the drawing, whose y points down, each name is above all of its points.
    labels = [f"n{i:02d}" for i in range(21) for _ in range(9)]
    side = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]) * 0.06
    places = np.array([(i % 5, i // 5) for i in range(21)], dtype=float).repeat(9, axis=0) + np.tile(side, (21, 1))
    figure = scatter_map(places, labels)
    assert figure.svg is not None
    svg = figure.svg.decode()
    marks = np.array(re.findall(r'<use [^>]*? x="([\d.]+)" y="([\d.]+)"', svg), dtype=float)
    assert marks.shape == (189, 2)
    names = re.findall(r'<text [^>]*? x="([\d.]+)" y="([\d.]+)"[^>]*>(n\d\d)<', svg)
    assert sorted(name for _, _, name in names) == sorted(set(labels))
    for x, y, _ in names:
        own = marks[np.hypot(*(marks - [float(x), float(y)]).T) < 80]
        assert len(own) == 9
        assert own[:, 1].min() > float(y)
        assert own[:, 1].min() < float(y) + 20


def test_names_without_room_are_told() -> None:
    labels = [f"a long name of class {i:02d}" for i in range(60)]
    points = np.zeros((60, 2))  # all in one place but two, which make the map wide
    points[58:] = [[-50, -50], [50, 50]]
    figure = scatter_map(points, labels, caption="Words.")
    assert figure.caption.startswith("Words. No room to name a long name")
    assert figure.svg is not None
    named = [label for label in labels if f">{label}<".encode() in figure.svg]
    assert 10 < len(named) < 60
    assert not any(label in figure.caption for label in named)


def test_twenty_labels_stand_in_a_legend() -> None:
    figure = scatter_map(np.random.default_rng(0).normal(size=(20, 2)), [f"l{i}" for i in range(20)])
    assert not figure.wide
    assert figure.narrow_svg is not None
    assert all(f">l{i}<".encode() in figure.narrow_svg for i in range(20))


def test_points_without_a_label_are_gray_and_told() -> None:
    figure = scatter_map([[0, 0], [1, 1], [2, 0]], ["a", None, "b"])
    assert figure.svg is not None
    assert b">no label<" in figure.svg
    assert REST.light.encode() in figure.svg
    assert figure.alt == "Map of 3 points colored by 2 labels: a, b; 1 have no label."
    bare = scatter_map([[0, 0], [1, 1]], [None, None])
    assert bare.svg is not None
    assert b">no label<" not in bare.svg  # nothing to tell apart
    assert bare.alt == "Map of 2 points; 2 have no label."


def test_thousands_of_points_stay_small() -> None:
    rng = np.random.default_rng(0)
    figure = scatter_map(rng.normal(size=(8000, 2)), [str(i % 3) for i in range(8000)])
    assert figure.svg is not None
    assert len(figure.svg) < 600_000


def test_one_point_without_legend() -> None:
    figure = scatter_map([[3.0, 4.0]], ["alone"])
    assert figure.svg is not None
    assert b">alone<" not in figure.svg


@pytest.mark.parametrize(
    ("points", "labels", "correct"),
    [
        (np.zeros((0, 2)), [], None),
        ([[0, 0]], ["a", "b"], None),
        ([[0, 0, 0]], ["a"], None),
        ([[0, np.nan]], ["a"], None),
        ([[0, 0]], ["a"], [True, False]),
    ],
)
def test_what_does_not_fit_is_refused(points: object, labels: list[str], correct: list[bool] | None) -> None:
    with pytest.raises(UsageError):
        scatter_map(points, labels, correct=correct)  # type: ignore[arg-type]
