"""Training curves draw what was recorded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.reporting import Figure, training_curves


def words(figure: Figure) -> str:
    assert figure.svg is not None
    return figure.svg.decode()


def test_best_validation_accuracy_is_marked() -> None:
    rows: list[dict[str, object]] = [{"step": s, "train_loss": 1.0 / s, "lr": 0.1} for s in range(1, 21)]
    for step, accuracy in ((5, 0.5), (10, 0.875), (15, 0.75)):
        rows[step - 1]["val_accuracy"] = accuracy
    figure = training_curves(rows, title="T", caption="C")
    assert (figure.title, figure.caption) == ("T", "C")
    text = words(figure)
    assert "best 87.5\u00a0% at 10" in text
    for heading in (">Loss<", ">Accuracy<", ">Learning rate<", ">validation<", ">step<"):
        assert heading in text
    assert "best val accuracy 0.875 at 10" in figure.alt
    assert "train loss from 1 to 0.05" in figure.alt


def test_lowest_loss_is_marked_where_nothing_was_validated() -> None:
    figure = training_curves([{"step": s, "loss": abs(s - 7) + 1.0} for s in range(12)])
    assert "best 1 at 7" in words(figure)


def test_validation_loss_wins_over_training_loss() -> None:
    rows = [{"step": s, "train_loss": 0.1, "val_loss": v} for s, v in enumerate([2.0, 1.25, 3.0])]
    assert "best 1.25 at 1" in words(training_curves(rows))


def test_bare_names_are_those_of_training() -> None:
    rows = [{"step": s, "learning_rate": 0.1, "loss": 1.0, "accuracy": 0.5, "val_accuracy": 0.4} for s in range(3)]
    text = words(training_curves(rows))
    assert text.count(">training<") == 1
    assert text.count(">validation<") == 1


def test_one_point() -> None:
    assert "best 2 at 1" in words(training_curves([{"step": 1, "loss": 2.0}]))


def test_text_rows_and_other_columns() -> None:
    rows = [{"epoch": "1", "loss": "0.5", "note": "x"}, {"epoch": "2", "loss": "0.25", "note": "y"}]
    figure = training_curves(rows, x="epoch")
    assert "best 0.25 at 2" in words(figure)
    assert "note" not in words(figure)


def test_twenty_thousand_points_with_gaps_stay_small() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"step": i, "loss": math.nan if 300 < i < 900 else float(rng.normal() + 3), "accuracy": 0.5, "top5": 0.7}
        for i in range(20_000)
    ]
    figure = training_curves(rows)
    assert figure.svg is not None
    assert len(figure.svg) < 300_000
    assert ">top5<" in words(figure)


def test_all_nan_column_is_left_out_and_nothing_is_an_error() -> None:
    figure = training_curves([{"step": 1, "loss": 1.0, "val_loss": math.nan}, {"step": 2, "loss": 1.0}])
    assert "validation" not in words(figure)
    for rows in ([], [{"step": 1, "speed": 3.0}], [{"step": math.nan, "loss": 1.0}], [{"loss": 1.0}]):
        with pytest.raises(UsageError, match="nothing to draw"):
            training_curves(rows)
