"""Each of the five suspects planted in a network's test: the diagnosis names it, and none where it is none of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from protocols.made_diagnosis import (
    RGB_MINUS_128,
    Frames,
    HandMade,
    Made,
    bright_or_dark,
    changes_every_frame,
    colored,
    flickering,
    gray,
    joined,
    made,
    one_loud_clip,
    plain,
    red_or_blue,
)
from tubelet.datasets.manifest import Manifest
from tubelet.protocols import diagnosis_network, score_stream
from tubelet.protocols.diagnosis import Diagnosis, Expected
from tubelet.protocols.diagnosis_network import NetworkTest, diagnose_network
from tubelet.protocols.diagnosis_splits import other_videos
from tubelet.protocols.stream_report import stream_result
from tubelet.protocols.view_scores import ViewScorer
from tubelet.protocols.views import PRESETS, Average

Diagnose = Callable[..., Diagnosis]


@pytest.fixture
def diagnosed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagnose:
    """Test a network made by hand on videos in memory, and diagnose its figure."""

    def run(
        videos: Made,
        model: HandMade,
        expected: float,
        *,
        views: str = "t3d",
        average: Average = "softmax",
        parts: tuple[Manifest, Manifest] | None = None,
        **options: Any,
    ) -> Diagnosis:
        monkeypatch.setattr(diagnosis_network, "decode_videos", videos.decoded)
        monkeypatch.setattr(score_stream, "open_video", videos.opened)
        tested = videos.manifest if parts is None else parts[1]
        chosen = PRESETS[views][0]
        scored = score_stream.score_stream(ViewScorer(model, chosen, device="cpu"), tested, tmp_path)
        test = NetworkTest(
            model,
            chosen,
            average,
            tested,
            scored.file,
            stream_result(scored.file, chosen, average),
            other_videos(tested, parts, "test", None),
            device="cpu",
        )
        return diagnose_network(test, Expected(expected, "planted"), tmp_path / "diagnosis", **options)

    return run


def test_the_wrong_color_order_is_found(diagnosed: Diagnose) -> None:
    wrong = replace(RGB_MINUS_128, color="bgr")
    found = diagnosed(made(colored), HandMade(red_or_blue, wrong), expected=0.9)
    assert (found.value, found.culprit) == (pytest.approx(0.1), "color order")
    best = found.explaining[0]
    assert (best.name, best.value, best.difference) == ("RGB", pytest.approx(0.9), pytest.approx(0.8))
    assert found.sentence().startswith("The color order explains it: with RGB 90.0% (+80.0 points, ")


@pytest.mark.parametrize(("mean", "scale"), [(None, 1.0), ((20.0, 20.0, 20.0), 1 / 255)], ids=["none", "too low"])
def test_the_wrong_mean_is_found(diagnosed: Diagnose, mean: Any, scale: float) -> None:
    wrong = replace(RGB_MINUS_128, mean=mean, scale=scale)
    found = diagnosed(made(gray, count=40), HandMade(bright_or_dark, wrong), expected=0.9)
    assert (found.value, found.culprit) == (0.5, "mean"), found.sentence()
    assert found.explaining[0].value == pytest.approx(0.9)


def test_the_wrong_step_is_found(diagnosed: Diagnose) -> None:
    found = diagnosed(made(flickering), HandMade(changes_every_frame, RGB_MINUS_128, step_frames=1), expected=0.9)
    assert (found.value, found.culprit) == (0.5, "stride"), found.sentence()
    assert found.explaining[0].name == "every 2nd frame"
    right = {one.name: one.value for one in found.tried if one.suspect == "stride"}
    assert right["every 4th frame"] == 0.5, "which sees no change at all"


def test_clips_at_the_wrong_places_are_found(diagnosed: Diagnose) -> None:
    """What is to be seen is seen in the middle alone, and averaged with the rest it is too little."""

    def late(shown: str, number: int) -> Frames:
        color = (190, 128, 60) if shown == "a" else (60, 128, 190)
        return plain([color if frame in range(10, 14) else (128,) * 3 for frame in range(24)])

    def much_red(x: Tensor) -> Tensor:
        return red_or_blue(x) + x.new_tensor([-50.0, 50.0])

    found = diagnosed(made(late), HandMade(much_red, RGB_MINUS_128), expected=0.9, average="scores")
    assert (found.value, found.culprit) == (0.5, "stride"), found.sentence()
    assert found.explaining[0].name == "one clip, in the middle"


def test_normalization_after_pooling_instead_of_before_is_found(diagnosed: Diagnose) -> None:
    model = HandMade(bright_or_dark, RGB_MINUS_128)
    found = diagnosed(made(one_loud_clip), model, expected=0.9, average="scores")
    assert (found.value, found.culprit) == (pytest.approx(0.1), "normalization"), found.sentence()
    assert found.explaining[0].name == "the mean of softmaxes"


def test_the_wrong_split_is_found(diagnosed: Diagnose) -> None:
    """The figure was counted on what the network had learned by heart; on the test part a third is wrong."""
    training, test = made(colored, 40, wrong=0.05, split="train"), made(colored, 42, wrong=1 / 3)
    both = joined(training, test)
    found = diagnosed(
        both, HandMade(red_or_blue, RGB_MINUS_128), expected=0.95, parts=(training.manifest, test.manifest)
    )
    assert found.culprit == "split", found.sentence()
    assert found.explaining[0].name == "the training part"
    assert not found.explaining[0].same_videos
    together = next(one for one in found.tried if one.name == "training and test part together")
    assert together.value == pytest.approx((42 * found.value + 40 * found.explaining[0].value) / 82)


def test_none_of_the_five_is_named_where_it_is_none_of_them(diagnosed: Diagnose) -> None:
    """A third of the labels is wrong: no pixels, clips or averages help."""
    found = diagnosed(made(colored, wrong=1 / 3), HandMade(red_or_blue, RGB_MINUS_128), expected=0.95)
    assert found.is_off
    assert found.culprit is None
    assert found.sentence().startswith("None of the five explains it: no variant moves our ")


def test_what_moves_the_figure_and_does_not_explain_it_is_told_as_that(diagnosed: Diagnose) -> None:
    """The network's classes are in the wrong order, which is none of the five, and constant answers are better."""
    model = HandMade(lambda x: -bright_or_dark(x), RGB_MINUS_128)
    found = diagnosed(made(gray, count=40), model, expected=0.9)
    assert found.value == pytest.approx(0.1)
    assert found.culprit is None
    assert found.sentence().startswith("None of the five explains it. The mean comes closest: with ")
    assert "which leaves 40.0 points" in found.sentence()


def test_without_a_fault_there_is_nothing_to_explain(diagnosed: Diagnose) -> None:
    found = diagnosed(made(colored), HandMade(red_or_blue, RGB_MINUS_128), expected=0.88)
    assert not found.is_off
    assert found.culprit is None
    assert found.sentence().startswith("The expected 88.0% lies within the interval of our 90.0% (")
    assert "What moves it most is the color order: with BGR 10.0% (-80.0 points" in found.sentence()


def test_a_part_of_the_videos_is_compared_with_the_same_part(diagnosed: Diagnose) -> None:
    wrong = replace(RGB_MINUS_128, color="bgr")
    found = diagnosed(made(colored, count=60), HandMade(red_or_blue, wrong), expected=0.9, most=30)
    assert (found.n, found.used, found.culprit) == (60, 30, "color order")
    assert {one.n for one in found.tried if one.same_videos} == {30}
    assert found.notes[0].startswith("variants were scored on 30 of 60 videos")


def test_finished_variants_are_not_scored_again(diagnosed: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    videos, model = made(colored), HandMade(red_or_blue, replace(RGB_MINUS_128, color="bgr"))
    real, stopped = ViewScorer.view_scores, [0]

    def stop(self: ViewScorer, *arguments: Any) -> Any:
        stopped[0] += 1
        if stopped[0] == 75:  # the test's 20, the pilot's 4, two variants, and half of the third
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(ViewScorer, "view_scores", stop)
    with pytest.raises(KeyboardInterrupt):
        diagnosed(videos, model, expected=0.9)
    monkeypatch.setattr(ViewScorer, "view_scores", lambda self, *arguments: (told.append(1), real(self, *arguments))[1])
    told: list[Any] = []
    first = diagnosed(videos, model, expected=0.9)
    variants = len([one for one in first.tried if one.suspect != "normalization"])
    assert len(told) == 4 + 20 * variants - (75 - 1 - 20 - 4), "what was done before the interruption is kept"
    told.clear()
    again = diagnosed(videos, model, expected=0.9, tell=told.append)
    assert told == []
    assert again.to_dict() == first.to_dict()


def test_the_time_is_told_beforehand_and_each_variant_when_its_turn_comes(diagnosed: Diagnose) -> None:
    told: list[str] = []
    found = diagnosed(made(gray), HandMade(bright_or_dark, RGB_MINUS_128), expected=0.9, tell=told.append)
    scored = [one for one in found.tried if one.suspect != "normalization"]
    assert told[0].startswith(f"diagnosis: {len(scored)} variants on 20 videos, about ")
    assert [line.partition(" ")[2] for line in told[1:]] == [f"{one.suspect}: {one.name}" for one in scored]


def test_scores_that_come_out_otherwise_when_nothing_was_changed_are_noted(diagnosed: Diagnose, tmp_path: Path) -> None:
    model = HandMade(bright_or_dark, RGB_MINUS_128)
    videos = made(gray)
    assert diagnosed(videos, model, expected=0.9).notes == ()
    shutil.rmtree(tmp_path / "diagnosis")
    darker = Made(videos.manifest, {path: frames // 2 for path, frames in videos.frames.items()})
    found = diagnosed(darker, model, expected=0.9)
    assert found.notes[0].startswith("scored again unchanged, 4 videos have other scores than the test's (by up to ")


def test_a_diagnosis_survives_json(diagnosed: Diagnose) -> None:
    found = diagnosed(made(gray), HandMade(bright_or_dark, RGB_MINUS_128), expected=0.5)
    assert Diagnosis.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert np.isfinite([one.value for one in found.tried]).all()
