"""The mean over splits, by hand, and what it reads and writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tubelet.artifacts import write_json
from tubelet.protocols.comparable import Done, beside
from tubelet.protocols.result import Result
from tubelet.protocols.split_mean import mean_over_splits, read_results, write_means
from tubelet.protocols.video_level import classification_result

CLASSES = ("run", "walk")


def result(split: int, right: list[bool], *, groups: list[str] | None = None, compare: bool = True) -> Result:
    """Of a split whose videos are run, walk, run, walk ... and told right or wrong as given."""
    labels = [CLASSES[index % 2] for index in range(len(right))]
    rows = [[float((name == label) == told) for name in CLASSES] for label, told in zip(labels, right, strict=True)]
    found = classification_result(
        np.array(rows), labels, CLASSES, protocol="linear SVM on fc6",
        video_ids=[f"{split}-{index}" for index in range(len(right))], groups=groups, top_k=(),
        notes=[f"note {split}"],
    )  # fmt: skip
    done = Done("ucf101", str(split), "svm", "c3d", weights="Sports-1M", videos=len(right))
    return beside(found, done if compare else None)


def test_splits_count_alike_whatever_their_size() -> None:
    splits = {1: [result(1, [True] * 4)], 2: [result(2, [True, False])], 3: [result(3, [False, True, False, False])]}
    mean = mean_over_splits(splits)
    assert mean.value == pytest.approx((1 + 0.5 + 0.25) / 3)
    # Split 1: 1 and 1; split 2: 1 and 0; split 3: run 0 of 2, walk 1 of 2.
    assert mean.class_mean == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert (mean.n, mean.settings["splits"]) == (10, {"1": 1.0, "2": 0.5, "3": 0.25})
    assert mean.confusion == ((3, 2), (2, 3))
    assert mean.protocol == "linear SVM on fc6, mean of splits 1, 2, 3"
    assert mean.notes == ("split 1: note 1", "split 2: note 2", "split 3: note 3")
    assert mean.interval is not None
    assert mean.interval.low <= mean.value <= mean.interval.high
    assert mean.published is not None
    assert mean.published.value == pytest.approx(0.823)
    assert mean.published.differences[0] == "pre-training Sports-1M here, I380K, Sports-1M there"
    assert "split" not in mean.published.differences[0], "the mean of all three is what the paper prints"
    assert mean.published.differences[1] == "10 test videos here, 11213 there"


def test_some_splits_are_not_all() -> None:
    mean = mean_over_splits({1: [result(1, [True, True])], 3: [result(3, [True, False])]})
    assert mean.published is not None
    assert "the mean of splits 1, 3 here, the mean of splits 1 to 3 there" in mean.published.differences
    assert mean_over_splits({1: [result(1, [True, False], compare=False)]}).published is None


def test_seeds_are_averaged_video_by_video() -> None:
    mean = mean_over_splits(
        {1: [result(1, [True, False]), result(1, [True, True])], 2: [result(2, [False, False])] * 2}
    )
    assert mean.settings["splits"] == {"1": 0.75, "2": 0.0}
    assert mean.value == pytest.approx(0.375)
    assert mean.n == 4, "two videos of two splits, whatever the number of seeds"


def test_the_interval_draws_groups_over_all_splits() -> None:
    # Every group is in both splits and all right or all wrong there: only 12 units vary, not 48 videos.
    groups = [f"g{index // 2}" for index in range(24)]
    right = [index // 2 % 2 == 0 for index in range(24)]
    mean = mean_over_splits({1: [result(1, right, groups=groups)], 2: [result(2, right, groups=groups)]})
    assert mean.interval is not None
    assert (mean.interval.unit, mean.interval.n_units) == ("group", 12)
    # The binomial's standard deviation for 12 units is 0.144; for 48 it would be 0.072.
    assert mean.interval.high - mean.interval.low > 0.45


def test_the_mean_is_of_the_data_set_without_its_split() -> None:
    def named(split: int) -> Result:
        dataset = {"name": f"ucf101-split{split}", "classes": ["run", "walk"], "hash": f"h{split}", "fps": 25.0}
        return replace(result(split, [True, False]), provenance={"dataset": dataset})

    mean = mean_over_splits({1: [named(1)], 2: [named(2)]})
    assert mean.provenance["dataset"] == {"name": "ucf101", "classes": ["run", "walk"], "fps": 25.0}


def test_it_reads_runs_and_writes_a_page(tmp_path: Path) -> None:
    for split in (1, 2):
        for seed in (0, 1):
            kept = {"svm": result(split, [True, seed == 0]).to_dict(), "net": result(split, [False, True]).to_dict()}
            write_json(tmp_path / f"split{split}" / f"seed{seed}" / "result.json", kept)
    found = {split: read_results(tmp_path / f"split{split}") for split in (1, 2)}
    assert [len(heads) for heads in found.values()] == [2, 2]
    assert [one.value for one in found[1][0]] == [1.0, 0.5]
    means, report = write_means(tmp_path, "UCF101", [{split: found[split][head] for split in found} for head in (0, 1)])
    assert [mean.value for mean in means] == [0.75, 0.5]
    page = report.read_text(encoding="utf-8")
    for text in ("Beside the papers", "82.3", "C3D (1 net) + linear SVM", "split 2", "mean of splits 1, 2"):
        assert text in page
    assert [one["value"] for one in json.loads((tmp_path / "result.json").read_text())["means"]] == [0.75, 0.5]
    write_json(tmp_path / "alone" / "result.json", result(1, [True, False]).to_dict())
    assert [[one.value for one in head] for head in read_results(tmp_path / "alone")] == [[0.5]]
    seeds = {"seeds": {str(seed): {"svm": None, "net": result(1, [True, seed == 0]).to_dict()} for seed in (0, 1)}}
    write_json(tmp_path / "root" / "result.json", seeds)
    assert [[one.value for one in head] for head in read_results(tmp_path / "root")] == [[1.0, 0.5]]
