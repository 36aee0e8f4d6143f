"""Ours for `flow_throughput`: `tubelet flow` with two workers, from video files to pictures, their start included."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from benchmarks.turns import serve
from tubelet.flow.record import FlowSettings
from tubelet.flow.runner import compute_flow


def main() -> None:
    store, out, *files = sys.argv[1:]
    settings = FlowSettings(store=store)  # type: ignore[arg-type]
    videos = {f"{number}-{Path(file).name}": Path(file) for number, file in enumerate(files)}
    turns = itertools.count()

    def work() -> int:
        summary = compute_flow(videos, Path(out, f"{store}-{next(turns)}"), settings, workers=2)
        assert summary.done == len(videos)
        return summary.pairs

    serve(work, processor_s=lambda: sum(os.times()[:4]))  # with that of the workers, which end with each run


if __name__ == "__main__":
    main()
