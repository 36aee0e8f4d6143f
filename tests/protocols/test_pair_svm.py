"""The classifier of pairs against scikit-learn's scaler and SVM; saved and read back."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from tubelet.errors import InputDataError, UsageError
from tubelet.protocols.pair_svm import PAIRS_FILE, PAIRS_SVM, PairSVM


def pairs(n: int = 120, d: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of very different sizes, three of which tell something."""
    rng = np.random.default_rng(seed)
    same = np.arange(n) % 2 == 0
    X = rng.normal(size=(n, d))
    X[:, :3] += 1.5 * same[:, None]
    return X * 10.0 ** rng.integers(-4, 5, d) + 3.0, same


def fitted(**more: object) -> tuple[PairSVM, np.ndarray, np.ndarray]:
    X, same = pairs()
    return PairSVM(0.5, layers=("fc6", "prob"), **more).fit(X, same), X, same


def test_margins_are_those_of_scikit_learns_pipeline() -> None:
    svm, X, same = fitted()
    reference = make_pipeline(StandardScaler(), LinearSVC(C=0.5, dual=False, max_iter=20_000)).fit(X, same)
    new, _ = pairs(seed=1)
    np.testing.assert_allclose(svm.margins(new), reference.decision_function(new), atol=1e-6)


def test_contributions_add_up_to_the_margin() -> None:
    svm, X, _ = fitted()
    np.testing.assert_allclose(svm.contributions(X).sum(axis=1) + svm.intercept_, svm.margins(X))
    assert svm.margins(svm.mean_[None])[0] == pytest.approx(svm.intercept_)
    assert svm.weights_[:3].min() > np.abs(svm.weights_[3:]).mean(), "what was planted weighs more"


@pytest.mark.parametrize("value", [0.0, 1.0 / 3.0, 1e8])
def test_a_constant_column_adds_nothing_and_rounding_noise_is_no_spread(value: float) -> None:
    X, same = pairs()
    X[:, 5] = value * (1.0 + 1e-15 * np.random.default_rng(0).standard_normal(len(X)))
    svm = PairSVM().fit(X, same)
    assert svm.scale_[5] == 1.0
    assert np.abs(svm.contributions(X)[:, 5]).max() < 1e-6
    assert np.isfinite(svm.margins(X)).all()


def test_probabilities_are_a_logistic_curve_of_the_margins() -> None:
    svm, X, same = fitted()
    margins = svm.margins(X)
    assert svm.probabilities(margins) is None
    found = svm.calibrate(margins, same).probabilities(margins)
    curve = LogisticRegression().fit(margins[:, None], same)
    np.testing.assert_allclose(found, curve.predict_proba(margins[:, None])[:, 1])
    np.testing.assert_allclose(svm.probabilities([-1e9, 1e9]), [0.0, 1.0], atol=1e-12)


def test_c_is_chosen_by_folds_of_the_training_pairs() -> None:
    X, same = pairs()
    svm = PairSVM()
    folds = [f"split {index // 30}" for index in range(len(X))]
    accuracy = svm.search_c(X, same, folds)
    scaled = StandardScaler().fit_transform(X)
    group = np.array(folds)
    for strength, found in accuracy.items():
        right = 0
        for name in np.unique(group):
            inner = LinearSVC(C=strength, dual=False, max_iter=20_000).fit(scaled[group != name], same[group != name])
            right += int((inner.predict(scaled[group == name]) == same[group == name]).sum())
        assert found == pytest.approx(right / len(X))
    assert accuracy[svm.svm_.C] == max(accuracy.values())


def test_saved_and_read_back(tmp_path: Path) -> None:
    svm, X, same = fitted(weights_id="w1", recipe_hash="r1", sampling="{}")
    svm.trained_on = {"dataset": "aslan"}
    svm.calibrate(svm.margins(X), same).save(tmp_path / PAIRS_SVM)
    for folder in (tmp_path, tmp_path / PAIRS_SVM):
        back = PairSVM.load(folder, weights_id="w1", recipe_hash="r1")
        assert np.array_equal(back.margins(X), svm.margins(X))
        assert (back.layers, back.sampling, back.platt_) == (svm.layers, "{}", svm.platt_)
        assert back.columns[13] == ("prob", "root_dot")
        assert back.trained_on == {"dataset": "aslan"}
    with pytest.raises(InputDataError, match="other weights"):
        PairSVM.load(tmp_path, weights_id="w2")
    with pytest.raises(InputDataError, match="another recipe"):
        PairSVM.load(tmp_path, recipe_hash="r2")


def test_what_is_absent_or_damaged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="no classifier of pairs"):
        PairSVM.load(tmp_path)
    svm, X, same = fitted()
    svm.save(tmp_path / "a")
    PairSVM(2.0, layers=svm.layers).fit(X[:60], same[:60]).save(tmp_path / "b")
    shutil.copy(tmp_path / "b" / PAIRS_FILE, tmp_path / "a" / PAIRS_FILE)
    with pytest.raises(InputDataError, match="belongs to another SVM"):
        PairSVM.load(tmp_path / "a")
    config = json.loads((tmp_path / "b" / PAIRS_FILE).read_text())
    for change in ({"mean": config["mean"][:-1]}, {"layers": ["fc6"]}, {"scale": "x"}, {"platt": [1.0]}):
        (tmp_path / "b" / PAIRS_FILE).write_text(json.dumps({**config, **change}))
        with pytest.raises(InputDataError, match="classifier of pairs is damaged"):
            PairSVM.load(tmp_path / "b")
    (tmp_path / "b" / PAIRS_FILE).write_text("{")
    with pytest.raises(InputDataError, match="classifier of pairs is damaged"):
        PairSVM.load(tmp_path / "b")


def test_pairs_of_another_length_and_of_one_kind_are_refused() -> None:
    svm, X, _ = fitted()
    with pytest.raises(UsageError, match="pairs of 24 numbers"):
        svm.margins(X[:, :23])
    with pytest.raises(InputDataError, match="two classes"):
        PairSVM().fit(X, np.ones(len(X), dtype=bool))
    X[0, 0] = math.nan
    with pytest.raises(InputDataError, match="finite"):
        PairSVM().fit(X, np.arange(len(X)) % 2 == 0)
