"""The page of two videos compared: film strips, the decision, what speaks for it, and every number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tubelet.artifacts import write_json
from tubelet.clips.decode import ClipDecoder
from tubelet.descriptors.described import Described
from tubelet.protocols.comparison import Comparison, Reason
from tubelet.protocols.film import middle_frames
from tubelet.protocols.run_report import kept
from tubelet.protocols.similarity import MEASURES
from tubelet.provenance import environment
from tubelet.reporting.filmstrip import clip_strips
from tubelet.reporting.page import Page
from tubelet.reporting.strips import Strip
from tubelet.reporting.text import percent

_NAMED = 12


def write_comparison(folder: Path, comparison: Comparison, videos: Sequence[Described]) -> Path:
    """Write ``comparison.json``, ``report.html`` and ``plots/`` into a folder; the path of the report."""
    write_json(folder / "comparison.json", comparison.to_dict())
    page = Page("Two videos compared", f"`{comparison.first}` and `{comparison.second}`")
    decision = comparison.decision
    if decision is not None:
        numbers = [("same action" if decision.same else "two actions", "decision", f"margin {decision.margin:+.2f}")]
        if decision.probability is not None:
            numbers.append((percent(decision.probability, 0), "probability of the same", "where half of all pairs are"))
        page.add_numbers(*numbers)
    else:
        page.add_text(f"{comparison.verdict()[:1].upper()}{comparison.verdict()[1:]}.")
    strips = []
    with ClipDecoder() as decoder:
        for index, video in enumerate(videos):
            frames = middle_frames(video.path, video.report, decoder)
            best = "" if not comparison.classes else _named(comparison.classes[index][:1])
            if frames is not None:
                end = float(video.end_s[-1])
                strips.append(Strip(frames, best, Path(video.path).name, start_s=float(video.start_s[0]), end_s=end))
    if strips:
        figure = clip_strips(strips, title="The two videos", caption="The first above, the second below.")
        page.add_figure(kept(figure, folder / "plots" / "videos.png"))
    if comparison.classes:
        page.add_section("What the network takes them for", "Mean of the clips' probabilities.")
        page.add_table(["first", "second"], [[_named(best) for best in comparison.classes]])
    page.add_section("Reasons", _explanation(comparison))
    if decision is not None:
        page.add_table(
            ["layer", "adds to the margin"],
            [
                ["the mean pair", f"{decision.start:+.2f}"],
                *([layer, f"{added:+.2f}"] for layer, added in decision.layers.items()),
                ["margin", f"{decision.margin:+.2f}"],
            ],
            highlight=len(decision.layers) + 1,
        )
    tables = [("All, in order", list(comparison.reasons))]
    headings = [name for name, _ in _columns(comparison)]
    if len(headings) > 1:  # something to rank them by
        tables.insert(0, ("The most telling", comparison.ranked()[:_NAMED]))
    for title, rows in tables:
        page.add_table(
            ["layer", "similarity", *headings],
            [[one.layer, one.measure, *_cells(one, comparison)] for one in rows],
            caption=title,
        )
    page.add_table(
        ["similarity", "formula", "alike is"],
        [[measure.name, measure.formula, "more" if measure.more_is_alike else "less"] for measure in MEASURES],
        caption="The twelve similarities",
    )
    for note in comparison.notes:
        page.add_text(f"Note: {note}.")
    page.set_provenance(environment(layers=list(comparison.layers)))
    return page.save(folder / "report.html")


def _cells(one: Reason, comparison: Comparison) -> list[str]:
    """One row's figures, in the order of `_columns`."""
    values = {name: getattr(one, key) for name, key in _columns(comparison)}
    return [
        "–"
        if value is None
        else f"{value:.4g}"
        if name == "value"
        else f"{value:+.2f}"
        if name == "adds"
        else percent(value, 0)
        for name, value in values.items()
    ]


def _columns(comparison: Comparison) -> list[tuple[str, str]]:
    """(heading, field) of what is known of every number."""
    found = [("value", "value")]
    if comparison.decision is not None:
        found.append(("adds", "contribution"))
    if comparison.reference is not None:
        found.append(("closer than", "closer_than"))
        if any(one.closer_than_same is not None for one in comparison.reasons):
            found += [("same class", "closer_than_same"), ("AUC alone", "telling")]
    return found


def _explanation(comparison: Comparison) -> str:
    parts = []
    if comparison.decision is not None:
        parts.append(
            "The margin is that of the mean training pair plus what every number adds: its z-score times its weight. "
            "Numbers that say nearly the same share their weight, so the sums over layers tell more than single rows."
        )
    if comparison.reference is not None:
        parts.append(f"Closer than: the share of other pairs that are less alike, out of {comparison.reference}.")
        if any(one.closer_than_same is not None for one in comparison.reasons):
            parts.append("Same class: the same of pairs of one class. AUC alone: how well a number tells the two.")
    return "\n\n".join(parts) or "The numbers alone; a classifier of pairs or a table of other videos would judge them."


def _named(best: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {percent(share, 0)}" for name, share in best)
