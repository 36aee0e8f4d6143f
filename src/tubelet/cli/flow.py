"""``tubelet flow``: the motion between the frames of videos, stored for networks that read it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tubelet.cli.options import DryRunOption, JsonOption, LimitOption, one_of, print_json, say
from tubelet.cli.sources import name_of, open_videos
from tubelet.errors import ExitCode, TubeletError, UsageError

if TYPE_CHECKING:
    from tubelet.flow.record import FlowSettings


def flow(
    source: Annotated[
        Path, typer.Argument(help="A video, a folder of videos, or with --verify alone a folder of stored flow.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the flow.", show_default="runs/flow/<source>")
    ] = None,
    algorithm: Annotated[
        str, typer.Option("--algorithm", help="dis, tvl1 (the papers'; 100x slower), farneback.")
    ] = "dis",
    direction: Annotated[str, typer.Option("--direction", help="forward, backward or both.")] = "forward",
    warped: Annotated[bool, typer.Option("--warped", help="Take the motion of the camera out.")] = False,
    bound: Annotated[float, typer.Option("--bound", help="Pixels; faster motion is cut off.")] = 20.0,
    step: Annotated[int, typer.Option("--step", min=1, help="Use every N-th frame.")] = 1,
    resize: Annotated[
        str | None,
        typer.Option("--resize", metavar="WxH", help="Resize frames before; TSN: 340x256.", show_default="as they are"),
    ] = None,
    store: Annotated[
        str, typer.Option("--store", help="jpeg: a folder of pictures per video; compact: one ZIP file per video.")
    ] = "jpeg",
    quality: Annotated[int, typer.Option("--quality", min=1, max=100, help="Of the JPEG pictures.")] = 95,
    rgb: Annotated[bool, typer.Option("--rgb/--no-rgb", help="Store the frames too, as img_00001.jpg.")] = False,
    picture: Annotated[bool, typer.Option("--picture", help="Draw frames and flow of each video as a PNG.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Decode all that is stored already; do again what is damaged.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Videos at a time.", show_default="the processors")
    ] = None,
    limit: LimitOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compute optical flow and store it as gray JPEG pictures, as dense_flow does.

    Run again, it skips what is done and redoes exactly what became stale (settings or file changed) or damaged.
    Videos that fail are listed in failed.jsonl, and the exit code is then 3.
    """
    from tubelet.flow.plan import plan_flow
    from tubelet.flow.runner import compute_flow

    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if verify and out is None:
        _verify_alone(source, workers, as_json)
        return
    one_of(direction, ("forward", "backward", "both"), "--direction")
    one_of(store, ("jpeg", "compact"), "--store")
    options: dict[str, Any] = {"direction": direction, "store": store}
    settings = _settings(algorithm, warped, bound, step, resize, quality, rgb, options)
    manifest = open_videos(source, None)
    # A table may list several spans of a file; its flow is computed once, from its first frame to its last.
    videos = dict(list({item.path: manifest.file(item) for item in manifest.items}.items())[:limit])
    folder = out or Path("runs/flow") / name_of(source)
    say(f"{len(videos)} videos, {settings.algorithm}, {direction}, {store} -> {folder}")
    if dry_run:
        plan = plan_flow(videos, folder, settings)
        counts = {"todo": len(plan.todo), "skipped": len(plan.skipped), "failed": len(plan.missing)}
        say(f"{counts['todo']} to compute, {counts['skipped']} already there, {counts['failed']} cannot be")
        if as_json:
            print_json({"folder": str(folder), "videos": len(videos), **counts})
        return
    summary = compute_flow(videos, folder, settings, workers=workers, verify=verify)
    failed = {failure.video_id for failure in summary.failures}
    stored = {video_id: path for video_id, path in videos.items() if video_id not in failed}
    pictures = _draw(stored, folder, settings) if picture else []
    if as_json:
        print_json({**summary.to_dict(), "pictures": [str(path) for path in pictures]})
    else:
        typer.echo(summary)
        if pictures:
            typer.echo(f"pictures: {pictures[0]}" + (f" and {len(pictures) - 1} more" if len(pictures) > 1 else ""))
    raise typer.Exit(summary.exit_code)


def _settings(
    algorithm: str,
    warped: bool,
    bound: float,
    step: int,
    resize: str | None,
    quality: int,
    rgb: bool,
    options: dict[str, Any],
) -> FlowSettings:
    from tubelet.flow.record import FlowSettings

    return FlowSettings(
        algorithm=algorithm,
        bound=bound,
        step=step,
        warped=warped,
        resize_hw=None if resize is None else _height_width(resize),
        quality=quality,
        rgb=rgb,
        **options,
    )


def _height_width(text: str) -> tuple[int, int]:
    """``340x256``: width, then height, as dense_flow and people say it."""
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    if match is None:
        raise UsageError(f"--resize cannot be {text!r}", remedy="give width x height in pixels, such as 340x256")
    return int(match[2]), int(match[1])


def _verify_alone(folder: Path, workers: int, as_json: bool) -> None:
    """Check stored flow without its videos; exit code 3 if something is damaged."""
    from tubelet.flow.workers import check_stored

    problems = check_stored(folder, workers=workers)
    damaged = {name: found for name, found in problems.items() if found}
    if as_json:
        print_json({"folder": str(folder), "videos": len(problems), "damaged": damaged})
    else:
        for found in damaged.values():
            typer.echo(f"{found[0]}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else ""))
        typer.echo(f"{folder}: flow of {len(problems)} videos, {len(damaged)} damaged")
    raise typer.Exit(ExitCode.SOME_FAILED if damaged else ExitCode.DONE)


def _draw(videos: dict[str, Path], folder: Path, settings: FlowSettings) -> list[Path]:
    """A film of each video, beside its flow; one that cannot be drawn is said and left out."""
    from tubelet.clips.decode import ClipDecoder
    from tubelet.flow.layout import store_path
    from tubelet.flow.picture import save_film
    from tubelet.flow.store import open_flow
    from tubelet.reporting.terminal import progress

    drawn: list[Path] = []
    with ClipDecoder() as decoder, progress("drawing", total=len(videos), unit="video") as bar:
        for video_id, path in videos.items():
            where = store_path(folder, video_id, settings.store, is_folder=path.is_dir())
            target = store_path(folder, video_id, "jpeg", is_folder=path.is_dir())
            try:
                with open_flow(where) as stored:
                    drawn.append(save_film(stored, path, target.with_name(f"{target.name}.flow.png"), decoder))
            except TubeletError as error:
                bar.print(f"no picture of {video_id}: {error}")
            bar.update(1)
    return drawn
