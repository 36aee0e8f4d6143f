"""What ``tubelet visualize map`` writes and prints: the page, the figures, the coordinates, and what to believe."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json, write_text
from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.video_vectors import ENCODING
from tubelet.models.folder import read_provenance
from tubelet.protocols.leak import seen_files, seen_items
from tubelet.provenance import environment
from tubelet.reporting.explorer import map_explorer
from tubelet.reporting.page import Page
from tubelet.reporting.scatter import scatter_map
from tubelet.reporting.text import percent, printable
from tubelet.visualize.agreement import Agreement
from tubelet.visualize.embedding import Embedding
from tubelet.visualize.points import MapPoints

PAGE, TABLE, RECORD = "report.html", "map.csv", "map.json"

_ROWS = 30  # labels in the page's table; the map's record has all

READING = (
    "Neighbors mean something; distances between clusters, their sizes and the axes do not. t-SNE keeps near what is "
    "near and places the rest where there is room: two clusters side by side need not be alike, and a big one is not "
    "more diverse. The first figure above is of the descriptors alone and does not depend on the drawing."
)


def seen_note(points: MapPoints, manifest: Manifest | None = None) -> list[str]:
    """Whether the network that made the table was trained on its videos: a map then shows what it was taught."""
    source = points.facts.get("model_source")
    if source is None or not Path(str(source)).is_dir():
        return []
    memory = read_provenance(str(source))
    videos = dict(zip(points.video_id.tolist(), (points.video_id if points.file is None else points.file).tolist(),
                      strict=True))  # fmt: skip
    if manifest is not None:
        known = dict(zip((item.path for item in manifest.items), seen_items(memory, manifest), strict=True))
        seen = sum(known.get(video, False) for video in videos)
    elif points.file is not None:
        there = [Path(path) for path in videos.values() if os.path.exists(path)]
        seen = sum(seen_files(memory, there))
    else:
        return []
    if not seen:
        return []
    return [f"the network was trained on {seen} of the {len(videos)} videos: of those the map shows what it was taught"]


def map_notes(points: MapPoints, layout: Embedding, found: Agreement, perplexity: float) -> list[str]:
    """What a reader has to know beside the figures, in sentences without a period; ``perplexity`` was asked for."""
    notes = []
    if ENCODING in points.facts:
        notes.append("words or mixtures of the trajectories are learned from all videos of the table, none is held out")
    if len(points) < points.total:
        notes.append(f"{len(points):,} of the table's {points.total:,} {points.unit}s are drawn at random")
    if not points.labels_from:
        notes.append("the table has no labels, so all points have one color: give --data to color them by class")
    elif not points.known.all():
        missing = int((~points.known).sum())
        notes.append(f"{missing} of {_count(len(points), points.unit)} have no label and are gray")
    if layout.method != "t-SNE":
        what = f"{_count(layout.distinct, 'different descriptor')}"
        notes.append(f"there is nothing to optimize for {what}: these are the principal components")
    elif layout.distinct < len(points):
        notes.append(f"{len(points) - layout.distinct} descriptors equal another one and lie on its place")
    if layout.perplexity is not None and layout.perplexity < perplexity:
        notes.append(
            f"the perplexity is {layout.perplexity:.3g} in place of {perplexity:,g}: "
            "at most a third of the other points"
        )
    if found.asked < len(points):
        notes.append(f"{found.asked:,} points, drawn at random, were asked for their neighbors")
    if found.other_videos:
        notes.append("neighbors are looked for in other videos: clips of one video may overlap")
    return notes


def map_lines(points: MapPoints, layout: Embedding, found: Agreement, notes: Sequence[str]) -> list[str]:
    """The result as lines for people."""
    lines = [f"{_what(points)}: {_how(layout)}"]
    if found.in_map is not None and found.in_descriptor is not None and found.chance is not None:
        lines.append(
            f"nearest other has the same label: {percent(found.in_map)} in the map "
            f"({_of(found.in_map, found)}), {percent(found.in_descriptor)} by the whole descriptor "
            f"({_of(found.in_descriptor, found)}), {percent(found.chance)} by chance"
        )
    if found.kept is not None and found.kept_by_chance is not None:
        lines.append(
            f"neighbors kept: {percent(found.kept)} of the {found.neighbors} nearest by descriptor are among the "
            f"{found.neighbors} nearest in the map, {percent(found.kept_by_chance)} by chance"
        )
    return [*lines, *(f"note: {note}" for note in notes)]


def map_record(
    points: MapPoints, layout: Embedding, found: Agreement, settings: Mapping[str, Any], notes: Sequence[str]
) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "table": str(points.path),
        "layer": points.layer,
        "unit": points.unit,
        "points": len(points),
        "of": points.total,
        "length": int(points.vectors.shape[1]),
        "labels_from": points.labels_from or None,
        "layout": layout.to_dict(),
        "agreement": found.to_dict(),
        "settings": dict(settings),
        "facts": points.facts,
        "notes": list(notes),
    }


def write_map(folder: Path, points: MapPoints, layout: Embedding, found: Agreement, record: Mapping[str, Any]) -> Path:
    """Write page, figures, coordinates and record into ``folder``; the page's path."""
    write_text(folder / TABLE, _coordinates(points, layout))
    provenance = environment(**record)
    write_json(folder / RECORD, provenance)
    figure = scatter_map(
        layout.points,
        points.label,
        title=f"{printable(points.name)}, a point for each {points.unit}",
        caption=f"Laid out by {_how(layout)}. Hover or tap names a point; search and labels filter.",
    )
    figure.save(folder / "map.png")
    figure.save(folder / "map.svg")
    page = Page(f"Map of {points.name}", f"{_what(points)}.")
    numbers = _numbers(found)
    if numbers:
        page.add_numbers(*numbers)
    if record["notes"]:
        page.add_text(" ".join(f"{note[:1].upper()}{note[1:]}." for note in record["notes"]))
    page.add_explorer(
        map_explorer(
            figure,
            layout.points,
            points.label,
            points.video_id.tolist(),
            clip=None if points.clip is None else points.clip.tolist(),
            start_s=None if points.start_s is None else points.start_s.tolist(),
            end_s=None if points.end_s is None else points.end_s.tolist(),
        )
    )
    page.add_section("How to read it", READING)
    if found.by_label:
        _labels(page, found)
    page.add_section("Settings")
    page.add_facts(
        {
            "table": points.path,
            "layer": points.layer or "its only one",
            "numbers of a descriptor": points.vectors.shape[1],
            "principal components": layout.dimensions,
            "variance in them": percent(layout.kept),
            "perplexity": layout.perplexity,
            "steps": layout.steps,
            "KL divergence": layout.kl_divergence,
            "labels from": points.labels_from or None,
        }
    )
    page.add_text(
        "t-SNE begins from the first two principal components and finds neighbors exactly; what is random in it has a "
        f"fixed seed, so that the same table gives the same map. `{TABLE}` holds the coordinates, `map.svg` the figure "
        f"for papers, `{RECORD}` all figures."
    )
    page.set_provenance(provenance)
    return page.save(folder / PAGE)


def _numbers(found: Agreement) -> list[tuple[str, str, str]]:
    numbers = []
    if found.in_map is not None and found.in_descriptor is not None and found.chance is not None:
        by_chance = f"{percent(found.chance)} by chance"
        numbers = [
            (
                percent(found.in_descriptor),
                "nearest by descriptor has the same label",
                f"{_of(found.in_descriptor, found)}; {by_chance}",
            ),
            (
                percent(found.in_map),
                "nearest in the map has the same label",
                f"{_of(found.in_map, found)}; {by_chance}",
            ),
        ]
    if found.kept is not None and found.kept_by_chance is not None:
        what = f"of the {found.neighbors} nearest by descriptor are as near in the map"
        numbers.append((percent(found.kept), what, f"{percent(found.kept_by_chance)} by chance"))
    return numbers


def _of(share: float, found: Agreement) -> str:
    """How many points a share is: without it ten points look like a thousand. Those of a tie count in part."""
    return f"{round(share * found.labeled, 1):,g} of {found.labeled:,}"


def _labels(page: Page, found: Agreement) -> None:
    rows = [
        (
            each.label,
            each.asked,
            percent(each.in_descriptor, 0),
            percent(each.in_map, 0),
            None if each.beside is None else f"{each.beside} ({each.beside_count})",
        )
        for each in found.by_label[:_ROWS]
    ]
    left = f" The {_ROWS} lowest of {len(found.by_label)}." if len(found.by_label) > _ROWS else ""
    page.add_section(
        "Labels",
        f"How often the nearest other point has the same label, the lowest first, and which other label it has most "
        f"often by the whole descriptor.{left}",
    )
    page.add_table(("label", "points", "by descriptor", "in the map", "beside"), rows, align="lrrrl")


def _what(points: MapPoints) -> str:
    layer = f", {points.layer}" if points.layer else ""
    length = f"{points.vectors.shape[1]:,} numbers each"
    return f"{_count(len(points), points.unit)} of {printable(points.name)}{layer}, {length}"


def _how(layout: Embedding) -> str:
    if layout.perplexity is None or layout.kl_divergence is None:
        return "principal components"
    return f"t-SNE, perplexity {layout.perplexity:.3g}, KL divergence {layout.kl_divergence:.3g}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _coordinates(points: MapPoints, layout: Embedding) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video_id", "clip", "start_s", "end_s", "x", "y", "label"))
    empty = [""] * len(points)
    writer.writerows(
        zip(
            points.video_id.tolist(),
            empty if points.clip is None else points.clip.tolist(),
            empty if points.start_s is None else [f"{value:.3f}" for value in points.start_s],
            empty if points.end_s is None else [f"{value:.3f}" for value in points.end_s],
            [f"{value:.6f}" for value in layout.points[:, 0]],
            [f"{value:.6f}" for value in layout.points[:, 1]],
            [label or "" for label in points.label],
            strict=True,
        )
    )
    return text.getvalue()
