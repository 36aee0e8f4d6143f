"""``tubelet search``: the nearest clips or videos of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tubelet.cli.options import (
    AnyFlowOption,
    DeviceOption,
    FlowOption,
    FpsOption,
    JsonOption,
    MeanOption,
    choose_device,
    one_of,
    print_json,
    say,
)
from tubelet.cli.sources import open_model, recipe_with_mean
from tubelet.errors import InputDataError, UsageError


def search(
    clip: Annotated[Path, typer.Argument(help="A video to search by.")],
    table: Annotated[Path, typer.Option("--in", help="Descriptor table made by tubelet extract.")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="The model that made the table.", show_default="where extract found it"),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Layer to compare.", show_default="the table's first")
    ] = None,
    level: Annotated[str, typer.Option("--level", help="Find clips or whole videos: clip or video.")] = "clip",
    start_s: Annotated[
        float | None,
        typer.Option("--start-s", min=0, help="Search by the clip at this second.", show_default="the whole video"),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many to print.")] = 10,
    fps: FpsOption = None,
    mean: MeanOption = None,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Find the nearest clips (path, seconds, cosine) by exact comparison with every row of the table.

    The query video itself, if it is in the table, and overlapping clips of one moment are left out.
    """
    import json
    import os

    import numpy as np

    from tubelet.clips.sampling import Sampling
    from tubelet.descriptors.extractor import Extractor
    from tubelet.descriptors.runner import model_source_of
    from tubelet.descriptors.store import DescriptorTable
    from tubelet.search.exact import ExactIndex, Level

    if not clip.exists():
        raise InputDataError("there is no such video", path=clip, remedy="check the spelling of the path")
    chosen: Level = "clip" if one_of(level, ("clip", "video"), "--level") == "clip" else "video"
    source = DescriptorTable(table)
    name = layer or source.layers[0]
    if name not in source.layers:
        raise UsageError(f"the table has no layer {name!r}", path=table, remedy=f"it has {', '.join(source.layers)}")
    opened = model or model_source_of(table)
    if opened is None:
        raise UsageError("the table does not say where its model lies", path=table, remedy="name it with --model")
    net = open_model(opened)
    made_by = source.only("weights_sha256")
    if made_by != net.weights_id:
        raise InputDataError(
            "the table was made by other weights",
            path=table,
            why=f"{(made_by or 'several')[:19]} there, {net.weights_id[:19]} given",
            remedy="give the model that made it with --model, or extract again with this one",
        )
    options: dict[str, Any] = {"recipe": recipe_with_mean(net, mean), "precision": source.only("precision") or "auto"}
    options |= {"flow": flow, "any_flow": any_flow}
    made_with = source.only("sampling")
    if made_with is not None:  # the query is cut into clips as the table's videos were
        sampling = Sampling.from_dict(json.loads(made_with))
        options["clip_length"] = net.input.content.clip_length(sampling.clip_length)
        options["short"], options["step_frames"] = sampling.short, sampling.step_frames
        options["stride_frames"] = sampling.stride_frames or sampling.clip_length
    with Extractor(net, (name,), device=choose_device(device), **options) as extractor:
        if source.only("recipe_hash") != extractor.recipe.hash:
            raise InputDataError(
                "the table was made with another recipe",
                path=table,
                remedy="give --mean as extract was given it, or extract again",
            )
        described = extractor.describe(clip, fps=fps)
    query = described.video_vector(name)
    if start_s is not None:
        middle = (described.start_s + described.end_s) / 2
        query = described.vectors[name][int(np.abs(middle - start_s).argmin())]
    index = ExactIndex.from_table(source, name, chosen)
    here = dict(zip(index.path.tolist(), index.video_id.tolist(), strict=True))
    own = here.get(Path(os.path.abspath(clip)).as_posix())
    hits = index.search(query, k, exclude=None if own is None else [own], merge=chosen == "clip")[0]
    if as_json:
        print_json(
            {
                "query": str(clip),
                "layer": name,
                "level": level,
                "left_out": own,
                "hits": [hit.to_dict() for hit in hits],
            }
        )
        return
    if own is not None:
        say(f"{own} is the query itself and is left out")
    for hit in hits:
        typer.echo(f"{hit.rank:3d}  {hit.score:.4f}  {hit.start_s:8.2f}-{hit.end_s:.2f} s  {hit.path}")
