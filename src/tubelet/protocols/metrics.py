"""Accuracy, top-k, the table per class and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ClassRow:
    """How one class fared.

    Attributes
    ----------
    name
        The class.
    n
        Videos of this class.
    correct
        Of those, how many were recognized.
    accuracy
        ``correct / n`` (the recall), or None for a class without videos.
    precision
        Of the videos given this label, the share that deserved it, or None where it was never given.
    mistaken_for
        The label most often given instead, or None.
    """

    name: str
    n: int
    correct: int
    accuracy: float | None
    precision: float | None
    mistaken_for: str | None


def ranked_classes(scores: NDArray[np.floating]) -> IntArray:
    """Classes of each row from best to worst, ``(n, K)``; equal scores in class order."""
    return np.argsort(-np.asarray(scores), axis=1, kind="stable").astype(np.int64)


def stacked_targets(parts: Sequence[IntArray]) -> IntArray:
    """Tables ``(n, L)`` of classes behind one another, ``(sum n, most L)``, rows of fewer classes filled with −1."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-1) for part in parts])


def hits_at(scores: NDArray[np.floating], targets: IntArray, k: int) -> NDArray[np.bool_]:
    """Whether the right class, or any of several, is among the best ``k``, ``(n,)`` bool.

    Parameters
    ----------
    scores
        ``(n, K)``, higher is better.
    targets
        ``(n,)`` class indices, or ``(n, L)`` where rows have several classes (−1 for none). That any of them counts is
        Sports-1M's hit@k, as activitynet/ActivityNet's Evaluation/eval_classification.py restates it.
    k
        1 or more; more than K is K.
    """
    several = np.asarray(targets).reshape(len(scores), -1)
    return np.asarray((ranked_classes(scores)[:, :k, None] == several[:, None, :]).any(axis=(1, 2)))


def confusion_matrix(targets: IntArray, predicted: IntArray, n_classes: int) -> IntArray:
    """``(K, K)`` counts: row = true class, column = predicted class."""
    flat = np.bincount(targets * n_classes + predicted, minlength=n_classes * n_classes)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def per_class_table(confusion: IntArray, classes: Sequence[str]) -> tuple[ClassRow, ...]:
    """One row per class, in the order of ``classes``."""
    rows = []
    for index, name in enumerate(classes):
        n, given = int(confusion[index].sum()), int(confusion[:, index].sum())
        correct = int(confusion[index, index])
        wrong = confusion[index].copy()
        wrong[index] = 0
        rows.append(
            ClassRow(
                name=name,
                n=n,
                correct=correct,
                accuracy=correct / n if n else None,
                precision=correct / given if given else None,
                mistaken_for=classes[int(wrong.argmax())] if wrong.any() else None,
            )
        )
    return tuple(rows)
