"""Speeds, ratios and hours from given times: the expected values are divisions done by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from protocols.made_runtime import NAMES, made_methods, made_round, made_rounds
from tubelet.errors import UsageError
from tubelet.protocols.runtime_turns import Round, Spread, Turn, number, runtime_rows


def test_a_spread_is_the_median_and_both_ends() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert Spread.of([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)
    assert Spread(15.06, 14.2, 1234.5).text("x") == "15.1x (14.2–1,234)"
    assert Spread.of([2.0]).text("x") == "2.00x"


def test_rows_follow_from_the_rounds() -> None:
    c3d, idt, tvl1, dis = runtime_rows(made_methods(), made_rounds())
    # 64 frames in 4, 4, 5, 4, 2 seconds.
    assert c3d.fps == Spread(16.0, 12.8, 32.0)
    assert c3d.times_as_long == Spread(1.0, 1.0, 1.0)
    # iDT / C3D: 16/4, 12/4, 20/5, 12.8/4, 8/2; each round by itself, so that a slow minute hits both.
    assert idt.times_as_long == Spread(pytest.approx(4.0), pytest.approx(3.0), pytest.approx(4.0))
    assert tvl1.times_as_long == Spread(pytest.approx(16.0), pytest.approx(8.0), pytest.approx(20.0))
    assert dis.times_as_long == Spread(pytest.approx(0.25), pytest.approx(0.2), pytest.approx(0.25))
    assert (idt.rounds, idt.frames) == (5, 320)
    assert idt.processor_share == pytest.approx(0.95)
    assert idt.processor_fps == Spread(*(pytest.approx(64 / (0.95 * s)) for s in (12.8, 20.0, 8.0)))
    assert c3d.made_per_frame == pytest.approx(7 / 64)
    assert c3d.bytes_per_frame == 100.0


def test_hours_are_frames_of_ucf101_by_the_median_speed() -> None:
    c3d, *_ = runtime_rows(made_methods(), made_rounds())
    assert c3d.ucf101_h == pytest.approx(2_500_000 / 16 / 3600)  # 43.4 h


def test_the_papers_speed_gives_the_papers_hours() -> None:
    method = made_methods("c3d")
    rows = runtime_rows(method, [Round("a", (320, 240), None, {"c3d": Turn(3139, 10.0, None, 1, 1)})])
    assert rows[0].ucf101_h == pytest.approx(2.2, abs=0.05)  # 313.9 frames/s


def test_without_a_descriptor_there_are_no_ratios() -> None:
    row = runtime_rows(made_methods("idt"), made_rounds())[0]
    assert (row.times_as_long, row.processor_times) == (None, None)


def test_without_processor_times_there_are_none() -> None:
    row = runtime_rows(made_methods(), made_rounds(share=0.0))[1]
    assert (row.processor_fps, row.processor_times, row.processor_share) == (None, None, None)
    assert row.processor_ucf101_h is None
    assert row.times_as_long is not None


def test_processor_time_says_nothing_beside_a_graphics_card() -> None:
    methods = tuple(replace(m, device="cuda") if m.name == "c3d" else m for m in made_methods())
    c3d, idt, *_ = runtime_rows(methods, made_rounds())
    assert (c3d.processor_times, idt.processor_times) == (None, None)
    assert idt.times_as_long is not None


def test_rounds_of_unequal_frames_or_without_a_method_are_refused() -> None:
    good = made_round((1.0, 1.0, 1.0, 1.0))
    odd = replace(good, turns={**good.turns, "idt": replace(good.turns["idt"], frames=63)})
    for rounds in ([], [odd], [replace(good, turns={"c3d": good.turns["c3d"]})]):
        with pytest.raises(UsageError):
            runtime_rows(made_methods(), rounds)


def test_a_round_survives_json() -> None:
    one = made_round((1.0, 2.0, 3.0, 4.0), load=None)
    assert Round.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    assert set(one.turns) == set(NAMES)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.3117, "0.312"),
        (0.9951, "1.00"),
        (4.618, "4.62"),
        (9.996, "10.0"),
        (15.06, "15.1"),
        (99.96, "100"),
        (2316.4, "2,316"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
