"""Many streams read ahead by threads, handed out in order, with a bounded number of items waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from tubelet.errors import InputDataError, TubeletError, UsageError

K = TypeVar("K")
T = TypeVar("T")


def run_ahead(
    keys: Sequence[K],
    open_stream: Callable[[K], Iterator[T]],
    *,
    threads: int,
    max_ahead: int,
    abort: Callable[[], object] | None = None,
) -> Generator[tuple[K, T | TubeletError], None, None]:
    """Read the stream of every key, several at once, and yield all items in the order of the keys.

    What is yielded does not depend on ``threads`` or on which stream is faster.

    Parameters
    ----------
    keys
        What to open, in the order wanted.
    open_stream
        Called in a thread with a key; returns an iterator (closed at the end if it can be).
    threads
        Streams read at a time.
    max_ahead
        Most items that wait to be taken, over all streams (one more if the stream whose turn it is has none).
    abort
        Called when the generator is closed early, to wake up streams that wait for something.

    Yields
    ------
    tuple
        Key and item. A stream that fails because of its data or its name (`InputDataError`, `UsageError`)
        ends with that error as its last item.

    Raises
    ------
    BaseException
        Any other error of a stream, when its turn comes: it would meet the next stream too.
    """
    if threads < 1 or max_ahead < 1:
        raise UsageError("cannot read ahead with less than one thread and one item")
    state = _Ahead(keys, open_stream, max_ahead)
    crew = [
        threading.Thread(target=state.work, name=f"tubelet-ahead-{number}", daemon=True)
        for number in range(min(threads, len(keys)))
    ]
    for thread in crew:
        thread.start()
    try:
        yield from state.in_order()
    finally:
        if not state.stop() and abort is not None:
            abort()
        for thread in crew:
            thread.join(timeout=10)


class _Failure:
    """An error on its way from a thread to the consumer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Ahead(Generic[K, T]):
    """What the threads and the consumer share; every field is guarded by ``change``."""

    def __init__(self, keys: Sequence[K], open_stream: Callable[[K], Iterator[T]], max_ahead: int) -> None:
        self.keys = keys
        self.open_stream = open_stream
        self.max_ahead = max_ahead
        self.change = threading.Condition()
        self.next_job = 0  # the first key that no thread has taken
        self.head = 0  # the key whose turn it is
        self.reserved = 0  # items waiting or being made, over all jobs
        self.own = [0] * len(keys)  # the same for each job
        self.waiting: list[deque[T | _Failure]] = [deque() for _ in keys]
        self.done = [False] * len(keys)
        self.stopped = False

    def work(self) -> None:
        """One thread: take the next key, follow its stream, until there is none left."""
        while True:
            with self.change:
                if self.stopped or self.next_job >= len(self.keys):
                    return
                job = self.next_job
                self.next_job += 1
            self._follow(job)

    def in_order(self) -> Iterator[tuple[K, T | TubeletError]]:
        """The consumer's side."""
        for job, key in enumerate(self.keys):
            while True:
                with self.change:
                    while not self.waiting[job] and not self.done[job]:
                        self.change.wait()
                    if not self.waiting[job]:
                        self.head = job + 1
                        self.change.notify_all()
                        break
                    item = self.waiting[job].popleft()
                    self._unreserve(job)
                if not isinstance(item, _Failure):
                    yield key, item
                elif isinstance(item.error, InputDataError | UsageError):
                    yield key, item.error
                else:
                    raise item.error

    def stop(self) -> bool:
        """Let the threads end; whether they all had come to the end of their streams already."""
        with self.change:
            self.stopped = True
            self.change.notify_all()
            return all(self.done)

    def _follow(self, job: int) -> None:
        stream: Iterator[T] | None = None
        try:
            # Room first, item second: an item that nobody has room for is never made.
            while self._reserve(job):
                try:
                    if stream is None:
                        stream = self.open_stream(self.keys[job])
                    item: T | _Failure = next(stream)
                except StopIteration:
                    with self.change:
                        self._unreserve(job)
                    break
                except BaseException as error:
                    item = _Failure(error)
                with self.change:
                    self.waiting[job].append(item)
                    self.change.notify_all()
                if isinstance(item, _Failure):
                    break
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                with suppress(Exception):  # the consumer has gone or has the stream's own error
                    close()
            with self.change:
                self.done[job] = True
                self.change.notify_all()

    def _reserve(self, job: int) -> bool:
        """Wait for room for one more item; False when the consumer has gone.

        The stream whose turn it is may always have one item, or streams that come later could fill the room
        and everyone would wait for ever.
        """
        with self.change:
            while not self.stopped:
                if self.reserved < self.max_ahead or (job == self.head and self.own[job] == 0):
                    self.reserved += 1
                    self.own[job] += 1
                    return True
                self.change.wait()
            return False

    def _unreserve(self, job: int) -> None:
        self.reserved -= 1
        self.own[job] -= 1
        self.change.notify_all()
