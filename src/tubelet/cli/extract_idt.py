"""``tubelet extract --model idt``: videos become stored trajectories, of which protocols learn their own vectors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from tubelet.cli.options import print_json, say
from tubelet.cli.sources import name_of, open_videos
from tubelet.errors import UsageError

IDT = "idt"
"""What ``--model`` calls improved dense trajectories."""

OWN_OPTIONS = ("most_trajectories", "camera")
"""Options of `tubelet.cli.extract.extract` that only trajectories have."""

COMMON_OPTIONS = ("source", "model", "out", "seed", "workers", "limit", "dry_run", "as_json")
"""Those that they share with networks."""


def check_options(context: typer.Context, model: str) -> None:
    """Refuse what was given on the command line for the other kind of model, by name.

    Raises
    ------
    UsageError
        An option of networks beside ``idt``, or one of ``idt`` beside a network.
    """
    fitting = {*COMMON_OPTIONS, *OWN_OPTIONS} if model == IDT else set(context.params) - {*OWN_OPTIONS}
    given = [
        _typed(context, parameter)
        for parameter in context.command.params
        if parameter.name is not None and parameter.name not in fitting and _is_given(context, parameter.name)
    ]
    if given:
        what = "an option" if len(given) == 1 else "options"
        whose = "of networks" if model == IDT else f"of --model {IDT}"
        raise UsageError(
            f"{', '.join(given)}: {what} {whose}, and the model is {model}",
            remedy="leave away what does not belong to it",
        )


def _typed(context: typer.Context, parameter: Any) -> str:
    """An option as it was written: ``--no-camera``, where that says no."""
    denied = parameter.secondary_opts and context.params[parameter.name] is False
    return str((parameter.secondary_opts if denied else parameter.opts)[0])


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def extract_trajectories(
    source: Path,
    out: Path | None,
    *,
    most_trajectories: int | None,
    camera: bool,
    seed: int,
    workers: int | None,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Compute and store trajectories, and say how it went; ends with the exit code."""
    from tubelet.baselines.idt.record import trajectory_bytes
    from tubelet.baselines.idt.runner import compute_trajectories, plan_trajectories
    from tubelet.baselines.idt.settings import IdtSettings
    from tubelet.baselines.idt.store import stored_settings
    from tubelet.descriptors.store import has_table
    from tubelet.reporting.text import counted, size_text

    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    settings = IdtSettings() if camera else IdtSettings(camera=None)
    manifest = open_videos(source, None)
    # A table may list several spans of a file; its trajectories are computed once, from its first frame to its last.
    videos = dict(list({item.path: manifest.file(item) for item in manifest.items}.items())[:limit])
    folder = out or Path("runs/extract") / f"{name_of(source)}_idt"
    if has_table(folder):
        raise UsageError(
            "a table of descriptors lies in this folder", path=folder, remedy="store trajectories in another: -o DIR"
        )
    size = trajectory_bytes(settings)
    kept = "all trajectories"
    if most_trajectories is not None:
        most = size_text(most_trajectories * size * len(videos))
        kept = (
            f"{most_trajectories} {'trajectory' if most_trajectories == 1 else 'trajectories'} a video, {most} at most"
        )
    what = "improved dense trajectories" if camera else "dense trajectories"
    say(f"{counted(len(videos), 'video')}, {what}, {kept} ({size} bytes each) -> {folder}")
    if dry_run:
        plan = plan_trajectories(videos, folder, stored_settings(settings, most_trajectories, seed))
        counts = {"todo": len(plan.todo), "skipped": len(plan.skipped), "failed": len(plan.missing)}
        say(f"{counts['todo']} to compute, {counts['skipped']} already there, {counts['failed']} cannot be")
        if as_json:
            print_json({"folder": str(folder), "videos": len(videos), **counts})
        return
    summary = compute_trajectories(
        videos, folder, settings, most_trajectories=most_trajectories, seed=seed, workers=workers
    )
    if as_json:
        print_json(summary.to_dict())
    else:
        typer.echo(summary)
    raise typer.Exit(summary.exit_code)
