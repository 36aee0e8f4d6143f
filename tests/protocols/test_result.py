"""A Result prints itself, and survives JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.metrics import ClassRow
from tubelet.protocols.result import Published, Result, results_in
from tubelet.protocols.video_level import classification_result


@pytest.fixture
def result() -> Result:
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.1, 0.7, 0.2], [0.1, 0.3, 0.6]])
    return classification_result(
        scores, ["walk", "run", "run", "run"], ["walk", "run", "jump"],
        protocol="linear SVM on fc6", video_ids=["a", "b", "c", "d"], top_k=(2,),
        settings={"C": 1.0}, provenance={"seed": 0}, notes=["tiny"],
        published=Published(0.823, "C3D, table 3", "paper", "full frame rate"),
    )  # fmt: skip


def test_it_prints_itself_beside_the_published_figure(result: Result) -> None:
    text = str(result)
    head = text.splitlines()[0]
    assert head.startswith("linear SVM on fc6: accuracy 75.0% (95% interval ")
    assert "percentile bootstrap over 4 videos) on 4 videos" in head
    assert head.endswith("; published: 82.3% [paper: C3D, table 3; full frame rate]")
    # bend 1 of 1, run 2 of 3, jump has no videos: (1 + 2/3) / 2.
    assert "  mean over classes 83.3% (" in text
    assert ", top-2 100.0%" in text
    assert "  run         3      2    67%       100%  jump" in text
    assert "  jump        0      0      -         0%  -" in text
    assert text.endswith("  note: tiny")


def test_it_survives_json(result: Result, tmp_path: Path) -> None:
    file = result.save(tmp_path / "result.json")
    read = Result.from_dict(json.loads(file.read_text(encoding="utf-8")))
    assert read == result
    assert str(read) == str(result)


def test_a_bare_result_prints_and_survives() -> None:
    bare = Result("p", "accuracy", 0.5, 2)
    assert str(bare) == "p: accuracy 50.0% on 2 videos"
    assert Result.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare


def test_it_is_frozen(result: Result) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.value = 1.0  # type: ignore[misc]


def test_an_exact_interval_says_so() -> None:
    interval = Interval(0.7, 1.0, 0.95, "exact binomial", "group", 12, 0)
    assert "exact binomial over 12 groups" in Result("p", "accuracy", 1.0, 40, interval).headline()


def test_a_published_figure_needs_source_and_tag() -> None:
    with pytest.raises(ValueError, match="needs its source"):
        Published(0.8, "")
    with pytest.raises(ValueError, match="tag must be"):
        Published(0.8, "somewhere", "memory")


def test_results_are_found_wherever_they_stand() -> None:
    one = {"protocol": "p", "metric": "accuracy", "value": 0.5, "n": 2, "settings": {"protocol": "x", "n": 1}}
    held = {"svm": one, "net": None, "more": [{"a": one}, 3, "text"], "summary": [{"protocol": "p", "mean": 0.5}]}
    assert [(keys, fields is one) for keys, fields in results_in(held)] == [
        (("svm",), True),
        (("more", "0", "a"), True),
    ]
    assert list(results_in(one)) == [((), one)]
    assert list(results_in([1, None, "x"])) == []


def test_what_stands_beside_a_mean_over_classes_is_the_mean_over_classes() -> None:
    line = Published(0.9, "somewhere")
    result = Result("p", "accuracy", 0.5, 4, class_mean=0.6, published=line)
    assert result.beside_published == (0.5, None)
    over = dataclasses.replace(line, metric="mean class accuracy")
    assert dataclasses.replace(result, published=over).beside_published == (0.6, None)


@pytest.mark.parametrize(("empty", "says"), [(1, "and 1 class without videos"), (2, "and 2 classes without videos")])
def test_classes_without_videos_are_counted(empty: int, says: str) -> None:
    rows = (ClassRow("walk", 4, 2, 0.5, 1.0, None), *(ClassRow(f"c{k}", 0, 0, None, None, None) for k in range(empty)))
    assert says in str(Result("p", "accuracy", 0.5, 4, per_class=rows))
