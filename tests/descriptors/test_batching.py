"""Clips of many videos share batches; rows come back in order, whatever the batch size and whatever fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tubelet.clips.decode import FrameBlock
from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.descriptors.batching import ClipBatcher, Ended, Part, Rows
from tubelet.descriptors.pooling import FloatArray
from tubelet.descriptors.request import VideoRequest
from tubelet.errors import InputDataError, NumericalError, TubeletError, VideoError
from tubelet.video.report import DecodeReport

RECIPE = Recipe("plain", (2, 2), (2, 2))
SAMPLING = Sampling("dense", 4, 2)


def request(number: int) -> VideoRequest:
    return VideoRequest(Path(f"v{number}.avi"), f"v{number}.avi")


def report(n_frames: int) -> DecodeReport:
    return DecodeReport("ok", n_frames, n_frames, 10.0, "container", n_frames / 10, 2, 2, "h264", "mov")


def parts(number: int, n_frames: int, block: int, failing: bool = False) -> Iterator[tuple[VideoRequest, Part]]:
    """Frames of video ``number``: frame t is filled with ``10 * number + t``, at 10 frames/s."""
    mine = request(number)
    for first in range(0, n_frames, block):
        index = np.arange(first, min(first + block, n_frames))
        images = np.broadcast_to(
            (10 * number + index).astype(np.uint8)[:, None, None, None], (len(index), 2, 2, 3)
        ).copy()
        yield mine, FrameBlock(first, images, index / 10, (index + 1) / 10)
    yield mine, VideoError("damaged", path=mine.path) if failing else report(n_frames)


class Network:
    """A clip's vector: its first frame's gray level and its last one's."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, parts: Sequence[Tensor]) -> dict[str, FloatArray]:
        clips = torch.stack(list(parts))
        self.batches.append(len(clips))
        assert clips.dtype == torch.float32
        assert clips.shape[1:] == (3, 4, 2, 2)
        return {"ends": clips[:, 0, [0, -1], 0, 0].numpy(), "first": clips[:, 0, :1, 0, 0].numpy()}


def expected_rows(number: int, n_frames: int) -> list[tuple[int, int, int, float, float, bool, list[float]]]:
    """By plain arithmetic: clips of 4 frames every 2; a shorter video loops."""
    base = 10 * number
    if n_frames < 4:
        last = 3 % n_frames
        return [(0, 0, n_frames, 0.0, n_frames / 10, True, [base, base + last])]
    starts = range(0, n_frames - 3, 2)
    return [(i, s, s + 4, s / 10, (s + 4) / 10, False, [base + s, base + s + 3]) for i, s in enumerate(starts)]


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 13), max_size=6),
    failing=st.sets(st.integers(0, 5)),
    batch_size=st.integers(1, 7),
    block=st.integers(1, 5),
)
def test_rows_are_those_of_each_video_alone(lengths: list[int], failing: set[int], batch_size: int, block: int) -> None:
    network = Network()
    stream = (part for number, n in enumerate(lengths) for part in parts(number, n, block, failing=number in failing))
    events = list(ClipBatcher(network, RECIPE, SAMPLING, batch_size).run(stream))
    ends = [event for event in events if isinstance(event, Ended)]
    assert [end.request.video_id for end in ends] == [f"v{number}.avi" for number in range(len(lengths))]
    assert all(size == batch_size for size in network.batches[:-1])
    position = 0
    for number, n_frames in enumerate(lengths):
        mine: list[Rows] = []
        while isinstance(event := events[position], Rows):
            assert event.request.video_id == f"v{number}.avi"
            mine.append(event)
            position += 1
        position += 1
        assert isinstance(event.outcome, VideoError if number in failing else DecodeReport)
        if number in failing:
            continue
        found = [
            (s.clip_index, s.start_frame, s.end_frame, s.start_s, s.end_s, s.padded, ends)
            for rows in mine
            for s, ends in zip(rows.spans, rows.vectors["ends"].tolist(), strict=True)
        ]
        assert found == expected_rows(number, n_frames)
        assert [len(rows.spans) for rows in mine] == [len(rows.vectors["first"]) for rows in mine]


def test_a_failed_video_gives_up_its_place_in_the_batch() -> None:
    network = Network()
    stream = [*parts(0, 4, 4), *parts(1, 8, 8, failing=True), *parts(2, 6, 6)]
    list(ClipBatcher(network, RECIPE, SAMPLING, 8).run(stream))
    assert network.batches == [3]  # one clip of the first video, two of the third


def test_a_span_of_a_video_is_cut_out() -> None:
    mine = VideoRequest(Path("v.avi"), "v.avi#t=0.3,0.9", start_s=0.3, end_s=0.9)
    stream = [(mine, part) for _, part in parts(0, 12, 5)]
    rows, end = ClipBatcher(Network(), RECIPE, SAMPLING, 8).run(stream)
    assert isinstance(rows, Rows)
    assert isinstance(end, Ended)
    # Frames at 0.3 to 0.8 s are numbers 3 to 8: clips 3-6 and 5-8.
    assert [(s.start_frame, s.end_frame, s.start_s) for s in rows.spans] == [(3, 7, 0.3), (5, 9, 0.5)]
    assert rows.vectors["ends"].tolist() == [[3, 6], [5, 8]]


def test_an_empty_span_fails_with_its_seconds() -> None:
    mine = VideoRequest(Path("v.avi"), "v.avi#t=7", start_s=7.0)
    (end,) = ClipBatcher(Network(), RECIPE, SAMPLING, 8).run([(mine, part) for _, part in parts(0, 12, 5)])
    assert isinstance(end, Ended)
    assert "no frame lies in the span: v.avi (7 to inf s)" in str(end.outcome)


def test_short_videos_can_be_refused() -> None:
    refusing = Sampling("dense", 4, 2, short="refuse")
    events = list(ClipBatcher(Network(), RECIPE, refusing, 8).run([*parts(0, 3, 3), *parts(1, 4, 4)]))
    assert isinstance(events[0], Ended)
    assert isinstance(events[0].outcome, InputDataError)
    assert isinstance(events[1], Rows)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_activations_that_are_not_finite_fail_their_video_only(batch_size: int) -> None:
    def network(parts: Sequence[Tensor]) -> dict[str, FloatArray]:
        levels = torch.stack(list(parts))[:, 0, 0, 0, 0].numpy().copy()
        levels[levels == 14] = np.nan  # the third clip of video 1
        return {"level": levels[:, None]}

    stream = [*parts(0, 6, 6), *parts(1, 12, 3), *parts(2, 6, 6)]
    events = list(ClipBatcher(network, RECIPE, SAMPLING, batch_size).run(stream))
    outcomes = [event.outcome for event in events if isinstance(event, Ended)]
    assert [type(outcome) for outcome in outcomes] == [DecodeReport, NumericalError, DecodeReport]
    assert "activations of level are not finite: v1.avi" in str(outcomes[1])
    last = [event for event in events if isinstance(event, Rows) and event.request.video_id == "v2.avi"]
    assert np.concatenate([rows.vectors["level"] for rows in last]).ravel().tolist() == [20, 22]


def test_a_failing_network_is_nobodys_fault() -> None:
    def network(parts: Sequence[Tensor]) -> dict[str, FloatArray]:
        raise TubeletError("out of memory")

    with pytest.raises(TubeletError, match="out of memory"):
        list(ClipBatcher(network, RECIPE, SAMPLING, 1).run(parts(0, 4, 4)))
