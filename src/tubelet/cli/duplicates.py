"""``tubelet duplicates``: videos that show the same, however they were encoded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.options import FpsOption, JsonOption, WorkersOption, print_json, say
from tubelet.cli.sources import open_videos
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from tubelet.datasets.fingerprints import Fingerprints
    from tubelet.datasets.manifest import Manifest
    from tubelet.failures import FailedVideo

_LISTED = 30


def duplicates(
    data: Annotated[Path, typer.Argument(help="Folder of videos, its metadata.csv, or one video.")],
    other: Annotated[
        Path | None, typer.Argument(help="Compare with these instead of among themselves.", show_default=False)
    ] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Find mirrored copies, too.")] = False,
    least_s: Annotated[
        float, typer.Option("--min-seconds", min=0, help="Leave out pairs that share less than so many seconds.")
    ] = 0.0,
    fps: FpsOption = None,
    workers: WorkersOption = 2,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write duplicates.json, report.html with film strips, and what failed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find videos that are encoded again, scaled, trimmed, letterboxed or at another rate: pairs, with their offset.

    Videos are decoded once and remembered. Exit code 4 if a pair lies in two splits of a table, else 3 if videos cannot
    be read, else 0. Pieces shorter than about 1.2 s, crops and other speeds are not found.
    """
    from tubelet.cli.duplicates_report import Places, pairs_record, print_pairs, write_pairs
    from tubelet.datasets.duplicates import find_duplicates
    from tubelet.reporting.terminal import progress

    manifests = [open_videos(source, fps) for source in (data, other) if source is not None]
    if other is None and len(manifests[0]) == 1:
        raise UsageError("one video has nothing to be compared with", path=data, remedy="name OTHER videos, too")
    looks, failed = zip(*(_fingerprints(manifest, workers) for manifest in manifests), strict=True)
    failures = [failure for part in failed for failure in part]
    second = looks[1] if other is not None else None
    with progress("comparing", unit="hashes") as bar:
        pairs = find_duplicates(looks[0], second, mirror=mirror, progress=bar.reach)
    places = Places(manifests)
    # Spans of one file may overlap, and one folder may hold the other: a file is no copy of itself.
    pairs = tuple(pair for pair in pairs if pair.seconds >= least_s and not places.same_file(pair))
    leaks = [pair for pair in pairs if places.crosses_splits(pair)]
    if out is not None:
        report = write_pairs(out, pairs, places, looks, failures, workers=workers)
        say(f"written: {report}")
    if as_json:
        print_json(pairs_record(pairs, places, looks, failures))
    else:
        print_pairs(pairs, manifests, looks, leaks, _LISTED)
    for failure in failures[:_LISTED]:
        say(f"unreadable: {failure.error}")
    if leaks:
        raise typer.Exit(ExitCode.BAD_DATA)
    if failures:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _fingerprints(manifest: Manifest, workers: int) -> tuple[Fingerprints, tuple[FailedVideo, ...]]:
    from tubelet.clips.decode import ClipDecoder
    from tubelet.datasets.fingerprints import fingerprint_videos
    from tubelet.reporting.terminal import progress

    manifest.require_inside()
    with ClipDecoder(workers=workers) as decoder, progress(f"looking at {manifest.name}", unit="video") as bar:
        return fingerprint_videos(manifest, decoder, bar.reach, workers=workers)
