"""``tubelet evaluate compactness``: accuracy of descriptors in fewer and in smaller numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tubelet.cli.describe import Described
from tubelet.cli.evaluate_descriptors import (
    DatasetKindOption,
    LeaveGroupOption,
    LeaveOneOption,
    OfficialSplitsOption,
    TestFractionOption,
    TestGroupsOption,
    folds_of,
)
from tubelet.cli.judge_descriptors import AllowLeakOption, count_of, identity_of
from tubelet.cli.options import (
    AnnotationsOption,
    DataOption,
    DryRunOption,
    FpsOption,
    JsonOption,
    LabelColumnOption,
    LimitOption,
    OverwriteOption,
    SeedOption,
    SvmCOption,
    print_json,
    say,
)
from tubelet.cli.splits import parse_numbers
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from tubelet.protocols.compactness import Bits

TablesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        help="Folder of tubelet extract, or npz, parquet or csv with video_id; NAME=PATH names it (c3d=DIR). "
        "Give it again for each further table: each has a curve of its own.",
    ),
]
LayersOption = Annotated[
    list[str] | None,
    typer.Option("--layer", help="For all tables, or one each, in their order.", show_default="fc6, else pool5; bow"),
]


def compactness(
    data: DataOption,
    tables: TablesOption = None,
    kind: DatasetKindOption = "auto",
    layers: LayersOption = None,
    dims: Annotated[str, typer.Option("--dims", help="Numbers of principal components.")] = "10,50,100,500",
    bits: Annotated[str, typer.Option("--bits", help="How numbers are stored: float32, or float32,int8.")] = (
        "float32,int8"
    ),
    splits: OfficialSplitsOption = None,
    annotations: AnnotationsOption = None,
    test_groups: TestGroupsOption = None,
    test_fraction: TestFractionOption = None,
    leave_one_group_out: LeaveGroupOption = False,
    leave_one_out: LeaveOneOption = False,
    label_column: LabelColumnOption = "label",
    svm_c: SvmCOption = 1.0,
    allow_leak: AllowLeakOption = False,
    seed: SeedOption = 0,
    fps: FpsOption = None,
    limit: LimitOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/evaluate/<data>_compactness")
    ] = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Reduce descriptors to principal components and to eight bits a number, and test what a linear SVM loses.

    Each table is judged by itself, on the videos that all of them have; what is learned sees training videos only.
    Says which variant takes the fewest bytes and loses less than one percentage point. Videos without a vector in every
    table are left out and listed in failed.jsonl (exit code 3). Finished folds are kept: the same command goes on.
    """
    from tubelet.baselines.tables import open_table, require_learnable
    from tubelet.descriptors.video_vectors import ENCODING
    from tubelet.failures import FAILED_FILE, list_failures
    from tubelet.protocols.compact_mean import mean_compactness
    from tubelet.protocols.compactness import CompactSettings, evaluate_compactness
    from tubelet.protocols.compactness_report import write_compactness
    from tubelet.reporting.text import counted
    from tubelet.training.run_folder import RunFolder

    settings = CompactSettings(parse_numbers(dims, "--dims"), cast("tuple[Bits, ...]", _words(bits)), svm_c, seed)
    if not tables:
        raise UsageError(
            "there is no table to reduce",
            remedy="give --table NAME=DIR, a folder of tubelet extract or a file of vectors",
        )
    given = Described(tables, layers or ())
    parts = folds_of(
        data,
        kind,
        splits=splits,
        annotations=annotations,
        test_groups=test_groups,
        test_fraction=test_fraction,
        one_group_out=leave_one_group_out,
        one_out=leave_one_out,
        label_column=label_column,
        fps=fps,
        limit=limit,
    )
    opened = [open_table(*table) for table in given.given()]
    first = parts[0][1][0].test
    name = first.name.partition("-split")[0]
    root = out or Path("runs/evaluate") / f"{name}_compactness"
    say(
        "\n".join(
            f"{one.name}: {len(one.video_ids)} videos, {one.layer or 'vectors'} of {one.length:,} numbers"
            + (", learned from each fold's training videos" if ENCODING in one.facts else "")
            for one in opened
        )
        + f"\n{name}: {len(first.classes)} classes, "
        + ", ".join(f"{title}: {count_of(folds)}" for title, folds in parts)
        + f"\n{', '.join(map(str, settings.dims))} principal components and all numbers, in "
        f"{' and '.join(settings.bits)}, linear SVM, C = {svm_c:g} -> {root}"
    )
    for note in first.findings.notes:
        say(f"note: {note}")
    require_learnable(opened, [fold for _, folds in parts for fold in folds])
    if dry_run:
        if as_json:
            print_json({"folder": str(root), "parts": [title for title, _ in parts], **settings.to_dict()})
        return
    record: dict[str, Any] = {
        "tables": [{"name": one.name, "path": str(one.path), "layer": one.layer, "sha256": one.hash} for one in opened],
        "parts": {title: identity_of(folds) for title, folds in parts},
        "allow_leak": allow_leak,
        **settings.to_dict(),
    }
    run = RunFolder(root, record, overwrite=overwrite)
    with run.logging():
        found = {}
        for title, folds in parts:
            folder = root / title if len(parts) > 1 else root
            found[title] = evaluate_compactness(folds, opened, settings, folder, title=title, allow_leak=allow_leak)
            report = write_compactness(folder, found[title])
        whole = next(iter(found.values()))
        if len(parts) > 1:
            whole = mean_compactness({int(title.removeprefix("split")): one for title, one in found.items()})
            report = write_compactness(root, whole)
    missing = {each.video_id: each for one in found.values() for each in one.failed}
    list_failures(root / FAILED_FILE, [missing[video_id] for video_id in sorted(missing)])
    if as_json:
        print_json({**whole.to_dict(), "missing": sorted(missing), "report": str(report)})
    else:
        typer.echo(f"{whole}\nreport: {report}")
    if missing:
        say(f"{counted(len(missing), 'video')} without a descriptor in every table, see {root / FAILED_FILE}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))
