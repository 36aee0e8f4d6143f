"""The page of a comparison of streams: the table, what differs and where, and how each network was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json
from tubelet.baselines.idt.encoding import Encoding, learned_from
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.request import item_id
from tubelet.protocols.fusion_report import class_figure, gain_table, points
from tubelet.protocols.result import RESULT
from tubelet.protocols.run_report import (
    interval_text,
    kept,
    mean_rows,
    plain_name,
    published_section,
    result_bar,
    result_section,
    training_facts,
)
from tubelet.protocols.stream_experiment import StreamExperiment, TrajectoryPlan
from tubelet.protocols.streams_open import Feature, Stream
from tubelet.protocols.streams_result import StreamsResult
from tubelet.reporting.bars import interval_bars
from tubelet.reporting.curves import training_curves
from tubelet.reporting.page import Page
from tubelet.reporting.share_grid import MOST_PARTS, share_grid
from tubelet.reporting.terminal import duration
from tubelet.reporting.text import percent
from tubelet.training.run_folder import safe_name


def write_streams(
    folder: Path,
    experiment: StreamExperiment,
    manifest: Manifest,
    folds: Sequence[Fold],
    streams: Sequence[Stream],
    features: Sequence[Feature],
    result: StreamsResult,
    provenance: Mapping[str, Any],
) -> Path:
    """Write ``result.json``, ``report.html`` and ``plots/`` into a folder; the path of the report."""
    write_json(folder / RESULT, {**result.to_dict(), "provenance": dict(provenance)})
    plots = folder / "plots"
    title = "Streams" if not result.svms else "Networks, descriptors and fusions"
    how = {"groups": "leaving one group out", "official": "the official parts"}.get(
        str(experiment.folds), f"{experiment.folds} folds of whole groups"
    )
    leaking = any(stream.settings.allow_leak for stream in streams)
    page = Page(
        f"{title} on {manifest.name}",
        f"{result.rows[0].n} videos, {len(manifest.classes)} classes, {how}"
        + ("" if leaking else ": each is scored by networks that saw nothing of its group"),
    )
    _headline(page, result)
    _accuracy(page, result, plots)
    published_section(page, [("", one) for one in result.rows])
    _classes(page, result, plots)
    _networks(page, streams, features, experiment.trajectories, result)
    _differences(page, result, plots)
    _folds(page, folds, result, plots)
    result_section(page, result.best, plots, prefix="The best, ")
    if streams:
        page.add_section("Training")
        caption = f"On the training batches, before each update; the mean of {len(folds)} folds."
        for stream in streams:
            if rows := mean_rows(folder / safe_name(stream.name)):
                figure = training_curves(rows, title=f"Training of {stream.name}", caption=caption)
                page.add_figure(kept(figure, plots / f"curves_{plain_name(stream.name)}.png"))
    _settings(page, experiment, manifest, streams, features, result.kinds)
    page.set_provenance(provenance)
    return page.save(folder / "report.html")


def _headline(page: Page, result: StreamsResult) -> None:
    first = result.differences[0] if result.differences else None
    shown = [one for one in result.rows if first is not None and one.protocol in (first.first, first.second)]
    if result.best not in shown:
        shown.append(result.best)
    numbers = [(percent(one.value), one.protocol, interval_text(one.interval)) for one in shown]
    if first is not None:
        ends = f"points, {points(first.interval.low, first.interval.high)}"
        numbers.append((points(first.accuracy), f"{first.second} minus {first.first}", ends))
    page.add_numbers(*numbers)
    if first is not None:
        page.add_text(f"{result.sentence()}.")
    for note in result.notes:
        page.add_text(f"Note: {note}.")


def _accuracy(page: Page, result: StreamsResult, plots: Path) -> None:
    page.add_section("Accuracy")
    interval = result.rows[0].interval
    unit = "videos" if interval is None else f"{interval.unit}s"
    every = [("streams", result.streams), ("SVMs on descriptors", result.svms), ("fusions of scores", result.fusions)]
    kinds = [name for name, rows in every if rows]
    named = kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} and {kinds[-1]}"
    size = _class_size(result)
    both = size is None
    alike = "" if both else f" Every class has {size} videos, so this is the mean over classes, too."
    page.add_table(
        ["row", "made of", "accuracy", "95 % interval", *(["mean over classes", "95 % interval"] if both else [])],
        [
            [one.protocol, result.made_of(one.protocol), percent(one.value), interval_text(one.interval),
             *([percent(one.class_mean or 0.0), interval_text(one.class_mean_interval)] if both else [])]
            for one in result.rows
        ],
        align="llrrrr" if both else "llrr",
        highlight=result.rows.index(result.best),
        caption=f"{named[0].upper()}{named[1:]}, all on the same videos.{alike} Intervals: bootstrap over {unit}. "
        "Bold: the best.",
    )  # fmt: skip
    joined = {name for name in result.made if " + " in result.made[name]} | {one.protocol for one in result.fusions}
    bars = [
        result_bar(one, _note(result, one.protocol), strong=one.protocol in joined or one is result.best)
        for one in result.rows
    ]
    caption = (
        f"Share of videos recognized; whiskers: 95 % bootstrap interval over {unit}. Dashed: chance. "
        "Blue: the best, and what joins several."
    )
    chance = 1 / len(result.rows[0].classes)
    page.add_figure(kept(interval_bars(bars, chance=chance, caption=caption), plots / "accuracy.png"))


def _class_size(result: StreamsResult) -> int | None:
    """Videos of each class where all have as many: accuracy and mean over classes are then one figure."""
    sizes = {row.n for row in result.rows[0].per_class if row.n}
    return sizes.pop() if len(sizes) == 1 else None


def _note(result: StreamsResult, name: str) -> str:
    cost = result.costs.get(name)
    if name in result.made:
        row = next(row for row in result.svms if row.protocol == name)
        return f"SVM on {row.settings['numbers']:,} numbers"
    return result.made_of(name) if cost is None else f"{cost.texts[0]} parameters"


def _classes(page: Page, result: StreamsResult, plots: Path) -> None:
    """Which classes every row recognizes."""
    first = result.rows[0]
    seen = [index for index, row in enumerate(first.per_class) if row.n]
    if len(seen) > MOST_PARTS:
        return
    figure = share_grid(
        [[one.per_class[index].correct for index in seen] for one in result.rows],
        [first.per_class[index].n for index in seen],
        [one.protocol for one in result.rows],
        [first.classes[index] for index in seen],
        rules=_kinds(result),
        caption="Videos of each class that each row recognizes; the color is their share.",
    )
    page.add_section("Classes").add_figure(kept(figure, plots / "classes.png"))


def _kinds(result: StreamsResult) -> list[int]:
    """Rows at which a new kind begins: networks, SVMs, fusions."""
    starts = (len(result.streams), len(result.streams) + len(result.svms))
    return sorted({start for start in starts if 0 < start < len(result.rows)})


def _networks(
    page: Page,
    streams: Sequence[Stream],
    features: Sequence[Feature],
    trajectories: Sequence[TrajectoryPlan],
    result: StreamsResult,
) -> None:
    rows = []
    for name, network, views in [
        *((one.name, one.settings.model, one.views.name) for one in streams),
        *((one.name, f"{one.info.name}, frozen", _every(one)) for one in features),
        *((one.name, f"none: {result.kinds[one.name]}", "every frame") for one in trajectories),
    ]:
        cost = result.costs[name]
        parameters, macs, shape = cost.texts[:3]
        rows.append([name, network, parameters, macs, shape, views, duration(cost.seconds)])
    page.add_section("Networks")
    page.add_table(
        ["name", "network", "parameters", "MACs", "input", "views", "time"],
        rows,
        align="llrrlrr",
        caption="What each network is; one input in channels×frames×height×width; the time of all folds together."
        + (
            " The time of trajectories is following them, once for all that is made of them, and encoding."
            if trajectories
            else ""
        ),
    )


def _every(feature: Feature) -> str:
    """Which clips describe a video: ``every frame``, ``1 frame in 4``, ``16 frames in 8``."""
    length, stride = feature.clip_length, feature.stride_frames
    return "every frame" if length == stride == 1 else f"{length} frame{'s' * (length > 1)} in {stride}"


def _differences(page: Page, result: StreamsResult, plots: Path) -> None:
    if not result.differences:
        return
    page.add_section(
        "Differences",
        "In points, on the same videos: every resample draws the same ones for both. What another seed of the training "
        "would change is not in the intervals.",
    )
    caption = "Paired differences" + (", the one that was named beforehand first." if result.primary else ".")
    gain_table(
        page,
        result.differences,
        both=_class_size(result) is None,
        highlight=0 if result.primary else (),
        caption=caption,
    )
    rows = {one.protocol: one for one in result.rows}
    class_figure(page, rows[result.differences[0].first], rows[result.differences[0].second], plots)


def _folds(page: Page, folds: Sequence[Fold], result: StreamsResult, plots: Path) -> None:
    counted = {each.video_id for each in result.rows[0].predictions}
    tested = {fold.name: {item_id(item) for item in fold.test.items} & counted for fold in folds}
    names, rows = [one.protocol for one in result.rows], []
    for one in result.rows:
        right = {each.video_id for each in one.predictions if each.predicted == each.label}
        rows.append([len(ids & right) for ids in tested.values()])
    totals = [len(ids) for ids in tested.values()]
    page.add_section("Folds")
    caption = "Videos recognized in each fold; a column is what was held out."
    if len(folds) <= MOST_PARTS:
        figure = share_grid(
            rows, totals, names, list(tested), what="folds", rules=_kinds(result), title="Folds", caption=caption
        )
        page.add_figure(kept(figure, plots / "folds.png"))
    else:
        cells = zip(tested, *rows, totals, strict=True)
        page.add_table(["held out", *names, "videos"], list(cells), caption=caption)


def _settings(
    page: Page,
    experiment: StreamExperiment,
    manifest: Manifest,
    streams: Sequence[Stream],
    features: Sequence[Feature],
    kinds: Mapping[str, str],
) -> None:
    page.add_section("Settings")
    page.add_facts(
        {
            "experiment": experiment.name,
            "source": experiment.source,
            "videos": f"{len(manifest)} in {len(manifest.groups)} groups ({manifest.group_rule})",
            **({"SVM": f"linear, squared hinge, C = {experiment.svm_c:g}, on means over clips, of length one"}
               if experiment.svm_rows else {}),
        }
    )  # fmt: skip
    for stream in streams:
        settings = stream.settings
        facts: dict[str, Any] = {
            "network": settings.model,
            "options": settings.options or "none",
            "starts from": "scratch" if settings.weights is None else f"{settings.weights} ({settings.start_from})",
            **training_facts(settings),
            "seed": settings.train.seed,
            "views": str(stream.views),
            **({} if stream.svm is None else
               {"SVM": f"on {stream.svm}, clips every {settings.stride_frames} frames of the video"}),
        }  # fmt: skip
        if stream.flow is not None:
            kind = stream.flow.kind
            facts["flow"] = f"{kind.algorithm}, bound {kind.bound:g} pixels"
        page.add_details(f"{stream.name}: {settings.model}", facts=facts)
    for feature in features:
        page.add_details(
            f"{feature.name}: {feature.info.name}, frozen",
            facts={
                "weights": str(feature.folder),
                "layer": feature.layer,
                "clips": f"{feature.clip_length} frames, one every {feature.stride_frames}",
                "recipe": feature.recipe.name
                + (", averaged with their mirror images" if feature.recipe.average_flip else ""),
            },
        )
    for plan in experiment.trajectories:
        page.add_details(
            f"{plan.name}: {kinds[plan.name]}",
            facts={"encoding": learned_from(Encoding.of(plan.encoding).to_dict())},
        )
