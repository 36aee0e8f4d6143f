"""The page of a comparison of streams: the table, what differs and where, and how each network was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json
from tubelet.datasets.manifest import Manifest
from tubelet.protocols.fusion_report import class_figure, gain_table, points
from tubelet.protocols.result import RESULT
from tubelet.protocols.run_report import (
    interval_text,
    kept,
    mean_rows,
    plain_name,
    result_bar,
    result_section,
    training_facts,
)
from tubelet.protocols.stream_experiment import StreamExperiment
from tubelet.protocols.streams import StreamRound
from tubelet.protocols.streams_open import Stream
from tubelet.protocols.streams_result import StreamsResult
from tubelet.reporting.bars import interval_bars
from tubelet.reporting.curves import training_curves
from tubelet.reporting.page import Page
from tubelet.reporting.terminal import duration
from tubelet.reporting.text import percent
from tubelet.training.run_folder import safe_name


def write_streams(
    folder: Path,
    experiment: StreamExperiment,
    manifest: Manifest,
    streams: Sequence[Stream],
    rounds: Sequence[StreamRound],
    result: StreamsResult,
    provenance: Mapping[str, Any],
) -> Path:
    """Write ``result.json``, ``report.html`` and ``plots/`` into a folder; the path of the report."""
    write_json(folder / RESULT, {**result.to_dict(), "provenance": dict(provenance)})
    plots = folder / "plots"
    how = {"groups": "leaving one group out", "official": "the official parts"}.get(
        str(experiment.folds), f"{experiment.folds} folds of whole groups"
    )
    leaking = any(stream.settings.allow_leak for stream in streams)
    page = Page(
        f"Streams on {manifest.name}",
        f"{result.rows[0].n} videos, {len(manifest.classes)} classes, {how}"
        + ("" if leaking else ": each is scored by networks that saw nothing of its group"),
    )
    _headline(page, result)
    _accuracy(page, result, plots)
    _networks(page, streams, result)
    _differences(page, result, plots)
    _folds(page, streams, rounds)
    result_section(page, result.best, plots, prefix="The best, ")
    page.add_section("Training")
    caption = f"On the training batches, before each update; the mean of {len({one.fold for one in rounds})} folds."
    for stream in streams:
        if rows := mean_rows(folder / safe_name(stream.name)):
            figure = training_curves(rows, title=f"Training of {stream.name}", caption=caption)
            page.add_figure(kept(figure, plots / f"curves_{plain_name(stream.name)}.png"))
    _settings(page, experiment, manifest, streams)
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
    interval = result.streams[0].interval
    unit = "videos" if interval is None else f"{interval.unit}s"
    page.add_table(
        ["scores", "accuracy", "95 % interval", "mean over classes", "95 % interval"],
        [
            [one.protocol, percent(one.value), interval_text(one.interval),
             percent(one.class_mean or 0.0), interval_text(one.class_mean_interval)]
            for one in result.rows
        ],
        highlight=result.rows.index(result.best),
        caption=f"{'Streams and their fusions' if result.fusions else 'Streams'}, all on the same videos. Intervals: "
        f"bootstrap over {unit}. Bold: the best.",
    )  # fmt: skip
    strong = result.fusions or (result.best,)
    bars = [result_bar(one, _made_of(result, one.protocol), strong=one in strong) for one in result.rows]
    caption = f"Share of videos recognized; whiskers: 95 % bootstrap interval over {unit}. Dashed: chance."
    chance = 1 / len(result.rows[0].classes)
    page.add_figure(kept(interval_bars(bars, chance=chance, caption=caption), plots / "accuracy.png"))


def _made_of(result: StreamsResult, name: str) -> str:
    cost = result.costs.get(name)
    return f"{cost.texts[0]} parameters" if cost is not None else result.weights_text(name)


def _networks(page: Page, streams: Sequence[Stream], result: StreamsResult) -> None:
    rows = []
    for stream in streams:
        cost = result.costs[stream.name]
        parameters, macs, shape = cost.texts[:3]
        took = duration(cost.training_s + cost.scoring_s)
        rows.append([stream.name, stream.settings.model, parameters, macs, shape, stream.views.name, took])
    page.add_section("Networks")
    page.add_table(
        ["stream", "network", "parameters", "MACs", "input", "views", "time"],
        rows,
        align="llrrlrr",
        caption="What each stream is; one input in channels×frames×height×width; the time of all folds together.",
    )


def _differences(page: Page, result: StreamsResult, plots: Path) -> None:
    if not result.differences:
        return
    page.add_section(
        "Differences",
        "In points, on the same videos: every resample draws the same ones for both. What another seed of the training "
        "would change is not in the intervals.",
    )
    caption = "Paired differences" + (", the one that was named beforehand first." if result.primary else ".")
    gain_table(page, result.differences, highlight=0 if result.primary else (), caption=caption)
    rows = {one.protocol: one for one in result.rows}
    class_figure(page, rows[result.differences[0].first], rows[result.differences[0].second], plots)


def _folds(page: Page, streams: Sequence[Stream], rounds: Sequence[StreamRound]) -> None:
    names = [stream.name for stream in streams]
    cells: dict[str, dict[str, str]] = {}
    for one in rounds:
        tested = 0 if one.scores is None else len(one.scores)
        cells.setdefault(one.fold, {})[one.stream] = f"{one.right} of {tested}"
    page.add_section("Folds", "Videos recognized in each fold by each stream alone.")
    page.add_table(["held out", *names], [[fold, *(row[name] for name in names)] for fold, row in cells.items()])


def _settings(page: Page, experiment: StreamExperiment, manifest: Manifest, streams: Sequence[Stream]) -> None:
    page.add_section("Settings")
    page.add_facts(
        {
            "experiment": experiment.name,
            "source": experiment.source,
            "videos": f"{len(manifest)} in {len(manifest.groups)} groups ({manifest.group_rule})",
        }
    )
    for stream in streams:
        settings = stream.settings
        facts: dict[str, Any] = {
            "network": settings.model,
            "options": settings.options or "none",
            "starts from": "scratch" if settings.weights is None else f"{settings.weights} ({settings.start_from})",
            **training_facts(settings),
            "seed": settings.train.seed,
            "views": str(stream.views),
        }
        if stream.flow is not None:
            kind = stream.flow.kind
            facts["flow"] = f"{kind.algorithm}, bound {kind.bound:g} pixels"
        page.add_details(f"{stream.name}: {settings.model}", facts=facts)
