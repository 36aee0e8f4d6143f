"""Options that several verbs share, so that they are called and explained the same everywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tubelet.errors import UsageError

DataOption = Annotated[Path, typer.Option("--data", help="Root folder of the dataset.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="Decoding processes.")]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Only N videos: the first, or in training and evaluation some of every class."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
FpsOption = Annotated[
    float | None,
    typer.Option(
        "--fps",
        min=0.01,
        help="Frames per second of frame folders (else 25, with a warning); overrides that of video files.",
    ),
]
AnnotationsOption = Annotated[
    Path | None,
    typer.Option("--annotations", help="Folder of the official lists.", show_default="inside or beside --data"),
]
PrecisionOption = Annotated[str, typer.Option("--precision", help="auto, float32 or bfloat16.")]
# Of `train`, where an experiment's file may have its own.
ItsSeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Seed of everything random.", show_default="0, or the experiment's"),
]
ItsWorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Decoding processes.", show_default="2, or the experiment's")
]
ItsPrecisionOption = Annotated[
    str | None,
    typer.Option("--precision", help="auto, float32 or bfloat16.", show_default="auto, or the experiment's"),
]
MeanOption = Annotated[Path | None, typer.Option("--mean", help="Mean volume (npy) of recipe c3d_sports1m.")]
LabelColumnOption = Annotated[str, typer.Option("--label-column", help="Column of metadata.csv.")]
SvmCOption = Annotated[float, typer.Option("--C", min=1e-9, help="C of the SVM (squared hinge).")]
FlowOption = Annotated[
    Path | None,
    typer.Option("--flow", help="For networks that take optical flow: what tubelet flow wrote for these videos."),
]
FlowsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--flow",
        help="For networks that take optical flow: what tubelet flow wrote for --data; then one for each --also.",
    ),
]
AnyFlowOption = Annotated[
    bool,
    typer.Option("--any-flow", help="Accept flow of another kind than the network was trained with; mark the result."),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Start anew: delete the run that lies in the folder.")
]


def choose_device(device: str) -> str:
    """Resolve ``auto`` and refuse what the machine does not have."""
    one_of(device, ("auto", "cpu", "cuda"), "--device")
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available", remedy="use --device cpu, or see tubelet doctor")
    return device


def one_of(value: str, allowed: tuple[str, ...], option: str) -> str:
    """``value`` if it is allowed, else a usage error that lists the choices."""
    if value not in allowed:
        raise UsageError(f"{option} cannot be {value!r}", remedy=f"use one of {', '.join(allowed)}")
    return value


def print_json(value: Any) -> None:
    """Print JSON on standard output; NaN is not JSON and is refused."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def show_found(record: Mapping[str, Any], lines: Sequence[str], report: Path | None, *, as_json: bool) -> None:
    """Print what a command found, as JSON or as lines for people, and where its report lies, where it wrote one."""
    if as_json:
        print_json({**record, "report": None if report is None else str(report)})
    else:
        typer.echo("\n".join(lines))
    if report is not None:
        say(f"report: {report}")


def say(text: str) -> None:
    """A line for people, on standard error: standard output carries only data."""
    print(text, file=sys.stderr, flush=True)
