"""``tubelet verify``: a random part of a descriptor table computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from tubelet.cli.options import (
    AnyFlowOption,
    DeviceOption,
    FlowOption,
    JsonOption,
    MeanOption,
    SeedOption,
    WorkersOption,
    choose_device,
    one_of,
    show_found,
)
from tubelet.cli.sources import recipe_with_mean, recorded_model
from tubelet.errors import UsageError


def verify(
    table: Annotated[Path, typer.Argument(help="Table of tubelet extract; or a Parquet or npz file that it exported.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder that the videos' names are relative to.", show_default="where they lay"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="The model that made the table.", show_default="where extract found it"),
    ] = None,
    share: Annotated[str, typer.Option("--share", help="Part of the rows: 5%, or 0.05; at least 16 rows.")] = "5%",
    clips: Annotated[int | None, typer.Option("--clips", min=1, help="So many rows, instead of a share.")] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32 or bfloat16.", show_default="the table's")
    ] = None,
    mean: MeanOption = None,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for a report.", show_default="none")] = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Compute a random part of a table again and compare it: does the table hold what it says it holds?

    Rows are spread over videos. Whatever is not as recorded is named: rows that are off, videos that changed, other
    weights, another recipe; the exit code is then 3. Other versions and machines are told, and allowed for.
    """
    part = _share(share)
    if precision is not None:
        one_of(precision, ("float32", "bfloat16"), "--precision")
    from tubelet.descriptors.audit.recorded import RecordedTable
    from tubelet.descriptors.audit.verify import verify as run
    from tubelet.descriptors.audit.verify_report import verification_lines, write_verification
    from tubelet.descriptors.network import PrecisionName

    source = RecordedTable(table)
    net = recorded_model(source.record, table, model)
    found = run(
        source,
        net,
        data=data,
        mean=recipe_with_mean(net, mean),
        share=part,
        clips=clips,
        seed=seed,
        flow=flow,
        any_flow=any_flow,
        precision=cast("PrecisionName | None", precision),
        device=choose_device(device),
        workers=workers,
    )
    report = None if out is None else write_verification(out, found)
    show_found(found.to_dict(), verification_lines(found), report, as_json=as_json)
    raise typer.Exit(found.exit_code)


def _share(text: str) -> float:
    """``"5%"`` or ``"0.05"`` as a fraction."""
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100.0 if percent else 1.0)
    except ValueError:
        share = -1.0
    if rest or not 0.0 < share <= 1.0:
        raise UsageError(f"--share cannot be {text!r}", remedy="give a part of the rows: 5%, or 0.05; 100% is all")
    return share
