"""Of which videos flow has to be computed: the new ones and exactly those whose stored flow became stale."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tubelet.errors import InputDataError, TubeletError, UsageError
from tubelet.flow.check import looks_complete, read_record
from tubelet.flow.layout import store_path
from tubelet.flow.record import RECORD_FILE, FlowRecord, FlowSettings
from tubelet.video.fingerprint import content_hash, file_stamp


@dataclass
class FlowPlan:
    """What a run will do.

    Attributes
    ----------
    todo
        Ids of the videos to be computed, in order.
    reasons
        Why, by id: ``"new"``, ``"settings"``, ``"file"`` (the video changed) or ``"damaged"``.
    targets
        Where the flow of each video lies or shall lie.
    skipped
        Ids of videos whose flow is right as it is.
    missing
        Videos that cannot be looked at, or whose flow has no place, with the error.
    """

    todo: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    targets: dict[str, Path] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    missing: list[tuple[str, TubeletError]] = field(default_factory=list)


def plan_flow(videos: Mapping[str, Path], out: str | os.PathLike[str], settings: FlowSettings) -> FlowPlan:
    """Compare what is wanted with what is stored; nothing is decoded or written.

    A video counts as unchanged when its size and modification time are the recorded ones; else, when its content
    has the recorded hash.

    Parameters
    ----------
    videos
        Path of each video, by id.
    out
        Folder below which flow is stored.
    settings
        How it shall be computed and stored.

    Raises
    ------
    UsageError
        Two videos would be stored in the same place.
    MissingExtraError
        OpenCV is not installed.
    """
    parameters = settings.parameters()
    plan = FlowPlan(targets=_targets(videos, Path(out), settings))
    for video_id, path in videos.items():
        try:
            reason = _why(path, plan.targets[video_id], settings, parameters)
        except (InputDataError, UsageError) as error:
            plan.missing.append((video_id, error))
            continue
        if reason is None:
            plan.skipped.append(video_id)
        else:
            plan.todo.append(video_id)
            plan.reasons[video_id] = reason
    return plan


def _targets(videos: Mapping[str, Path], out: Path, settings: FlowSettings) -> dict[str, Path]:
    targets: dict[str, Path] = {}
    owners: dict[Path, str] = {}
    for video_id, path in videos.items():
        target = store_path(out, video_id, settings.store, is_folder=path.is_dir())
        other = owners.setdefault(target, video_id)
        if other != video_id:
            raise UsageError(
                f"the flow of {other} and of {video_id} would be stored in the same place",
                path=target,
                remedy="rename one of them, or give the folders one at a time",
            )
        targets[video_id] = target
    for target, video_id in owners.items():
        above = next((owners[parent] for parent in target.parents if parent in owners), None)
        if above is not None:
            raise UsageError(
                f"the flow of {video_id} would be stored inside that of {above}",
                path=target,
                remedy="use --store compact, or give the folders one at a time",
            )
    return targets


def _why(path: Path, target: Path, settings: FlowSettings, parameters: dict[str, Any]) -> str | None:
    """Why flow has to be computed; None if it need not."""
    file_stamp(path)  # a video that is not there is an error, whatever is stored
    if path.is_dir() and os.path.realpath(target) == os.path.realpath(path):
        raise UsageError("the flow would replace the video", path=path, remedy="store it in another folder: -o DIR")
    if not target.exists():
        return "new"
    record = read_record(target)
    if record is None:
        if target.is_dir() and not (target / RECORD_FILE).exists() and any(target.iterdir()):
            raise UsageError(
                "a folder that tubelet flow has not made lies where the flow shall be",
                path=target,
                remedy="store the flow in another folder, or remove this one",
            )
        return "damaged"
    if record.settings != settings or record.parameters != parameters:
        return "settings"
    if not same_source(path, record):
        return "file"
    return None if looks_complete(target, record) else "damaged"


def same_source(path: Path, record: FlowRecord) -> bool:
    """Whether a video is still the one that its flow was computed from.

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
