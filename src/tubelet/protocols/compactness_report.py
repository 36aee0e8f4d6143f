"""The page of a compactness curve: what is chosen, the curves, every figure, and what the paper prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json, write_text
from tubelet.baselines.idt.encoding import learned_from
from tubelet.descriptors.video_vectors import ENCODING
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.compact_curve import Compactness, Curve, Point
from tubelet.protocols.comparable import CLASSES
from tubelet.protocols.published import published
from tubelet.protocols.result import RESULT
from tubelet.protocols.run_report import kept, published_section
from tubelet.reporting.figure import Figure
from tubelet.reporting.page import Page
from tubelet.reporting.size_curves import SizeLine, SizePoint, size_curves
from tubelet.reporting.text import percent

FIGURES = "compactness.csv"
_PAPER = {"ucf101": "c3d_pca"}
_MISSING_SHOWN = 50


def write_compactness(folder: Path, found: Compactness) -> Path:
    """Write ``result.json``, ``compactness.csv``, ``plots/`` and ``report.html``; the path of the report."""
    write_json(folder / RESULT, found.to_dict())
    write_text(folder / FIGURES, found.csv())
    first = found.curves[0].whole.result
    page = Page(
        f"{found.dataset}: compactness of descriptors",
        f"{found.title + ', ' if found.title else ''}{first.n} test videos, {len(first.classes)} classes",
    )
    page.add_numbers(*(_headline(curve) for curve in found.curves))
    page.add_section("Smallest that serve")
    for curve in found.curves:
        page.add_text(f"{curve.choice()}.")
    page.add_text(
        "The smallest is that of the fewest bytes a video which loses less than one percentage point of accuracy "
        "against the whole descriptor in float32, on the same videos. It is chosen by the figure itself; the paired "
        "bootstrap interval says how far other videos could have put it. Chosen on these test videos, its accuracy is "
        "a little flattered: decide on other videos than those that are reported. A descriptor that is not told from "
        "guessing has nothing to lose: of it none is chosen."
    )
    for each in found.skipped:
        page.add_text(f"Left out: {each}.")
    page.add_section("Curves")
    page.add_figure(kept(_figure(found, by_bytes=False), folder / "plots" / "compactness.png"))
    page.add_figure(kept(_figure(found, by_bytes=True), folder / "plots" / "bytes.png"))
    page.add_section(
        "Figures",
        "Loss: accuracy of the whole descriptor in float32 minus this one's, in points. Bytes once: what all videos "
        "share, see the method.",
    )
    rows, groups, chosen = _rows(found)
    page.add_table(
        [
            "numbers",
            "stored as",
            "bytes a video",
            "bytes once",
            "accuracy, %",
            "95 % interval",
            "loss",
            "95 % interval",
        ],
        rows,
        groups=groups,
        highlight=chosen,
        align="llrrrlrl",
        wide=True,
    )
    published_section(page, [("", one.result) for curve in found.curves for one in curve.points])
    _in_print(page, found.dataset.partition("-")[0])
    page.add_section("Method").add_facts(
        {
            "components": "principal components of each fold's training vectors, centered, not scaled",
            "int8": "each dimension's training values, lowest to highest, in 255 equal steps; decoded before the SVM",
            "bytes once": "mean and components, lowest values and steps, in float32: once for all videos",
            "SVM": f"linear, squared hinge, C = {first.settings['svm_c']:g}",
            **{
                f"{curve.name} {curve.layer}": learned_from(curve.whole.result.settings["tables"][0][ENCODING])
                for curve in found.curves
                if ENCODING in curve.whole.result.settings["tables"][0]
            },
        }
    )
    for note in found.notes:
        page.add_text(f"Note: {note}.")
    if found.failed:
        page.add_section("Left out", f"{len(found.failed)} videos lack a descriptor; the first are listed.")
        page.add_table(["video", "why"], [[each.video_id, each.error] for each in found.failed[:_MISSING_SHOWN]])
    page.set_provenance({**first.provenance, "settings": dict(found.settings)})
    return page.save(folder / "report.html")


def _headline(curve: Curve) -> tuple[str, str, str]:
    """A large figure, what it is of, and beside what it has to be read."""
    whole, point = curve.whole.result, curve.chosen
    beside = f"whole {percent(whole.value)}, chance {percent(curve.chance)}"
    if point is None:
        return "near chance", f"{curve.name}: none is chosen", beside
    size = f"{point.variant.bytes_per_video:,} bytes"
    return size, f"{curve.name}: {point.variant.words}", f"{percent(point.result.value)}; {beside}"


def _figure(found: Compactness, *, by_bytes: bool) -> Figure:
    lines = []
    for color, curve in enumerate(found.curves):
        for bits in dict.fromkeys(one.variant.bits for one in curve.points):
            points = [one for one in curve.points if one.variant.bits == bits]
            name = curve.name if bits == "float32" else f"{curve.name}, {bits}"
            chosen = curve.chosen
            drawn = tuple(_drawn(one, chosen=one is chosen, by_bytes=by_bytes) for one in points)
            lines.append(SizeLine(name, drawn, color, dashed=bits != "float32"))
    first = found.curves[0].whole.result
    unit = "videos" if first.interval is None else f"{first.interval.unit}s"
    return size_curves(
        lines,
        axis="bytes a video" if by_bytes else "numbers a video (the last: all of them)",
        chance=found.curves[0].chance,
        title="Accuracy over bytes" if by_bytes else "Accuracy over principal components",
        caption=f"Linear SVM on principal components; a line's last point is the whole descriptor. Whiskers: 95 % "
        f"bootstrap interval over {unit}. Dashed: eight bits a number. Rings: the fewest bytes that lose less than one "
        "percentage point. Of lines that coincide the first is drawn wider, below the others.",
    )


def _drawn(point: Point, *, chosen: bool, by_bytes: bool) -> SizePoint:
    ends, variant = point.result.interval, point.variant
    size = variant.bytes_per_video if by_bytes else variant.numbers
    low, high = (None, None) if ends is None else (ends.low, ends.high)
    return SizePoint(size, point.result.value, low, high, chosen)


def _rows(found: Compactness) -> tuple[list[list[Any]], dict[int, str], list[int]]:
    rows: list[list[Any]] = []
    groups: dict[int, str] = {}
    chosen = []
    for curve in found.curves:
        groups[len(rows)] = f"{curve.name}{', ' + curve.layer if curve.layer else ''}: {curve.length:,} numbers"
        serves = curve.chosen
        for one in curve.points:
            if one is serves:
                chosen.append(len(rows))
            rows.append(
                [
                    f"all\u00a0{curve.length:,}" if one.variant.components is None else f"{one.variant.components:,}",
                    one.variant.bits,
                    f"{one.variant.bytes_per_video:,}",
                    f"{one.variant.bytes_once:,}",
                    f"{100 * one.result.value:.1f}",
                    _ends(one.result.interval),
                    f"{100 * one.loss:.1f}",
                    _ends(one.loss_interval),
                ]
            )
    return rows, groups, chosen


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f}".replace(" ", "\u00a0")


def _in_print(page: Page, dataset: str) -> None:
    """All that the paper's figure gives, comparable with a line of ours or not."""
    lines = published(table=_PAPER[dataset]) if dataset in _PAPER and dataset in CLASSES else ()
    if not lines:
        return
    page.add_section("The paper's figure", "As far as its numbers are known; how sure each is stands beside it.")
    page.add_table(
        ["what", "accuracy", "how sure", "remark", "source"],
        [[one.method, one.figure, one.tag, one.note or None, one.source] for one in lines],
    )
