"""``tubelet evaluate descriptors``: the papers' linear SVM on descriptor tables, one or several side by side."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.describe import Described, LayersOption, ModelOption, StrideOption, TablesOption
from tubelet.cli.diagnose import (
    DiagnoseMeanOption,
    DiagnoseOption,
    DiagnoseOptions,
    DiagnoseVideosOption,
    ExpectedOption,
)
from tubelet.cli.judge_descriptors import AllowLeakOption, Diagnosing, PcaOption, ZscoreOption, judge
from tubelet.cli.options import (
    AnnotationsOption,
    AnyFlowOption,
    DataOption,
    DeviceOption,
    DryRunOption,
    FlowOption,
    FpsOption,
    JsonOption,
    LabelColumnOption,
    LimitOption,
    MeanOption,
    OverwriteOption,
    SeedOption,
    SvmCOption,
    WorkersOption,
)
from tubelet.cli.splits import WITH_SPLITS, parse_numbers
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from tubelet.datasets.manifest import Manifest
    from tubelet.datasets.splits import Fold

LEAVING_ONE_OUT = ("yupenn", "maryland")
"""Data sets whose papers leave one video out."""

DatasetKindOption = Annotated[str, typer.Option("--kind", help="Kind of dataset: see tubelet data kinds.")]
OfficialSplitsOption = Annotated[
    str | None, typer.Option("--splits", help="Official splits (UCF101, HMDB51).", show_default="1,2,3")
]
TestGroupsOption = Annotated[str | None, typer.Option("--test-groups", help="Groups to test on, such as g21-g25.")]
TestFractionOption = Annotated[
    float | None, typer.Option("--test-fraction", help="Share of the videos to test on.", show_default="0.2")
]
LeaveGroupOption = Annotated[
    bool, typer.Option("--leave-one-group-out", help="One fold per group (always so for weizmann).")
]
LeaveOneOption = Annotated[
    bool, typer.Option("--leave-one-out", help="One fold per video (always so for yupenn and maryland).")
]


def descriptors(
    data: DataOption,
    tables: TablesOption = None,
    model: ModelOption = None,
    kind: DatasetKindOption = "auto",
    layers: LayersOption = None,
    splits: OfficialSplitsOption = None,
    annotations: AnnotationsOption = None,
    test_groups: TestGroupsOption = None,
    test_fraction: TestFractionOption = None,
    leave_one_group_out: LeaveGroupOption = False,
    leave_one_out: LeaveOneOption = False,
    label_column: LabelColumnOption = "label",
    svm_c: SvmCOption = 1.0,
    zscore: ZscoreOption = False,
    pca: PcaOption = None,
    allow_leak: AllowLeakOption = False,
    seed: SeedOption = 0,
    stride_frames: StrideOption = None,
    mean: MeanOption = None,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    workers: WorkersOption = 2,
    device: DeviceOption = "auto",
    diagnose: DiagnoseOption = False,
    expected: ExpectedOption = None,
    diagnose_videos: DiagnoseVideosOption = None,
    diagnose_mean: DiagnoseMeanOption = None,
    fps: FpsOption = None,
    limit: LimitOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/evaluate/<data>_descriptors")
    ] = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a linear SVM on the training videos' descriptors and test it, on official splits or on held-out videos.

    Every vector is scaled to length one, tables stand side by side, and what is fitted sees training videos only.
    With --model the videos are described first, into the run folder. Videos without a descriptor in every table are
    left out and listed in failed.jsonl (exit code 3). Finished folds are kept: the same command goes on.
    """
    from tubelet.protocols.descriptor_svm import SvmSettings

    vectors = Described(
        tables or (),
        layers or (),
        model,
        stride_frames=stride_frames,
        mean=mean,
        flow=flow,
        any_flow=any_flow,
        workers=workers,
        device=device,
    )
    opened = partial(folds_of, data, kind, annotations=annotations, label_column=label_column, fps=fps, limit=limit)
    parts = opened(
        splits=splits,
        test_groups=test_groups,
        test_fraction=test_fraction,
        one_group_out=leave_one_group_out,
        one_out=leave_one_out,
    )
    options = DiagnoseOptions(diagnose, expected, diagnose_videos, diagnose_mean)
    name = parts[0][1][0].test.name.partition("-split")[0]
    judge(
        parts,
        vectors,
        SvmSettings(svm_c, zscore, pca, seed),
        out or Path("runs/evaluate") / f"{name}_descriptors",
        diagnosing=Diagnosing(options, lambda numbers: opened(splits=numbers)),
        allow_leak=allow_leak,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
    )


def folds_of(
    data: Path,
    kind: str,
    *,
    splits: str | None = None,
    annotations: Path | None = None,
    test_groups: str | None = None,
    test_fraction: float | None = None,
    one_group_out: bool = False,
    one_out: bool = False,
    label_column: str = "label",
    fps: float | None = None,
    limit: int | None = None,
    labels: bool = True,
) -> list[tuple[str, list[Fold]]]:
    """Each part of the evaluation with its folds: official splits have one fold each, leaving out has many.

    With ``labels`` False videos may have none.

    Raises
    ------
    UsageError
        The options do not go together, or nothing is left to test on.
    """
    from tubelet.cli.labeled import hold_out, open_labeled
    from tubelet.datasets.catalog import detect_kind
    from tubelet.datasets.content import copies
    from tubelet.datasets.groups import join_copies
    from tubelet.datasets.splits import leave_one_group_out, leave_one_out

    chosen = detect_kind(data) if kind == "auto" else kind
    held_out = test_groups is not None or test_fraction is not None

    def opened(split: int | None) -> Manifest:
        return open_labeled(
            chosen,
            data,
            split=split,
            fps=fps,
            label_column=label_column,
            annotations=annotations,
            limit=limit,
            labels=labels,
        )

    if splits is not None and chosen not in WITH_SPLITS:
        raise UsageError(f"--splits are official splits, and {chosen} has none", remedy="leave --splits away")
    if one_out and one_group_out:
        raise UsageError("one video is left out, or one group", remedy="give one of the two options")
    if (one_out or one_group_out) and (held_out or splits is not None):
        raise UsageError(
            f"every {'video' if one_out else 'group'} is tested on in turn, so none can be chosen",
            remedy="leave --splits, --test-groups and --test-fraction away",
        )
    if one_out or (chosen in LEAVING_ONE_OUT and not held_out and not one_group_out):
        manifest = opened(1)
        return [("videos", list(leave_one_out(manifest, copies(manifest.files()))))]
    if one_group_out or (chosen == "weizmann" and not held_out):
        # Copies of one file count as filmed together, or a fold would test on what it trained on.
        manifest = opened(1)
        return [("groups", list(leave_one_group_out(join_copies(manifest, copies(manifest.files())))))]
    if chosen in WITH_SPLITS and not held_out:
        numbers = parse_numbers(splits or "1,2,3", "--splits")
        return [(f"split{number}", [_fold(f"split{number}", *hold_out(opened(number), chosen, None, None, 0))])
                for number in numbers]  # fmt: skip
    training, test = hold_out(opened(1), chosen, test_groups, test_fraction, 0)
    return [("held-out", [_fold("held-out", training, test)])]


def _fold(name: str, training: Manifest, test: Manifest | None) -> Fold:
    from tubelet.datasets.splits import Fold

    if test is None:
        raise UsageError(f"{training.name} has no test videos", remedy="name test groups with --test-groups")
    return Fold(name, training, test)
