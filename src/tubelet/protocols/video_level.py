"""Classification of whole videos: scores per video become a Result.

The network's own prediction for a video is the mean of its clips' probabilities (C3D paper, section 3.2); the
SVM's is the largest decision value of the video's descriptor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import InputDataError
from tubelet.protocols.bootstrap import DRAWS, bootstrap_interval, class_mean
from tubelet.protocols.metrics import IntArray, confusion_matrix, hits_at, per_class_table, ranked_classes
from tubelet.protocols.result import Prediction, Published, Result


def video_probabilities(clip_probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """The network's probabilities for a video: the mean over its clips.

    Parameters
    ----------
    clip_probabilities
        ``(n_clips, K)``, at least one clip; the layer ``prob``.

    Returns
    -------
    numpy.ndarray
        ``(K,)`` float64.
    """
    if clip_probabilities.ndim != 2 or len(clip_probabilities) == 0:
        raise ValueError(f"(n_clips, K) with n_clips > 0 is needed, not shape {clip_probabilities.shape}")
    mean: NDArray[np.float64] = clip_probabilities.mean(axis=0, dtype=np.float64)
    return mean


def top_classes(scores: NDArray[np.floating], classes: Sequence[str], k: int = 5) -> list[tuple[str, float]]:
    """The best ``k`` classes of one video with their scores, best first; equal scores in class order."""
    best = ranked_classes(np.asarray(scores)[None])[0, :k]
    return [(classes[index], float(scores[index])) for index in best]


def classification_result(
    scores: NDArray[np.floating],
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    protocol: str,
    video_ids: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    top_k: Sequence[int] = (5,),
    seed: int = 0,
    draws: int = DRAWS,
    settings: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    published: Published | None = None,
    notes: Sequence[str] = (),
    targets: IntArray | None = None,
) -> Result:
    """Accuracy, overall and mean over classes, with intervals, top-k, table per class, confusion matrix.

    Parameters
    ----------
    scores
        ``(n, K)``: probabilities or decision values, higher is better.
    labels
        ``(n,)`` true class names, each one of ``classes``.
    classes
        ``(K,)`` names, in the order of the columns of ``scores``.
    protocol
        What was done, e.g. ``"mean of clip probabilities"``.
    video_ids
        ``(n,)``; with them the Result lists each video's outcome.
    groups
        ``(n,)``: the bootstrap resamples groups where there are at least ten of them.
    top_k
        Further shares to report; a k not below K is left out, it would always be 1.
    seed, draws
        Of the bootstrap.
    settings, provenance, published, notes
        Carried into the Result.
    targets
        ``(n, L)`` class indices, −1 for none, where videos have several classes; the first of each is that of
        ``labels``. Any of them is right. Everything by class (table, confusion, mean over classes) counts a video in
        its first class, and a right answer as that; a prediction's ``label`` is the class that was hit, where one was.

    Raises
    ------
    InputDataError
        If a label is not among the classes, or there is no video.
    """
    scores = np.asarray(scores)
    if scores.shape != (len(labels), len(classes)):
        raise ValueError(f"scores have shape {scores.shape}, not ({len(labels)}, {len(classes)})")
    if len(labels) == 0:
        raise InputDataError("there is no video to evaluate", remedy="check the split and the test groups")
    column = {name: index for index, name in enumerate(classes)}
    unknown = sorted({label for label in labels if label not in column})
    if unknown:
        raise InputDataError(
            f"labels unknown to the classifier: {', '.join(unknown)}",
            remedy="evaluate on the classes that it was trained on",
        )
    first = np.array([column[label] for label in labels], dtype=np.int64)
    every = first[:, None] if targets is None else targets
    if not np.array_equal(every[:, 0], first):
        raise ValueError("the first of the targets are not the labels")
    predicted = ranked_classes(scores)[:, 0]
    right = hits_at(scores, every, 1)
    confusion = confusion_matrix(first, np.where(right, first, predicted), len(classes))
    said = [*notes]
    if several := int((every[:, 1:] >= 0).any(axis=1).sum()):
        said.append(f"{several} of {len(labels)} videos have several labels, any of which is right")
    return Result(
        protocol=protocol,
        metric="accuracy",
        value=float(right.mean()),
        n=len(labels),
        interval=bootstrap_interval(right, groups, draws=draws, seed=seed),
        class_mean=class_mean(right, first),
        class_mean_interval=bootstrap_interval(right, groups, classes=first, draws=draws, seed=seed),
        top_k={k: float(hits_at(scores, every, k).mean()) for k in top_k if 1 < k < len(classes)},
        classes=tuple(classes),
        per_class=per_class_table(confusion, classes),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        predictions=()
        if video_ids is None
        else tuple(
            Prediction(video_id, classes[best] if hit else label, classes[best], float(row[best]), group)
            for video_id, label, best, hit, row, group in zip(
                video_ids, labels, predicted, right, scores, groups or repeat(None, len(labels)), strict=True
            )
        ),
        settings={**(settings or {}), "bootstrap_seed": seed, "bootstrap_draws": draws},
        provenance=dict(provenance or {}),
        published=published,
        notes=tuple(said),
    )
