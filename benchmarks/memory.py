"""Peak memory of whole process trees, and growth over many opened files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.turns import THREADS, row
from benchmarks.videos import moving_texture

MB = 1e6


def run(rounds: int, work: Path) -> list[dict[str, object]]:
    """The three bars: full C3D on 1080p, a small net on long and short files, and 2,000 opened videos."""
    large = moving_texture(work / "hd.mp4", width=1920, height=1080, frames=60 * 25)
    short = moving_texture(work / "short.mp4", width=320, height=240, frames=2 * 60 * 25)
    long = moving_texture(work / "long.mp4", width=320, height=240, frames=30 * 60 * 25)
    full = peak_of_extraction(large, "c3d", work / "t-hd")
    peaks = {path.stem: peak_of_extraction(path, "c3d_small", work / f"t-{path.stem}") for path in (short, long)}
    grown = growth_of_opening(work / "short.mp4", 2000)
    difference = peaks["long"] - peaks["short"]
    return [
        row("full C3D on 60 s of 1080p, parent + children, peak MB", f"{full / MB:.0f}", "bar 2000", bytes=full),
        row("small net on 2 minutes of 320x240, peak MB", f"{peaks['short'] / MB:.0f}", ""),
        row("small net on 30 minutes of 320x240, peak MB", f"{peaks['long'] / MB:.0f}", ""),
        row("difference of the two, MB", f"{difference / MB:.0f}", "bar 50", bytes=difference),
        row("growth over 2,000 opened videos, MB", f"{grown / MB:.1f}", "bar 50", bytes=grown),
    ]


def peak_of_extraction(video: Path, model: str, table: Path) -> int:
    """Largest sum of resident memory over ``tubelet extract`` and its children, sampled every 20 ms."""
    shutil.rmtree(table, ignore_errors=True)  # or the command would find everything done
    command = [
        sys.executable, "-m", "tubelet.cli.main", "extract", str(video), "--model", f"untrained:{model}",
        "-o", str(table), "--device", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": THREADS, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        total = 0
        for each in (process, *_children(process)):
            try:
                total += each.memory_info().rss
            except psutil.Error:
                continue
        peak = max(peak, total)
        time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"extract ended with {process.returncode}: {process.stderr.read().decode()}")
    return peak


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def growth_of_opening(video: Path, times: int) -> int:
    """Resident memory gained between the 100th and the last of ``times`` opened and used videos, in a fresh process."""
    script = (
        "import os, psutil, sys\n"
        "from tubelet import Video\n"
        "me = psutil.Process()\n"
        f"for k in range({times}):\n"
        f"    with Video({str(video)!r}, cache=False) as video:\n"
        "        next(iter(video.iter_frames()))\n"
        "    if k == 99: before = me.memory_info().rss\n"
        "print(me.memory_info().rss - before)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)
