"""The processes that compute and check flow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tubelet.errors import InputDataError
from tubelet.flow.layout import ZIP_SUFFIX
from tubelet.flow.record import RECORD_FILE, FlowSettings
from tubelet.reporting.terminal import progress
from tubelet.video.guard import GuardedPool
from tubelet.video.many import as_completed, threads_of

TASK = "tubelet.flow.task:answer"

# Seconds between two signs of life. One pair of 4K frames takes TV-L1 minutes; the others a second.
_STALL_S = 60.0
_STALL_SLOW_S = 900.0


def flow_pool(workers: int, settings: FlowSettings) -> GuardedPool:
    """Processes for `tubelet.flow.task`, started when needed."""
    stall = _STALL_SLOW_S if settings.algorithm.startswith("tvl1") else _STALL_S
    return GuardedPool(TASK, workers, stall_timeout_s=stall)


def check_all(targets: Mapping[str, Path], pool: GuardedPool) -> dict[str, tuple[str, ...]]:
    """What is wrong with stored flow, by name."""

    def check(name: str) -> tuple[str, ...]:
        try:
            messages = list(pool.run({"operation": "check", "target": os.path.abspath(targets[name])}))
            return tuple(map(str, messages[-1].header["problems"]))
        except InputDataError as error:
            return (str(error),)

    problems: dict[str, tuple[str, ...]] = {}
    with progress("checking", total=len(targets), unit="video") as bar, threads_of(pool) as threads:
        for name, found in as_completed(threads, check, list(targets)):
            problems[name] = found
            bar.update(1, damaged=sum(map(bool, problems.values())))
    return {name: problems[name] for name in targets}


def check_stored(root: str | os.PathLike[str], *, workers: int = 1) -> dict[str, tuple[str, ...]]:
    """Decode all flow that is stored below a folder.

    Returns
    -------
    dict
        What is wrong, one sentence each, by the path of a video's flow below ``root``; empty where nothing is.

    Raises
    ------
    InputDataError
        No flow is stored there.
    """
    base = Path(root)
    found = sorted([path.parent for path in base.rglob(RECORD_FILE)] + list(base.rglob(f"*{ZIP_SUFFIX}")))
    found = [path for path in found if not path.name.startswith(".")]  # left by a killed worker
    if not found:
        raise InputDataError("no flow is stored here", path=base, remedy="compute it: tubelet flow VIDEOS -o DIR")
    names = {path.relative_to(base).as_posix(): path for path in found}
    with flow_pool(workers, FlowSettings()) as pool:
        return check_all(names, pool)
