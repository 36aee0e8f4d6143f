"""The parent's side of one child process: start it, talk to it with a deadline, say why it died, kill it."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import FileIO
from typing import Any, cast

import numpy as np

from tubelet.errors import TubeletError
from tubelet.video.guard_child import BOOTSTRAP, MAX_HEADER_BYTES, ONE_THREAD, PREFIX, Array
from tubelet.video.guard_errors import MORE_MEMORY, out_of_memory

_PIPE_BYTES = 1 << 20  # Linux gives 64 KiB, a hundred wake-ups for one full-HD frame
_TAIL_BYTES = 4096
_LOOK_S = 0.5  # how often a waiting parent looks whether the child still exists


class ChildGoneError(Exception):
    """The child can no longer be talked to; ``what``, ``why`` and ``remedy`` are words for the user."""

    def __init__(self, why: str, remedy: str, what: str = "the decoding process died") -> None:
        self.what = what
        self.why = why
        self.remedy = remedy
        super().__init__(why)


class ChildProcess:
    """One spawned child that answers requests of one task (see ``guard_child`` for the protocol).

    Not thread-safe, except `kill`: one request at a time, by whoever has borrowed it.

    Parameters
    ----------
    task
        ``"module:function"``.
    memory_bytes
        What the child may allocate, and the largest array that it may send.
    """

    def __init__(self, task: str, memory_bytes: int) -> None:
        if not sys.executable:
            raise TubeletError(
                "cannot start a decoding process",
                why="this Python does not know its own executable",
                remedy="run from an ordinary Python interpreter",
            )
        self.requests = 0
        self._memory_bytes = memory_bytes
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", BOOTSTRAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **ONE_THREAD},
            # A session of its own: a terminal's Ctrl-C and Ctrl-Z reach the parent only.
            start_new_session=True,
            creationflags=_creation_flags(),
        )
        self._commands = cast(FileIO, self._process.stdin)
        self._answers = cast(FileIO, self._process.stdout)
        if os.name == "posix":
            os.set_blocking(self._commands.fileno(), False)
        _widen(self._answers.fileno())
        self._last_words = bytearray()
        self._listener = threading.Thread(
            target=_keep_tail, args=(cast(FileIO, self._process.stderr), self._last_words), daemon=True
        )
        self._listener.start()
        paths = [os.path.abspath(path) for path in sys.path]
        self._config = {"task": task, "memory_bytes": memory_bytes, "sys_path": paths}

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the child has imported its task; raises ``TubeletError`` when it cannot."""
        remedy = "run `tubelet doctor` to see whether the installation works"
        try:
            self.send(self._config, timeout_s)
            header, _ = self.receive(timeout_s)
        except ChildGoneError as gone:
            raise TubeletError("a decoding process did not start", why=gone.why, remedy=remedy) from None
        if header["kind"] != "ready":
            raise TubeletError("a decoding process did not start", why=str(header["what"]), remedy=remedy)

    def send(self, command: dict[str, Any], timeout_s: float) -> None:
        """Write one command; a child that does not take it in time is gone."""
        deadline = time.monotonic() + timeout_s
        view = memoryview(json.dumps(command).encode() + b"\n")
        while view:
            try:
                written = self._commands.write(view)
            except OSError:
                raise self._gone() from None
            if written is None:  # the pipe is full
                self._wait(self._commands.fileno(), deadline, timeout_s, writing=True)
            else:
                view = view[written:]

    def receive(self, timeout_s: float) -> tuple[dict[str, Any], Array | None]:
        """Read one frame: its header, and its array if it has one.

        Raises
        ------
        ChildGoneError
            The child is dead, has not completed a frame ``timeout_s`` after this call, or has sent nonsense.
        """
        deadline = time.monotonic() + timeout_s
        prefix = bytearray(PREFIX.size)
        self._fill(memoryview(prefix), deadline, timeout_s)
        header_bytes, payload_bytes = PREFIX.unpack(prefix)
        if header_bytes > MAX_HEADER_BYTES or payload_bytes > self._memory_bytes:
            raise _nonsense(f"a frame of {header_bytes} + {payload_bytes} bytes")
        text = bytearray(header_bytes)
        self._fill(memoryview(text), deadline, timeout_s)
        try:
            header = json.loads(text)
            array = _empty_array(header, payload_bytes)
        except (ValueError, KeyError, TypeError) as error:
            raise _nonsense(str(error)) from None
        if array is not None and array.nbytes:
            self._fill(array.reshape(-1).view(np.uint8).data, deadline, timeout_s)
        return header, array

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill the process, from any thread; whoever waits for it sees `ChildGoneError`."""
        with suppress(OSError):
            self._process.kill()

    def dispose(self) -> None:
        """Kill the process, wait for its end and close the pipes (only by who has borrowed it)."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        for pipe in (self._commands, self._answers):
            with suppress(OSError):
                pipe.close()

    def _fill(self, view: memoryview, deadline: float, timeout_s: float) -> None:
        while view:
            self._wait(self._answers.fileno(), deadline, timeout_s)
            count = self._answers.readinto(view)
            if not count:
                raise self._gone()
            view = view[count:]

    def _wait(self, descriptor: int, deadline: float, timeout_s: float, *, writing: bool = False) -> None:
        while True:
            left = deadline - time.monotonic()
            if _ready(descriptor, max(0.0, min(left, _LOOK_S)), writing=writing):
                return
            if left <= 0:
                raise ChildGoneError(
                    f"no answer for {timeout_s:g} s",
                    "raise the stall timeout if the file lies on slow storage",
                    "the decoding process hung",
                )
            # A process started by the task may hold the pipe open after the child's own end.
            if not self.is_alive() and not _ready(descriptor, 0.0, writing=writing):
                raise self._gone()

    def _gone(self) -> ChildGoneError:
        """Find out how the child ended."""
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.kill()
            return ChildGoneError("it closed its pipe and went on running", _SUSPECT)
        self._listener.join(timeout=1)
        lines = [line.strip() for line in self._last_words.decode(errors="replace").splitlines()]
        said = " | ".join([line for line in lines if line][-3:])[-400:]
        remedy = _SUSPECT
        if code < 0:
            why = f"killed by {_signal_name(-code)}"
            if -code == getattr(signal, "SIGKILL", None):
                why += ", as the system does when memory runs out"
        else:
            why = f"it left with exit code {code} before it had finished"
        if any(mark in said for mark in _NO_MEMORY):
            why, remedy = f"{out_of_memory(self._memory_bytes)}, {why}", MORE_MEMORY
        return ChildGoneError(f"{why}; last output: {said}" if said else why, remedy)


# The last words of C++, of Python and of the C library when an allocation fails.
_NO_MEMORY = ("bad_alloc", "MemoryError", "annot allocate memory")
_SUSPECT = "the file is probably damaged: re-encode it or leave it out"


def _nonsense(what: str) -> ChildGoneError:
    return ChildGoneError(f"it sent something unreadable: {what}", _SUSPECT)


def _empty_array(header: Any, payload_bytes: int) -> Array | None:
    """The array that a header announces, if its size is the payload's; the header is not trusted."""
    if not isinstance(header, dict) or not isinstance(header.get("kind"), str):
        raise ValueError("a header without a kind")
    if "dtype" not in header:
        if payload_bytes:
            raise ValueError("bytes without a type")
        return None
    dtype = np.dtype(header.pop("dtype"))
    shape = tuple(int(length) for length in header.pop("shape"))
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != payload_bytes:
        raise ValueError(f"{payload_bytes} bytes announced as {shape} of {dtype}")
    return np.empty(shape, dtype)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _keep_tail(stream: FileIO, tail: bytearray) -> None:
    """Read a child's standard error to its end, keeping only the last of it."""
    with stream:
        while chunk := stream.read(_TAIL_BYTES):
            tail += chunk
            del tail[:-_TAIL_BYTES]


def _creation_flags() -> int:
    if sys.platform == "win32":  # pragma: no cover
        return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return 0


def _widen(descriptor: int) -> None:
    """Give the pipe more room where the system offers that and the user's share is not used up."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _ready(descriptor: int, seconds: float, *, writing: bool) -> bool:
    """Whether a pipe can be read (or written) without blocking, waiting for that up to ``seconds``."""
    if sys.platform == "win32":  # pragma: no cover
        # Windows cannot wait for an anonymous pipe: look, sleep, look again. Its writes block and are short.
        import _winapi
        import msvcrt

        end = time.monotonic() + seconds
        while not writing:
            try:
                if _winapi.PeekNamedPipe(msvcrt.get_osfhandle(descriptor), 0)[0]:
                    return True
            except OSError:
                return True  # the other end is closed: reading says so
            if time.monotonic() >= end:
                return False
            time.sleep(0.005)
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))
