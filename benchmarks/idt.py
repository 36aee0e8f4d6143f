"""Improved dense trajectories on one core: the whole command, from video files to stored trajectories.

``python -m benchmarks idt --videos CLIP…`` takes these clips, by default the two largest of UCF101 where they are;
three turns at most, since each takes minutes. The command is run with one worker and bound to one processor, its start
included. On a machine that does other work as well, processor time says what the rate would be without it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.flow_throughput import clips_of
from benchmarks.turns import row

BAR = 4.0
_MOST_ROUNDS = 3
PAPER = "C3D's paper: 3.5, one core"


def run(rounds: int, work: Path, videos: Sequence[Path] = ()) -> list[dict[str, object]]:
    """Frames per second by the wall and by processor time, and what a frame's trajectories take."""
    folder = (work / "idt").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "made").mkdir(parents=True)
    clips = list(videos) or clips_of(folder / "made")[0][-2:]
    kind = f"{len(clips)} clips"
    (folder / "clips").mkdir()
    for number, clip in enumerate(clips):
        shutil.copyfile(clip, folder / "clips" / f"{number}-{clip.name}")
    found: dict[str, list[float]] = {"wall": [], "processor": []}
    for turn in range(min(rounds, _MOST_ROUNDS)):
        wall, processor, summary = _turn(folder / "clips", folder / f"out{turn}")
        found["wall"].append(summary["frames"] / wall)
        found["processor"].append(summary["frames"] / processor)
        shutil.rmtree(folder / f"out{turn}")
    rows = [_row("frames/s, one core, whole command", kind, found["wall"])]
    rows.append(_row("frames/s of processor time", kind, found["processor"]))
    frames = summary["frames"]
    rows.append(row(f"trajectories a frame, {kind}", f"{summary['kept'] / frames:.0f}", f"{frames} frames"))
    rows.append(row("kB a frame on disk", f"{summary['nbytes'] / frames / 1e3:.0f}", ""))
    shutil.rmtree(folder)
    return rows


def _turn(clips: Path, out: Path) -> tuple[float, float, dict[str, int]]:
    """Seconds by the wall and by processor of one run, and its summary."""
    command = [sys.executable, "-m", "tubelet.cli.main", "extract", clips, "--model", "idt", "-o", out]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    spent, started = _processor_s(), time.perf_counter()
    ended = subprocess.run(
        [*map(str, command), "--workers", "1", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=_one_core,
    )
    wall = time.perf_counter() - started
    summary: dict[str, int] = json.loads(ended.stdout)
    return wall, _processor_s() - spent, summary


def _one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _processor_s() -> float:
    """Of all processes that this one waited for, their own children included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(what: str, kind: str, rates: list[float]) -> dict[str, object]:
    bar = f"bar {BAR:g}; {PAPER}; range {min(rates):.1f}-{max(rates):.1f}"
    return row(f"iDT, {what}, {kind}", f"{statistics.median(rates):.1f}", bar, values=rates)
