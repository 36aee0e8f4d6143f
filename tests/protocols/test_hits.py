"""hit@k of clips and videos with one or several labels, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from tubelet.errors import InputDataError
from tubelet.protocols.hits import clip_scores, hit_table
from tubelet.protocols.metrics import hits_at

SCORES = np.array([[0.1, 0.6, 0.3, 0.0], [0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])


def test_one_of_several_labels_is_enough() -> None:
    # Best classes: 1, 2, 0, 3; 0, 1, 2, 3; and of equal scores the first.
    several = np.array([[0, 1], [2, 3], [3, -1]])
    assert hits_at(SCORES, several, 1).tolist() == [True, False, False]
    assert hits_at(SCORES, several, 3).tolist() == [True, True, False]
    assert hits_at(SCORES, several, 9).tolist() == [True, True, True]
    assert hits_at(SCORES, np.array([1, 3, 0]), 1).tolist() == [True, False, True], "one label each"


def test_with_one_label_it_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((50, 7)), rng.integers(0, 7, 50)
    for hit in hit_table(scores, labels, ks=(1, 2, 5, 7)):
        expected = top_k_accuracy_score(labels, scores, k=hit.k, labels=range(7))
        assert (hit.of, hit.value) == ("video", pytest.approx(expected))
        assert hit.k < 7, "at K everything is hit"


@pytest.mark.parametrize("labels", [[[-1, -1], [1, -1], [1, 2]], [[0, 1], [4, -1], [1, -1]]])
def test_a_video_without_a_class_is_refused(labels: list[list[int]]) -> None:
    with pytest.raises(InputDataError, match="no label, or one that the scores have no column for"):
        hit_table(SCORES, np.array(labels))


def test_clips_average_their_crops_and_take_their_videos_labels() -> None:
    # Two videos of two and one clips with two crops each, before softmax; the softmax of (0, ln 3) is (1/4, 3/4).
    ln3 = np.log(3.0)
    views = np.array([[0, ln3], [0, ln3], [ln3, 0], [0, 0], [0, ln3], [ln3, 0]])
    assert clip_scores(views, 2) == pytest.approx(np.array([[0.25, 0.75], [0.625, 0.375], [0.5, 0.5]]))
    three = np.concatenate([views, np.full((6, 1), -50.0)], axis=1)
    found = hit_table(
        np.array([[0.3, 0.6, 0.1], [0.6, 0.3, 0.1]]),
        np.array([[1, -1], [0, -1]]),
        views=three,
        view_counts=[4, 2],
        crops=2,
        ks=(1, 2, 5),
    )
    assert [(hit.name, hit.value, hit.n) for hit in found] == [
        ("video hit@1", 1.0, 2), ("video hit@2", 1.0, 2),
        # Clip 1 of video 1 is right, clip 2 wrong; that of video 2 has equal scores, and class 0 comes first.
        ("clip hit@1", pytest.approx(2 / 3), 3), ("clip hit@2", 1.0, 3),
    ]  # fmt: skip
    assert str(found[2]).startswith("clip hit@1 66.7% (")
    assert found[2].interval.unit == "clip", "two videos are too few to be drawn"


def test_a_videos_clips_are_drawn_together() -> None:
    # Twenty videos, ten of which are right in all of 50 clips: over clips the interval would be ten times narrower.
    right = np.repeat(np.arange(20) % 2, 50)[:, None] * np.array([4.0, 0.0, 0.0]) + np.array([0.0, 2.0, 0.0])
    means = right.reshape(20, 50, 3).mean(axis=1)
    found = hit_table(means, np.zeros(20, dtype=int), views=right, view_counts=[50] * 20, ks=(1,))
    video, clip = found
    assert (clip.value, clip.n, clip.interval.unit, clip.interval.n_units) == (0.5, 1000, "video", 20)
    assert (clip.interval.low, clip.interval.high) == pytest.approx((video.interval.low, video.interval.high), abs=0.06)
    assert clip.interval.high - clip.interval.low > 0.3
    grouped = hit_table(
        means,
        np.zeros(20, dtype=int),
        views=right,
        view_counts=[50] * 20,
        ks=(1,),
        groups=[f"g{n // 2}" for n in range(20)],
    )
    assert (grouped[1].interval.unit, grouped[1].interval.n_units) == ("group", 10)
    assert grouped[1].to_dict()["name"] == "clip hit@1"


def test_views_must_fit() -> None:
    with pytest.raises(ValueError, match="do not fit 2 crops"):
        hit_table(SCORES, np.zeros(3, dtype=int), views=np.zeros((5, 4)), view_counts=[2, 2, 1], crops=2)
    with pytest.raises(ValueError, match="do not fit 1 crops"):
        hit_table(SCORES, np.zeros(3, dtype=int), views=np.zeros((5, 4)), view_counts=[2, 2, 2])
    with pytest.raises(ValueError, match="3 rows of scores but labels of 2"):
        hit_table(SCORES, np.array([0, 1]))
