"""Streams read ahead: the order of a plain loop, and never more waiting than allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.clips.ahead import run_ahead
from tubelet.errors import NumericalError, TubeletError, UsageError, VideoError

# A stream is its length and whether it fails at its end.
STREAMS = st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=8)


@settings(max_examples=60)
@given(streams=STREAMS, threads=st.integers(1, 3), max_ahead=st.integers(1, 6))
def test_the_order_is_that_of_a_plain_loop(streams: list[tuple[int, bool]], threads: int, max_ahead: int) -> None:
    lock = threading.Lock()
    made = taken = most = 0

    def stream(key: int) -> Iterator[tuple[int, int]]:
        nonlocal made, most
        length, fails = streams[key]
        for number in range(length):
            with lock:
                made += 1
                most = max(most, made - taken)
            yield key, number
        if fails:
            raise VideoError(f"stream {key}")

    expected: list[tuple[int, object]] = []
    for key, (length, fails) in enumerate(streams):
        expected += [(key, (key, number)) for number in range(length)]
        expected += [(key, f"stream {key}")] * fails
    got: list[tuple[int, object]] = []
    for key, item in run_ahead(range(len(streams)), stream, threads=threads, max_ahead=max_ahead):
        if isinstance(item, TubeletError):
            got.append((key, str(item)))
        else:
            got.append((key, item))
            with lock:
                taken += 1
    assert got == expected
    assert most <= max_ahead + 2  # one for the stream whose turn it is, one in the consumer's hand


def test_streams_that_come_later_cannot_fill_the_room() -> None:
    others_have_filled = threading.Event()

    def stream(key: int) -> Iterator[int]:
        if key == 0:
            others_have_filled.wait(10)
            time.sleep(0.05)
        else:
            others_have_filled.set()
        yield from range(50)

    items = list(run_ahead([0, 1, 2], stream, threads=3, max_ahead=2))
    assert items == [(key, number) for key in range(3) for number in range(50)]


def test_an_error_that_is_not_the_streams_own_ends_everything_in_its_turn() -> None:
    def stream(key: int) -> Iterator[int]:
        yield 0
        if key == 1:
            raise NumericalError("broken installation")

    ahead = run_ahead([0, 1, 2], stream, threads=3, max_ahead=9)
    assert [next(ahead), next(ahead)] == [(0, 0), (1, 0)]
    with pytest.raises(NumericalError, match="broken"):
        next(ahead)

    def cannot_open(key: int) -> Iterator[int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run_ahead([0], cannot_open, threads=1, max_ahead=1))


def test_an_early_end_closes_the_streams() -> None:
    closed = []
    asleep = threading.Event()
    waked = threading.Event()

    def stream(key: int) -> Iterator[int]:
        try:
            yield 0
            if key == 1:
                asleep.set()
                waked.wait(10)
            yield 1
        finally:
            closed.append(key)

    ahead = run_ahead([0, 1, 2], stream, threads=2, max_ahead=9, abort=waked.set)
    assert next(ahead) == (0, 0)
    assert asleep.wait(10)
    ahead.close()
    assert waked.is_set()
    assert sorted(closed) in ([0, 1], [0, 1, 2])
    assert not [t for t in threading.enumerate() if t.name.startswith("tubelet-ahead")]


def test_abort_is_only_for_what_is_unfinished() -> None:
    calls: list[bool] = []

    def abort() -> None:
        calls.append(True)

    items = run_ahead([1, 2], lambda key: iter([key]), threads=1, max_ahead=1, abort=abort)
    assert list(items) == [(1, 1), (2, 2)]
    assert calls == []
    assert list(run_ahead([], lambda key: iter([key]), threads=2, max_ahead=1, abort=abort)) == []
    assert calls == []


@pytest.mark.parametrize("options", [{"threads": 0, "max_ahead": 1}, {"threads": 1, "max_ahead": 0}])
def test_senseless_numbers_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="less than one thread"):
        next(run_ahead([1], lambda key: iter([key]), **options))
