"""Two videos side by side: how alike they are, whether they show the same action, and what speaks for it.

The numbers are those of ASLAN's protocol. A classifier that was trained on pairs decides; without one there is no
threshold to decide by, and what can be said is where the numbers lie among those of other pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.described import Described
from tubelet.errors import InputDataError
from tubelet.protocols.aslan import NEVER_TRAINED
from tubelet.protocols.pair_svm import PairSVM
from tubelet.protocols.reference_pairs import ReferencePairs
from tubelet.protocols.similarity import MEASURES, feature_names, pair_features
from tubelet.protocols.video_level import top_classes, video_probabilities

_EQUAL = 1e-6  # of descriptors of length one: what is left of a copy after float32
_FAR = 4.0  # z-scores; of normally distributed numbers one in 16,000 lies beyond


@dataclass(frozen=True)
class Reason:
    """One similarity of one layer.

    Attributes
    ----------
    layer, measure
        Which.
    value
        Of the two videos.
    more_is_alike
        Whether a large value means alike.
    contribution
        What it adds to the classifier's margin (z-score times weight; below 0: speaks for two actions).
    closer_than
        Share of the reference's pairs that are less alike by it, ties counting half; of its pairs of two classes
        where labels are known.
    closer_than_same
        The same among its pairs of one class.
    telling
        Area under the ROC of this number alone on the reference's pairs: 0.5 tells nothing.
    """

    layer: str
    measure: str
    value: float
    more_is_alike: bool
    contribution: float | None = None
    closer_than: float | None = None
    closer_than_same: float | None = None
    telling: float | None = None

    @property
    def direction(self) -> str:
        """Which way alike lies."""
        return "more is alike" if self.more_is_alike else "less is alike"


@dataclass(frozen=True)
class Decision:
    """What a classifier of pairs says.

    Attributes
    ----------
    same
        Whether the margin is above 0.
    margin
        Signed distance from the plane, in margins.
    probability
        Chance of the same action at this margin, on the pairs that the classifier was calibrated on, half of which
        were the same; None where it was not.
    start
        Margin of the mean training pair, to which the contributions add.
    layers
        Sum of the contributions of each layer.
    """

    same: bool
    margin: float
    probability: float | None
    start: float
    layers: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """Two videos compared; ``print(comparison)`` shows it, ``to_dict()`` is JSON-ready.

    Attributes
    ----------
    first, second
        The videos, as given.
    layers
        The layers compared.
    reasons
        Every number, in order.
    decision
        Of the classifier, if there is one.
    reference
        What ``closer_than`` counts, in words; None without one.
    classes
        The best classes of each video with their probabilities, by the network; empty where it has none.
    trained
        Whether the network was; the classes of one that was not mean nothing.
    notes
        What a reader should know.
    identical
        Whether the descriptors of both are the same, so that there is nothing to decide.
    """

    first: str
    second: str
    layers: tuple[str, ...]
    reasons: tuple[Reason, ...]
    decision: Decision | None = None
    reference: str | None = None
    classes: tuple[tuple[tuple[str, float], ...], ...] = ()
    trained: bool = True
    notes: tuple[str, ...] = field(default=())
    identical: bool = False

    def ranked(self) -> list[Reason]:
        """The numbers, the most telling first: by contribution, else by labeled pairs; else the cosines first."""
        if self.decision is not None:
            return sorted(self.reasons, key=lambda one: -abs(one.contribution or 0.0))
        if any(one.telling is not None for one in self.reasons):
            return sorted(self.reasons, key=lambda one: -(one.telling or 0.0))
        return sorted(self.reasons, key=lambda one: one.measure != "cosine")

    def verdict(self) -> str:
        """One sentence, which says how it was come by."""
        if self.identical:
            return "the descriptors are the same: one video, or a copy of it"
        if self.decision is not None:
            what = "the same action" if self.decision.same else "two different actions"
            chance = self.decision.probability
            sure = "" if chance is None else f", probability of the same {chance:.2f} where half of all pairs are"
            return f"{what} (margin {self.decision.margin:+.2f}{sure})"
        if self.reference is not None:
            return f"no decision without --pairs-svm; {self._place()}"
        return f"no decision: the numbers stand alone without --pairs-svm or --table; {self._cosines()}"

    def _cosines(self) -> str:
        """Each layer's cosine, in words: of descriptors without negative values it lies between 0 and 1."""
        said = [f"{one.layer} {one.value:.3f}" for one in self.reasons if one.measure == "cosine"]
        return f"cosine of the two (1: the same direction, 0: nothing in common): {', '.join(said)}"

    def _place(self) -> str:
        """Where the most telling number, or each layer's cosine, lies among the reference's pairs."""
        best = self.ranked()[0]
        if best.closer_than_same is not None:
            shares = f"{best.closer_than or 0.0:.0%} and {best.closer_than_same:.0%}"
            return (
                f"by the most telling number ({best.measure} of {best.layer}) closer than {shares} of {self.reference}"
            )
        cosines = [one for one in self.reasons if one.measure == "cosine"]
        said = ", ".join(f"{one.layer} {one.closer_than or 0.0:.0%}" for one in cosines)
        return f"by the cosine closer than so many of {self.reference}: {said}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {
            "first": self.first,
            "second": self.second,
            "verdict": self.verdict(),
            "identical_descriptors": self.identical,
            "same": None if self.decision is None else self.decision.same,
            "decision": None
            if self.decision is None
            else {**vars(self.decision), "layers": dict(self.decision.layers)},
            "reference": self.reference,
            "layers": list(self.layers),
            "reasons": [vars(one) for one in self.reasons],
            "classes": [[{"label": name, "score": score} for name, score in best] for best in self.classes],
            "notes": list(self.notes),
        }


def compare(
    first: Described,
    second: Described,
    layers: Sequence[str],
    *,
    svm: PairSVM | None = None,
    reference: ReferencePairs | None = None,
    labels: Sequence[str] | None = None,
    trained: bool = True,
    top: int = 3,
    notes: Sequence[str] = (),
) -> Comparison:
    """Compare two described videos.

    Nothing is decided of two whose descriptors are the same: no pair that a classifier was trained on was that alike,
    and its plane says nothing so far out. Where single numbers lie far from those pairs, a note says so.

    Parameters
    ----------
    first, second
        Described with all ``layers``, and ``prob`` for the classes.
    layers
        What to compare; those of ``svm`` where one is given.
    svm
        Decides, where given.
    reference
        Other pairs, where given.
    labels
        Class names of the network.
    trained
        Whether the network was trained.
    top
        Classes named of each video.
    notes
        Carried into the result.

    Raises
    ------
    InputDataError
        The classifier compares other layers.
    UsageError
        A descriptor has negative values.
    """
    if svm is not None and svm.layers != tuple(layers):
        raise InputDataError(f"the classifier of pairs compares {', '.join(svm.layers)}", remedy="leave --layers away")
    vectors = {layer: np.stack([video.video_vector(layer) for video in (first, second)]) for layer in layers}
    numbers = pair_features(vectors, np.array([[0, 1]]), layers)
    decision = None
    contributions: Sequence[float | None] = [None] * numbers.shape[1]
    identical = all(np.allclose(pair[0], pair[1], rtol=0.0, atol=_EQUAL) for pair in vectors.values())
    said = [*notes, *([] if trained else [NEVER_TRAINED])]
    if svm is not None and not identical:
        said += _beyond_training(svm, numbers)
        margin = svm.margins(numbers)
        parts = svm.contributions(numbers)[0]
        chances = svm.probabilities(margin)
        contributions = parts.tolist()
        by_layer = parts.reshape(len(layers), -1).sum(axis=1).tolist()
        decision = Decision(
            bool(margin[0] > 0),
            float(margin[0]),
            None if chances is None else float(chances[0]),
            svm.intercept_,
            dict(zip(layers, by_layer, strict=True)),
        )
    measures = {measure.name: measure for measure in MEASURES}
    reasons = []
    for column, (layer, name) in enumerate(feature_names(layers)):
        value, alike = float(numbers[0, column]), measures[name].more_is_alike
        held = {} if reference is None else reference.held_against(column, value, alike)
        reasons.append(Reason(layer, name, value, alike, contributions[column], **held))
    classes: tuple[tuple[tuple[str, float], ...], ...] = ()
    if labels is not None and trained:
        shares = [video_probabilities(video.vectors["prob"]) for video in (first, second)]
        classes = tuple(tuple(top_classes(share, labels, top)) for share in shares)
    return Comparison(
        first.path,
        second.path,
        tuple(layers),
        tuple(reasons),
        decision,
        None if reference is None else str(reference),
        classes,
        trained,
        tuple(said),
        identical,
    )


def _beyond_training(svm: PairSVM, numbers: NDArray[np.float64]) -> list[str]:
    """A note where numbers lie farther from the training pairs' mean than those themselves do, but for a handful."""
    scores = svm.standardized(numbers)[0]
    far = np.flatnonzero(np.abs(scores) > _FAR)
    if not far.size:
        return []
    worst = far[np.argmax(np.abs(scores[far]))]
    layer, measure = svm.columns[worst]
    note = (
        f"{far.size} of {scores.size} numbers lie more than {_FAR:g} standard deviations from the mean training pair "
        f"({measure} of {layer}: {scores[worst]:+.1f}), so the decision reaches beyond what the classifier saw"
    )
    return [note]
