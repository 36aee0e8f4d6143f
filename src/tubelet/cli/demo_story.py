"""``tubelet demo --story``: what frames know, what flow knows, and what C3D knows, on videos of which all is known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tubelet.cli.options import print_json, say
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from tubelet.video.synthetic import Order


def story(
    out: Path,
    folder: Path,
    *,
    steps: int,
    sizes: dict[str, int],
    seed: int,
    weights: Path | None,
    workers: int,
    device: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the videos, run the study, write its report; the same command goes on where it was stopped."""
    from tubelet.artifacts import write_json
    from tubelet.cli.demo_story_report import story_report
    from tubelet.cli.sources import model_folder
    from tubelet.protocols.story import DIFFICULTY, NETS, OTHER_ORDERS, run_story
    from tubelet.protocols.story_learning import learning_curve
    from tubelet.reporting.terminal import duration, progress
    from tubelet.training.run_folder import RunFolder
    from tubelet.video.synthetic import make_dataset

    started = time.monotonic()
    if sizes["train"] < 200 or sizes["test"] < 50:
        say("few videos: of 50 pairs of color and motion, some will be missing in training or test")
    images = None if weights is None else model_folder(weights)
    say(f"{sizes['train']} + {sizes['test']} videos: {DIFFICULTY.describe()}")
    say(f"{len(NETS)} nets of {steps} steps -> {folder}")
    if dry_run:
        if as_json:
            nets = [net.key for net in NETS]
            print_json({"folder": str(folder), "steps": steps, "videos": sizes, "nets": nets})
        return
    settings = {"study": "story", "steps": steps, "seed": seed, "videos": sizes, "device": device}
    try:
        RunFolder(folder, settings)
    except UsageError as error:
        raise UsageError(error.what, path=folder, why=error.why, remedy="choose another folder with --out") from error
    videos: dict[Order, Path] = {}
    orders: tuple[Order, ...] = ("forward", *OTHER_ORDERS)
    for order in orders:
        wanted = sizes if order in ("forward", "still") else {"test": sizes["test"]}
        with progress(f"making videos, {order}", total=sum(wanted.values()), unit="video") as bar:
            videos[order] = make_dataset(
                out / "story-videos" / order,
                wanted,
                seed=0,
                workers=workers,
                progress=lambda done, total, bar=bar: bar.update(done - bar.done),  # type: ignore[misc]
                difficulty=DIFFICULTY,
                order=order,
            )
    found = run_story(videos, folder, steps=steps, seed=seed, weights=images, workers=workers, device=device, say=say)
    say("what C3D knew after how many steps")
    curve = learning_curve(folder / "c3d", found.videos.select(split="test"), workers)
    write_json(folder / "story.json", {"rows": found.to_dict(), "learning": curve, "settings": settings})
    page = out / ("story.html" if folder.name == "story-short" else f"{folder.name}.html")
    report = story_report(page, videos, folder, found, curve, steps)
    took = time.monotonic() - started
    if as_json:
        print_json({"report": str(report), "seconds": took, "rows": found.to_dict(), "learning": curve})
        return
    typer.echo(found.table())
    typer.echo(f"report: {report}")
    say(f"done in {duration(took)}")
