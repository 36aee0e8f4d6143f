"""Progress on the terminal: a bar for people, a plain line now and then for log files.

Progress goes to stderr, never to stdout, which carries data. The bar appears only on a terminal; elsewhere
one line is written about every ten seconds, so that a log shows what happened without thousands of redraws.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from tubelet.reporting.text import percent, printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Clock = Callable[[], float]


class ProgressBar:
    """What :func:`progress` hands out; ``update`` may be called from several threads.

    Attributes
    ----------
    description, unit
        What is being done, and the name of one unit of it ("step").
    total
        Units in all, or None if unknown.
    done
        Units done, those before this run included.
    """

    def __init__(
        self,
        description: str,
        *,
        total: int | None,
        unit: str,
        initial: int,
        stream: TextIO,
        clock: Clock,
        interval_s: float,
    ) -> None:
        self.description = printable(description)
        self.total = total
        self.unit = unit
        self.done = initial
        self.fields: dict[str, str | float | int | None] = {}
        self._initial = initial
        self._stream = stream
        self._clock = clock
        self._interval_s = interval_s
        self._started = clock()
        self._last_line = self._started
        self._end_told = False
        self._lock = threading.RLock()
        self._bar: tuple[RichProgress, TaskID] | None = None

    def update(self, advance: int = 1, **fields: str | float | int | None) -> None:
        """Count ``advance`` more units and show ``fields``.

        Numbers are shown with their name (``loss 0.412``), those named accuracy as percent; text is shown as
        it is (``rate="120 clips/s"``). A field stays until it is given again; None removes it.
        """
        with self._lock:
            self.done += advance
            self.fields.update(fields)
            if self._bar is not None:
                bar, task = self._bar
                bar.update(task, completed=self.done, counted=self._counted(), words=self._tail())
            elif self._clock() - self._last_line >= self._interval_s:
                self._write(self.line())
                self._end_told = self.total is not None and self.done >= self.total

    def expect(self, total: int) -> None:
        """Correct how many units there are in all; not below what is done."""
        with self._lock:
            self.total = max(total, self.done)
            self._end_told = self._end_told and self.done >= self.total
            if self._bar is not None:
                bar, task = self._bar
                bar.update(task, total=self.total)

    def reach(self, done: int, total: int) -> None:
        """Say how many units are done of how many, where somebody else counts."""
        self.expect(total)
        self.update(done - self.done)

    def print(self, text: str) -> None:
        """Write a line that stays: above the bar on a terminal, else among the lines."""
        with self._lock:
            if self._bar is not None:
                self._bar[0].console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                self._write(text)

    def line(self) -> str:
        """The state in one line: done of all, percent, fields, time left."""
        share = percent(self.done / self.total, 0) if self.total else ""
        parts = [f"{self.description} {self._counted()}", share, self._tail()]
        return " · ".join(part for part in parts if part)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the bar was opened."""
        return self._clock() - self._started

    @property
    def remaining_s(self) -> float | None:
        """Seconds left at the mean speed of this run; None while nothing is known."""
        ran = self.done - self._initial
        if self.total is None or ran <= 0 or self.elapsed_s <= 0:
            return None
        return max(0, self.total - self.done) * self.elapsed_s / ran

    def _counted(self) -> str:
        units = self.unit if self.unit.endswith("s") else f"{self.unit}s"
        return f"{self.done} {units}" if self.total is None else f"{self.done}/{self.total} {units}"

    def _tail(self) -> str:
        shown = [shown for name, value in self.fields.items() if (shown := _field(name, value))]
        left = self.remaining_s
        finished = self.total is not None and self.done >= self.total
        if finished:
            shown.append(f"took {duration(self.elapsed_s)}")
        elif left is not None:
            shown.append(f"{duration(left)} left")
        return " · ".join(shown)

    def _write(self, text: str) -> None:
        self._last_line = self._clock()
        self._stream.write(text + "\n")
        self._stream.flush()

    def _close(self, *, broken: bool) -> None:
        with self._lock:
            if self._bar is not None:
                bar, task = self._bar
                bar.update(task, completed=self.done, counted=self._counted(), words=self._tail())
                bar.stop()
                self._bar = None
            elif broken:
                self._write(f"{self.line()} · stopped")
            elif (self.done != self._initial or self.total) and not self._end_told:
                self._write(self.line())

    def _open(self) -> None:
        bar = _rich_bar(self._stream, self._clock)
        task = bar.add_task(self.description, total=self.total, completed=self.done, counted=self._counted(), words="")
        self._bar = (bar, task)
        bar.start()


@contextmanager
def progress(
    description: str,
    *,
    total: int | None = None,
    unit: str = "item",
    initial: int = 0,
    stream: TextIO | None = None,
    clock: Clock = time.monotonic,
    interval_s: float = 10.0,
) -> Iterator[ProgressBar]:
    """Show progress while the block runs.

    Parameters
    ----------
    description
        What is being done ("training").
    total
        Units in all, if known.
    unit
        Name of one unit, singular.
    initial
        Units that an earlier, interrupted run did: counted as done, but not for the speed.
    stream
        Where to write; default: stderr.
    clock
        Seconds, increasing; tests give their own.
    interval_s
        Least time between two plain lines.

    Yields
    ------
    ProgressBar
        Its ``update`` is called as work gets done.

    Notes
    -----
    On a terminal a bar is drawn (without color if ``NO_COLOR`` is set); elsewhere, or with ``TERM=dumb``,
    plain lines are written.

    Examples
    --------
    >>> with progress("training", total=900, unit="step") as bar:  # doctest: +SKIP
    ...     bar.update(1, loss=0.41, accuracy=0.87, rate="120 clips/s")
    """
    target = sys.stderr if stream is None else stream
    bar = ProgressBar(
        description,
        total=total,
        unit=unit,
        initial=initial,
        stream=target,
        clock=clock,
        interval_s=interval_s,
    )
    if is_terminal(target):
        bar._open()
    try:
        yield bar
    except BaseException:
        bar._close(broken=True)
        raise
    bar._close(broken=False)


def is_terminal(stream: TextIO) -> bool:
    """Whether a bar can be drawn on ``stream``."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def duration(seconds: float) -> str:
    """``42 s``, ``3:07`` (minutes), ``1:02:09`` (hours)."""
    whole = max(0, math.ceil(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _field(name: str, value: str | float | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return printable(value)
    words = name.replace("_", " ")
    if isinstance(value, int):
        return f"{words} {value}"
    if "accuracy" in name:
        return f"{words} {percent(value)}"
    return f"{words} {value:.3f}" if 1e-2 <= abs(value) < 1e4 or value == 0 else f"{words} {value:.3g}"


def _rich_bar(stream: TextIO, clock: Clock) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(file=stream, force_terminal=True, highlight=False)
    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24, complete_style="blue", finished_style="blue", pulse_style="blue"),
        TextColumn("{task.fields[counted]}", markup=False),
        TextColumn("{task.fields[words]}", markup=False, style="dim"),
    ]
    # stdout carries data and stays as it is, also when it is the same terminal.
    return Progress(
        *columns,
        console=console,
        get_time=clock,
        refresh_per_second=4,
        redirect_stdout=False,
        redirect_stderr=stream is sys.stderr,
    )
