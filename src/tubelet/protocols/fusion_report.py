"""The page of a fusion: streams and fusions side by side, differences, and the classes that gain or lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json
from tubelet.protocols.fusion import Difference, Fusion
from tubelet.protocols.result import RESULT, Result
from tubelet.protocols.run_report import interval_text, kept, plain_name, published_section, result_bar, result_section
from tubelet.reporting.bars import interval_bars
from tubelet.reporting.class_differences import class_differences
from tubelet.reporting.page import Page
from tubelet.reporting.text import percent


def write_fusion(folder: Path, fusion: Fusion, provenance: Mapping[str, Any]) -> Path:
    """Write ``result.json``, ``report.html`` and ``plots/`` into a folder; the path of the report."""
    write_json(folder / RESULT, {**fusion.to_dict(), "provenance": dict(provenance)})
    results = (*fusion.streams, *fusion.fused)
    page = Page("Fusion of streams", f"{results[0].n} videos, {len(results[0].classes)} classes")
    page.add_numbers(*[(percent(one.value), one.protocol, interval_text(one.interval)) for one in results])
    for note in fusion.notes:  # right below what they mark
        page.add_text(f"Note: {note}.")
    page.add_section("Accuracy")
    unit = "videos" if results[0].interval is None else f"{results[0].interval.unit}s"
    bars = [
        result_bar(one, f"weight {weight:g}", strong=False)
        for one, weight in zip(fusion.streams, fusion.weights, strict=True)
    ] + [result_bar(one, "fusion", strong=True) for one in fusion.fused]
    caption = f"Share of videos recognized; whiskers: 95\u00a0% bootstrap interval over {unit}. Dashed: chance."
    chance = 1 / len(results[0].classes)
    page.add_figure(kept(interval_bars(bars, chance=chance, caption=caption), folder / "plots" / "accuracy.png"))
    page.add_table(
        ["scores", "accuracy", "95 % interval", "mean over classes", "95 % interval"],
        [
            [one.protocol, percent(one.value), interval_text(one.interval),
             percent(one.class_mean or 0.0), interval_text(one.class_mean_interval)]
            for one in results
        ],
        highlight=range(len(fusion.streams), len(results)),
    )  # fmt: skip
    published_section(page, [("", one) for one in results])
    if fusion.differences:
        page.add_section("Differences", "On the same videos: every resample draws the same ones for both. In points.")
        gain_table(page, fusion.differences)
        by_name = {one.protocol: one for one in results}
        for gain in fusion.differences:
            class_figure(page, by_name[gain.first], by_name[gain.second], folder / "plots")
    for result in fusion.fused:
        result_section(page, replace(result, notes=()), folder / "plots")
    page.add_section("Settings").add_facts({name: value for name, value in fusion.settings.items() if value})
    page.set_provenance(provenance)
    return page.save(folder / "report.html")


def gain_table(
    page: Page,
    differences: Sequence[Difference],
    *,
    both: bool = True,
    highlight: int | Sequence[int] = (),
    caption: str = "",
) -> None:
    """A table of paired differences, in points; with ``both`` False only those of accuracy."""
    page.add_table(
        ["what", "minus what", "accuracy", "95 % interval", *(["mean over classes", "95 % interval"] if both else [])],
        [
            [one.second, one.first, points(one.accuracy), points(one.interval.low, one.interval.high),
             *([points(one.class_mean), points(one.class_mean_interval.low, one.class_mean_interval.high)]
               if both else [])]
            for one in differences
        ],
        align="llrrrr" if both else "llrr",
        highlight=highlight,
        caption=caption,
    )  # fmt: skip


def class_figure(page: Page, first: Result, second: Result, plots: Path) -> None:
    """What ``second`` gains over ``first`` in every class, as a figure and a file; nothing where none differs."""
    if [row.correct for row in first.per_class] == [row.correct for row in second.per_class]:
        return
    title = f"{second.protocol} minus {first.protocol}"
    figure = class_differences(
        [row.correct for row in first.per_class],
        [row.correct for row in second.per_class],
        [row.n for row in first.per_class],
        first.classes,
        title=title,
        caption="Share of each class's videos, in points; right: how many of them each recognizes.",
    )
    page.add_figure(kept(figure, plots / f"classes_{plain_name(title)}.png"))


def points(*values: float) -> str:
    """``+2.0 to +22.1``: shares, or the ends of their interval, in points."""
    return " to ".join(f"{100 * value:+.1f}" for value in values)
