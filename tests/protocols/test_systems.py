"""Rows: seeds and splits put together, networks, and paired differences, against arithmetic and the bootstrap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from protocols.made_results import CLASSES, first, made
from tubelet.models.registry import create_model
from tubelet.protocols.bootstrap import paired_interval
from tubelet.protocols.systems import UNKNOWN, Network, mean_of_seeds, network_of, paired, system_of


def test_seeds_are_averaged_and_their_confusions_summed() -> None:
    groups = [f"g{index}" for index in range(12)]
    a, b = made(first(9), groups=groups), made(first(6), groups=groups, notes=["a remark"])
    mean = mean_of_seeds((a, b))
    assert mean.value == pytest.approx((9 + 6) / 24)
    # Of each class four videos: 3 and 2 right.
    assert mean.class_mean == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert np.array(mean.confusion).sum() == 24
    assert [row.correct for row in mean.per_class] == [5, 5, 5]
    assert mean.notes == ("a remark",)
    assert mean.interval is not None
    assert mean.interval.n_units == 12
    # Videos 0-5 right in both, 6-8 in one, 9-11 in none: the standard error of the mean of 12 is 0.124.
    spread = np.std([1.0] * 6 + [0.5] * 3 + [0.0] * 3) / np.sqrt(12)
    assert mean.interval.high - mean.interval.low == pytest.approx(2 * 1.96 * spread, rel=0.1)
    assert mean_of_seeds((a,)) is a


def test_a_pair_is_compared_on_the_videos_that_both_have() -> None:
    a = system_of("r", [(made(first(6, 20)),)], [])
    b_result = made([True] * 4 + [False] * 4 + [True] * 12)
    b = system_of("r", [(b_result,)], [])
    pair = paired(a, b)
    assert pair is not None
    right, others = np.arange(20) < 6, np.array([True] * 4 + [False] * 4 + [True] * 12)
    assert pair.difference.accuracy == pytest.approx((16 - 6) / 20)
    assert pair.difference.interval == paired_interval(right, others)
    assert (pair.n, pair.missing) == (20, 0)
    fewer = system_of("r", [(replace(b_result, predictions=b_result.predictions[1:]),)], [])
    pair = paired(a, fewer)
    assert pair is not None
    assert (pair.n, pair.missing) == (19, 1)
    assert pair.difference.accuracy == pytest.approx((15 - 5) / 19)
    half = system_of("r", [(replace(b_result, predictions=b_result.predictions[10:]),)], [])
    assert paired(a, half) is None, "half of the videos are others"
    other = [replace(each, label="walk") for each in b_result.predictions]
    assert paired(a, system_of("r", [(replace(b_result, predictions=tuple(other)),)], [])) is None
    assert paired(a, system_of("r", [(replace(b_result, predictions=()),)], [])) is None


def test_order_of_videos_does_not_matter_and_seeds_count_in_parts() -> None:
    a, b = made(first(6)), made(first(9))
    turned = replace(b, predictions=b.predictions[::-1])
    pair = paired(system_of("r", [(a,)], []), system_of("r", [(a, turned)], []))
    assert pair is not None
    # The second seed has three more right: 1.5 videos of 12 on average.
    assert pair.difference.accuracy == pytest.approx(1.5 / 12)
    half = (np.arange(12) < 6).astype(float)
    expected = paired_interval(half, (half + (np.arange(12) < 9)) / 2)
    assert pair.difference.interval == expected


def test_splits_count_alike() -> None:
    few, many = (made(first(3, 6)),), (made(first(12, 12)),)
    worse = (made(first(0, 6)),), (made(first(12, 12)),)
    a = system_of("r", list(worse), [], made(first(6)))
    b = system_of("r", [few, many], [], made(first(6)))
    pair = paired(a, b)
    assert pair is not None
    assert pair.difference.accuracy == pytest.approx((3 / 6 - 0 + 0) / 2), "not 3 of 18 videos"
    right = np.concatenate([np.arange(6) < 3, np.ones(12)])
    parts = np.repeat([0, 1], [6, 12])
    expected = paired_interval(np.concatenate([np.zeros(6), np.ones(12)]), right, classes=parts)
    assert pair.difference.interval == expected
    assert paired(a, system_of("r", [few], [])) is None


def test_a_network_is_counted_on_itself() -> None:
    network = network_of("c3d_small", {"depth": 1, "clip_length": 1}, 7)
    model = create_model("c3d_small", num_classes=7, depth=1, clip_length=1)
    assert network.parameters == sum(each.numel() for each in model.parameters())
    assert network.input == (3, 1, 56, 56)
    assert network_of("no_such_network", {}, 7) == Network("no_such_network")
    assert network_of("c3d", {"no_such_option": 1}, 7).parameters is None


def test_the_data_set_is_that_of_the_record() -> None:
    assert system_of("r", [(made(first(3), dataset="ucf101-split2"),)], []).dataset == "ucf101"
    bare = replace(made(first(3)), provenance={})
    assert system_of("r", [(bare,)], []).dataset == UNKNOWN
    compared = replace(bare, settings={"compared": {"dataset": "hmdb51"}})
    assert system_of("r", [(compared,)], []).dataset == "hmdb51"


def test_wrong_videos_come_surest_first_and_once() -> None:
    result = made(first(0))
    scores = dict(zip((each.video_id for each in result.predictions), np.linspace(0.1, 0.9, 12), strict=True))
    graded = tuple(replace(each, score=float(scores[each.video_id])) for each in result.predictions)
    system = system_of("r", [(replace(result, predictions=graded), result)], [])
    wrong = system.wrong(CLASSES[0], CLASSES[1])
    assert wrong[0].video_id in {"jump/0.avi", "jump/3.avi", "jump/6.avi", "jump/9.avi"}
    assert len(wrong) == 4
    assert [each.score for each in wrong] == sorted((each.score for each in wrong), reverse=True)
    assert system.wrong(CLASSES[1], CLASSES[0]) == []
