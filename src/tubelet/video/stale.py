"""Of which videos something has to be computed: the new ones and exactly those whose stored result became stale."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tubelet.errors import InputDataError, TubeletError, UsageError
from tubelet.video.fingerprint import content_hash, file_stamp


class SourceRecord(Protocol):
    """What a stored result says of the video it was computed from: its bytes, time and content."""

    @property
    def source_size(self) -> int: ...
    @property
    def source_mtime_ns(self) -> int: ...
    @property
    def source_sha256(self) -> str: ...


@dataclass
class StorePlan:
    """What a run over videos will do.

    Attributes
    ----------
    todo
        Ids of the videos to be computed, in order.
    reasons
        Why, by id: ``"new"``, ``"settings"``, ``"file"`` (the video changed) or ``"damaged"``.
    targets
        Where the result of each video lies or shall lie.
    skipped
        Ids of videos whose result is right as it is.
    missing
        Videos that cannot be looked at, or whose result has no place, with the error.
    """

    todo: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    targets: dict[str, Path] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    missing: list[tuple[str, TubeletError]] = field(default_factory=list)


def plan_store(
    videos: Mapping[str, Path], targets: Mapping[str, Path], why: Callable[[Path, Path], str | None]
) -> StorePlan:
    """Compare what is wanted with what is stored; nothing is decoded or written.

    Parameters
    ----------
    videos
        Path of each video, by id.
    targets
        Where the result of each lies or shall lie.
    why
        Called with a video's path and its target, after the video was seen to be there: a reason of
        `StorePlan.reasons`, or None if nothing has to be done. What it raises of ``InputDataError`` and
        ``UsageError`` makes the video one of those that are missing.
    """
    plan = StorePlan(targets=dict(targets))
    for video_id, path in videos.items():
        try:
            file_stamp(path)  # a video that is not there is an error, whatever is stored
            reason = why(path, plan.targets[video_id])
        except (InputDataError, UsageError) as error:
            plan.missing.append((video_id, error))
            continue
        if reason is None:
            plan.skipped.append(video_id)
        else:
            plan.todo.append(video_id)
            plan.reasons[video_id] = reason
    return plan


def same_source(path: str | os.PathLike[str], record: SourceRecord) -> bool:
    """Whether a video is still the one that a result was computed from.

    It counts as unchanged when its size and modification time are the recorded ones; else, when its content has the
    recorded hash.

    Raises
    ------
    InputDataError
        It cannot be looked at.
    """
    stamp = file_stamp(path)
    if (record.source_size, record.source_mtime_ns) == (stamp.size, stamp.mtime_ns):
        return True
    # The time changes when a file is copied or touched; only the content says whether it is another video.
    return stamp.size == record.source_size and content_hash(path) == record.source_sha256
