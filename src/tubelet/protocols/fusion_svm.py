"""The fusion that is learned: a linear SVM on the streams' softmax scores (Two-Stream, section 5)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from tubelet.descriptors.pooling import l2_normalize
from tubelet.errors import InputDataError, UsageError
from tubelet.protocols.leaked import of_test
from tubelet.protocols.score_file import FloatArray, ScoreFile
from tubelet.reporting.text import first_few

_MAX_ITERATIONS = 20_000
_NEVER_TRAINED = -1e9  # decision value of a class that no training video shows


def svm_scores(
    files: Sequence[ScoreFile],
    training: Sequence[ScoreFile],
    *,
    C: float = 1.0,  # noqa: N803 (as in scikit-learn and the literature)
    seed: int = 0,
) -> tuple[FloatArray, list[str]]:
    """Decision values ``(n, K)`` of a Crammer-Singer SVM on stacked softmax scores, and remarks for the reader.

    Each stream's ``(n, K)`` probabilities are scaled to length one per video; S streams give S K inputs.
    """
    solver = LinearSVC(C=C, multi_class="crammer_singer", random_state=seed, max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        solver.fit(_stacked(training), training[0].labels)
    remarks = []
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        remarks.append(f"the SVM solver stopped at {_MAX_ITERATIONS} iterations without converging")
    planes = solver.decision_function(_stacked(files))
    if planes.ndim == 1:  # scikit-learn keeps one plane for two classes: that of the second
        planes = np.stack([-planes, planes], axis=1)
    decisions = np.full(files[0].scores.shape, _NEVER_TRAINED)
    decisions[:, solver.classes_] = planes
    return decisions, remarks


def check_training(
    files: Sequence[ScoreFile], names: Sequence[str], training: Sequence[ScoreFile], allow_leak: bool
) -> list[str]:
    """Refuse training scores that do not belong to the streams, or that hold what is tested on.

    Parameters
    ----------
    files, names, training
        The streams on test videos, what errors call them, and the same streams on training videos.
    allow_leak
        Do not refuse groups that both have; return the note that is to stand beside the figures.

    Raises
    ------
    UsageError
        A stream without training scores; groups that both have.
    InputDataError
        Videos that both have; other classes, weights or recipe.
    """
    if len(training) != len(files):
        raise UsageError(
            f"the SVM needs the scores of training videos of each of the {len(files)} streams",
            why=f"{len(training)} such files are given",
            remedy="score them with tubelet evaluate ... --part train, and name them in the streams' order",
        )
    known = set(files[0].video_ids)
    for file, name, train in zip(files, names, training, strict=True):
        shared = [video_id for video_id in train.video_ids if video_id in known]
        if shared:
            raise InputDataError(
                f"the training scores of {name} hold {len(shared)} of the test videos",
                why=first_few(shared, shown=3),
                remedy="score the training part of the split with --part train",
            )
        if train.classes != file.classes:
            raise InputDataError(f"the training scores of {name} are of other classes", remedy="use one model for both")
        for key, what in (("weights_sha256", "other weights"), ("recipe_hash", "another recipe")):
            if train.settings.get(key) != file.settings.get(key):
                raise InputDataError(
                    f"the training scores of {name} come from {what}",
                    remedy="score training and test videos with one model folder",
                )
    if len(np.unique(training[0].labels)) < 2:
        raise InputDataError("the SVM needs training videos of at least two classes", remedy="score more of them")
    groups = set(files[0].groups)
    leaked = len(groups & set(training[0].groups))
    if leaked and not allow_leak:
        raise UsageError(
            f"{leaked} of the {len(groups)} test groups are among the SVM's training videos",
            why="figures on videos that were seen in training say nothing",
            remedy="score another split, or mark the result with --allow-leak",
        )
    return [f"the fusion's SVM was trained on {of_test(leaked, len(groups), 'groups')}"] if leaked else []


def _stacked(files: Sequence[ScoreFile]) -> FloatArray:
    return np.concatenate([l2_normalize(file.probabilities) for file in files], axis=1).astype(np.float64)
