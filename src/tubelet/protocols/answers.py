"""Which videos a system got right, and how far two systems are apart, also where they saw different videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.protocols.bootstrap import Interval, bootstrap_interval, class_mean, paired_interval
from tubelet.protocols.metrics import ranked_classes
from tubelet.protocols.result import Result
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.views import Average

DRAWS = 10_000
"""Resamples of a difference: its interval's level is high where many variants are compared."""
_BLOCK = 1 << 22  # draws x units held at once

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """One system's answers.

    Attributes
    ----------
    video_ids, labels
        ``(n,)`` videos and their true classes.
    groups
        ``(n,)`` what was filmed together; a video by itself is its own.
    right
        ``(n,)`` bool.
    """

    video_ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    right: NDArray[np.bool_]

    def take(self, video_ids: Sequence[str]) -> Answers:
        """Those for some videos, in this order; all must be there."""
        place = {video_id: row for row, video_id in enumerate(self.video_ids)}
        rows = [place[video_id] for video_id in video_ids]
        return Answers(
            tuple(video_ids),
            tuple(self.labels[row] for row in rows),
            tuple(self.groups[row] for row in rows),
            self.right[rows],
        )


def answers_in_file(file: ScoreFile, average: Average) -> Answers:
    """The answers of a stream's scores, by the mean over views before or of the softmax."""
    scores = file.scores if average == "scores" else file.probabilities
    return Answers(file.video_ids, tuple(file.label_names), file.groups, ranked_classes(scores)[:, 0] == file.labels)


def answers_in_result(result: Result) -> Answers:
    """The answers that a result lists."""
    listed = result.predictions
    return Answers(
        tuple(one.video_id for one in listed),
        tuple(one.label for one in listed),
        tuple(one.video_id if one.group is None else one.group for one in listed),
        np.array([one.predicted == one.label for one in listed], dtype=np.bool_),
    )


def figure_interval(answers: Answers, over_classes: bool = False) -> tuple[float, Interval]:
    """Accuracy, or mean class accuracy, and its 95 % interval; a share."""
    classes = _classes(answers) if over_classes else None
    value = float(answers.right.mean()) if classes is None else class_mean(answers.right, classes)
    return value, bootstrap_interval(answers.right, answers.groups, classes=classes)


def difference_interval(
    first: Answers, second: Answers, over_classes: bool = False, *, level: float = 0.95, seed: int = 0
) -> Interval:
    """Interval of ``second``'s figure minus ``first``'s.

    Of the same videos it is paired, see `tubelet.protocols.bootstrap.paired_interval`. Of others, videos of both are
    drawn together (or groups, where there are at least ten), so that what both saw is in both or in neither; two
    systems that both got all their videos alike have the difference of their exact intervals.

    Parameters
    ----------
    first, second
        Two systems' answers.
    over_classes
        Compare means over classes.
    level, seed
        Confidence and randomness.
    """
    if first.video_ids == second.video_ids:
        classes = _classes(first) if over_classes else None
        return paired_interval(
            first.right, second.right, first.groups, classes=classes, draws=DRAWS, level=level, seed=seed
        )
    if all(bool(np.all(one.right == one.right[0])) for one in (first, second)):
        ends = [bootstrap_interval(one.right, one.groups, level=level) for one in (first, second)]
        low, high = ends[1].low - ends[0].high, ends[1].high - ends[0].low
        return Interval(low, high, level, "exact binomial", ends[1].unit, ends[0].n_units + ends[1].n_units, 0)
    groups = sorted({*first.groups, *second.groups})
    by_group = len(groups) >= 10
    units = groups if by_group else sorted({*first.video_ids, *second.video_ids})
    names = sorted({*first.labels, *second.labels}) if over_classes else []
    sums = [_sums(one, units, names, by_group) for one in (first, second)]
    apart = _resampled(sums, len(units), seed)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(apart, [tail, 1.0 - tail])
    unit = "group" if by_group else "video"
    return Interval(float(low), float(high), level, "percentile bootstrap", unit, len(units), DRAWS)


def _classes(answers: Answers) -> NDArray[np.int64]:
    return np.unique(np.asarray(answers.labels), return_inverse=True)[1].astype(np.int64)


def _sums(
    answers: Answers, units: Sequence[str], names: Sequence[str], by_group: bool
) -> tuple[FloatArray, FloatArray]:
    """``(units, classes)`` videos that were right, and all videos; without names all are one class."""
    row_of = {unit: row for row, unit in enumerate(units)}
    column_of = {name: column for column, name in enumerate(names)}
    rows = [row_of[unit] for unit in (answers.groups if by_group else answers.video_ids)]
    columns = [column_of.get(label, 0) for label in answers.labels]
    right, all_ = np.zeros((2, len(units), max(1, len(names))))
    np.add.at(right, (rows, columns), answers.right)
    np.add.at(all_, (rows, columns), 1.0)
    return right, all_


def _resampled(sums: Sequence[tuple[FloatArray, FloatArray]], units: int, seed: int) -> FloatArray:
    """Differences of the two figures in every resample that has videos of both."""
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // units)
    apart = []
    for start in range(0, DRAWS, step):
        times = rng.multinomial(units, np.full(units, 1.0 / units), size=min(step, DRAWS - start)).astype(np.float64)
        figures = []
        for right, all_ in sums:
            drawn = times @ all_
            shares = np.divide(times @ right, drawn, out=np.zeros_like(drawn), where=drawn > 0)
            seen = (drawn > 0).sum(axis=1)
            figures.append(np.where(seen > 0, shares.sum(axis=1) / np.maximum(seen, 1), np.nan))
        apart.append(figures[1] - figures[0])
    found: FloatArray = np.concatenate(apart)
    kept: FloatArray = found[np.isfinite(found)]
    return kept
