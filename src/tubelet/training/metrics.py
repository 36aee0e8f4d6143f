"""The rows of a run: ``metrics.csv`` holds what is reproducible, ``timing.csv`` what the machine took."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tubelet.artifacts import write_text

COLUMNS = ("step", "epoch", "learning_rate", "loss", "accuracy", "val_accuracy", "val_loss")
_WINDOW = 50


@dataclass(frozen=True)
class Recent:
    """Means over the last steps, for the progress bar."""

    loss: float
    accuracy: float
    rate: float


class MetricLog:
    """Append one row per step; after a resume, rows past the checkpoint are cut off first.

    Parameters
    ----------
    folder
        The run folder.
    done
        Steps of the checkpoint that the run goes on from; rows after it, also a torn last line, are dropped.
    further
        Names of columns after the usual ones.
    """

    def __init__(self, folder: Path, done: int, further: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._columns = (*COLUMNS, *further)
        self.rows = [row for row in read_metrics(folder) if row["step"] <= done]
        write_text(folder / "metrics.csv", _csv([self._columns, *map(self._cells, self.rows)]))
        timing = _read_rows(folder / "timing.csv")[1:]
        write_text(
            folder / "timing.csv",
            _csv([("step", "seconds", "clips_per_s"), *[row for row in timing if _before(row, done)]]),
        )
        self._metrics = (folder / "metrics.csv").open("a", encoding="utf-8", newline="")
        self._timing = (folder / "timing.csv").open("a", encoding="utf-8", newline="")
        self._recent: deque[tuple[float, float, float, int]] = deque(maxlen=_WINDOW)

    def add(self, row: dict[str, float], *, seconds: float, clips: int) -> None:
        """Append one step's row and the time it took."""
        self.rows.append(row)
        self._metrics.write(_csv([self._cells(row)]))
        self._timing.write(_csv([(f"{row['step']:.0f}", f"{seconds:.4f}", f"{clips / seconds:.1f}")]))
        self._recent.append((row["loss"], row["accuracy"], seconds, clips))

    def recent(self) -> Recent:
        """Means over the last 50 steps."""
        loss, accuracy, seconds, clips = (list(column) for column in zip(*self._recent, strict=True))
        return Recent(sum(loss) / len(loss), sum(accuracy) / len(accuracy), sum(clips) / max(sum(seconds), 1e-9))

    def flush(self) -> None:
        """Hand the rows to the operating system, before the checkpoint that counts them is written."""
        self._metrics.flush()
        self._timing.flush()

    def close(self) -> None:
        """Flush and close both files."""
        self._metrics.close()
        self._timing.close()

    def _cells(self, row: dict[str, float]) -> tuple[str, ...]:
        # repr of a float reads back to the same bits.
        return tuple(
            "" if name not in row else f"{row[name]:.0f}" if name == "step" else repr(row[name])
            for name in self._columns
        )


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Rows of ``metrics.csv`` (empty if there is none); a torn last line is left out."""
    lines = _read_rows(folder / "metrics.csv")
    if not lines or tuple(lines[0][: len(COLUMNS)]) != COLUMNS:
        return []
    columns = lines[0]
    return [
        {name: float(cell) for name, cell in zip(columns, cells, strict=True) if cell}
        for cells in lines[1:]
        if len(cells) == len(columns)
    ]


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _read_rows(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]  # kill -9 may leave half a line
    return list(csv.reader(io.StringIO(whole)))


def _before(row: list[str], done: int) -> bool:
    return len(row) == 3 and int(row[0]) <= done
