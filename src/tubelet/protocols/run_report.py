"""The report pages of training, evaluation and classification: what people look at instead of reading logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tubelet.artifacts import write_json
from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.manifest import Manifest
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.classifier import Classified
from tubelet.protocols.film import middle_frames
from tubelet.protocols.recognition import Recognition, SeedSummary
from tubelet.protocols.result import RESULT, Result
from tubelet.protocols.rounds import RoundSettings
from tubelet.protocols.supervision import TransferResult
from tubelet.provenance import environment
from tubelet.reporting.bars import Bar, interval_bars
from tubelet.reporting.class_bars import class_accuracy
from tubelet.reporting.confusion import confusion_matrix
from tubelet.reporting.curves import training_curves
from tubelet.reporting.figure import Figure
from tubelet.reporting.page import Page
from tubelet.reporting.text import percent
from tubelet.reporting.timeline import class_timeline
from tubelet.training.metrics import read_metrics

_TIMELINES_IN_REPORT = 40


def train_report(folder: Path, training: Manifest, settings: RoundSettings, recognition: Recognition | None) -> Path:
    """``report.html`` and ``plots/`` of a training run; ``result.json`` without figures where nothing was held out."""
    if recognition is None:
        write_json(folder / RESULT, {"note": "no video was held out, so there are no test figures"})
    page = Page(f"Training on {training.name}", f"{settings.model}, {settings.train.iterations} steps, from scratch"
                if settings.weights is None else f"{settings.model}, fine-tuned")  # fmt: skip
    if recognition is not None:
        _headlines(page, recognition.results)
        published_section(page, [("", result) for result in recognition.results])
    page.add_section("Training")
    _curves(page, folder)
    if recognition is None:
        page.add_text("No video was held out, so this page shows no test figures.")
    else:
        for result in recognition.results:
            result_section(page, result, folder / "plots")
    settings_section(page, training, settings)
    page.set_provenance(environment(settings=settings.to_dict(), dataset=training.to_dict()))
    return page.save(folder / "report.html")


def transfer_report(folder: Path, training: Manifest, settings: RoundSettings, result: TransferResult) -> Path:
    """``result.json``, ``report.html`` and ``plots/`` of a supervision transfer."""
    write_json(folder / RESULT, _transferred(training, settings, result))
    page = Page(f"Supervision transfer on {training.name}", f"{settings.model}, taught by an image network, no labels")
    if result.accuracy is not None and result.interval is not None:
        ends = f"{percent(result.interval.low)} to {percent(result.interval.high)}, chance 50 %"
        page.add_numbers((percent(result.accuracy), f"of {result.pairs} held-out pairs told right", ends))
    page.add_section("Training", "Loss and accuracy are those of pairs of frames and clips, half of which match.")
    _curves(page, folder)
    settings_section(page, training, replace(settings, with_svm=False))
    page.set_provenance(environment(settings=settings.to_dict(), dataset=training.to_dict()))
    return page.save(folder / "report.html")


def evaluation_report(
    folder: Path,
    manifest: Manifest,
    settings: RoundSettings,
    runs: Mapping[int, Recognition],
    summaries: Sequence[SeedSummary],
) -> Path:
    """``result.json``, ``report.html`` and ``plots/`` of a protocol over one or several seeds."""
    seeds = {str(seed): run.to_dict() for seed, run in runs.items()}
    write_json(folder / RESULT, {"seeds": seeds, "summary": [summary.to_dict() for summary in summaries]})
    first = next(iter(runs.values()))
    how = str(first.net.settings.get("protocol", ""))
    page = Page(
        f"{manifest.name}: {how}",
        f"{settings.model}, {len(manifest)} videos, {len(manifest.classes)} classes",
    )
    if summaries:
        page.add_numbers(*[(percent(s.mean), s.protocol, f"mean of {len(s.seeds)} seeds") for s in summaries])
        bars = [Bar(s.protocol, s.mean, s.interval.low, s.interval.high, note="mean of seeds") for s in summaries]
    else:
        bars = []
    for seed, run in runs.items():
        bars += [result_bar(result, f"seed {seed}", strong=not summaries) for result in run.results]
    if not summaries:
        _headlines(page, first.results)
    page.add_section("Accuracy")
    chance = 1 / len(manifest.classes)
    unit = "videos" if first.net.interval is None else f"{first.net.interval.unit}s"
    caption = f"Share of videos recognized; whiskers: 95 % bootstrap interval over {unit}. Dashed: chance."
    page.add_figure(kept(interval_bars(bars, chance=chance, caption=caption), folder / "plots" / "accuracy.png"))
    rows = [
        [seed, result.protocol, result.n, percent(result.value), interval_text(result.interval)]
        for seed, run in runs.items()
        for result in run.results
    ]
    page.add_table(["seed", "head", "videos", "accuracy", "95 % interval"], rows)
    shown = [(f"seed {seed}: ", result) for seed, run in runs.items() for result in run.results]
    published_section(page, shown)
    page.add_section("Training")
    for seed in runs:
        if curve := mean_rows(folder / f"seed{seed}"):
            title = f"Seed {seed}"
            drawn = training_curves(curve, title=title, caption="On the training batches; the mean of all folds.")
            page.add_figure(kept(drawn, folder / "plots" / f"curves_{plain_name(title)}.png"))
    for seed, run in runs.items():
        for result in run.results:
            result_section(page, result, folder / "plots", prefix=f"Seed {seed}: ")
    settings_section(page, manifest, settings)
    page.set_provenance(environment(settings=settings.to_dict(), dataset=manifest.to_dict()))
    return page.save(folder / "report.html")


def _transferred(training: Manifest, settings: RoundSettings, result: TransferResult) -> dict[str, Any]:
    if result.accuracy is None:
        return {"note": "no video was held out, so there are no test figures"}
    return Result(
        protocol="frames told to belong to a clip or not",
        metric="accuracy",
        value=result.accuracy,
        n=result.pairs,
        unit="pair",
        interval=result.interval,
        settings=settings.to_dict(),
        provenance=environment(dataset=training.to_dict()),
    ).to_dict()


def classify_report(
    folder: Path, videos: Sequence[Classified], failed: Sequence[tuple[str, str]], head: str, top: int
) -> Path:
    """A page with one timeline per video, and each timeline as a picture in ``plots/``."""
    known = [video for video in videos if video.label in video.classes]
    page = Page("Classified videos", f"{len(videos)} videos, head {head}")
    if known:
        right = sum(video.predicted == video.label for video in known)
        page.add_numbers((percent(right / len(known)), "labeled videos right", f"{right} of {len(known)}"))
        if seen := sum(video.seen for video in known):
            page.add_text(
                f"{seen} of them are of groups that the model was trained on: they say nothing about new ones."
            )
    page.add_section("Overview")
    score = "probability" if head == "net" else "distance"
    page.add_table(
        ["video", "class", score, "label", "frames", "status"],
        [
            [
                video.video_id,
                video.predicted,
                f"{video.scores.max():.2f}",
                video.label,
                video.described.report.frames_decoded,
                video.described.report.status,
            ]
            for video in videos
        ],
    )
    if failed:
        page.add_table(["video that could not be read", "why"], [list(pair) for pair in failed])
    shown = videos[:_TIMELINES_IN_REPORT]
    page.add_section(
        "Along time",
        "The network's class probabilities, clip by clip."
        + (
            f" The first {len(shown)} of {len(videos)} videos; all are in `plots/`." if len(videos) > len(shown) else ""
        ),
    )
    names = _distinct([plain_name(video.video_id) for video in videos])
    with ClipDecoder() as decoder:
        for index, video in enumerate(videos):
            figure = class_timeline(
                video.described.start_s,
                video.described.end_s,
                np.clip(video.clip_probabilities, 0.0, 1.0),
                video.classes,
                top=min(top, len(video.classes)),
                frames=middle_frames(video.path, video.described.report, decoder),
                title=video.video_id,
                caption=f"Taken for {video.predicted}"
                + (f", which is {_verdict(video)}." if video.label in video.classes else "."),
            )
            figure.save(folder / "plots" / f"{names[index]}.png")
            if index < len(shown):
                page.add_figure(figure)
    page.set_provenance(environment(head=head))
    return page.save(folder / "report.html")


def result_section(
    page: Page, result: Result, plots: Path, prefix: str = "", order: Sequence[str] | None = None
) -> None:
    """A section with one result's confusion matrix and accuracy per class, classes in ``order`` where given.

    Classes that no video shows and none was taken for are left out.
    """
    title = f"{prefix}{result.protocol}"
    page.add_section(title, result.headline() + ".")
    page.add_figure(*confusion_figures(result, plots, title=title, order=order))
    for note in result.notes:
        page.add_text(f"Note: {note}.")


def confusion_figures(
    result: Result, plots: Path, *, title: str, order: Sequence[str] | None = None
) -> tuple[Figure, Figure]:
    """The confusion matrix and the accuracy per class, also as files; see `result_section`."""
    seen = {row.name for row in result.per_class if row.n or row.precision is not None}
    classes = [name for name in order or result.classes if name in seen]
    rows = [result.classes.index(name) for name in classes]
    counts = np.array(result.confusion)[np.ix_(rows, rows)]
    name = plain_name(title)
    alone = result.unit == "video"  # clips of one video come out alike, so that their number says too much
    ends = " with its 95\u00a0% interval" if alone else ""
    return (
        kept(confusion_matrix(counts, classes, caption=f"{title}: rows are the true classes."),
              plots / f"confusion_{name}.png"),
        kept(class_accuracy(counts, classes, chance=1 / len(result.classes), intervals=alone,
                             caption=f"{title}: accuracy of each class{ends}."),
              plots / f"classes_{name}.png"),
    )  # fmt: skip


def published_section(page: Page, results: Sequence[tuple[str, Result]]) -> None:
    """A section with our figures beside the papers', and what differs; none where no line of a paper is comparable.

    Parameters
    ----------
    page, results
        Where to, and each result with a few words in front of its name (such as its seed).
    """
    rows, unlike = [], dict[tuple[str, str], None]()
    for before, result in results:
        line = result.published
        if line is None:
            continue
        name = f"{before}{result.protocol}"
        ours, ends = result.beside_published
        rows.append([name, line.metric, percent(ours), interval_text(ends), percent(line.value), line.where])
        unlike |= dict.fromkeys((name, each) for each in line.differences or ("nothing that is known",))
    if not rows:
        return
    page.add_section("Beside the papers", "The closest comparable line in print, and what is not the same.")
    page.add_table(["what", "metric", "ours", "95 % interval", "published", "where"], rows)
    page.add_table(["what", "unlike the line in print"], [list(pair) for pair in unlike])


def settings_section(page: Page, manifest: Manifest, settings: RoundSettings) -> None:
    """A section that says how it was made."""
    page.add_section("Settings")
    page.add_facts(
        {
            "network": settings.model,
            **training_facts(settings),
            "descriptor": f"{settings.descriptor_layer}, stride {settings.stride_frames}, mean, L2",
            "SVM": f"linear, squared hinge, C = {settings.svm_c:g}" if settings.with_svm else "none",
            "videos": f"{len(manifest)} in {len(manifest.groups)} groups ({manifest.group_rule})",
        }
    )


def training_facts(settings: RoundSettings) -> dict[str, str]:
    """Recipe, training and jitter, each in a line."""
    recipe, config = settings.recipe, settings.train
    return {
        "recipe": f"{recipe.name}, flip {'on' if recipe.flip else 'off'}"
        + (", clips averaged with their mirror images" if recipe.average_flip else ""),
        "training": f"{config.iterations} steps of {config.batch_size} clips, {config.optimizer}, "
        f"learning rate {config.learning_rate:g} ({config.schedule}), label smoothing {config.label_smoothing:g}"
        + (f", only {', '.join(config.train_layers)}" if config.train_layers else ""),
        "jitter": ", ".join(f"{key} {value}" for key, value in config.jitter.to_dict().items() if value),
    }


def _headlines(page: Page, results: Sequence[Result]) -> None:
    page.add_numbers(*[(percent(result.value), result.protocol, interval_text(result.interval)) for result in results])


def interval_text(interval: Interval | None) -> str:
    """``62.0 % to 71.5 %``; empty where there is none."""
    return "" if interval is None else f"{percent(interval.low)} to {percent(interval.high)}"


def result_bar(result: Result, note: str, *, strong: bool) -> Bar:
    """A result's accuracy and interval as a bar."""
    ends, line = result.interval, result.published
    return Bar(
        result.protocol,
        result.value,
        None if ends is None else ends.low,
        None if ends is None else ends.high,
        # A bar is the accuracy over all videos; a mean over classes does not belong on it.
        published=line.value if line is not None and line.metric == "accuracy" else None,
        note=note,
        strong=strong,
    )


def _curves(page: Page, folder: Path) -> None:
    rows: list[dict[str, Any]] = list(read_metrics(folder))
    if rows:
        caption = "Loss and accuracy on the training batches, before each update."
        page.add_figure(kept(training_curves(rows, caption=caption), folder / "plots" / "curves.png"))


def mean_rows(folder: Path) -> list[dict[str, float]]:
    """Metric rows of a run, or the means over the runs of its folds, as far as all of them go."""
    runs = [read_metrics(path.parent) for path in sorted((*folder.glob("metrics.csv"), *folder.glob("*/metrics.csv")))]
    columns = ("step", "learning_rate", "loss", "accuracy")
    return [
        {column: float(np.mean([float(row[column]) for row in rows])) for column in columns}
        for rows in zip(*runs, strict=False)
    ]


def kept(figure: Figure, path: Path) -> Figure:
    """The figure, saved as a file too."""
    figure.save(path)
    return figure


def _distinct(names: Sequence[str]) -> list[str]:
    """File names that differ: ``a/b.avi`` and ``a_b.avi`` look the same without their signs."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return distinct


def _verdict(video: Classified) -> str:
    return "right" if video.predicted == video.label else f"wrong: it is {video.label}"


def plain_name(name: str) -> str:
    """A name as a file may be called."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:120]
