"""ROC curves and lines of equal accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.reporting import Page
from tubelet.reporting.roc import RocLine, roc_figure

STEP = RocLine("ours", np.array([0.0, 0.0, 0.5, 1.0]), np.array([0.0, 0.6, 0.8, 1.0]))


def test_it_says_areas_and_accuracies(evil: str) -> None:
    other = RocLine(evil, np.array([0.0, 1.0]), np.array([0.0, 1.0]), strong=False)
    figure = roc_figure([STEP, other], [("human", 0.9419), ("ImageNet $x$", 0.675)], title="Same or not")
    assert STEP.auc == pytest.approx(0.5 * 0.7 + 0.5 * 0.9)
    assert figure.alt.startswith("ROC curves: ours, area 80.0; ")
    assert figure.alt.endswith("Lines of equal accuracy: human 94.2\u00a0%; ImageNet $x$ 67.5\u00a0%.")
    for drawing in (figure.svg, figure.narrow_svg):
        assert drawing is not None
        text = drawing.decode()
        for words in ("ours: area 80.0", "human: 94.2 % accuracy", "ImageNet $x$: 67.5 % accuracy"):
            assert f">{words}<" in text
        assert "<script" not in text
    assert "<script" not in Page("p").add_figure(figure).html()


@pytest.mark.parametrize(
    ("curves", "accuracies"),
    [
        ([], []),
        ([STEP], [("percent", 94.19)]),
        ([STEP], [("below guessing", 0.4)]),
        ([RocLine("a", np.array([0.0, 1.0]), np.array([0.0]))], []),
        ([RocLine("a", np.array([0.0, 1.0]), np.array([0.0, 1.1]))], []),
    ],
)
def test_what_cannot_be_drawn_is_refused(curves: list[RocLine], accuracies: list[tuple[str, float]]) -> None:
    with pytest.raises(UsageError):
        roc_figure(curves, accuracies)
