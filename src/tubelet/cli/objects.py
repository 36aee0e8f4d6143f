"""``tubelet evaluate objects``: which object a window of egocentric video shows (C3D, section 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tubelet.cli.describe import Described, LayersOption, ModelOption, StrideOption, TablesOption
from tubelet.cli.evaluate_descriptors import (
    LeaveGroupOption,
    LeaveOneOption,
    TestFractionOption,
    TestGroupsOption,
    folds_of,
)
from tubelet.cli.judge_descriptors import AllowLeakOption, PcaOption, Windows, ZscoreOption, judge
from tubelet.cli.options import (
    AnnotationsOption,
    AnyFlowOption,
    DataOption,
    DeviceOption,
    DryRunOption,
    FlowOption,
    FpsOption,
    JsonOption,
    LimitOption,
    MeanOption,
    OverwriteOption,
    SeedOption,
    SvmCOption,
    WorkersOption,
)


def objects(
    data: DataOption,
    tables: TablesOption = None,
    model: ModelOption = None,
    layers: LayersOption = None,
    annotations: AnnotationsOption = None,
    window_frames: Annotated[int, typer.Option("--window-frames", min=1, help="--model: frames of a window.")] = 16,
    stride_frames: StrideOption = None,
    least_frames: Annotated[
        int, typer.Option("--least-frames", min=1, help="Leave windows out whose label is in fewer frames.")
    ] = 8,
    test_groups: TestGroupsOption = None,
    test_fraction: TestFractionOption = None,
    leave_one_group_out: LeaveGroupOption = False,
    leave_one_out: LeaveOneOption = False,
    svm_c: SvmCOption = 1.0,
    zscore: ZscoreOption = False,
    pca: PcaOption = None,
    allow_leak: AllowLeakOption = False,
    seed: SeedOption = 0,
    mean: MeanOption = None,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    workers: WorkersOption = 2,
    device: DeviceOption = "auto",
    fps: FpsOption = None,
    limit: LimitOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/evaluate/objects")
    ] = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Slide a window over videos whose frames are labeled, and tell its most frequent label by a linear SVM.

    --data has frame_labels.csv (file_name,frame,last_frame,label,split,group). Windows whose label is in fewer than 8
    frames are left out of training and test; of equally frequent labels the first seen counts. Videos, or groups of
    them, are never on both sides, and whole ones are drawn for the interval. Tables must be those of tubelet extract.
    """
    from tubelet.datasets.objects import find_frame_labels, read_frame_labels
    from tubelet.protocols.descriptor_svm import SvmSettings

    vectors = Described(
        tables or (),
        layers or (),
        model,
        stride_frames=stride_frames,
        clip_length=window_frames,
        mean=mean,
        flow=flow,
        any_flow=any_flow,
        workers=workers,
        device=device,
    )
    parts = folds_of(
        data,
        "objects",
        annotations=annotations,
        test_groups=test_groups,
        test_fraction=test_fraction,
        one_group_out=leave_one_group_out,
        one_out=leave_one_out,
        fps=fps,
        limit=limit,
        labels=False,
    )
    judge(
        parts,
        vectors,
        SvmSettings(svm_c, zscore, pca, seed),
        out or Path("runs/evaluate/objects"),
        windows=Windows(read_frame_labels(find_frame_labels(data, annotations)), least_frames),
        allow_leak=allow_leak,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
    )
