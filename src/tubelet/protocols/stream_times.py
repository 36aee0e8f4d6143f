"""Seconds that the parts of a run took, kept in its folder over all the runs that they needed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tubelet.artifacts import write_json

TIMING = "timing.json"


@contextmanager
def timed(folder: Path, name: str, finished: bool = False) -> Iterator[None]:
    """Add the block's seconds to the folder's ``timing.json``, also where it fails; not what looking again takes."""
    start = time.monotonic()
    try:
        yield
    finally:
        if not finished:
            add_time(folder, name, time.monotonic() - start)


def add_time(folder: Path, name: str, seconds: float) -> None:
    """Add seconds to those of a part in the folder's ``timing.json``."""
    took = times_of(folder)
    write_json(folder / TIMING, {**took, name: took.get(name, 0.0) + seconds})


def times_of(folder: Path) -> dict[str, float]:
    """Seconds by the name of the part; empty where nothing readable is kept."""
    try:
        found = json.loads((folder / TIMING).read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
