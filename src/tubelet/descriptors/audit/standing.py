"""What became of the videos of a table, and whether all their rows are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.audit.remaking import recorded_sampling
from tubelet.descriptors.request import VideoRequest, span_of
from tubelet.video.fingerprint import FileStamp, content_hash, file_stamp

State = Literal["same", "touched", "changed", "unknown", "missing", "unreadable", "incomplete", "repeated"]

_PHRASES = {
    "changed": "changed since",
    "missing": "missing",
    "unreadable": "cannot be read now",
    "incomplete": "without all rows",
    "repeated": "with a row more than once",
}


@dataclass(frozen=True)
class VideoCheck:
    """One video.

    Attributes
    ----------
    video_id, path
        Which, and what was read.
    state
        ``"same"``; ``"touched"``: another time or place, the same content; ``"changed"``: other content;
        ``"unknown"``: the table does not say what it was; ``"missing"``, ``"unreadable"``; ``"incomplete"``,
        ``"repeated"``: of its rows.
    detail
        In words.
    """

    video_id: str
    path: str
    state: State
    detail: str = ""

    @property
    def serious(self) -> bool:
        """Whether the table is not as recorded because of it."""
        return self.state in _PHRASES

    @property
    def phrase(self) -> str:
        """The state as a phrase behind "3 videos"."""
        return _PHRASES.get(self.state, self.state)


def look_at_video(request: VideoRequest, source: Path, facts: Mapping[str, Any]) -> VideoCheck:
    """Whether what is read for a video, itself or its stored flow, is what was read then.

    The content is hashed even where size and time are the same: a file can be replaced with its time kept.

    Raises
    ------
    VideoError
        It cannot be read.
    """
    what = "the video" if source == request.path else "its stored flow"
    then = facts.get("content_sha256")
    if then is None:
        return VideoCheck(request.video_id, str(source), "unknown", f"what {what} was is not recorded")
    stamp = file_stamp(source)
    old = FileStamp(facts["file_size"], facts["file_mtime_ns"])
    if content_hash(source) == then:
        if stamp == old:
            return VideoCheck(request.video_id, str(source), "same")
        return VideoCheck(request.video_id, str(source), "touched", "has another time of change and the same content")
    sizes = f"{stamp.size:,} bytes, as then"
    if stamp.size != old.size:
        sizes = f"{old.size:,} bytes then, {stamp.size:,} now"
    kept = ", and with the same time of change" if stamp == old else ""
    return VideoCheck(request.video_id, str(source), "changed", f"{what} has other content ({sizes}{kept})")


def incomplete_videos(table: RecordedTable) -> list[VideoCheck]:
    """Videos whose number of rows is not what their frames and sampling give, and rows that stand twice.

    Videos of spans are not counted: how many frames lie in them is not recorded.
    """
    found = [
        VideoCheck(video_id, "", "repeated", f"clip {index} has more than one row")
        for video_id, index in table.repeated
    ]
    if table.whole_videos:
        return found
    rows = Counter(table.places.video_id.tolist())
    for video_id, facts in table.videos.items():
        frames, text = facts.get("frames_decoded"), facts.get("sampling")
        if frames is None or text is None or span_of(video_id)[0] != video_id:
            continue
        # Where clips lie at random, their places depend on the generator, but not their number.
        expected = len(recorded_sampling(table, text).indices(frames, np.random.default_rng(0)))
        if rows[video_id] != expected:
            path = str(facts.get("path") or "")
            detail = f"{rows[video_id]} rows, and {frames} frames give {expected}"
            found.append(VideoCheck(video_id, path, "incomplete", detail))
    return found
