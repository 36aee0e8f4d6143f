"""``tubelet classify``: the top classes of videos, and along their time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tubelet.cli.options import (
    AnyFlowOption,
    DeviceOption,
    DryRunOption,
    FlowOption,
    FpsOption,
    JsonOption,
    LimitOption,
    WorkersOption,
    choose_device,
    one_of,
    print_json,
    say,
)
from tubelet.cli.sources import model_folder, name_of, open_videos
from tubelet.errors import ExitCode, TubeletError

if TYPE_CHECKING:
    from tubelet.protocols.classifier import Classified, Head


def classify(
    source: Annotated[Path, typer.Argument(help="A video, or a folder of videos.")],
    model: Annotated[Path, typer.Option("--model", help="Model folder, or the run folder of tubelet train.")],
    head: Annotated[
        str,
        typer.Option("--head", help="net: mean of clip probabilities; svm: linear SVM; auto: svm if saved."),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for report and plots.", show_default="runs/classify/<source>"),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Classes shown per video.")] = 5,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw each video's classes along time.")] = True,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    fps: FpsOption = None,
    workers: WorkersOption = 1,
    limit: LimitOption = None,
    device: DeviceOption = "auto",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the top classes of each video and along its time, and draw a timeline.

    Where the folder says the labels (class folders, metadata.csv), the accuracy is printed too.
    """
    from tubelet.failures import FAILED_FILE, FailedVideo, list_failures
    from tubelet.models.folder import read_config
    from tubelet.protocols.classifier import Classifier
    from tubelet.protocols.run_report import classify_report
    from tubelet.reporting.terminal import progress

    one_of(head, ("auto", "net", "svm"), "--head")
    videos = open_videos(source, fps)
    videos = videos.select(keep=range(min(limit or len(videos), len(videos))))
    folder = out or Path("runs/classify") / name_of(source)
    where = choose_device(device)
    read_config(model_folder(model))  # a wrong --model is told before anything is said to be done with it
    say(f"{len(videos)} videos, model {model} -> {folder}")
    if dry_run:
        if as_json:
            print_json({"model": str(model), "videos": len(videos), "folder": str(folder)})
        return
    done: list[Classified] = []
    failures: list[FailedVideo] = []
    chosen = None if head == "auto" else cast("Head", head)
    with (
        Classifier(
            model_folder(model), head=chosen, device=where, workers=workers, flow=flow, any_flow=any_flow
        ) as classifier,
        progress("classifying", total=len(videos), unit="video") as bar,
    ):
        for video_id, outcome in classifier.classify(videos):
            if isinstance(outcome, TubeletError):
                failures.append(FailedVideo(video_id, outcome.path or "", str(outcome), type(outcome).__name__))
            else:
                done.append(outcome)
                if not as_json:
                    typer.echo(_lines(outcome, top))
            bar.update(1, failed=len(failures))
    failed = [(failure.video_id, failure.error) for failure in failures]
    known = [video for video in done if video.label in video.classes]
    right = sum(video.predicted == video.label for video in known)
    seen = sum(video.seen for video in known)
    report = classify_report(folder, done, failed, classifier.head, top) if plots and done else None
    if as_json:
        print_json(
            {
                "model": str(model),
                "weights_sha256": classifier.model.weights_id,
                "head": classifier.head,
                "classes": list(classifier.classes),
                "videos": [video.to_dict(top) for video in done],
                "failed": [{"path": path, "error": why} for path, why in failed],
                "labeled": len(known),
                "seen_in_training": seen,
                "accuracy": right / len(known) if known else None,
                "notes": list(classifier.notes),
                "report": None if report is None else str(report),
            }
        )
    else:
        if known:
            typer.echo(
                f"{right} of {len(known)} labeled videos right ({right / len(known):.1%}), head {classifier.head}"
            )
        if seen:
            typer.echo(
                f"{seen} of them are of groups that the model was trained on: those say nothing about new videos"
            )
        if report is not None:
            typer.echo(f"report: {report}")
    list_failures(folder / FAILED_FILE, failures)
    for note in classifier.notes:
        say(f"note: {note}")
    for path, why in failed:
        say(f"failed: {path}: {why}")
    if failed:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _lines(video: Classified, top: int) -> str:
    """The video's top classes, then stretches of time with one best class."""
    from tubelet.protocols.video_level import top_classes

    unit = "{:.0%}" if video.head == "net" else "{:+.2f}"
    best = ", ".join(f"{name} {unit.format(score)}" for name, score in top_classes(video.scores, video.classes, top))
    mark = (
        ""
        if video.label not in video.classes  # a folder's name need not be a class
        else "  [right]"
        if video.predicted == video.label
        else f"  [is {video.label}]"
    )
    partial = "" if video.described.report.status == "ok" else "  [partial: frames were lost]"
    stretches = [f"    {start:7.2f}-{end:.2f} s  {name}" for start, end, name in _stretches(video)]
    return "\n".join([f"{video.video_id}: {best}{mark}{partial}", *stretches])


def _stretches(video: Classified) -> list[tuple[float, float, str]]:
    found: list[tuple[float, float, str]] = []
    for index, klass in enumerate(video.clip_scores.argmax(axis=1)):
        name = video.classes[int(klass)]
        start, end = float(video.described.start_s[index]), float(video.described.end_s[index])
        if found and found[-1][2] == name:
            found[-1] = (found[-1][0], end, name)
        else:
            found.append((start, end, name))
    return found
