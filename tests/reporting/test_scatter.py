"""Maps of labeled points."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.reporting import scatter_map


def test_legend_follows_the_given_order_and_marks_are_explained() -> None:
    points = np.arange(12.0).reshape(6, 2)
    figure = scatter_map(points, list("abcabc"), correct=[True] * 5 + [False], order=["c", "a"])
    for drawing in (figure.svg, figure.narrow_svg):
        assert drawing is not None
        text = drawing.decode()
        assert text.index(">c<") < text.index(">a<") < text.index(">b<")
        assert ">classified wrong<" in text
    assert "6 points colored by 3 labels: c, a, b; 83.3\u00a0% are classified right" in figure.alt


def test_rare_labels_are_drawn_together() -> None:
    labels = [f"label{i:02d}" for i in range(25) for _ in range(2 if i % 5 else 1)]
    figure = scatter_map(np.random.default_rng(0).normal(size=(len(labels), 2)), labels)
    assert figure.svg is not None
    text = figure.svg.decode()
    assert ">other (6 labels)<" in text
    assert ">label01<" in text
    assert ">label00<" not in text  # one of the five rare ones
    assert "and 6 others" in figure.alt


def test_twenty_labels_each_have_their_own_look() -> None:
    figure = scatter_map(np.random.default_rng(0).normal(size=(20, 2)), [f"l{i}" for i in range(20)])
    assert figure.svg is not None
    assert b"other" not in figure.svg


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
