"""Metric rows survive kills: what lies beyond the checkpoint, and half a line, is cut off."""

from __future__ import annotations

from pathlib import Path

from tubelet.training.metrics import MetricLog, read_metrics

ROW = {"epoch": 0.5, "learning_rate": 0.1, "loss": 1 / 3, "accuracy": 0.25}


def write(folder: Path, first: int, last: int, done: int) -> None:
    log = MetricLog(folder, done)
    for step in range(first, last + 1):
        log.add({"step": float(step), **ROW}, seconds=0.5, clips=10)
    log.close()


def test_rows_read_back_to_the_same_bits(tmp_path: Path) -> None:
    write(tmp_path, 1, 3, 0)
    rows = read_metrics(tmp_path)
    assert rows == [{"step": float(step), **ROW} for step in (1, 2, 3)]
    assert (tmp_path / "timing.csv").read_text().splitlines()[1] == "1,0.5000,20.0"


def test_rows_after_the_checkpoint_are_written_anew(tmp_path: Path) -> None:
    write(tmp_path, 1, 5, 0)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("6,0.5,0.1,0.33")  # kill -9 in the middle of a line
    write(tmp_path, 4, 6, 3)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert len((tmp_path / "timing.csv").read_text().splitlines()) == 7


def test_recent_is_a_mean_over_fifty_steps(tmp_path: Path) -> None:
    log = MetricLog(tmp_path, 0)
    for step in range(1, 61):
        log.add({"step": float(step), **ROW, "loss": float(step)}, seconds=2.0, clips=24)
    recent = log.recent()
    log.close()
    assert recent.loss == sum(range(11, 61)) / 50
    assert recent.rate == 12.0


def test_validation_accuracy_is_kept_where_measured(tmp_path: Path) -> None:
    log = MetricLog(tmp_path, 0)
    log.add({"step": 1.0, **ROW}, seconds=1, clips=1)
    log.add({"step": 2.0, **ROW, "val_accuracy": 0.75}, seconds=1, clips=1)
    log.close()
    rows = read_metrics(tmp_path)
    assert "val_accuracy" not in rows[0]
    assert rows[1]["val_accuracy"] == 0.75


def test_a_foreign_file_is_not_taken_for_rows(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n")
    assert read_metrics(tmp_path) == []
    assert read_metrics(tmp_path / "absent") == []
