"""``tubelet search``: the nearest clips or videos of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tubelet.cli.like_table import extractor_like
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
    import os

    import numpy as np

    from tubelet.descriptors.store import DescriptorTable
    from tubelet.search.exact import ExactIndex, Level

    if not clip.exists():
        raise InputDataError("there is no such video", path=clip, remedy="check the spelling of the path")
    chosen: Level = "clip" if one_of(level, ("clip", "video"), "--level") == "clip" else "video"
    source = DescriptorTable(table)
    name = layer or source.layers[0]
    if name not in source.layers:
        raise UsageError(f"the table has no layer {name!r}", path=table, remedy=f"it has {', '.join(source.layers)}")
    where = choose_device(device)
    with extractor_like(source, (name,), model, mean=mean, flow=flow, any_flow=any_flow, device=where) as extractor:
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
