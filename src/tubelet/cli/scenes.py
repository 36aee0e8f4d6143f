"""``tubelet evaluate yupenn|maryland``: dynamic scenes, one video left out (C3D, section 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tubelet.cli.describe import Described, LayersOption, ModelOption, StrideOption, TablesOption
from tubelet.cli.evaluate_descriptors import folds_of
from tubelet.cli.judge_descriptors import AllowLeakOption, PcaOption, ZscoreOption, judge
from tubelet.cli.options import (
    DataOption,
    DeviceOption,
    DryRunOption,
    FpsOption,
    JsonOption,
    LimitOption,
    MeanOption,
    OverwriteOption,
    SeedOption,
    SvmCOption,
    WorkersOption,
)


def scenes(
    ctx: typer.Context,
    data: DataOption,
    tables: TablesOption = None,
    model: ModelOption = None,
    layers: LayersOption = None,
    svm_c: SvmCOption = 1.0,
    zscore: ZscoreOption = False,
    pca: PcaOption = None,
    allow_leak: AllowLeakOption = False,
    seed: SeedOption = 0,
    stride_frames: StrideOption = None,
    mean: MeanOption = None,
    workers: WorkersOption = 2,
    device: DeviceOption = "auto",
    fps: FpsOption = None,
    limit: LimitOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/evaluate/<data set>")
    ] = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Leave one video out: a linear SVM for each video, fitted on the descriptors of all others.

    C3D's descriptor is fc6 over 16-frame clips, every 8 frames, averaged and scaled to length one; give its weights
    with --model, or tables with --table. Finished folds are kept: the same command goes on where it was stopped.
    """
    from tubelet.protocols.descriptor_svm import SvmSettings

    kind = str(ctx.info_name)
    vectors = Described(
        tables or (), layers or (), model, stride_frames=stride_frames, mean=mean, workers=workers, device=device
    )
    judge(
        folds_of(data, kind, fps=fps, limit=limit),
        vectors,
        SvmSettings(svm_c, zscore, pca, seed),
        out or Path("runs/evaluate") / kind,
        allow_leak=allow_leak,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
    )
