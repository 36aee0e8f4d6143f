"""What became of every tensor of some weights and of every tensor of the network that was to be filled from them.

The weights are a foreign file (`tubelet.weights.rules`) or those of another network (`tubelet.weights.fit`). Their
tensors end as "used", "transformed" or "refused", the network's as "filled" or "missing"; there is nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from tubelet.errors import InputDataError
from tubelet.reporting.text import aligned, first_few, printable, times
from tubelet.weights.statistics import Statistics

SourceOutcome = Literal["used", "transformed", "refused"]
ModelOutcome = Literal["filled", "missing"]
Outcome = Literal[SourceOutcome, ModelOutcome]

_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_SHOWN = 5
_HEADER = ("tensor", "type", "shape", "outcome", "into", "how or why", "min", "max", "mean", "std", "not finite")


@dataclass(frozen=True)
class FileSource:
    """A file that weights are from: where it is, its format in words, the hash of its bytes."""

    path: Path
    format: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.path}: {self.format}, SHA-256 {self.sha256[:16]}…"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the file without its folder."""
        return {"file": self.path.name, "format": self.format, "sha256": self.sha256}


@dataclass(frozen=True)
class NetworkSource:
    """A network that weights are from: its name and options, and who its weights are.

    A state dict alone tells neither; ``weights_id`` is then what its user calls it.
    """

    model: str | None = None
    options: Mapping[str, Any] | None = None
    weights_id: str | None = None

    def __str__(self) -> str:
        return f"{self.model or 'state dict'}: weights {self.weights_id or 'without a name'}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        options = None if self.options is None else dict(self.options)
        return {"model": self.model, "options": options, "weights_id": self.weights_id}


@dataclass(frozen=True)
class SourceTensor:
    """A tensor of the weights.

    Attributes
    ----------
    name, dtype, shape, statistics
        As stored; ``dtype`` as safetensors spells it (``F32``).
    outcome
        "used" as it is, "transformed", or "refused".
    target
        The network's tensor that it fills, or that a rule meant it for where it is refused; empty where there is none.
    detail
        How it was transformed, or why it was refused.
    wanted
        False for a refusal that nothing foresees.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    statistics: Statistics | None
    outcome: SourceOutcome
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
        From which tensor of the weights, or why it is missing: the network then keeps its own.
    wanted
        False for a tensor that is missing without anything that allows it.
    """

    name: str
    shape: tuple[int, ...]
    outcome: ModelOutcome
    detail: str = ""
    wanted: bool = True


@dataclass(frozen=True)
class WeightsReport:
    """The account of filling a network: no tensor of either side is left out.

    Attributes
    ----------
    source
        Whose weights they are.
    model
        The name of the network that they go into.
    method
        What was done on the whole.
    source_tensors, model_tensors
        One line for each, in their own orders.
    notes
        What the tensors do not tell and their user should know.
    """

    source: FileSource | NetworkSource
    model: str
    method: str
    source_tensors: tuple[SourceTensor, ...]
    model_tensors: tuple[ModelTensor, ...]
    notes: tuple[str, ...] = ()

    def names(self, outcome: Outcome) -> list[str]:
        """The tensors with this outcome: the weights' own names, or the network's for "filled" and "missing"."""
        return [line.name for line in self._lines() if line.outcome == outcome]

    def problems(self) -> list[str]:
        """What keeps the weights from being used, one phrase each; empty if they fit."""
        wrong = [f"{line.name} is refused: {line.detail}" for line in self.source_tensors if not line.wanted]
        wrong += [f"{line.name} is missing" for line in self.model_tensors if not line.wanted]
        wrong += [
            f"{line.name} has {line.statistics.not_finite} values that are not finite"
            for line in self.source_tensors
            if line.statistics is not None and line.statistics.not_finite and line.outcome != "refused"
        ]
        return wrong

    def check(self) -> None:
        """Raise ``InputDataError`` with the first problems, if there are any."""
        wrong = self.problems()
        if wrong:
            raise InputDataError(
                f"the weights do not fit {self.model}",
                path=self.source.path if isinstance(self.source, FileSource) else None,
                why=printable(first_few(wrong, "; ", _SHOWN)),
                remedy="build the network with the options of the one that the weights are from, or give other weights",
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, the whole of it."""
        return {
            "source": self.source.to_dict(),
            "model": self.model,
            "method": self.method,
            "source_tensors": [
                {**_plain(line), "statistics": line.statistics and line.statistics.to_dict()}
                for line in self.source_tensors
            ],
            "model_tensors": [_plain(line) for line in self.model_tensors],
            "notes": list(self.notes),
            "problems": self.problems(),
        }

    def summary(self) -> dict[str, Any]:
        """JSON-ready, for the provenance of the filled network: all but what its own tensors tell.

        Whose weights they are, how many tensors have which outcome, and for "transformed", "refused" and "missing"
        how or why → names.
        """
        return {
            **self.source.to_dict(),
            "method": self.method,
            "tensors": {outcome: len(self.names(outcome)) for outcome in _OUTCOMES},
            "transformed": self._by_detail("transformed"),
            "refused": self._by_detail("refused"),
            "missing": self._by_detail("missing"),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        count = {outcome: len(self.names(outcome)) for outcome in _OUTCOMES}
        head = (
            f"into {self.model} ({self.method}): {count['used']} used, {count['transformed']} transformed, "
            f"{count['refused']} refused; {count['filled']} of {len(self.model_tensors)} tensors of the network filled"
        )
        table = aligned([_HEADER, *(_row(line) for line in self.source_tensors)])
        missing = [
            printable(f"missing: {line.name} ({line.detail})")
            for line in self.model_tensors
            if line.outcome == "missing"
        ]
        notes = [f"note: {printable(note)}" for note in self.notes]
        return "\n".join([printable(self.source), head, "", *table, *missing, *notes])

    def _lines(self) -> Iterator[SourceTensor | ModelTensor]:
        yield from self.source_tensors
        yield from self.model_tensors

    def _by_detail(self, outcome: Outcome) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for line in self._lines():
            if line.outcome == outcome:
                table.setdefault(line.detail, []).append(line.name)
        return table


def _plain(line: SourceTensor | ModelTensor) -> dict[str, Any]:
    return {key: None if value == "" else value for key, value in asdict(line).items()}


def _row(line: SourceTensor) -> tuple[str, ...]:
    found = line.statistics
    numbers = [""] * 5
    if found is not None:
        four = (found.minimum, found.maximum, found.mean, found.std)
        numbers = [*(f"{value:.4g}" for value in four), str(found.not_finite)]
    return (line.name, line.dtype, times(line.shape), line.outcome, line.target, line.detail, *numbers)
