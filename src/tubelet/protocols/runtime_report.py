"""The folder of a runtime table: ``result.json``, ``runtime.csv``, ``plots/runtime.png`` and ``report.html``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json, write_text
from tubelet.protocols.published import MEMORY
from tubelet.protocols.result import RESULT
from tubelet.protocols.runtime import RuntimeResult, paper_figures, paper_text
from tubelet.protocols.runtime_turns import RuntimeRow, Spread, number
from tubelet.reporting.bars import Bar
from tubelet.reporting.figure import Figure
from tubelet.reporting.log_bars import log_bars
from tubelet.reporting.page import Page

CSV = "runtime.csv"

_PAPER = ("speed", "time", "times as long as C3D")


def write_runtime(folder: Path, result: RuntimeResult) -> Path:
    """Write everything into a folder; the path of the report."""
    write_json(folder / RESULT, result.to_dict())
    write_text(folder / CSV, csv_text(result.rows))
    figure = speeds(result.rows)
    figure.save(folder / "plots" / "runtime.png")
    return runtime_page(result, figure).save(folder / "report.html")


def csv_text(rows: Sequence[RuntimeRow]) -> str:
    """The table as CSV: ours, then the paper's figures, each with its tag."""
    spreads = ("fps", "times_as_long", "processor_fps", "processor_times")
    ours = [f"{name}_{end}" for name in spreads for end in ("median", "low", "high")]
    paper = [f"paper_{name}{tag}" for name in ("fps", "hours", "times_as_long") for tag in ("", "_tag")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["method", "label", "rounds", "frames", *ours, "processor_share", "made_per_frame", "unit", "bytes_per_frame",
         "start_s", "warm_up_s", "ucf101_h_extrapolated", "processor_ucf101_h_extrapolated", "paper_row", *paper]
    )  # fmt: skip
    for row in rows:
        cells: list[Any] = [row.method.name, row.method.label, row.rounds, row.frames]
        for name in spreads:
            spread: Spread | None = getattr(row, name)
            cells += [None] * 3 if spread is None else [spread.median, spread.low, spread.high]
        cells += [row.processor_share, row.made_per_frame, row.method.unit, row.bytes_per_frame]
        cells += [row.method.start_s, row.method.warm_up_s, row.ucf101_h, row.processor_ucf101_h, row.method.row]
        known = paper_figures(row.method.row)
        for metric in _PAPER:
            figure = known.get(metric)
            cells += [None, None] if figure is None else [figure.value, figure.tag]
        writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells])
    return out.getvalue()


def speeds(rows: Sequence[RuntimeRow]) -> Figure:
    """Frames per second of every method on a logarithmic axis, with the paper's."""
    bars = [
        Bar(
            row.method.label,
            row.fps.median,
            row.fps.low,
            row.fps.high,
            paper_figures(row.method.row)["speed"].value,
            f"paper: {paper_text(row.method.row, ('speed',))}",
            strong=row.method.is_descriptor,
        )
        for row in rows
    ]
    return log_bars(
        bars,
        unit="frames per second",
        published_name="the paper's: C3D and Brox on a K40, iDT on one core",
        title="Speed, reading and writing included",
        caption="Median over the rounds; the thin line goes from the slowest to the fastest. Each step of the axis is "
        "ten times as fast. Figures of the paper marked [memory] have not been looked up.",
    )


def runtime_page(result: RuntimeResult, figure: Figure) -> Page:
    """The report."""
    headline = result.headline()
    page = Page(
        "Runtime", f"{headline[:1].upper()}{headline[1:]}. C3D (Tran et al., ICCV 2015), table 6, on this machine."
    )
    page.add_numbers(
        *[
            (
                number(row.fps.median),
                f"frames/s, {row.method.label}",
                _ratio(row.times_as_long, "the descriptor's time"),
            )
            for row in result.rows
        ]
    )
    for doubt in result.doubts:
        page.add_text(f"**Note:** {doubt}.")
    page.add_figure(figure)
    page.add_table(
        ["method", "frames/s", "times as long", "by processor time", "of its cores", "all of UCF101", "start, s"],
        [
            [
                row.method.label,
                row.fps.text(),
                _ratio(row.times_as_long),
                _ratio(row.processor_times),
                result.share(row),
                result.hours(row),
                f"{row.method.start_s:.1f}",
            ]
            for row in result.rows
        ],
        align="lrrrrrr",
        caption="This machine: median (least–largest) over the rounds. Times as long: as the first descriptor took for "
        "the same clip. Hours for UCF101 are extrapolated.",
        wide=True,
    )
    page.add_table(
        ["in the paper", "frames/s", "times as long", "UCF101, h", "note"],
        [
            [
                name,
                *(_published(paper_figures(name).get(metric)) for metric in ("speed", _PAPER[2], "time")),
                _note(name),
            ]
            for name in ("C3D", "iDT", "Brox flow, GPU", "Brox flow, CPU")
        ],
        align="lrrrl",
        caption="C3D, table 6: all of UCF101, reading and writing included, one core or one K40. What is marked "
        f"[{MEMORY}] nobody has looked up for this page.",
    )
    page.add_section("What differs", "\n\n".join(f"{note[:1].upper()}{note[1:]}." for note in result.differences))
    page.add_section(
        "Rounds", "In a round every method, in a process of its own, does the same clip, one after the other."
    )
    names = [row.method.name for row in result.rows]
    shown = [row.method.short for row in result.rows]
    page.add_table(
        ["clip", "frames", "size", *(f"{name}, s" for name in shown)],
        [
            [
                one.video_id,
                next(iter(one.turns.values())).frames,
                "{}x{}".format(*one.size_wh),
                *(number(one.turns[name].seconds) for name in names),
            ]
            for one in result.rounds
        ],
        align="lrr" + "r" * len(names),
        caption="Seconds of the clock.",
        wide=True,
    )
    if result.failed:
        page.add_section("Left out", "These videos were left out of all methods.")
        page.add_table(["video", "why"], [list(each) for each in result.failed])
    page.add_section("Settings").add_facts(
        {
            **{name: value for name, value in result.settings.items() if not isinstance(value, dict)},
            **{
                f"{row.method.short} makes of a frame": f"{row.made_per_frame:.3g} {row.method.unit}, "
                f"{row.bytes_per_frame:,.0f} bytes"
                for row in result.rows
            },
        }
    )
    return page.set_provenance(result.provenance)


def _ratio(spread: Spread | None, of: str = "") -> str:
    if spread is None:
        return "-"
    return f"{number(spread.median)}x {of}" if of else spread.text("x")


def _note(row: str) -> str:
    return next(iter(paper_figures(row).values())).note


def _published(figure: Any) -> str:
    if figure is None:
        return "-"
    return f"{figure.value:g}" + (f" [{MEMORY}]" if figure.tag == MEMORY else "")
