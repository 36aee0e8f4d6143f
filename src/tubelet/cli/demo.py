"""``tubelet demo``: the main job from nothing: videos, training, descriptors, SVM, report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tubelet.cli.options import (
    DeviceOption,
    DryRunOption,
    JsonOption,
    WorkersOption,
    choose_device,
    print_json,
    say,
)
from tubelet.errors import UsageError


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for videos, runs and report.")] = Path("runs/demo"),
    long: Annotated[bool, typer.Option("--long", help="Train for longer (about 25 minutes on 2 cores).")] = False,
    tell_story: Annotated[
        bool, typer.Option("--story", help="What frames, flow and C3D each know of color and of motion.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="With --story: model folder of a network for images (SqueezeNet of ImageNet)."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps of each net.")] = None,
    train_videos: Annotated[
        int | None,
        typer.Option("--train-videos", min=20, help="Videos to train on.", show_default="2000; --story: 1500"),
    ] = None,
    test_videos: Annotated[
        int | None, typer.Option("--test-videos", min=10, help="Videos to test on.", show_default="400; --story: 300")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the training; the videos are always the same.")
    ] = 0,
    workers: WorkersOption = 2,
    device: DeviceOption = "auto",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make synthetic motion videos, train a small C3D on them, describe, classify, and write a report.

    The same net with depth-1 kernels and a single-frame net are trained beside it, to show what temporal
    kernels buy. With --story the videos differ in color and in motion, independently, and the report says which of
    the two frames, optical flow and C3D know. Interrupted, the same command goes on where it was.
    """
    from tubelet.cli.demo_report import demo_report
    from tubelet.cli.demo_story import story
    from tubelet.protocols import story as study
    from tubelet.protocols.motion import NETS, STEPS, STEPS_LONG, run_motion_study
    from tubelet.reporting.terminal import progress
    from tubelet.video.synthetic import DEFAULT_DIFFICULTY, DEFAULT_SPLIT_SIZES, make_dataset

    started = time.monotonic()
    short, longer, sizes = (
        (study.STEPS, study.STEPS_LONG, study.SIZES) if tell_story else (STEPS, STEPS_LONG, DEFAULT_SPLIT_SIZES)
    )
    sizes = {"train": train_videos or sizes["train"], "test": test_videos or sizes["test"]}
    n_steps = steps or (longer if long else short)
    name = f"steps{n_steps}" if steps is not None else "long" if long else "short"
    name += f"-seed{seed}" if seed else ""
    where = choose_device(device)
    if tell_story:
        story(
            out,
            out / f"story-{name}",
            steps=n_steps,
            sizes=sizes,
            seed=seed,
            weights=weights,
            workers=workers,
            device=where,
            dry_run=dry_run,
            as_json=as_json,
        )
        return
    if weights is not None:
        raise UsageError("--weights belongs to --story", remedy="add --story, or leave --weights away")
    folder = out / name
    say(f"{sizes['train']} + {sizes['test']} videos: {DEFAULT_DIFFICULTY.describe()}")
    say(f"4 nets of {n_steps} steps -> {folder}")
    if dry_run:
        if as_json:
            print_json({"folder": str(folder), "steps": n_steps, "videos": sizes, "nets": [net.key for net in NETS]})
        return
    with progress("making videos", total=sum(sizes.values()), unit="video") as bar:
        videos = make_dataset(
            out / "videos",
            sizes,
            seed=0,
            workers=workers,
            progress=lambda done, total: bar.update(done - bar.done),
        )
    found = run_motion_study(videos, folder, steps=n_steps, seed=seed, workers=workers, device=where, say=say)
    report = demo_report(out / ("report-long.html" if long else "report.html"), videos, folder, found, n_steps, seed)
    minutes = (time.monotonic() - started) / 60
    if as_json:
        figures = {key: recognition.to_dict() for key, (_, recognition) in found.items()}
        print_json({"report": str(report), "minutes": minutes, "nets": figures})
        return
    for _, recognition in found.values():
        for result in recognition.results:
            typer.echo(result.headline())
    typer.echo(f"report: {report}")
    say(f"done in {minutes:.1f} minutes; the trained model lies in {folder / 'depth3' / 'model'}")
