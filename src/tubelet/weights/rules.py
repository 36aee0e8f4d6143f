"""Name maps as data: which tensor of a file fills which tensor of a network, and through what transformation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from tubelet.weights.foreign import ForeignFile
from tubelet.weights.ledger import Ledger, Make
from tubelet.weights.report import FileSource, WeightsReport
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
    companions
        Other tensors of the file, one for each step that needs one, with groups as in ``target``.
    """

    source: str
    target: str
    how: tuple[str, ...] = (UNCHANGED,)
    companions: tuple[str, ...] = ()


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
    wanted = model.state_dict()
    ledger = Ledger(foreign.tensors, wanted)
    known: dict[str, str] = {}  # name as the rules see it → name in the file
    for name in foreign.tensors:
        known.setdefault(weight_map.bare(name), name)
    for name in foreign.tensors:
        decided = weight_map.decide(name)
        if decided is None:
            continue
        rule, match = decided
        if isinstance(rule, Refuse):
            ledger.refuse(name, rule.why, wanted=True)
        else:
            ledger.fill(name, match.expand(rule.target), _made(ledger, known, name, rule, match))
    for target in wanted:
        if (kept := weight_map.kept(target)) is not None:
            ledger.keep(target, kept.why)
    source = FileSource(foreign.path, foreign.format, foreign.sha256)
    called = str(getattr(model, "name", type(model).__name__))
    return ledger.report(source, called, "name map", foreign.notes), ledger.values


def _made(ledger: Ledger, known: Mapping[str, str], name: str, rule: Rule, match: re.Match[str]) -> Make:
    def make(tensor: Tensor) -> tuple[Tensor, list[str]]:
        helpers = []
        for companion in map(match.expand, rule.companions):
            try:
                helpers.append(ledger.help(known[companion], name))
            except (KeyError, ValueError) as error:
                raise ValueError(f"{companion}, which it needs, is not in the file") from error
        return transform(tensor, rule.how, helpers), [step for step in rule.how if step != UNCHANGED]

    return make
