"""A diagnosis as people read it: the section of a report page, and a table for the terminal."""

from __future__ import annotations

from pathlib import Path

from tubelet.protocols.diagnosis import LEVEL, SUSPECTS, Diagnosis, Tried, points
from tubelet.protocols.run_report import kept
from tubelet.reporting.dots import Dot, interval_dots
from tubelet.reporting.page import Page
from tubelet.reporting.text import aligned, percent

_SHORT = {1: "closer", 0: "–", -1: "farther"}
_SAYS = {1: "towards it", 0: "no more than chance", -1: "away from it"}


def diagnosis_section(page: Page, diagnosis: Diagnosis, plots: Path) -> None:
    """A section with what was found, a figure and a table of all variants."""
    expected = diagnosis.expected
    page.add_section("Diagnosis", diagnosis.sentence())
    strong = {(one.suspect, one.name) for one in diagnosis.explaining[:1]}
    rows = _in_order(diagnosis)
    dots = [
        Dot(
            one.suspect,
            one.name,
            one.value,
            one.interval.low,
            one.interval.high,
            (one.suspect, one.name) in strong,
            not one.same_videos,
        )
        for one in rows
    ]
    metric = "mean class accuracy" if expected.over_classes else "accuracy"
    if dots:
        caption = (
            f"The {metric} with one thing changed at a time; whiskers: 95 % intervals. Band: our figure's interval. "
            f"Dashed: the expected figure, {expected.source}."
            + (" Hollow: other videos than ours." if any(dot.hollow for dot in dots) else "")
        )
        base = (diagnosis.value, diagnosis.interval.low, diagnosis.interval.high)
        drawn = interval_dots(dots, base=base, expected=expected.value, title="What moves the figure", caption=caption)
        page.add_figure(kept(drawn, plots / "diagnosis.png"))
        page.add_table(
            ["suspect", "changed to", "videos", metric, "difference", "its interval", "expected figure"],
            [
                [one.suspect, one.name, one.n, percent(one.value), points(one.difference),
                 _between(one).replace(" ", "\u00a0"), "reached" if one.explains else _SHORT[one.moves]]
                for one in rows
            ],
            highlight=[index for index, one in enumerate(rows) if (one.suspect, one.name) in strong],
            caption=f"Differences in points to our {percent(diagnosis.value)}. Their intervals hold with "
            f"{LEVEL:.0%} confidence for all {len(rows)} variants together. Reached: closer by more than chance, and "
            "the expected figure lies within the variant's own interval.",
        )  # fmt: skip
    if diagnosis.untried:
        page.add_table(["suspect", "not tried because"], [list(pair) for pair in diagnosis.untried])
    for note in diagnosis.notes:
        page.add_text(f"Note: {note}.")


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """All variants as lines, and what was found."""
    expected = diagnosis.expected
    ends = diagnosis.interval
    ours = f"{diagnosis.value:.1%} ({ends.low:.1%} to {ends.high:.1%})"
    lines = [f"diagnosis: expected {expected.value:.1%} ({expected.source}), ours {ours}"]
    rows = [["suspect", "changed to", "videos", "figure", "points", "interval", "expected figure"]]
    rows += [
        [
            one.suspect,
            one.name,
            str(one.n),
            f"{one.value:.1%}",
            points(one.difference),
            _between(one),
            "reached" if one.explains else _SAYS[one.moves],
        ]
        for one in _in_order(diagnosis)
    ]
    lines += [f"  {line}" for line in aligned(rows, right=(2, 3, 4))]
    lines += [f"  not tried: {suspect}: {why}" for suspect, why in diagnosis.untried]
    lines += [f"  note: {note}" for note in diagnosis.notes]
    return "\n".join([*lines, diagnosis.sentence()])


def _in_order(diagnosis: Diagnosis) -> list[Tried]:
    return sorted(diagnosis.tried, key=lambda one: SUSPECTS.index(one.suspect))


def _between(one: Tried) -> str:
    return f"{points(one.difference_interval.low)} to {points(one.difference_interval.high)}"
