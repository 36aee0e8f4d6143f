"""Ctrl-C that waits until a training step is whole, so that the state can be saved before the run ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C (SIGINT) back while the block runs; a second one interrupts at once.

    Where somebody else handles the signal already, or outside the main thread, nothing is held back.

    Yields
    ------
    callable
        Says whether Ctrl-C was pressed. Whoever asks saves what must be saved and raises ``KeyboardInterrupt``.
    """
    pressed = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
