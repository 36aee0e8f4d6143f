"""What ``tubelet duplicates`` prints and writes: pairs as a table, and a page with their film strips."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from tubelet.artifacts import write_json
from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.duplicates import Duplicate, clusters
from tubelet.datasets.fingerprints import Fingerprints, name_of
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import TubeletError
from tubelet.failures import FAILED_FILE, FailedVideo, list_failures
from tubelet.provenance import environment
from tubelet.reporting.filmstrip import clip_strips
from tubelet.reporting.page import Page
from tubelet.reporting.strips import Strip
from tubelet.reporting.text import aligned, percent, printable, seconds, shorten

_FRAMES, _HEIGHT = 6, 96
_SHOWN = 40  # pairs with film strips on the page
_NAME_PX, _FONT_PX = 310.0, 15.0  # two names and a figure in a page's column; duplicates.json has them whole


class Places:
    """Which item and file a name among the fingerprints of one or two manifests belongs to."""

    def __init__(self, manifests: Sequence[Manifest]) -> None:
        self.manifests = tuple(manifests)
        items = [{name_of(item): item for item in manifest.items} for manifest in manifests]
        self._first, self._second = items[0], items[-1]

    def of(self, pair: Duplicate) -> tuple[tuple[Manifest, Item], tuple[Manifest, Item]]:
        """Manifest and item of each of the two."""
        return (self.manifests[0], self._first[pair.a]), (self.manifests[-1], self._second[pair.b])

    def same_file(self, pair: Duplicate) -> bool:
        """Whether both are the same file, or spans of it."""
        first, second = (os.path.realpath(manifest.root / item.path) for manifest, item in self.of(pair))
        return first == second

    def crosses_splits(self, pair: Duplicate) -> bool:
        """Whether the two videos are in different splits of one table."""
        (_, first), (_, second) = self.of(pair)
        return len(self.manifests) == 1 and None not in (first.split, second.split) and first.split != second.split


def pairs_record(
    pairs: Sequence[Duplicate], places: Places, looks: Sequence[Fingerprints], failures: Sequence[FailedVideo]
) -> dict[str, Any]:
    """What ``duplicates.json`` holds and ``--json`` prints; ``sets`` is None where two folders were compared."""
    return {
        "videos": [len(part) for part in looks],
        "seconds": round(sum(part.seconds for part in looks), 3),
        "pairs": [{**pair.to_dict(), "crosses_splits": places.crosses_splits(pair)} for pair in pairs],
        "sets": [list(names) for names in clusters(pairs)] if len(places.manifests) == 1 else None,
        "failed": [{"path": failure.path, "error": failure.error} for failure in failures],
    }


def print_pairs(
    pairs: Sequence[Duplicate],
    manifests: Sequence[Manifest],
    looks: Sequence[Fingerprints],
    leaks: Sequence[Duplicate],
    shown: int,
    console: Console | None = None,
) -> None:
    """Print the pairs on standard output, the most alike first, and one line about all of them."""
    out = console or Console(highlight=False, markup=False, soft_wrap=True, emoji=False)
    if pairs:
        rows = [("equal", "shared", "offset", "of it", "video", "of it", "is also in")]
        rows += [
            (
                f"{pair.similarity:.0%}",
                f"{pair.seconds:.1f} s",
                f"{pair.offset_s:+.1f} s",
                f"{pair.share_a:.0%}",
                pair.a,
                f"{pair.share_b:.0%}",
                pair.b + _remark(pair),
            )
            for pair in pairs[:shown]
        ]
        for line, pair in zip(aligned(rows, right=(0, 1, 2, 3, 5)), [None, *pairs], strict=False):
            out.print(Text(line, "bold red" if pair in leaks else ""))
        if len(pairs) > shown:
            out.print(Text(f"… and {len(pairs) - shown} more (--json lists all)", "dim"))
        out.print()
    compared = " against ".join(
        f"{_count(len(part), 'video')} of {printable(one.name)}" for one, part in zip(manifests, looks, strict=True)
    )
    videos = len({name for pair in pairs for name in (pair.a, pair.b)})
    sets = f", {videos} videos in {_count(len(clusters(pairs)), 'set')}" if pairs and len(manifests) == 1 else ""
    out.print(f"{compared}: {_count(len(pairs), 'pair')} of copies{sets}")
    if leaks:
        what = "pair lies" if len(leaks) == 1 else "pairs lie"
        out.print(Text(f"PROBLEM: {len(leaks)} {what} in two splits: what is tested was trained on", "bold red"))


def write_pairs(
    out: Path,
    pairs: Sequence[Duplicate],
    places: Places,
    looks: Sequence[Fingerprints],
    failures: Sequence[FailedVideo],
    *,
    workers: int = 1,
) -> Path:
    """Write ``duplicates.json``, ``report.html`` and, where videos failed, ``failed.jsonl``; the report's path."""
    write_json(out / "duplicates.json", pairs_record(pairs, places, looks, failures))
    list_failures(out / FAILED_FILE, failures)
    manifests = places.manifests
    videos = sum(map(len, looks))
    names = " and ".join(printable(manifest.name) for manifest in manifests)
    page = Page(f"Copies among {names}", "Videos that show the same, however they were encoded.")
    page.add_numbers(
        (str(videos), "videos"),
        (str(len(pairs)), "pairs"),
        (f"{sum(part.seconds for part in looks):.0f} s", "compared"),
    )
    if not pairs:
        page.add_text("No two videos share a stretch that lasts long enough and moves.")
    else:
        columns = ("video", "is also in", "bits equal")
        rows = [
            (_place(p.a, p.start_a_s, p.seconds, p.share_a),
             _place(p.b, p.start_b_s, p.seconds, p.share_b, _remark(p)), percent(p.similarity, 0))
            for p in pairs
        ]  # fmt: skip
        page.add_section("Pairs", "The most alike first. Half of the bits would be equal by chance.")
        page.add_table(columns, rows, align="lll")
        strips: list[Strip] = []
        with ClipDecoder(workers=workers) as decoder:
            for number, pair in enumerate(pairs[:_SHOWN], 1):
                strips += _strips(number, pair, places, decoder)
        if strips:
            left = f" The first {_SHOWN} of {len(pairs)}." if len(pairs) > _SHOWN else ""
            page.add_section("Side by side", "The same moments of both, as far as they are shared." + left)
            page.add_figure(clip_strips(strips, frames_shown=4, columns=2, title="Pairs of copies"))
    if failures:
        page.add_section("Unreadable")
        page.add_table(("video", "why"), [(failure.video_id, failure.error) for failure in failures])
    page.set_provenance(environment(datasets=[manifest.to_dict() for manifest in manifests]))
    return page.save(out / "report.html")


def _strips(number: int, pair: Duplicate, places: Places, decoder: ClipDecoder) -> list[Strip]:
    """The shared stretch of both videos; none where one cannot be read any more."""
    found = []
    begins = ((pair.a, pair.start_a_s, None), (pair.b, pair.start_b_s, pair.similarity))
    for (manifest, item), (name, start_s, score) in zip(places.of(pair), begins, strict=True):
        try:
            frames = _frames(manifest, item, start_s, pair.seconds, decoder)
        except TubeletError:
            return []
        label = f"{number}{'' if score is None else _remark(pair)}"
        found.append(Strip(frames, label, name, start_s, start_s + pair.seconds, score))
    return found


def _frames(manifest: Manifest, item: Item, start_s: float, length_s: float, decoder: ClipDecoder) -> NDArray[np.uint8]:
    """(n, h, w, 3) frames spread over a stretch, at the same moments whatever the rate."""
    path = manifest.file(item)
    report = decoder.measure(path, manifest.fps, full=False)
    moments = start_s + length_s * (np.arange(_FRAMES) + 0.5) / _FRAMES
    indices = np.clip((moments * report.fps).astype(np.int64), 0, report.frames_decoded - 1)
    height = min(_HEIGHT, report.height)
    size = (height, max(1, round(height * report.width / report.height)))
    return decoder.clip(os.fspath(path), indices, size, fps=manifest.fps)


def _place(name: str, start_s: float, length_s: float, share: float, remark: str = "") -> str:
    """A name and which part of it: where there is no room for both, the line breaks between the two."""
    place = f"{seconds(start_s, start_s + length_s)} ({percent(share, 0)})"
    return f"{shorten(name, _NAME_PX, _FONT_PX, keep_end=True)} {place}{remark}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _remark(pair: Duplicate) -> str:
    return " (mirrored)" if pair.mirrored else " (nothing moves)" if pair.still else ""
