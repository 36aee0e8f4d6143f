"""``tubelet explain``: in what two descriptor tables differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.options import (
    DeviceOption,
    FlowOption,
    JsonOption,
    MeanOption,
    SeedOption,
    WorkersOption,
    choose_device,
    say,
    show_found,
)
from tubelet.cli.sources import recipe_with_mean, recorded_model
from tubelet.errors import TubeletError

if TYPE_CHECKING:
    from tubelet.descriptors.audit.ways import Side


def explain(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="A table of tubelet extract, or what it exported as npz or Parquet.")
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    layer: Annotated[
        str | None,
        typer.Option("--layer", help="Layer to compare.", show_default="fc6 or pool5, or the first that both have"),
    ] = None,
    layer_b: Annotated[
        str | None, typer.Option("--layer-b", help="Layer of B, where it is another.", show_default="as A's")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder that the videos' names are relative to.", show_default="where they lay"),
    ] = None,
    data_b: Annotated[
        Path | None, typer.Option("--data-b", help="The same for B's videos.", show_default="as A's")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="The model that made A.", show_default="where extract found it"),
    ] = None,
    model_b: Annotated[
        str | None,
        typer.Option("--model-b", help="The model that made B.", show_default="where extract found it"),
    ] = None,
    videos: Annotated[
        int, typer.Option("--videos", min=0, help="Videos to describe anew with each setting; 0: none.")
    ] = 8,
    mean: MeanOption = None,
    flow: FlowOption = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for a report.", show_default="none")] = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Name the settings in which two tables differ, and measure what each of them does to the vectors.

    Settings come from what the tables recorded. Vectors of common clips and videos are compared; then, where videos and
    networks are at hand, A's are computed again with one setting of B at a time, which tells what accounts for most.
    """
    from tubelet.descriptors.audit.explain import explain as run
    from tubelet.descriptors.audit.explain_report import explanation_lines, write_explanation

    sides = [
        _side(table, named, "--model" + suffix, root or data, mean, flow if not suffix else None, videos > 0)
        for table, named, suffix, root in ((first, model, "", data), (second, model_b, "-b", data_b))
    ]
    found = run(
        sides[0],
        sides[1],
        layers=(layer, layer_b),
        videos=videos,
        seed=seed,
        device=choose_device(device),
        workers=workers,
    )
    report = None if out is None else write_explanation(out, found)
    show_found(found.to_dict(), explanation_lines(found), report, as_json=as_json)


def _side(
    path: Path, model: str | None, option: str, data: Path | None, mean: Path | None, flow: Path | None, anew: bool
) -> Side:
    """A table with its network, where that is at hand: one that is named has to be, one that is recorded need not."""
    from tubelet.descriptors.audit.recorded import RecordedTable
    from tubelet.descriptors.audit.ways import Side

    table = RecordedTable(path)
    net = None
    if anew or model is not None:
        try:
            net = recorded_model(table.record, path, model, option)
        except TubeletError as error:
            if model is not None:
                raise
            say(f"note: {error}")
    made_with = table.record.get("recipe") or {}
    with_volume = isinstance(made_with, dict) and made_with.get("mean_volume") is not None
    recipe = recipe_with_mean(net, mean) if net is not None and with_volume else None
    return Side(table, net, data, recipe, flow)
