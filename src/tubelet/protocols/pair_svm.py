"""Same action or not: a linear SVM on the standardized similarities of a pair of videos (C3D paper, section 5).

The numbers of a pair are z-scored on the training pairs. LIBLINEAR's squared hinge as for the descriptors; the ASLAN
benchmark used LIBSVM 2.91, the C3D paper names none. Neither states C.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.artifacts import write_json
from tubelet.errors import InputDataError, UsageError
from tubelet.protocols.similarity import feature_names
from tubelet.protocols.svm import CONFIG_FILE, DescriptorSVM

PAIRS_FILE = "pairs.json"
_FORMAT = 1
_NAMES = ("not-same", "same")
# A spread that is rounding noise beside the values would be blown up to unit variance.
_CONSTANT = 1e-10

Values = NDArray[np.float64]


class PairSVM:
    """z-scores and a plane between pairs of the same action and pairs of two.

    Parameters
    ----------
    C
        Inverse regularization strength.
    layers
        The layers whose twelve similarities are the columns, in order.
    weights_id, recipe_hash, sampling
        What made the descriptors; a saved one refuses others.

    Attributes
    ----------
    mean_, scale_
        ``(D,)`` float64 of the training pairs; a column that is constant there has scale 1.
    svm_
        The plane in the space of z-scores.
    platt_
        Slope and intercept of the logistic curve from margins to probabilities, or None; see `calibrate`.
    """

    def __init__(
        self,
        C: float = 1.0,  # noqa: N803 (as in scikit-learn and the literature)
        *,
        layers: Sequence[str] = (),
        weights_id: str | None = None,
        recipe_hash: str | None = None,
        sampling: str | None = None,
    ) -> None:
        self.layers = tuple(layers)
        self.sampling = sampling
        self.trained_on: Mapping[str, Any] | None = None
        self.svm_ = DescriptorSVM(C, layer="+".join(self.layers), weights_id=weights_id, recipe_hash=recipe_hash)
        self.mean_: Values = np.empty(0)
        self.scale_: Values = np.empty(0)
        self.platt_: tuple[float, float] | None = None

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(layer, measure) of each column."""
        return feature_names(self.layers)

    @property
    def notes_(self) -> tuple[str, ...]:
        """What a reader of the results should know, e.g. that the solver did not converge."""
        return self.svm_.notes_

    @property
    def weights_(self) -> Values:
        """``(D,)`` weights of the z-scores; what is positive speaks for the same action."""
        weights: Values = self.svm_.coef_[_NAMES.index("same")]
        return weights

    @property
    def intercept_(self) -> float:
        """The margin of a pair that is the mean of the training pairs."""
        return float(self.svm_.intercept_[_NAMES.index("same")])

    def fit(self, features: ArrayLike, same: ArrayLike) -> PairSVM:
        """Fit z-scores and plane.

        Parameters
        ----------
        features
            ``(n, D)``, finite.
        same
            ``(n,)`` bool.

        Raises
        ------
        InputDataError
            There are only pairs of one kind, or a value is not finite.
        """
        X = np.asarray(features, dtype=np.float64)
        self.mean_ = X.mean(axis=0)
        spread = X.std(axis=0)
        self.scale_ = np.where(spread > _CONSTANT * np.abs(X).max(axis=0, initial=0.0), spread, 1.0)
        self.svm_.fit(self.standardized(X), _labels(same))
        return self

    def search_c(self, features: ArrayLike, same: ArrayLike, folds: Sequence[str]) -> dict[float, float]:
        """Choose C by leaving out folds of the training pairs, and set it; see `DescriptorSVM.search_c`.

        The z-scores are those of all training pairs here: they know no label.
        """
        X = np.asarray(features, dtype=np.float64)
        other = PairSVM(self.svm_.C).fit(X, same)
        return self.svm_.search_c(other.standardized(X), _labels(same), folds)

    def standardized(self, features: ArrayLike) -> Values:
        """z-scores, ``(n, D)``."""
        scores: Values = (np.asarray(features, dtype=np.float64) - self.mean_) / self.scale_
        return scores

    def margins(self, features: ArrayLike) -> Values:
        """``(n,)`` signed distances from the plane, in units of the margin; above 0 is the same action."""
        X = np.asarray(features, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != len(self.mean_):
            raise UsageError(f"pairs of {len(self.mean_)} numbers are expected, not an array of shape {X.shape}")
        margins: Values = self.svm_.decision_function(self.standardized(X))[:, _NAMES.index("same")]
        return margins

    def contributions(self, features: ArrayLike) -> Values:
        """What each column adds to the margin, ``(n, D)``: z-score times weight.

        The rest is the intercept. Columns that say nearly the same share their weight, so sums over a layer tell more
        than single columns.
        """
        return self.standardized(features) * self.weights_

    def calibrate(self, margins: ArrayLike, same: ArrayLike) -> PairSVM:
        """Fit the logistic curve from margins to probabilities (Platt 1999) on pairs that were not trained on.

        The probability is that of the mixture given: half of ASLAN's pairs are the same.
        """
        from sklearn.linear_model import LogisticRegression

        curve = LogisticRegression().fit(np.asarray(margins, dtype=np.float64)[:, None], np.asarray(same, dtype=bool))
        self.platt_ = float(curve.coef_[0, 0]), float(curve.intercept_[0])
        return self

    def probabilities(self, margins: ArrayLike) -> Values | None:
        """``(n,)`` chance of the same action, or None where `calibrate` was never called."""
        if self.platt_ is None:
            return None
        slope, intercept = self.platt_
        odds = slope * np.asarray(margins, dtype=np.float64) + intercept
        chances: Values = (1.0 + np.tanh(odds / 2.0)) / 2.0  # the logistic function, without overflow
        return chances

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``svm.safetensors``, ``svm.json`` and ``pairs.json`` into a folder; nothing is pickled."""
        target = self.svm_.save(folder, {"trained_on": self.trained_on})
        config = json.loads((target / CONFIG_FILE).read_text(encoding="utf-8"))
        write_json(
            target / PAIRS_FILE,
            {
                "format": _FORMAT,
                "layers": list(self.layers),
                "mean": self.mean_.tolist(),
                "scale": self.scale_.tolist(),
                "platt": None if self.platt_ is None else list(self.platt_),
                "sampling": self.sampling,
                "svm_sha256": config["weights_file_sha256"],
            },
        )
        return target

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, weights_id: str | None = None, recipe_hash: str | None = None
    ) -> PairSVM:
        """Read what `save` wrote.

        Parameters
        ----------
        folder
            Where it lies, or the run of ``tubelet evaluate aslan`` that holds it.
        weights_id, recipe_hash
            Of the network that will make the descriptors; checked where given.

        Raises
        ------
        InputDataError
            The files are absent or damaged, do not belong together, or belong to other weights or another recipe.
        """
        inside = Path(folder) / PAIRS_SVM
        source = inside if (inside / PAIRS_FILE).is_file() else Path(folder)
        try:
            config = json.loads((source / PAIRS_FILE).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputDataError(
                "there is no classifier of pairs in this folder",
                path=source,
                why=f"no {PAIRS_FILE}",
                remedy="make one with tubelet evaluate aslan",
            ) from error
        except ValueError as error:
            raise _damaged(source, str(error)) from error
        svm = DescriptorSVM.load(source, weights_id=weights_id, recipe_hash=recipe_hash)
        try:
            of_svm = json.loads((source / CONFIG_FILE).read_text(encoding="utf-8"))
            if config["svm_sha256"] != of_svm["weights_file_sha256"]:
                raise ValueError(f"{PAIRS_FILE} belongs to another SVM")
            pairs = cls(layers=config["layers"], sampling=config["sampling"])
            pairs.svm_ = svm
            pairs.trained_on = of_svm["provenance"].get("trained_on")
            pairs.mean_, pairs.scale_ = (np.array(config[name], dtype=np.float64) for name in ("mean", "scale"))
            pairs.platt_ = None if config["platt"] is None else (float(config["platt"][0]), float(config["platt"][1]))
            sizes = {len(pairs.columns), *pairs.mean_.shape, *pairs.scale_.shape, svm.coef_.shape[1]}
            if svm.classes_ != _NAMES or len(sizes) != 1:
                raise ValueError("its parts do not fit together")
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise _damaged(source, str(error)) from error
        return pairs


PAIRS_SVM = "pairs-svm"
"""Folder of the classifier in a run of ``tubelet evaluate aslan``."""


def _labels(same: ArrayLike) -> list[str]:
    return [_NAMES[int(one)] for one in np.asarray(same, dtype=np.bool_)]


def _damaged(source: Path, why: str) -> InputDataError:
    return InputDataError(
        "the saved classifier of pairs is damaged", path=source, why=why, remedy="make it again with evaluate aslan"
    )
