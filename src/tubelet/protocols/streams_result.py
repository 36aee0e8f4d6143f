"""Streams and their fusions in one table: accuracy with intervals, what each costs, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any

from tubelet.protocols.fusion import Difference, columns, difference_of, fuse, points_text, share_text
from tubelet.protocols.result import Result
from tubelet.protocols.score_file import ScoreFile, aligned
from tubelet.protocols.stream_experiment import FusionPlan, StreamExperiment
from tubelet.protocols.streams import StreamRound
from tubelet.protocols.streams_open import Stream
from tubelet.reporting.terminal import duration
from tubelet.reporting.text import engineering, times


@dataclass(frozen=True)
class StreamCost:
    """What a stream's network is, and what it took.

    Attributes
    ----------
    parameters, macs, input
        Of the network: numbers that are learned, multiply-adds of one input, and its shape ``(C, T, H, W)``.
    training_s, scoring_s
        Seconds over all folds.
    """

    parameters: int
    macs: int
    input: tuple[int, ...]
    training_s: float
    scoring_s: float

    @property
    def texts(self) -> tuple[str, str, str, str, str]:
        """Parameters, multiply-adds, input, training and scoring, for tables."""
        return (
            engineering(self.parameters),
            engineering(self.macs),
            times(self.input),
            duration(self.training_s),
            duration(self.scoring_s),
        )


@dataclass(frozen=True)
class StreamsResult:
    """The table.

    Attributes
    ----------
    name
        Of the experiment.
    streams, fusions
        One Result each; ``protocol`` is the name of the row. All are of the same videos.
    plans
        Of the fusions: what they are made of.
    costs
        Of the streams, by name.
    differences
        Between every two streams, and of every fusion to the best of its streams; each named once, the primary first.
    primary
        Whether the first of the differences was named beforehand as the comparison to make.
    settings, notes
        How it was made (JSON-ready), and what a reader should know.
    """

    name: str
    streams: tuple[Result, ...]
    fusions: tuple[Result, ...]
    plans: tuple[FusionPlan, ...]
    costs: Mapping[str, StreamCost]
    differences: tuple[Difference, ...]
    primary: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Result, ...]:
        """Streams, then fusions."""
        return (*self.streams, *self.fusions)

    @property
    def best(self) -> Result:
        """The row with the highest accuracy; of equal ones the first."""
        return max(self.rows, key=lambda result: result.value)

    def weights_text(self, fusion: str) -> str:
        """``spatial + 1.5 temporal (before softmax)``: what a fusion adds up."""
        plan = next(plan for plan in self.plans if plan.name == fusion)
        terms = [
            name if weight == 1 else f"{weight:g} {name}"
            for name, weight in zip(plan.streams, plan.factors, strict=True)
        ]
        return f"{' + '.join(terms)} ({'before softmax' if plan.by == 'scores' else 'softmax'})"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; without what the machine took."""
        return {
            "name": self.name,
            "streams": [
                {
                    **result.to_dict(),
                    "parameters": self.costs[result.protocol].parameters,
                    "macs": self.costs[result.protocol].macs,
                    "input": list(self.costs[result.protocol].input),
                }
                for result in self.streams
            ],
            "fusions": [
                {**result.to_dict(), **plan.model_dump(mode="json", exclude={"name"}), "weights": list(plan.factors)}
                for result, plan in zip(self.fusions, self.plans, strict=True)
            ],
            "differences": [asdict(difference) for difference in self.differences],
            "primary": self.primary,
            "settings": dict(self.settings),
            "notes": list(self.notes),
        }

    def sentence(self) -> str:
        """The comparison that was named beforehand, or else the first, in words; empty where there is but one row."""
        return difference_sentence(self.differences[0]) if self.differences else ""

    def __str__(self) -> str:
        first = self.streams[0]
        unit = "" if first.interval is None else f", {first.interval.level:.0%} intervals over {first.interval.unit}s"
        table = [("", "parameters", "MACs", "input", "training", "scoring", "accuracy", "mean over classes")]
        for result in self.rows:
            cost = self.costs.get(result.protocol)
            table.append(
                (
                    result.protocol,
                    *(cost.texts if cost is not None else ("", "", "", "", "")),
                    share_text(result.value, result.interval),
                    share_text(result.class_mean or 0.0, result.class_mean_interval),
                )
            )
        lines = [f"{self.name}: {first.n} videos{unit}", *columns(table)]
        lines += [f"  {result.protocol} = {self.weights_text(result.protocol)}" for result in self.fusions]
        if self.differences:
            lines.append("differences on the same videos, in points")
            lines += columns(
                [
                    (f"{one.second} - {one.first}", points_text(one.accuracy, one.interval),
                     points_text(one.class_mean, one.class_mean_interval))
                    for one in self.differences
                ]
            )  # fmt: skip
        if self.primary:
            lines.append(self.sentence())
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def difference_sentence(one: Difference) -> str:
    """A difference in words: how large, between which ends, and whether these videos show it."""
    gain, low, high = (100 * value for value in (one.accuracy, one.interval.low, one.interval.high))
    way = "better" if gain > 0 else "worse"
    what = (
        f"{one.second} recognizes as many videos as {one.first}"
        if gain == 0
        else f"{one.second} is {abs(gain):.1f} points {way} than {one.first}"
    )
    shown = "these videos show a difference" if low > 0 or high < 0 else "these videos do not show a difference"
    return f"{what} ({one.interval.level:.0%} interval of the paired difference {low:+.1f} to {high:+.1f}): {shown}"


def compare_streams(
    experiment: StreamExperiment,
    streams: Sequence[Stream],
    rounds: Sequence[StreamRound],
    pooled: Mapping[str, ScoreFile],
    *,
    settings: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> StreamsResult:
    """Put the streams' pooled scores, and their fusions, side by side on the videos that all of them have.

    Parameters
    ----------
    experiment
        With the streams that ran only, see `StreamExperiment.only`.
    streams, rounds, pooled
        What ran, and each stream's scores.
    settings, provenance
        Carried into the result.
    """
    names = [stream.name for stream in streams]
    every = {video_id for name in names for video_id in pooled[name].video_ids}
    files = dict(zip(names, aligned([pooled[name] for name in names], names, common=True), strict=True))
    first = files[names[0]]
    notes = []
    if len(first) < len(every):
        notes.append(
            f"{len(every) - len(first)} of {len(every)} videos have no scores of every stream and do not count"
        )
    alone = fuse(list(files.values()), names, settings=settings, provenance=provenance, notes=notes)
    results = {result.protocol: result for result in alone.streams}
    fusions = []
    for plan in experiment.fusions:
        made = fuse(
            [files[name] for name in plan.streams], plan.streams, weights=plan.factors, by=(plan.by,),
            settings=settings, provenance=provenance,
        )  # fmt: skip
        fusions.append(replace(made.fused[0], protocol=plan.name))
        results[plan.name] = fusions[-1]
    pairs = [] if experiment.primary is None else [(experiment.primary[1], experiment.primary[0])]
    pairs += combinations(names, 2)
    for plan in experiment.fusions:
        best = max(plan.streams, key=lambda name: results[name].value)
        pairs.append((best, plan.name))
    once = {frozenset(pair): pair for pair in reversed(pairs)}
    kept = [pair for pair in dict.fromkeys(pairs) if once[frozenset(pair)] == pair]
    differences = [difference_of(results[a], results[b], first.labels, first.groups) for a, b in kept]
    return StreamsResult(
        experiment.name,
        alone.streams,
        tuple(fusions),
        experiment.fusions,
        {stream.name: _cost(stream, rounds) for stream in streams},
        tuple(differences),
        experiment.primary is not None,
        settings,
        alone.notes,
    )


def _cost(stream: Stream, rounds: Sequence[StreamRound]) -> StreamCost:
    own = [one for one in rounds if one.stream == stream.name]
    return StreamCost(
        stream.info.parameters,
        stream.info.macs,
        stream.info.input.shape,
        sum(one.training_s for one in own),
        sum(one.scoring_s for one in own),
    )
