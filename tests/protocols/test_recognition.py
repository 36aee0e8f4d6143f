"""Rounds put together: every video scored once, by a net that never saw its group; figures checked by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import InputDataError
from tubelet.protocols import comparable, recognition
from tubelet.protocols.presets import round_settings
from tubelet.protocols.recognition import leave_one_out, over_seeds, train_and_test, with_seed
from tubelet.protocols.rounds import RoundScores, RoundSettings

CLASSES = ("run", "walk")
SETTINGS = round_settings("c3d_small")


def manifest(*actors: str) -> Manifest:
    items = [Item(f"{actor}_{name}.avi", name, group=actor) for actor in actors for name in CLASSES]
    return Manifest("acts", Path("videos"), tuple(items), CLASSES, group_rule="actors")


Rounds = Callable[..., RoundScores]


def scored(
    test: Manifest, right: set[str], *, svm: bool = True, failed: tuple[tuple[str, str], ...] = ()
) -> RoundScores:
    """Scores as of a net that is right on these videos and takes the others for the other class."""
    rows = []
    for item in test.items:
        rank = [name == item.label for name in CLASSES]
        rows.append([float(is_own == (item.path in right)) for is_own in rank])
    table = np.array(rows).reshape(len(rows), len(CLASSES))
    return RoundScores(
        tuple(item.path for item in test.items), tuple(str(item.label) for item in test.items), test.item_groups,
        table, 2 * table - 1 if svm else None, failed,
    )  # fmt: skip


def test_leave_one_out_never_tests_on_a_group_it_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = manifest("ann", "bob", "c/é")
    calls: list[tuple[set[str], set[str], Path]] = []

    def run_round(
        training: Manifest, test: Manifest, settings: RoundSettings, folder: Path, **more: object
    ) -> RoundScores:
        calls.append((set(training.groups), set(test.groups), folder))
        assert more == {"device": "cpu", "overwrite": True}
        return scored(test, {"ann_run.avi", "ann_walk.avi", "bob_run.avi"})

    monkeypatch.setattr(recognition, "run_round", run_round)
    found = leave_one_out(whole, SETTINGS, tmp_path, overwrite=True)
    assert [(train, test) for train, test, _ in calls] == [
        ({"bob", "c/é"}, {"ann"}),
        ({"ann", "c/é"}, {"bob"}),
        ({"ann", "bob"}, {"c/é"}),
    ]
    folders = [folder.relative_to(tmp_path).as_posix() for _, _, folder in calls]
    assert folders[:2] == ["ann", "bob"]
    assert "/" not in folders[2]
    assert folders[2].startswith("c_é-"), "a name that had to be changed is told apart by its hash"
    assert found.net.value == pytest.approx(3 / 6)
    assert found.net.n == 6
    assert found.net.confusion == ((2, 1), (2, 1))
    assert found.svm is not None
    assert found.svm.value == pytest.approx(3 / 6)
    assert found.results == (found.svm, found.net), "the paper's protocol first"
    assert "3 folds" in str(found.net.settings["protocol"])
    kept = json.loads((tmp_path / "result.json").read_text())
    assert kept["net"]["value"] == pytest.approx(0.5)
    assert kept == json.loads(json.dumps(found.to_dict()))


def test_without_an_svm_there_is_one_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        recognition, "run_round", lambda training, test, *rest, **more: scored(test, {"bob_run.avi"}, svm=False)
    )
    found = train_and_test(manifest("ann"), manifest("bob"), SETTINGS, tmp_path)
    assert found.svm is None
    assert found.results == (found.net,)
    assert found.to_dict()["svm"] is None
    assert found.net.value == 0.5


def test_failures_of_all_folds_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ("ann_run.avi", "no frame")

    def run_round(training: Manifest, test: Manifest, *rest: object, **more: object) -> RoundScores:
        if test.groups == ("ann",):  # not one video of this fold can be read
            return RoundScores((), (), (), np.empty((0, 0)), None, (broken, ("ann_walk.avi", "audio only")))
        return scored(test, {"bob_run.avi", "bob_walk.avi"}, failed=(broken,))

    monkeypatch.setattr(recognition, "run_round", run_round)
    found = leave_one_out(manifest("ann", "bob"), SETTINGS, tmp_path)
    assert found.failed == (broken, ("ann_walk.avi", "audio only"))
    assert (found.net.n, found.net.value) == (2, 1.0)
    assert found.svm is not None
    assert found.to_dict()["failed"][0] == {"path": "ann_run.avi", "error": "no frame"}


def test_no_readable_test_video_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = RoundScores((), (), (), np.empty((0, 0)), None, (("a", "broken"),))
    monkeypatch.setattr(recognition, "run_round", lambda *arguments, **more: empty)
    with pytest.raises(InputDataError, match=r"no test video could be read.*failed\.jsonl"):
        train_and_test(manifest("ann"), manifest("bob"), SETTINGS, tmp_path)


def test_seeds_are_averaged_and_videos_are_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = manifest(*(f"actor{number}" for number in range(8)))  # 16 videos
    paths = [item.path for item in test.items]
    right = {0: set(paths[:12]), 1: set(paths[:16]), 2: set(paths[:8])}
    results = []
    for seed in (0, 1, 2):
        monkeypatch.setattr(
            recognition, "run_round", lambda training, test, *rest, seed=seed, **more: scored(test, right[seed])
        )
        results.append(train_and_test(manifest("ann"), test, with_seed(SETTINGS, seed), tmp_path).net)
    summary = over_seeds((0, 1, 2), results)
    assert summary.values == (12 / 16, 1.0, 8 / 16)
    assert summary.mean == pytest.approx(0.75)
    # Each video's mean correctness: 8 videos 1, 4 videos 2/3, 4 videos 1/3. The bootstrap's interval is close to
    # mean ± 1.96 standard errors.
    each = np.repeat([1, 2 / 3, 1 / 3], [8, 4, 4])
    half = 1.96 * each.std() / 4
    assert summary.interval.low == pytest.approx(0.75 - half, abs=0.03)
    assert summary.interval.high == pytest.approx(0.75 + half, abs=0.03)
    line = summary.headline()
    assert "mean over seeds 0, 1, 2: 75.0%" in line
    assert line.endswith("each: 75.0%, 100.0%, 50.0%")
    assert json.loads(json.dumps(summary.to_dict()))["values"] == [0.75, 1.0, 0.5]


def test_with_ten_groups_the_groups_are_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = manifest(*(f"actor{number}" for number in range(12)))  # 24 videos, two of each actor
    right = {item.path for item in test.items if item.own_group < "actor5"}  # whole actors right or wrong
    monkeypatch.setattr(recognition, "run_round", lambda training, test, *rest, **more: scored(test, right))
    results = [train_and_test(manifest("ann"), test, with_seed(SETTINGS, seed), tmp_path).net for seed in (0, 1)]
    interval = over_seeds((0, 1), results).interval
    assert (interval.unit, interval.n_units) == ("group", 12)
    assert interval == results[0].interval, "two equal seeds are as sure as one"


def test_another_seed_changes_nothing_else() -> None:
    other = with_seed(SETTINGS, 5)
    assert other.train.seed == 5
    assert replace(other, train=SETTINGS.train) == SETTINGS


def test_an_official_split_stands_beside_the_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "run_round", lambda training, test, *rest, **more: scored(test, set()))
    monkeypatch.setitem(comparable.CLASSES, "ucf101", 2)
    train, test = (replace(manifest(actor), name="ucf101-split1") for actor in ("ann", "bob"))
    found = train_and_test(train, test, SETTINGS, tmp_path)
    assert found.svm is not None
    assert found.svm.published is not None
    assert found.svm.published.value == pytest.approx(0.823), "C3D, table 3: linear SVM on fc6"
    assert found.svm.published.differences == (
        "network c3d_small here, c3d there",
        "split 1 here, the mean of splits 1 to 3 there",
        "pre-training none here, I380K, Sports-1M there",
        "preprocessing c3d_small here, c3d_sports1m there",
        "2 test videos here, 3783 there",
    )
    assert found.net.published is not None
    assert found.net.published.source == "mmaction2's page of C3D", "the paper prints no network of its own"
    whole = leave_one_out(replace(manifest("ann", "bob"), name="weizmann"), SETTINGS, tmp_path)
    assert whole.net.published is None
