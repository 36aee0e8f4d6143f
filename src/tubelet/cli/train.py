"""``tubelet train``: a network and its SVM from a folder of labeled videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.options import (
    DataOption,
    DeviceOption,
    DryRunOption,
    FpsOption,
    JsonOption,
    LimitOption,
    PrecisionOption,
    SeedOption,
    WorkersOption,
    choose_device,
    one_of,
    print_json,
    say,
)
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from tubelet.datasets.manifest import Manifest
    from tubelet.protocols.recognition import Recognition
    from tubelet.protocols.rounds import RoundSettings


def train(
    dataset: Annotated[
        str,
        typer.Argument(
            help="Kind of dataset: folder, weizmann, ucf101, ...; or a TOML file from experiments/."
        ),
    ],
    data: DataOption,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder [runs/train/<dataset>].")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Network [c3d_small].")] = None,
    recipe: Annotated[str | None, typer.Option("--recipe", help="Preprocessing [the network's own].")] = None,
    mean: Annotated[
        Path | None, typer.Option("--mean", help="Mean volume (npy) of recipe c3d_sports1m.")
    ] = None,
    weights: Annotated[Path | None, typer.Option("--weights", help="Model folder to start from.")] = None,
    label_column: Annotated[str, typer.Option("--label-column", help="Column of metadata.csv.")] = "label",
    split: Annotated[int | None, typer.Option("--split", help="Official split of UCF101.")] = None,
    test_groups: Annotated[
        str | None, typer.Option("--test-groups", help="Groups to hold out, such as g21-g25.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option("--test-fraction", help="Share of a folder's groups to hold out [0.2]; 0: none."),
    ] = None,
    iterations: Annotated[int | None, typer.Option("--iterations", min=1, help="Optimizer steps.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=2, help="Clips per step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Highest learning rate.")
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Mirror clips in training [as the labels allow].")
    ] = None,
    svm: Annotated[
        bool, typer.Option("--svm/--no-svm", help="Fit the linear SVM on the descriptors.")
    ] = True,
    fps: FpsOption = None,
    precision: PrecisionOption = "auto",
    seed: SeedOption = 0,
    workers: WorkersOption = 2,
    limit: LimitOption = None,
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete a run with other settings.")] = False,
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
    from tubelet.training.config import Experiment, load_experiment

    experiment: Experiment | None = load_experiment(dataset) if dataset.endswith(".toml") else None
    kind = experiment.dataset if experiment else dataset
    number = split if split is not None else (experiment.split if experiment else 1)
    manifest = open_labeled(kind, data, split=number, fps=fps, label_column=label_column, limit=limit)
    settings = _settings(experiment, manifest, model, recipe, mean, weights, flip)
    settings = replace(
        settings,
        with_svm=svm,
        train=settings.train.changed(
            iterations=iterations,
            batch_size=batch_size,
            learning_rate=learning_rate,
            precision=one_of(precision, ("auto", "float32", "bfloat16"), "--precision"),
            seed=seed,
            workers=workers,
        ),
    )
    training, test = hold_out(manifest, kind, test_groups, test_fraction, seed)
    folder = out or Path("runs/train") / (experiment.name if experiment else manifest.name)
    say(_plan(manifest, training, test, settings, folder))
    if dry_run:
        return
    where = choose_device(device)
    recognition: Recognition | None = None
    if test is None:
        scores = run_round(training, None, settings, folder, device=where, overwrite=overwrite)
        failed = scores.failed
    else:
        recognition = train_and_test(training, test, settings, folder, device=where, overwrite=overwrite)
        failed = recognition.failed
    report = train_report(folder, training, settings, recognition)
    if as_json:
        outcome = recognition.to_dict() if recognition else {"failed": [list(pair) for pair in failed]}
        print_json({"model": str(folder / "model"), "report": str(report), **outcome})
    else:
        for result in recognition.results if recognition else ():
            typer.echo(result)
        typer.echo(f"model:  {folder / 'model'}\nreport: {report}")
        say(f"next: tubelet classify VIDEO_OR_FOLDER --model {folder}")
    if failed:
        say(f"{len(failed)} videos could not be read, see {folder / 'failed.jsonl'}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def open_labeled(
    kind: str, data: Path, *, split: int | None, fps: float | None, label_column: str, limit: int | None
) -> Manifest:
    """The dataset as a labeled manifest; ``limit`` keeps the first videos of every class in turn."""
    from tubelet.datasets.catalog import open_dataset

    manifest = open_dataset(kind, data, split=split, fps=fps, label_column=label_column)
    _ = manifest.targets  # raises the error that explains how to label videos
    if limit is not None and limit < len(manifest):
        order = sorted(range(len(manifest)), key=lambda i: (_rank_in_class(manifest, i), i))
        manifest = manifest.select(keep=sorted(order[:limit])).drop_empty_classes()
    return manifest


def _rank_in_class(manifest: Manifest, index: int) -> int:
    label = manifest.items[index].label
    return sum(item.label == label for item in manifest.items[:index])


def hold_out(
    manifest: Manifest, kind: str, test_groups: str | None, test_fraction: float | None, seed: int
) -> tuple[Manifest, Manifest | None]:
    """Training and test part: named groups, else the dataset's own splits, else random groups."""
    from tubelet.datasets.content import copies
    from tubelet.datasets.groups import join_copies, parse_groups
    from tubelet.datasets.splits import random_group_split, refuse_leaks, split_by_groups

    if test_groups is not None:
        parted = split_by_groups(manifest, parse_groups(test_groups, manifest.groups))
        refuse_leaks(parted, copies(manifest.files()))
    elif "train" in manifest.splits and test_fraction is None:
        refuse_leaks(manifest, copies(manifest.files()))
        held_out = next((name for name in ("test", "val") if name in manifest.splits), None)
        training = manifest.select(split="train")
        return training, manifest.select(split=held_out) if held_out else None
    elif test_fraction == 0 or (test_fraction is None and kind == "weizmann"):
        return manifest, None
    else:
        # Copies of one file count as filmed together, or the test would hold videos that were trained on.
        joined = join_copies(manifest, copies(manifest.files()))
        parted = random_group_split(joined, 0.2 if test_fraction is None else test_fraction, seed=seed)
    return parted.select(split="train"), parted.select(split="test")


def _settings(
    experiment: object,
    manifest: Manifest,
    model: str | None,
    recipe: str | None,
    mean: Path | None,
    weights: Path | None,
    flip: bool | None,
) -> RoundSettings:
    from tubelet.models.folder import load_model
    from tubelet.protocols.presets import round_settings
    from tubelet.training.config import Experiment

    given = experiment if isinstance(experiment, Experiment) else None
    if given is not None and given.weights == "required" and weights is None:
        raise UsageError(
            f"the experiment {given.name} starts from trained weights, and none ship",
            remedy="give a model folder with --weights DIR",
        )
    if weights is not None and model is None and given is None:
        model = load_model(weights).name
    settings = round_settings(
        model or (given.model if given else "c3d_small"),
        recipe=recipe or (given.recipe if given else None),
        mean=mean,
        options=given.options if given else {},
        train=given.train if given else None,
        flip=manifest.flip if flip is None else flip,
        weights=None if weights is None else str(weights),
    )
    if weights is not None and recipe is None:
        bound = load_model(weights).recipe
        if bound is not None:
            # Weights are worth nothing with another preprocessing: theirs goes before the experiment's.
            from dataclasses import replace

            settings = replace(settings, recipe=bound.with_flip(settings.recipe.flip))
    return settings


def _plan(
    manifest: Manifest, training: Manifest, test: Manifest | None, settings: RoundSettings, folder: Path
) -> str:
    held = f"{len(test)} to test" if test is not None else "none held out"
    config = settings.train
    return (
        f"{manifest.name}: {len(training)} videos of {len(manifest.classes)} classes to train on, {held} "
        f"({manifest.group_rule})\n"
        f"{settings.model}, recipe {settings.recipe.name}, flip {'on' if settings.recipe.flip else 'off'}: "
        f"{config.iterations} steps of {config.batch_size} clips, {config.optimizer}, "
        f"learning rate {config.learning_rate:g} ({config.schedule}), seed {config.seed} -> {folder}"
    )
