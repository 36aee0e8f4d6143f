"""What became of every tensor of a weights file and of every tensor of the network that was to be filled from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tubelet.errors import InputDataError
from tubelet.reporting.text import printable
from tubelet.weights.statistics import Statistics

_SHOWN = 5


@dataclass(frozen=True)
class FileTensor:
    """A tensor of the file.

    Attributes
    ----------
    name, dtype, shape, statistics
        As stored.
    outcome
        "used" as it is, "transformed", or "refused".
    target
        The network's tensor that it fills; empty where it was refused or only helped.
    detail
        How it was transformed, or why it was refused.
    wanted
        False for a refusal that no rule foresees.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    statistics: Statistics | None
    outcome: Literal["used", "transformed", "refused"]
    target: str = ""
    detail: str = ""
    wanted: bool = True


@dataclass(frozen=True)
class ModelTensor:
    """A tensor of the network.

    Attributes
    ----------
    name, shape
        In the network.
    outcome
        "filled" or "missing".
    detail
        From which tensor of the file, or why it may be missing.
    wanted
        False for a tensor that is missing without a rule that allows it.
    """

    name: str
    shape: tuple[int, ...]
    outcome: Literal["filled", "missing"]
    detail: str = ""
    wanted: bool = True


@dataclass(frozen=True)
class WeightsReport:
    """The account of a conversion: no tensor of either side is left out.

    Attributes
    ----------
    path, format, sha256, notes
        Of the file, see `tubelet.weights.foreign.ForeignFile`.
    model
        The network's name.
    file_tensors, model_tensors
        One line for each.
    """

    path: Path
    format: str
    sha256: str
    model: str
    file_tensors: tuple[FileTensor, ...]
    model_tensors: tuple[ModelTensor, ...]
    notes: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """What keeps the weights from being used, one phrase each; empty if they fit."""
        wrong = [f"{line.name} is refused: {line.detail}" for line in self.file_tensors if not line.wanted]
        wrong += [f"{line.name} is missing" for line in self.model_tensors if not line.wanted]
        wrong += [
            f"{line.name} has {line.statistics.not_finite} values that are not finite"
            for line in self.file_tensors
            if line.statistics is not None and line.statistics.not_finite and line.outcome != "refused"
        ]
        return wrong

    def check(self) -> None:
        """Raise ``InputDataError`` with the first problems, if there are any."""
        wrong = self.problems()
        if wrong:
            more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise InputDataError(
                f"the weights do not fit {self.model}",
                path=self.path,
                why=printable("; ".join(wrong[:_SHOWN]) + more),
                remedy="give the file that belongs to this network and its options, or copy it again",
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "path": str(self.path),
            "format": self.format,
            "sha256": self.sha256,
            "model": self.model,
            "file_tensors": [
                {
                    "name": line.name,
                    "dtype": line.dtype,
                    "shape": list(line.shape),
                    "outcome": line.outcome,
                    "target": line.target or None,
                    "detail": line.detail or None,
                    "wanted": line.wanted,
                    "statistics": None if line.statistics is None else line.statistics.to_dict(),
                }
                for line in self.file_tensors
            ],
            "model_tensors": [
                {
                    "name": line.name,
                    "shape": list(line.shape),
                    "outcome": line.outcome,
                    "detail": line.detail or None,
                    "wanted": line.wanted,
                }
                for line in self.model_tensors
            ],
            "notes": list(self.notes),
            "problems": self.problems(),
        }

    def __str__(self) -> str:
        head = [
            f"{printable(self.path)}: {self.format}, SHA-256 {self.sha256[:16]}…",
            f"into {self.model}: "
            + ", ".join(f"{self._count(outcome)} {outcome}" for outcome in ("used", "transformed", "refused"))
            + f"; {sum(line.outcome == 'filled' for line in self.model_tensors)} of {len(self.model_tensors)} "
            "tensors of the network filled",
        ]
        table = _aligned([_HEADER, *(_row(line) for line in self.file_tensors)])
        missing = [f"missing: {line.name} ({line.detail or 'no tensor fills it'})" for line in self._missing()]
        notes = [f"note: {printable(note)}" for note in self.notes]
        return "\n".join([*head, "", *table, *missing, *notes])

    def _count(self, outcome: str) -> int:
        return sum(line.outcome == outcome for line in self.file_tensors)

    def _missing(self) -> Iterator[ModelTensor]:
        return (line for line in self.model_tensors if line.outcome == "missing")


_HEADER = ("tensor", "type", "shape", "outcome", "into", "how or why", "min", "max", "mean", "std", "not finite")


def _row(line: FileTensor) -> tuple[str, ...]:
    shape = "×".join(map(str, line.shape)) or "scalar"
    found = line.statistics
    numbers = [""] * 5
    if found is not None:
        four = (found.minimum, found.maximum, found.mean, found.std)
        numbers = [*(f"{value:.4g}" for value in four), str(found.not_finite)]
    return (line.name, line.dtype, shape, line.outcome, line.target, line.detail, *numbers)


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
