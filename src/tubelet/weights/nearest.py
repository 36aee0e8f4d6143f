"""Which known layouts a file comes nearest to, when it has none of them, and what does not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from tubelet.models.contract import VideoModel
from tubelet.models.registry import DEFAULT_CLASSES, build_meta
from tubelet.reporting.text import first_few
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps import NameMap, get_map, list_maps
from tubelet.weights.rules import Rule, WeightMap, plan_map

_SHOWN = 3
_GROUP_NAME = re.compile(r"\?P<\w+>")


@dataclass(frozen=True)
class Near:
    """A layout that a file nearly has.

    Attributes
    ----------
    layout
        Which.
    named
        How many of the file's tensors it has rules for.
    tensors
        How many the file has.
    problems
        What does not fit, as `tubelet.weights.report.WeightsReport.problems` says it; names before shapes.
    """

    layout: NameMap
    named: int
    tensors: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        shown = first_few(self.problems, shown=2)
        wrong = f", but {shown}" if shown else ", which fits but for how it is told apart"
        return f"{self.layout.name} knows {self.named} of its {self.tensors} tensors{wrong}"


def nearest(foreign: ForeignFile, model: str | None = None) -> list[Near]:
    """At most three layouts, the nearest first, by the share of tensor names that the file and a layout have in common.

    Parameters
    ----------
    foreign
        The file.
    model
        The network to fill, where one is named: other layouts are not looked at.

    Returns
    -------
    list of Near
        Empty where no layout has a rule for any tensor of the file.
    """
    tensors = len(foreign.tensors)
    found = []
    for layout in map(get_map, list_maps()):
        if not layout.models or (model is not None and model not in layout.models):
            continue
        pattern, prefixes, wanted = _names(layout.name)
        bare = WeightMap((), prefixes=prefixes).bare
        named = sum(pattern.fullmatch(bare(name)) is not None for name in foreign.tensors)
        # Of all names of either side, so that neither a few common ones nor a part of a deep network count as much.
        if named:
            found.append((named / (tensors + wanted - named), named, layout))
    found.sort(key=lambda each: (-each[0], each[2].name))
    return [Near(layout, named, tensors, tuple(_problems(foreign, layout))) for _, named, layout in found[:_SHOWN]]


@cache
def _names(layout: str) -> tuple[re.Pattern[str], tuple[str, ...], int]:
    """What all names of a layout match, the prefixes that do not count, and how many tensors its network has."""
    known = get_map(layout)
    network = _network(known)
    rules = known.build(network)
    sources = [_GROUP_NAME.sub("", rule.source) for rule in rules.rules if isinstance(rule, Rule)]
    return re.compile("|".join(f"(?:{source})" for source in sources)), rules.prefixes, len(network.state_dict())


def _network(layout: NameMap, classes: int = DEFAULT_CLASSES) -> VideoModel:
    return build_meta(layout.models[0], classes, dict(layout.options))


def _problems(foreign: ForeignFile, layout: NameMap) -> list[str]:
    network = _network(layout, layout.classes(foreign) or DEFAULT_CLASSES)
    report, _ = plan_map(foreign, network, layout.build(network))
    # A name that is not known tells most; what is missing is often only the other side of it.
    order = {line.name: line.target != "" for line in report.source_tensors}
    return sorted(report.problems(), key=lambda problem: order.get(problem.partition(" is refused")[0], 2))
