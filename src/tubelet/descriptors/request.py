"""Which video shall be described, and what is known of it before it is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import UsageError

_SECONDS = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_SPAN = re.compile(rf"(?P<video>.+)#t=(?P<start>{_SECONDS})?(?:,(?P<end>{_SECONDS}))?", re.DOTALL)


@dataclass(frozen=True)
class VideoRequest:
    """One video, or a span of one.

    Attributes
    ----------
    path
        Where it lies: a file or a folder of numbered JPEG frames.
    video_id
        Its name in tables: the POSIX path relative to the data root, with ``#t=start,end`` for a span.
    label
        Its class, where known.
    fps
        Frame rate to use instead of the file's own (for folders of frames).
    start_s, end_s
        Span in seconds: frames that appear at ``start_s`` or later and before ``end_s``.
    clips
        Only clips of these indices, which count the clips of the span or video; None for all.
    """

    path: Path
    video_id: str
    label: str | None = None
    fps: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    clips: frozenset[int] | None = None

    @property
    def video(self) -> str:
        """The video's name in its data set, whichever span of it is meant."""
        return self.video_id.rpartition("#t=")[0] if self.is_span else self.video_id

    @property
    def root(self) -> Path:
        """The folder that ``video`` is relative to."""
        whole = self.path.as_posix()
        return Path(whole.removesuffix(self.video) or ".") if whole.endswith(f"/{self.video}") else self.path.parent

    @property
    def is_span(self) -> bool:
        """Whether only a part of the video is meant."""
        return self.start_s is not None or self.end_s is not None


def item_id(item: Item) -> str:
    """``video_id`` of a manifest's item: its path, with a W3C media fragment where it is a span."""
    if item.start_s is None and item.end_s is None:
        return item.path
    start = "" if item.start_s is None else f"{item.start_s:.12g}"
    end = "" if item.end_s is None else f",{item.end_s:.12g}"
    return f"{item.path}#t={start}{end}"


def span_of(video_id: str) -> tuple[str, float | None, float | None]:
    """The inverse of `item_id`: a video's name, and start and end in seconds where only a span of it is meant.

    Whoever knows that a file of this very name exists must not ask.
    """
    found = _SPAN.fullmatch(video_id)
    if found is None or not (found["start"] or found["end"]):
        return video_id, None, None
    start_s, end_s = (float(found[name]) if found[name] else None for name in ("start", "end"))
    return found["video"], start_s, end_s


def requests_of(
    source: Manifest | Iterable[str | os.PathLike[str]],
    *,
    root: str | os.PathLike[str] | None = None,
    fps: float | None = None,
) -> list[VideoRequest]:
    """One request per item of a manifest, or per path.

    Parameters
    ----------
    source
        A manifest, or paths of videos.
    root
        For paths: the folder that their ``video_id`` is relative to; by default the folder they have in
        common.
    fps
        Frame rate to use instead of the videos' own; by default the manifest's.

    Raises
    ------
    UsageError
        If a path is given twice or lies outside ``root``.
    """
    if isinstance(source, Manifest):
        rate = source.fps if fps is None else fps
        return [
            VideoRequest(source.file(item), item_id(item), item.label, rate, item.start_s, item.end_s)
            for item in source.items
        ]
    paths = [Path(os.path.abspath(path)) for path in source]
    base = common_root(paths) if root is None else Path(os.path.abspath(root))
    requests = {}
    for path in paths:
        if not path.is_relative_to(base):
            raise UsageError("the video lies outside the root", path=path, remedy=f"move it below {base}")
        video_id = path.relative_to(base).as_posix()
        if video_id in requests:
            raise UsageError("a video is given twice", path=path, remedy="give it once")
        requests[video_id] = VideoRequest(path, video_id, fps=fps)
    return list(requests.values())


def common_root(paths: Iterable[str | os.PathLike[str]]) -> Path:
    """The deepest folder that holds all these videos; the current one where there are none."""
    parents = [os.path.dirname(os.path.abspath(path)) for path in paths]
    try:
        return Path(os.path.commonpath(parents) if parents else os.getcwd())
    except ValueError as error:  # Windows: several drives
        raise UsageError("the videos have no folder in common", remedy="extract them in several runs") from error
