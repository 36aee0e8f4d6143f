"""The table of streams and SVMs: rows, weights, differences and the sentence, against arithmetic on made-up scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from scipy.special import softmax

from tubelet.errors import InputDataError
from tubelet.protocols import comparable
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.fusion import Difference, fuse
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.stream_experiment import StreamExperiment
from tubelet.protocols.streams import StreamRound, pooled_scores, seconds_left
from tubelet.protocols.streams_open import Feature, Stream
from tubelet.protocols.streams_result import StreamsResult, compare_streams, difference_sentence

NAMES = ("rgb", "flow")
LABELS = np.arange(24) % 3


class _Input:
    shape = (3, 1, 8, 8)


class _Info:
    parameters, macs, input = 271_234, 1_499_000_000, _Input


def stream(name: str) -> Stream:
    return Stream(name, cast(Any, None), cast(Any, None), cast(Any, _Info))


STREAMS = [stream(name) for name in NAMES]


def scored(seed: int, gain: float) -> ScoreFile:
    scores = np.random.default_rng(seed).normal(size=(24, 3)) + gain * np.eye(3)[LABELS]
    ids = tuple(f"v{i}" for i in range(24))
    groups = tuple(f"g{i // 2}" for i in range(24))
    return ScoreFile(
        ids, ("bend", "jack", "run"), LABELS, groups, scores, softmax(scores, axis=1), np.ones(24, np.int64),
        settings={"weights_sha256": str(seed)},
    )  # fmt: skip


POOLED = {"rgb": scored(0, 0.5), "flow": scored(1, 2.0)}


def experiment(**changes: Any) -> StreamExperiment:
    network = {"model": "c3d_small", "recipe": "c3d_small", "train": {}}
    values: Mapping[str, Any] = {
        "name": "two", "source": "a test", "dataset": "folder", "primary": ("flow", "rgb"),
        "streams": [{"name": name, **network} for name in NAMES],
        "fusions": [
            {"name": "sum", "streams": NAMES, "weights": (1, 1.5)},
            {"name": "mean", "streams": NAMES, "by": "softmax"},
        ],
    }  # fmt: skip
    return StreamExperiment.model_validate({**values, **changes})


def compared(pooled: Mapping[str, ScoreFile] = POOLED, **changes: Any) -> StreamsResult:
    rounds = [StreamRound(name, fold, None, (), 60.0, 2.0) for name in NAMES for fold in ("ann", "bob")]
    return compare_streams(experiment(**changes), STREAMS, rounds, pooled, settings={"a": 1}, provenance={"b": 2})


def accuracy(scores: Any) -> float:
    return float((scores.argmax(1) == LABELS).mean())


def test_the_papers_stand_beside_official_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(comparable.CLASSES, "ucf101", 3)
    settings = {
        "rgb": {"part": "test", "stream": "rgb", "model": "tsn_bn_inception", "seen_before": "ImageNet"},
        "flow": {"part": "test", "stream": "flow", "model": "tsn_bn_inception", "seen_before": "ImageNet"},
    }
    official = {
        name: replace(file, settings={**settings[name], "folds": {"test": {}}},
                      provenance={"dataset": {"name": "ucf101-split1"}})
        for name, file in POOLED.items()
    }  # fmt: skip
    found = compared(official)
    assert [row.published is not None for row in found.rows] == [True, True, True, True]
    text = str(found)
    for row in found.rows:
        assert row.published is not None
        assert f"published beside {row.protocol}: {row.published}" in text
    own = {name: replace(file, settings={**file.settings, "folds": {"ann": {}, "bob": {}}})
           for name, file in official.items()}  # fmt: skip
    assert "published" not in str(compared(own)), "other folds than the official parts"


def test_every_row_is_what_arithmetic_and_evaluate_fuse_give() -> None:
    found = compared()
    rgb, flow = POOLED["rgb"], POOLED["flow"]
    assert [row.protocol for row in found.rows] == ["rgb", "flow", "sum", "mean"]
    assert [row.value for row in found.rows] == pytest.approx(
        [accuracy(rgb.scores), accuracy(flow.scores), accuracy(rgb.scores + 1.5 * flow.scores),
         accuracy(rgb.probabilities + flow.probabilities)]
    )  # fmt: skip
    for index, (by, weights) in enumerate((("scores", (1, 1.5)), ("softmax", (1, 1)))):
        alone = fuse([rgb, flow], NAMES, weights=weights, by=(cast(Any, by),))
        row = found.fusions[index]
        assert (row.value, row.interval, row.class_mean, row.class_mean_interval, row.confusion) == (
            alone.fused[0].value, alone.fused[0].interval, alone.fused[0].class_mean,
            alone.fused[0].class_mean_interval, alone.fused[0].confusion,
        )  # fmt: skip
    by_scores = fuse([rgb, flow], NAMES, weights=(1, 1.5))
    assert [(row.value, row.interval) for row in found.streams] == [
        (row.value, row.interval) for row in by_scores.streams
    ]
    # evaluate fuse says second minus first: flow - rgb, which here is the primary too.
    assert found.differences[0] == by_scores.differences[0]


def test_differences_are_named_once_and_the_primary_first() -> None:
    best = "flow"  # of the two: its labels weigh four times as much
    pairs = [(one.second, one.first) for one in compared().differences]
    assert pairs == [("flow", "rgb"), ("sum", best), ("mean", best)]
    pairs = [(one.second, one.first) for one in compared(primary=("rgb", "flow")).differences]
    assert pairs == [("rgb", "flow"), ("sum", best), ("mean", best)], "as asked for, and not the other way round again"
    pairs = [(one.second, one.first) for one in compared(primary=("sum", "flow")).differences]
    assert pairs == [("sum", "flow"), ("flow", "rgb"), ("mean", "flow")]
    none = compared(primary=None)
    assert not none.primary
    assert "these videos" not in str(none)


def test_the_table_says_sizes_times_and_weights() -> None:
    found = compared()
    lines = str(found).splitlines()
    assert lines[0] == "two: 24 videos, 95% intervals over groups"
    assert lines[1].split() == [
        "parameters",
        "MACs",
        "input",
        "training",
        "scoring",
        "accuracy",
        "mean",
        "over",
        "classes",
    ]
    assert lines[2].split()[:9] == ["rgb", "271", "k", "1.5", "G", "3×1×8×8", "2:00", "4", "s"]
    assert "  sum = rgb + 1.5 flow (before softmax)" in lines
    assert "  mean = rgb + flow (softmax)" in lines
    assert lines[-1] == found.sentence()
    record = found.to_dict()
    assert record["streams"][0]["parameters"] == 271_234
    assert record["fusions"][0]["weights"] == [1.0, 1.5]
    assert "training_s" not in str(record), "what the machine took is not part of the result"


@pytest.mark.parametrize(
    ("gain", "low", "high", "start", "end"),
    [
        (0.123, 0.02, 0.221, "flow is 12.3 points better than rgb", "+2.0 to +22.1): these videos show"),
        (
            -0.05,
            -0.1,
            0.01,
            "flow is 5.0 points worse than rgb",
            "-10.0 to +1.0): these videos do not show",
        ),
        (-0.05, -0.1, -0.01, "flow is 5.0 points worse than rgb", "-10.0 to -1.0): these videos show"),
        (
            0.0,
            -0.1,
            0.1,
            "flow recognizes as many videos as rgb",
            "-10.0 to +10.0): these videos do not show",
        ),
    ],
)
def test_a_difference_in_one_plain_sentence(gain: float, low: float, high: float, start: str, end: str) -> None:
    interval = Interval(low, high, 0.95, "percentile bootstrap", "video", 24, 2000)
    assert difference_sentence(Difference("rgb", "flow", gain, interval, gain, interval)) == (
        f"{start} (95% interval of the paired difference {end} a difference"
    )


def test_videos_that_a_stream_lacks_count_for_none() -> None:
    fewer = {"rgb": POOLED["rgb"], "flow": POOLED["flow"].take(range(20))}
    found = compared(fewer)
    assert {row.n for row in found.rows} == {20}
    assert found.notes == ("4 of 24 videos have no scores in every row and do not count",)
    assert found.streams[0].value == pytest.approx(float((POOLED["rgb"].scores[:20].argmax(1) == LABELS[:20]).mean()))


def decided(seed: int, gain: float, layers: list[str], numbers: int, notes: tuple[str, ...] = ()) -> ScoreFile:
    made = {"svm": {"svm_c": 1.0}, "layers": layers, "numbers": numbers, "head": "linear SVM"}
    return replace(scored(seed, gain), settings=made, notes=notes)


SVMS = {
    "rgb fc6 + SVM": decided(2, 1.0, ["fc6"], 4096),
    "image": decided(3, 3.0, ["pool10"], 512, ("image: somebody else's",)),
    "joined": decided(4, 3.5, ["fc6", "pool10"], 4608, ("image: somebody else's",)),
}


def with_svms(**changes: Any) -> StreamsResult:
    network = {"model": "c3d_small", "recipe": "c3d_small", "train": {}}
    plan = experiment(
        streams=[{"name": "rgb", **network, "svm": "fc6"}, {"name": "flow", **network}],
        features=[{"name": "image", "model": "squeezenet", "layer": "pool10"}],
        combinations=[{"name": "joined", "of": ["rgb", "image"]}],
        **changes,
    )
    image = Feature("image", Path("m"), "pool10", 1, 1, cast(Any, None), 1, cast(Any, _Info))
    rounds = [StreamRound("rgb", "ann", None, (), 60.0, 2.0, 3.0)]
    return compare_streams(
        plan, STREAMS, rounds, POOLED, features=[image], describing_s={"image": 9.0}, svms=SVMS, settings={},
        provenance={},
    )  # fmt: skip


def test_svms_stand_between_streams_and_fusions() -> None:
    found = with_svms()
    assert [row.protocol for row in found.rows] == ["rgb", "flow", "rgb fc6 + SVM", "image", "joined", "sum", "mean"]
    assert [row.value for row in found.svms] == pytest.approx([accuracy(file.scores) for file in SVMS.values()])
    assert [row.notes for row in found.svms] == [(), *[("image: somebody else's",)] * 2], "each row has its own notes"
    assert found.best.value == max(row.value for row in found.rows)
    assert [found.made_of(name) for name in ("rgb", "image", "joined", "sum")] == [
        "network",
        "SVM on pool10 of image, 512 numbers",
        "SVM on fc6 of rgb + pool10 of image, 4,608 numbers",
        "rgb + 1.5 flow (before softmax)",
    ]
    assert (found.costs["image"].parameters, found.costs["image"].seconds, found.costs["rgb"].seconds) == (
        271_234,
        9,
        65,
    )
    assert found.notes == ("image: somebody else's",), "told once"
    lines = str(found).splitlines()
    assert lines[1].split()[:6] == ["parameters", "MACs", "input", "training", "scoring", "describing"]
    assert next(line for line in lines if line.split()[:1] == ["image"]).split()[1:7] == [
        "271", "k", "1.5", "G", "3×1×8×8", "9"
    ]  # fmt: skip
    assert "  rgb fc6 + SVM = SVM on fc6 of rgb, 4,096 numbers" in lines
    record = found.to_dict()
    assert [one["made_of"] for one in record["svms"]] == [found.made_of(name) for name in SVMS]
    assert [[one["model"] for one in row["networks"]] for row in record["svms"]] == [
        ["c3d_small"], ["squeezenet"], ["c3d_small", "squeezenet"]
    ]  # fmt: skip
    assert record["svms"][1]["networks"][0]["parameters"] == 271_234
    assert (record["svms"][0]["settings"]["numbers"], "describing_s" in str(record)) == (4096, False)


def test_like_is_compared_with_like() -> None:
    values = {row.protocol: row.value for row in with_svms().rows}
    assert values["image"] > values["rgb fc6 + SVM"], "or the next lines would say something else"
    pairs = [(one.second, one.first) for one in with_svms(primary=("image", "flow")).differences]
    assert pairs == [
        ("image", "flow"),  # as named beforehand
        ("flow", "rgb"),  # networks among themselves
        ("rgb fc6 + SVM", "rgb"),  # what the SVM gains over its network
        ("image", "rgb fc6 + SVM"),  # SVMs on one descriptor among themselves
        ("joined", "image"),  # what is joined against the best that it joins
        ("sum", "flow"),
        ("mean", "flow"),
    ]


def test_features_alone_are_a_table() -> None:
    plan = experiment(
        streams=[], fusions=[], primary=None, features=[{"name": "image", "model": "squeezenet", "layer": "pool10"}]
    )
    found = compare_streams(plan, [], [], {}, svms=SVMS, settings={}, provenance={})
    assert [row.protocol for row in found.rows] == ["image"]
    assert str(found).splitlines()[0] == "two: 24 videos, 95% intervals over groups"


def test_the_time_that_is_left_counts_streams_by_themselves() -> None:
    folds: Any = ["a", "b", "c"]
    done = [StreamRound("rgb", "a", None, (), 10.0, 2.0), StreamRound("rgb", "b", None, (), 18.0, 2.0)]
    # rgb takes 16 s on average and has one fold to go; of flow nothing is known yet, so it counts as the others do.
    assert seconds_left(done, STREAMS, folds) == 16 + 3 * 16
    done.append(StreamRound("flow", "a", None, (), 100.0, 0.0))
    assert seconds_left(done, STREAMS, folds) == 16 + 2 * 100
    assert seconds_left([], STREAMS, folds) == 0


def test_a_stream_without_any_scores_is_an_error(tmp_path: Any) -> None:
    manifest: Any = type("M", (), {"root": "videos"})
    rounds = [StreamRound("rgb", "a", None, (("v0", "broken"),), 1.0, 1.0)]
    with pytest.raises(InputDataError, match="no video could be scored by the stream rgb"):
        pooled_scores([STREAMS[0]], rounds, manifest, tmp_path)
