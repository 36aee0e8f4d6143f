"""Can every family be trained? A small network of each is fitted to 20 synthetic clips, through ``tubelet train``.

``python -m benchmarks.overfit [NAME ...]`` runs the files in ``experiments/overfit``, ``make overfit`` all of them: 300
steps, then ``tubelet classify`` on the same videos by the network's own prediction. A network that cannot be fitted
to 20 clips has a gradient that does not arrive. Nothing is claimed about other videos.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json
from tubelet.provenance import environment
from tubelet.training.config import load_experiment
from tubelet.video.synthetic import make_dataset

EXPERIMENTS = Path(__file__).parents[1] / "experiments" / "overfit"
VIDEOS = 20
STEPS = 300


def tubelet(*arguments: object) -> Any:
    """Run a command line in its own process, as a user would, and read its JSON."""
    command = [sys.executable, "-m", "tubelet.cli.main", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"tubelet {arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return json.loads(done.stdout)


def overfit(name: str, out: Path, steps: int = STEPS) -> dict[str, Any]:
    """Fit one family and count the training videos that it then gets right."""
    videos = make_dataset(out / "videos", {"train": VIDEOS}, seed=0, workers=1)
    started = time.monotonic()
    folder = out / name
    flow: tuple[object, ...] = ()
    if load_experiment(EXPERIMENTS / f"{name}.toml").flow == "required":
        flow = ("--flow", out / "flow")
        tubelet("flow", videos, "--out", out / "flow")
    tubelet(
        "train", EXPERIMENTS / f"{name}.toml", "--data", videos, "--no-svm", "--no-flip", "--iterations", steps,
        "--out", folder, "--overwrite", *flow,
    )  # fmt: skip
    found = tubelet(
        "classify", videos, "--model", folder, "--head", "net", "--no-plots", "--out", folder / "classified", *flow
    )
    right = sum(video["predicted"] == video["label"] for video in found["videos"])
    return {"family": name, "right": right, "of": len(found["videos"]), "seconds": time.monotonic() - started}


def main() -> None:
    known = sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=known, help=f"which of {', '.join(known)}")
    parser.add_argument("--out", type=Path, default=Path("runs/overfit"))
    arguments = parser.parse_args()
    rows = []
    for name in arguments.names:
        row = overfit(name, arguments.out)
        rows.append(row)
        print(f"{name:<20} {row['right']:>3} of {row['of']} right   {row['seconds']:5.0f} s", flush=True)
        write_json(arguments.out / "overfit.json", {"rows": rows, "environment": environment()})
    if missed := [row["family"] for row in rows if row["right"] < row["of"]]:
        sys.exit(f"not fitted: {', '.join(missed)}")


if __name__ == "__main__":
    main()
