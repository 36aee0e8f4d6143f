"""The account of filling a network while it is being written: each tensor finds its place here or is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from tubelet.reporting.text import times
from tubelet.weights.foreign import ForeignTensor
from tubelet.weights.report import FileSource, ModelTensor, NetworkSource, SourceOutcome, SourceTensor, WeightsReport
from tubelet.weights.transforms import cast

Make = Callable[[Tensor], tuple[Tensor, Sequence[str]]]
"""The weights' tensor → what it becomes, and how, in words; ``ValueError`` where it cannot."""


class Ledger:
    """Which tensor of the weights fills which tensor of the network.

    What nothing is written about is refused or missing in the report, and unwanted: nothing can be forgotten.

    Parameters
    ----------
    given
        The weights' tensors by name.
    wanted
        The network's, as ``state_dict`` gives them.

    Attributes
    ----------
    values
        New values by the network's names, in its shapes and types.
    """

    def __init__(self, given: Mapping[str, ForeignTensor], wanted: Mapping[str, Tensor]) -> None:
        self.values: dict[str, Tensor] = {}
        self._given, self._wanted = given, wanted
        self._lines: dict[str, SourceTensor] = {}
        self._origin: dict[str, str] = {}
        self._helped: dict[str, list[str]] = {}
        self._kept: dict[str, str] = {}

    def fill(self, name: str, target: str, make: Make) -> None:
        """Put what ``make`` makes of a tensor at ``target``, cast to its type, or refuse the tensor with the reason.

        The reason may be what ``make`` raises, that there is no such target, that it is filled already, or that it
        has another shape or kind of number.
        """
        try:
            if target not in self._wanted:
                raise ValueError(f"the network has no {target}")
            if target in self._origin:
                raise ValueError(f"{target} is filled by {self._origin[target]} already")
            made, steps = make(self._read(name))
            wanted = self._wanted[target]
            if made.shape != wanted.shape:
                raise ValueError(f"its shape is {times(made.shape)} where {target} has {times(wanted.shape)}")
            value, casts = cast(made, wanted.dtype)
        except ValueError as error:
            self._lines[name] = self._line(name, "refused", target, str(error), wanted=False)
            return
        self.values[target], self._origin[target] = value, name
        how = ", ".join((*steps, *casts))
        self._lines[name] = self._line(name, "transformed" if how else "used", target, how)

    def help(self, name: str, helped: str) -> Tensor:
        """A second tensor that ``helped`` needs to become what it should; ``ValueError`` where it cannot be had."""
        value = self._read(name)
        self._helped.setdefault(name, []).append(helped)
        return value

    def refuse(self, name: str, why: str, *, wanted: bool) -> None:
        """Leave a tensor of the weights out."""
        self._lines[name] = self._line(name, "refused", "", why, wanted)

    def keep(self, target: str, why: str) -> None:
        """Let the network keep its own tensor where nothing fills it."""
        self._kept[target] = why

    def report(
        self, source: FileSource | NetworkSource, model: str, method: str, notes: tuple[str, ...] = ()
    ) -> WeightsReport:
        """The account, as far as it was written."""
        given = tuple(self._lines.get(name) or self._unwritten(name) for name in self._given)
        return WeightsReport(source, model, method, given, tuple(map(self._target, self._wanted)), notes)

    def _read(self, name: str) -> Tensor:
        tensor = self._given[name]
        if tensor.unreadable is not None:
            raise ValueError(tensor.unreadable)
        return tensor.read()

    def _line(
        self, name: str, outcome: SourceOutcome, target: str = "", detail: str = "", wanted: bool = True
    ) -> SourceTensor:
        told = self._given[name]
        return SourceTensor(name, told.dtype, told.shape, told.statistics, outcome, target, detail, wanted)

    def _unwritten(self, name: str) -> SourceTensor:
        if name in self._helped:
            return self._line(name, "used", detail=f"with {', '.join(self._helped[name])}")
        return self._line(name, "refused", detail=self._given[name].unreadable or "no rule names it", wanted=False)

    def _target(self, name: str) -> ModelTensor:
        shape = tuple(self._wanted[name].shape)
        if name in self._origin:
            return ModelTensor(name, shape, "filled", self._origin[name])
        return ModelTensor(name, shape, "missing", self._kept.get(name, "no tensor fills it"), name in self._kept)
