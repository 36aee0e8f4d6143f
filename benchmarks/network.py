"""Full C3D, clips in memory: ours against eager fp32 contiguous PyTorch, and against what the processor can do."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.turns import in_turns, ratio, row
from tubelet.training.precision import has_fast_bfloat16

BARS = {"float32": 1.7, "bfloat16": 3.3}


def run(rounds: int, work: Path) -> list[dict[str, object]]:
    """Clips per second and ratios; the rival shares no process with us."""
    variants = {"rival": ["benchmarks.rival_network"]}
    for precision in BARS:
        if precision == "float32" or has_fast_bfloat16():
            variants[precision] = ["benchmarks.our_network", precision]
            variants[f"{precision} peak"] = ["benchmarks.peak", precision]
    rates = in_turns(variants, rounds)
    rows = [
        row(f"{name}: clips/s", f"{statistics.median(values):.2f}", "median", values=values)
        for name, values in rates.items()
    ]
    for precision, bar in BARS.items():
        if precision not in rates:
            rows.append(row(f"C3D {precision}", "-", "this processor has no bf16 arithmetic"))
            continue
        for name, rival, text in (
            ("eager fp32 contiguous", "rival", f"bar {bar}x"),
            ("the processor's convolution peak", f"{precision} peak", "1.00x is all a direct convolution can do"),
        ):
            middle, low, high = ratio(rates[precision], rates[rival])
            rows.append(row(f"C3D {precision} / {name}", f"{middle:.2f}x", f"{text}, range {low:.2f}-{high:.2f}"))
    return rows
