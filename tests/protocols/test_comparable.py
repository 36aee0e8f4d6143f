"""Which published line stands beside a figure of ours, and what is said to differ; by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.datasets.manifest import Item, Manifest
from tubelet.protocols import comparable
from tubelet.protocols.comparable import (
    ALL_SPLITS,
    Done,
    beside,
    closest,
    compared,
    done_by_streams,
    done_in_round,
    figures_are_hits,
    official,
    seen_before,
    seen_by,
)
from tubelet.protocols.presets import round_settings
from tubelet.protocols.result import Result
from tubelet.protocols.score_file import ScoreFile

C3D = Done(
    "ucf101", ALL_SPLITS, "svm", "c3d", options={"pca": None}, weights="I380K, Sports-1M", views="dense",
    recipe="c3d_sports1m", videos=11213,
)  # fmt: skip
TSN = Done(
    "ucf101", "1", "network", "tsn_bn_inception", options={"segments": 3, "consensus": "average"}, weights="ImageNet",
    views="25x10", recipe="tsn_rgb", videos=3783,
)  # fmt: skip


def line(done: Done) -> tuple[float, str, tuple[str, ...]]:
    match = closest(done)
    assert match is not None
    return match[0].value, match[0].table, match[1]


def test_the_papers_own_setting_differs_in_nothing() -> None:
    assert line(C3D) == (82.3, "c3d_3", ())
    assert line(replace(C3D, tables=3)) == (85.2, "c3d_3", ())
    assert line(replace(C3D, network="c3d + idt", tables=4)) == (90.4, "c3d_3", ())
    assert line(TSN) == (85.7, "tsn_3", ())


@pytest.mark.parametrize(
    ("changes", "value", "said"),
    [
        ({"network": "c3d_small"}, 82.3, "network c3d_small here, c3d there"),
        ({"weights": "none"}, 82.3, "pre-training none here, I380K, Sports-1M there"),
        ({"split": "1", "videos": 3783}, 82.3, "split 1 here, the mean of splits 1 to 3 there"),
        ({"recipe": "c3d_channel_mean"}, 82.3, "preprocessing c3d_channel_mean here, c3d_sports1m there"),
        ({"views": "t3d"}, 82.3, "clips t3d here, dense there"),
        ({"fps": 5.0}, 82.3, "5 frames a second here, the videos' own there"),
        ({"videos": 90}, 82.3, "90 test videos here, 11213 there"),
        ({"tables": 2}, 82.3, "2 descriptor(s) side by side here, 1 there"),
        ({"options": {"pca": 20}}, 82.3, "pca 20 here, none there"),
    ],
)
def test_what_differs_is_said_and_nothing_else(changes: dict[str, Any], value: float, said: str) -> None:
    assert line(replace(C3D, **changes)) == (value, "c3d_3", (said,))


def test_options_of_the_row_choose_it() -> None:
    assert line(replace(C3D, options={"pca": 100}))[0] == 75.6
    assert line(replace(TSN, options={"segments": 3, "consensus": "max"}))[0] == 85.0
    assert line(replace(TSN, options={"segments": 1, "consensus": "average"}))[0] == 84.5
    temporal = {"modality": "flow", "network": "two_stream_temporal", "weights": "none", "recipe": "two_stream_flow"}
    for stacking, value in (("optical_flow", 81.0), ("trajectory", 80.2), ("bidirectional", 81.2)):
        assert line(replace(TSN, **temporal, options={"flow_fields": 10, "stacking": stacking})) == (
            value, "two_stream_1b", (),
        )  # fmt: skip
    spatial = replace(TSN, network="two_stream_spatial", recipe="two_stream_rgb")
    assert line(replace(spatial, options={"dropout": 0.5, "train_layers": "head"}))[0] == 72.7
    assert line(replace(spatial, options={"dropout": 0.9, "train_layers": "all"}))[0] == 72.8


def test_fusions_are_told_apart_by_their_streams_and_way() -> None:
    pair = "two_stream_spatial + two_stream_temporal"
    both = Done("hmdb51", ALL_SPLITS, "fusion", pair, "flow + rgb", {"by": "svm"}, "ImageNet", "25x10")
    assert line(both)[0] == 59.4
    assert line(replace(both, options={"by": "softmax"}))[0] == 58.0
    three = replace(both, network="tsn_bn_inception", modality="rgb + warped_flow + flow", options={"segments": 3})
    assert line(three)[0] == 69.4
    assert closest(replace(both, modality="rgb")) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "weizmann"}, {"network": "res3d_18", "protocol": "network", "modality": "flow"},
        {"network": "squeezenet"}, {"modality": "flow"}, {"protocol": "fusion"},
        {"dataset": "hmdb51", "network": "c3d"},  # whose 51.6 is from memory
        {"classes": 5},  # of 101
    ],
)  # fmt: skip
def test_where_nothing_is_comparable_nothing_is_shown(changes: dict[str, Any]) -> None:
    assert closest(replace(C3D, **changes)) is None


def test_clips_and_sports1m_have_lines_of_their_own() -> None:
    clips = replace(C3D, split="1", protocol="network", metrics=("clip hit@1", "clip accuracy"), videos=None)
    assert line(clips)[0] == 80.19
    sports = Done("sports1m", "", "network", "p3d_199", metrics=("video hit@5",))
    assert line(sports) == (87.4, "p3d_2", ())
    assert closest(sports) != closest(replace(sports, metrics=("video hit@1",)))


def test_a_result_carries_the_line_and_what_was_compared() -> None:
    bare = Result("linear SVM on fc6", "accuracy", 0.5, 3783)
    assert beside(bare, None) is bare
    found = beside(bare, replace(C3D, split="1", videos=3783))
    assert found.published is not None
    assert (found.published.value, found.published.tag) == (pytest.approx(0.823), "paper")
    text = str(found)
    assert "; published: 82.3% (C3D (1 net) + linear SVM) [paper: C3D (Tran et al., ICCV 2015), table 3]" in text
    assert "\n  unlike it: split 1 here, the mean of splits 1 to 3 there" in text
    assert compared(found) == replace(C3D, split="1", videos=3783)
    again = Result.from_dict(found.to_dict())
    assert again == found
    assert compared(again) == compared(found)
    nothing = beside(bare, replace(C3D, dataset="weizmann"))
    assert nothing.published is None
    assert compared(bare) is None


def test_only_official_splits_are_compared() -> None:
    assert official("ucf101-split2") == ("ucf101", "2")
    assert official("hmdb51-split3") == ("hmdb51", "3")
    assert official("sports1m") == ("sports1m", "")
    for name in ("ucf101", "frames_5fps", "ucf101-split4", "weizmann", "my-ucf101-split1"):
        assert official(name) is None


def test_a_round_says_what_it_did() -> None:
    settings = round_settings("c3d_small")
    items = (Item("a.avi", "Run"), Item("b.avi", "Walk"))
    test = Manifest("ucf101-split1", Path("videos"), items, ("Run", "Walk"), fps=5.0)
    done = done_in_round(settings, test, "svm", 2, "none")
    assert done is not None
    assert (done.dataset, done.split, done.network, done.recipe, done.views) == (
        "ucf101", "1", "c3d_small", "c3d_small", "dense",
    )  # fmt: skip
    assert (done.weights, done.videos, done.classes, done.fps, done.modality) == ("none", 2, 2, 5.0, "rgb")
    assert done.options["train_layers"] == "all"
    assert done_in_round(settings, replace(test, name="own"), "svm", 2, "none") is None


def scores(name: str, **settings: Any) -> ScoreFile:
    own = {"part": "test", "model": "tsn_bn_inception", "stream": "rgb", "options": {"segments": 3}, **settings}
    table = np.array([[0.75, 0.25]])
    views = np.array([25])
    return ScoreFile(
        ("a",), ("x", "y"), np.array([0]), ("g",), table, table, views, None, own, {"dataset": {"name": name}}
    )


def test_score_files_say_what_they_hold() -> None:
    alone = done_by_streams([scores("ucf101-split1", seen_before="ImageNet")], "scores")
    assert alone == Done(
        "ucf101", "1", "network", "tsn_bn_inception", "rgb", {"segments": 3}, "ImageNet", videos=1, classes=1
    )  # fmt: skip
    pair = [scores("ucf101-split1"), scores("ucf101-split1", stream="warped flow", options={"segments": 7})]
    both = done_by_streams(pair, "scores")
    assert both is not None
    assert (both.protocol, both.modality, both.options) == ("fusion", "rgb + warped_flow", {"by": "scores"})
    assert done_by_streams([scores("mine")], "scores") is None
    assert done_by_streams([scores("ucf101-split1", part="train")], "scores") is None
    pooled = {name: {"weights_sha256": name} for name in ("fold1", "fold2")}
    assert done_by_streams([scores("ucf101-split1", folds=pooled)], "scores") is None, "folds of one's own"
    assert done_by_streams([scores("ucf101-split1", folds={"test": {}})], "scores") is not None


def test_sports1m_is_compared_by_hits_and_with_all_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (figures_are_hits("sports1m"), figures_are_hits("ucf101-split1"), figures_are_hits("mine")) == (
        True,
        False,
        False,
    )
    few = done_by_streams([scores("sports1m", model="deepvideo_slow")], "softmax")
    assert few is not None
    assert (few.metrics, few.classes, closest(few)) == (("video hit@1",), 2, None), "two of 487 classes"
    monkeypatch.setitem(comparable.CLASSES, "sports1m", 2)
    found = closest(few)
    assert found is not None
    assert (found[0].value, found[0].metric, found[0].views) == (60.9, "video hit@1", "deepvideo")


def test_weights_say_what_they_saw() -> None:
    first = {"dataset": "kinetics400"}
    second = {"dataset": "ucf101-split1", "before": first}
    assert seen_by({"trained_on": second}) == "kinetics400, ucf101-split1"
    assert seen_before({"trained_on": second}) == "kinetics400"
    assert seen_before({"trained_on": first, "started_from": None}) == "none"
    assert seen_before({"trained_on": first, "started_from": "runs/x"}) == "", "weights that say nothing"
    assert seen_by({"converted_from": {"what": "C3D, Sports-1M"}}) == "C3D, Sports-1M"
    assert seen_by(None) == seen_before(None) == ""
