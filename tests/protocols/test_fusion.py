"""Fusion by the papers' three rules, against arithmetic by hand and scikit-learn called directly."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from tubelet.errors import InputDataError, UsageError
from tubelet.protocols.fusion import Fusion, fuse, sum_of
from tubelet.protocols.score_file import ScoreFile

CLASSES = ("bend", "jack", "run")


def stream(scores: Any, labels: Any, prefix: str = "v", **settings: Any) -> ScoreFile:
    values = np.asarray(scores, dtype=np.float64)
    n, k = values.shape
    return ScoreFile(
        tuple(f"{prefix}{i}.avi" for i in range(n)), CLASSES[:k], np.asarray(labels),
        tuple(f"{prefix}{i}" for i in range(n)), values, softmax(values, axis=1), np.ones(n, dtype=np.int64),
        settings={"weights_sha256": "w", "recipe_hash": "r", **settings},
    )  # fmt: skip


def drawn(n: int, signal: float, seed: int, prefix: str = "v", k: int = 3) -> ScoreFile:
    labels = np.arange(n) % k
    noise = np.random.default_rng(seed).normal(size=(n, k))
    return stream(noise + signal * np.eye(k)[labels], labels, prefix)


def test_weights_decide_between_streams_that_disagree() -> None:
    rgb, flow = stream([[2.0, 0.0, 1.9]], [1]), stream([[0.0, 1.5, 0.0]], [1])
    # 1 : 1 gives (2, 1.5, 1.9), which is bend; TSN's 1 : 1.5 gives (2, 2.25, 1.9), which is jack.
    assert fuse([rgb, flow], ["rgb", "flow"]).fused[0].predictions[0].predicted == "bend"
    found = fuse([rgb, flow], ["rgb", "flow"], weights=[1, 1.5])
    assert (found.fused[0].predictions[0].predicted, found.fused[0].predictions[0].score) == ("jack", 2.25)
    third = stream([[0.0, 0.0, 1.0]], [1])
    assert sum_of([rgb, flow, third], [1, 1, 0.5]) == pytest.approx(np.array([[2.0, 1.5, 2.4]]))


def test_nothing_is_normalized_before_the_sum() -> None:
    # A stream of large scores outweighs a surer one: TSN's eval_scores.py sums as they are (normalization=False).
    loud, sure = stream([[100.0, 90.0, 0.0]], [1]), stream([[0.0, 9.0, 0.0]], [1])
    assert fuse([loud, sure], ["a", "b"]).fused[0].predictions[0].predicted == "bend"
    assert fuse([loud, sure], ["a", "b"], by=["softmax"], weights=[1, 2]).fused[0].predictions[0].predicted == "jack"


def test_the_mean_of_softmax_is_that_of_the_views_not_of_their_mean() -> None:
    views = np.array([[8.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    file = replace(stream([views.mean(0)], [1]), probabilities=softmax(views, axis=1).mean(0)[None])
    other = stream([[0.0, 0.0, 0.0]], [1])
    found = sum_of([file, other], [1, 3], softmax=True)
    assert found[0] == pytest.approx((softmax(views, axis=1).mean(0) + 3 * np.full(3, 1 / 3)) / 4)


@pytest.mark.parametrize("k", [2, 3])
def test_the_svm_is_that_of_crammer_and_singer_on_stacked_unit_rows(k: int) -> None:
    train = [drawn(60, 2.0, seed, "t", k) for seed in (1, 2)]
    test = [drawn(30, 2.0, seed, "v", k) for seed in (3, 4)]
    found = fuse(test, ["a", "b"], by=["svm"], training=train, svm_c=0.5)

    def rows(files: list[ScoreFile]) -> Any:
        return np.hstack([normalize(softmax(file.scores, axis=1)) for file in files])

    reference = LinearSVC(C=0.5, multi_class="crammer_singer", random_state=0, max_iter=20_000)
    reference.fit(rows(train), train[0].labels)
    predicted = [CLASSES[label] for label in reference.predict(rows(test))]
    assert [one.predicted for one in found.fused[0].predictions] == predicted
    assert found.fused[0].value > 1.3 / k


def test_an_svm_learns_which_stream_to_believe_about_which_class() -> None:
    # The first stream knows class 0, the second classes 1 and 2; each shouts nonsense otherwise.
    def pair(n: int, prefix: str, seed: int) -> list[ScoreFile]:
        labels = np.arange(n) % 3
        rng = np.random.default_rng(seed)
        first, second = rng.normal(size=(n, 3)), rng.normal(size=(n, 3))
        first[:, 0] = np.where(labels == 0, 9, -9)
        first[:, 1:] = rng.permuted(np.tile([5.0, -5.0], (n, 1)), axis=1)
        second[:, 1:] = 4 * np.eye(3)[labels][:, 1:]
        second[:, 0] = rng.normal(0, 4, n)
        return [stream(first, labels, prefix), stream(second, labels, prefix)]

    found = fuse(pair(60, "v", 0), ["a", "b"], by=["softmax", "svm"], training=pair(90, "t", 1))
    assert found.fused[1].value > found.fused[0].value
    assert found.fused[1].value > 0.9


@pytest.fixture(scope="module")
def fusion() -> Fusion:
    files = [drawn(120, signal, seed) for signal, seed in ((1.0, 1), (2.0, 2), (1.5, 3))]
    return fuse(files, ["rgb", "flow", "warped"], weights=[1, 1, 0.5], by=["scores", "softmax"], notes=["as it is"])


def test_table_and_differences_agree_with_the_predictions(fusion: Fusion) -> None:
    right = {
        result.protocol: np.array([one.predicted == one.label for one in result.predictions])
        for result in (*fusion.streams, *fusion.fused)
    }
    assert list(right) == ["rgb", "flow", "warped", "sum of scores before softmax", "mean of softmax"]
    assert fusion.best_stream.protocol == "flow"
    assert [(one.first, one.second) for one in fusion.differences] == [
        ("rgb", "flow"), ("rgb", "warped"), ("flow", "warped"),
        ("flow", "sum of scores before softmax"), ("flow", "mean of softmax"),
    ]  # fmt: skip
    for one in fusion.differences:
        gain = right[one.second].mean() - right[one.first].mean()
        assert one.accuracy == pytest.approx(gain)
        assert one.class_mean == pytest.approx(gain), "classes are equally large here"
        assert one.interval.low <= gain <= one.interval.high
    text = str(fusion)
    assert text.splitlines()[0] == "120 videos, 95% intervals over groups"
    row = next(line for line in text.splitlines() if line.startswith("  flow "))
    assert row.split()[1] == "1"
    assert f"{right['flow'].mean():.1%} (" in row
    assert "note: as it is" in text
    assert json.loads(json.dumps(fusion.to_dict()))["weights"] == [1, 1, 0.5]


def test_what_does_not_fit_is_refused() -> None:
    files, train = [drawn(12, 1.0, 1), drawn(12, 1.0, 2)], [drawn(12, 1.0, 3, "t"), drawn(12, 1.0, 4, "t")]
    names = ["rgb", "flow"]
    for weights in ([1], [1, 0], [1, -1], [1, float("nan")]):
        with pytest.raises(UsageError, match="weights"):
            fuse(files, names, weights=weights)
    with pytest.raises(UsageError, match="names are not distinct"):
        fuse(files, ["rgb", "rgb"])
    with pytest.raises(UsageError, match=r"needs the scores of training videos of each of the 2 streams.*--part train"):
        fuse(files, names, by=["svm"])
    with pytest.raises(InputDataError, match=r"training scores of rgb hold 12 of the test videos \(v0.avi"):
        fuse(files, names, by=["svm"], training=files)
    other = replace(train[1], settings={"weights_sha256": "x", "recipe_hash": "r"})
    with pytest.raises(InputDataError, match="training scores of flow come from other weights"):
        fuse(files, names, by=["svm"], training=[train[0], other])
    seen = [replace(file, groups=files[0].groups) for file in train]
    with pytest.raises(UsageError, match=r"12 of the 12 test groups are among the SVM's training videos.*--allow-leak"):
        fuse(files, names, by=["svm"], training=seen)
    marked = fuse(files, names, by=["svm"], training=seen, allow_leak=True)
    assert marked.notes == ("the fusion's SVM was trained on 12 of the 12 test groups",)
    one_class = [replace(file, labels=file.labels * 0) for file in train]
    with pytest.raises(InputDataError, match="at least two classes"):
        fuse(files, names, by=["svm"], training=one_class)


def test_a_class_without_training_videos_is_never_chosen() -> None:
    train, test = [drawn(30, 1.0, 3, "t")], [drawn(30, 1.0, 1)]
    rows = np.flatnonzero(train[0].labels != 1)
    found = fuse(test, ["rgb"], by=["svm"], training=[train[0].take(rows)])
    assert {one.predicted for one in found.fused[0].predictions} == {"bend", "run"}
    assert found.differences == (), "one stream has nothing to be compared with"
