"""Decoding processes that outlive their pool, so that the next test finds one that has imported torch.

Almost every command starts one, and closes it when it ends; starting takes two seconds of a processor, ten times what
the little videos of the tests need. What a pool does with its children is what it always does; only the last step of
its end differs: a child that has answered everything is laid aside instead of killed, and given to the next pool that
wants one like it. Tests of the children themselves let go of this with `fresh_children`.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tubelet.clips.decode import TASK as FRAMES
from tubelet.flow.decode import TASK as FIELDS
from tubelet.video.guard_child import Array
from tubelet.video.guard_process import ChildProcess

_AT_MOST = 3  # of them lie idle; each holds 0.3 GB


class _KeptChild(ChildProcess):
    """A child that tells apart whether it has nothing left to say."""

    def __init__(self, keeper: KeptChildren, task: str, memory_bytes: int) -> None:
        self._keeper = keeper
        self.kind = _kind(task, memory_bytes)
        self.ready = False
        self._at_rest = False
        self._usable = True
        super().__init__(task, memory_bytes)

    def wait_ready(self, timeout_s: float) -> None:
        if not self.ready:
            super().wait_ready(timeout_s)
            self.ready = True

    def send(self, command: dict[str, Any], timeout_s: float) -> None:
        # Every pool numbers its requests from 0, and a child counts all below a cancelled one as cancelled.
        self._usable &= "cancel" not in command
        self._at_rest = False
        super().send(command, timeout_s)

    def receive(self, timeout_s: float) -> tuple[dict[str, Any], Array | None]:
        header, array = super().receive(timeout_s)
        self._at_rest = header["kind"] in ("ready", "end") or (header["kind"] == "error" and not header.get("memory"))
        return header, array

    def kill(self) -> None:
        self._usable = False
        super().kill()

    def dispose(self) -> None:
        if not (self.ready and self._usable and self._at_rest and self.is_alive() and self._keeper.take(self)):
            super().dispose()


class KeptChildren:
    """``keeper(task, memory_bytes)`` stands for `ChildProcess` where a pool starts one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a pool that is collected, at any moment, lays its children aside, too
        self._idle: list[_KeptChild] = []
        self._closed = False
        # Linux kills a child when the thread that started it ends, so that must not be a pool's.
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="kept-children")

    def __call__(self, task: str, memory_bytes: int) -> ChildProcess:
        if task not in (FRAMES, FIELDS):
            return ChildProcess(task, memory_bytes)
        with self._lock:
            self._idle, dead = _parted(self._idle)
            wanted = _kind(task, memory_bytes)
            found = next((child for child in reversed(self._idle) if child.kind == wanted), None)
            if found is not None:
                self._idle.remove(found)
        for child in dead:
            child.dispose()
        if found is not None:
            found.requests = 0
            return found
        return self._launcher.submit(_KeptChild, self, task, memory_bytes).result()

    def take(self, child: _KeptChild) -> bool:
        """Lay a child aside; the one that has lain longest goes when there are too many."""
        with self._lock:
            if self._closed:
                return False
            self._idle.append(child)
            oldest = self._idle.pop(0) if len(self._idle) > _AT_MOST else None
        if oldest is not None:
            oldest.kill()
            oldest.dispose()
        return True

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.dispose()
        self._launcher.shutdown()


def _kind(task: str, memory_bytes: int) -> tuple[object, ...]:
    """All that a child has from its parent: two are alike if this is."""
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return task, memory_bytes, tuple(sys.path), tuple(sorted(own.items()))


def _parted(children: list[_KeptChild]) -> tuple[list[_KeptChild], list[_KeptChild]]:
    alive = [child for child in children if child.is_alive()]
    return alive, [child for child in children if child not in alive]
