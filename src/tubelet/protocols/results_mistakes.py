"""What the best system gets wrong: the classes that it confuses most, and film strips of those videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tubelet.clips.decode import ClipDecoder
from tubelet.errors import TubeletError
from tubelet.protocols.film import middle_frames
from tubelet.protocols.result import Prediction
from tubelet.protocols.runs import Run
from tubelet.protocols.systems import System
from tubelet.reporting.confusion import Confusion, most_confused
from tubelet.reporting.figure import Figure
from tubelet.reporting.filmstrip import example_strips
from tubelet.reporting.strips import Strip
from tubelet.reporting.text import printable

PAIRS, _VIDEOS = 6, 2
_SHOWN_PAIRS = 4


@dataclass(frozen=True)
class Mistakes:
    """The most confused pairs of classes.

    Attributes
    ----------
    pairs
        By number of videos.
    videos
        For each pair the videos, the surest mistakes first.
    """

    pairs: tuple[Confusion, ...]
    videos: tuple[tuple[Prediction, ...], ...]


def mistakes_of(system: System) -> Mistakes:
    """The pairs of classes that a system confuses most; none where every video is right."""
    result = system.result
    if not result.confusion:
        return Mistakes((), ())
    pairs = most_confused(result.confusion, result.classes, PAIRS)
    # The pairs have printable names; the videos are found by the names as they are.
    names = {printable(name): name for name in result.classes}
    videos = tuple(tuple(system.wrong(names[each.true], names[each.predicted])) for each in pairs)
    return Mistakes(tuple(pairs), videos)


def film_of(mistakes: Mistakes, roots: Sequence[Path], fps: float | None, title: str) -> tuple[Figure | None, str]:
    """Film strips of the surest mistakes; and, where some or all are left out, why.

    Parameters
    ----------
    mistakes
        Of one system.
    roots
        Folders in which the videos may lie, the first that has one counts. Frames are decoded in a child process.
    fps
        Frames per second of folders of frames.
    title
        Of the figure.
    """
    rows: dict[str, list[Strip]] = {}
    missing = 0
    wanted = [
        (f"{pair.true} taken for {pair.predicted}", video)
        for pair, videos in list(zip(mistakes.pairs, mistakes.videos, strict=True))[:_SHOWN_PAIRS]
        for video in videos[:_VIDEOS]
    ]
    if not wanted:
        return None, ""
    if not roots:
        return None, "Film strips are left out: where the videos lie is not recorded; name their folder with `--data`."
    found = [(head, video, path) for head, video in wanted if (path := _file(video.video_id, roots)) is not None]
    if not found:
        where = ", ".join(f"`{root}`" for root in roots)
        return None, f"Film strips are left out: the videos are not at {where}; name their folder with `--data`."
    with ClipDecoder() as decoder:
        for head, video, path in found:
            try:
                frames = middle_frames(path, decoder.measure(path, fps), decoder)
            except TubeletError:  # the figures stand without its picture
                frames = None
            if frames is None:
                missing += 1
                continue
            rows.setdefault(head, []).append(Strip(frames, detail=PurePosixPath(video.video_id).name))
    missing += len(wanted) - len(found)
    left_out = f"{missing} of {len(wanted)} videos could not be read and have no strip." if missing else ""
    if not rows:
        return None, f"Film strips are left out: not one of {len(wanted)} videos could be read."
    caption = "Videos that were taken for another class, the surest mistakes first: moments of each in order."
    return example_strips(rows, frames_shown=4, title=title, caption=caption), left_out


def data_roots(run: Run | None, given: Sequence[Path]) -> list[Path]:
    """Where videos may lie: the folders that were named, and the one that the run's command read."""
    recorded = None if run is None else run.data_folder
    return [*given, *([recorded] if recorded is not None and not given else [])]


def frame_rate(record: Mapping[str, object]) -> float | None:
    """Frames per second of folders of frames, from a data set's record."""
    value = record.get("fps")
    return float(value) if isinstance(value, (int, float)) else None


def _file(video_id: str, roots: Sequence[Path]) -> Path | None:
    """The video below one of the roots; an id never leads out of them."""
    path = PurePosixPath(video_id.partition("#t=")[0])
    if path.is_absolute() or ".." in path.parts:
        return None
    return next((root / path for root in roots if (root / path).exists()), None)
