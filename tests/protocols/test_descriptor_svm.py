"""SVM on tables side by side, against scikit-learn used directly; leaks, missing videos, finished folds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import LinearSVC

from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import Fold, leave_one_out
from tubelet.descriptors.video_vectors import VideoVectors
from tubelet.errors import InputDataError, UsageError
from tubelet.protocols import comparable, descriptor_svm
from tubelet.protocols.descriptor_svm import (
    SvmSettings,
    evaluate_descriptors,
    fitted_decisions,
    side_by_side,
)
from tubelet.protocols.table_notes import table_notes

CLASSES = ("Run", "Sit", "Walk")
NAMES = [f"{label}/v_{label}_g{group:02d}_c01.avi" for label in CLASSES for group in range(1, 9)]


def manifest(names: list[str], name: str = "ucf101-split1") -> Manifest:
    items = tuple(Item(path, path.partition("/")[0], group=path.split("_")[2]) for path in names)
    return Manifest(name, Path("videos"), items, CLASSES)


def fold(name: str = "ucf101-split1") -> Fold:
    test = [path for path in NAMES if path.split("_")[2] in ("g01", "g02", "g03")]
    return Fold("split1", manifest([path for path in NAMES if path not in test], name), manifest(test, name))


def vectors(name: str, dimension: int, seed: int, names: list[str] = NAMES, **facts: Any) -> VideoVectors:
    rng = np.random.default_rng(seed)
    mean = {label: rng.normal(size=dimension) for label in CLASSES}
    rows = np.array([mean[path.partition("/")[0]] + 1.2 * rng.normal(size=dimension) for path in NAMES])
    kept = sorted(names)
    rows = normalize(rows)[[NAMES.index(path) for path in kept]].astype(np.float32)
    return VideoVectors(name, Path(name), "fc6", np.array(kept), rows, dict(facts))


UNTRAINED = {"model": "c3d", "weights_sha256": "untrained:0", "sampling": '{"policy":"dense","stride_frames":8}'}
ONE, TWO = vectors("one", 6, 0, **UNTRAINED), vectors("two", 4, 1, **UNTRAINED)


@pytest.mark.parametrize(
    "settings", [SvmSettings(0.5), SvmSettings(zscore=True), SvmSettings(pca=3), SvmSettings(10, zscore=True, pca=4)]
)
def test_predictions_are_scikit_learns(tmp_path: Path, settings: SvmSettings) -> None:
    one = fold()
    found = evaluate_descriptors([one], [ONE, TWO], settings, tmp_path)
    stages: list[Any] = [StandardScaler()] if settings.zscore else []
    stages += [PCA(settings.pca)] if settings.pca else []
    reference = make_pipeline(*stages, LinearSVC(C=settings.svm_c))
    x = {part: np.hstack([t.take([i.path for i in part.items]) for t in (ONE, TWO)]) for part in (one.train, one.test)}
    reference.fit(x[one.train], [item.label for item in one.train.items])
    expected = reference.predict(x[one.test])
    assert [each.predicted for each in found.result.predictions] == expected.tolist()
    assert found.result.value == pytest.approx(np.mean(expected == [item.label for item in one.test.items]))
    kept = json.loads((tmp_path / "scores" / "split1.json").read_text())
    assert np.array(kept["decisions"]) == pytest.approx(reference.decision_function(x[one.test]), abs=2e-3)


def test_three_nets_are_12288_numbers_each_of_length_one() -> None:
    wide = [VideoVectors(f"net{n}", Path("t"), "fc6", np.array(["a"]), np.full((1, 4096), 1 / 64, np.float32))
            for n in range(3)]  # fmt: skip
    joined = side_by_side(wide, ["a"])
    assert joined.shape == (1, 12288)
    assert np.linalg.norm(joined.reshape(3, 4096), axis=1) == pytest.approx([1, 1, 1])


def test_what_is_fitted_never_sees_the_test_videos() -> None:
    rng = np.random.default_rng(2)
    train, test = rng.normal(size=(12, 5)), rng.normal(size=(4, 5))
    labels = ["Run", "Sit", "Walk"] * 4
    settings = SvmSettings(zscore=True, pca=2)
    decisions, _ = fitted_decisions(train, labels, test, CLASSES, settings)
    far = np.concatenate([test[:2], 1e6 * test[2:]])
    again, _ = fitted_decisions(train, labels, far, CLASSES, settings)
    assert np.array_equal(decisions[:2], again[:2]), "other test videos change nothing"


def test_the_papers_line_stands_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = evaluate_descriptors([fold()], [ONE, TWO], SvmSettings(), tmp_path / "part").result
    assert part.published is None, "three classes are not UCF101"
    monkeypatch.setitem(comparable.CLASSES, "ucf101", 3)
    result = evaluate_descriptors([fold()], [ONE, TWO], SvmSettings(), tmp_path / "a").result
    assert result.published is not None
    assert result.published.value == pytest.approx(0.823)
    assert "2 descriptor(s) side by side here, 1 there" in result.published.differences
    assert "pre-training nothing: random weights here, I380K, Sports-1M there" in result.published.differences
    assert "9 test videos here, 3783 there" in result.published.differences
    foreign = vectors("idt", 4, 1)
    both = evaluate_descriptors([fold()], [ONE, ONE, ONE, foreign], SvmSettings(), tmp_path / "b").result
    assert both.published is not None
    assert both.published.value == pytest.approx(0.904), "three nets and a table called idt"
    assert both.notes == ("idt: what made them is not known, so a leak would not be seen",)
    own = evaluate_descriptors([fold("mine")], [ONE], SvmSettings(), tmp_path / "c").result
    assert own.published is None


def test_missing_videos_are_left_out_and_told(tmp_path: Path) -> None:
    lost_test, lost_train = "Run/v_Run_g01_c01.avi", "Sit/v_Sit_g08_c01.avi"
    some = vectors("some", 4, 1, [path for path in NAMES if path not in (lost_test, lost_train)], **UNTRAINED)
    some.failed[lost_test] = "no frame"
    found = evaluate_descriptors([fold()], [ONE, some], SvmSettings(), tmp_path)
    assert [(each.video_id, each.error) for each in found.failed] == [
        (lost_test, "no descriptor in some: no frame"),
        (lost_train, "no descriptor in some: it is not in the table"),
    ]
    assert found.result.n == 8
    assert "1 of 9 test videos have no descriptor and are not counted" in found.result.notes
    others = vectors("others", 4, 1, **UNTRAINED)
    elsewhere = VideoVectors("others", Path("t"), "fc6", np.char.add("x/", others.video_ids), others.vectors, UNTRAINED)
    with pytest.raises(InputDataError, match=r"not one training video .*the table 'x/Run"):
        evaluate_descriptors([fold()], [elsewhere], SvmSettings(), tmp_path / "other")


def test_finished_folds_are_not_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folds = [Fold(group, manifest([p for p in NAMES if group not in p]), manifest([p for p in NAMES if group in p]))
             for group in ("g01", "g02", "g03")]  # fmt: skip
    calls = []
    real = fitted_decisions

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(descriptor_svm, "fitted_decisions", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate_descriptors(folds, [ONE], SvmSettings(), tmp_path)
    found = evaluate_descriptors(folds, [ONE], SvmSettings(), tmp_path)
    assert len(calls) == 4, "one fold, the interrupted one, and the two that were left"
    assert found.result.n == 9
    assert found.result.published is None, "folds of groups are no official split"


def test_a_class_without_training_videos_is_out_of_reach(tmp_path: Path) -> None:
    one = fold()
    train = one.train.select(keep=lambda item: item.label != "Sit")
    result = evaluate_descriptors([Fold("split1", train, one.test)], [ONE], SvmSettings(), tmp_path).result
    assert "no training video shows Sit: its test videos cannot be right" in result.notes
    assert result.confusion[1][1] == 0


def test_groups_that_the_network_saw_are_refused_or_marked(trained_run: Any, tmp_path: Path) -> None:
    from tubelet.datasets.catalog import open_dataset
    from tubelet.descriptors.video_vectors import open_vectors

    table = open_vectors(trained_run.folder / "descriptors")
    videos = open_dataset("folder", trained_run.videos)
    train, test = videos.select(split="train"), videos.select(split="test")
    clean = evaluate_descriptors([Fold("f", train, test)], [table], SvmSettings(), tmp_path / "a").result
    assert clean.notes == ()
    turned = [Fold("f", test, train)]
    with pytest.raises(UsageError, match="the weights were trained on 20 of the 20 test groups"):
        evaluate_descriptors(turned, [table], SvmSettings(), tmp_path / "b")
    marked = evaluate_descriptors(turned, [table], SvmSettings(), tmp_path / "b", allow_leak=True).result
    assert marked.notes[0] == "descriptors: the weights were trained on 20 of the 20 test groups"
    unknown = VideoVectors(
        "t", table.path, "fc6", table.video_ids, table.vectors, {**table.facts, "model_source": None}
    )
    said = evaluate_descriptors(turned, [unknown], SvmSettings(), tmp_path / "c").result
    assert said.notes == ("t: what its network was trained on is not known, so a leak would not be seen",)
    shutil.copytree(trained_run.folder / "model", tmp_path / "model")
    record = json.loads((tmp_path / "model" / "provenance.json").read_text())
    record["converted_from"] = {"what": "C3D, Sports-1M"}
    del record["trained_on"]
    (tmp_path / "model" / "provenance.json").write_text(json.dumps(record))
    facts = {**table.facts, "model_source": str(tmp_path / "model")}
    known = VideoVectors("t", table.path, "fc6", table.video_ids, table.vectors, facts)
    (note,) = table_notes(turned, [known], allow=False)
    assert note.startswith(
        "t: its network came trained (C3D, Sports-1M), and which videos it saw is not recorded, so a"
    )
    other = VideoVectors("t", table.path, "fc6", table.video_ids, table.vectors, {**facts, "weights_sha256": "other"})
    (note,) = table_notes(turned, [other], allow=False)
    assert note == "t: what its network was trained on is not known, so a leak would not be seen"


def scenes(dimension: int) -> tuple[Manifest, VideoVectors]:
    """24 videos of three classes, without groups, as YUPENN's are; C3D's fc6 in so many numbers."""
    videos = Manifest("yupenn", Path("x"), tuple(Item(path, path.partition("/")[0]) for path in sorted(NAMES)), CLASSES)
    return videos, vectors("c3d", dimension, 3, **UNTRAINED, recipe="c3d_sports1m")


@pytest.mark.parametrize("dimension", [6, 200])
@pytest.mark.parametrize("settings", [SvmSettings(), SvmSettings(2, zscore=True), SvmSettings(pca=4)])
def test_each_video_left_out_is_a_plain_fit_on_all_others(
    tmp_path: Path, dimension: int, settings: SvmSettings
) -> None:
    videos, table = scenes(dimension)
    found = evaluate_descriptors(list(leave_one_out(videos)), [table], settings, tmp_path).result
    wide, labels = table.vectors.astype(np.float64), np.array([item.label for item in videos.items])
    assert [each.video_id for each in found.predictions] == [item.path for item in videos.items]
    for row, each in enumerate(found.predictions):
        others = np.arange(len(labels)) != row
        stages: list[Any] = [StandardScaler()] if settings.zscore else []
        stages += [PCA(settings.pca, svd_solver="full")] if settings.pca else []
        plain = make_pipeline(*stages, LinearSVC(C=settings.svm_c, tol=1e-8, max_iter=100_000))
        plain.fit(wide[others], labels[others])
        expected = plain.decision_function(wide[row : row + 1])[0]
        assert each.predicted == CLASSES[int(expected.argmax())]
        assert each.score == pytest.approx(expected.max(), abs=5e-3)


def test_the_turned_vectors_of_a_fold_give_the_same_numbers_to_rounding(tmp_path: Path) -> None:
    videos, table = scenes(200)
    folds = list(leave_one_out(videos))
    evaluate_descriptors(folds, [table], SvmSettings(), tmp_path)
    for fold, file in zip(folds, sorted((tmp_path / "scores").iterdir()), strict=True):
        train, test = (table.take([item.path for item in part.items]) for part in (fold.train, fold.test))
        plain, _ = fitted_decisions(train, [str(item.label) for item in fold.train.items], test, CLASSES, SvmSettings())
        assert np.array(json.loads(file.read_text())["decisions"]) == pytest.approx(plain, abs=1e-9)


def test_scenes_stand_beside_their_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos, table = scenes(6)
    monkeypatch.setitem(comparable.CLASSES, "yupenn", 3)
    result = evaluate_descriptors(list(leave_one_out(videos)), [table], SvmSettings(), tmp_path / "a").result
    assert result.protocol == "linear SVM on c3d fc6, 6 numbers, leaving one video out"
    assert result.published is not None
    assert (result.published.value, result.published.source) == (
        pytest.approx(0.981), "C3D (Tran et al., ICCV 2015), table 5",
    )  # fmt: skip
    assert result.published.differences == (
        "pre-training nothing: random weights here, I380K, Sports-1M there", "24 test videos here, 420 there",
    )  # fmt: skip
    one = Fold("held-out", videos.select(keep=list(range(1, 24))), videos.select(keep=[0]))
    assert evaluate_descriptors([one], [table], SvmSettings(), tmp_path / "b").result.published is None
    joined = list(leave_one_out(videos, {NAMES[0]: "1", NAMES[1]: "1"}))
    result = evaluate_descriptors(joined, [table], SvmSettings(), tmp_path / "c").result
    assert result.published is not None
    assert "leave one group out here, leave one video out there" in result.published.differences


def test_others_of_the_group_in_training_are_told(tmp_path: Path) -> None:
    whole = manifest(NAMES, "mine")
    result = evaluate_descriptors(list(leave_one_out(whole)), [ONE], SvmSettings(), tmp_path).result
    told = "24 of 24 test videos have others of their group among the training videos of their fold"
    assert told in result.notes
    assert result.interval is not None
    assert result.interval.unit == "video", "8 groups are too few to be drawn"


def test_a_table_that_grew_is_fitted_again(tmp_path: Path) -> None:
    less = vectors("one", 6, 0, [path for path in NAMES if "g08" not in path], **UNTRAINED)
    first = evaluate_descriptors([fold()], [less], SvmSettings(), tmp_path).result
    again = evaluate_descriptors([fold()], [ONE], SvmSettings(), tmp_path).result
    fresh = evaluate_descriptors([fold()], [ONE], SvmSettings(), tmp_path / "fresh").result
    assert again.predictions == fresh.predictions
    assert again.predictions != first.predictions


def test_too_many_components_are_refused() -> None:
    with pytest.raises(UsageError, match="give --pca 5 or less"):
        fitted_decisions(np.ones((12, 5)), ["Run", "Sit", "Walk"] * 4, np.ones((1, 5)), CLASSES, SvmSettings(pca=6))
