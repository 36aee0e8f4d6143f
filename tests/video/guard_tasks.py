"""Tasks that misbehave, run in the children of the guarded pool under test."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tubelet.errors import InputDataError, RefusedVideoError, VideoError

Item = tuple[dict[str, Any], np.ndarray | None]


class SpecialVideoError(RefusedVideoError):
    """A class the parent does not know."""


def behave(request: dict[str, Any]) -> Iterator[Item]:
    """Do what the request's ``do`` says; ``first`` good items come before it."""
    for index in range(request.get("first", 0)):
        yield {"index": index}, np.full((2, 3), index, np.uint8)
    yield from globals()[f"_{request['do']}"](request)


def _count(request: dict[str, Any]) -> Iterator[Item]:
    for index in range(request.get("n", 3)):
        yield (
            {"index": index, "pid": os.getpid(), "third": 1 / 3},
            np.arange(index, index + 6.0).reshape(2, 3),
        )


def _nothing(request: dict[str, Any]) -> Iterator[Item]:
    return iter(())


def _arrays(request: dict[str, Any]) -> Iterator[Item]:
    yield {"name": "none"}, None
    yield {"name": "empty"}, np.empty((0, 4, 3), np.uint8)
    yield {"name": "scalar"}, np.array(7, np.int16)
    yield {"name": "turned"}, np.arange(24, dtype=np.float32).reshape(4, 6)[::-1, ::2].T
    yield {"name": "bool"}, np.array([True, False])


def _segfault(request: dict[str, Any]) -> Iterator[Item]:
    ctypes.string_at(0)
    yield {}, None


def _abort(request: dict[str, Any]) -> Iterator[Item]:
    sys.stderr.write("decoder: assertion failed in frame 12\n")
    sys.stderr.flush()
    os.abort()
    yield {}, None


def _no_thread(request: dict[str, Any]) -> Iterator[Item]:
    os.write(2, b"cannot allocate memory for thread-local data: ABORT\n")  # glibc's own words
    os._exit(127)
    yield {}, None


def _odd_signal(request: dict[str, Any]) -> Iterator[Item]:
    os.kill(os.getpid(), 40)
    yield {}, None


def _sleep(request: dict[str, Any]) -> Iterator[Item]:
    time.sleep(3600)
    yield {}, None


def _slow(request: dict[str, Any]) -> Iterator[Item]:
    for index in range(request["n"]):
        time.sleep(request["pause_s"])
        yield {"index": index}, None


def _eat(request: dict[str, Any]) -> Iterator[Item]:
    hoard = []
    while True:
        hoard.append(np.ones(8 << 20, np.uint8))
        if len(hoard) > 1000:
            raise AssertionError("8 GB were given")
    yield {}, None


def _eat_inside(request: dict[str, Any]) -> Iterator[Item]:
    try:
        yield from _eat(request)
    except MemoryError as error:
        raise VideoError("cannot decode", path=request["path"]) from error


def _eat_in_torch(request: dict[str, Any]) -> Iterator[Item]:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory")
    yield {}, None


def _refuse(request: dict[str, Any]) -> Iterator[Item]:
    raise SpecialVideoError("too large", path=request["path"], why="because", remedy="make it smaller")
    yield {}, None


def _bad_input(request: dict[str, Any]) -> Iterator[Item]:
    raise InputDataError("no such thing")
    yield {}, None


def _bug(request: dict[str, Any]) -> Iterator[Item]:
    raise ZeroDivisionError("one\n  over nothing")
    yield {}, None


def _leave(request: dict[str, Any]) -> Iterator[Item]:
    os._exit(0)
    yield {}, None


def _sys_exit(request: dict[str, Any]) -> Iterator[Item]:
    sys.exit(0)
    yield {}, None


def _flood(request: dict[str, Any]) -> Iterator[Item]:
    for index in range(request["n"]):
        yield {"index": index}, np.full(request["bytes"], index % 251, np.uint8)


def _print(request: dict[str, Any]) -> Iterator[Item]:
    print("x" * 200_000)
    os.write(1, b"straight into the pipe" * 1000)
    assert sys.stdin.read() == ""
    yield {"printed": True}, None


def _warn(request: dict[str, Any]) -> Iterator[Item]:
    warnings.warn("the frame rate is assumed", UserWarning, stacklevel=1)
    yield {}, None
    warnings.warn("old", FutureWarning, stacklevel=1)


def _not_json(request: dict[str, Any]) -> Iterator[Item]:
    yield {"value": np.float32(1)}, None


def _objects(request: dict[str, Any]) -> Iterator[Item]:
    yield {}, np.array([{}], object)


def _garbage(request: dict[str, Any]) -> Iterator[Item]:
    # What a decoder that was taken over could write: find the pipe and send nonsense.
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, request["text"].encode("latin-1"))
        except OSError:
            continue
    time.sleep(3600)
    yield {}, None


def _interrupted(request: dict[str, Any]) -> Iterator[Item]:
    os.kill(os.getpid(), signal.SIGINT)
    yield {"alive": True}, None


def _grandchild(request: dict[str, Any]) -> Iterator[Item]:
    # It inherits standard error and outlives us.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)"])
    os._exit(3)
    yield {}, None


def _stubborn(request: dict[str, Any]) -> Iterator[Item]:
    yield {"index": 0}, None
    while True:
        time.sleep(3600)


def _environment(request: dict[str, Any]) -> Iterator[Item]:
    yield (
        {
            "threads": os.environ["OMP_NUM_THREADS"],
            "main": getattr(sys.modules["__main__"], "__file__", None),
            "torch": "torch" in sys.modules,
            "session": os.getsid(0) == os.getpid(),
        },
        None,
    )
