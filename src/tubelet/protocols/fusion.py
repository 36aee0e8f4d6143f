"""Several streams' scores of the same videos become one, and what that gains.

========= ======================================================================= =============================
``by``    the fused scores of a video                                             source
========= ======================================================================= =============================
scores    Σ w_s f_s, f_s the mean over views of stream s before softmax; nothing  TSN, section 3.3: RGB 1, flow
          is normalized                                                           1.5; with warped flow 1, 1, 0.5
softmax   Σ w_s p_s / Σ w_s, p_s the mean over views of the softmax               Two-Stream, section 5: w = 1
svm       linear SVM of Crammer and Singer on the p_s, each scaled to length one, Two-Stream, section 5
          one behind the other
========= ======================================================================= =============================

The SVM is scikit-learn's ``LinearSVC(multi_class="crammer_singer")``, fitted on the streams' scores of the training
videos. Two-Stream does not state C; 1 is the default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from tubelet.errors import UsageError
from tubelet.protocols.bootstrap import DRAWS, Interval, class_mean, paired_interval
from tubelet.protocols.comparable import beside, done_by_streams
from tubelet.protocols.fusion_svm import check_training, svm_scores
from tubelet.protocols.metrics import IntArray
from tubelet.protocols.result import Result
from tubelet.protocols.score_file import FloatArray, ScoreFile
from tubelet.protocols.video_level import classification_result

By = Literal["scores", "softmax", "svm"]

_NETWORK = ("model", "options", "weights_sha256", "views")  # what the results say of each stream


@dataclass(frozen=True)
class Difference:
    """What ``second`` gains over ``first`` on the same videos.

    Attributes
    ----------
    first, second
        Names of two rows of the table.
    accuracy, interval
        Second minus first, a share between -1 and 1, and its paired interval.
    class_mean, class_mean_interval
        The same of the mean over classes.
    """

    first: str
    second: str
    accuracy: float
    interval: Interval
    class_mean: float
    class_mean_interval: Interval


@dataclass(frozen=True)
class Fusion:
    """Streams, their fusions, and differences.

    Attributes
    ----------
    streams, fused
        One Result each; ``protocol`` is the name in the table.
    weights
        Of the streams.
    differences
        Between every two streams, and of every fusion to the best stream.
    settings, notes
        How it was made (JSON-ready), and what a reader should know.
    """

    streams: tuple[Result, ...]
    fused: tuple[Result, ...]
    weights: tuple[float, ...]
    differences: tuple[Difference, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def best_stream(self) -> Result:
        """The stream with the highest mean over classes; of equal ones the first."""
        return max(self.streams, key=lambda result: result.class_mean or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "streams": [result.to_dict() for result in self.streams],
            "weights": list(self.weights),
            "fused": [result.to_dict() for result in self.fused],
            "differences": [asdict(difference) for difference in self.differences],
            "settings": dict(self.settings),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        first = self.streams[0]
        unit = "" if first.interval is None else f", {first.interval.level:.0%} intervals over {first.interval.unit}s"
        weights = [f"{weight:g}" for weight in self.weights] + [""] * len(self.fused)
        rows = [
            (result.protocol, weight, share_text(result.value, result.interval),
             share_text(result.class_mean or 0.0, result.class_mean_interval))
            for result, weight in zip((*self.streams, *self.fused), weights, strict=True)
        ]  # fmt: skip
        lines = [f"{first.n} videos{unit}"]
        lines += columns([("", "weight", "accuracy", "mean over classes"), *rows])
        lines += published_lines((*self.streams, *self.fused))
        if self.differences:
            lines.append("differences on the same videos, in points")
            lines += columns(
                [
                    (f"{one.second} - {one.first}", "", points_text(one.accuracy, one.interval),
                     points_text(one.class_mean, one.class_mean_interval))
                    for one in self.differences
                ]
            )  # fmt: skip
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def fuse(
    files: Sequence[ScoreFile],
    names: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    by: Sequence[By] = ("scores",),
    training: Sequence[ScoreFile] = (),
    svm_c: float = 1.0,
    allow_leak: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Fusion:
    """Fuse streams and say what each does alone.

    Parameters
    ----------
    files
        At least one, of the same videos and classes in the same order (`tubelet.protocols.score_file.aligned`).
    names
        One distinct name per stream.
    weights
        One positive factor per stream, for ``scores`` and ``softmax``; None: 1 each.
    by
        One or several ways, see the table above. The streams alone are judged by their mean scores before softmax, or,
        where ``scores`` is not asked for, by their mean softmax.
    training
        For ``svm``: the same streams on training videos, in the same order, aligned among themselves.
    svm_c, seed
        C of the SVM; seed of its solver and of the bootstrap.
    allow_leak
        Fit the SVM also on groups that are tested on, with a note.
    draws
        Of the bootstrap.
    settings, provenance, notes
        Carried into the results.

    Raises
    ------
    UsageError
        Weights, names or training files do not fit the files; training and test videos share groups.
    InputDataError
        Training files hold test videos, other classes or other weights.
    """
    factors = _checked_weights(weights, files, names)
    first, plain = files[0], "scores" in by
    common = {
        **(settings or {}), "streams": list(names), "weights": list(factors), "by": list(by), "svm_c": svm_c,
        "networks": [{key: file.settings[key] for key in _NETWORK if key in file.settings} for file in files],
    }  # fmt: skip
    if "dataset" in first.provenance:
        provenance = {"dataset": first.provenance["dataset"], **(provenance or {})}
    said = [*notes, *dict.fromkeys(note for file in files for note in file.notes)]
    if len(files) > 1 and (svms := [name for name, one in zip(names, files, strict=True) if one.settings.get("head")]):
        said.append(f"{', '.join(svms)}: decision values of an SVM, whose scale is not that of a network's scores")
    values: dict[str, FloatArray] = {
        name: file.scores if plain else file.probabilities for name, file in zip(names, files, strict=True)
    }
    for way in dict.fromkeys(by):
        if way == "scores":
            title = "sum of scores before softmax"
            values[title] = sum_of(files, factors)
        elif way == "softmax":
            title = "mean of softmax"
            values[title] = sum_of(files, factors, softmax=True)
        else:
            said += check_training(files, names, training, allow_leak)
            values["linear SVM on softmax"], remarks = svm_scores(files, training, C=svm_c, seed=seed)
            said += remarks
    own = [[*notes, *file.notes] for file in files] + [said] * (len(values) - len(files))
    results = [
        classification_result(
            scores, first.label_names, first.classes, protocol=title, video_ids=first.video_ids, groups=first.groups,
            seed=seed, draws=draws, settings=common, provenance=provenance, targets=first.every_target, notes=remarks,
        )
        for (title, scores), remarks in zip(values.items(), own, strict=True)
    ]  # fmt: skip
    alone = "scores" if plain else "softmax"
    streams = [beside(result, done_by_streams([file], alone)) for result, file in zip(results, files, strict=False)]
    fused = [
        beside(result, done_by_streams(files, way) if len(files) > 1 else None)
        for result, way in zip(results[len(files) :], dict.fromkeys(by), strict=True)
    ]
    fusion = Fusion(tuple(streams), tuple(fused), factors, (), common, tuple(said))
    pairs = [*combinations(streams, 2)]
    if len(streams) > 1:
        pairs += [(fusion.best_stream, result) for result in fused]
    differences = tuple(difference_of(a, b, first.labels, first.groups, draws=draws, seed=seed) for a, b in pairs)
    return Fusion(fusion.streams, fusion.fused, factors, differences, common, fusion.notes)


def sum_of(files: Sequence[ScoreFile], weights: Sequence[float], *, softmax: bool = False) -> FloatArray:
    """``(n, K)`` weighted sum of the scores before softmax as they are; of ``softmax``: the weighted mean."""
    total = sum(weights) if softmax else 1.0
    fused = np.zeros(files[0].scores.shape)
    for weight, file in zip(weights, files, strict=True):
        fused += weight / total * (file.probabilities if softmax else file.scores)
    return fused


def difference_of(
    first: Result, second: Result, targets: IntArray, groups: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """What ``second`` gains over ``first``, both with predictions for the same videos in the same order."""
    a, b = (np.array([one.predicted == one.label for one in result.predictions]) for result in (first, second))
    return difference_between((first.protocol, second.protocol), a, b, targets, groups, draws=draws, seed=seed)


def difference_between(
    names: tuple[str, str],
    first: ArrayLike,
    second: ArrayLike,
    targets: IntArray,
    groups: Sequence[str] | None,
    *,
    parts: IntArray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """What the second system gains over the first on the same videos.

    Parameters
    ----------
    names
        Of the two.
    first, second
        ``(n,)`` between 0 and 1: whether each video was recognized, or in how many of several seeds.
    targets
        ``(n,)`` class indices.
    groups
        Of the videos, or None.
    parts
        ``(n,)``: the split of each video, where the figures are means over splits.
    draws, seed
        Of the bootstrap.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    cells = targets if parts is None else parts * (int(targets.max()) + 1) + targets
    overall = paired_interval(a, b, groups, classes=parts, draws=draws, seed=seed)
    by_class = paired_interval(a, b, groups, classes=cells, draws=draws, seed=seed)
    gain = float(b.mean() - a.mean()) if parts is None else class_mean(b, parts) - class_mean(a, parts)
    return Difference(*names, gain, overall, class_mean(b, cells) - class_mean(a, cells), by_class)


def _checked_weights(
    weights: Sequence[float] | None, files: Sequence[ScoreFile], names: Sequence[str]
) -> tuple[float, ...]:
    factors = tuple(float(weight) for weight in (weights or [1.0] * len(files)))
    if len(factors) != len(files):
        raise UsageError(f"{len(factors)} weights for {len(files)} streams", remedy="give one for each, in their order")
    if not all(np.isfinite(weight) and weight > 0 for weight in factors):
        raise UsageError(
            f"the weights are {', '.join(f'{weight:g}' for weight in factors)}", remedy="give positive ones"
        )
    if len(set(names)) < len(names) or len(names) != len(files):
        raise UsageError(
            f"the streams' names are not distinct: {', '.join(names)}", remedy="name each stream otherwise"
        )
    return factors


def published_lines(results: Sequence[Result]) -> list[str]:
    """The line in print beside each result that has one, and below it what differs."""
    lines = []
    for result in results:
        if result.published is not None:
            lines.append(f"published beside {result.protocol}: {result.published}")
            lines += [f"  unlike it: {difference}" for difference in result.published.differences]
    return lines


def share_text(value: float, interval: Interval | None) -> str:
    """``70.0% (58.3% to 81.7%)``."""
    return f"{value:.1%}" + ("" if interval is None else f" ({interval.low:.1%} to {interval.high:.1%})")


def points_text(value: float, interval: Interval) -> str:
    """``+12.3 (+2.0 to +22.1)``, of a difference of shares, in points."""
    return f"{100 * value:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table in plain text; columns without a word take no room."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True) if width).rstrip()
        for row in rows
    ]
