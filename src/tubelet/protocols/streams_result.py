"""Streams, SVMs on descriptors, and fusions in one table: accuracy with intervals, costs, and paired differences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any

from tubelet.baselines.idt.encoding import Encoding
from tubelet.protocols.fusion import (
    Difference,
    columns,
    difference_of,
    fuse,
    points_text,
    published_lines,
    share_text,
)
from tubelet.protocols.result import Result
from tubelet.protocols.score_file import ScoreFile, aligned
from tubelet.protocols.stream_experiment import FusionPlan, StreamExperiment, SvmRow
from tubelet.protocols.streams import StreamRound
from tubelet.protocols.streams_open import Feature, Stream
from tubelet.protocols.video_level import classification_result
from tubelet.reporting.terminal import duration
from tubelet.reporting.text import engineering, times


@dataclass(frozen=True)
class StreamCost:
    """What the network of a stream or of a feature is, and what it took.

    Attributes
    ----------
    parameters, macs, input
        Of the network: numbers that are learned, multiply-adds of one input, and its shape ``(C, T, H, W)``. None, None
        and empty of trajectories, which have no network.
    training_s, scoring_s, describing_s
        Seconds over all folds; a network that learns nothing describes only. Of trajectories the last is following
        points, which serves all that is made of them, and encoding.
    """

    parameters: int | None
    macs: int | None
    input: tuple[int, ...]
    training_s: float
    scoring_s: float
    describing_s: float = 0.0

    @property
    def texts(self) -> tuple[str, ...]:
        """Parameters, multiply-adds, input, training, scoring and describing, for tables; empty where nothing was."""
        return (
            *("" if number is None else engineering(number) for number in (self.parameters, self.macs)),
            times(self.input) if self.input else "",
            *(duration(took) if took else "" for took in (self.training_s, self.scoring_s, self.describing_s)),
        )

    @property
    def seconds(self) -> float:
        """All that it took."""
        return self.training_s + self.scoring_s + self.describing_s


@dataclass(frozen=True)
class StreamsResult:
    """The table.

    Attributes
    ----------
    name
        Of the experiment.
    streams, svms, fusions
        One Result each; ``protocol`` is the name of the row. All are of the same videos.
    plans
        Of the fusions: what they are made of.
    made
        Of the SVMs, by name: what they are made of, in words.
    parts
        Of the SVMs, by name: the streams, features and trajectories whose descriptors stand side by side.
    models
        Of the streams and features, by name: the network; ``idt`` of trajectories.
    costs
        Of the streams, features and trajectories, by name.
    kinds
        Of the trajectories, by name: what they are, in words.
    differences
        Between every two streams, and of every fusion to the best of its streams; between every two SVMs on one
        descriptor, of a stream's SVM to its network, and of every combination to the best of its SVMs. Each is named
        once, the primary first.
    primary
        Whether the first of the differences was named beforehand as the comparison to make.
    settings, notes
        How it was made (JSON-ready), and what a reader should know.
    """

    name: str
    streams: tuple[Result, ...]
    svms: tuple[Result, ...]
    fusions: tuple[Result, ...]
    plans: tuple[FusionPlan, ...]
    made: Mapping[str, str]
    parts: Mapping[str, Sequence[str]]
    models: Mapping[str, str]
    costs: Mapping[str, StreamCost]
    kinds: Mapping[str, str]
    differences: tuple[Difference, ...]
    primary: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Result, ...]:
        """Streams, then SVMs, then fusions."""
        return (*self.streams, *self.svms, *self.fusions)

    @property
    def best(self) -> Result:
        """The row with the highest accuracy; of equal ones the first."""
        return max(self.rows, key=lambda result: result.value)

    def made_of(self, row: str) -> str:
        """What a row is made of: an SVM's descriptors; ``spatial + 1.5 temporal (before softmax)`` of a fusion."""
        if row in self.made:
            return self.made[row]
        plan = next((plan for plan in self.plans if plan.name == row), None)
        if plan is None:
            return "network"
        terms = [
            name if weight == 1 else f"{weight:g} {name}"
            for name, weight in zip(plan.streams, plan.factors, strict=True)
        ]
        return f"{' + '.join(terms)} ({'before softmax' if plan.by == 'scores' else 'softmax'})"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; without what the machine took."""
        return {
            "name": self.name,
            "streams": [{**result.to_dict(), **self._network(result.protocol)} for result in self.streams],
            "svms": [
                {
                    **result.to_dict(),
                    "made_of": self.made[result.protocol],
                    "networks": [self._network(name) for name in self.parts[result.protocol]],
                }
                for result in self.svms
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

    def _network(self, name: str) -> dict[str, Any]:
        cost = self.costs[name]
        return {
            "model": self.models[name],
            "parameters": cost.parameters,
            "macs": cost.macs,
            "input": list(cost.input),
        }

    def sentence(self) -> str:
        """The comparison that was named beforehand, or else the first, in words; empty where there is but one row."""
        return difference_sentence(self.differences[0]) if self.differences else ""

    def __str__(self) -> str:
        first = self.rows[0]
        unit = "" if first.interval is None else f", {first.interval.level:.0%} intervals over {first.interval.unit}s"
        describing = "describing" if any(cost.describing_s for cost in self.costs.values()) else ""
        table: list[tuple[str, ...]] = [
            ("", "parameters", "MACs", "input", "training", "scoring", describing, "accuracy", "mean over classes")
        ]
        for result in self.rows:
            cost = self.costs.get(result.protocol)
            table.append(
                (
                    result.protocol,
                    *(cost.texts if cost is not None else ("",) * 6),
                    share_text(result.value, result.interval),
                    share_text(result.class_mean or 0.0, result.class_mean_interval),
                )
            )
        lines = [f"{self.name}: {first.n} videos{unit}", *columns(table)]
        lines += [f"  {one.protocol} = {self.made_of(one.protocol)}" for one in (*self.svms, *self.fusions)]
        lines += published_lines(self.rows)
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
    features: Sequence[Feature] = (),
    describing_s: Mapping[str, float] | None = None,
    svms: Mapping[str, ScoreFile] | None = None,
    kinds: Mapping[str, str] | None = None,
    tested: Collection[str] = (),
    settings: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> StreamsResult:
    """Put the streams' pooled scores, SVMs, and fusions side by side on the videos that all of them have.

    Parameters
    ----------
    experiment
        With the streams and features that ran only, see `StreamExperiment.only`.
    streams, rounds, pooled
        What ran, and each stream's scores.
    features, describing_s, svms
        The networks that learn nothing, what describing took (of trajectories, too), and the scores of every row of
        SVMs.
    kinds
        What the trajectories are, in words, by name.
    tested
        Ids of all test videos, so that those without any scores are noted, too.
    settings, provenance
        Carried into the result.
    """
    names = [stream.name for stream in streams]
    scored = {**pooled, **(svms or {})}
    rows = [*names, *(row.name for row in experiment.svm_rows)]
    every = {*tested, *(video_id for name in rows for video_id in scored[name].video_ids)}
    files = dict(zip(rows, aligned([scored[name] for name in rows], rows, common=True), strict=True))
    first = files[rows[0]]
    notes = []
    if len(first) < len(every):
        notes.append(f"{len(every) - len(first)} of {len(every)} videos have no scores in every row and do not count")
    results: dict[str, Result] = {}
    if names:
        alone = fuse([files[name] for name in names], names, settings=settings, provenance=provenance, notes=notes)
        results = {result.protocol: result for result in alone.streams}
        notes = [*alone.notes]
    for row in experiment.svm_rows:
        results[row.name] = _svm_result(files[row.name], row.name, settings, provenance)
        notes += files[row.name].notes
    for plan in experiment.fusions:
        made = fuse(
            [files[name] for name in plan.streams], plan.streams, weights=plan.factors, by=(plan.by,),
            settings=settings, provenance=provenance,
        )  # fmt: skip
        results[plan.name] = replace(made.fused[0], protocol=plan.name)
    costs = {stream.name: _cost(stream, rounds) for stream in streams}
    for feature in features:
        took = (describing_s or {}).get(feature.name, 0.0)
        info = feature.info
        costs[feature.name] = StreamCost(info.parameters, info.macs, info.input.shape, 0.0, 0.0, took)
    for one in experiment.trajectories:
        costs[one.name] = StreamCost(None, None, (), 0.0, 0.0, (describing_s or {}).get(one.name, 0.0))
    return StreamsResult(
        experiment.name,
        tuple(results[name] for name in names),
        tuple(results[row.name] for row in experiment.svm_rows),
        tuple(results[plan.name] for plan in experiment.fusions),
        experiment.fusions,
        {row.name: _made_of(row, files[row.name], experiment, kinds or {}) for row in experiment.svm_rows},
        {row.name: row.of for row in experiment.svm_rows},
        {
            **{plan.name: plan.model for plan in experiment.streams},
            **{plan.name: plan.model for plan in experiment.features},
            **{plan.name: "idt" for plan in experiment.trajectories},
        },
        costs,
        kinds or {},
        tuple(
            difference_of(results[a], results[b], first.labels, first.groups) for a, b in _pairs(experiment, results)
        ),
        experiment.primary is not None,
        settings,
        tuple(dict.fromkeys(notes)),
    )


def _svm_result(file: ScoreFile, name: str, settings: Mapping[str, Any], provenance: Mapping[str, Any]) -> Result:
    return classification_result(
        file.scores, file.label_names, file.classes, protocol=name, video_ids=file.video_ids, groups=file.groups,
        settings={**settings, **{key: file.settings[key] for key in ("svm", "layers", "numbers")}},
        provenance=provenance, notes=file.notes,
    )  # fmt: skip


def _made_of(row: SvmRow, file: ScoreFile, experiment: StreamExperiment, kinds: Mapping[str, str]) -> str:
    """``SVM on fc6 of c3d + 5,000 words a channel of improved dense trajectories, 25,960 numbers``."""
    learned = {
        plan.name: f"{Encoding.of(plan.encoding).words} a channel of {kinds[plan.name]}"
        for plan in experiment.trajectories
    }
    parts = [
        learned.get(name, f"{layer} of {name}") for layer, name in zip(file.settings["layers"], row.of, strict=True)
    ]
    return f"SVM on {' + '.join(parts)}, {file.settings['numbers']:,} numbers"


def _pairs(experiment: StreamExperiment, results: Mapping[str, Result]) -> list[tuple[str, str]]:
    """Which rows are compared, see `StreamsResult.differences`: first and second, of which the second may gain."""
    single = {row.of[0]: row.name for row in experiment.svm_rows if len(row.of) == 1}
    pairs = [] if experiment.primary is None else [(experiment.primary[1], experiment.primary[0])]
    pairs += combinations([stream.name for stream in experiment.streams], 2)
    pairs += [(name, row) for name, row in single.items() if name != row]
    pairs += combinations(single.values(), 2)
    parts = [(row.name, [single[name] for name in row.of]) for row in experiment.svm_rows if len(row.of) > 1]
    parts += [(plan.name, list(plan.streams)) for plan in experiment.fusions]
    pairs += [(max(of, key=lambda name: results[name].value), row) for row, of in parts]
    once = {frozenset(pair): pair for pair in reversed(pairs)}
    return [pair for pair in dict.fromkeys(pairs) if once[frozenset(pair)] == pair]


def _cost(stream: Stream, rounds: Sequence[StreamRound]) -> StreamCost:
    own = [one for one in rounds if one.stream == stream.name]
    return StreamCost(
        stream.info.parameters,
        stream.info.macs,
        stream.info.input.shape,
        sum(one.training_s for one in own),
        sum(one.scoring_s for one in own),
        sum(one.describing_s for one in own),
    )
