"""What verifying a table found, for the terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tubelet.artifacts import write_json
from tubelet.descriptors.audit.verification import RowCheck, Verification
from tubelet.failures import FAILED_FILE, FailedVideo, list_failures
from tubelet.provenance import environment
from tubelet.reporting.log_dots import DotRow, log_dots
from tubelet.reporting.page import Page
from tubelet.reporting.text import aligned, first_few

VERIFY_FILE = "verify.json"

_ROWS_ON_TERMINAL = 12
_ROWS_ON_PAGE = 200


def cosine_text(value: float | None) -> str:
    """Six decimals, and a dash where there is none; what is less than 1 is never shown as 1."""
    if value is None:
        return "–"
    return f"{value:.6f}" if value >= 1.0 or f"{value:.6f}" != "1.000000" else f"1 - {1 - value:.0e}"


def verification_lines(found: Verification) -> list[str]:
    """The verdict, a table of layers, then whatever is off."""
    heading = ["layer", "rows", "least cosine", "median", "largest difference", "relative", "off"]
    rows = [
        [
            layer.layer,
            str(layer.rows),
            cosine_text(layer.least_cosine),
            cosine_text(layer.median_cosine),
            _small(layer.largest),
            _small(layer.worst_relative),
            str(layer.off),
        ]
        for layer in found.layers
    ]
    allowed = found.allowance
    lines = [found.verdict(), *(f"  {line}" for line in aligned([heading, *rows], right=range(1, 7)))]
    lines.append(f"  allowed: {allowed.relative:g} of a row's length ({allowed.why})")
    lines += [f"  {video.video_id}: {video.detail or video.phrase}" for video in found.bad_videos]
    worst = worst_first(found.off)[:_ROWS_ON_TERMINAL]
    lines += [f"  off: {row_name(row)}, {row.layer}: {row.reason}{_measured(row)}" for row in worst]
    if len(found.off) > _ROWS_ON_TERMINAL:
        lines.append(f"  and {len(found.off) - _ROWS_ON_TERMINAL} more; -o DIR lists them all")
    notes = found.notes[:_ROWS_ON_TERMINAL]
    lines += [f"  note: {note}" for note in notes]
    if len(found.notes) > len(notes):
        lines.append(f"  note: and {len(found.notes) - len(notes)} more")
    return lines


def write_verification(folder: Path, found: Verification) -> Path:
    """Write ``verify.json``, ``failed.jsonl``, ``report.html`` and ``plots/`` into a folder; the report's path."""
    write_json(folder / VERIFY_FILE, found.to_dict())
    list_failures(folder / FAILED_FILE, _failures(found))
    page = Page("A descriptor table, computed again", f"`{found.table}`, by {found.model}")
    verdict = found.verdict()
    page.add_text(f"**{verdict[:1].upper()}{verdict[1:]}.**")
    page.add_numbers(
        (f"{found.rows}", "rows computed again", f"of {found.rows_total}"),
        (f"{len({(c.video_id, c.clip_index) for c in found.off})}", "of them off", ""),
        (f"{found.videos}", "videos looked at", f"of {found.videos_total}, {len(found.bad_videos)} not as they were"),
    )
    page.add_section("Rows", _explained(found))
    groups = [(layer, [check for check in found.checks if check.layer == layer.layer]) for layer in found.layers]
    drawn = [
        DotRow(
            layer.layer,
            [float("inf") if check.relative is None else check.relative for check in checks],
            [bool(check.reason) for check in checks],
            f"{layer.rows} rows, {layer.off} off",
        )
        for layer, checks in groups
        if checks
    ]
    if drawn:
        figure = log_dots(
            drawn,
            limit=found.allowance.relative,
            axis="difference, as a share of the row's length",
            title="How far stored rows are from those computed now",
            caption="A dot is a row; red ones are off. The stroke is the median.",
        )
        figure.save(folder / "plots" / "rows.png")
        page.add_figure(figure)
    page.add_table(
        ["layer", "rows", "off", "least cosine", "median cosine", "largest difference", "worst, relative"],
        [
            [x.layer, x.rows, x.off, cosine_text(x.least_cosine), cosine_text(x.median_cosine), _small(x.largest),
             _small(x.worst_relative)]
            for x in found.layers
        ],
    )  # fmt: skip
    if found.off:
        page.add_section("What is off")
        page.add_table(
            ["video", "clip", "seconds", "layer", "cosine", "relative", "why"],
            [
                [c.video_id, "all" if c.clip_index is None else c.clip_index, _seconds(c), c.layer,
                 cosine_text(c.cosine), _small(c.relative), c.reason]
                for c in worst_first(found.off)[:_ROWS_ON_PAGE]
            ],
        )  # fmt: skip
        if len(found.off) > _ROWS_ON_PAGE:
            page.add_text(f"{len(found.off) - _ROWS_ON_PAGE} more are in `{VERIFY_FILE}`.")
    if found.bad_videos:
        page.add_section("Videos that are not as they were")
        page.add_table(
            ["video", "state", "what"], [[c.video_id, c.phrase, c.detail] for c in found.bad_videos[:_ROWS_ON_PAGE]]
        )
    if found.changed or found.notes:
        page.add_section("Network, recipe, versions")
        for sentence in (*found.changed, *found.notes[:_ROWS_ON_PAGE]):
            page.add_text(f"{sentence[:1].upper()}{sentence[1:]}.")
    page.set_provenance(environment(table=found.table, weights_sha256=found.weights_sha256, seed=found.seed))
    return page.save(folder / "report.html")


def _failures(found: Verification) -> list[FailedVideo]:
    paths = {check.video_id: check.path for check in found.video_checks}
    listed = [FailedVideo(c.video_id, c.path, c.detail or c.phrase, c.state) for c in found.bad_videos]
    return listed + [
        FailedVideo(c.video_id, paths.get(c.video_id, ""), f"{row_name(c)}, {c.layer}: {c.reason}", "row")
        for c in found.off
    ]


def worst_first(checks: Sequence[RowCheck]) -> list[RowCheck]:
    """Rows by how far they are off; those that could not be compared before all."""
    return sorted(checks, key=lambda c: -(float("inf") if c.relative is None else c.relative))


def row_name(check: RowCheck) -> str:
    """``walk/a.mp4 clip 3 (0.96–1.60 s)``."""
    if check.clip_index is None:
        return check.video_id
    times = "" if check.start_s is None else f" ({_seconds(check)} s)"
    return f"{check.video_id} clip {check.clip_index}{times}"


def _seconds(check: RowCheck) -> str:
    return "–" if check.start_s is None or check.end_s is None else f"{check.start_s:.2f}–{check.end_s:.2f}"


def _measured(check: RowCheck) -> str:
    return "" if check.cosine is None else f" (cosine {cosine_text(check.cosine)}, relative {_small(check.relative)})"


def _small(value: float | None) -> str:
    return "–" if value is None else "0" if value == 0 else f"{value:.1e}"


def _explained(found: Verification) -> str:
    allowed = found.allowance
    text = (
        f"Rows were chosen at random, spread over videos (seed {found.seed}), and computed again in {found.precision}. "
        f"One may be off by {allowed.relative:g} of its length: {allowed.why}."
    )
    if allowed.elsewhere:
        text += f" Unlike then: {first_few(allowed.elsewhere, '; ')}."
    return text
