"""``tubelet evaluate streams``: networks, SVMs on descriptors and fusions on the same folds, in one table."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.options import (
    AnnotationsOption,
    AnyFlowOption,
    DataOption,
    DeviceOption,
    DryRunOption,
    FlowOption,
    FpsOption,
    ItsSeedOption,
    ItsWorkersOption,
    JsonOption,
    OverwriteOption,
    choose_device,
    print_json,
    say,
)
from tubelet.cli.sources import model_folder
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from tubelet.baselines.idt.vectors import TrajectoryVectors
    from tubelet.datasets.manifest import Manifest
    from tubelet.datasets.splits import Fold
    from tubelet.protocols.stream_experiment import StreamExperiment
    from tubelet.protocols.streams import StreamRound
    from tubelet.protocols.streams_open import Feature, Stream


def streams(
    experiment: Annotated[Path, typer.Argument(help="TOML file, such as those in experiments/streams/.")],
    data: DataOption,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the runs.", show_default="runs/evaluate/<experiment>")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--streams",
            help="Only these streams, features and trajectories, comma-separated.",
            show_default="all of the file",
        ),
    ] = None,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Model folder, or run that holds one, for what requires weights.")
    ] = None,
    trajectories: Annotated[
        Path | None,
        typer.Option(
            "--trajectories",
            help="Trajectories of tubelet extract --model idt, for what is made of them.",
            show_default="computed by the run",
        ),
    ] = None,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Test on groups that the starting weights saw, and mark the result.")
    ] = False,
    annotations: AnnotationsOption = None,
    fps: FpsOption = None,
    seed: ItsSeedOption = None,
    workers: ItsWorkersOption = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train and test every stream on every fold, fuse them, and print one table with intervals and paired differences.

    Where the file says so, linear SVMs learn from the streams' layers, from networks that are not trained, from dense
    trajectories, and from several of these side by side. Finished folds are kept, and trainings go on from their last
    checkpoint: the same command goes on where it was stopped. With --streams, --overwrite starts only these anew.
    """
    from tubelet.cli.labeled import open_labeled
    from tubelet.descriptors.request import item_id
    from tubelet.protocols.descriptor_svm import SvmSettings
    from tubelet.protocols.stream_experiment import TRAJECTORIES, load_stream_experiment
    from tubelet.protocols.stream_svm import Described, describe_features, svm_scores
    from tubelet.protocols.stream_times import times_of
    from tubelet.protocols.stream_trajectories import (
        check_trajectories,
        encode,
        follow,
        kind_of,
        open_encoded,
        seconds_of,
        without_trajectories,
    )
    from tubelet.protocols.streams import finished_rounds, pooled_scores, run_streams
    from tubelet.protocols.streams_open import open_features, open_folds, open_streams
    from tubelet.protocols.streams_report import write_streams
    from tubelet.protocols.streams_result import compare_streams
    from tubelet.provenance import environment
    from tubelet.reporting.terminal import duration
    from tubelet.reporting.text import counted
    from tubelet.training.run_folder import RunFolder, safe_name

    whole = load_stream_experiment(experiment)
    chosen = whole.only(None if only is None else [name.strip() for name in only.split(",")])
    for option, given, wanted in (
        ("--flow", flow, [stream.flow for stream in whole.streams]),
        ("--weights", weights, [*(one.weights for one in whole.streams), *(one.weights for one in whole.features)]),
        ("--trajectories", trajectories, ["required"] if whole.trajectories else []),
    ):
        if given is not None and "required" not in wanted:
            raise UsageError(f"no stream of {whole.name} takes {option}", remedy=f"leave {option} away")
    manifest = open_labeled(
        whole.dataset, data, split=whole.split, fps=fps, label_column="label", annotations=annotations, limit=None
    )
    manifest, folds = open_folds(whole, manifest)
    encoded = check_trajectories(chosen, manifest, folds, trajectories)
    start = None if weights is None else model_folder(weights)
    features = open_features(chosen, manifest, folds, weights=start, allow_leak=allow_leak, workers=workers)
    ready = open_streams(
        chosen,
        manifest,
        folds,
        weights=start,
        flow=flow,
        any_flow=any_flow,
        allow_leak=allow_leak,
        seed=seed,
        workers=workers,
    )
    root = out or Path("runs/evaluate") / whole.name
    where = choose_device(device)
    say(_plan(chosen, manifest, ready, features, encoded, folds, root))
    settings = {
        "experiment": whole.name,
        "dataset": manifest.hash,
        "folds": whole.folds,
        "fold_seed": whole.fold_seed,
        "device": where,
    }
    if dry_run:
        if as_json:
            print_json({"folder": str(root), "folds": {fold.name: len(fold.test) for fold in folds},
                        "streams": {one.name: one.settings.to_dict() for one in ready},
                        "rows": list(chosen.rows)})  # fmt: skip
        return
    run = RunFolder(root, settings, overwrite=overwrite and only is None)
    if overwrite:
        for name in (*(one.name for one in ready), *chosen.described):
            shutil.rmtree(root / safe_name(name), ignore_errors=True)

    def tell(done: Sequence[StreamRound]) -> None:
        say(_progress(done, ready, folds))

    # Before the networks: too few trajectories are told before hours of theirs.
    followed = trajectories or root / TRAJECTORIES
    if chosen.trajectories and trajectories is None:
        say(str(follow(chosen, manifest, root, workers=workers)))
        encoded = open_encoded(chosen, followed)
    encode(encoded, folds, root)
    unfollowed = without_trajectories(encoded, manifest)
    lost = [*unfollowed, *describe_features(features, manifest, root, device=where)]
    describing_s = {one.name: times_of(root / safe_name(one.name)).get("describing_s", 0.0) for one in features}
    describing_s |= {plan.name: seconds_of(plan, root, followed) for plan in chosen.trajectories}
    for name, took in describing_s.items():
        if took:  # vectors that another run made cost this one nothing
            number = len(manifest) - (len(unfollowed) if name in encoded else 0)
            say(f"{name}: {counted(number, 'video')} described in {duration(took)}")
    finished = finished_rounds(ready, folds, root, device=where)
    if finished:
        say(f"{len(finished)} of {len(ready) * len(folds)} rounds are finished already")
    rounds = run_streams(ready, folds, root, device=where, finished=finished, on_round=tell)
    failed = sorted(dict([*lost, *(pair for one in rounds for pair in one.failed)]).items())
    run.write_failures("failed.jsonl", failed)
    pooled = pooled_scores(ready, rounds, manifest, root)
    described = Described(ready, features, root, encoded)
    fitting = SvmSettings(whole.svm_c)
    svms = svm_scores(chosen.svm_rows, folds, described, fitting, manifest, root, allow_leak=allow_leak)
    record = environment(
        experiment=whole.model_dump(mode="json"),
        dataset=manifest.to_dict(),
        scores={name: str(root / safe_name(name) / "scores.npz") for name in (*pooled, *svms)},
    )
    result = compare_streams(
        chosen,
        ready,
        rounds,
        pooled,
        features=features,
        describing_s=describing_s,
        svms=svms,
        kinds={name: kind_of(table) for name, table in encoded.items()},
        tested={item_id(item) for fold in folds for item in fold.test.items},
        settings=settings,
        provenance=record,
    )
    report = write_streams(root, chosen, manifest, folds, ready, features, result, record)
    if as_json:
        print_json(
            {
                **result.to_dict(),
                "failed": [{"path": path, "error": why} for path, why in failed],
                "report": str(report),
            }
        )
    else:
        typer.echo(f"{result}\nreport: {report}")
    if failed:
        why = "unreadable or without trajectories" if unfollowed else "could not be read"
        say(f"{counted(len(failed), 'video')} {why}, see {root / 'failed.jsonl'}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _plan(
    experiment: StreamExperiment,
    manifest: Manifest,
    ready: Sequence[Stream],
    features: Sequence[Feature],
    encoded: Mapping[str, TrajectoryVectors],
    folds: Sequence[Fold],
    root: Path,
) -> str:
    from tubelet.protocols.stream_trajectories import plan_lines

    tests = sorted(len(fold.test) for fold in folds)
    sizes = f"{tests[0]}" if tests[0] == tests[-1] else f"{tests[0]} to {tests[-1]}"
    first = (
        f"{experiment.name}: {len(manifest)} videos of {manifest.name}, {len(manifest.classes)} classes, "
        f"{len(manifest.groups)} groups ({manifest.group_rule}); {len(folds)} folds with {sizes} to test -> {root}"
    )
    lines = [first]
    for one in ready:
        train = one.settings.train
        learning = "" if train.train_layers is None else f" that train {', '.join(train.train_layers)} alone"
        lines.append(
            f"  {one.name}: {one.settings.model}, {one.info.parameters:,} parameters, {one.info.macs / 1e9:.3f} GMACs, "
            f"recipe {one.settings.recipe.name}, {train.iterations} steps of {train.batch_size}"
            f"{learning}, seed {train.seed}; views {one.views}" + ("" if one.svm is None else f"; SVM on {one.svm}")
        )
    lines += [
        f"  {one.name}: {one.layer} of {one.info.name} as it is in {one.folder}, recipe {one.recipe.name}, clips of "
        f"{one.clip_length} every {one.stride_frames} frames; SVM"
        for one in features
    ]
    lines += plan_lines(experiment, manifest, encoded)
    lines += [f"  {one.name}: SVM on {' + '.join(one.of)}" for one in experiment.combinations]
    return "\n".join(lines)


def _progress(done: Sequence[StreamRound], ready: Sequence[Stream], folds: Sequence[Fold]) -> str:
    """A line on the round that ended, and how long the others may take."""
    from tubelet.protocols.streams import seconds_left
    from tubelet.reporting.terminal import duration

    last, total = done[-1], len(ready) * len(folds)
    found = "no video could be scored"
    if last.scores is not None:
        found = f"{last.right} of {len(last.scores)} right ({last.right / len(last.scores):.1%})"
    left = seconds_left(done, ready, folds)
    return (
        f"[{len(done)}/{total}] {last.fold}, {last.stream}: {found}; trained in {duration(last.training_s)}, "
        f"scored in {duration(last.scoring_s)}"
        + (f", described in {duration(last.describing_s)}" if last.describing_s else "")
        + (f"; about {duration(left)} left" if len(done) < total else "")
    )
