"""What an evaluation returns: a figure, how sure it is, how it was made, and the published one beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.metrics import ClassRow
from tubelet.protocols.published import CONFIRMED

RESULT = "result.json"
"""What a finished run leaves its figures in, whatever else the file holds: see `results_in`."""


@dataclass(frozen=True)
class Published:
    """A figure that someone printed, with where.

    Attributes
    ----------
    value
        In the unit of the Result it stands beside (a share, not percent).
    source
        Paper and table, or address.
    tag
        ``"paper"``, ``"author's thread"`` or ``"computed"`` (arithmetic on printed figures).
    note
        A few words that stand beside the figure.
    method
        The row of the table, as printed.
    metric
        What was counted: ``accuracy``, or ``mean class accuracy``, beside which ``class_mean`` of a Result belongs.
    differences
        What differs from our setting (other split, other frame rate, other weights), a few words each.
    """

    value: float
    source: str
    tag: str = "paper"
    note: str | None = None
    method: str = ""
    metric: str = "accuracy"
    differences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.tag not in CONFIRMED:
            raise ValueError(f"tag must be one of {CONFIRMED}, not {self.tag!r}")
        if not self.source:
            raise ValueError("a published figure needs its source")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Published:
        """The inverse of ``dataclasses.asdict``, also after JSON."""
        return cls(**{**values, "differences": tuple(values.get("differences", ()))})

    @property
    def where(self) -> str:
        """Row and table, and how sure it is that they say so."""
        return f"{self.method + ', ' if self.method else ''}{self.source} ({self.tag})"

    def __str__(self) -> str:
        of = f" {self.metric}" if self.metric != "accuracy" else ""
        row = f" ({self.method})" if self.method else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.value:.1%}{of}{row} [{self.tag}: {self.source}{note}]"


@dataclass(frozen=True)
class Prediction:
    """One video's outcome.

    Attributes
    ----------
    video_id
        Which video.
    label
        What it is.
    predicted
        What it was taken for.
    score
        Score of ``predicted`` (a probability or a distance from the SVM's plane).
    group
        Which group of videos it belongs to, where several belong together (an actor, a source video).
    """

    video_id: str
    label: str
    predicted: str
    score: float
    group: str | None = None


@dataclass(frozen=True)
class Result:
    """One evaluation; ``print(result)`` shows it, ``to_dict()`` is JSON-ready.

    Attributes
    ----------
    protocol
        What was done, e.g. ``"linear SVM on fc6"``.
    metric
        What ``value`` is, e.g. ``"accuracy"``.
    value
        The figure, a share between 0 and 1.
    n
        Videos it rests on.
    unit
        What ``n`` counts, where it is not videos: ``"pair"``.
    interval
        Confidence interval of ``value``.
    class_mean, class_mean_interval
        Mean over classes of each class's accuracy, TSN's metric, and its interval.
    top_k
        Share of videos whose class is among the best k, by k.
    per_class, classes, confusion
        Row per class; class names in order; counts, row = true class, column = predicted.
    predictions
        Outcome of each video.
    settings
        Everything needed to do it again (JSON-ready).
    provenance
        Versions, weights, recipe, data hashes (JSON-ready).
    published
        The figure in print, if there is one for this protocol.
    notes
        What a reader should know, such as a solver that did not converge.
    """

    protocol: str
    metric: str
    value: float
    n: int
    interval: Interval | None = None
    class_mean: float | None = None
    class_mean_interval: Interval | None = None
    top_k: Mapping[int, float] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    per_class: tuple[ClassRow, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    predictions: tuple[Prediction, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    published: Published | None = None
    notes: tuple[str, ...] = ()
    unit: str = "video"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary with every field; ``per_class`` and ``predictions`` are lists of objects."""
        return {
            "protocol": self.protocol,
            "metric": self.metric,
            "value": self.value,
            "n": self.n,
            "unit": self.unit,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "class_mean": self.class_mean,
            "class_mean_interval": None if self.class_mean_interval is None else self.class_mean_interval.to_dict(),
            "top_k": {str(k): share for k, share in self.top_k.items()},
            "classes": list(self.classes),
            "per_class": [asdict(row) for row in self.per_class],
            "confusion": [list(row) for row in self.confusion],
            "predictions": [asdict(prediction) for prediction in self.predictions],
            "settings": dict(self.settings),
            "provenance": dict(self.provenance),
            "published": None if self.published is None else asdict(self.published),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Result:
        """The inverse of :meth:`to_dict`."""
        interval, published = value.get("interval"), value.get("published")
        class_mean_interval = value.get("class_mean_interval")
        return cls(
            protocol=value["protocol"],
            metric=value["metric"],
            value=value["value"],
            n=value["n"],
            interval=None if interval is None else Interval(**interval),
            class_mean=value.get("class_mean"),
            class_mean_interval=None if class_mean_interval is None else Interval(**class_mean_interval),
            top_k={int(k): share for k, share in value.get("top_k", {}).items()},
            classes=tuple(value.get("classes", ())),
            per_class=tuple(ClassRow(**row) for row in value.get("per_class", ())),
            confusion=tuple(tuple(row) for row in value.get("confusion", ())),
            predictions=tuple(Prediction(**row) for row in value.get("predictions", ())),
            settings=dict(value.get("settings", {})),
            provenance=dict(value.get("provenance", {})),
            published=None if published is None else Published.from_dict(published),
            notes=tuple(value.get("notes", ())),
            unit=value.get("unit", "video"),
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the result as JSON, whole or not at all."""
        return write_json(path, self.to_dict())

    @property
    def beside_published(self) -> tuple[float, Interval | None]:
        """The figure that belongs beside the published one, by what that counts, with its interval."""
        over_classes = self.published is not None and self.published.metric == "mean class accuracy"
        if over_classes and self.class_mean is not None:
            return self.class_mean, self.class_mean_interval
        return self.value, self.interval

    def headline(self) -> str:
        """One line: the figure, its interval and the published figure."""
        parts = [f"{self.protocol}: {self.metric} {self.value:.1%}"]
        if self.interval is not None:
            between = f"{self.interval.low:.1%} to {self.interval.high:.1%}"
            units = f"{self.interval.n_units} {self.interval.unit}s"
            parts.append(f" ({self.interval.level:.0%} interval {between}, {self.interval.method} over {units})")
        parts.append(f" on {self.n} {self.unit}s")
        if self.published is not None:
            parts.append(f"; published: {self.published}")
        return "".join(parts)

    def __str__(self) -> str:
        lines = [self.headline()]
        further = []
        if self.class_mean is not None:
            ends = self.class_mean_interval
            between = "" if ends is None else f" ({ends.low:.1%} to {ends.high:.1%})"
            further.append(f"mean over classes {self.class_mean:.1%}{between}")
        further += [f"top-{k} {share:.1%}" for k, share in sorted(self.top_k.items())]
        if further:
            lines.append("  " + ", ".join(further))
        if self.published is not None:
            lines += [f"  unlike it: {difference}" for difference in self.published.differences]
        shown = [row for row in self.per_class if row.n or row.precision is not None]
        if shown:
            width = max(len("class"), *(len(row.name) for row in shown))
            count = f"{self.unit}s"
            lines.append(f"  {'class':<{width}}  {count:>6}  right  share  precision  mostly mistaken for")
            lines += [
                f"  {row.name:<{width}}  {row.n:>6}  {row.correct:>5}  {_share(row.accuracy):>5}"
                f"  {_share(row.precision):>9}  {row.mistaken_for or '-'}"
                for row in shown
            ]
            if len(shown) < len(self.per_class):
                rest = len(self.per_class) - len(shown)
                lines.append(f"  and {rest} class{'es' * (rest != 1)} without {count}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def results_in(value: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every Result in what a ``result.json`` holds, in order: the keys that lead to it, and its fields.

    Protocols put their Results under names of their own (``svm`` and ``net``, ``streams`` and ``fusions``, ``means``,
    seeds); wherever an object has a protocol, a metric, a value and n, `Result.from_dict` reads it. Further fields
    beside those of a Result are the protocol's.
    """
    if isinstance(value, dict) and value.keys() >= {"protocol", "metric", "value", "n"}:
        yield (), value
        return
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from (((str(key), *keys), found) for keys, found in results_in(each))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
