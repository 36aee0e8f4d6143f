"""``tubelet bench``: what things take on this machine, beside what papers print."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tubelet.artifacts import lock_folder
from tubelet.cli.options import DeviceOption, JsonOption, OverwriteOption, choose_device, say, show_found
from tubelet.cli.sources import open_model, open_videos, source_of
from tubelet.errors import ExitCode, MissingExtraError, UsageError

if TYPE_CHECKING:
    from tubelet.protocols.runtime_rounds import Descriptor

app = typer.Typer(help="Speed on this machine, beside a paper's.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _bench() -> None:
    """Speed on this machine, beside a paper's."""


@app.command("runtime", short_help="Descriptor, iDT and optical flow on the same clips (C3D, table 6).")
def runtime(
    videos: Annotated[Path, typer.Argument(help="A video, or a folder of videos.")],
    model: Annotated[
        str,
        typer.Option("--model", help="Model folder, run of tubelet train, or untrained:NAME; weights cost no time."),
    ] = "untrained:c3d",
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Some of c3d (the descriptor of --model), c3d_bf16, idt, tvl1, dis, separated by commas.",
            show_default="all; c3d_bf16 where the processor has bfloat16",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Only N videos, spread over the folder.", show_default="a round each"),
    ] = None,
    most_frames: Annotated[
        int, typer.Option("--most-frames", min=0, help="Only the first N frames of each video (0: all).")
    ] = 64,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds, each with another video.")] = 7,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=1, help="Begin no round that would end later.", show_default="no limit"),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Cores for each method.")] = 1,
    device: DeviceOption = "cpu",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/bench/runtime")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Frames per second of a descriptor, of dense trajectories (iDT) and of optical flow, reading and writing included.

    Every method runs in a process of its own; in each round all do the same clip, one after the other. Finished rounds
    are kept: the same command goes on where it was stopped, and more --rounds add to them. Measure when nothing else
    runs: the result says when something did.
    """
    from tubelet.failures import FAILED_FILE, FailedVideo, list_failures
    from tubelet.protocols.runtime import RuntimeResult
    from tubelet.protocols.runtime_clips import Clips
    from tubelet.protocols.runtime_report import write_runtime
    from tubelet.protocols.runtime_rounds import ROUNDS_FILE, Journal, known_methods, run_rounds
    from tubelet.protocols.runtime_task import can_hold_to_cores
    from tubelet.protocols.runtime_turns import runtime_rows
    from tubelet.provenance import environment
    from tubelet.training.run_folder import RunFolder

    if most_frames and most_frames < 17:
        raise UsageError(
            f"--most-frames cannot be {most_frames}", why="a trajectory takes 16 frames", remedy="give 17 or more, or 0"
        )
    here = machine()
    if threads > here["cores"]:
        raise UsageError(f"--threads cannot be {threads}", why=f"this machine has {here['cores']} cores for it")
    manifest = open_videos(videos, None)
    # A table may list several spans of a file; it is read from its first frame on, once.
    files = list({item.path: manifest.file(item) for item in manifest.items}.items())
    wanted = [name.strip() for name in _names(methods)]
    descriptor = _descriptor(model, wanted, device)
    chosen = known_methods(wanted, descriptor)
    _require_opencv(wanted)
    settings = {
        "videos": manifest.hash,
        "methods": wanted,
        "model": descriptor.model,
        "layer": descriptor.layer,
        "device": descriptor.device,
        "most_frames": most_frames,
        "limit": limit or 0,
        "threads": threads,
        "held_to_cores": can_hold_to_cores(),
        "machine": here,
    }
    folder = out or Path("runs/bench/runtime")
    RunFolder(folder, settings, overwrite=overwrite)
    busy = UsageError("another process measures into this folder", path=folder, remedy="wait until it is done")
    lock = lock_folder(folder, busy)
    journal = Journal(folder / ROUNDS_FILE)
    say(
        f"{'; '.join(method.short for method in chosen)} in turns, a video each round "
        f"({f'its first {most_frames} frames' if most_frames else 'whole'}) of {min(len(files), limit or len(files))} "
        f"-> {folder}"
    )
    if journal.rounds:
        say(f"{len(journal.rounds)} of {rounds} rounds are there already")
    with Clips(files, folder / "clips", most_frames, limit=limit, without=dict(journal.failed)) as clips:
        run_rounds(
            chosen, descriptor, clips, journal,
            rounds=rounds, threads=threads, seconds=seconds, folder=folder, say=say,
        )  # fmt: skip
    if lock is not None:  # after an error the system frees it, when the command ends
        os.close(lock)
    done = journal.rounds[:rounds]
    methods_found = journal.methods(chosen)
    result = RuntimeResult(
        runtime_rows(methods_found, done),
        tuple(done),
        settings={**settings, "rounds": len(done)},
        provenance=environment(data=str(videos)),
        failed=tuple(journal.failed),
    )
    report = write_runtime(folder, result)
    paths = dict(files)
    list_failures(
        folder / FAILED_FILE,
        [FailedVideo(name, str(paths.get(name, name)), why, "VideoError") for name, why in journal.failed],
    )
    show_found(result.to_dict(), str(result).splitlines(), report, as_json=as_json)
    if journal.failed:
        say(f"{len(journal.failed)} videos are left out of all methods, see {folder / FAILED_FILE}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _names(methods: str | None) -> list[str]:
    if methods is not None:
        return methods.split(",")
    from tubelet.training.precision import has_fast_bfloat16

    if has_fast_bfloat16():
        return ["c3d", "c3d_bf16", "idt", "tvl1", "dis"]
    say("this processor has no bfloat16 arithmetic, so c3d_bf16 is left out")
    return ["c3d", "idt", "tvl1", "dis"]


def _descriptor(model: str, wanted: list[str], device: str) -> Descriptor:
    from tubelet.models.spec import descriptor_layer
    from tubelet.protocols.runtime_rounds import Descriptor

    if not {"c3d", "c3d_bf16"} & set(wanted):
        return Descriptor(model, "none", "none")
    net = open_model(model)
    if net.input.content.is_flow:
        raise UsageError(f"{net.name} reads optical flow, not videos", remedy="measure a network that takes frames")
    return Descriptor(source_of(model), net.name, descriptor_layer(net.layer_names), choose_device(device))


def _require_opencv(wanted: list[str]) -> None:
    """Say before anything is measured that a method has no OpenCV."""
    from tubelet.flow.algorithms import find_algorithm
    from tubelet.flow.opencv import opencv

    without = ",".join(name for name in wanted if name.startswith("c3d"))
    for name in wanted:
        if name.startswith("c3d"):
            continue
        try:
            opencv()
            if name == "tvl1":
                find_algorithm(name).solver()
        except MissingExtraError as error:
            raise MissingExtraError(
                f"{name} cannot be measured: {error.what}",
                why=error.why,
                remedy=f"{error.remedy}" + (f", or leave it out with --methods {without}" if without else ""),
            ) from error


def machine() -> dict[str, Any]:
    """What speeds depend on: rounds of another machine, or with other libraries, are not mixed."""
    from tubelet.provenance import package_versions, tool_version

    versions = package_versions(("torch", "numpy", "av", "opencv-contrib-python-headless"))
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "platform": platform.platform(),
        "tubelet": tool_version(),
        **{name: version or "missing" for name, version in versions.items()},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
