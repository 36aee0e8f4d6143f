"""Video-level scores become a Result; expected values from scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from tubelet.errors import InputDataError
from tubelet.protocols.result import Published
from tubelet.protocols.video_level import classification_result, top_classes, video_probabilities

CLASSES = ("bend", "jack", "run")


def test_probabilities_are_the_mean_over_clips() -> None:
    clips = np.array([[0.9, 0.1, 0.0], [0.1, 0.6, 0.3]], dtype=np.float32)
    assert video_probabilities(clips) == pytest.approx([0.5, 0.35, 0.15], abs=1e-7)
    with pytest.raises(ValueError, match="n_clips > 0"):
        video_probabilities(np.zeros((0, 3)))


def test_the_mean_is_not_a_vote() -> None:
    # Two clips lean slightly to the second class, one is sure of the first.
    clips = np.array([[0.45, 0.55], [0.45, 0.55], [0.9, 0.1]])
    assert video_probabilities(clips).argmax() == 0


def test_top_classes_come_best_first() -> None:
    assert top_classes(np.array([0.2, 0.5, 0.3]), CLASSES, 2) == [("jack", 0.5), ("run", 0.3)]
    assert len(top_classes(np.array([0.2, 0.5, 0.3]), CLASSES)) == 3


def test_a_result_has_scikit_learns_figures() -> None:
    rng = np.random.default_rng(2)
    scores, targets = rng.random((50, 3)), rng.integers(0, 3, 50)
    labels = [CLASSES[target] for target in targets]
    ids = [f"v{index}" for index in range(50)]
    result = classification_result(
        scores, labels, CLASSES, protocol="mean of clip probabilities", video_ids=ids, top_k=(2, 3, 5), seed=4,
        settings={"layer": "prob"}, provenance={"weights_sha256": "w"},
        published=Published(0.852, "C3D, table 3"), notes=["a note"],
    )  # fmt: skip
    predicted = scores.argmax(axis=1)
    assert result.value == pytest.approx(reference.accuracy_score(targets, predicted))
    assert result.top_k == {2: pytest.approx(reference.top_k_accuracy_score(targets, scores, k=2))}
    assert np.array_equal(result.confusion, reference.confusion_matrix(targets, predicted))
    assert result.interval is not None
    assert result.interval.low < result.value < result.interval.high
    assert result.n == 50
    for index, prediction in enumerate(result.predictions):
        assert prediction.video_id == ids[index]
        assert prediction.label == labels[index]
        assert prediction.predicted == CLASSES[predicted[index]]
        assert prediction.score == scores[index].max()
    assert result.settings == {"layer": "prob", "bootstrap_seed": 4, "bootstrap_draws": 2000}
    assert result.notes == ("a note",)


def test_any_of_several_labels_is_right() -> None:
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1]])
    targets = np.array([[0, 1], [1, 2], [2, -1], [0, -1]])  # taken for jack, bend, run, jack
    labels = [CLASSES[row[0]] for row in targets]
    result = classification_result(
        scores, labels, CLASSES, protocol="p", targets=targets, video_ids=["a", "b", "c", "d"], top_k=(2,)
    )
    assert result.value == 0.5
    assert result.top_k == {2: 1.0}
    # In its first class a right answer counts as that class, so that rows, their mean and the whole agree.
    assert result.confusion == ((1, 1, 0), (1, 0, 0), (0, 0, 1))
    assert [row.accuracy for row in result.per_class] == [0.5, 0.0, 1.0]
    assert result.class_mean == pytest.approx(0.5)
    assert [(one.label, one.predicted) for one in result.predictions] == [
        ("jack", "jack"), ("jack", "bend"), ("run", "run"), ("bend", "jack"),
    ]  # fmt: skip
    assert result.notes == ("2 of 4 videos have several labels, any of which is right",)
    one_each = classification_result(scores, labels, CLASSES, protocol="p", targets=targets[:, :1])
    assert (one_each.value, one_each.notes) == (0.25, ())
    with pytest.raises(ValueError, match="the first of the targets are not the labels"):
        classification_result(scores, labels, CLASSES, protocol="p", targets=targets[:, ::-1])


def test_groups_reach_the_interval() -> None:
    scores = np.eye(3)[[0, 1, 2, 1] * 5]
    labels = ["bend", "jack", "run", "run"] * 5
    groups = [f"g{index // 2}" for index in range(20)]
    result = classification_result(scores, labels, CLASSES, protocol="p", groups=groups)
    assert result.interval is not None
    assert (result.interval.unit, result.interval.n_units) == ("group", 10)
    assert result.predictions == ()


def test_labels_that_the_classifier_does_not_know() -> None:
    with pytest.raises(InputDataError, match="labels unknown to the classifier: fly, swim"):
        classification_result(np.zeros((3, 3)), ["swim", "run", "fly"], CLASSES, protocol="p")


def test_nothing_to_evaluate() -> None:
    with pytest.raises(InputDataError, match="no video to evaluate"):
        classification_result(np.zeros((0, 3)), [], CLASSES, protocol="p")
    with pytest.raises(ValueError, match="scores have shape"):
        classification_result(np.zeros((1, 2)), ["run"], CLASSES, protocol="p")
