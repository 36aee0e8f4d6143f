"""Errors and warnings on their way from a child to its parent."""

from __future__ import annotations

import json

import pytest

from tubelet import errors
from tubelet.errors import DecodeWorkerError, RefusedVideoError, TubeletError
from tubelet.video.guard_errors import describe_error, is_out_of_memory, rebuild_error, warn_again


def test_errors_as_json() -> None:
    error = RefusedVideoError("too large", path="a.mp4", why="because", remedy="no")
    assert describe_error(error) == {
        "kinds": ["RefusedVideoError", "VideoError", "InputDataError", "TubeletError"],
        "memory": False,
        "what": "too large",
        "path": "a.mp4",
        "why": "because",
        "remedy": "no",
    }
    assert describe_error(ValueError("a\n b"))["what"] == "ValueError: a b"


def test_a_failed_allocation_is_recognized_through_its_wrappings() -> None:
    wrapped = RefusedVideoError("cannot open")
    wrapped.__cause__ = OSError("x")
    assert not is_out_of_memory(wrapped)
    wrapped.__cause__.__context__ = MemoryError()
    assert is_out_of_memory(wrapped)
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(RuntimeError("something else"))
    assert not is_out_of_memory(None)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TubeletError)],
)
def test_every_error_of_ours_survives_the_way(kind: type[TubeletError]) -> None:
    error = kind("what", path="a.mp4", why="why", remedy="remedy")
    again = rebuild_error(json.loads(json.dumps(describe_error(error))), "b.mp4", 1 << 30)
    assert type(again) is kind
    assert again.sentence() == error.sentence() == "what: a.mp4 (why); remedy"


def test_what_a_hostile_child_may_claim_to_be() -> None:
    for described in ({}, {"kinds": ["os", "ExitCode", 7, None]}, {"kinds": None, "what": ["x"]}):
        assert type(rebuild_error(described, "a.mp4", 1)) is DecodeWorkerError
    for name in ("print", "ValueError", "no_such_name", None):
        with pytest.warns(UserWarning, match="text"):
            warn_again({"category": name, "text": "text"}, stacklevel=1)
    with pytest.warns(FutureWarning, match="text"):
        warn_again({"category": "FutureWarning", "text": "text"}, stacklevel=1)


def test_out_of_memory_keeps_what_the_task_said() -> None:
    error = RefusedVideoError("cannot open", why="12")
    error.__cause__ = MemoryError()
    again = rebuild_error(describe_error(error), "a.mp4", 1 << 29)
    assert type(again) is DecodeWorkerError
    assert again.why == "out of memory (limit 0.5 GiB): cannot open: 12"
