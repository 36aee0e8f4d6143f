"""Name maps as data: which tensor of a file fills which tensor of a network, and through what transformation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from tubelet.weights.foreign import ForeignFile, ForeignTensor
from tubelet.weights.report import FileTensor, ModelTensor, WeightsReport
from tubelet.weights.transforms import UNCHANGED, transform


@dataclass(frozen=True)
class Rule:
    r"""What to do with the tensors of a file whose whole name matches a pattern.

    Attributes
    ----------
    source
        A regular expression; the whole name must match.
    target
        The network's tensor, with ``\1`` for what the first group matched.
    how
        Names of `tubelet.weights.transforms`, applied in order.
    companion
        A second tensor of the file that the transformation needs, with groups as in ``target``.
    """

    source: str
    target: str
    how: tuple[str, ...] = (UNCHANGED,)
    companion: str | None = None


@dataclass(frozen=True)
class Refuse:
    """Tensors of a file that are knowingly left out, and why: optimizer state, another head."""

    source: str
    why: str


@dataclass(frozen=True)
class Keep:
    """Tensors of the network that the file does not have and that stay as they are, and why."""

    target: str
    why: str


@dataclass(frozen=True)
class WeightMap:
    """All rules for one kind of file and one network.

    Attributes
    ----------
    rules
        The first that matches a tensor decides.
    keep
        What may stay unfilled.
    prefixes
        Removed from the front of a name, in this order, where they are there, before rules look at it:
        ``("state_dict.", "module.")``.
    """

    rules: tuple[Rule | Refuse, ...]
    keep: tuple[Keep, ...] = ()
    prefixes: tuple[str, ...] = ()

    def bare(self, name: str) -> str:
        """A file's name as the rules see it."""
        for prefix in self.prefixes:
            name = name.removeprefix(prefix)
        return name

    def decide(self, name: str) -> tuple[Rule | Refuse, re.Match[str]] | None:
        """The rule for a tensor of a file, and how it matches its bare name; None where no rule names it."""
        bare = self.bare(name)
        for rule in self.rules:
            if (match := _compiled(rule.source).fullmatch(bare)) is not None:
                return rule, match
        return None

    def kept(self, target: str) -> Keep | None:
        """Why the network's tensor of this name may stay unfilled, if it may."""
        return next((keep for keep in self.keep if re.fullmatch(keep.target, target)), None)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Kept for good: a deep network has more rules than `re` remembers."""
    return re.compile(pattern)


def apply_map(foreign: ForeignFile, model: nn.Module, weight_map: WeightMap) -> WeightsReport:
    """Fill a network from a file: all of it or nothing.

    Parameters
    ----------
    foreign
        The file.
    model
        The network; its values change only if every tensor of both sides is accounted for. Not on ``meta``.
    weight_map
        The rules.

    Returns
    -------
    WeightsReport
        What became of each tensor.

    Raises
    ------
    InputDataError
        A tensor that no rule names, or that does not fit; one that is missing; values that are not finite.
        `plan_map` gives the whole report.
    """
    report, values = plan_map(foreign, model, weight_map)
    report.check()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name in values:
                tensor.copy_(values[name])
    return report


def plan_map(foreign: ForeignFile, model: nn.Module, weight_map: WeightMap) -> tuple[WeightsReport, dict[str, Tensor]]:
    """The report that `apply_map` would give, problems included, and the values by the network's names."""
    plan = _Plan(foreign, model.state_dict(), weight_map)
    for name in foreign.tensors:
        plan.place(name)
    report = WeightsReport(
        foreign.path,
        foreign.format,
        foreign.sha256,
        str(getattr(model, "name", type(model).__name__)),
        plan.file_lines(),
        plan.model_lines(),
        foreign.notes,
    )
    return report, plan.values


@dataclass
class _Outcome:
    kind: Literal["used", "transformed", "refused"]
    target: str = ""
    detail: str = ""
    wanted: bool = True


@dataclass
class _Plan:
    foreign: ForeignFile
    wanted: Mapping[str, Tensor]
    map: WeightMap
    values: dict[str, Tensor] = field(default_factory=dict)
    outcomes: dict[str, _Outcome] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    helped: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known: dict[str, str] = {}  # name as the rules see it -> name in the file
        for name in self.foreign.tensors:
            self.known.setdefault(self.map.bare(name), name)

    def place(self, name: str) -> None:
        """Find the rule for one tensor of the file and follow it."""
        decided = self.map.decide(name)
        if decided is None:
            return
        rule, match = decided
        if isinstance(rule, Refuse):
            self.outcomes[name] = _Outcome("refused", detail=rule.why)
            return
        target = match.expand(rule.target)
        try:
            self._fill(self.foreign.tensors[name], target, rule, match)
        except ValueError as error:
            self.outcomes[name] = _Outcome("refused", target, str(error), wanted=False)

    def _fill(self, tensor: ForeignTensor, target: str, rule: Rule, match: re.Match[str]) -> None:
        if tensor.unreadable is not None:
            raise ValueError(tensor.unreadable)
        if target not in self.wanted:
            raise ValueError(f"the network has no {target}")
        if target in self.origin:
            raise ValueError(f"{target} is filled by {self.origin[target]} already")
        helper = None if rule.companion is None else self._helper(match.expand(rule.companion), tensor.name)
        value = transform(tensor.read(), rule.how, helper)
        wanted = self.wanted[target]
        if value.shape != wanted.shape:
            raise ValueError(f"its shape is {tuple(value.shape)} where {target} has {tuple(wanted.shape)}")
        value, cast = _cast(value, wanted.dtype)
        how = [step for step in rule.how if step != UNCHANGED] + cast
        self.values[target] = value
        self.origin[target] = tensor.name
        self.outcomes[tensor.name] = _Outcome("transformed" if how else "used", target, ", ".join(how))

    def _helper(self, bare: str, helped: str) -> Tensor:
        name = self.known.get(bare)
        if name is None or self.foreign.tensors[name].unreadable is not None:
            raise ValueError(f"{bare}, which it needs, is not in the file")
        self.helped.setdefault(name, []).append(helped)
        return self.foreign.tensors[name].read()

    def file_lines(self) -> tuple[FileTensor, ...]:
        lines = []
        for name, tensor in self.foreign.tensors.items():
            found = self.outcomes.get(name)
            if found is None and name in self.helped:
                found = _Outcome("used", detail=f"with {', '.join(self.helped[name])}")
            found = found or _Outcome("refused", detail=tensor.unreadable or "no rule names it", wanted=False)
            lines.append(
                FileTensor(
                    name,
                    tensor.dtype,
                    tensor.shape,
                    tensor.statistics,
                    found.kind,
                    found.target,
                    found.detail,
                    found.wanted,
                )
            )
        return tuple(lines)

    def model_lines(self) -> tuple[ModelTensor, ...]:
        lines = []
        for name, tensor in self.wanted.items():
            shape = tuple(tensor.shape)
            if name in self.origin:
                lines.append(ModelTensor(name, shape, "filled", self.origin[name]))
                continue
            kept = self.map.kept(name)
            lines.append(ModelTensor(name, shape, "missing", kept.why if kept else "", wanted=kept is not None))
        return tuple(lines)


def _cast(value: Tensor, dtype: torch.dtype) -> tuple[Tensor, list[str]]:
    """The value in the network's type, and how it was brought there; whole numbers and fractions do not mix."""
    if value.dtype == dtype:
        return value, []
    if not (value.is_floating_point() and dtype.is_floating_point):
        raise ValueError(f"numbers of type {value.dtype} do not become {dtype}")
    cast = value.to(dtype)
    if not torch.equal(torch.isfinite(cast), torch.isfinite(value)):
        raise ValueError(f"its numbers do not fit into {dtype}")
    widened = torch.finfo(value.dtype).bits < torch.finfo(dtype).bits
    word = "widened" if widened else "rounded"
    return cast, [f"{word} from {str(value.dtype).removeprefix('torch.')}"]
