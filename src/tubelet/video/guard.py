"""Work that may crash, hang or eat the memory, done in child processes that can be killed.

Decoders are C code fed with strangers' files. `GuardedPool` runs a task in spawned children and streams back
what it yields; whatever a child does, the parent sees one error for that request and the pool goes on with a
fresh child. It knows nothing of video: `tubelet.clips.decode` is the task that decodes.

Children are started by `subprocess` (never forked: threads and CUDA do not survive a fork), do not import the
parent's ``__main__``, and end with the parent, also when that is killed with -9. On Linux all limits hold;
macOS does not enforce the memory limit; Windows has neither that nor the death signal, but its children also
end when the pipe closes.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tubelet.errors import DecodeWorkerError, UsageError
from tubelet.video.guard_child import Array
from tubelet.video.guard_errors import rebuild_error, warn_again
from tubelet.video.guard_process import ChildGoneError, ChildProcess

_CANCEL_S = 1.0  # how long an abandoned request may take to end before its child is killed


@dataclass(frozen=True)
class Message:
    """One thing that a task yielded.

    Attributes
    ----------
    header
        JSON values (floats arrive exactly as they were sent).
    array
        The array that came with it, writable and contiguous, or None.
    """

    header: dict[str, Any]
    array: Array | None


class GuardedPool:
    """Child processes that run one task, with limits on memory and silence.

    Children are started when needed and kept. Several threads may use the pool at once; each running request
    has a child of its own, and a thread waits when all are taken. Not for use across a fork.

    Parameters
    ----------
    task
        ``"module:function"``, imported in the child; ``function(request: dict)`` returns an iterator of
        ``(header: dict, array or None)``.
    workers
        Most children at a time.
    memory_bytes
        What one child may allocate (its heap and private memory; libraries mapped from disk do not count).
    stall_timeout_s
        Seconds without an answer, counted only while the parent waits for one, after which a child is killed.
    recycle_after
        Requests after which a child is replaced, so that a leak in a decoder cannot add up.
    start_timeout_s
        Seconds that a child may take to import its task.

    Raises
    ------
    UsageError
        A number below its least sensible value.
    """

    def __init__(
        self,
        task: str,
        workers: int = 1,
        *,
        memory_bytes: int = 4 << 30,
        stall_timeout_s: float = 60.0,
        recycle_after: int = 500,
        start_timeout_s: float = 120.0,
    ) -> None:
        for name, value in (("workers", workers), ("recycle_after", recycle_after)):
            if value < 1:
                raise UsageError(f"{name} is {value}", why="at least 1 is needed")
        for name, seconds in (("stall_timeout_s", stall_timeout_s), ("start_timeout_s", start_timeout_s)):
            if not seconds > 0:
                raise UsageError(f"{name} is {seconds}", why="it must be positive")
        self.task = task
        self.workers = workers
        self.memory_bytes = memory_bytes
        self.stall_timeout_s = stall_timeout_s
        self.recycle_after = recycle_after
        self.start_timeout_s = start_timeout_s
        self._change = threading.Condition()
        self._idle: list[ChildProcess] = []
        self._holders: dict[int, int] = {}  # running request -> thread that started it
        self._waiting: set[int] = set()  # threads that wait for a child
        self._children: set[ChildProcess] = set()
        self._runs = itertools.count()
        self._closed = False
        self._pid = os.getpid()
        # Linux sends the death signal when the *thread* that started the child ends, so one thread that lives
        # as long as the pool starts them all.
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="tubelet-launcher")
        self._finalizer = weakref.finalize(self, _dispose_all, self._children, self._pid)

    def run(self, request: dict[str, Any]) -> Generator[Message, None, None]:
        """Run the task on one request in a child.

        Nothing happens before the first item is asked for. The child works ahead by one item and then waits
        until that is taken, so neither side piles up memory. Closing the generator early cancels the request;
        a child that does not stop within a second is killed.

        Parameters
        ----------
        request
            JSON values. A value called ``path`` is named in errors about the child.

        Yields
        ------
        Message
            What the task yielded, in its order. Python warnings given in the child are given again here.

        Raises
        ------
        TubeletError
            The task raised it: same class, same words. Also raised (as the base class) when no child can
            start.
        DecodeWorkerError
            The task raised any other exception, or the child crashed, left, ran out of memory or was silent.
        UsageError
            The pool is closed or belongs to another process, or all children are held by unfinished requests
            of threads that wait for a child, this one included.
        """
        run = next(self._runs)
        path = request.get("path")
        child: ChildProcess | None = None
        healthy = False
        try:
            child = self._borrow(run)
            try:
                self._begin(child, run, request)
            except ChildGoneError:
                if child.requests == 0:
                    raise
                self._discard(child)  # it had died idle, so another one may try
                child = self._start()
                self._begin(child, run, request)
            while True:
                header, array = self._receive(child, run)
                kind = header["kind"]
                if kind == "warning":
                    warn_again(header, stacklevel=3)
                elif kind == "end":
                    healthy = True
                    return
                elif kind == "error":
                    healthy = not header.get("memory")  # what filled the memory may still be there
                    raise rebuild_error(header, path, self.memory_bytes)
                else:
                    try:
                        yield Message(header.get("header") or {}, array)
                    except GeneratorExit:
                        healthy = self._cancel(child, run)
                        raise
        except ChildGoneError as gone:
            if self._closed:
                raise UsageError("the pool was closed while a request was running", path=path) from None
            raise DecodeWorkerError(gone.what, path=path, why=gone.why, remedy=gone.remedy) from None
        finally:
            self._give_back(run, child, healthy)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Kill all children; requests still running in other threads end with `UsageError`."""
        with self._change:
            self._closed = True
            idle, self._idle = self._idle, []
            self._change.notify_all()
        for child in idle:
            self._discard(child)
        for child in list(self._children):
            child.kill()  # its pipes are closed by the thread that uses it
        self._launcher.shutdown(wait=False)
        self._finalizer.detach()

    def __enter__(self) -> GuardedPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _borrow(self, run: int) -> ChildProcess:
        me = threading.get_ident()
        if os.getpid() != self._pid:
            raise UsageError(
                "this pool of decoding processes belongs to the process it was made in",
                why="this process was forked from it",
                remedy="make a pool here, or start worker processes by spawn",
            )
        with self._change:
            while True:
                if self._closed:
                    raise UsageError("the pool of decoding processes is closed")
                if self._idle or len(self._holders) < self.workers:
                    break
                if self._waiting.union([me]).issuperset(list(self._holders.values())):
                    raise UsageError(
                        f"unfinished requests hold all {self.workers} decoding processes",
                        why="the threads that could finish them wait for one themselves",
                        remedy="finish or close the earlier iterators, or allow more workers",
                    )
                self._waiting.add(me)
                try:
                    self._change.wait()
                finally:
                    self._waiting.discard(me)
            self._holders[run] = me
            child = self._idle.pop() if self._idle else None
        if child is not None:
            if child.is_alive():
                return child
            self._discard(child)
        return self._start()

    def _begin(self, child: ChildProcess, run: int, request: dict[str, Any]) -> None:
        """Hand a request over, and see that the child has taken it."""
        child.send({"run": run, "request": request}, self.stall_timeout_s)
        self._receive(child, run)

    def _receive(self, child: ChildProcess, run: int) -> tuple[dict[str, Any], Array | None]:
        header, array = child.receive(self.stall_timeout_s)
        if header.get("run") != run:
            raise ChildGoneError(f"it answered request {header.get('run')}, not {run}", "try again")
        return header, array

    def _start(self) -> ChildProcess:
        starting: Future[ChildProcess]
        try:
            starting = self._launcher.submit(ChildProcess, self.task, self.memory_bytes)
        except RuntimeError as error:  # closed by another thread, or the interpreter is about to end
            raise UsageError("the pool of decoding processes is closed") from error
        try:
            child = starting.result()
        except BaseException:  # Ctrl-C while it was being started: nobody will use it
            starting.add_done_callback(_kill_started)
            raise
        self._children.add(child)
        try:
            child.wait_ready(self.start_timeout_s)
            if self._closed:
                raise UsageError("the pool of decoding processes is closed")
        except BaseException:
            self._discard(child)
            raise
        return child

    def _give_back(self, run: int, child: ChildProcess | None, healthy: bool) -> None:
        """End a request: keep its child for others, or kill it before one can be started in its place."""
        if child is not None:
            child.requests += 1
            if not healthy or child.requests >= self.recycle_after or self._closed:
                self._discard(child)
                child = None
        with self._change:
            self._holders.pop(run, None)
            if child is not None and not self._closed:
                self._idle.append(child)
                child = None
            self._change.notify()
        if child is not None:
            self._discard(child)

    def _discard(self, child: ChildProcess) -> None:
        child.dispose()
        self._children.discard(child)

    def _cancel(self, child: ChildProcess, run: int) -> bool:
        """Tell the child to stop and read what it had sent; whether it can take other requests."""
        deadline = time.monotonic() + _CANCEL_S
        try:
            child.send({"cancel": run}, _CANCEL_S)
            while (left := deadline - time.monotonic()) > 0:
                header, _ = child.receive(left)
                if header["kind"] in ("end", "error"):
                    return not header.get("memory")
        except ChildGoneError:
            pass
        return False


def _kill_started(starting: Future[ChildProcess]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().dispose()


def _dispose_all(children: set[ChildProcess], pid: int) -> None:
    if os.getpid() == pid:  # a forked copy of the pool must leave the original's children alone
        for child in list(children):
            child.dispose()
