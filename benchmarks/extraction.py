"""The whole way, video file to rows, against our own network alone: decoding must not cost more than a tenth."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.turns import in_turns, ratio, row
from benchmarks.videos import moving_texture
from tubelet.training.precision import has_fast_bfloat16

BAR = 0.90
FILES, FRAMES = 4, 208  # 4 x 25 clips of 16 frames, stride 8


def run(rounds: int, work: Path) -> list[dict[str, object]]:
    """Ratio of rates in fp32 and, where the processor has it, bf16."""
    folder = work / "extraction"
    for number in range(FILES):
        moving_texture(folder / f"{number}.mp4", width=320, height=240, frames=FRAMES, seed=number)
    rows = []
    for precision in ("float32", "bfloat16"):
        if precision == "bfloat16" and not has_fast_bfloat16():
            rows.append(row(f"whole way, {precision}", "-", "this processor has no bf16 arithmetic"))
            continue
        rates = in_turns(
            {
                "network": ["benchmarks.our_network", precision, "4"],
                "whole way": ["benchmarks.our_extraction", precision, str(folder.resolve())],
            },
            rounds,
        )
        for name, values in rates.items():
            rows.append(
                row(f"{precision}, {name}: clips/s", f"{statistics.median(values):.2f}", "median", values=values)
            )
        middle, low, high = ratio(rates["whole way"], rates["network"])
        rows.append(
            row(
                f"whole way / network alone, {precision}", f"{middle:.1%}", f"bar {BAR:.0%}, range {low:.1%}-{high:.1%}"
            )
        )
    return rows
