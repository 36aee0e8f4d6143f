"""Class probabilities over seconds."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.reporting import class_timeline
from tubelet.reporting.timeline import _spread

START = [0.0, 1.0, 2.0]
END = [2.0, 3.0, 4.0]
SHARES = [[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.9, 0.05, 0.05]]


def test_top_classes_by_mean_and_changes() -> None:
    figure = class_timeline(START, END, SHARES, ["run", "walk", "jump"], top=2)
    assert figure.svg is not None
    assert b">walk<" in figure.svg
    assert b">jump<" not in figure.svg
    assert "walk 52\u00a0%, run 40\u00a0%" in figure.alt  # means 1.55/3 and 1.2/3
    assert "from 0.0–4.0\u00a0s" in figure.alt
    assert "most probable: walk at first, then run from 2.0\u00a0s" in figure.alt


def test_order_of_the_clips_does_not_matter() -> None:
    turned = class_timeline(START[::-1], END[::-1], SHARES[::-1], ["a", "b", "c"])
    assert turned == class_timeline(START, END, SHARES, ["a", "b", "c"])


def test_many_classes_become_rows() -> None:
    shares = np.full((5, 12), 1 / 12)
    labels = [f"class {i}" for i in range(12)]
    figure = class_timeline(np.arange(5), np.arange(5) + 2, shares, labels, top=8)
    assert figure.svg is not None
    assert b">mean<" in figure.svg
    assert figure.svg.count(b">8\xc2\xa0%<") == 8
    assert b'shape-rendering="crispEdges"' in figure.svg
    lines = class_timeline(np.arange(5), np.arange(5) + 2, shares, labels, top=8, kind="lines")
    assert lines.svg is not None
    assert b">mean<" not in lines.svg


def test_frames_stand_above_and_may_be_smoothed() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (30, 40, 60, 3), dtype=np.uint8)
    figure = class_timeline(START, END, SHARES, list("abc"), frames=frames)
    assert figure.svg is not None
    assert 2 <= figure.svg.count(b"data:image/png") <= 10
    assert b"pixelated" not in figure.svg


def test_one_clip() -> None:
    assert class_timeline([0], [0.64], [[0.3, 0.7]], ["a", "b"]).svg is not None


def test_names_beside_lines_never_overlap() -> None:
    ends = [(0.0, 0), (0.0, 1), (0.01, 2), (0.5, 3), (0.99, 4), (1.0, 5)]
    heights = _spread(ends)
    assert heights == sorted(heights)
    assert min(np.diff(heights)) > 0.08


@pytest.mark.parametrize(
    ("start", "end", "shares", "top"),
    [
        ([], [], np.zeros((0, 2)), 5),
        ([0], [1], [[0.5, 0.4, 0.1]], 5),
        ([0], [0], [[0.5, 0.5]], 5),
        ([0], [np.nan], [[0.5, 0.5]], 5),
        ([0], [1], [[1.5, 0.5]], 5),
        ([0], [1], [[np.nan, 0.5]], 5),
        ([0], [1], [[0.5, 0.5]], 0),
    ],
)
def test_what_is_no_timeline_is_refused(start: object, end: object, shares: object, top: int) -> None:
    with pytest.raises(UsageError):
        class_timeline(start, end, shares, ["a", "b"], top=top)  # type: ignore[arg-type]
