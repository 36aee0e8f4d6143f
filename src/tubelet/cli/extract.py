"""``tubelet extract``: videos become a table of descriptors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tubelet.cli.extract_idt import IDT, check_options, extract_trajectories
from tubelet.cli.options import (
    AnyFlowOption,
    DeviceOption,
    DryRunOption,
    FlowOption,
    FpsOption,
    JsonOption,
    LimitOption,
    MeanOption,
    SeedOption,
    choose_device,
    one_of,
    print_json,
    say,
)
from tubelet.cli.sources import name_of, open_model, open_videos, recipe_with_mean, source_of
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from tubelet.clips.sampling import Sampling, ShortVideo
    from tubelet.models.contract import VideoModel


def extract(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="A video, or a folder of videos.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Model folder, the run folder of tubelet train, hf:FOLDER or hf:ORG/NAME of Hugging Face, "
            "untrained:NAME, or idt.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the table.", show_default="runs/extract/<source>")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", help="Layers, separated by commas.", show_default="fc6, or pool5 where there is none"),
    ] = None,
    clip_length: Annotated[
        int | None, typer.Option("--clip-length", min=1, help="Frames of a clip.", show_default="the model's")
    ] = None,
    step_frames: Annotated[
        int | None,
        typer.Option("--step-frames", min=1, help="Frames from one of a clip to the next.", show_default="the model's"),
    ] = None,
    stride_frames: Annotated[
        int | None,
        typer.Option("--stride-frames", min=1, help="Frames between clip starts.", show_default="8, single frames 1"),
    ] = None,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            help="Which clips, as for evaluate: dense, c3d (10 at random places), p3d (20), t3d (one after the other), "
            "Nx1 (N at equal spacing), random:N.",
            show_default="dense",
        ),
    ] = None,
    seed: SeedOption = 0,
    short: Annotated[
        str | None, typer.Option("--short", help="Short videos: loop, repeat-last or refuse.", show_default="loop")
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="lance, or also export npz, npy, parquet or projector beside it.")
    ] = "lance",
    mean: MeanOption = None,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=1, help="Clips [by memory].")] = None,
    precision: Annotated[str, typer.Option("--precision", help="float32 or bfloat16.")] = "float32",
    fps: FpsOption = None,
    most_trajectories: Annotated[
        int | None,
        typer.Option(
            "--most-trajectories", min=1, help="With idt: so many of each video, drawn by --seed.", show_default="all"
        ),
    ] = None,
    camera: Annotated[
        bool, typer.Option("--camera/--no-camera", help="With idt: take the motion of the camera out.")
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            help="Decoding processes; with idt, videos at a time.",
            show_default="1; with idt the processors",
        ),
    ] = None,
    limit: LimitOption = None,
    device: DeviceOption = "auto",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Describe videos clip by clip into a table that can be searched and classified.

    Run again, it skips what is done and redoes exactly what became stale (weights, recipe, sampling, the file
    or its stored flow changed). Videos that fail are listed in failed.jsonl, and the exit code is then 3.
    With --model idt, improved dense trajectories are stored, one file per video.
    """
    from tubelet.baselines.idt.store import has_trajectories
    from tubelet.descriptors.export import FORMATS, Format, export
    from tubelet.descriptors.extractor import Extractor
    from tubelet.descriptors.padding import padding_note
    from tubelet.descriptors.runner import extract as run
    from tubelet.descriptors.runner import plan_run
    from tubelet.descriptors.store import DescriptorTable
    from tubelet.models.registry import list_models
    from tubelet.models.spec import descriptor_layer

    if model is None:
        raise UsageError(
            "extract needs a model",
            remedy="train one (tubelet train folder --data DIR), load a model folder with --model DIR, store "
            f"improved dense trajectories with --model {IDT}, or take random weights on purpose with --model "
            f"untrained:NAME ({', '.join(list_models())})",
        )
    check_options(context, model)
    if model == IDT:
        extract_trajectories(
            source,
            out,
            most_trajectories=most_trajectories,
            camera=camera,
            seed=seed,
            workers=workers,
            limit=limit,
            dry_run=dry_run,
            as_json=as_json,
        )
        return
    table = out or Path("runs/extract") / name_of(source)
    if has_trajectories(table):
        raise UsageError(f"trajectories of --model {IDT} lie in this folder", path=table, remedy="name another: -o DIR")
    one_of(file_format, ("lance", *FORMATS), "--format")
    one_of(precision, ("float32", "bfloat16"), "--precision")
    net = open_model(model)
    sampling = _sampling(net, views, seed, clip_length, step_frames, stride_frames, short)
    videos = open_videos(source, fps)
    count = min(len(videos), limit or len(videos))
    names = (descriptor_layer(net.layer_names),) if layers is None else tuple(map(str.strip, layers.split(",")))
    say(f"{count} videos, {net.name} ({net.weights_id[:19]}), layers {', '.join(names)} -> {table}")
    options: dict[str, Any] = {"precision": precision, "recipe": recipe_with_mean(net, mean)}
    options |= {"flow": flow, "any_flow": any_flow}
    with Extractor(
        net,
        names,
        sampling=sampling,
        batch_size=batch_size,
        device=choose_device(device),
        workers=workers or 1,
        **options,
    ) as extractor:
        if dry_run:
            plan = plan_run(videos, extractor, table, limit=limit)
            counts = {"todo": len(plan.todo), "skipped": len(plan.skipped), "failed": len(plan.missing)}
            say(f"{counts['todo']} to describe, {counts['skipped']} already there, {counts['failed']} missing")
            if as_json:
                print_json({"table": str(table), "videos": count, **counts})
            return
        summary = run(videos, extractor, table, limit=limit, model_source=source_of(model))
    padded = padding_note(DescriptorTable(table))
    notes = [*extractor.flow_notes, *([] if padded is None else [padded])]
    for note in notes:
        say(f"note: {note}")
    exported: list[Path] = []
    if file_format != "lance":
        target = table / f"descriptors.{file_format}"
        exported = export(table, target, cast(Format, file_format))
    if as_json:
        print_json({**summary.to_dict(), "exported": [str(path) for path in exported], "notes": notes})
    else:
        typer.echo(summary)
        for path in exported:
            typer.echo(f"exported: {path}")
    raise typer.Exit(summary.exit_code)


def _sampling(
    net: VideoModel,
    views: str | None,
    seed: int,
    clip_length: int | None,
    step_frames: int | None,
    stride_frames: int | None,
    short: str | None,
) -> Sampling:
    """Which clips the options ask for; a clip's length and step are the network's unless told."""
    from dataclasses import replace

    from tubelet.models.spec import usual_stride
    from tubelet.protocols.views import views_by_name

    chosen = views_by_name("dense" if views is None else views, seed)
    if chosen.crops_per_clip > 1:
        raise UsageError(
            f"the views {views} hold {chosen.crops_per_clip} crops of each clip",
            why="a row of the table is the center crop of one clip",
            remedy="use views of one crop, such as Nx1 or random:N",
        )
    if stride_frames is not None and chosen.policy != "dense":
        raise UsageError(
            f"--stride-frames is for dense clips, and the views are {views}", remedy="leave one of the two away"
        )
    if short is not None:
        one_of(short, ("loop", "repeat-last", "refuse"), "--short")
    if stride_frames is None and chosen.policy == "dense":
        stride_frames = usual_stride(net.input, clip_length)
    length = net.input.content.source_length(net.input.clip_length if clip_length is None else clip_length)
    sampling = chosen.sampling(length, net.input.step_frames if step_frames is None else step_frames)
    return replace(
        sampling,
        stride_frames=stride_frames or sampling.stride_frames,
        short=cast("ShortVideo", short or sampling.short),
    )
