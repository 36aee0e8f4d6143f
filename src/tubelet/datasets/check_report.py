"""The health of a dataset as a value: what was measured, what is wrong, with which exit code to say so."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.official_lists import plain_name
from tubelet.datasets.splits import Leak
from tubelet.errors import ExitCode
from tubelet.reporting.text import first_few

NO_SPLIT = ""
"""Key of the items that no split is assigned to."""


@dataclass(frozen=True)
class VideoCheck:
    """The verdict on one video; the measurements are None where not one frame could be decoded.

    Attributes
    ----------
    path
        As in the manifest.
    status
        "ok"; "partial" if frames were lost; "failed" if none came out.
    frames_declared, frames_decoded
        What the container claims (None if nothing) and what came out.
    fps, fps_source, duration_s, width, height, codec, container
        As in `tubelet.video.report.DecodeReport`.
    problems
        What is wrong, one sentence each; for a failed video the error.
    """

    path: str
    status: Literal["ok", "partial", "failed"]
    frames_declared: int | None = None
    frames_decoded: int = 0
    fps: float | None = None
    fps_source: str | None = None
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    codec: str | None = None
    container: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """What `tubelet.datasets.check.check_dataset` found.

    Attributes
    ----------
    manifest
        What was checked.
    videos
        One verdict per file, in the manifest's order.
    short_frames
        Videos and spans with fewer frames than this are called short.
    duplicates
        Paths with equal content, one tuple per content.
    leaks
        What lies in more than one split.
    """

    manifest: Manifest
    videos: tuple[VideoCheck, ...]
    short_frames: int
    duplicates: tuple[tuple[str, ...], ...]
    leaks: tuple[Leak, ...]

    @cached_property
    def by_path(self) -> dict[str, VideoCheck]:
        """The verdicts by path."""
        return {video.path: video for video in self.videos}

    @cached_property
    def unreadable(self) -> tuple[VideoCheck, ...]:
        """Videos that give no frame."""
        return tuple(video for video in self.videos if video.status == "failed")

    @cached_property
    def partial(self) -> tuple[VideoCheck, ...]:
        """Videos that lost frames."""
        return tuple(video for video in self.videos if video.status == "partial")

    @cached_property
    def short(self) -> tuple[tuple[Item, int], ...]:
        """Readable items with fewer than ``short_frames`` frames, and how many they have."""
        lengths = [(item, self.frames_of(item)) for item in self.manifest.items]
        return tuple((item, frames) for item, frames in lengths if frames is not None and frames < self.short_frames)

    @cached_property
    def past_end(self) -> tuple[tuple[Item, float], ...]:
        """Items that end behind their readable video, and by how many seconds; a frame's duration is forgiven."""
        found: list[tuple[Item, float]] = []
        for item in self.manifest.items:
            video = self.by_path[item.path]
            if item.end_s is not None and video.fps and video.status != "failed":
                over = item.end_s - video.frames_decoded / video.fps
                if over > 1.0 / video.fps + 1e-6:
                    found.append((item, over))
        return tuple(found)

    @cached_property
    def beyond(self) -> tuple[Item, ...]:
        """Items of which a readable video has not one frame: they begin behind its end."""
        return tuple(item for item in self.manifest.items if self.frames_of(item) == 0)

    @cached_property
    def overlabeled(self) -> tuple[tuple[VideoCheck, int], ...]:
        """Readable videos with labels behind their last frame, and how many frames the list speaks of."""
        ends = [(self.by_path[path], end) for path, end in self.manifest.findings.labeled_frames]
        return tuple((video, end) for video, end in ends if video.status != "failed" and end > video.frames_decoded)

    def frames_of(self, item: Item) -> int | None:
        """Frames of an item, of a span by the frame rate; None if the video is unreadable."""
        video = self.by_path[item.path]
        if video.status == "failed" or video.fps is None:
            return None
        if item.start_s is None and item.end_s is None:
            return video.frames_decoded
        # A hair less than the product, or 0.2 s at 25 fps would begin at frame 6.
        first = math.ceil((item.start_s or 0.0) * video.fps - 1e-6)
        end = video.frames_decoded if item.end_s is None else math.ceil(item.end_s * video.fps - 1e-6)
        return max(0, min(end, video.frames_decoded) - first)

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Items by class (all classes, in order, then "" for unlabeled ones; the first of several) and split."""
        splits = [
            *self.manifest.splits,
            *([NO_SPLIT] if any(i.split is None for i in self.manifest.items) else []),
        ]
        labels = [
            *self.manifest.classes,
            *([""] if any(i.label is None for i in self.manifest.items) else []),
        ]
        found = Counter((item.label or "", item.split or NO_SPLIT) for item in self.manifest.items)
        return {label: {split: found[label, split] for split in splits} for label in labels}

    @cached_property
    def by_group(self) -> dict[str, int]:
        """Items by group, sorted; only groups that the dataset names, not those of single videos."""
        named = Counter(item.group for item in self.manifest.items if item.group is not None)
        return {group: named[group] for group in sorted(named)}

    @cached_property
    def empty_classes(self) -> tuple[str, ...]:
        """Classes without a single readable video."""
        readable = [item for item in self.manifest.items if self.by_path[item.path].status != "failed"]
        filled = {label for item in readable for label in item.every_label}
        return tuple(name for name in self.manifest.classes if name not in filled)

    @cached_property
    def similar_labels(self) -> tuple[tuple[str, ...], ...]:
        """Classes that are named alike but for case, blanks, punctuation or Unicode form: probably one."""
        same: dict[str, list[str]] = defaultdict(list)
        for name in self.manifest.classes:
            same[plain_name(name)].append(name)
        return tuple(tuple(names) for names in same.values() if len(names) > 1)

    @cached_property
    def one_sided(self) -> dict[str, tuple[str, ...]]:
        """Classes that occur in some split but not in all: class to the splits it is missing from."""
        splits = self.manifest.splits
        held = {(label, item.split) for item in self.manifest.items for label in item.every_label}
        sides = {label: tuple(s for s in splits if (label, s) not in held) for label in self.manifest.classes}
        return {label: missing for label, missing in sides.items() if 0 < len(missing) < len(splits)}

    @cached_property
    def histograms(self) -> dict[str, dict[str, int]]:
        """Readable videos by frame rate ("25"), size ("320x240") and number of frames ("16-31")."""
        readable = [video for video in self.videos if video.fps is not None]
        rates = Counter(round(video.fps, 2) for video in readable if video.fps is not None)
        sizes = Counter((video.width or 0, video.height or 0) for video in readable)
        steps = Counter(self._length_step(video.frames_decoded) for video in readable)
        return {
            "fps": {f"{rate:g}": rates[rate] for rate in sorted(rates)},
            "size": {f"{w}x{h}": sizes[w, h] for w, h in sorted(sizes)},
            "frames": {self._length_name(step): steps[step] for step in sorted(steps)},
        }

    @cached_property
    def lengths(self) -> dict[str, float]:
        """Shortest, median and longest readable video in frames, and all of them together in seconds."""
        frames = [video.frames_decoded for video in self.videos if video.status != "failed"]
        if not frames:
            return {}
        total_s = math.fsum(video.duration_s or 0.0 for video in self.videos)
        return {
            "shortest_frames": min(frames),
            "median_frames": statistics.median(frames),
            "longest_frames": max(frames),
            "total_s": round(total_s, 3),
        }

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What makes results wrong or incomplete, one sentence each; decides the exit code."""
        found: list[str] = []
        if shared := self.manifest.findings.shared:
            found.append(f"{_count(shared, 'overlap')} of folds: what is tested was trained on")
        if self.leaks:
            found.append(f"{_count(self.leaks, 'leak')} between splits: what is tested was trained on")
        if self.unreadable:
            found.append(f"{_count(self.unreadable, 'video')} cannot be read")
        if self.partial:
            found.append(f"{_count(self.partial, 'video')} lost frames")
        if self.beyond:
            found.append(f"{_count(self.beyond, 'segment')} without a frame: behind the end of the video")
        if self.overlabeled:
            found.append(f"{_count(self.overlabeled, 'video')} with labels behind the last frame: frames count from 0")
        if self.manifest.findings.mislabeled:
            found.append(
                f"{len(self.manifest.findings.mislabeled):,} mislabeled: place, name or list contradicts the label"
            )
        return tuple(found)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What deserves a look, one sentence each."""
        return tuple(self._warnings())

    @property
    def exit_code(self) -> ExitCode:
        """What the command line ends with.

        BAD_DATA (4) on a leak or on official folds that share something, which makes every figure worthless;
        SOME_FAILED (3) on any other problem: videos are unreadable, partial or mislabeled, or segments begin or labels
        lie behind the end; else DONE.
        """
        if self.leaks or self.manifest.findings.shared:
            return ExitCode.BAD_DATA
        return ExitCode.SOME_FAILED if self.problems else ExitCode.DONE

    def to_dict(self) -> dict[str, Any]:
        """The whole report, JSON-ready; the root appears only where an error names its file."""
        manifest, findings = self.manifest, self.manifest.findings
        return {
            "dataset": manifest.to_dict(),
            "exit_code": int(self.exit_code),
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "notes": list(findings.notes),
            "counts": self.counts,
            "groups": self.by_group,
            "unreadable": [{"path": video.path, "error": video.problems[0]} for video in self.unreadable],
            "partial": [
                {
                    "path": video.path,
                    "frames_declared": video.frames_declared,
                    "frames_decoded": video.frames_decoded,
                    "problems": list(video.problems),
                }
                for video in self.partial
            ],
            "short_frames": self.short_frames,
            "short": [
                {"path": item.path, "start_s": item.start_s, "end_s": item.end_s, "frames": frames}
                for item, frames in self.short
            ],
            "past_end": [
                {"path": item.path, "start_s": item.start_s, "end_s": item.end_s, "by_s": round(over, 3)}
                for item, over in self.past_end
            ],
            "shared": list(findings.shared),
            "mislabeled": list(findings.mislabeled),
            "overlabeled": [
                {"path": video.path, "frames_labeled": end, "frames_decoded": video.frames_decoded}
                for video, end in self.overlabeled
            ],
            "duplicates": [list(paths) for paths in self.duplicates],
            "leaks": [
                {
                    "kind": leak.kind,
                    "what": leak.what,
                    "splits": {split: list(paths) for split, paths in leak.paths},
                }
                for leak in self.leaks
            ],
            "empty_classes": list(self.empty_classes),
            "similar_labels": [list(names) for names in self.similar_labels],
            "histograms": self.histograms,
            "lengths": self.lengths,
            "ignored": list(findings.ignored),
            "missing": list(findings.missing),
            "unlisted": list(findings.unlisted),
            "videos": [{**asdict(video), "problems": list(video.problems)} for video in self.videos],
        }

    def _warnings(self) -> Iterable[str]:
        if self.short:
            less = f"shorter than {self.short_frames} frames"
            yield f"{_count(self.short, 'video')} {less}: one padded clip each"
        if self.past_end:
            item, over = self.past_end[0]
            times = f"{item.start_s or 0.0:g} to {item.end_s:g} s"
            named = f"{item.path}, {times}, by {over:.2f} s"
            yield f"{_count(self.past_end, 'segment')} longer than the video: {named}"
        if self.duplicates:
            groups = {item.path: item.own_group for item in self.manifest.items}
            apart = [paths for paths in self.duplicates if len({groups[path] for path in paths}) > 1]
            # Where splits exist, the leak check has said it already.
            more = "; a random split may separate them" if apart and not self.manifest.splits else ""
            named = " = ".join(self.duplicates[0])
            yield f"{_count(self.duplicates, 'content')} more than once under different names: {named}{more}"
        labels = {item.path: item.label for item in self.manifest.items}
        torn = [paths for paths in self.duplicates if len({labels[path] for path in paths}) > 1]
        if torn:
            yield f"the same content has different labels: {' = '.join(torn[0])}"
        for names in self.similar_labels:
            yield f"these classes are probably one: {', '.join(map(repr, names))}"
        if self.empty_classes:
            named = first_few(self.empty_classes, shown=5)
            yield f"{_count(self.empty_classes, 'class', 'classes')} without a readable video: {named}"
        if self.one_sided:
            label, missing = next(iter(self.one_sided.items()))
            others = list(self.one_sided)[1:]
            more = f", and {_count(others, 'more class', 'more classes')}" if others else ""
            yield f"not every class is in every split: {label} is missing from {', '.join(missing)}{more}"
        assumed = [video for video in self.videos if video.fps_source == "assumed"]
        if assumed:
            folders = _count(assumed, "frame folder")
            yield f"{folders} without a frame rate: 25 frames/s are assumed, say it with --fps"
        several = list(dict.fromkeys(item.path for item in self.manifest.items if len(item.every_label) > 1))
        if several:
            verb = "has" if len(several) == 1 else "have"
            yield f"{_count(several, 'video')} {verb} several labels; the table counts the first"
        unlisted = self.manifest.findings.unlisted
        if unlisted:
            named = first_few(unlisted, shown=3)
            yield f"{_count(unlisted, 'video')} in the folder that the list does not name: {named}"

    def _length_step(self, frames: int) -> int:
        """0 for short ones, then one step for each doubling."""
        return (frames // self.short_frames).bit_length()

    def _length_name(self, step: int) -> str:
        if step == 0:
            return f"under {self.short_frames}"
        return f"{self.short_frames << (step - 1)}-{(self.short_frames << step) - 1}"


def _count(things: tuple[Any, ...] | list[Any], one: str, many: str | None = None) -> str:
    return f"{len(things):,} {one if len(things) == 1 else many or one + 's'}"
