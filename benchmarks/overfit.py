"""Can every family be trained? A small network of each is fitted to 20 synthetic videos, through ``tubelet train``.

``python -m benchmarks.overfit [NAME ...]`` runs the files in ``experiments/overfit``, ``make overfit`` all of them: at
most 300 steps, each on a clip of every video, then ``tubelet classify`` on the same videos by the network's own
prediction. A last layer may fit 20 videos by itself, so every tensor must also have moved from where it started:
without weight decay one that no gradient reaches stays where it is, bit for bit. Nothing is claimed about other videos.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tubelet import create_model, load_model
from tubelet.artifacts import write_json
from tubelet.cli.main import main as command_line
from tubelet.provenance import environment
from tubelet.training.config import Experiment, load_experiment
from tubelet.video.synthetic import make_dataset

EXPERIMENTS = Path(__file__).parents[1] / "experiments" / "overfit"
VIDEOS = 20
# Parts that a classifier's loss does not reach: the encoder and the decoders learn from video without labels.
UNSUPERVISED: Mapping[str, tuple[str, ...]] = {"lstm_composite": ("encoder_lstm", "reconstruction_", "prediction_")}


@dataclass(frozen=True)
class Fit:
    """How one family was fitted.

    Attributes
    ----------
    family, model, options
        Name of the file in ``experiments/overfit``, and the network that it names.
    parameters
        Of the network, unsupervised parts included.
    steps
        Optimizer steps taken.
    fitted_at
        First step from which on all videos of every batch were right in training; None: not even in the last.
    loss
        Cross-entropy of the last step.
    right, of
        Videos that the trained network then gets right, of all.
    unmoved
        Tensors that are what they were before training, the unsupervised parts' left out.
    seconds
        Wall-clock time of both commands.
    """

    family: str
    model: str
    options: dict[str, Any]
    parameters: int
    steps: int
    fitted_at: int | None
    loss: float
    right: int
    of: int
    unmoved: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether all videos were right, in training at the end and afterwards, and every tensor had learned."""
        return self.fitted_at is not None and self.right == self.of == VIDEOS and not self.unmoved

    @property
    def row(self) -> str:
        """A line of a Markdown table."""
        options = ", ".join(
            f"{key} {str(value).lower()}" for key, value in self.options.items() if "dropout" not in key
        )
        fitted = "not" if self.fitted_at is None else str(self.fitted_at)
        cells = (f"`{self.model}`", options, f"{self.parameters:,}", f"{fitted} of {self.steps}", f"{self.loss:.1e}",
                 f"{self.right} of {self.of}", f"{self.seconds:.0f}")  # fmt: skip
        return f"| {' | '.join(cells)} |"


HEADER = """\
| network | options | parameters | fitted at step | last loss | right | seconds |
| --- | --- | ---: | ---: | ---: | ---: | ---: |"""


def tubelet(*arguments: object) -> Any:
    """Run a command line in this process and read its JSON."""
    out, complaints = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(complaints):
        code = command_line([*map(str, arguments), "--json"])
    if code:
        raise RuntimeError(f"tubelet {arguments[0]} ended with {code}: {complaints.getvalue().strip()[-600:]}")
    return json.loads(out.getvalue())


def overfit(name: str, videos: Path, out: Path) -> Fit:
    """Fit one family, and count the training videos that it then gets right.

    Parameters
    ----------
    name
        A file of ``experiments/overfit``, without its suffix.
    videos
        A folder with a folder of videos for each class.
    out
        Where the run folder is made, under ``name``.
    """
    experiment, folder = load_experiment(EXPERIMENTS / f"{name}.toml"), out / name
    started = time.monotonic()
    flow: tuple[object, ...] = ()
    if experiment.flow == "required":
        flow = ("--flow", out / "flow")
        tubelet("flow", videos, "--out", out / "flow", "--workers", 1)
    tubelet(
        "train", EXPERIMENTS / f"{name}.toml", "--data", videos, "--test-fraction", 0, "--no-svm", "--workers", 1,
        "--device", "cpu", "--out", folder, "--overwrite", *flow,
    )  # fmt: skip
    found = tubelet(
        "classify", videos, "--model", folder, "--head", "net", "--device", "cpu", "--no-plots",
        "--out", folder / "seen", *flow,
    )["videos"]  # fmt: skip
    seconds = time.monotonic() - started
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        steps = list(csv.DictReader(file))
    wrong = [int(step["step"]) for step in steps if float(step["accuracy"]) < 1]
    fitted = 1 + max(wrong, default=0)
    return Fit(
        family=name,
        model=experiment.model,
        options=experiment.options,
        parameters=sum(parameter.numel() for parameter in load_model(folder / "model").parameters()),
        steps=len(steps),
        fitted_at=fitted if fitted <= len(steps) else None,
        loss=float(steps[-1]["loss"]),
        right=sum(video["predicted"] == video["label"] for video in found),
        of=len(found),
        unmoved=unmoved(experiment, folder / "model"),
        seconds=seconds,
    )


def unmoved(experiment: Experiment, folder: Path) -> tuple[str, ...]:
    """Names of the tensors that training left exactly as they started."""
    trained = load_model(folder)
    fresh = create_model(experiment.model, trained.num_classes, seed=experiment.train.seed, **experiment.options)
    start = dict(fresh.named_parameters())
    skipped = UNSUPERVISED.get(experiment.model, ())
    return tuple(
        name
        for name, parameter in trained.named_parameters()
        if not name.startswith(skipped) and torch.equal(parameter, start[name])
    )


def main() -> None:
    known = sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=known, help=f"which of {', '.join(known)}")
    parser.add_argument("--out", type=Path, default=Path("runs/overfit"))
    arguments = parser.parse_args()
    videos = make_dataset(arguments.out / "videos", {"train": VIDEOS}, seed=0, workers=1) / "train"
    fits: list[Fit] = []
    print(HEADER)
    for name in arguments.names:
        fits.append(overfit(name, videos, arguments.out))
        print(fits[-1].row, flush=True)
        rows = [asdict(fit) for fit in fits]
        write_json(arguments.out / "overfit.json", {"rows": rows, "environment": environment()})
    for fit in fits:
        if fit.unmoved:
            print(f"{fit.family}: not trained: {', '.join(fit.unmoved)}", file=sys.stderr)
    if missed := [fit.family for fit in fits if not fit.ok]:
        sys.exit(f"not fitted: {', '.join(missed)}")


if __name__ == "__main__":
    main()
