"""Run the benchmarks and print their tables."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from benchmarks import extraction, flow_formats, flow_throughput, idt, memory, network
from tubelet.artifacts import write_json
from tubelet.provenance import environment

PARTS = {
    "network": network.run,
    "extraction": extraction.run,
    "memory": memory.run,
    "flow-throughput": flow_throughput.run,
    "flow-formats": flow_formats.run,
    "idt": idt.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"which of {list(PARTS)}")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each variant")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--videos", type=Path, nargs="+", default=[], help="clips for idt, instead of those of UCF101")
    arguments = parser.parse_args()
    parts = {**PARTS, "idt": partial(idt.run, videos=arguments.videos)}
    for part in arguments.parts:
        rows = parts[part](arguments.rounds, arguments.out / "work")
        print(f"\n{part}")
        for row in rows:
            print(f"  {row['what']:<58} {row['value']:>10}   {row['bar']}")
        write_json(arguments.out / f"{part}.json", {"rows": rows, "environment": environment()})
    print(f"\nwritten to {arguments.out}; machine: {json.dumps(environment()['platform'])}")


if __name__ == "__main__":
    main()
