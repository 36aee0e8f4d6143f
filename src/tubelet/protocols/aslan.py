"""ASLAN's protocol: are two videos of actions never seen the same action? (Kliper-Gross et al. 2012; C3D section 5)

Each fold is tested on by a classifier that was trained on all others; z-scores, plane and C come from its training
folds alone. The figures are the benchmark's: the mean accuracy of the ten folds, its standard error (the standard
deviation with n − 1, divided by √n) and the area under the mean of the folds' ROC curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.datasets.aslan_pairs import OFFICIAL, PairView
from tubelet.errors import InputDataError
from tubelet.protocols.bootstrap import bootstrap_interval
from tubelet.protocols.descriptor_done import UNTRAINED_WEIGHTS
from tubelet.protocols.pair_svm import PairSVM
from tubelet.protocols.published import published
from tubelet.protocols.result import Published, Result
from tubelet.protocols.roc import Roc, mean_roc, roc_curve
from tubelet.protocols.similarity import MEASURE_NAMES, feature_names

LAYERS = ("prob", "fc7", "fc6", "pool5")
"""The descriptors of the C3D paper, each compared by the twelve similarities: 48 numbers."""

PEOPLE, IMAGENET, C3D, P3D, RESNET = (
    "people",
    "ImageNet: prob, fc7, fc6, pool5; linear SVM",
    "C3D: prob, fc7, fc6, pool5; linear SVM",
    "P3D ResNet",
    "ResNet-152",
)
_IN_PRINT = ("c3d_4", "aslan")  # tables of published.toml; of P3D's, which repeats them, what is new
_OF_P3D = (P3D, RESNET)

_FAMILIES = {
    "c3d": C3D, "p3d": P3D, "tsn_resnet": RESNET, "alexnet": IMAGENET, "squeezenet": IMAGENET, "densenet_": IMAGENET,
}  # fmt: skip
"""The line in print that a network belongs beside, by how its name begins."""
_NETWORKS = {C3D: "c3d", P3D: "p3d_199", RESNET: "ResNet-152", IMAGENET: "alexnet"}
_P3D_LAYERS = ("prob", "pool5", "res5c", "res4b35")  # Qiu et al., section 5.3
_LAYERS_OF = {C3D: LAYERS, IMAGENET: LAYERS, P3D: _P3D_LAYERS}

NEVER_TRAINED = "the network was never trained"
"""Note of results that rest on random weights."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class FoldFigures:
    """One fold that was tested on."""

    name: str
    pairs: int
    accuracy: float
    auc: float
    svm_c: float


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """What the folds gave.

    Attributes
    ----------
    folds
        The folds that were tested on.
    margins
        ``(n,)`` of every pair, by the classifier that did not see its fold; NaN in folds that are only trained on.
    roc
        Mean over the folds.
    notes
        What a reader should know, such as a solver that did not converge.
    """

    folds: tuple[FoldFigures, ...]
    margins: Values
    roc: Roc
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """Mean over the folds."""
        return float(np.mean([fold.accuracy for fold in self.folds]))

    @property
    def standard_error(self) -> float | None:
        """Of the mean accuracy: σ/√n with σ over n − 1; None for a single fold."""
        shares = [fold.accuracy for fold in self.folds]
        return float(np.std(shares, ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else None

    @property
    def auc(self) -> float:
        """Area under the mean curve, which is the mean of the folds' areas."""
        return self.roc.auc


@dataclass(frozen=True)
class Alone:
    """How well a part of the numbers decides by itself.

    Attributes
    ----------
    layer, measure
        ``"all"`` where all of them are taken.
    accuracy, standard_error, auc
        As of the whole.
    """

    layer: str
    measure: str
    accuracy: float
    standard_error: float | None
    auc: float


@dataclass(frozen=True, eq=False)
class SimilarityResult:
    """The figures of ASLAN's protocol; ``print(result)`` shows them, ``to_dict()`` is JSON-ready.

    Attributes
    ----------
    result
        Accuracy with its interval over folds, settings and the published figure.
    cross
        Folds, margins and curve.
    alone
        Parts of the numbers by themselves; empty where not asked for.
    """

    result: Result
    cross: CrossValidated
    alone: tuple[Alone, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """What `Result.from_dict` reads, and ``similarity``: standard error, curve, folds and parts."""
        curve = self.cross.roc
        return {
            **self.result.to_dict(),
            "similarity": {
                "standard_error": self.cross.standard_error,
                "auc": self.cross.auc,
                "published_auc": None if (area := self.published_auc) is None else area.value,
                "folds": [vars(fold) for fold in self.cross.folds],
                "roc": {
                    "false_positive": curve.false_positive.tolist(),
                    "true_positive": curve.true_positive.tolist(),
                },
                "alone": [vars(part) for part in self.alone],
            },
        }

    @property
    def published_auc(self) -> Published | None:
        """The area in the same row as the published accuracy, where someone has seen it."""
        printed = self.result.published
        return None if printed is None else line_in_print(printed.method).auc

    def headline(self) -> str:
        """One line: accuracy ± standard error and area, and the published ones."""
        error = self.cross.standard_error
        spread = "" if error is None else f" ± {100 * error:.1f} (standard error, {len(self.cross.folds)} folds)"
        ours = f"accuracy {self.result.value:.1%}{spread}, AUC {100 * self.cross.auc:.1f}"
        line = f"{self.result.protocol}: {ours} on {self.result.n} pairs"
        if (printed := self.result.published) is None:
            return line
        note = f"; {printed.note}" if printed.note else ""
        where = f"{printed.tag}: {printed.source}{note}"
        area = "" if self.published_auc is None else f", AUC {100 * self.published_auc.value:.1f}"
        return f"{line}; published: {printed.value:.1%}{area} [{where}]"

    def __str__(self) -> str:
        lines = [self.headline()]
        lines += [
            f"  {fold.name:<9}  {fold.pairs:>5} pairs  {fold.accuracy:6.1%}  AUC {100 * fold.auc:5.1f}"
            for fold in self.cross.folds
        ]
        best = sorted((part for part in self.alone if part.measure != "all"), key=lambda part: -part.accuracy)[:3]
        if best:
            said = ", ".join(f"{part.measure} of {part.layer} {part.accuracy:.1%}" for part in best)
            lines.append(f"  best by themselves: {said}")
        lines += [f"  note: {note}" for note in self.result.notes]
        return "\n".join(lines)


def cross_validate(features: Values, view: PairView, *, svm_c: float = 1.0, search_c: bool = False) -> CrossValidated:
    """Test on each fold what was trained on all others.

    Parameters
    ----------
    features
        ``(n, D)`` numbers of the view's pairs, see `pair_features`.
    view
        The pairs; their folds must be disjoint, see `PairView.require_disjoint`.
    svm_c
        C of the SVM.
    search_c
        Choose it for each fold by leaving out training folds.

    Raises
    ------
    InputDataError
        A fold that is tested on, or what remains to train on, has pairs of one kind only.
    """
    margins = np.full(len(view), np.nan)
    folds, curves, notes = [], [], []
    for index in view.tested:
        test = view.fold == index
        for part, what in ((test, view.folds[index]), (~test, f"the training pairs of {view.folds[index]}")):
            if len(np.unique(view.same[part])) < 2:
                raise InputDataError(
                    f"{what} must hold same and not-same pairs",
                    path=view.path,
                    why=f"{int(view.same[part].sum())} of its {int(part.sum())} pairs are the same action",
                    remedy="complete the videos, or use the official view",
                )
        svm = PairSVM(svm_c)
        if search_c:
            svm.search_c(features[~test], view.same[~test], list(compress(view.fold_names, ~test)))
        svm.fit(features[~test], view.same[~test])
        margins[test] = svm.margins(features[test])
        curve = roc_curve(margins[test], view.same[test])
        right = float(((margins[test] > 0) == view.same[test]).mean())
        folds.append(FoldFigures(view.folds[index], int(test.sum()), right, curve.auc, svm.svm_.C))
        curves.append(curve)
        notes += [f"{view.folds[index]}: {note}" for note in svm.notes_]
    return CrossValidated(tuple(folds), margins, mean_roc(curves), tuple(notes))


def evaluate_pairs(
    features: Values,
    view: PairView,
    layers: Sequence[str],
    *,
    svm_c: float = 1.0,
    search_c: bool = False,
    parts: bool = True,
    network: str = "",
    weights: str = "",
    settings: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> SimilarityResult:
    """The protocol on the numbers of the pairs.

    Parameters
    ----------
    features
        ``(n, 12 · layers)`` of the view's pairs, see `tubelet.protocols.similarity.pair_features`.
    view
        The pairs. Its folds are proved disjoint first.
    layers
        Where the columns come from.
    svm_c, search_c
        As for `cross_validate`.
    parts
        Also judge by every layer, every similarity and every single number alone.
    network
        What made the descriptors: the line in print of its family stands beside the result, none where there is none.
    weights
        What it was trained on; `UNTRAINED_WEIGHTS` where on nothing, empty where that is not known.
    settings, provenance, notes
        Carried into the Result.
    seed
        Of the bootstrap.

    Raises
    ------
    InputDataError
        Folds share actions, or one has pairs of one kind only.
    """
    view.require_disjoint()
    cross = cross_validate(features, view, svm_c=svm_c, search_c=search_c)
    known = (view.actions > 0).all()
    said = [*notes, *cross.notes]
    if weights == UNTRAINED_WEIGHTS:
        said.append(NEVER_TRAINED)
    if not known:
        said.append("not all actions are known, so only the samples of the folds could be proved disjoint")
    if view.contradictions:
        are, their = ("pair is", "its") if view.contradictions == 1 else ("pairs are", "their")
        said.append(f"{view.contradictions} {are} labeled otherwise than {their} actions say; the labels count")
    tested = np.isfinite(cross.margins)
    interval = None
    if len(cross.folds) > 1:  # the folds are what was repeated
        interval = replace(bootstrap_interval([fold.accuracy for fold in cross.folds], seed=seed), unit="fold")
    result = Result(
        protocol=f"ASLAN View {view.number}, {len(layers)} layers x {len(MEASURE_NAMES)} similarities, linear SVM",
        metric="accuracy",
        value=cross.accuracy,
        n=int(tested.sum()),
        unit="pair",
        interval=interval,
        settings={"layers": list(layers), "C": svm_c, "search_c": search_c, "bootstrap_seed": seed, **(settings or {})},
        provenance=dict(provenance or {}),
        published=_published(view, layers, network, weights) if view.number == 2 else None,
        notes=tuple(said),
    )
    alone = _parts(features, view, layers, svm_c, cross) if parts else ()
    return SimilarityResult(result, cross, alone)


def _parts(
    features: Values, view: PairView, layers: Sequence[str], svm_c: float, whole: CrossValidated
) -> tuple[Alone, ...]:
    """Every part at the C that was given; all of it together is the whole, whatever C that has."""
    columns = feature_names(layers)
    found = []
    for measure in (*MEASURE_NAMES, "all"):
        for layer in (*layers, "all"):
            chosen = [layer in (one, "all") and measure in (name, "all") for one, name in columns]
            cross = whole if all(chosen) else cross_validate(features[:, chosen], view, svm_c=svm_c)
            found.append(Alone(layer, measure, cross.accuracy, cross.standard_error, cross.auc))
    return tuple(found)


@dataclass(frozen=True)
class InPrint:
    """One line of the tables in print.

    Attributes
    ----------
    what
        The row, as printed.
    accuracy
        Its accuracy.
    auc
        The area under its curve, where that was seen.
    weights
        What its network had been trained on; empty where it has none or is not stated.
    """

    what: str
    accuracy: Published
    auc: Published | None
    weights: str = ""


@cache
def in_print() -> tuple[InPrint, ...]:
    """The lines in print of ASLAN that someone has looked up, the best first."""
    rows: dict[str, dict[str, Published]] = {}
    weights = {}
    for figure in published(dataset="aslan"):
        listed = figure.table in _IN_PRINT or (figure.table == "p3d_5" and figure.method in _OF_P3D)
        if listed and figure.confirmed:
            weights[figure.method] = figure.weights
            found = Published(figure.value / 100, figure.source, figure.tag, figure.note or None, figure.method)
            rows.setdefault(figure.method, {})[figure.metric] = found
    lines = [InPrint(what, row["accuracy"], row.get("AUC"), weights[what])
             for what, row in rows.items() if "accuracy" in row]  # fmt: skip
    return tuple(sorted(lines, key=lambda line: -line.accuracy.value))


def line_in_print(what: str) -> InPrint:
    """One of `in_print`, by its words."""
    return next(line for line in in_print() if line.what == what)


def _published(view: PairView, layers: Sequence[str], network: str, weights: str) -> Published | None:
    """The figure of the network's family, with what is different here; None where no line fits."""
    what = next((line for name, line in _FAMILIES.items() if network.startswith(name)), None)
    if what is None:
        return None
    line = line_in_print(what)
    odd = []
    if weights == UNTRAINED_WEIGHTS:
        odd.append("our network was never trained")
    elif not weights:
        odd.append("what our network was trained on is not known")
    elif weights != line.weights:
        odd.append(f"our network was trained on {weights}")
    if not view.is_official:
        sizes = view.sizes
        each = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
        odd.append(f"ours are {len(sizes)} folds of {each} pairs, not {len(OFFICIAL[2])} of {OFFICIAL[2][0]}")
    theirs = _LAYERS_OF.get(what, ())
    if set(layers) != set(theirs):
        odd.append(f"our layers are {', '.join(layers)}" + (f", not {', '.join(theirs)}" if theirs else ""))
    if network != _NETWORKS[what]:
        odd.append(f"our network is {network}")
    name = what.partition(":")[0]
    theirs_on = f"{name}, trained on {line.weights}" if line.weights not in ("", name) else name
    return replace(line.accuracy, note="; ".join([theirs_on, *odd]))
