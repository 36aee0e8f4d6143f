"""Flow end to end (decode, DIS, write) with two workers against two processes that only compute DIS.

Besides the time of each, their processor time per pair: on a machine that does other work as well, the latter says what
the ratio would be without it.
"""

from __future__ import annotations

import os
import shutil
import statistics
from pathlib import Path

import numpy as np

from benchmarks.turns import Variant, ratio, row
from benchmarks.videos import moving_texture
from tubelet.flow.estimate import gray
from tubelet.video.reader import Video

BARS = {"jpeg": 0.65, "compact": 0.85}
REPEATS = 2  # every clip so many times, so that the start of two processes is as small a part as it is in practice


def run(rounds: int, work: Path) -> list[dict[str, object]]:
    """Pairs per second of each store, and their ratio to flow alone."""
    folder = (work / "flow").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clips, kind = clips_of(folder)
    videos = [np.stack([gray(frame.image) for frame in Video(clip).iter_frames()]) for clip in clips]
    files = [folder / "gray0.npz", folder / "gray1.npz"]
    # Each process has half of every video's pairs, so that both end at the same time.
    np.savez(files[0], *[frames[: len(frames) // 2 + 1] for frames in videos] * REPEATS)
    np.savez(files[1], *[frames[len(frames) // 2 :] for frames in videos] * REPEATS)
    variants = {"alone": ["benchmarks.rival_flow", *map(str, files)]}
    for store in BARS:
        variants[store] = ["benchmarks.our_flow", store, str(folder), *map(str, clips * REPEATS)]
    running = {name: Variant(*command) for name, command in variants.items()}
    rates: dict[str, dict[str, list[float]]] = {name: {} for name in running}
    try:
        for _ in range(rounds):
            for name, variant in running.items():
                variant.turn()
                for figure, value in variant.latest.items():
                    rates[name].setdefault(figure, []).append(1 / value)
    finally:
        for variant in running.values():
            variant.close()
    rows = []
    for name, values in rates.items():
        middle = statistics.median(values["seconds_per_clip"])
        rows.append(row(f"flow {name}: pairs/s, {kind}", f"{middle:.1f}", "median", values=values))
    for store, bar in BARS.items():
        for figure, words in (("seconds_per_clip", "time"), ("processor_per_clip", "processor time")):
            middle, low, high = ratio(rates[store][figure], rates["alone"][figure])
            what = f"end to end, {store} / flow alone, by {words}"
            rows.append(row(what, f"{middle:.1%}", f"bar {bar:.0%}, range {low:.1%}-{high:.1%}"))
    shutil.rmtree(folder, ignore_errors=True)
    return rows


def clips_of(folder: Path) -> tuple[list[Path], str]:
    """The eight largest real clips where they are, else synthetic ones."""
    real = Path(os.environ.get("TUBELET_DATA", Path(__file__).parents[2] / "shared" / "data"), "ucf101", "clips")
    found = sorted(real.glob("*.avi"), key=lambda path: path.stat().st_size)
    if found:
        return found[-8:], "8 clips of UCF101, 320x240"
    for number in range(8):
        moving_texture(folder / f"{number}.mp4", width=320, height=240, frames=150, seed=number)
    return sorted(folder.glob("*.mp4")), "8 synthetic clips, 320x240"
