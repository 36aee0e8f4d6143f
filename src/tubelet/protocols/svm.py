"""The paper's classifier: a linear SVM on video descriptors (C3D paper, section 3.3).

The solver is scikit-learn's LinearSVC (squared hinge, one against the rest). C is not stated in the paper; 1
is the default here, and :meth:`DescriptorSVM.search_c` finds one without looking at the test videos.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from tubelet.artifacts import write_bytes, write_json
from tubelet.datasets.manifest import Item
from tubelet.errors import InputDataError, UsageError
from tubelet.provenance import environment

WEIGHTS_FILE = "svm.safetensors"
CONFIG_FILE = "svm.json"
_FORMAT = 1
C_GRID = (0.01, 0.1, 1.0, 10.0, 100.0)
_SEARCH_FOLDS = 5


class DescriptorSVM:
    """Linear SVM from video descriptors to class names.

    Parameters
    ----------
    C
        Inverse regularization strength.
    layer
        Layer that the descriptors come from.
    weights_id
        Identity of the network that made them (``weights_sha256`` of the table).
    recipe_hash
        Hash of the recipe that made them. A saved SVM refuses to be loaded beside other weights or another
        recipe: its plane has no meaning in another network's space.
    random_state
        Seed of the solver.
    max_iter
        Iterations before the solver gives up (noted in ``notes_``, not raised).

    Attributes
    ----------
    classes_
        Class names in the order of the columns of :meth:`decision_function`, sorted.
    coef_, intercept_
        ``(K, D)`` and ``(K,)`` float64; with two classes the rows are mirror images.
    notes_
        What a reader of the results should know, e.g. that the solver did not converge.
    """

    def __init__(
        self,
        C: float = 1.0,  # noqa: N803 (as in scikit-learn and the literature)
        *,
        layer: str = "fc6",
        weights_id: str | None = None,
        recipe_hash: str | None = None,
        random_state: int = 0,
        max_iter: int = 20_000,
    ) -> None:
        if not C > 0:
            raise UsageError(f"C must be positive, not {C}", remedy="1 is the default")
        self.C = float(C)
        self.layer = layer
        self.weights_id = weights_id
        self.recipe_hash = recipe_hash
        self.random_state = random_state
        self.max_iter = max_iter
        self.classes_: tuple[str, ...] = ()
        self.coef_: NDArray[np.float64] = np.empty((0, 0))
        self.intercept_: NDArray[np.float64] = np.empty(0)
        self.notes_: tuple[str, ...] = ()

    def fit(self, vectors: ArrayLike, labels: Sequence[str]) -> DescriptorSVM:
        """Learn one plane per class.

        Parameters
        ----------
        vectors
            ``(n, D)`` video descriptors, L2-normalized.
        labels
            ``(n,)`` class names.

        Raises
        ------
        InputDataError
            If there are fewer than two classes, or a vector is not finite.
        """
        X, y = _checked(vectors), np.asarray(labels, dtype=str)
        if len(X) != len(y):
            raise UsageError(f"{len(X)} vectors but {len(y)} labels")
        if len(np.unique(y)) < 2:
            raise InputDataError(
                "an SVM needs videos of at least two classes",
                why=f"found {len(np.unique(y))}",
                remedy="add labels",
            )
        solver = LinearSVC(
            C=self.C,
            loss="squared_hinge",
            dual="auto",
            random_state=self.random_state,
            max_iter=self.max_iter,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            solver.fit(X, y)
        stopped = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        self.notes_ = (f"the SVM solver stopped at {self.max_iter} iterations without converging",) if stopped else ()
        self.classes_ = tuple(str(name) for name in solver.classes_)
        coef, intercept = solver.coef_.astype(np.float64), solver.intercept_.astype(np.float64)
        if len(self.classes_) == 2:  # scikit-learn keeps one plane for two classes: that of the second
            coef, intercept = np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
        # scikit-learn may keep columns together; safetensors writes the memory as it lies, whatever the order.
        self.coef_, self.intercept_ = np.ascontiguousarray(coef), np.ascontiguousarray(intercept)
        return self

    def decision_function(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """Signed distances from the planes, ``(n, K)`` float64, also with two classes; higher is better."""
        if not self.classes_:
            raise UsageError("this SVM has not been fitted", remedy="call fit or load first")
        X = _checked(vectors)
        if X.shape[1] != self.coef_.shape[1]:
            raise UsageError(
                f"the SVM was fitted on vectors of {self.coef_.shape[1]} values, these have {X.shape[1]}",
                remedy=f"give descriptors of the layer {self.layer}",
            )
        distances: NDArray[np.float64] = X @ self.coef_.T + self.intercept_
        return distances

    def predict(self, vectors: ArrayLike) -> NDArray[np.str_]:
        """Name of the best class of each row, ``(n,)`` str."""
        names: NDArray[np.str_] = np.asarray(self.classes_)[self.decision_function(vectors).argmax(axis=1)]
        return names

    def search_c(
        self,
        vectors: ArrayLike,
        labels: Sequence[str],
        groups: Sequence[str],
        candidates: Sequence[float] = C_GRID,
    ) -> dict[float, float]:
        """Choose C by leaving out groups of the training videos, and set it.

        Each fold leaves out whole groups (one at a time where there are at most five), so that a video never
        vouches for a near copy of itself. The smallest C among the best is taken.

        Returns
        -------
        dict
            Accuracy over all left-out videos, by C.

        Raises
        ------
        InputDataError
            If there are fewer than two groups.
        """
        X, y, group = _checked(vectors), np.asarray(labels, dtype=str), np.asarray(groups, dtype=str)
        names = np.unique(group)
        if len(names) < 2:
            raise InputDataError("choosing C needs videos of at least two groups", remedy="give C instead")
        fold_of = {name: index % min(len(names), _SEARCH_FOLDS) for index, name in enumerate(names)}
        fold = np.array([fold_of[name] for name in group])
        accuracy = {}
        for C in sorted(candidates):
            right = 0
            for held_out in np.unique(fold):
                train = fold != held_out
                if len(np.unique(y[train])) < 2:
                    continue  # every video of this fold counts as wrong
                inner = DescriptorSVM(C, random_state=self.random_state, max_iter=self.max_iter)
                right += int((inner.fit(X[train], list(y[train])).predict(X[~train]) == y[~train]).sum())
            accuracy[float(C)] = right / len(y)
        self.C = max(accuracy, key=lambda strength: (accuracy[strength], -strength))
        return accuracy

    def save(self, folder: str | os.PathLike[str], provenance: Mapping[str, Any] | None = None) -> Path:
        """Write ``svm.safetensors`` and ``svm.json`` into a folder; nothing is pickled."""
        if not self.classes_:
            raise UsageError("this SVM has not been fitted", remedy="call fit before save")
        target = Path(folder)
        weights = save({"coef": self.coef_, "intercept": self.intercept_})
        write_bytes(target / WEIGHTS_FILE, weights)
        write_json(
            target / CONFIG_FILE,
            {
                "format": _FORMAT,
                "classes": list(self.classes_),
                "layer": self.layer,
                "weights_sha256": self.weights_id,
                "recipe_hash": self.recipe_hash,
                "C": self.C,
                "loss": "squared_hinge",
                "weights_file_sha256": hashlib.sha256(weights).hexdigest(),
                "random_state": self.random_state,
                "max_iter": self.max_iter,
                "notes": list(self.notes_),
                "provenance": environment(**(provenance or {})),
            },
        )
        return target

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, weights_id: str | None = None, recipe_hash: str | None = None
    ) -> DescriptorSVM:
        """Read an SVM back.

        Parameters
        ----------
        folder
            Where :meth:`save` wrote it.
        weights_id, recipe_hash
            Identity of the network and recipe that will make the descriptors; checked where given.

        Raises
        ------
        InputDataError
            If the files are absent or damaged, or belong to other weights or to another recipe.
        """
        source = Path(folder)
        try:
            config = json.loads((source / CONFIG_FILE).read_text(encoding="utf-8"))
            weights = (source / WEIGHTS_FILE).read_bytes()
            if hashlib.sha256(weights).hexdigest() != config["weights_file_sha256"]:
                raise ValueError(f"{WEIGHTS_FILE} is not the one that {CONFIG_FILE} describes")
            arrays = load(weights)
            svm = cls(
                config["C"],
                layer=config["layer"],
                weights_id=config["weights_sha256"],
                recipe_hash=config["recipe_hash"],
                random_state=config["random_state"],
                max_iter=config["max_iter"],
            )
            svm.classes_ = tuple(config["classes"])
            svm.coef_, svm.intercept_ = arrays["coef"], arrays["intercept"]
            svm.notes_ = tuple(config["notes"])
        except FileNotFoundError as error:
            raise InputDataError(
                "there is no SVM in this folder",
                path=source,
                why=f"no {Path(error.filename).name}",
                remedy="train one, or use the network's own prediction (--head net)",
            ) from error
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InputDataError(
                "the saved SVM is damaged", path=source, why=str(error), remedy="train it again"
            ) from error
        _refuse_other(source, "other weights", svm.weights_id, weights_id)
        _refuse_other(source, "another recipe", svm.recipe_hash, recipe_hash)
        return svm


def untaught(tested: Iterable[Item], taught: Collection[str]) -> list[str]:
    """Labels, sorted, of videos none of whose classes any training video shows: they cannot be right."""
    known = set(taught)
    return sorted({str(item.label) for item in tested if known.isdisjoint(item.every_label)})


def _refuse_other(source: Path, what: str, trained_on: str | None, given: str | None) -> None:
    if given is not None and trained_on is not None and given != trained_on:
        raise InputDataError(
            f"the SVM belongs to {what}",
            path=source,
            why=f"fitted on {trained_on[:12]}, descriptors are from {given[:12]}",
            remedy="fit the SVM again on descriptors of this model",
        )


def _checked(vectors: ArrayLike) -> NDArray[np.float64]:
    X = np.asarray(vectors, dtype=np.float64)
    if X.ndim != 2:
        raise UsageError(f"descriptors must have shape (n, D), not {X.shape}")
    if not np.isfinite(X).all():
        raise InputDataError("a descriptor is not finite", why="NaN or infinity", remedy="extract it again in float32")
    return X
