"""Tables that learn in each fold: beside others by hand, alone, in a comparison of streams; what is said."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines" / "idt"))
from made_vectors import CLASSES, NAMES, store

from tubelet.baselines.idt.encoding import Encoding
from tubelet.baselines.idt.vectors import TrajectoryVectors
from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import Fold, leave_one_group_out
from tubelet.descriptors.video_vectors import VectorTable, VideoVectors
from tubelet.errors import UsageError
from tubelet.protocols import comparable
from tubelet.protocols.descriptor_svm import SvmSettings, evaluate_descriptors, fold_decisions
from tubelet.protocols.stream_experiment import SvmRow
from tubelet.protocols.stream_svm import Described, svm_scores

ITEMS = tuple(Item(name, name.partition("/")[0], group=name.split("/")[1][:3]) for name in NAMES)
VIDEOS = Manifest("mine", Path("videos"), ITEMS, CLASSES)
FOLDS = list(leave_one_group_out(VIDEOS))


def plain(dimension: int = 6) -> VideoVectors:
    """An untrained network's descriptors."""
    rng = np.random.default_rng(1)
    mean = {label: rng.normal(size=dimension) for label in CLASSES}
    rows = normalize([mean[name.partition("/")[0]] + rng.normal(size=dimension) for name in NAMES]).astype(np.float32)
    facts = {"model": "c3d", "weights_sha256": "untrained:0", "recipe_hash": "r", "sampling": None}
    return VideoVectors("c3d", Path("c3d"), "fc6", np.array(NAMES), rows, facts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories whose classes are hard to tell."""
    return store(tmp_path_factory.mktemp("idt"), count=12).path


def idt(folder: Path, layer: str = "bow8", name: str = "idt") -> TrajectoryVectors:
    from tubelet.baselines.idt.store import TrajectoryStore

    return TrajectoryVectors(TrajectoryStore(folder), layer, name)


def by_hand(tables: list[VectorTable], fold: Fold, c: float) -> np.ndarray:
    """What each table's vectors side by side, as the fold's training videos make them, give in scikit-learn."""
    train, test = ([item.path for item in part.items] for part in (fold.train, fold.test))
    made = [table.for_training(train) for table in tables]
    x = {len(ids): np.hstack([table.take(ids) for table in made]).astype(np.float64) for ids in (train, test)}
    reference = LinearSVC(C=c, tol=1e-8, max_iter=100_000, random_state=0)
    reference.fit(x[len(train)], [item.label for item in fold.train.items])
    found: np.ndarray = reference.decision_function(x[len(test)])
    return found


@pytest.mark.parametrize("layer", ["bow8", "fisher2"])
def test_plain_and_learned_tables_side_by_side_are_scikit_learns(tmp_path: Path, folder: Path, layer: str) -> None:
    tables: list[VectorTable] = [plain(), idt(folder, layer)]
    found = evaluate_descriptors(FOLDS, tables, SvmSettings(0.5), tmp_path)
    for fold in FOLDS:
        kept = json.loads((tmp_path / "scores" / f"{fold.name}.json").read_text())
        assert kept["video_ids"] == [item.path for item in fold.test.items]
        assert np.array(kept["decisions"]) == pytest.approx(by_hand(tables, fold, 0.5), abs=5e-3)
    length = 6 + {"bow8": 40, "fisher2": 2 * 2 * (3 + 4 + 4 + 4 + 4)}[layer]
    assert found.result.protocol == f"linear SVM on c3d fc6 + idt {layer}, {length} numbers, leaving one group out"
    assert found.result.n == 24
    assert found.result.notes == (), "nothing was trained elsewhere, and nothing is unknown"


def test_a_name_that_was_given_is_in_the_label(tmp_path: Path, folder: Path) -> None:
    frames = replace(plain(1500), name="imagenet", path=Path("runs/frames"))
    tables: list[VectorTable] = [frames, idt(folder, "bow2")]
    found = evaluate_descriptors(FOLDS, tables, SvmSettings(), tmp_path)
    named = "linear SVM on imagenet (c3d fc6) + idt bow2, 1,510 numbers, leaving one group out"
    assert found.result.protocol == named


def test_z_scores_and_components_see_the_folds_vectors(tmp_path: Path, folder: Path) -> None:
    settings = SvmSettings(zscore=True, pca=3)
    table = idt(folder)
    given = [table.for_training([item.path for item in FOLDS[0].train.items])]
    expected = fold_decisions(FOLDS[0], given, settings)
    assert fold_decisions(FOLDS[0], [table], settings)["decisions"] == expected["decisions"]


def test_finished_folds_learn_nothing_again(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate_descriptors(FOLDS, [idt(folder)], SvmSettings(), tmp_path / "a").result

    def learn(*arguments: Any) -> Any:
        raise AssertionError("it is kept")

    monkeypatch.setattr(Encoding, "learn", learn)
    again = evaluate_descriptors(FOLDS, [idt(folder)], SvmSettings(2.0), tmp_path / "b").result
    assert again.n == first.n == 24, "another SVM, the same words"
    monkeypatch.setattr(TrajectoryVectors, "for_training", learn)
    kept = evaluate_descriptors(FOLDS, [idt(folder)], SvmSettings(), tmp_path / "a").result
    assert kept.predictions == first.predictions


def test_videos_in_which_nothing_moves_are_told(tmp_path: Path) -> None:
    still = store(tmp_path / "t", still=[NAMES[0], NAMES[5]])
    result = evaluate_descriptors(
        FOLDS, [TrajectoryVectors(still, "bow4", "idt")], SvmSettings(), tmp_path / "run"
    ).result
    assert result.notes == ("idt: 2 of 24 videos have a vector of zeros, which says nothing of them",)
    assert result.n == 24


def test_idt_stands_beside_idt_of_the_same_encoding(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(comparable.CLASSES, "ucf101", 3)
    ucf = Manifest("ucf101-split1", Path("videos"), ITEMS, CLASSES)
    fold = next(iter(leave_one_group_out(ucf)))
    bag = evaluate_descriptors([fold], [idt(folder)], SvmSettings(), tmp_path / "bag").result
    assert bag.published is not None
    assert (bag.published.value, bag.published.method) == (pytest.approx(0.762), "iDT bag of words + linear SVM")
    assert not [text for text in bag.published.differences if "encoding" in text]
    fisher = evaluate_descriptors([fold], [idt(folder, "fisher2")], SvmSettings(), tmp_path / "fisher").result
    assert fisher.published is not None
    assert (fisher.published.value, fisher.published.method) == (pytest.approx(0.859), "iDT + FV")
    both = evaluate_descriptors([fold], [plain(), idt(folder)], SvmSettings(), tmp_path / "both").result
    assert both.published is not None
    assert both.published.value == pytest.approx(0.904)
    assert "2 descriptor(s) side by side here, 4 there" in both.published.differences


def test_a_comparison_of_streams_joins_trajectories_and_networks(tmp_path: Path, folder: Path) -> None:
    table = plain()

    class Tables(Described):
        def of(self, name: str, fold: Fold) -> VectorTable | None:
            return table if name == "net" else super().of(name, fold)

    described = Tables([], [], tmp_path, {"words": idt(folder), "mixture": idt(folder, "fisher2", "mixture")})
    rows = (SvmRow("words", ("words",)), SvmRow("joined", ("net", "words")), SvmRow("both", ("words", "mixture")))
    found = svm_scores(rows, FOLDS, described, SvmSettings(0.5), VIDEOS, tmp_path)
    assert found["joined"].settings["layers"] == ["fc6", "bow8"]
    assert [found[row.name].settings["numbers"] for row in rows] == [40, 46, 40 + 76]
    assert found["words"].notes == ()
    expected = np.concatenate([by_hand([table, idt(folder)], fold, 0.5) for fold in FOLDS])
    assert found["joined"].scores == pytest.approx(expected, abs=5e-3)


def test_fewer_trajectories_than_words_is_told_with_a_remedy(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"5,000 words a channel cannot be learned from 216 .*take bow100 in place of bow"
    ):
        evaluate_descriptors(FOLDS, [idt(folder, "bow")], SvmSettings(), tmp_path)
