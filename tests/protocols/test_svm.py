"""The SVM, against scikit-learn's own classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.svm import LinearSVC

from tubelet.datasets.manifest import Item
from tubelet.errors import InputDataError, UsageError
from tubelet.protocols.svm import CONFIG_FILE, WEIGHTS_FILE, DescriptorSVM, untaught

NAMES = np.array(["walk", "bend", "run", "jack"])
Data = tuple[np.ndarray, list[str]]


def blobs(classes: int, n: int = 80, seed: int = 0, spread: float = 3.0) -> Data:
    X, y = make_blobs(n, centers=classes, n_features=12, cluster_std=spread, random_state=seed)
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    return X.astype(np.float32), NAMES[y].tolist()


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_planes_and_predictions_are_scikit_learns(classes: int, strength: float) -> None:
    X, y = blobs(classes)
    svm = DescriptorSVM(strength).fit(X, y)
    reference = LinearSVC(C=strength, dual="auto", random_state=0, max_iter=20_000).fit(X.astype(np.float64), y)
    assert svm.classes_ == tuple(reference.classes_)
    assert svm.predict(X).tolist() == reference.predict(X.astype(np.float64)).tolist()
    distances = reference.decision_function(X.astype(np.float64))
    if classes == 2:  # scikit-learn gives one column, of the second class
        distances = np.stack([-distances, distances], axis=1)
    assert svm.decision_function(X) == pytest.approx(distances, abs=1e-9)
    assert svm.decision_function(X).shape == (80, classes)
    assert svm.notes_ == ()


def test_two_classes_keep_their_names_apart() -> None:
    X = np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.0], [-0.9, 0.1]])
    svm = DescriptorSVM().fit(X, ["zebra", "zebra", "ant", "ant"])
    assert svm.predict([[2.0, 0.0], [-2.0, 0.0]]).tolist() == ["zebra", "ant"]
    assert (svm.decision_function([[2.0, 0.0]]) @ [1, 1]).tolist() == [0.0]


def test_a_solver_that_gives_up_is_a_note_not_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    X, y = blobs(3, spread=8.0)
    svm = DescriptorSVM(1e4, max_iter=1).fit(X, y)
    assert svm.notes_ == ("the SVM solver stopped at 1 iterations without converging",)
    assert len(recwarn) == 0


@pytest.mark.parametrize("classes", [2, 4])
def test_saving_and_loading_changes_no_bit(tmp_path: Path, classes: int) -> None:
    X, y = blobs(classes)
    svm = DescriptorSVM(0.5, layer="fc7", weights_id="w" * 64, recipe_hash="r" * 64).fit(X, y)
    svm.save(tmp_path, {"dataset": "weizmann"})
    assert sorted(file.name for file in tmp_path.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]
    read = DescriptorSVM.load(tmp_path, weights_id="w" * 64, recipe_hash="r" * 64)
    assert np.array_equal(read.decision_function(X), svm.decision_function(X))
    assert (read.classes_, read.C, read.layer, read.weights_id) == (svm.classes_, 0.5, "fc7", "w" * 64)
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["provenance"]["dataset"] == "weizmann"


def test_it_refuses_other_weights_and_recipes(tmp_path: Path) -> None:
    X, y = blobs(2)
    DescriptorSVM(weights_id="old weights", recipe_hash="old recipe").fit(X, y).save(tmp_path)
    DescriptorSVM.load(tmp_path)
    with pytest.raises(InputDataError, match=r"belongs to other weights.*old weights.*new weights"):
        DescriptorSVM.load(tmp_path, weights_id="new weights")
    with pytest.raises(InputDataError, match="belongs to another recipe"):
        DescriptorSVM.load(tmp_path, weights_id="old weights", recipe_hash="new recipe")


def test_an_absent_or_damaged_svm_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"no SVM in this folder.*no svm\.json"):
        DescriptorSVM.load(tmp_path)
    X, y = blobs(2)
    DescriptorSVM().fit(X, y).save(tmp_path)
    weights = (tmp_path / WEIGHTS_FILE).read_bytes()
    (tmp_path / WEIGHTS_FILE).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(InputDataError, match=r"damaged.*not the one"):
        DescriptorSVM.load(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(weights)
    for text in ("{", "[]", '{"C": 1}'):
        (tmp_path / CONFIG_FILE).write_text(text)
        with pytest.raises(InputDataError, match="damaged"):
            DescriptorSVM.load(tmp_path)


def test_nothing_is_pickled(tmp_path: Path) -> None:
    X, y = blobs(2)
    DescriptorSVM().fit(X, y).save(tmp_path)
    assert all(b"sklearn" not in file.read_bytes().split(b"provenance")[0] for file in tmp_path.iterdir())


def test_c_is_chosen_by_leaving_out_groups() -> None:
    X, y = blobs(3, 60, seed=4, spread=6.0)
    groups = [f"g{index % 4}" for index in range(60)]
    svm = DescriptorSVM()
    found = svm.search_c(X, y, groups, (0.01, 1.0, 100.0))
    for strength, accuracy in found.items():
        reference = cross_val_predict(
            LinearSVC(C=strength, dual="auto", random_state=0, max_iter=20_000),
            X.astype(np.float64), y, groups=groups, cv=LeaveOneGroupOut(),
        )  # fmt: skip
        assert accuracy == pytest.approx(np.mean(reference == y))
    best = max(found.values())
    assert min(strength for strength, accuracy in found.items() if accuracy == best) == svm.C


def test_choosing_c_needs_groups_and_survives_a_class_in_one_group() -> None:
    X, y = blobs(2, 20)
    with pytest.raises(InputDataError, match="at least two groups"):
        DescriptorSVM().search_c(X, y, ["g"] * 20)
    # Each group holds one class: no fold can be learned from, so nothing is right.
    found = DescriptorSVM().search_c(X, y, y, (1.0,))
    assert found == {1.0: 0.0}


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="at least two classes"):
        DescriptorSVM().fit(np.ones((3, 2)), ["a", "a", "a"])
    with pytest.raises(InputDataError, match="not finite"):
        DescriptorSVM().fit(np.array([[1.0], [np.nan]]), ["a", "b"])
    with pytest.raises(UsageError, match="2 vectors but 1 labels"):
        DescriptorSVM().fit(np.ones((2, 2)), ["a"])
    with pytest.raises(UsageError, match="shape"):
        DescriptorSVM().fit(np.ones(2), ["a", "b"])
    with pytest.raises(UsageError, match="not been fitted"):
        DescriptorSVM().predict(np.ones((1, 2)))
    with pytest.raises(UsageError, match="not been fitted"):
        DescriptorSVM().save(tmp_path)
    with pytest.raises(UsageError, match="C must be positive"):
        DescriptorSVM(0.0)
    X, y = blobs(2)
    with pytest.raises(UsageError, match="fitted on vectors of 12 values, these have 3"):
        DescriptorSVM().fit(X, y).predict(np.ones((1, 3)))


def test_videos_of_classes_that_nobody_taught() -> None:
    items = (
        Item("a.avi", "judo"), Item("b.avi", "polo", more_labels=("run",)), Item("c.avi", "polo"), Item("d.avi", "run"),
    )  # fmt: skip
    assert untaught(items, {"run", "walk"}) == ["judo", "polo"]
    assert untaught(items[1::2], {"run"}) == [], "any of a video's labels would be right"
