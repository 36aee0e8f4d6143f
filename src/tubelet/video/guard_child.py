"""The child's side of the guarded pool: one process that answers requests until its parent is gone.

The parent starts ``python -P -c BOOTSTRAP``, so nothing of the parent's ``__main__`` is imported again: a
script without a main guard, a notebook and standard input all work. Commands come in as JSON lines; answers
go out as frames of a fixed prefix (header bytes, payload bytes), a JSON header, and an array's raw bytes.
Nothing is pickled, so a child that a hostile file has taken over can send the parent wrong pixels, but no
code.

Frames that a child sends, by their ``kind``: ``ready`` (imports done), ``begin`` (request taken), ``item``
(one thing the task yielded), ``warning`` (a Python warning, for the parent to give), ``error`` and ``end``
(the last frame of a request).
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import queue
import signal
import struct
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tubelet.video.guard_errors import describe_error

Array = npt.NDArray[Any]
Task = Callable[[dict[str, Any]], Iterator[tuple[dict[str, Any], Array | None]]]

PREFIX = struct.Struct("<IQ")
"""Before every frame: length of the JSON header, length of the payload, in bytes."""

MAX_HEADER_BYTES = 16 << 20
"""A longer header is a broken stream: the parent must not allocate whatever a child claims."""

# The whole search path of the parent comes first, so that the child finds what the parent has found. -P keeps
# the working directory out of the path until then: a json.py lying there must not be run.
BOOTSTRAP = (
    "import json, sys; config = json.loads(sys.stdin.buffer.readline()); sys.path[:] = config['sys_path']; "
    "from tubelet.video.guard_child import main; main(config)"
)

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""Environment of a child: its arithmetic is a resize; the processors belong to the parent's network."""


class Send(Protocol):
    """Writes one frame to the parent; blocks while the parent does not read (this is the back-pressure)."""

    def __call__(self, header: dict[str, Any], array: Array | None = None) -> None: ...


class Inbox:
    """What the parent asks for, read by a thread so that cancellations and the parent's end are seen."""

    def __init__(self) -> None:
        self.requests: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        self.cancelled = -1
        """All runs up to this number are of no interest any more (the numbers only grow)."""

    def listen(self, descriptor: int, at_end: Callable[[], object]) -> None:
        """Read commands until the parent closes its end or dies, then call ``at_end``."""
        # Unbuffered: a thread that waits inside a buffered reader holds its lock and breaks the interpreter's
        # exit.
        pending = b""
        while chunk := os.read(descriptor, 1 << 16):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                command = json.loads(line)
                if "cancel" in command:
                    self.cancelled = max(self.cancelled, command["cancel"])
                else:
                    self.requests.put((command["run"], command["request"]))
        at_end()


def main(config: dict[str, Any]) -> None:
    """Run the child; never returns.

    Parameters
    ----------
    config
        ``task`` ("module:function"), ``memory_bytes``, and ``sys_path`` (already applied).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    commands, answers = _take_over_pipes()
    die_with_parent()
    limit_memory(config["memory_bytes"])
    inbox = Inbox()
    threading.Thread(target=inbox.listen, args=(commands, lambda: os._exit(0)), daemon=True).start()
    send = frame_writer(answers)
    try:
        task = load_task(config["task"])
    except BaseException as error:
        send({"kind": "error", "run": None, **describe_error(error)})
        os._exit(1)
    send({"kind": "ready", "run": None, "pid": os.getpid()})
    while True:
        run, request = inbox.requests.get()
        serve(task, run, request, send, inbox)


def serve(task: Task, run: int, request: dict[str, Any], send: Send, inbox: Inbox) -> None:
    """Answer one request: ``begin``, its items and warnings, then exactly one ``end`` or ``error``."""

    def forward(message: Warning | str, category: type[Warning], *_: object) -> None:
        send({"kind": "warning", "run": run, "category": category.__name__, "text": str(message)})

    last: dict[str, Any] = {"kind": "end", "run": run}
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)  # whether a warning was seen before is the parent's to know
        warnings.showwarning = forward  # type: ignore[assignment]
        try:
            send({"kind": "begin", "run": run})
            items = task(request)
            for header, array in items:
                send({"kind": "item", "run": run, "header": header}, array)
                if inbox.cancelled >= run:
                    close = getattr(items, "close", None)
                    if close is not None:
                        close()
                    break
        except BrokenPipeError:
            os._exit(0)  # the parent is gone; there is nobody to tell
        except BaseException as error:  # also SystemExit: a task must not end the process without a word
            last = {"kind": "error", "run": run, **describe_error(error)}
            # Its frames hold the arrays that filled the memory; the answer itself needs a little.
            error.__traceback__ = None
    with suppress(BrokenPipeError):
        send(last)


def frame_writer(descriptor: int) -> Send:
    """A function that writes frames to ``descriptor``, one at a time whichever thread calls it."""
    lock = threading.Lock()

    def send(header: dict[str, Any], array: Array | None = None) -> None:
        payload = memoryview(b"")
        if array is not None:
            if array.dtype.hasobject:
                raise TypeError("an array of Python objects cannot be sent")
            header = {**header, "dtype": array.dtype.str, "shape": list(array.shape)}
            payload = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        text = json.dumps(header).encode()
        if len(text) > MAX_HEADER_BYTES:
            raise ValueError(f"a header of {len(text)} bytes is too long; send numbers as an array")
        with lock:
            _write(descriptor, PREFIX.pack(len(text), len(payload)) + text)
            _write(descriptor, payload)

    return send


def _write(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view[: 1 << 30]) :]


def load_task(name: str) -> Task:
    """The function called ``module:function``."""
    module, _, function = name.partition(":")
    task: Task = getattr(importlib.import_module(module), function)
    return task


def _take_over_pipes() -> tuple[int, int]:
    """Keep the two pipes for the protocol alone: a library that prints must not write into the answers."""
    commands, answers = os.dup(0), os.dup(1)  # not inherited by processes that the task may start
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return commands, answers


def die_with_parent() -> None:
    """Have Linux kill this process when its parent dies; elsewhere the closed pipe alone does that.

    The closed pipe is noticed by a thread, which needs the interpreter; a decoder that hangs while it holds
    the interpreter's lock would outlive a parent killed with -9. The kernel's signal needs nobody's help.
    """
    if sys.platform != "linux":
        return
    set_death_signal = 1  # PR_SET_PDEATHSIG in linux/prctl.h
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)


def limit_memory(memory_bytes: int) -> None:
    """Let allocations beyond ``memory_bytes`` fail, and leave no core file when the process crashes.

    The limit is on data (``RLIMIT_DATA``: heap and private anonymous memory, what a decoder allocates), not
    on address space (``RLIMIT_AS``): that counts mapped libraries and reserved arenas too, 0.7 GB for a CPU
    build of torch and many for a CUDA build, before anything is decoded. Linux enforces it for all
    allocations; macOS accepts it without enforcing it, and Windows has no such call: there a child is limited
    by the machine only.
    """
    try:
        import resource
    except ImportError:
        return
    for limit, wanted in ((resource.RLIMIT_DATA, memory_bytes), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):
            hard = resource.getrlimit(limit)[1]
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(limit, (value, value))
