"""In what two tables differ, for the terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tubelet.artifacts import write_json
from tubelet.descriptors.audit.attribution import AGAIN, Attribution, Effect
from tubelet.descriptors.audit.explain import Explanation
from tubelet.descriptors.audit.relation import Relation
from tubelet.descriptors.audit.verify_report import cosine_text
from tubelet.provenance import environment
from tubelet.reporting.bars import Bar, interval_bars
from tubelet.reporting.log_dots import DotRow, log_dots
from tubelet.reporting.page import Page
from tubelet.reporting.text import aligned, percent

EXPLAIN_FILE = "explain.json"

_WEIGHTS = {
    "vectors": "the vectors",
    "places": "which rows there are, and their times",
    "perhaps": "perhaps the vectors, by rounding or decoding",
    "nothing": "nothing here",
}


def explanation_lines(found: Explanation) -> list[str]:
    """The verdict, the settings that differ, what was measured, and what accounts for it."""
    lines = [f"{found.verdict()}."]
    lines += ["", f"A  {found.first}  {found.layers[0]}", f"B  {found.second}  {found.layers[1]}"]
    if found.differences:
        rows = [[each.setting, each.first, each.second, _WEIGHTS[each.weight]] for each in found.differences]
        lines += ["", *(f"  {line}" for line in aligned([["setting", "A", "B", "changes"], *rows]))]
    lines += ["", *(f"  {line}" for line in aligned(measurements(found)))]
    if found.attribution is not None:
        lines += ["", f"  each setting of B in A, over {_sample(found.attribution)}:"]
        heading = ["", "cosine to A", "cosine to B", "moves A by", "accounts for"]
        rows = [heading, *(effect_cells(effect) for effect in found.attribution.effects)]
        lines += [f"  {line}" for line in aligned(rows, right=range(1, 5))]
        lines += [f"  {effect.setting}: {effect.why_not}" for effect in found.attribution.effects if effect.why_not]
    else:
        lines += ["", f"  not attributed: {found.why_not}"]
    return lines


def measurements(found: Explanation) -> list[list[str]]:
    """What was measured, as (name, value)."""
    cover = found.coverage
    only = (cover.videos_only_first, cover.videos_only_second), (cover.rows_only_first, cover.rows_only_second)
    rows = [
        ["videos in both", f"{cover.videos}; {only[0][0]} only in A, {only[0][1]} only in B"],
        ["rows in both", f"{cover.rows} by {cover.by}; {only[1][0]} only in A, {only[1][1]} only in B"],
    ]
    if cover.measured_videos < cover.videos:
        rows.append(["measured", f"a random {cover.measured_videos} of the videos"])
    for name, relation in (("clips", found.clips), ("videos", found.videos)):
        if relation is not None:
            rows += _relation_rows(name, relation)
    if found.clips is None and found.dimensions[0] != found.dimensions[1]:
        rows.append(["vectors", f"of {found.dimensions[0]} and {found.dimensions[1]} numbers: no cosine"])
    if found.neighbors is not None:
        near = found.neighbors
        text = f"{percent(near.shared, 0)} of the {near.k} nearest videos are the same (by chance {near.chance:.0%})"
        rows.append(["neighbors", f"{text}; the nearest itself for {percent(near.first, 0)}"])
    if found.cka is not None:
        rows.append(["CKA", f"{found.cka:.4f} (1: equal up to rotation and scale, 0: unrelated)"])
    return rows


def _relation_rows(name: str, relation: Relation) -> list[list[str]]:
    cosine = relation.cosine
    text = f"least {cosine_text(cosine.least)}, median {cosine_text(cosine.median)}, mean {cosine_text(cosine.mean)}"
    rows = [[f"cosine of {name}", text]]
    if name == "clips":
        rows.append(["relation", relation.sentence])
        if relation.kind == "other":
            share = percent(relation.constant_share)
            rows.append(["one vector", f"{share} of the squared difference is one vector, the same for every clip"])
            rows.append(["s A + c", f"explains {percent(relation.affine_share)} of B (s = {relation.scale:.4g})"])
        if relation.norm_ratio is not None and relation.kind != "equal":
            ratio = relation.norm_ratio
            rows.append(["length of B to A", f"{ratio.median:.4g} ({ratio.least:.4g} to {ratio.largest:.4g})"])
    return rows


def effect_cells(effect: Effect) -> list[str]:
    """One row of the attribution: name, cosine to A, cosine to B, how far A moves, share."""
    return [
        effect.setting,
        cosine_text(effect.cosine_to_first),
        cosine_text(effect.cosine_to_second),
        "–" if effect.moved is None or effect.setting == AGAIN else f"{effect.moved:.1e}",
        "–" if effect.accounts_for is None else percent(effect.accounts_for),
    ]


def _sample(found: Attribution) -> str:
    if found.level == "video":
        return f"{found.videos} whole videos, since their clips are cut otherwise"
    return f"{found.items} clips of {found.videos} videos"


def write_explanation(folder: Path, found: Explanation) -> Path:
    """Write ``explain.json``, ``report.html`` and ``plots/`` into a folder; the report's path."""
    write_json(folder / EXPLAIN_FILE, found.to_dict())
    names = [f"`{path}`, {layer}" for path, layer in zip((found.first, found.second), found.layers, strict=True)]
    page = Page("Two descriptor tables", f"A: {names[0]}. B: {names[1]}.")
    verdict = found.verdict()
    page.add_text(f"**{verdict[:1].upper()}{verdict[1:]}.**")
    numbers = []
    relation = found.clips or found.videos
    if relation is not None:
        level = "clips" if found.clips is not None else "videos"
        numbers.append((cosine_text(relation.cosine.median), "median cosine", f"{relation.rows} common {level}"))
    if found.neighbors is not None:
        near = found.neighbors
        note = f"{near.k} of {near.items - 1} others; by chance {near.chance:.0%}"
        numbers.append((percent(near.shared, 0), "neighbors in common", note))
    if found.attribution is not None and found.attribution.chief is not None:
        chief = next(e for e in found.attribution.effects if e.setting == found.attribution.chief)
        share = percent(chief.accounts_for or 0.0, 0)
        numbers.append((share, "of the difference", chief.setting))
    if numbers:
        page.add_numbers(*numbers)
    page.add_section("Settings that differ")
    if found.differences:
        page.add_table(
            ["setting", "A", "B", "can change"],
            [[each.setting, each.first, each.second, _WEIGHTS[each.weight]] for each in found.differences],
            align="llll",
        )
    else:
        page.add_text("None that the tables record.")
    page.add_section("Vectors side by side", "Over the videos and rows that both tables have.")
    page.add_table(["", "measured"], measurements(found), align="ll")
    if found.cosines:
        row = DotRow("common clips", [max(0.0, 1.0 - cosine) for cosine in found.cosines], note=f"{len(found.cosines)}")
        figure = log_dots([row], axis="1 - cosine of A's and B's vector", title="How far apart A and B are",
                          caption="A dot is a clip that both tables have. The stroke is the median.")  # fmt: skip
        figure.save(folder / "plots" / "cosines.png")
        page.add_figure(figure)
    page.add_section("What accounts for it")
    if found.attribution is None:
        page.add_text(f"Not measured: {found.why_not}.")
    else:
        _add_attribution(page, found.attribution, folder / "plots")
    page.set_provenance(environment(first=found.first, second=found.second, layers=list(found.layers)))
    return page.save(folder / "report.html")


def _add_attribution(page: Page, found: Attribution, plots: Path) -> None:
    page.add_text(
        f"A's vectors were computed again over {_sample(found)}, each time with one setting of B. A setting accounts "
        "for the share of the squared distance to B's stored vectors that is gone with it; where settings act on each "
        "other, the shares need not add up."
    )
    measured = [effect for effect in found.effects if effect.accounts_for is not None]
    if measured:
        bars = [
            Bar(
                e.setting, min(1.0, max(0.0, e.accounts_for or 0.0)), note=_bar_note(e), strong=e.setting == found.chief
            )
            for e in measured
        ]
        figure = interval_bars(bars, title="Share of the difference that a setting accounts for",
                               caption="What leads away from B is drawn as nothing.")  # fmt: skip
        figure.save(plots / "settings.png")
        page.add_figure(figure)
    moved = [e for e in found.effects if e.moves and e.setting != AGAIN]
    if moved:
        rows = [DotRow(e.setting, e.moves, note=f"median {e.moved:.1e}") for e in moved]
        figure = log_dots(rows, axis="distance from A's vector, as a share of its length",
                          title="How far each setting moves A",
                          caption=f"A dot is a {found.level}. The stroke is the median.")  # fmt: skip
        figure.save(plots / "moves.png")
        page.add_figure(figure)
    page.add_table(
        ["setting of B in A", "cosine to A", "cosine to B", "moves A by", "accounts for"],
        [effect_cells(effect) for effect in found.effects],
        align="lrrrr",
        highlight=_chief_row(found.effects, found.chief),
    )
    for effect in found.effects:
        if effect.why_not:
            page.add_text(f"{effect.setting}: {effect.why_not}.")


def _bar_note(effect: Effect) -> str:
    return "" if effect.cosine_to_second is None else f"cosine to B {cosine_text(effect.cosine_to_second)}"


def _chief_row(effects: Sequence[Effect], chief: str | None) -> Sequence[int]:
    return [index for index, effect in enumerate(effects) if effect.setting == chief]
