"""``tubelet evaluate``: a protocol from videos to figures with intervals."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli import aslan, evaluate_compactness, evaluate_descriptors, evaluate_published, fuse, objects, scenes
from tubelet.cli.diagnose import (
    DiagnoseMeanOption,
    DiagnoseOption,
    DiagnoseOptions,
    DiagnoseVideosOption,
    ExpectedOption,
    other_splits,
)
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
    OverwriteOption,
    PrecisionOption,
    SvmCOption,
    WorkersOption,
    choose_device,
    one_of,
    print_json,
    say,
)
from tubelet.cli.score_model import names_a_model, score_model
from tubelet.cli.splits import over_splits, parse_numbers
from tubelet.cli.streams import streams
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tubelet.datasets.manifest import Manifest
    from tubelet.protocols.recognition import Recognition


app = typer.Typer(
    help="Train and test as a protocol says, test a trained model, or fuse the scores of several; with intervals.",
    short_help="Train and test by a protocol, or fuse streams.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def evaluate(
    ctx: typer.Context,
    data: DataOption,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/evaluate/<protocol>")
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", "--seed", help="One seed, or several: 0,1,2 or 0-2.")] = "0",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Network to train; or a model folder (or run) to test as it is, over --views.",
            show_default="c3d_small",
        ),
    ] = None,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            help="Model folder: 25x10 (positions x crops), any NxM with M = 1, 2, 3, 4, 5, 10, random:NxM, or c3d, "
            "p3d, t3d, deepvideo, tsn_caffe, tsn_torch, dense.",
            show_default="its paper's",
        ),
    ] = None,
    part: Annotated[
        str, typer.Option("--part", help="Model folder: score test, train (to fit a fusion) or all videos.")
    ] = "test",
    keep_views: Annotated[
        bool, typer.Option("--keep-views", help="Model folder: keep every view's scores in scores.npz.")
    ] = False,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Test on groups or copies of what was trained on, and mark the result.")
    ] = False,
    split: Annotated[int, typer.Option("--split", help="Official split (UCF101, HMDB51).")] = 1,
    splits: Annotated[
        str | None,
        typer.Option("--splits", help="Several and their mean: 1,2,3. {split} in --model stands for the number."),
    ] = None,
    annotations: AnnotationsOption = None,
    test_groups: Annotated[
        str | None, typer.Option("--test-groups", help="folder: groups to test on, such as g21-g25.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option("--test-fraction", help="folder: share of the videos to test on.", show_default="0.2"),
    ] = None,
    leave_one_group_out: Annotated[
        bool, typer.Option("--leave-one-group-out", help="folder: one fold per group.")
    ] = False,
    label_column: LabelColumnOption = "label",
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    iterations: Annotated[int | None, typer.Option("--iterations", min=1, help="Optimizer steps.")] = None,
    fps: FpsOption = None,
    precision: PrecisionOption = "auto",
    workers: WorkersOption = 2,
    limit: LimitOption = None,
    device: DeviceOption = "auto",
    svm_c: SvmCOption = 1.0,
    diagnose: DiagnoseOption = False,
    expected: ExpectedOption = None,
    diagnose_videos: DiagnoseVideosOption = None,
    diagnose_mean: DiagnoseMeanOption = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train and test as a protocol says, and print the figures with their intervals; or test a trained model.

    Finished folds and seeds, or scored videos, are kept: the same command goes on where it was stopped.
    """
    from dataclasses import replace

    from tubelet.cli.labeled import hold_out, open_labeled
    from tubelet.datasets.content import copies
    from tubelet.datasets.groups import join_copies
    from tubelet.protocols.presets import protocol_settings
    from tubelet.protocols.recognition import leave_one_out, over_seeds, train_and_test, with_seed
    from tubelet.protocols.run_report import evaluation_report
    from tubelet.training.run_folder import RunFolder

    kind = str(ctx.info_name)
    if splits is not None:
        over_splits(kind, splits, partial(evaluate, ctx), ctx.params)
        return
    diagnosing = DiagnoseOptions(diagnose, expected, diagnose_videos, diagnose_mean)
    wanted = parse_numbers(seeds, "--seeds")
    trained = names_a_model(model)
    _require_fitting(
        trained,
        testing={
            "--views": views,
            "--part": part != "test",
            "--keep-views": keep_views,
            "--diagnose": diagnose,
        },
        training={
            "--iterations": iterations,
            "--leave-one-group-out": leave_one_group_out,
            "several seeds": wanted[1:],
        },
    )
    manifest = open_labeled(
        kind, data, split=split, fps=fps, label_column=label_column, annotations=annotations, limit=limit
    )
    if trained:
        folder = Path(str(model))
        score_model(
            manifest,
            None if part == "all" else hold_out(manifest, kind, test_groups, test_fraction, 0, trains=False),
            folder,
            out or Path("runs/evaluate") / (kind if kind != "folder" else manifest.name) / (views or "views"),
            part=part,
            views=views,
            keep_views=keep_views,
            allow_leak=allow_leak,
            flow=flow,
            any_flow=any_flow,
            seed=wanted[0],
            precision=one_of(precision, ("auto", "float32", "bfloat16"), "--precision"),
            device=choose_device(device),
            workers=workers,
            overwrite=overwrite,
            dry_run=dry_run,
            as_json=as_json,
            diagnosing=diagnosing,
            other_splits=partial(
                other_splits,
                kind if test_groups is None and test_fraction is None else "",
                split,
                partial(
                    open_labeled,
                    kind,
                    data,
                    fps=fps,
                    label_column=label_column,
                    annotations=annotations,
                    limit=limit,
                ),
            ),
        )
        return
    settings = protocol_settings(
        kind, model, flip=manifest.flip, flow=() if flow is None else (flow,), any_flow=any_flow
    )
    settings = replace(
        settings,
        svm_c=svm_c,
        allow_leak=allow_leak,
        train=settings.train.changed(
            iterations=iterations,
            precision=one_of(precision, ("auto", "float32", "bfloat16"), "--precision"),
            workers=workers,
        ),
    )
    parts: tuple[Manifest, Manifest] | None = None
    if kind == "weizmann" or leave_one_group_out:
        if test_groups is not None or test_fraction is not None:
            raise UsageError(
                "every group is tested on in turn, so none can be chosen",
                remedy="leave --test-groups and --test-fraction away, or use tubelet train",
            )
        # Copies of one file count as filmed together, or a fold would test on what it trained on.
        manifest = join_copies(manifest, copies(manifest.files()))
    else:
        # The split does not depend on the seed of the training: seeds are compared on the same videos.
        training, test = hold_out(manifest, kind, test_groups, test_fraction, 0)
        if test is None:
            raise UsageError(f"{manifest.name} has no test videos", remedy="name test groups with --test-groups")
        parts = training, test
    folds = 1 if parts else len(manifest.groups)
    root = out or Path("runs/evaluate") / (kind if kind != "folder" else manifest.name)
    config = settings.train
    how = f"{len(parts[0])} to train on, {len(parts[1])} to test" if parts else f"{folds} folds"
    where = choose_device(device)
    say(
        f"{manifest.name}: {len(manifest)} videos, {len(manifest.classes)} classes, {len(manifest.groups)} groups "
        f"({(parts[0] if parts else manifest).group_rule}); {how}, for seed {', '.join(map(str, wanted))}\n"
        f"{settings.model}, recipe {settings.recipe.name}: {config.iterations} steps of {config.batch_size} clips, "
        f"{config.optimizer}, learning rate {config.learning_rate:g} -> {root}"
    )
    if dry_run:
        if as_json:
            print_json({"folder": str(root), "seeds": list(wanted), "folds": folds, **settings.to_dict()})
        return
    common = settings.to_dict()
    del common["train"]["seed"]
    RunFolder(root, {"protocol": kind, "dataset": manifest.hash, **common}, overwrite=overwrite)
    runs: dict[int, Recognition] = {}
    for seed in wanted:
        seeded = with_seed(settings, seed)
        folder = root / f"seed{seed}"
        if parts is None:
            runs[seed] = leave_one_out(manifest, seeded, folder, device=where, overwrite=overwrite)
        else:
            runs[seed] = train_and_test(*parts, seeded, folder, device=where, overwrite=overwrite)
        for result in runs[seed].results:
            say(f"seed {seed}: {result.headline()}")
    heads = zip(*(run.results for run in runs.values()), strict=True)
    summaries = [over_seeds(wanted, results) for results in heads] if len(runs) > 1 else []
    report = evaluation_report(root, manifest, settings, runs, summaries)
    failed = sorted({pair for run in runs.values() for pair in run.failed})
    if as_json:
        print_json(
            {
                "seeds": {str(seed): run.to_dict() for seed, run in runs.items()},
                "summary": [summary.to_dict() for summary in summaries],
                "report": str(report),
            }
        )
    else:
        for seed, run in runs.items():
            for result in run.results:
                typer.echo(f"seed {seed}: {result}" if len(runs) == 1 else f"seed {seed}: {result.headline()}")
        for summary in summaries:
            typer.echo(summary.headline())
        typer.echo(f"report: {report}")
    if failed:
        say(f"{len(failed)} videos could not be read, see failed.jsonl below {root}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _require_fitting(trained: bool, *, testing: Mapping[str, object], training: Mapping[str, object]) -> None:
    """Refuse options of training beside a model folder, and those of its test without one."""
    odd = [name for name, given in (training if trained else testing).items() if given]
    if odd and trained:
        raise UsageError(
            f"{', '.join(odd)}: these are for training, and --model is a model folder",
            remedy="leave them away, or name a network to train",
        )
    if odd:
        raise UsageError(
            f"{', '.join(odd)}: these test a trained model, and --model is none",
            remedy="give a model folder, such as the run folder of tubelet train, with --model DIR",
        )


for _kind, _what in (
    ("weizmann", "Weizmann, leaving one actor out."),
    ("ucf101", "UCF101 on its official splits."),
    ("hmdb51", "HMDB51 on its official splits."),
    ("kth", "KTH on its official split over persons."),
    ("sports1m", "Sports-1M on its official partitions, hit@1 and hit@5."),
    ("kinetics", "Kinetics on its official splits."),
    ("activitynet", "ActivityNet, whole videos, on its official splits."),
    ("activitynet-segments", "ActivityNet, annotated segments, on its official splits."),
    ("pyslowfast", "One's own lists in PySlowFast's format."),
    ("folder", "One's own labeled videos."),
):
    app.command(_kind, short_help=_what)(evaluate)
app.command("streams", short_help="Train and test several streams on the same folds, and fuse them.")(streams)
app.command("descriptors", short_help="Linear SVM on descriptor tables, one or several side by side.")(
    evaluate_descriptors.descriptors
)
app.command("compactness", short_help="Descriptors in fewer and smaller numbers: what an SVM loses.")(
    evaluate_compactness.compactness
)
for _kind, _what in (("yupenn", "YUPENN dynamic scenes"), ("maryland", "Maryland dynamic scenes")):
    app.command(_kind, short_help=f"{_what}: linear SVM, one video left out.")(scenes.scenes)
app.command("objects", short_help="Egocentric objects: linear SVM on windows of labeled frames.")(objects.objects)
app.command("published", short_help="The figures that papers print, with where and how sure.")(
    evaluate_published.published
)
app.command("aslan", short_help="ASLAN: same action or not, ten folds.")(aslan.aslan)
app.command("fuse", cls=fuse.FuseCommand, short_help="Fuse the score files of several streams.")(fuse.fuse)
