"""The report of ``tubelet data check``, laid out for people."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tubelet.datasets.check import CheckReport, VideoCheck
from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import OWN_GROUPS
from tubelet.datasets.splits import Leak
from tubelet.errors import ExitCode
from tubelet.reporting.terminal import duration
from tubelet.reporting.text import first_few, printable

_LISTED = 10
_CLASSES = 40
_PROBLEMS = 3


def print_check(report: CheckReport, kind: str, console: Console | None = None) -> None:
    """Print the report on standard output: what there is, what is wrong, what deserves a look, the verdict.

    Lists are cut after ten lines and say so; ``--json`` has all of it.
    """
    # Names of files are printed as they are: no markup, no highlighting, never broken in the middle.
    out = console or Console(highlight=False, markup=False, soft_wrap=True, emoji=False)
    _print_counts(out, report, kind)
    _print_measures(out, report)
    _print_faults(out, report)
    _print_remarks(out, report)
    _print_verdict(out, report)


def _print_counts(out: Console, report: CheckReport, kind: str) -> None:
    manifest = report.manifest
    filled = {label: row for label, row in report.counts.items() if any(row.values())}
    head = Text(printable(manifest.name), "bold")
    classes = sum(map(bool, filled))
    named = f"{classes} class{'es' * (classes != 1)}" if classes else "no labels"
    videos, rows = len(report.videos), len(manifest)
    parts = f" in {rows} segment{'s' * (rows != 1)}" if any(item.end_s is not None for item in manifest.items) else ""
    head.append(f"  ({kind})  {videos} video{'s' * (videos != 1)}{parts}, {named}", "not bold")
    if manifest.fps is not None:
        head.append(f", {manifest.fps:g} frames/s given", "not bold")
    out.print(head)
    if manifest.group_rule == OWN_GROUPS:
        out.print(f"groups: {OWN_GROUPS}")
    else:
        out.print(f"groups: {len(manifest.groups)} ({printable(manifest.group_rule)})")
    out.print()
    if not classes:
        return
    splits = list(next(iter(filled.values())))
    table = Table(box=None, pad_edge=False, show_footer=len(filled) > 1)
    smallest = sorted(filled, key=lambda label: sum(filled[label].values()))[:_CLASSES]
    shown = [label for label in filled if label in set(smallest)]
    cut = len(shown) < len(filled)
    table.add_column(f"class (the {_CLASSES} smallest)" if cut else "class", "all")
    for split in splits:
        total = sum(row[split] for row in filled.values())
        table.add_column(split or ("segments" if parts else "videos"), str(total), justify="right")
    for label in shown:
        name = printable(label) if label else "(no label)"
        table.add_row(Text(name), *(Text(str(filled[label][split] or "–")) for split in splits))
    out.print(table)
    out.print()


def _print_measures(out: Console, report: CheckReport) -> None:
    lengths = report.lengths
    if not lengths:
        return
    span = f"{lengths['shortest_frames']:g} to {lengths['longest_frames']:g} frames"
    rows = [("length", f"{span}, median {lengths['median_frames']:g}; {duration(lengths['total_s'])} in all")]
    titles = {"frames": "frames", "fps": "frames/s", "size": "size"}
    for key, title in titles.items():
        counts = report.histograms[key]
        most = sorted(counts, key=lambda value: -counts[value])[:_LISTED]
        parts = [f"{value.replace('-', '–').replace('x', '×')}: {counts[value]}" for value in counts if value in most]
        more = f", {len(counts) - len(most)} other" if len(counts) > len(most) else ""
        rows.append((title, ", ".join(parts) + more))
    table = Table(box=None, pad_edge=False, show_header=False)
    for title, text in rows:
        table.add_row(Text(title, "dim"), Text(text))
    out.print(table)
    out.print()


def _print_faults(out: Console, report: CheckReport) -> None:
    leaks = [leak.sentence() + (_examples(leak) if leak.kind == "group" else "") for leak in report.leaks]
    _print_list(out, "leaks between splits", leaks, "bold red")
    _print_list(out, "overlaps of folds", report.manifest.findings.shared, "bold red")
    unreadable = [f"{video.path}: {_plainly(report, video)}" for video in report.unreadable]
    _print_list(out, "unreadable", unreadable, "bold red")
    _print_list(out, "lost frames", [_partial(report, video) for video in report.partial], "bold red")
    _print_list(out, "mislabeled", report.manifest.findings.mislabeled, "bold red")
    over = [f"{video.path}: {end} frames labeled, {video.frames_decoded} there" for video, end in report.overlabeled]
    _print_list(out, "labels behind the last frame", over, "bold red")
    _print_list(out, "missing", report.manifest.findings.missing, "yellow", shown=3)
    short = [f"{_span(item)}: {frames} frames" for item, frames in report.short]
    _print_list(out, f"shorter than {report.short_frames} frames", short, "yellow")
    beyond = [f"{_span(item)}: ends {over:.2f} s behind the video" for item, over in report.past_end]
    _print_list(out, "segments past the end", beyond, "yellow")
    _print_list(out, "same content", [" = ".join(paths) for paths in report.duplicates], "yellow")
    _print_list(out, "not in the list", report.manifest.findings.unlisted, "yellow", shown=3)
    _print_list(out, "ignored (no videos)", report.manifest.findings.ignored, "dim", shown=5)


def _print_list(out: Console, title: str, lines: Sequence[str], style: str, shown: int = _LISTED) -> None:
    if not lines:
        return
    out.print(Text(f"{title}: {len(lines)}", style))
    for line in lines[:shown]:
        out.print(Text(f"  {printable(line)}"))
    if len(lines) > shown:
        out.print(Text(f"  … and {len(lines) - shown} more (--json lists all)", "dim"))
    out.print()


def _print_remarks(out: Console, report: CheckReport) -> None:
    remarks = list(dict.fromkeys((*report.warnings, *report.manifest.findings.notes)))
    for remark in remarks:
        out.print(Text(f"note: {printable(remark)}", "yellow"))
    if remarks:
        out.print()


def _print_verdict(out: Console, report: CheckReport) -> None:
    if report.exit_code == ExitCode.DONE:
        apart = ", and the splits share nothing" if len(report.manifest.splits) > 1 else ""
        out.print(Text(f"All videos are whole{apart}.", "green"))
        return
    for problem in report.problems:
        out.print(Text(f"PROBLEM: {printable(problem)}", "bold red"))


def _span(item: Item) -> str:
    """The item's path, and its times where it is a part of the video."""
    if item.start_s is None and item.end_s is None:
        return item.path
    end = "the end" if item.end_s is None else f"{item.end_s:g} s"
    return f"{item.path} from {item.start_s or 0.0:g} s to {end}"


def _partial(report: CheckReport, video: VideoCheck) -> str:
    of = f" of {video.frames_declared}" if video.frames_declared is not None else ""
    return f"{video.path}: {video.frames_decoded}{of} frames; {_plainly(report, video)}"


def _plainly(report: CheckReport, video: VideoCheck) -> str:
    """The problems without the path, which stands before them already."""
    text = first_few(video.problems, "; ", _PROBLEMS)
    for path in (report.manifest.root / video.path, os.path.abspath(report.manifest.root / video.path)):
        text = text.replace(f": {path}", "").replace(f"{path}: ", "")
    return text


def _examples(leak: Leak) -> str:
    """One video of each side."""
    return ": " + ", ".join(paths[0] for _, paths in leak.paths)
