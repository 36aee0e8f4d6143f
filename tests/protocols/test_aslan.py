"""The protocol on planted numbers whose answer is known, and its figures against plain arithmetic."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from tubelet.clips.sampling import Sampling
from tubelet.datasets.aslan_pairs import PairView
from tubelet.errors import InputDataError
from tubelet.protocols.aslan import (
    C3D,
    IMAGENET,
    LAYERS,
    P3D,
    PEOPLE,
    RESNET,
    SimilarityResult,
    cross_validate,
    evaluate_pairs,
    in_print,
)
from tubelet.protocols.aslan_report import CURVE, MARGINS, RESULT, _roc, write_similarity
from tubelet.protocols.aslan_run import PairTable, final_svm, paper_layers
from tubelet.protocols.descriptor_done import UNTRAINED_WEIGHTS
from tubelet.protocols.pair_svm import PairSVM
from tubelet.protocols.published import CONFIRMED
from tubelet.protocols.result import Result
from tubelet.protocols.roc import read_curve
from tubelet.protocols.similarity import pair_features


def view_of(folds: int = 10, per_fold: int = 40) -> PairView:
    """Two actions a fold, six samples of each; pairs of them at random, as many same as not."""
    rng = np.random.default_rng(0)
    samples, same, actions = [], [], []
    for fold in range(folds):
        for index in range(per_fold):
            alike = index % 2 == 0
            first = int(rng.integers(2))
            second = first if alike else 1 - first
            a, b = rng.choice(6, 2, replace=False) if alike else rng.integers(6, size=2)
            samples.append([12 * fold + 6 * first + a + 1, 12 * fold + 6 * second + b + 1])
            actions.append([2 * fold + first + 1, 2 * fold + second + 1])
            same.append(alike)
    fold_of = np.repeat(np.arange(folds), per_fold)
    names = tuple(f"split {index + 1}" for index in range(folds))
    return PairView(
        2, Path("View2.mat"), np.array(samples), np.array(same), np.array(actions), fold_of, names, tuple(range(folds))
    )


def descriptors(view: PairView, noise: float, dimension: int = 30) -> dict[str, np.ndarray]:
    """One direction for each action, plus noise, by sample; without negative values, of length one."""
    rng = np.random.default_rng(1)
    of = view.action_of()
    found = {}
    for layer in LAYERS:
        centers = np.maximum(rng.normal(size=(int(view.actions.max()) + 1, dimension)), 0.0)
        rows = np.stack([centers[of.get(sample, 0)] for sample in range(int(view.samples.max()) + 1)])
        rows = np.maximum(rows + noise * rng.normal(size=rows.shape), 0.0)
        found[layer] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


@pytest.fixture(scope="module")
def view() -> PairView:
    return view_of()


@pytest.fixture(scope="module")
def small() -> PairView:
    return view_of(folds=3, per_fold=24)


@pytest.fixture(scope="module")
def noisy(view: PairView) -> np.ndarray:
    return pair_features(descriptors(view, 1.0), view.samples, LAYERS)


def test_planted_descriptors_are_told_without_an_error(view: PairView) -> None:
    features = pair_features(descriptors(view, 0.05), view.samples, LAYERS)
    assert features.shape == (400, 48)
    outcome = evaluate_pairs(features, view, LAYERS, parts=False)
    assert outcome.result.value == 1.0
    assert outcome.cross.auc == 1.0
    assert outcome.cross.standard_error == 0.0
    assert outcome.result.interval is not None
    assert (outcome.result.interval.high, outcome.result.interval.unit, outcome.result.interval.n_units) == (
        1.0, "fold", 10,
    )  # fmt: skip
    assert outcome.result.interval.low == pytest.approx(0.025**0.1), "ten folds without an error prove no more"


def test_every_part_is_judged_alone(small: PairView) -> None:
    vectors = descriptors(small, 0.05)
    vectors["fc7"] = descriptors(small, 9.0)["fc7"]
    features = pair_features(vectors, small.samples, LAYERS)
    outcome = evaluate_pairs(features, small, LAYERS)
    alone = {(part.layer, part.measure): part for part in outcome.alone}
    assert len(alone) == 13 * 5
    assert alone["all", "all"].accuracy == outcome.result.value == 1.0
    assert alone["fc6", "cosine"].auc == alone["fc6", "dot"].auc == pytest.approx(1.0)
    assert alone["fc7", "all"].auc < 0.8, "there is nothing but noise"
    column = features[:, 12 + 4][:, None]  # the cosine of fc7
    by_itself = cross_validate(column, small)
    assert (alone["fc7", "cosine"].accuracy, alone["fc7", "cosine"].auc) == (by_itself.accuracy, by_itself.auc)


def test_shuffled_labels_are_guessed(view: PairView) -> None:
    features = pair_features(descriptors(view, 0.05), view.samples, LAYERS)
    shares, areas = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        same = view.same.copy()
        for fold in range(10):
            rows = np.flatnonzero(view.fold == fold)
            same[rows] = rng.permutation(same[rows])
        other = PairView(
            2, view.path, view.samples, same, np.zeros_like(view.actions), view.fold, view.folds, view.tested
        )
        cross = cross_validate(features, other)
        shares.append(cross.accuracy)
        areas.append(cross.auc)
    assert np.mean(shares) == pytest.approx(0.5, abs=3.3 * math.sqrt(0.25 / 2000))
    assert np.mean(areas) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("tested", [tuple(range(10)), (1,)])
def test_every_fold_is_that_of_scikit_learn_trained_on_the_others(
    view: PairView, noisy: np.ndarray, tested: tuple[int, ...]
) -> None:
    part = PairView(2, view.path, view.samples, view.same, view.actions, view.fold, view.folds, tested)
    cross = cross_validate(noisy, part, svm_c=0.1)
    shares, areas = [], []
    for fold, found in zip(tested, cross.folds, strict=True):
        test = view.fold == fold
        reference = make_pipeline(StandardScaler(), LinearSVC(C=0.1, dual=False, max_iter=50_000, tol=1e-8))
        margins = reference.fit(noisy[~test], view.same[~test]).decision_function(noisy[test])
        shares.append(float(((margins > 0) == view.same[test]).mean()))
        areas.append(float(metrics.roc_auc_score(view.same[test], margins)))
        assert (found.name, found.pairs, found.svm_c) == (f"split {fold + 1}", 40, 0.1)
        np.testing.assert_allclose(cross.margins[test], margins, atol=2e-3)
        assert found.accuracy == pytest.approx(shares[-1], abs=0.026), "one pair may lie on the plane"
        assert found.auc == pytest.approx(areas[-1], abs=0.005)
    assert np.isfinite(cross.margins).sum() == 40 * len(tested)
    own = [fold.accuracy for fold in cross.folds]
    assert cross.accuracy == pytest.approx(statistics.fmean(own))
    assert cross.auc == pytest.approx(statistics.fmean(fold.auc for fold in cross.folds))
    if len(tested) > 1:
        assert cross.standard_error == pytest.approx(statistics.stdev(own) / math.sqrt(10)), "with n - 1"
        assert 0.6 < cross.accuracy < 0.99, "hard enough to compare"
    else:
        assert cross.standard_error is None


def test_a_fold_is_judged_without_looking_at_it(view: PairView, noisy: np.ndarray) -> None:
    """Labels and sizes of the fold that is tested on leave its margins alone, but for the numbers themselves."""
    before = cross_validate(noisy, view)
    here = view.fold == 4
    same = view.same.copy()
    same[here] = ~same[here]
    other = PairView(2, view.path, view.samples, same, view.actions, view.fold, view.folds, (4,))
    assert np.array_equal(cross_validate(noisy, other).margins[here], before.margins[here])
    scaled = noisy.copy()
    scaled[here] = scaled[here] * 3.0 + 1.0
    other = PairView(2, view.path, view.samples, view.same, view.actions, view.fold, view.folds, (4,))
    row = np.flatnonzero(here)[0]
    only = noisy.copy()
    only[here] = scaled[here]
    only[row] = noisy[row]
    assert cross_validate(only, other).margins[row] == before.margins[row], "z-scores are the training pairs'"


def test_c_can_be_chosen_in_each_fold(view: PairView, noisy: np.ndarray) -> None:
    two = PairView(2, view.path, view.samples, view.same, view.actions, view.fold, view.folds, (2, 5))
    cross = cross_validate(noisy, two, search_c=True)
    assert all(fold.svm_c in (0.01, 0.1, 1.0, 10.0, 100.0) for fold in cross.folds)
    assert min(fold.svm_c for fold in cross.folds) < 1.0, "noise wants a weak SVM"


def test_the_pages_settings_are_words(small: PairView, tmp_path: Path) -> None:
    features = pair_features(descriptors(small, 1.0), small.samples, LAYERS)[:, 12:24]
    settings = {
        "model": "squeezenet", "weights_sha256": "untrained:0123", "recipe_hash": "4567",
        "sampling": json.dumps(Sampling(stride_frames=8).to_dict()),
    }  # fmt: skip
    outcome = evaluate_pairs(features, small, ("fc7",), parts=False, network="squeezenet", settings=settings)
    text = write_similarity(tmp_path, outcome, small).read_text(encoding="utf-8")
    facts = text[text.rindex("Settings") :].partition("</dl>")[0]
    assert "network never trained" in facts
    assert "16-frame clips, every 8 frames" in facts
    assert "ImageNet (computed)" in _roc(outcome, {}).alt


def test_a_chosen_c_is_carried_through(small: PairView, tmp_path: Path) -> None:
    """To the classifier that is kept, and to the cell of all parts; the others say which C they have."""
    features = pair_features(descriptors(small, 1.0), small.samples, LAYERS)[:, 12:24]
    outcome = evaluate_pairs(features, small, ("fc7",), search_c=True)
    shares = {}
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    for candidate in (0.01, 0.1, 1.0, 10.0, 100.0):
        right = []
        for fold in range(3):
            test = small.fold == fold
            machine = LinearSVC(C=candidate, dual=False, max_iter=50_000, tol=1e-8)
            right.append(machine.fit(scaled[~test], small.same[~test]).predict(scaled[test]) == small.same[test])
        shares[candidate] = float(np.concatenate(right).mean())
    made_by = {"weights_sha256": "w", "recipe_hash": "r", "sampling": "{}", "model": "c3d"}
    table = PairTable(small, features, ("fc7",), (), made_by)
    kept = final_svm(outcome, table, 1.0, search_c=True)
    best = max(shares, key=lambda value: (shares[value], -value))
    assert best == kept.svm_.C
    assert final_svm(outcome, table, 1.0).svm_.C == 1.0
    assert PairSVM.load(kept.save(tmp_path / "kept")).svm_.C == kept.svm_.C
    whole = next(part for part in outcome.alone if (part.layer, part.measure) == ("all", "all"))
    assert (whole.accuracy, whole.auc) == (outcome.result.value, outcome.cross.auc)
    text = write_similarity(tmp_path, outcome, small).read_text(encoding="utf-8")
    assert "with C = 1, on the same folds; all together is the headline, whose C each fold chose" in text


def test_folds_that_share_an_action_are_refused(view: PairView, noisy: np.ndarray) -> None:
    actions = view.actions.copy()
    actions[actions == 20] = 3
    shared = PairView(2, view.path, view.samples, view.same, actions, view.fold, view.folds, view.tested)
    with pytest.raises(InputDataError, match="split 2 and split 10 are not disjoint: both hold action 3"):
        evaluate_pairs(noisy, shared, LAYERS)


def test_a_fold_of_one_kind_is_refused(view: PairView, noisy: np.ndarray) -> None:
    keep = (view.fold != 3) | view.same
    with pytest.raises(InputDataError, match=r"split 4 must hold same and not-same pairs"):
        evaluate_pairs(noisy[keep], view.select(keep), LAYERS)
    keep = (view.fold == 3) | view.same
    with pytest.raises(InputDataError, match=r"split 1 must hold"):
        evaluate_pairs(noisy[keep], view.select(keep), LAYERS)


def test_what_differs_from_print_is_said(view: PairView, noisy: np.ndarray) -> None:
    outcome = evaluate_pairs(noisy, view, LAYERS, parts=False, network="c3d_small", notes=["a note"])
    line = outcome.headline()
    assert f"accuracy {outcome.result.value:.1%} ± " in line
    assert f"AUC {100 * outcome.cross.auc:.1f} on 400 pairs; published: 78.3%, AUC 86.5" in line
    assert "ours are 10 folds of 40 pairs, not 10 of 600" in line
    assert "our network is c3d_small" in line
    assert "what our network was trained on is not known" in line
    assert "layers" not in line.partition("published")[2]
    assert str(outcome).count("\n  split ") == 10
    assert "note: a note" in str(outcome)
    fewer = evaluate_pairs(noisy[:, 12:36], view, ("fc7", "fc6"), parts=False, network="c3d")
    assert "our layers are fc7, fc6, not prob, fc7, fc6, pool5" in fewer.headline()
    first = PairView(1, view.path, view.samples, view.same, view.actions, view.fold, view.folds, (9,))
    developing = evaluate_pairs(noisy, first, LAYERS, parts=False)
    assert developing.result.published is None
    assert "published" not in developing.headline()
    assert developing.result.n == 40


@pytest.mark.parametrize(
    ("network", "accuracy", "auc"),
    [  # C3D paper, table 4; P3D paper, table 5
        ("c3d", 0.783, 0.865),
        ("p3d_63", 0.808, 0.879),
        ("tsn_resnet152", 0.704, 0.774),
        ("squeezenet1_1", 0.675, None),
        ("alexnet", 0.675, None),
        ("res3d_18", None, None),
        ("tsn_bn_inception", None, None),
        ("", None, None),
    ],
)
def test_the_line_in_print_is_of_the_same_family(
    small: PairView, network: str, accuracy: float | None, auc: float | None
) -> None:
    features = pair_features(descriptors(small, 1.0), small.samples, LAYERS)[:, 12:24]
    outcome = evaluate_pairs(features, small, ("fc7",), parts=False, network=network)
    found = outcome.to_dict()
    assert (found["published"] or {}).get("value") == (None if accuracy is None else pytest.approx(accuracy))
    assert found["similarity"]["published_auc"] == (None if auc is None else pytest.approx(auc))
    assert ("published" in outcome.headline()) is (accuracy is not None)


def test_what_the_weights_saw_stands_beside_print(small: PairView) -> None:
    features = pair_features(descriptors(small, 1.0), small.samples, LAYERS)[:, 12:24]

    def result(weights: str) -> SimilarityResult:
        return evaluate_pairs(features, small, ("fc7",), parts=False, network="c3d", weights=weights)

    untrained = result(UNTRAINED_WEIGHTS)
    assert "C3D, trained on I380K, Sports-1M; our network was never trained; ours are 3 folds" in untrained.headline()
    assert "the network was never trained" in untrained.result.notes
    assert "our network was trained on motions;" in result("motions").headline()
    assert "our network" not in result("I380K, Sports-1M").headline()
    assert "never trained" not in str(result("motions"))


def test_the_result_is_a_result(view: PairView, noisy: np.ndarray) -> None:
    outcome = evaluate_pairs(noisy, view, LAYERS, parts=False, settings={"model": "c3d"})
    value = json.loads(json.dumps(outcome.to_dict(), allow_nan=False))
    back = Result.from_dict(value)
    assert back == outcome.result
    assert "on 400 pairs" in back.headline()
    assert value["similarity"]["auc"] == outcome.cross.auc
    assert len(value["similarity"]["folds"]) == 10


def test_figures_in_print_have_their_source() -> None:
    lines = {line.what: line for line in in_print()}
    # The C3D paper's table 4 and the benchmark's own; ImageNet's area was never looked up (spec section 5).
    assert {what: line.accuracy.value for what, line in lines.items()} == pytest.approx(
        {
            PEOPLE: 0.9419, C3D: 0.783, IMAGENET: 0.783 - 0.108, "iDT + FV, metric": 0.687,
            "MIP + HOG + HOF + HNF, metric": 0.6545, "MIP, metric": 0.6462, "OSSML, metric": 0.6425,
            "STIP, 12 similarities, HOG + HOF + HNF, linear": 0.6088, P3D: 0.808, RESNET: 0.704,
        }
    )  # fmt: skip
    areas = {what: line.auc.value for what, line in lines.items() if line.auc is not None}
    assert (areas[PEOPLE], areas[C3D], areas["iDT + FV, metric"]) == pytest.approx((0.9786, 0.865, 0.754))
    assert IMAGENET not in areas
    assert lines[IMAGENET].accuracy.tag == "computed"
    assert all(line.accuracy.source and line.accuracy.tag in CONFIRMED for line in lines.values())
    assert [line.accuracy.value for line in in_print()] == sorted(
        (v.accuracy.value for v in lines.values()), reverse=True
    )


def test_the_page(small: PairView, tmp_path: Path) -> None:
    features = pair_features(descriptors(small, 1.0), small.samples, LAYERS)[:, 12:24]
    outcome = evaluate_pairs(features, small, ("fc7",), settings={"model": "c3d"})
    page = write_similarity(
        tmp_path, outcome, small, names={1: "air guitar"}, curves={"human (survey)": outcome.cross.roc}
    )
    text = page.read_text(encoding="utf-8")
    for words in ("Beside print", "human (survey)", "94.2", "67.5", "Single similarities", "root_max", "Most wrong"):
        assert words in text, words
    assert Result.from_dict(json.loads((tmp_path / RESULT).read_text())).value == outcome.result.value
    assert read_curve(tmp_path / CURVE).auc == pytest.approx(outcome.cross.auc, abs=1e-6)
    lines = (tmp_path / MARGINS).read_text().splitlines()
    assert len(lines) == 73
    fold, first, second, same, margin = lines[25].split(",")
    assert (fold, [int(first), int(second)], bool(int(same))) == ("split 2", small.samples[24].tolist(), True)
    assert float(margin) == pytest.approx(outcome.cross.margins[24])
    assert (tmp_path / "plots" / "roc.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("has", "takes"),
    [
        (("conv1a", "pool5", "fc6", "fc7", "fc8", "prob"), ("prob", "fc7", "fc6", "pool5")),
        (("conv1", "res5b", "pool5", "fc", "prob"), ("prob", "pool5")),
        (("conv1", "fire9", "pool10", "conv10", "prob"), ("prob", "pool10")),
        (("fc6",), ("fc6",)),
    ],
)
def test_the_papers_layers_as_far_as_there_are(has: tuple[str, ...], takes: tuple[str, ...]) -> None:
    assert paper_layers(has) == takes


@pytest.mark.parametrize(
    ("has", "takes"),
    [
        (("pool10",), ("pool10",)),
        (("prob",), ("prob",)),
        (("global_pool", "pool10", "prob"), ("prob", "global_pool", "pool10")),
        (("conv5b", "fc6", "prob"), ("prob", "fc6")),
    ],
)
def test_a_table_without_the_papers_layers_is_compared_by_all_it_has(
    has: tuple[str, ...], takes: tuple[str, ...]
) -> None:
    assert paper_layers(has, table=True) == takes
