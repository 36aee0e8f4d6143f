"""``tubelet train``: a network and its SVM from a folder of labeled videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.labeled import hold_out, open_labeled
from tubelet.cli.options import (
    AnnotationsOption,
    AnyFlowOption,
    DataOption,
    DeviceOption,
    DryRunOption,
    FlowsOption,
    FpsOption,
    ItsPrecisionOption,
    ItsSeedOption,
    ItsWorkersOption,
    JsonOption,
    LabelColumnOption,
    LimitOption,
    MeanOption,
    OverwriteOption,
    SvmCOption,
    choose_device,
    one_of,
    print_json,
    say,
)
from tubelet.cli.sources import model_folder
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from tubelet.datasets.manifest import Manifest
    from tubelet.protocols.recognition import Recognition
    from tubelet.protocols.rounds import RoundSettings
    from tubelet.training.config import Experiment


def train(
    dataset: Annotated[
        str,
        typer.Argument(help="Kind of dataset: folder, weizmann, ucf101, ...; or a TOML file from experiments/."),
    ],
    data: DataOption,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/train/<dataset>")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Network.", show_default="c3d_small, or that of --weights")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Preprocessing.", show_default="the network's own")
    ] = None,
    mean: MeanOption = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Model folder, or run that holds one, to start from.")
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--start-from",
            help="What --weights are: same (of this network), inflate (of its 2-D counterpart), cross_modality (of the "
            "same network for RGB).",
            show_default="same, or as the experiment says",
        ),
    ] = None,
    train_layers: Annotated[
        str | None,
        typer.Option("--train-layers", help="Only these layers learn, such as head or fc7,fc8.", show_default="all"),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="KIND=DIR", help="One more data set, learned by a head of its own."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="Learn without labels from this image network (T3D's supervision transfer)."),
    ] = None,
    flow: FlowsOption = None,
    any_flow: AnyFlowOption = False,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Test on groups that the starting weights saw, and mark the result.")
    ] = False,
    label_column: LabelColumnOption = "label",
    split: Annotated[int | None, typer.Option("--split", help="Official split (UCF101, HMDB51).")] = None,
    annotations: AnnotationsOption = None,
    test_groups: Annotated[
        str | None, typer.Option("--test-groups", help="Groups to hold out, such as g21-g25.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            "--test-fraction", help="Share of the videos to hold out in whole groups; 0: none.", show_default="0.2"
        ),
    ] = None,
    iterations: Annotated[int | None, typer.Option("--iterations", min=1, help="Optimizer steps.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=2, help="Clips per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Highest learning rate.")] = None,
    flip: Annotated[
        bool | None,
        typer.Option("--flip/--no-flip", help="Mirror clips in training.", show_default="as the labels allow"),
    ] = None,
    svm: Annotated[bool, typer.Option("--svm/--no-svm", help="Fit the linear SVM on the descriptors.")] = True,
    svm_c: SvmCOption = 1.0,
    fps: FpsOption = None,
    precision: ItsPrecisionOption = None,
    seed: ItsSeedOption = None,
    workers: ItsWorkersOption = None,
    limit: LimitOption = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network on labeled videos and fit a linear SVM on its descriptors.

    The same command goes on where it was stopped. One's own folder is split by groups into training and test;
    Weizmann is trained on all its actors.
    """
    from dataclasses import replace

    from tubelet.protocols.recognition import train_and_test
    from tubelet.protocols.rounds import run_round
    from tubelet.protocols.run_report import train_report
    from tubelet.training.config import load_experiment

    experiment: Experiment | None = load_experiment(dataset) if dataset.endswith(".toml") else None
    kind = experiment.dataset if experiment else dataset
    if experiment is not None:
        _require_given(experiment, weights, teacher, also, flow)
    if teacher is not None and also:
        raise UsageError("a teacher needs no labels, and --also brings some", remedy="give one of --teacher and --also")
    number = split if split is not None else (experiment.split if experiment else 1)
    manifest = open_labeled(
        kind,
        data,
        split=number,
        fps=fps,
        label_column=label_column,
        annotations=annotations,
        limit=limit,
        labels=teacher is None,
    )
    further = _further(also or [], experiment, fps=fps, limit=limit)
    settings = _settings(
        experiment, kind, manifest, model, recipe, mean, weights, start_from, flip, flow or [], any_flow
    )
    if further:
        settings = replace(settings, options={**settings.options, "tasks": [len(one.classes) for one in further]})
    settings = replace(
        settings,
        with_svm=svm,
        svm_c=svm_c,
        allow_leak=allow_leak,
        train=settings.train.changed(
            iterations=iterations,
            batch_size=batch_size,
            learning_rate=learning_rate,
            train_layers=None if train_layers is None else [name.strip() for name in train_layers.split(",")],
            precision=precision and one_of(precision, ("auto", "float32", "bfloat16"), "--precision"),
            seed=seed,
            workers=workers,
        ),
    )
    training, test = hold_out(manifest, kind, test_groups, test_fraction, settings.train.seed)
    folder = out or Path("runs/train") / (experiment.name if experiment else manifest.name)
    where = choose_device(device)
    say(_plan(manifest, training, test, settings, folder, further))
    if dry_run:
        if as_json:
            held = 0 if test is None else len(test)
            print_json({"folder": str(folder), "training": len(training), "test": held, **settings.to_dict()})
        return
    if teacher is not None:
        _transfer(training, test, settings, teacher, folder, where, overwrite, as_json)
        return
    recognition: Recognition | None = None
    if test is None:
        scores = run_round(training, None, settings, folder, further=further, device=where, overwrite=overwrite)
        failed = scores.failed
    else:
        recognition = train_and_test(
            training, test, settings, folder, further=further, device=where, overwrite=overwrite
        )
        failed = recognition.failed
    report = train_report(folder, training, settings, recognition)
    if as_json:
        outcome = recognition.to_dict() if recognition else {"failed": [list(pair) for pair in failed]}
        print_json({"model": str(folder / "model"), "report": str(report), **outcome})
    else:
        for result in recognition.results if recognition else ():
            typer.echo(result)
        typer.echo(f"model:  {folder / 'model'}\nreport: {report}")
        say(f"next: tubelet classify VIDEO_OR_FOLDER --model {folder}" + " --flow DIR" * bool(settings.flow))
    if failed:
        say(f"{len(failed)} videos could not be read, see {folder / 'failed.jsonl'}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _settings(
    experiment: Experiment | None,
    kind: str,
    manifest: Manifest,
    model: str | None,
    recipe: str | None,
    mean: Path | None,
    weights: Path | None,
    start_from: str | None,
    flip: bool | None,
    flow: list[Path],
    any_flow: bool,
) -> RoundSettings:
    from typing import cast

    from tubelet.clips.recipe import Recipe
    from tubelet.models.folder import read_config
    from tubelet.protocols.presets import averages_flips, recipe_of, round_settings, train_settings
    from tubelet.training.config import StartFrom

    given = experiment
    how = start_from or (given.start_from if given else "same")
    how = cast(StartFrom, one_of(how, ("same", "inflate", "cross_modality"), "--start-from"))
    if how != "same" and weights is None:
        raise UsageError(
            f"--start-from {how} says how weights are used, and none are given", remedy="add --weights DIR"
        )
    chosen: Recipe | str | None = recipe or (given.recipe if given else None)
    if weights is not None:
        weights = model_folder(weights)
        saved = read_config(weights)
        model = model or (given.model if given else saved.name)
        if recipe is None and mean is None:
            chosen = recipe_of(weights, how) or chosen
    return round_settings(
        model or (given.model if given else "c3d_small"),
        recipe=chosen,
        mean=None if isinstance(chosen, Recipe) else mean,
        options=given.options if given else {},
        train=given.train if given else train_settings(kind),
        flip=manifest.flip if flip is None else flip,
        average_flip=averages_flips(kind),
        weights=None if weights is None else str(weights),
        start_from=how,
        flow=flow,
        any_flow=any_flow,
    )


def _require_given(
    experiment: Experiment,
    weights: Path | None,
    teacher: Path | None,
    also: list[str] | None,
    flow: list[Path] | None,
) -> None:
    if experiment.weights == "required" and weights is None:
        raise UsageError(
            f"the experiment {experiment.name} starts from trained weights, and none ship",
            remedy="give a model folder with --weights DIR",
        )
    if (experiment.teacher == "required") != (teacher is not None):
        raise UsageError(
            f"the experiment {experiment.name} "
            + ("learns from labels, not from a teacher" if teacher else "learns from a trained image network"),
            remedy="leave --teacher away" if teacher else "give its model folder with --teacher DIR",
        )
    if experiment.flow == "required" and not flow:
        raise UsageError(
            f"the experiment {experiment.name} trains on stacks of stored optical flow",
            remedy="compute it with tubelet flow and give its folder with --flow DIR",
        )
    wanted = [one.dataset for one in experiment.also]
    given = [pair.partition("=")[0] for pair in also or ()]
    if wanted and wanted != given:
        raise UsageError(
            f"the experiment {experiment.name} also learns from {', '.join(wanted)}",
            remedy=f"add {' '.join(f'--also {kind}=DIR' for kind in wanted)}",
        )


def _further(also: list[str], experiment: Experiment | None, *, fps: float | None, limit: int | None) -> list[Manifest]:
    """Training videos of further data sets: every video, or the training part of the split an experiment names."""
    splits = [one.split for one in experiment.also] if experiment and experiment.also else [None] * len(also)
    found = []
    for pair, split in zip(also, splits, strict=True):
        kind, _, folder = pair.partition("=")
        if not folder:
            raise UsageError(f"--also {pair} is not KIND=DIR", remedy="write it like --also ucf101=UCF-101")
        manifest = open_labeled(kind, Path(folder), split=split, fps=fps, label_column="label", limit=limit)
        found.append(manifest if split is None else manifest.select(split="train"))
    return found


def _transfer(
    training: Manifest,
    test: Manifest | None,
    settings: RoundSettings,
    teacher: Path,
    folder: Path,
    device: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    from tubelet.protocols.run_report import transfer_report
    from tubelet.protocols.supervision import transfer_round

    source = model_folder(teacher)
    result = transfer_round(training, test, settings, source, folder, device=device, overwrite=overwrite)
    report = transfer_report(folder, training, settings, result)
    if as_json:
        print_json({"model": str(folder / "model"), "report": str(report), **result.to_dict()})
    else:
        typer.echo(f"{result}\nmodel:  {folder / 'model'}\nreport: {report}")
        say(f"next: tubelet train KIND --data DIR --weights {folder}")
    if result.failed:
        say(f"{len(result.failed)} videos could not be read, see {folder / 'failed.jsonl'}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _plan(
    manifest: Manifest,
    training: Manifest,
    test: Manifest | None,
    settings: RoundSettings,
    folder: Path,
    further: list[Manifest],
) -> str:
    others = "".join(f"and {one.name}: {len(one)} videos of {len(one.classes)} classes\n" for one in further)
    held = f"{len(test)} to test" if test is not None else "none held out"
    config = settings.train
    return (
        f"{manifest.name}: {len(training)} videos of {len(manifest.classes)} classes to train on, {held} "
        f"({training.group_rule})\n{others}"
        f"{settings.model}, recipe {settings.recipe.name}, flip {'on' if settings.recipe.flip else 'off'}: "
        f"{config.iterations} steps of {config.batch_size} clips, {config.optimizer}, "
        f"learning rate {config.learning_rate:g} ({config.schedule}), seed {config.seed} -> {folder}"
    )
