"""One row of a table of results: a way of predicting, what it is made of, and its outcome on every video."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import TubeletError
from tubelet.protocols.bootstrap import Interval, bootstrap_interval
from tubelet.protocols.comparable import COMPARED
from tubelet.protocols.fusion import Difference, difference_between
from tubelet.protocols.metrics import per_class_table
from tubelet.protocols.recognition import over_seeds
from tubelet.protocols.result import Prediction, Result

if TYPE_CHECKING:
    from tubelet.models.info import ModelInfo

UNKNOWN = "a data set that is not recorded"
_ENOUGH = 0.9  # share of the videos that two systems must have in common to be compared on them

Split = tuple[Result, ...]
"""What a system did on one split: a Result for each seed."""


@dataclass(frozen=True)
class Network:
    """One network of a system.

    Attributes
    ----------
    model, options
        Registry name and options.
    parameters, macs, input
        Numbers that are learned, multiply-adds of one input and its shape ``(C, T, H, W)``; None where not known.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    macs: int | None = None
    input: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Outcomes:
    """What a system did with each video.

    Attributes
    ----------
    keys
        (n,) split and video.
    labels
        (n,) true classes.
    right
        (n,) share of the seeds that recognized it.
    groups
        (n,) or None.
    parts
        (n,) index of the split.
    """

    keys: tuple[tuple[int, str], ...]
    labels: tuple[str, ...]
    right: NDArray[np.float64]
    groups: tuple[str, ...] | None
    parts: NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """Two systems on the videos that both have.

    Attributes
    ----------
    difference
        Second minus first.
    n
        Videos that both have.
    missing
        Videos that only one of them has.
    """

    difference: Difference
    n: int
    missing: int


@dataclass(frozen=True, eq=False)
class System:
    """One row.

    Attributes
    ----------
    run
        Name of the run that it belongs to.
    name
        What predicted; with ``run`` it is the only one of this name.
    result
        The figures to print: of one Result, the mean of several seeds, or of several splits.
    splits
        The Results that ``result`` is made of.
    networks
        Its networks; empty where the run does not say.
    made_of
        Names of the systems that are fused, in the same run; empty for one that is not a fusion.
    fused_as
        What a fusion adds up, in words.
    facts
        Further figures of the protocol, such as ``{"AUC": "78.9"}``.
    """

    run: str
    name: str
    result: Result
    splits: tuple[Split, ...]
    networks: tuple[Network, ...] = ()
    made_of: tuple[str, ...] = ()
    fused_as: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """The data set's name, without a split."""
        known = self.result.provenance.get("dataset") or {}
        compared = self.result.settings.get(COMPARED) or {}
        return str(known.get("name") or compared.get("dataset") or UNKNOWN).partition("-split")[0]

    @property
    def seeds(self) -> int:
        """How many seeds the figures are the mean of."""
        return max(len(split) for split in self.splits)

    @property
    def parameters(self) -> int | None:
        """Of all its networks together: a fusion has to run each of them."""
        return _sum([network.parameters for network in self.networks])

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one input of each of its networks."""
        return _sum([network.macs for network in self.networks])

    @property
    def model(self) -> str:
        """Its networks by name, each once."""
        return " + ".join(dict.fromkeys(network.model for network in self.networks))

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """Of every video; None where the run kept none."""
        keys: list[tuple[int, str]] = []
        first: list[Prediction] = []
        right: list[float] = []
        for part, split in enumerate(self.splits):
            by_id = [{each.video_id: each for each in result.predictions} for result in split]
            for video_id, each in by_id[0].items():
                if all(video_id in other for other in by_id):
                    keys.append((part, video_id))
                    first.append(each)
                    right.append(float(np.mean([other[video_id].predicted == each.label for other in by_id])))
        if not keys:
            return None
        groups = [each.group for each in first if each.group is not None]
        return Outcomes(
            tuple(keys),
            tuple(each.label for each in first),
            np.array(right),
            tuple(groups) if len(groups) == len(keys) else None,
            np.array([part for part, _ in keys], dtype=np.int64),
        )

    def wrong(self, label: str, predicted: str) -> list[Prediction]:
        """The videos of ``label`` that were taken for ``predicted``, the surest first, each once."""
        found = [
            each
            for split in self.splits
            for result in split
            for each in result.predictions
            if (each.label, each.predicted) == (label, predicted)
        ]
        once = {each.video_id: each for each in sorted(found, key=lambda each: each.score)}
        return sorted(once.values(), key=lambda each: (-each.score, each.video_id))


def system_of(
    run: str, results: Sequence[Split], networks: Sequence[Network], mean: Result | None = None, **more: Any
) -> System:
    """A row from its Results: those of one split, or ``mean`` of several."""
    result = mean if mean is not None else mean_of_seeds(results[0])
    return System(run, result.protocol, result, tuple(results), tuple(networks), **more)


def mean_of_seeds(results: Split) -> Result:
    """The figures of one split as the mean of its seeds, videos averaged one by one; confusions are summed."""
    first = results[0]
    if len(results) == 1:
        return first
    summary = over_seeds(range(len(results)), results)
    if not all(one.confusion for one in results):
        return replace(first, value=summary.mean, interval=summary.interval)
    confusion = np.sum([one.confusion for one in results], axis=0)
    means = [one.class_mean for one in results if one.class_mean is not None]
    return replace(
        first,
        value=summary.mean,
        interval=summary.interval,
        class_mean=float(np.mean(means)) if len(means) == len(results) else None,
        class_mean_interval=_class_interval(results),
        top_k={
            k: float(np.mean([one.top_k[k] for one in results]))
            for k in first.top_k
            if all(k in one.top_k for one in results)
        },
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        per_class=per_class_table(confusion, first.classes),
        predictions=(),
        notes=tuple(dict.fromkeys(note for one in results for note in one.notes)),
    )


def _class_interval(results: Split) -> Interval | None:
    outcomes = System("", "", results[0], (results,)).outcomes
    if outcomes is None:
        return None
    targets = np.array([results[0].classes.index(label) for label in outcomes.labels], dtype=np.int64)
    return bootstrap_interval(outcomes.right, outcomes.groups, classes=targets)


def network_of(model: str, options: Mapping[str, Any], classes: int) -> Network:
    """A network with what it costs, counted on the network itself; without where this version cannot build it."""
    known = {key: value for key, value in options.items() if value is not None}
    try:
        info = _info(model, classes, json.dumps(known, sort_keys=True))
    except (TubeletError, TypeError, ValueError):
        return Network(model, known)
    return Network(model, known, info.parameters, info.macs, info.input.shape)


@lru_cache(maxsize=64)
def _info(model: str, classes: int, options: str) -> ModelInfo:
    from tubelet.models.registry import model_info

    return model_info(model, max(1, classes), **json.loads(options))


def paired(first: System, second: System) -> Pair | None:
    """What ``second`` gains over ``first`` on the videos that both have; None where these are too few to compare.

    Nine tenths of the videos must be common to both and have the same labels, on the same number of splits.
    """
    a, b = first.outcomes, second.outcomes
    if a is None or b is None or len(first.splits) != len(second.splits):
        return None
    places = {key: place for place, key in enumerate(b.keys)}
    common = [(i, places[key]) for i, key in enumerate(a.keys) if key in places]
    every = len(a.keys) + len(b.keys) - len(common)
    if len(common) < max(2, _ENOUGH * every) or any(a.labels[i] != b.labels[j] for i, j in common):
        return None
    rows, others = (np.array(column, dtype=np.int64) for column in zip(*common, strict=True))
    labels = [a.labels[i] for i in rows]
    targets = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    parts = a.parts[rows] if len(first.splits) > 1 else None
    groups = None
    if a.groups is not None:
        groups = [a.groups[i] for i in rows]
    elif b.groups is not None:
        groups = [b.groups[j] for j in others]
    names = first.name, second.name
    found = difference_between(names, a.right[rows], b.right[others], targets, groups, parts=parts)
    return Pair(found, len(common), every - len(common))


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known and len(known) == len(numbers) else None
