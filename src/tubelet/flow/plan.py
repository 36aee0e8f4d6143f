"""Of which videos flow has to be computed: the new ones and exactly those whose stored flow became stale."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tubelet.errors import UsageError
from tubelet.flow.check import looks_complete, read_record
from tubelet.flow.layout import store_path
from tubelet.flow.record import RECORD_FILE, FlowSettings
from tubelet.video.stale import StorePlan, plan_store, same_source


def plan_flow(videos: Mapping[str, Path], out: str | os.PathLike[str], settings: FlowSettings) -> StorePlan:
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
    targets = _targets(videos, Path(out), settings)
    return plan_store(videos, targets, lambda path, target: _why(path, target, settings, parameters))


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
