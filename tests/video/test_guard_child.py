"""The child's side of the guarded pool, called in this process."""

from __future__ import annotations

import json
import operator
import os
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tubelet.video import guard_child
from tubelet.video.guard_child import PREFIX, Inbox, frame_writer, serve


class Sent(list[tuple[dict[str, Any], Any]]):
    """A parent that remembers what it is told."""

    def __call__(self, header: dict[str, Any], array: Any = None) -> None:
        self.append((header, array))

    @property
    def kinds(self) -> list[str]:
        return [header["kind"] for header, _ in self]


class Left(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        raise Left

    monkeypatch.setattr(os, "_exit", leave)
    return codes


def test_a_request_ends_with_exactly_one_last_frame() -> None:
    def task(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], None]]:
        yield {"n": request["n"]}, None
        warnings.warn("look out", UserWarning, stacklevel=1)
        if request["n"] == 2:
            raise MemoryError

    sent = Sent()
    serve(task, 1, {"n": 1}, sent, Inbox())
    assert sent.kinds == ["begin", "item", "warning", "end"]
    assert sent[2][0] == {"kind": "warning", "run": 1, "category": "UserWarning", "text": "look out"}
    sent = Sent()
    serve(task, 2, {"n": 2}, sent, Inbox())
    assert sent.kinds == ["begin", "item", "warning", "error"]
    assert sent[3][0]["memory"] is True
    assert all(header["run"] == 2 for header, _ in sent)


def test_a_cancelled_request_stops_at_its_next_item() -> None:
    closed = []

    def task(_: dict[str, Any]) -> Iterator[tuple[dict[str, Any], None]]:
        try:
            while True:
                yield {}, None
        finally:
            closed.append(True)

    inbox = Inbox()
    inbox.cancelled = 4
    sent = Sent()
    serve(task, 4, {}, sent, inbox)
    assert sent.kinds == ["begin", "item", "end"]
    assert closed == [True]
    sent = Sent()  # a plain iterator has nothing to close, and an old cancellation is not for it
    serve(lambda _: iter([({}, None)] * 3), 5, {}, sent, inbox)
    assert sent.kinds == ["begin"] + ["item"] * 3 + ["end"]
    inbox.cancelled = 6
    sent = Sent()
    serve(lambda _: iter([({}, None)] * 3), 6, {}, sent, inbox)
    assert sent.kinds == ["begin", "item", "end"]


def test_without_a_reader_the_child_leaves(exits: list[int]) -> None:
    def broken(header: dict[str, Any], array: Any = None) -> None:
        raise BrokenPipeError

    with pytest.raises(Left):
        serve(lambda _: iter([({}, None)]), 0, {}, broken, Inbox())
    assert exits == [0]
    exits.clear()

    def broken_at_the_end(header: dict[str, Any], array: Any = None) -> None:
        if header["kind"] == "end":
            raise BrokenPipeError

    serve(lambda _: iter(()), 0, {}, broken_at_the_end, Inbox())  # nothing is left to say
    assert exits == []


def test_commands_are_read_in_any_pieces() -> None:
    reading, writing = os.pipe()
    lines = [
        {"run": 3, "request": {"path": "ä.mp4"}},
        {"cancel": 3},
        {"cancel": 1},
        {"run": 4, "request": {}},
    ]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    os.write(writing, data)
    os.close(writing)
    ends = []
    inbox = Inbox()
    inbox.listen(reading, lambda: ends.append(True))
    os.close(reading)
    assert [inbox.requests.get(), inbox.requests.get()] == [(3, {"path": "ä.mp4"}), (4, {})]
    assert inbox.cancelled == 3  # the numbers only grow
    assert ends == [True]


def test_frames_on_the_wire() -> None:
    reading, writing = os.pipe()
    send = frame_writer(writing)
    send({"kind": "item"}, np.array([[1, 2], [3, 4]], "<u2").T)
    send({"kind": "end"})
    os.close(writing)
    with open(reading, "rb") as stream:
        header_bytes, payload_bytes = PREFIX.unpack(stream.read(PREFIX.size))
        header = json.loads(stream.read(header_bytes))
        assert header == {"kind": "item", "dtype": "<u2", "shape": [2, 2]}
        assert stream.read(payload_bytes) == bytes([1, 0, 3, 0, 2, 0, 4, 0])
        assert PREFIX.unpack(stream.read(PREFIX.size)) == (15, 0)
        assert stream.read() == b'{"kind": "end"}'


def test_what_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    send = frame_writer(-1)
    with pytest.raises(TypeError, match="Python objects"):
        send({}, np.array([None]))
    monkeypatch.setattr(guard_child, "MAX_HEADER_BYTES", 10)
    with pytest.raises(ValueError, match="too long"):
        send({"times": [0.0] * 10})


def test_limits_are_set_within_the_hard_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    resource = types.SimpleNamespace(
        RLIMIT_DATA=2,
        RLIMIT_CORE=4,
        RLIM_INFINITY=-1,
        getrlimit=lambda limit: (0, {2: 50, 4: -1}[limit]),
        setrlimit=lambda *call: calls.append(call),
    )
    monkeypatch.setitem(sys.modules, "resource", resource)
    guard_child.limit_memory(100)
    assert calls == [(2, (50, 50)), (4, (0, 0))]
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    guard_child.limit_memory(100)
    assert len(calls) == 2


def test_linux_is_asked_for_the_death_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    prctl_calls = []
    library = types.SimpleNamespace(prctl=lambda *call: prctl_calls.append(call))
    monkeypatch.setattr(guard_child.ctypes, "CDLL", lambda *_, **__: library)
    monkeypatch.setattr(sys, "platform", "darwin")
    guard_child.die_with_parent()
    assert not prctl_calls
    monkeypatch.setattr(sys, "platform", "linux")
    guard_child.die_with_parent()
    assert prctl_calls == [(1, 9, 0, 0, 0)]  # PR_SET_PDEATHSIG, SIGKILL


def test_a_child_from_its_first_word(monkeypatch: pytest.MonkeyPatch, exits: list[int]) -> None:
    sent = Sent()
    served = []

    def serve_once(task: Any, run: int, request: dict[str, Any], *_: Any) -> None:
        served.append((task, run, request))
        raise Left

    monkeypatch.setattr(guard_child, "_take_over_pipes", lambda: (-1, -1))
    monkeypatch.setattr(guard_child, "frame_writer", lambda _: sent)
    monkeypatch.setattr(guard_child, "limit_memory", lambda _: None)
    monkeypatch.setattr(guard_child, "die_with_parent", lambda: None)
    monkeypatch.setattr(guard_child.signal, "signal", lambda *_: None)
    monkeypatch.setattr(guard_child, "serve", serve_once)
    monkeypatch.setattr(Inbox, "listen", lambda self, *_: self.requests.put((7, {"n": 1})))
    config = {"task": "no_such_module:task", "memory_bytes": 1}
    with pytest.raises(Left):
        guard_child.main(config)
    assert exits == [1]
    assert sent.kinds == ["error"]
    assert sent[0][0]["what"].startswith("ModuleNotFoundError: No module named 'no_such_module'")
    sent.clear()
    with pytest.raises(Left):
        guard_child.main({**config, "task": "operator:neg"})
    assert sent.kinds == ["ready"]
    assert served == [(operator.neg, 7, {"n": 1})]
