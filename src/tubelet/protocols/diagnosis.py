"""Why a figure is off: the five usual suspects, one changed at a time, and which of them moves the figure.

Color order, mean, stride, normalization before or after pooling, and split are what goes wrong, in silence, when
somebody's weights are tested again. Each variant is scored on the same videos, so that its difference is paired.
Intervals of differences hold for all variants together (Bonferroni): of twenty variants that change nothing one would
otherwise look as if it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from tubelet.protocols.answers import Answers, difference_interval, figure_interval
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.result import Result

Suspect = Literal["color order", "mean", "stride", "normalization", "split"]
SUSPECTS: tuple[Suspect, ...] = get_args(Suspect)
LEVEL = 0.95
_WIDE = 0.2  # an interval that is wider hides differences that anybody would call large
DIAGNOSIS = "diagnosis"
"""Key of a diagnosis in a run's ``result.json``."""

REMEDIES: Mapping[Suspect, str] = {
    "color order": "find out which order the weights were trained with, and give the model folder that recipe "
    "(convert-weights --recipe, or load_model(DIR).save(DIR, recipe=...))",
    "mean": "find out what was subtracted, and how pixels were scaled, when the weights were trained, and give the "
    "model folder that recipe (convert-weights --recipe, or load_model(DIR).save(DIR, recipe=...))",
    "stride": "take the clips as the other figure did (--views of a test; --stride-frames, --step-frames of extract; a "
    "step that the model folder has wrong: load_model(DIR, step_frames=N).save(DIR))",
    "normalization": "see which of the two the paper says: normalize each clip, or the mean of the clips",
    "split": "see which videos the other figure was counted on, and whether its network had seen them",
}
"""What to do about each suspect."""


@dataclass(frozen=True)
class Expected:
    """The figure that ours should have been.

    Attributes
    ----------
    value
        A share between 0 and 1.
    source
        Who says so, in words.
    over_classes
        Whether it is a mean over classes, and not over videos.
    """

    value: float
    source: str
    over_classes: bool = False


def expected_of(result: Result, given: float | None) -> Expected | None:
    """What was given, else the published figure beside a result; None where there is neither."""
    if given is not None:
        return Expected(given, "given with --expected")
    line = result.published
    return None if line is None else Expected(line.value, line.where, line.metric == "mean class accuracy")


def off(result: Result, expected: Expected) -> bool:
    """Whether the expected figure lies outside the result's interval."""
    ends = result.class_mean_interval if expected.over_classes else result.interval
    return ends is not None and not ends.low <= expected.value <= ends.high


@dataclass(frozen=True)
class Tried:
    """One variant: what was changed, and what that did.

    Attributes
    ----------
    suspect, name
        Which suspect, and what it was changed to.
    value, interval
        The variant's figure, a share, and its interval.
    n
        Videos that it rests on; where these are a part of ours, the figure is an estimate for all, see `diagnose`.
    difference, difference_interval
        To our figure, which is paired where the videos are the same.
    same_videos
        Whether they are.
    reaches
        Whether the expected figure lies within the variant's interval.
    moves
        1: towards the expected figure by more than chance; -1: away from it, or beyond it by more than it was off;
        0: no more than chance would.
    """

    suspect: Suspect
    name: str
    value: float
    interval: Interval
    n: int
    difference: float
    difference_interval: Interval
    same_videos: bool
    reaches: bool
    moves: int

    @property
    def explains(self) -> bool:
        """Whether it moves our figure, by more than chance, to the expected one."""
        return self.reaches and self.moves == 1

    def words(self) -> str:
        """``with BGR 81.9% (+14.3 points, 12.0 to 16.6)``."""
        ends = self.difference_interval
        where = "with" if self.same_videos else "on"
        return (
            f"{where} {self.name} {self.value:.1%} ({points(self.difference)} points, "
            f"{points(ends.low)} to {points(ends.high)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tried:
        """The inverse of `to_dict`."""
        ends = {key: Interval(**values[key]) for key in ("interval", "difference_interval")}
        return cls(**{**values, **ends})


@dataclass(frozen=True)
class Diagnosis:
    """All that was tried; ``print(diagnosis)`` shows it.

    Attributes
    ----------
    expected
        The figure that ours should have been.
    value, interval, n
        Ours, as the evaluation gave it.
    used
        Videos of ours that variants were scored on, ``n`` or fewer.
    tried
        All variants, suspect by suspect.
    untried
        Suspects, or parts of one, that could not be tried, and why.
    notes
        What a reader should know.
    """

    expected: Expected
    value: float
    interval: Interval
    n: int
    used: int
    tried: tuple[Tried, ...]
    untried: tuple[tuple[Suspect, str], ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def is_off(self) -> bool:
        """Whether the expected figure lies outside our interval."""
        return not self.interval.low <= self.expected.value <= self.interval.high

    def _remains(self, one: Tried) -> float:
        """How far from the expected figure a variant ends, as a share."""
        return abs(one.value - self.expected.value)

    @property
    def explaining(self) -> tuple[Tried, ...]:
        """The best variant of each suspect that explains the figure, the closest first."""
        found: dict[Suspect, Tried] = {}
        for one in sorted((one for one in self.tried if one.explains), key=self._remains):
            found.setdefault(one.suspect, one)
        return tuple(found.values()) if self.is_off else ()

    @property
    def culprit(self) -> Suspect | None:
        """The suspect that explains the figure; None where none of the five does, or there is nothing to explain."""
        return self.explaining[0].suspect if self.explaining else None

    def sentence(self) -> str:
        """What was found, in a few sentences."""
        expected = f"the expected {self.expected.value:.1%}"
        ours = f"{self.value:.1%} ({self.interval.low:.1%} to {self.interval.high:.1%})"
        if not self.is_off:
            moving = [one for one in self.tried if one.moves]
            what = f"{expected} lies within the interval of our {ours}: there is nothing to explain"
            if not moving:
                said = f"{_capital(what)}, and no variant moves the figure by more than chance."
            else:
                most = max(moving, key=lambda one: abs(one.difference))
                said = f"{_capital(what)}. What moves it most is the {most.suspect}: {most.words()}."
                said += self._tied(most, moving)
            return said + self._unseen()
        if self.explaining:
            best, *others = self.explaining
            others = [one for one in others if (one.value, one.interval) != (best.value, best.interval)]
            ends = best.interval
            said = (
                f"The {best.suspect} explains it: {best.words()}, and {expected} lies within that figure's interval, "
                f"{ends.low:.1%} to {ends.high:.1%}."
            )
            said += self._tied(best, [one for one in self.tried if one.explains])
            if others:
                listed = "; ".join(f"the {one.suspect}, {one.words()}" for one in others)
                said += f" These would explain it too, less closely: {listed}."
            return f"{said} What to do: {REMEDIES[best.suspect]}."
        moving = [one for one in self.tried if one.moves == 1]
        if not moving:
            return f"None of the five explains it: no variant moves our {ours} towards {expected} by more than chance."
        best = min(moving, key=self._remains)
        return (
            f"None of the five explains it. The {best.suspect} comes closest: {best.words()}, which leaves "
            f"{100 * self._remains(best):.1f} points to {expected}.{self._tied(best, moving)}"
        )

    def _tied(self, best: Tried, among: Sequence[Tried]) -> str:
        """A sentence that names the other variants with just the same figure; empty where there is none."""
        alike = [
            one.name if one.suspect == best.suspect else f"the {one.suspect} {one.name}"
            for one in among
            if one is not best and (one.value, one.interval) == (best.value, best.interval)
        ]
        if not alike:
            return ""
        return f" The same with {'; '.join(alike)}: these videos do not tell them apart."

    def _unseen(self) -> str:
        """What so few videos could not show, and the variant that comes closest; empty where there are enough."""
        if self.interval.high - self.interval.low <= _WIDE:
            return ""
        below, above = self.value - self.interval.low, self.interval.high - self.value
        gap = self.expected.value - self.value
        hidden = above if gap > 0 else below if gap < 0 else max(below, above)
        many = f"{self.n} video{'s' * (self.n != 1)}"
        said = f" But with {many} a difference of less than {100 * hidden:.0f} points would not show"
        nearer = [one for one in self.tried if self._remains(one) < abs(gap)]
        if not nearer:
            return f"{said}; no variant comes closer."
        best = min(nearer, key=self._remains)
        return f"{said}; closest: the {best.suspect}, {best.words()}.{self._tied(best, nearer)}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the sentence and the culprit."""
        return {
            "expected": asdict(self.expected),
            "value": self.value,
            "interval": self.interval.to_dict(),
            "off": self.is_off,
            "n": self.n,
            "used": self.used,
            "culprit": self.culprit,
            "sentence": self.sentence(),
            "tried": [one.to_dict() for one in self.tried],
            "untried": [{"suspect": suspect, "why": why} for suspect, why in self.untried],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Diagnosis:
        """The inverse of `to_dict`."""
        return cls(
            Expected(**values["expected"]),
            values["value"],
            Interval(**values["interval"]),
            values["n"],
            values["used"],
            tuple(Tried.from_dict(one) for one in values["tried"]),
            tuple((one["suspect"], one["why"]) for one in values["untried"]),
            tuple(values["notes"]),
        )


def diagnose(
    result: Result,
    base: Answers,
    variants: Sequence[tuple[Suspect, str, Answers]],
    expected: Expected,
    *,
    untried: Sequence[tuple[Suspect, str]] = (),
    notes: Sequence[str] = (),
) -> Diagnosis:
    """Put variants beside our figure, and judge each.

    Variants that were scored on a part of our videos are corrected for how much easier or harder that part is, by the
    regression of their answers on ours.

    Parameters
    ----------
    result
        Our figure, on all videos.
    base
        Its answers for the videos that variants were scored on.
    variants
        Suspect, name and answers of each variant; answers for other videos than ``base``'s are another split.
    expected
        What our figure should have been.
    untried, notes
        Carried into the diagnosis.
    """
    over = expected.over_classes
    value = result.class_mean if over and result.class_mean is not None else result.value
    ends = result.class_mean_interval if over else result.interval
    ours, _ = figure_interval(base, over)
    level = 1 - (1 - LEVEL) / max(1, len(variants))
    gap = expected.value - value
    # Folds may come in another order.
    every = [
        found.take(base.video_ids) if set(found.video_ids) == set(base.video_ids) else found for _, _, found in variants
    ]
    figures = [figure_interval(answers, over) for answers in every]  # first all, so that resamples are kept
    apart_from_ours = [difference_interval(base, answers, over, level=level) for answers in every]
    tried = []
    for (suspect, name, _), answers, (figure, interval), apart in zip(
        variants, every, figures, apart_from_ours, strict=True
    ):
        same = answers.video_ids == base.video_ids
        difference = figure - ours
        if same and value != ours:
            by = _slope(base, answers) * (value - ours)
            figure, interval = min(1.0, max(0.0, figure + by)), _moved(interval, by, 0.0)
            difference, apart = figure - value, _moved(apart, by - (value - ours), -1.0)
        elif not same:
            difference, apart = figure - value, _moved(apart, ours - value, -1.0)
        beyond_chance = apart.low > 0 or apart.high < 0
        closer = abs(figure - expected.value) < abs(gap)
        tried.append(
            Tried(
                suspect,
                name,
                figure,
                interval,
                len(answers.video_ids),
                difference,
                apart,
                same,
                interval.low <= expected.value <= interval.high,
                0 if not beyond_chance else 1 if closer else -1,
            )
        )
    assert ends is not None  # every classification result has its intervals
    return Diagnosis(expected, value, ends, result.n, len(base.video_ids), tuple(tried), tuple(untried), tuple(notes))


def _slope(base: Answers, other: Answers) -> float:
    """How much a variant gains with each video that we get right: where only a part of the videos was scored again, and
    that part is easier or harder than all, the variant's figure is corrected by so much (the regression estimator of
    sampling theory; Cochran, Sampling Techniques, 1977, section 7.3)."""
    ours, theirs = base.right.astype(np.float64), other.right.astype(np.float64)
    spread = float(ours.var())
    return 0.0 if spread == 0.0 else float(((ours - ours.mean()) * (theirs - theirs.mean())).mean()) / spread


def _moved(interval: Interval, by: float, least: float) -> Interval:
    low, high = (min(1.0, max(least, end + by)) for end in (interval.low, interval.high))
    return replace(interval, low=low, high=high)


def points(share: float) -> str:
    """``0.143`` → ``+14.3``."""
    return f"{100 * share:+.1f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
