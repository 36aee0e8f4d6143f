"""The figures of several runs as one page that is set like a paper's results section."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from tubelet.protocols.fusion_report import class_figure, gain_table
from tubelet.protocols.leaked import MARK
from tubelet.protocols.results_methods import methods
from tubelet.protocols.results_mistakes import data_roots, film_of, frame_rate, mistakes_of
from tubelet.protocols.results_table import ResultsTable, leaked, listed
from tubelet.protocols.results_words import Comparisons, comparison_text, comparisons, named_difference, plain, summary
from tubelet.protocols.run_report import confusion_figures, kept, mean_rows, plain_name
from tubelet.protocols.runs import Run
from tubelet.protocols.systems import System
from tubelet.reporting.bars import Bar, interval_bars
from tubelet.reporting.curves import training_curves
from tubelet.reporting.differences import Gap, paired_differences
from tubelet.reporting.page import Page
from tubelet.reporting.text import Marked, engineering, percent
from tubelet.training.run_folder import safe_name
from tubelet.version import __version__

_REFERENCE = re.compile(r"\[(\d+)\]")
_CURVES = 6  # in one figure
_SETTINGS_SHOWN = 60_000  # characters of a run's record on the page


@dataclass(frozen=True)
class PageFacts:
    """What the caller gives beside the runs.

    Attributes
    ----------
    title
        Of the page; empty: from the data sets.
    data
        Folders of videos for the film strips; empty: those that the runs' commands read.
    skipped
        Sentences about runs that could not be read.
    """

    title: str = ""
    data: tuple[Path, ...] = ()
    skipped: tuple[str, ...] = ()


def write_results(
    folder: Path,
    runs: Sequence[Run],
    tables: Sequence[ResultsTable],
    facts: PageFacts,
    provenance: Mapping[str, Any],
) -> Path:
    """Write ``report.html`` and ``plots/`` into a folder; the path of the page.

    Parameters
    ----------
    folder
        Where to.
    runs, tables
        The runs, and their rows by data set.
    facts
        Title, places of videos, and what is missing.
    provenance
        Of the page itself.
    """
    names = [table.dataset for table in tables]
    title = facts.title or (f"Results on {listed(names)}" if names else "Trained networks")
    shown = listed([run.name for run in runs])
    count = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    page = Page(title, f"From {count}: {plain(shown)}. Made with Tubelet {__version__}.", form="paper")
    found = [comparisons(table, runs) for table in tables]
    paragraphs = [summary(table, each) for table, each in zip(tables, found, strict=True)]
    paragraphs += [f"Left out: {plain(sentence)}." for sentence in facts.skipped]
    page.add_abstract("\n\n".join(paragraphs) or "Nothing was held out in these runs, so there are no test figures.")
    for table, each in zip(tables, found, strict=True):
        _results(page, table, each, runs, facts, folder / "plots")
    _methods(page, runs, tables)
    _curves(page, runs, folder / "plots")
    if tables and tables[0].sources.works:
        page.add_section("References", numbered=False).add_references(tables[0].sources.works)
    page.add_section("Provenance", "How each run was made; the page's own record is at the end.", numbered=False)
    for run in runs:
        _provenance(page, run)
    page.set_provenance(provenance)
    return page.save(folder / "report.html")


def _results(
    page: Page, table: ResultsTable, found: Comparisons, runs: Sequence[Run], facts: PageFacts, plots: Path
) -> None:
    own = plots / plain_name(table.dataset)
    page.add_section(f"Results on {table.dataset}")
    rows: list[list[str | None]] = [
        [
            None if not cell else _linked(cell) if name == "source" else cell
            for name, cell in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]
    page.add_table(
        table.columns,
        rows,
        align=table.align,
        highlight=table.strong,
        caption=table.caption(),
        groups=table.groups,
        marks=table.marks,
        notes=[(letter, _linked(f"{plain(words)}.")) for letter, words, _ in table.remarks],
        wide=len(table.columns) > 6,
    )
    _bars(page, table, own)
    _comparisons(page, table, found, own)
    best = table.best
    if best.result.confusion and best.result.classes:
        name = plain(table.called(best))
        page.add_section("Classes", level=3)
        summed = f" Counts are summed over {best.seeds} seeds." if best.seeds > 1 else ""
        page.add_text(f"Confusions and accuracy of each class by **{name}**.{summed}")
        page.add_figure(*confusion_figures(best.result, own, title=name))
        _mistakes(page, table, runs, facts, own)


def _linked(text: str) -> Marked:
    """``[3]`` as a link to the third reference."""
    return Marked(_REFERENCE.sub(r"[[\1](#ref-\1)]", text))


def _bars(page: Page, table: ResultsTable, plots: Path) -> None:
    strong = {id(table.systems[index]) for index in table.strong} or {id(table.best)}
    bars = []
    for system in table.systems:
        ends, line = system.result.interval, system.result.published
        costs = "" if system.parameters is None else f"{engineering(system.parameters)} parameters"
        bars.append(
            Bar(
                table.called(system),
                system.result.value,
                None if ends is None else max(0.0, ends.low),
                None if ends is None else min(1.0, ends.high),
                published=line.value if line is not None and line.metric == "accuracy" else None,
                note=costs or system.model,
                strong=id(system) in strong,
            )
        )
    classes = len(table.best.result.classes)
    chance = 1 / classes if classes else 0.5 if table.best.result.unit == "pair" else None
    marks = " Diamonds: the line in print of the table." if any(bar.published is not None for bar in bars) else ""
    caption = f"Whiskers: the intervals of the table. Dashed: guessing.{marks}"
    if any(leaked(system) for system in table.systems):
        caption += f" {MARK}: leaked, test videos were seen in training."
    figure = interval_bars(bars, chance=chance, title=f"Accuracy on {table.dataset}", caption=caption)
    page.add_figure(kept(figure, plots / "accuracy.png"))


def _comparisons(page: Page, table: ResultsTable, found: Comparisons, plots: Path) -> None:
    if not found.against and not found.planned:
        return
    page.add_section("Paired comparisons", comparison_text(table, found), level=3)
    gaps, differences = [], []
    for first, second, pair in found.planned:
        one = named_difference(table, first, second, pair)
        differences.append(one)
        ends = one.interval
        gaps.append(Gap(f"{one.second} over {one.first}", one.accuracy, ends.low, ends.high, "named beforehand"))
    named = {frozenset((id(first), id(second))) for first, second, _ in found.planned}
    for system, pair in found.against:
        if frozenset((id(system), id(found.best))) in named:
            continue  # it stands above already
        one = named_difference(table, system, found.best, pair)
        differences.append(one)
        gaps.append(Gap(f"over {one.first}", one.accuracy, one.interval.low, one.interval.high))
    caption = (
        "In points of accuracy, with 95\u00a0% intervals over the same videos. "
        "Filled: the interval lies on one side of 0."
    )
    if len(gaps) > len(found.planned):
        before = ", below what was named beforehand" if found.planned else ""
        caption += f" What {plain(table.called(found.best))} gains over each other system{before}."
    figure = paired_differences(gaps, title=f"Paired differences on {table.dataset}", caption=caption)
    page.add_figure(kept(figure, plots / "differences.png"))
    gain_table(
        page,
        differences,
        caption="The differences of the figure above, of accuracy and of the mean over classes, in points.",
    )
    for first, second in _for_classes(table, found):
        results = [replace(each.result, protocol=plain(table.called(each))) for each in (first, second)]
        class_figure(page, results[0], results[1], plots)


def _for_classes(table: ResultsTable, found: Comparisons) -> list[tuple[System, System]]:
    """The pairs whose gain by class is drawn: those named beforehand, else the best and the next best."""
    chosen = [(first, second) for first, second, _ in found.planned]
    if not chosen and found.against:
        others = [system for system, _ in found.against]
        chosen = [(max(others, key=lambda system: system.result.value), found.best)]

    def counts(system: System) -> list[int]:
        return [row.n for row in system.result.per_class]

    return [(a, b) for a, b in chosen if counts(a) == counts(b) and any(counts(a))]


def _mistakes(page: Page, table: ResultsTable, runs: Sequence[Run], facts: PageFacts, plots: Path) -> None:
    best = table.best
    mistakes = mistakes_of(best)
    page.add_section("Mistakes", level=3)
    if not mistakes.pairs:
        page.add_text(f"{plain(table.called(best))} mistakes no {best.result.unit} for another class.")
        return
    page.add_table(
        ["true class", "taken for", "videos", "of the class", "such as"],
        [
            [
                pair.true,
                pair.predicted,
                pair.count,
                percent(pair.share, 0),
                PurePosixPath(videos[0].video_id).name if videos else None,
            ]
            for pair, videos in zip(mistakes.pairs, mistakes.videos, strict=True)
        ],
        align="llrrl",
        caption=f"The classes that {plain(table.called(best))} confuses most.",
    )
    own = next((run for run in runs if run.name == best.run), None)
    record = best.result.provenance.get("dataset") or {}
    title = f"Mistakes of {plain(table.called(best))}"
    figure, left_out = film_of(mistakes, data_roots(own, facts.data), frame_rate(record), title)
    if figure is not None:
        page.add_figure(kept(figure, plots / "mistakes.png"))
    if left_out:
        page.add_text(left_out)


def _methods(page: Page, runs: Sequence[Run], tables: Sequence[ResultsTable]) -> None:
    page.add_section("Methods")
    sources = tables[0].sources if tables else None
    for run in runs:
        told = methods(run, sources)
        if told and len(runs) > 1:
            page.add_section(run.name, level=3)
        if told:
            page.add_text(told)
    if len(runs) > 1:
        page.add_section("Figures", level=3)
    page.add_text(
        "Accuracy is the share of videos whose best class is the true one. Its intervals are percentile bootstrap: "
        "whole groups of videos are drawn where there are at least ten, else single videos; where all came out alike, "
        "the exact binomial end stands instead. Differences are paired: each resample draws the same for both."
    )


def _curves(page: Page, runs: Sequence[Run], plots: Path) -> None:
    drawn = []
    for run in runs:
        called = {safe_name(system.name): system.name for system in run.systems}
        curves = [(called.get(name, name), rows) for name, place in run.curves() if (rows := mean_rows(place))]
        for start in range(0, len(curves), _CURVES):
            some = curves[start : start + _CURVES]
            steps: dict[float, dict[str, float]] = {}
            for name, rows in some:
                for row in rows:
                    merged = steps.setdefault(row["step"], {"step": row["step"]})
                    before = f"{name}_" if name else ""
                    merged |= {f"{before}{what}": row[what] for what in ("loss", "accuracy")}
            title = f"Training of {run.name}"
            caption = "Loss and accuracy on the training batches; where there are folds, their mean."
            figure = training_curves(
                [steps[step] for step in sorted(steps)], title=title, caption=caption, mark_best=False
            )
            drawn.append(kept(figure, plots / f"curves_{plain_name(run.name)}{start or ''}.png"))
    if drawn:
        page.add_section("Training curves", level=3)
        for figure in drawn:
            page.add_figure(figure)


def _provenance(page: Page, run: Run) -> None:
    packages = run.record.get("packages") or {}
    datasets = {
        str(record.get("name")): str(record.get("hash"))[:16]
        for system in run.systems
        if (record := system.result.provenance.get("dataset")) and record.get("hash")
    }
    weights = {
        str(value)[:16]
        for system in run.systems
        for value in [system.result.settings.get("weights_sha256")]
        if value is not None
    }
    facts = {
        "folder": str(run.folder),
        "tubelet": run.record.get("tool_version"),
        "Python": run.record.get("python"),
        **{name: packages[name] for name in ("torch", "numpy", "scikit-learn", "av") if packages.get(name)},
        **({"data sets (hash)": datasets} if datasets else {}),
        **({"weights (SHA-256)": sorted(weights)} if weights else {}),
        **({"settings (hash)": str(run.record["settings_hash"])[:16]} if run.record.get("settings_hash") else {}),
    }
    command = shlex.join(["tubelet", *run.command]) if run.command else "not recorded"
    code = f"{command}\n\n{json.dumps(run.settings, indent=2, ensure_ascii=False, default=str)[:_SETTINGS_SHOWN]}"
    page.add_details(run.name, facts=facts, code=code)
