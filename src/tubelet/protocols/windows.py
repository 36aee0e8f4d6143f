"""Clips of videos whose frames are labeled: which object a clip shows, and what is said of figures on clips.

C3D, section 6: a window of 16 frames is slid over every video, its label is the most frequent label of its frames, and
it is left out of training and test where that label has fewer than 8. The paper does not say what a tie counts as: of
equally frequent labels the one is taken that the window shows first. Frames without an object do not vote.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.objects import NO_OBJECT, FrameLabels
from tubelet.datasets.splits import Fold
from tubelet.descriptors.pooling import l2_normalize
from tubelet.descriptors.request import item_id
from tubelet.descriptors.store import ClipTable, DescriptorTable
from tubelet.descriptors.video_vectors import VideoVectors, choose_layer, table_facts
from tubelet.errors import InputDataError
from tubelet.failures import FailedVideo, read_failures
from tubelet.protocols.bootstrap import MIN_GROUPS, Interval
from tubelet.protocols.result import Result
from tubelet.reporting.text import first_few

LEAST_FRAMES = 8


@dataclass(frozen=True)
class Clips:
    """Said of folds whose items are clips, not videos.

    Attributes
    ----------
    settings
        How they were cut and labeled, JSON-ready.
    compared
        Of these, what published lines state too.
    notes
        What became of the videos' clips, for the reader.
    """

    settings: Mapping[str, Any]
    compared: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WindowCounts:
    """What became of the windows of a set of videos.

    Attributes
    ----------
    windows
        All that lie in them.
    kept
        Those with a label.
    empty
        Without an object in any frame.
    unclear
        With objects, none of them in frames enough.
    ties
        Of those kept: two labels are equally frequent, and the first counts.
    short
        Videos that are shorter than a window and so have none.
    """

    windows: int
    kept: int
    empty: int
    unclear: int
    ties: int
    short: int

    def sentence(self) -> str:
        """For a reader."""
        ties = f" ({self.ties} of them by a tie, where the object seen first counts)" if self.ties else ""
        short = f"; {self.short} videos are shorter than a window" if self.short else ""
        return (
            f"{self.kept} of {self.windows} windows have a label{ties}, {self.empty} show no object, in {self.unclear} "
            f"none is seen long enough{short}"
        )


@dataclass(frozen=True, eq=False)
class ClipVectors:
    """One layer of a table of ours, clip by clip.

    Attributes
    ----------
    clips
        Where each lies, ``(n,)``, and its vector as extracted.
    step_frames, window_frames
        From one frame of a clip to the next, and how many it has.
    by_video
        Rows of each video, by ``video_id``.
    frames
        How many frames each video has.
    vectors
        The same vectors under the ids of the clips (the video's with its seconds), each of length one.
    """

    clips: ClipTable
    step_frames: int
    window_frames: int
    by_video: Mapping[str, Sequence[int]]
    frames: Mapping[str, int]
    vectors: VideoVectors


def top_label(labels: Iterable[int]) -> tuple[int, int, bool]:
    """The most frequent label of a window's frames, in how many it is, and whether another is in as many.

    Frames of `NO_OBJECT` do not count; of equally frequent labels it is the first. Without any: `NO_OBJECT`, 0.
    """
    # Counter keeps the order in which labels are met, and of equal counts most_common names the first met.
    best = Counter(label for label in labels if label != NO_OBJECT).most_common(2)
    if not best:
        return NO_OBJECT, 0, False
    return best[0][0], best[0][1], len(best) > 1 and best[1][1] == best[0][1]


def open_clips(path: Path, layer: str | None = None, name: str | None = None) -> ClipVectors:
    """The clips of a table of ``tubelet extract``.

    Raises
    ------
    InputDataError
        There is no such table, its clips were cut in several ways, or a descriptor is not finite.
    UsageError
        It has no such layer, or several and none is named.
    """
    table = DescriptorTable(path)
    chosen = choose_layer(table.layers, layer, path)
    facts = table_facts(table)
    if facts["sampling"] is None:
        raise InputDataError(
            "the clips of this table were cut in several ways",
            path=path,
            remedy="extract all videos with the same options into one table",
        )
    sampling = json.loads(facts["sampling"])
    clips = table.clips(chosen)
    if not np.isfinite(clips.vectors).all():
        raise InputDataError("a descriptor is not finite", path=path, why="NaN or infinity", remedy="extract it again")
    by_video: dict[str, list[int]] = {}
    for row, video in enumerate(clips.video_id.tolist()):
        by_video.setdefault(video, []).append(row)
    ids = np.array([item_id(_clip_item(Item(video), clips, row)) for video, rows in by_video.items() for row in rows])
    order = np.argsort(ids)
    vectors = l2_normalize(clips.vectors)[order] if len(ids) else clips.vectors
    given = VideoVectors(name or path.stem, path, chosen, ids[order], vectors, facts, read_failures(path))
    frames = {video: int(state["frames_decoded"]) for video, state in table.states().items()}
    return ClipVectors(clips, int(sampling["step_frames"]), int(sampling["clip_length"]), by_video, frames, given)


def labeled_items(
    videos: Manifest, labels: FrameLabels, found: ClipVectors, least_frames: int = LEAST_FRAMES
) -> tuple[dict[str, list[Item]], WindowCounts]:
    """The windows of every video that show an object, and what became of the rest.

    Parameters
    ----------
    videos
        Whole videos; those without clips in the table have no windows.
    labels
        Of their frames.
    found
        Where the windows lie.
    least_frames
        In how many frames of a window its label has to be.

    Returns
    -------
    items, counts
        By path: one item for each window with a label, by time, of the video's split and group (a video that has none
        is its own group).
    """
    classes = labels.classes
    items: dict[str, list[Item]] = {}
    counts: Counter[str] = Counter()
    for video in videos.items:
        rows = found.by_video.get(video.path, ())
        ends = found.clips.end_frame[list(rows)]
        by_frame = labels.by_frame(video.path, int(ends.max(initial=0)))
        items[video.path] = []
        for row in rows:
            if found.clips.padded[row]:
                counts["short"] += 1
                continue
            counts["windows"] += 1
            span = slice(int(found.clips.start_frame[row]), int(found.clips.end_frame[row]), found.step_frames)
            best, frames, tied = top_label(by_frame[span].tolist())
            if frames < least_frames:
                counts["unclear" if frames else "empty"] += 1
                continue
            counts["kept"] += 1
            counts["ties"] += tied
            whole = replace(video, label=classes[best], more_labels=())
            items[video.path].append(_clip_item(whole, found.clips, row))
    names = ("windows", "kept", "empty", "unclear", "ties", "short")
    return items, WindowCounts(**{name: counts[name] for name in names})


def folds_of_windows(
    folds: Sequence[Fold], labels: FrameLabels, found: ClipVectors, least_frames: int = LEAST_FRAMES
) -> tuple[list[Fold], Clips, tuple[FailedVideo, ...]]:
    """Folds of videos as folds of their labeled windows; folds without one to test on fall away.

    Returns
    -------
    folds, clips, failed
        The folds; what is to be said of them; videos that the table does not have.

    Raises
    ------
    InputDataError
        No fold has windows on both sides.
    """
    items = {item.path: item for fold in folds for part in (fold.train, fold.test) for item in part.items}
    videos = replace(folds[0].train, items=tuple(items.values()))
    windows, counts = labeled_items(videos, labels, found, least_frames)
    parts = [
        Fold(fold.name, *(replace(part, items=_of(part, windows)) for part in (fold.train, fold.test)))
        for fold in folds
    ]
    kept = [fold for fold in parts if len(fold.train) and len(fold.test)]
    if not kept:
        raise InputDataError(
            "no fold has windows of objects to train on and to test",
            path=found.vectors.path,
            why=counts.sentence(),
            remedy="check the frame numbers of the labels, and the split",
        )
    # Of n frames there are n - 1 fields of flow, and a table counts what was read.
    late = sorted(path for path in items if path in found.frames and labels.end_of(path) > found.frames[path] + 1)
    notes = [counts.sentence()]
    if late:
        notes.append(f"labels go on behind the last frame of {first_few(late)}, so they may be those of another cut")
    settings = {"window_frames": found.window_frames, "step_frames": found.step_frames, "least_frames": least_frames}
    stride = json.loads(str(found.vectors.facts.get("sampling") or "{}")).get("stride_frames")
    settings |= {} if stride is None else {"stride_frames": int(stride)}
    if len(kept) == 1:
        settings |= {"train": len(kept[0].train), "test": len(kept[0].test)}
    compared = {name: settings[name] for name in ("window_frames", "least_frames")}
    failed = tuple(_missing(videos, path, found.vectors) for path in sorted(items) if path not in found.by_video)
    return kept, Clips({**settings, **asdict(counts)}, compared, tuple(notes)), failed


def units_of_clips(clips: Sequence[Item]) -> list[str]:
    """What is drawn for the intervals: the group of each clip's video, or its video where groups are too few."""
    groups = [clip.own_group for clip in clips]
    return groups if len(set(groups)) >= MIN_GROUPS else [clip.path for clip in clips]


def result_of_clips(result: Result, clips: Sequence[Item]) -> Result:
    """A result on clips, said so; without intervals where whole videos are too few to be drawn."""
    units = units_of_clips(clips)
    drawn = "video" if units == [clip.path for clip in clips] else "group"
    enough = len(set(units)) >= MIN_GROUPS
    note = f"fewer than {MIN_GROUPS} test videos: clips of one video come out alike, so there is no interval"

    def over(interval: Interval | None) -> Interval | None:
        return replace(interval, unit=drawn) if interval is not None and enough else None

    return replace(
        result,
        metric="clip accuracy",
        unit="clip",
        interval=over(result.interval),
        class_mean_interval=over(result.class_mean_interval),
        notes=result.notes if enough else (*result.notes, note),
    )


def _clip_item(video: Item, clips: ClipTable, row: int) -> Item:
    return replace(video, start_s=float(clips.start_s[row]), end_s=float(clips.end_s[row]))


def _of(part: Manifest, windows: Mapping[str, list[Item]]) -> tuple[Item, ...]:
    return tuple(window for item in part.items for window in windows[item.path])


def _missing(videos: Manifest, path: str, vectors: VideoVectors) -> FailedVideo:
    why = vectors.failed.get(path, "it is not in the table")
    return FailedVideo(path, str(videos.root / path), f"no descriptor in {vectors.path}: {why}", "InputDataError")
