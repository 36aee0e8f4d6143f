"""Compactness: planted descriptors whose answer is known, against scikit-learn used directly; ranks, leaks, caches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.video_vectors import ENCODING, NO_NETWORK, VideoVectors
from tubelet.errors import UsageError
from tubelet.protocols import compactness, comparable
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.compact_curve import Curve, Point, Variant
from tubelet.protocols.compact_mean import mean_compactness
from tubelet.protocols.compactness import CompactSettings, evaluate_compactness
from tubelet.protocols.compactness_report import write_compactness
from tubelet.protocols.result import Result, results_in

UNTRAINED = {"model": "c3d", "weights_sha256": "untrained:0", "sampling": '{"policy":"dense","stride_frames":8}'}
CLASSES = tuple(f"c{n:02d}" for n in range(20))
NAMES = [f"{part}/{label}_g{group:02d}" for part, count in (("train", 6), ("test", 2)) for label in CLASSES
         for group in range(count)]  # fmt: skip


def label_of(name: str) -> str:
    return name.partition("/")[2][:3]


def manifest(names: Sequence[str], name: str = "mine") -> Manifest:
    items = tuple(Item(path, label_of(path), group=path) for path in names)
    return Manifest(name, Path("videos"), items, CLASSES)


def fold(name: str = "mine") -> Fold:
    train, test = ([one for one in NAMES if one.startswith(part)] for part in ("train", "test"))
    return Fold("held-out", manifest(train, name), manifest(test, name))


def planted(name: str, directions: int, *, length: int = 60, seed: int = 0) -> VideoVectors:
    """Classes that so many directions tell apart, each a class or a class and its opposite; a little noise in all.

    With fewer components the classes of the last directions fall together.
    """
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(length, length)))[0]
    means = np.zeros((len(CLASSES), length))
    for place in range(len(CLASSES)):
        means[place, place % directions] = (1.0 - 0.02 * (place % directions)) * (1 if place < directions else -1)
    rows = means[[CLASSES.index(label_of(one)) for one in NAMES]] + 0.01 * rng.normal(size=(len(NAMES), length))
    order = np.argsort(NAMES)
    vectors = (rows @ turn)[order].astype(np.float32)
    return VideoVectors(name, Path(name), "fc6", np.array(NAMES)[order], vectors, dict(UNTRAINED))


def by_hand(table: VideoVectors, components: int | None, one: Fold) -> float:
    train, test = (table.take([item.path for item in part.items]) for part in (one.train, one.test))
    if components is not None:
        learned = PCA(components, svd_solver="full").fit(train)
        train, test = learned.transform(train), learned.transform(test)
    svm = LinearSVC(C=10.0).fit(train, [item.label for item in one.train.items])
    return float(np.mean(svm.predict(test) == [item.label for item in one.test.items]))


NARROW, WIDE = planted("narrow", 10), planted("wide", 20, seed=1)
SETTINGS = CompactSettings((10, 20, 50), svm_c=10.0)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return evaluate_compactness([fold()], [NARROW, WIDE], SETTINGS, tmp_path_factory.mktemp("both"))


def test_the_planted_dimension_is_picked(both: Any) -> None:
    narrow, wide = both.curves
    for curve, table, serves in ((narrow, NARROW, 10), (wide, WIDE, 20)):
        assert curve.whole.result.value == by_hand(table, None, fold()) > 0.95
        for components in SETTINGS.dims:
            assert curve.at(components, "float32").result.value == by_hand(table, components, fold()), components
        assert curve.fewest.variant.components == serves
        assert curve.smallest.variant == Variant(60, serves, "int8")
        assert curve.smallest.variant.bytes_per_video == serves
    assert (narrow.whole.loss, narrow.whole.loss_interval) == (0.0, None)
    lossy = wide.at(10, "float32")
    assert lossy.loss > 0.1, "ten of its twenty directions do not tell its classes apart"
    assert lossy.loss == pytest.approx(wide.whole.result.value - lossy.result.value)
    assert lossy.loss_interval.low < lossy.loss < lossy.loss_interval.high
    assert not lossy.good
    text = str(both)
    assert "narrow: 10 principal components, int8, 10 bytes a video for 240, " in text
    assert "wide: 20 principal components, int8, 20 bytes a video for 240, " in text


def test_one_percent_lost_is_too_much() -> None:
    result = Result("p", "accuracy", 0.5, 300)
    whole = Variant(60, None, "float32")
    lost = {Variant(60, 10, "float32"): 3, Variant(60, 20, "float32"): 2, replace(whole, bits="int8"): 0, whole: 0}
    points = [Point(variant, result, videos / 300, None) for variant, videos in lost.items()]
    curve = Curve("t", "fc6", 60, tuple(points))
    assert curve.smallest.variant == Variant(60, None, "int8"), "60 bytes are fewer than 20 numbers of 4"
    assert curve.fewest.variant == Variant(60, 20, "float32")


def test_a_choice_that_changes_nothing_says_so_and_one_near_chance_is_none() -> None:
    whole, few = Variant(25_000, None, "float32"), Variant(25_000, 10, "int8")

    def interval(low: float, high: float) -> Interval:
        return Interval(low, high, level=0.95, method="exact", unit="video", n_units=60, draws=1000)

    def curve(low: float, high_loss: float, *, unchanged: bool) -> Curve:
        full = Result("p", "accuracy", 0.08, 60, interval(low, 1.0), classes=CLASSES)
        point = Point(few, full, 0.0, interval(-0.01, high_loss), unchanged=unchanged)
        return Curve("t", "bow", 25_000, (point, Point(whole, full, 0.0, None)))

    same = curve(0.06, 0.0604, unchanged=True)
    assert same.choice() == (
        "t: 10 principal components, int8, 10 bytes a video for 100,000, right on the same videos as all numbers in "
        "float32; a loss of up to 6.0 points is not excluded"
    )
    other = curve(0.06, 0.012, unchanged=False)
    assert other.choice().endswith("loses nothing (95% interval of the loss -1.0 to 1.2, which does not exclude 1)")
    assert same.chosen is same.points[0]
    guess = curve(0.05, 0.012, unchanged=False)  # of twenty classes: 5 %
    assert (guess.near_chance, guess.chosen) == (True, None)
    assert guess.choice() == (
        "t: none is chosen, all 25,000 numbers are near chance: 8.0% (5.0% to 100.0%), guessing 5.0%"
    )
    assert not curve(0.051, 0.012, unchanged=False).near_chance


def test_near_chance_is_told_on_the_page_and_nothing_is_marked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = normalize(rng.normal(size=(len(NAMES), 12))).astype(np.float32)
    table = VideoVectors("noise", Path("noise"), "fc6", np.array(sorted(NAMES)), rows, dict(UNTRAINED))
    found = evaluate_compactness([fold()], [table], CompactSettings((4,), ("float32",)), tmp_path)
    assert " *\n" not in str(found)
    assert "noise: none is chosen, all 12 numbers are near chance: " in str(found)
    assert json.loads(json.dumps(found.to_dict()))["tables"]["noise"]["near_chance"] is True
    page = write_compactness(tmp_path, found).read_text(encoding="utf-8")
    assert "near chance" in page
    assert "noise: none is chosen" in page
    assert "4 bytes" not in page


def test_bytes_are_counted() -> None:
    assert Variant(4096, None, "float32").bytes_per_video == 16384
    assert Variant(4096, None, "float32").bytes_once == 0
    assert Variant(4096, None, "int8").bytes_once == 2 * 4096 * 4, "a lowest value and a step for each number"
    assert Variant(4096, 50, "int8").bytes_per_video == 50
    assert Variant(4096, 50, "int8").bytes_once == 51 * 4096 * 4 + 2 * 50 * 4


def test_dimensions_above_the_rank_of_a_fold_are_skipped(tmp_path: Path) -> None:
    labels = ("c00", "c01")
    names = {group: [f"train/{label}_{group}{n}" for label in labels for n in range(count)]
             for group, count in (("a", 3), ("b", 5), ("c", 6))}  # fmt: skip
    every = [one for group in names.values() for one in group]
    folds = [Fold(group, manifest([one for one in every if one not in left]), manifest(left))
             for group, left in names.items()]  # fmt: skip
    rows = normalize(np.random.default_rng(0).normal(size=(len(every), 40))).astype(np.float32)
    table = VideoVectors("t", Path("t"), "", np.array(sorted(every)), rows, dict(UNTRAINED))
    found = evaluate_compactness(folds, [table], CompactSettings((2, 15, 16, 17, 500)), tmp_path)
    (curve,) = found.curves
    # Without c there are 3 x 2 + 5 x 2 = 16 training videos, which span 15 directions.
    assert [one.variant.components for one in curve.points] == [2, 2, 15, 15, None, None]
    assert [(one.dims, one.fold, one.n_train, one.rank) for one in curve.skipped] == [
        (16, "c", 16, 15), (17, "c", 16, 15), (500, "c", 16, 15),
    ]  # fmt: skip
    assert "t: 16, 17, 500 principal components, because the 16 training videos of c span 15 directions" in str(found)
    assert curve.whole.result.n == 28
    assert curve.whole.result.protocol == "linear SVM on t, 40 numbers, leaving one group out"


def test_test_videos_change_nothing_that_is_learned(tmp_path: Path) -> None:
    table = planted("t", 10, length=24)  # more videos than numbers: nothing is turned, so bits can be compared
    changed = table.vectors.copy()
    other = NAMES[-1]
    changed[table.video_ids == other] = -5.0
    settings = CompactSettings((4, 8))
    kept = []
    for place, rows in (("a", table.vectors), ("b", changed)):
        evaluate_compactness([fold()], [replace(table, vectors=rows)], settings, tmp_path / place)
        with np.load(tmp_path / place / "scores" / "t" / "held-out.npz") as archive:
            ids = json.loads(str(archive["facts"]))["video_ids"]
            kept.append({name: archive[name] for name in archive.files if name != "facts"})
    same = np.array(ids) != other
    assert sorted(kept[0]) == sorted(
        f"{what}_{bits}" for what in ("all", "pca4", "pca8") for bits in ("float32", "int8")
    )
    for name, scores in kept[0].items():
        assert np.array_equal(scores[same], kept[1][name][same]), name
        assert not np.array_equal(scores[~same], kept[1][name][~same]), name


class Learned:
    """A table whose vectors are made from training videos, as iDT's words are."""

    def __init__(self, table: VideoVectors) -> None:
        self.table, self.asked = table, list[list[str]]()
        self.name, self.path, self.layer, self.hash = "learned", Path("l"), "bow", "0" * 64
        self.video_ids, self.facts, self.failed, self.length = table.video_ids, dict(UNTRAINED), dict[str, str](), 60

    def for_training(self, video_ids: Sequence[str]) -> VideoVectors:
        self.asked.append(list(video_ids))
        return self.table


def test_tables_that_learn_are_given_training_videos_only(tmp_path: Path, both: Any) -> None:
    learned = Learned(NARROW)
    found = evaluate_compactness([fold()], [learned, NARROW, WIDE], SETTINGS, tmp_path)
    assert learned.asked == [[item.path for item in fold().train.items]]
    assert [curve.name for curve in found.curves] == ["learned", "narrow", "wide"]
    for curve, plain in zip(found.curves, (both.curves[0], *both.curves), strict=True):
        assert [one.result.value for one in curve.points] == [one.result.value for one in plain.points]


def test_finished_folds_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate_compactness([fold()], [NARROW], SETTINGS, tmp_path)
    kept = tmp_path / "scores" / "narrow" / "held-out.npz"

    def fit(*arguments: Any) -> Any:
        raise AssertionError("it is in the folder")

    with monkeypatch.context() as patch:
        patch.setattr(compactness, "fitted_decisions", fit)
        again = evaluate_compactness([fold()], [NARROW], SETTINGS, tmp_path)
    assert again.to_dict()["tables"] == first.to_dict()["tables"]
    kept.write_bytes(kept.read_bytes()[:100])
    assert evaluate_compactness([fold()], [NARROW], SETTINGS, tmp_path).csv() == first.csv()


def test_videos_that_a_table_lacks_are_left_out_of_all(tmp_path: Path) -> None:
    here = WIDE.video_ids != NAMES[-1]
    some = replace(WIDE, video_ids=WIDE.video_ids[here], vectors=WIDE.vectors[here])
    found = evaluate_compactness([fold()], [NARROW, some], CompactSettings((5,), ("float32",)), tmp_path)
    assert [one.video_id for one in found.failed] == [NAMES[-1]]
    assert [curve.whole.result.n for curve in found.curves] == [39, 39]
    assert "1 of 40 test videos have no descriptor and are not counted" in found.notes


def test_the_papers_figures_stand_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(comparable.CLASSES, "ucf101", len(CLASSES))
    words = {"kind": "bow", "words": 5000, "sample": 100_000}
    idt = replace(WIDE, name="idt", facts={"model": "idt", NO_NETWORK: True, ENCODING: words})
    settings = CompactSettings((10, 50), svm_c=10.0)
    found = evaluate_compactness([fold("ucf101-split1")], [NARROW, idt], settings, tmp_path)
    c3d, bags = found.curves
    lines = [(one.variant.key, one.result.published) for one in c3d.points]
    assert [(key, line.value) for key, line in lines if line is not None] == [
        ("pca10_float32", 0.528), ("pca10_int8", 0.528), ("pca50_float32", 0.726), ("pca50_int8", 0.726),
        ("all_float32", 0.823), ("all_int8", 0.823),
    ]  # fmt: skip
    assert "bits int8 here, none there" in lines[1][1].differences
    assert bags.at(10, "float32").result.published.value == pytest.approx(0.32)
    assert bags.whole.result.published.value == pytest.approx(0.762)
    assert "in print: linear SVM on narrow, 10 principal components: 52.8%" in str(found)
    report = write_compactness(tmp_path, found)
    kept = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    rows = [Result.from_dict(fields) for _, fields in results_in(kept)]
    assert len(rows) == 2 * 3 * 2, "tables, numbers, kinds of number"
    assert len({row.protocol for row in rows}) == len(rows)
    assert rows[0].protocol == "linear SVM on narrow, 10 principal components"
    assert rows[1].settings["bits"] == "int8"
    assert [bool(row.predictions) for row in rows].count(True) == 4, "the whole one and the chosen one of each table"
    lines = (tmp_path / "compactness.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(rows)
    assert lines[1].startswith(f"narrow,10,10,float32,40,{4 * 11 * 60},")
    text = report.read_text(encoding="utf-8")
    for words in (
        "10 bytes a video for 240",
        "iDT, 500 principal components",
        "computed",
        "5,000 words of each channel",
    ):
        assert words in text
    assert (tmp_path / "plots" / "compactness.png").read_bytes().startswith(b"\x89PNG")


def test_the_mean_of_splits(tmp_path: Path) -> None:
    one = fold()
    parts = {}
    for split in (1, 2):
        test = one.test.items[:20] if split == 1 else one.test.items
        part = Fold(f"split{split}", one.train, replace(one.test, items=test, name=f"ucf101-split{split}"))
        parts[split] = evaluate_compactness(
            [part], [WIDE], CompactSettings((10,) if split == 1 else (10, 20), svm_c=10.0), tmp_path / str(split)
        )
    mean = mean_compactness(parts)
    (curve,) = mean.curves
    assert [point.variant.key for point in curve.points] == ["pca10_float32", "pca10_int8", "all_float32", "all_int8"]
    for point in curve.points:
        each = [part.curves[0].at(point.variant.components, point.variant.bits) for part in parts.values()]
        assert point.result.value == pytest.approx(np.mean([other.result.value for other in each]))
        assert point.loss == pytest.approx(np.mean([other.loss for other in each]))
    assert curve.at(10, "int8").loss_interval is not None
    assert (mean.dataset, mean.title) == ("ucf101", "mean of splits 1, 2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dims": (0, 10)}, "numbers of components cannot be 0, 10"),
        ({"dims": (10, 10)}, "give different numbers"),
        ({"bits": ("int8",)}, "losses are measured against the descriptor in float32"),
        ({"bits": ("float32", "int4")}, "numbers are not stored as int4"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CompactSettings(**change)


def test_two_tables_need_two_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several tables are called narrow; name them, such as --table c3d=PATH"):
        evaluate_compactness([fold()], [NARROW, NARROW], SETTINGS, tmp_path)
