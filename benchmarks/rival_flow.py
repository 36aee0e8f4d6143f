"""The yardstick of `flow_throughput`: two processes of one thread that only compute flow, from frames in memory.

These processes never import tubelet. Started with two ``.npz`` files of gray videos, this module starts itself once
per file and lets both work at the same time.
"""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.turns import serve


def compute(file: str) -> None:
    """Answer each line with the number of pairs of which flow was computed, and the processor time it took."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    with np.load(file) as arrays:
        videos = [arrays[name] for name in arrays.files]
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    print("ready", flush=True)
    for _ in sys.stdin:
        pairs, started = 0, time.process_time()
        for frames in videos:
            for earlier, later in pairwise(frames):
                search.calc(earlier, later, None)
                pairs += 1
        print(pairs, time.process_time() - started, flush=True)
    assert "tubelet" not in sys.modules


def main() -> None:
    if len(sys.argv) == 2:
        compute(sys.argv[1])
        return
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.rival_flow", file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            start_new_session=True,  # as our workers: beside other work, Linux shares the processors by session
        )
        for file in sys.argv[1:]
    ]

    def read(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    def work() -> int:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        pairs = 0
        for process in processes:
            count, seconds = read(process).split()
            pairs += int(count)
            spent.append(float(seconds))
        return pairs

    spent: list[float] = []
    for process in processes:
        read(process)
    serve(work, processor_s=lambda: sum(spent))
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)


if __name__ == "__main__":
    main()
