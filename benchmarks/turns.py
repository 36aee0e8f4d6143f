"""Variants in processes of their own, measured in turns: A B A B …, so that a drifting machine hits both alike."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

THREADS = "2"


class Variant:
    """A child process that is ready to do its work once, whenever told, and to say how long it took."""

    def __init__(self, module: str, *arguments: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": THREADS, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[1],
            text=True,
        )
        self.facts = self._read()  # the variant says so when it is warm
        self.latest: dict[str, float] = {}  # all figures of the latest turn

    def turn(self) -> float:
        """Seconds per clip of one turn."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.latest = self._read()
        return self.latest["seconds_per_clip"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def _read(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the variant {self.process.args} ended with {self.process.wait()}")
        found: dict[str, float] = json.loads(line)
        return found


def serve(work: object, warm_up: int = 1, processor_s: Callable[[], float] = time.process_time) -> None:
    """In the child: warm up, say so, then answer each line with the time of one call of ``work``.

    ``processor_s`` tells how much processor time was spent so far, for work that is done in other processes.
    """
    assert callable(work)
    for _ in range(warm_up):
        work()
    print(json.dumps({"ready": 1}), flush=True)
    for _ in sys.stdin:
        started, spent = time.perf_counter(), processor_s()
        clips = work()
        seconds, processor = time.perf_counter() - started, processor_s() - spent
        print(json.dumps({"seconds_per_clip": seconds / clips, "processor_per_clip": processor / clips}), flush=True)


def in_turns(variants: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[float]]:
    """Clips per second of each variant, one figure per round."""
    running = {name: Variant(*command) for name, command in variants.items()}
    rates: dict[str, list[float]] = {name: [] for name in running}
    try:
        for _ in range(rounds):
            for name, variant in running.items():
                rates[name].append(1 / variant.turn())
    finally:
        for variant in running.values():
            variant.close()
    return rates


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Median, lowest and highest ratio over the rounds."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return statistics.median(ratios), ratios[0], ratios[-1]


def row(what: str, value: str, bar: str, **more: object) -> dict[str, object]:
    """One line of a result table: what was measured, the figure, and the bar it is held against."""
    return {"what": what, "value": value, "bar": bar, **more}
