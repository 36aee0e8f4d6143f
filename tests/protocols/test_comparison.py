"""Two videos held against a classifier of pairs, and against pairs of other videos."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tubelet.descriptors.described import Described
from tubelet.descriptors.spool import RowSpool
from tubelet.descriptors.store import DescriptorTable
from tubelet.descriptors.writer import FinishedVideo, TableWriter
from tubelet.errors import InputDataError
from tubelet.protocols.comparison import compare
from tubelet.protocols.comparison_report import write_comparison
from tubelet.protocols.pair_svm import PairSVM
from tubelet.protocols.reference_pairs import ReferencePairs, reference_pairs
from tubelet.protocols.similarity import MEASURE_NAMES, pair_features, similarities
from tubelet.video.encode import encode
from tubelet.video.report import DecodeReport

sys.path.insert(0, str(Path(__file__).parents[1] / "descriptors"))
from made_rows import record, spans

LAYERS = ("prob", "fc6")
LABELS = ("run", "walk", "jump")
COSINE = MEASURE_NAMES.index("cosine")


def described(path: str, prob: list[list[float]], fc6: list[list[float]]) -> Described:
    n = len(prob)
    report = DecodeReport("ok", 16, 16, 25.0, "container", 0.64, 64, 64, "mjpeg", "avi")
    return Described(
        path,
        {"prob": np.array(prob, dtype=np.float32), "fc6": np.array(fc6, dtype=np.float32)},
        np.zeros(n, dtype=np.int64), np.full(n, 16), np.zeros(n), np.full(n, 0.64), np.zeros(n, dtype=bool), report,
    )  # fmt: skip


@pytest.fixture
def one() -> Described:
    return described("a.avi", [[0.9, 0.1, 0.0], [0.7, 0.1, 0.2]], [[1, 0, 2], [3, 0, 2]])


@pytest.fixture
def other() -> Described:
    return described("b.avi", [[0.6, 0.3, 0.1]], [[2, 1, 2]])


def expected_numbers() -> np.ndarray:
    """Mean over the clips, L2, then the twelve: by hand."""
    rows = []
    for first, second in (([0.8, 0.1, 0.1], [0.6, 0.3, 0.1]), ([2, 0, 2], [2, 1, 2])):
        a, b = (np.array([side]) / np.linalg.norm(side) for side in (first, second))
        rows.append(similarities(a, b)[0])
    return np.concatenate(rows)


def classifier() -> PairSVM:
    rng = np.random.default_rng(0)
    same = np.arange(80) % 2 == 0
    features = expected_numbers() + 0.2 * rng.normal(size=(80, 24)) * np.abs(expected_numbers()) - 0.5 * ~same[:, None]
    svm = PairSVM(layers=LAYERS).fit(features, same)
    return svm.calibrate(svm.margins(features), same)


def test_the_numbers_are_those_of_the_video_descriptors(one: Described, other: Described) -> None:
    found = compare(one, other, LAYERS, labels=LABELS)
    np.testing.assert_allclose([reason.value for reason in found.reasons], expected_numbers(), rtol=1e-5)
    assert found.decision is None
    assert found.verdict().startswith("no decision: the numbers stand alone")
    assert found.classes[0][0] == ("run", pytest.approx(0.8))
    assert [name for name, _ in found.classes[1]] == ["run", "walk", "jump"]
    ways = {reason.measure: reason.direction for reason in found.reasons}
    assert (ways["cosine"], ways["euclidean"]) == ("more is alike", "less is alike")
    assert [reason.layer for reason in found.ranked()[:2]] == ["prob", "fc6"], "the cosines first"
    assert compare(one, other, LAYERS, labels=LABELS, trained=False).classes == ()
    assert json.loads(json.dumps(found.to_dict()))["same"] is None


def test_a_classifier_decides_and_its_reasons_add_up(one: Described, other: Described) -> None:
    svm = classifier()
    found = compare(one, other, LAYERS, svm=svm)
    decision = found.decision
    assert decision is not None
    numbers = np.array([[reason.value for reason in found.reasons]])
    assert decision.margin == pytest.approx(float(svm.margins(numbers)[0]))
    assert decision.same is (decision.margin > 0) is True
    assert decision.probability == pytest.approx(float(svm.probabilities([decision.margin])[0]))  # type: ignore[index]
    added = [reason.contribution or 0.0 for reason in found.reasons]
    assert decision.start + sum(added) == pytest.approx(decision.margin)
    assert sum(decision.layers.values()) == pytest.approx(sum(added))
    assert decision.layers["prob"] == pytest.approx(sum(added[:12]))
    ranked = [abs(reason.contribution or 0.0) for reason in found.ranked()]
    assert ranked == sorted(ranked, reverse=True)
    assert f"the same action (margin {decision.margin:+.2f}, probability of the same" in found.verdict()
    with pytest.raises(InputDataError, match="compares prob, fc6"):
        compare(one, other, ("fc6",), svm=svm)


def test_a_copy_is_not_judged(one: Described, other: Described, tmp_path: Path) -> None:
    """The plane extrapolates at a pair more alike than any that it was fitted to."""
    copy = described("copy.avi", [[0.7, 0.1, 0.2], [0.9, 0.1, 0.0]], [[3, 0, 2], [1, 0, 2]])
    found = compare(one, copy, LAYERS, svm=classifier())
    assert found.identical
    assert found.decision is None
    assert found.verdict() == "the descriptors are the same: one video, or a copy of it"
    assert (found.to_dict()["same"], found.to_dict()["identical_descriptors"]) == (None, True)
    assert "The descriptors are the same" in write_comparison(tmp_path, found, ()).read_text(encoding="utf-8")
    assert not compare(one, other, LAYERS).identical


def test_a_pair_unlike_those_of_training_is_marked(one: Described, other: Described) -> None:
    svm = classifier()
    assert compare(one, other, LAYERS, svm=svm).notes == ()
    svm.mean_ = svm.mean_.copy()
    svm.mean_[12 + COSINE] += 6.5 * svm.scale_[12 + COSINE]
    numbers = (expected_numbers() - svm.mean_) / svm.scale_
    (note,) = compare(one, other, LAYERS, svm=svm).notes
    assert note.startswith("1 of 24 numbers lie more than 4 standard deviations from the mean training pair")
    assert f"(cosine of fc6: {numbers[12 + COSINE]:+.1f})" in note


def test_an_untrained_network_is_named(one: Described, other: Described) -> None:
    found = compare(one, other, LAYERS, trained=False, notes=["first"])
    assert found.notes == ("first", "the network was never trained")


def test_shares_of_less_alike_pairs_count_ties_half() -> None:
    reference = ReferencePairs(np.array([[0.1], [0.2], [0.5], [0.9]]), np.array([[0.5], [0.8]]))
    assert reference.held_against(0, 0.5, True) == {
        "closer_than": pytest.approx((2 + 0.5) / 4),
        "closer_than_same": pytest.approx(0.25),
        # 0.5 beats 0.1, 0.2 and half of 0.5; 0.8 beats three
        "telling": pytest.approx((2.5 + 3) / 8),
    }
    distance = reference.held_against(0, 0.5, False)
    assert distance["closer_than"] == pytest.approx((1 + 0.5) / 4)
    assert distance["telling"] == pytest.approx(1 - 5.5 / 8)
    unlabeled = ReferencePairs(np.array([[0.1], [0.2]]), np.empty((0, 1)))
    assert unlabeled.held_against(0, 0.3, True) == {"closer_than": 1.0}


def table_of(folder: Path, labels: list[str | None], dimension: int = 5) -> DescriptorTable:
    """A clip a video, one direction for each label."""
    rng = np.random.default_rng(0)
    centers = {label: rng.random(dimension) for label in dict.fromkeys(labels)}
    dimensions = {"prob": dimension, "fc6": dimension}
    videos = []
    for index, label in enumerate(labels):
        spool = RowSpool(dimensions)
        near = (centers[label] + 0.05 * rng.random((2, 1, dimension))).astype(np.float32)
        spool.append(spans(1), {"prob": near[0], "fc6": near[1]})
        videos.append(FinishedVideo(record(f"{index:04d}.avi", 1, label=label), spool))
    with TableWriter(folder, dimensions) as writer:
        writer.commit(videos)
    return DescriptorTable(folder)


def test_pairs_of_a_labeled_table(tmp_path: Path, one: Described, other: Described) -> None:
    table = table_of(tmp_path, ["run"] * 4 + ["walk"] * 3)
    reference = reference_pairs(table, LAYERS)
    assert (len(reference.other), len(reference.same)) == (12, 6 + 3)
    vectors = {layer: table.videos(layer).vectors for layer in LAYERS}
    expected = pair_features(vectors, np.array([[0, 1]]), LAYERS)[0]
    assert any(np.allclose(row, expected) for row in reference.same)
    assert reference.same[:, COSINE].min() > reference.other[:, COSINE].max(), "as planted"
    left = reference_pairs(table, LAYERS, without=["/data/0000.avi"])
    assert (len(left.other), len(left.same)) == (9, 3 + 3)
    found = compare(one, other, LAYERS, reference=reference)
    telling = found.ranked()[0]
    assert telling.telling == 1.0
    assert "12 pairs of two classes and 9 pairs of one" in found.verdict()
    assert f"{telling.measure} of {telling.layer}" in found.verdict()


def test_pairs_of_a_table_without_labels(tmp_path: Path, one: Described, other: Described) -> None:
    reference = reference_pairs(table_of(tmp_path, [None] * 5), LAYERS)
    assert (len(reference.other), reference.labeled) == (10, False)
    found = compare(one, other, LAYERS, reference=reference)
    assert "by the cosine closer than so many of 10 pairs of the table's videos: prob " in found.verdict()
    assert all(reason.telling is None for reason in found.reasons)


def test_too_many_pairs_are_drawn_and_too_few_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(tmp_path, ["run"] * 6 + ["walk"] * 6)
    monkeypatch.setattr("tubelet.protocols.reference_pairs._MOST_PAIRS", 7)
    drawn = reference_pairs(table, LAYERS, seed=1)
    assert (len(drawn.other), len(drawn.same)) == (7, 7)
    assert np.array_equal(drawn.other, reference_pairs(table, LAYERS, seed=1).other)
    everything = [f"/data/{index:04d}.avi" for index in range(10)]
    with pytest.raises(InputDataError, match="too few videos"):
        reference_pairs(table, LAYERS, without=everything)


def test_the_page(tmp_path: Path, one: Described, other: Described) -> None:
    videos = []
    for video in (one, other):
        path = encode(tmp_path / video.path, np.full((16, 64, 64, 3), 99, dtype=np.uint8), codec="mjpeg")
        videos.append(Described(str(path), **{key: getattr(video, key) for key in vars(video) if key != "path"}))
    reference = reference_pairs(table_of(tmp_path / "table", ["run"] * 3 + ["walk"] * 2), LAYERS)
    found = compare(*videos, LAYERS, svm=classifier(), reference=reference, labels=LABELS, notes=["a note"])
    page = write_comparison(tmp_path / "out", found, videos)
    text = page.read_text(encoding="utf-8")
    for words in ("same action", "probability of the same", "run 80", "The two videos", "closer than", "a note", "AUC"):
        assert words in text, words
    assert (tmp_path / "out" / "plots" / "videos.png").is_file()
    saved = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert saved == json.loads(json.dumps(found.to_dict()))
    bare = write_comparison(tmp_path / "bare", compare(*videos, LAYERS), videos).read_text(encoding="utf-8")
    assert "No decision: the numbers stand alone" in bare
    assert bare.count(">intersection<") == 2 + 1, "every number once, and its formula"
    # By hand: (0.8·0.6 + 0.1·0.3 + 0.1·0.1) / √(0.66·0.46) and 8 / √(8·9)
    assert "prob 0.944, fc6 0.943" in bare
    for formula in ("½ Σ (a log a/b + b log b/a), sums one", "√Σ √a √b"):
        assert (text.count(formula), bare.count(formula)) == (1, 1), "once, in a table of their own"
