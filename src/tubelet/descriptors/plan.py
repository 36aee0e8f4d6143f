"""Which videos a run has to describe: the new ones and exactly those whose rows became stale."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tubelet.clips.sampling import Sampling
from tubelet.descriptors.request import VideoRequest
from tubelet.descriptors.store import DescriptorTable
from tubelet.errors import InputDataError, TubeletError
from tubelet.video.fingerprint import FileStamp, content_hash, file_stamp


@dataclass(frozen=True)
class Making:
    """How rows are made; rows made otherwise are stale.

    Attributes
    ----------
    layers
        Layers that every row must have; more of them in the table do no harm.
    model, weights_sha256, recipe_hash, sampling, precision
        As in the table.
    """

    layers: tuple[str, ...]
    model: str
    weights_sha256: str
    recipe_hash: str
    sampling: str
    precision: str


_REASONS = (
    ("model", "weights"),
    ("weights_sha256", "weights"),
    ("recipe_hash", "recipe"),
    ("sampling", "sampling"),
    ("precision", "precision"),
)


@dataclass
class Plan:
    """What a run will do.

    Attributes
    ----------
    todo
        Videos to describe, in order.
    reasons
        Why, by ``video_id``: ``"new"``, ``"weights"``, ``"recipe"``, ``"sampling"``, ``"precision"``,
        ``"layers"``, ``"fps"``, ``"file"`` (the video changed), ``"flow"`` (the stored flow that is read for it
        changed) or ``"incomplete"``.
    sources
        What is read for each of them, by ``video_id``: the video, or its stored flow.
    stamps
        Size and time of these before reading, by ``video_id``.
    present
        Rows that the table already has of each video.
    skipped
        Videos whose rows are right as they are.
    missing
        Videos that cannot be looked at, with the error.
    """

    todo: list[VideoRequest] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    sources: Mapping[str, Path] = field(default_factory=dict)
    stamps: dict[str, FileStamp] = field(default_factory=dict)
    present: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    missing: list[tuple[VideoRequest, TubeletError]] = field(default_factory=list)


def plan_extraction(
    requests: Sequence[VideoRequest],
    making: Making,
    table: DescriptorTable | None,
    sources_of: Callable[[Sequence[VideoRequest]], Mapping[str, Path]],
) -> Plan:
    """Compare what is wanted with what the table has.

    What is read counts as unchanged when its size and modification time are the recorded ones; else, when its
    content has the recorded hash.

    Parameters
    ----------
    requests
        The videos wanted.
    making
        How they shall be described.
    table
        The table as it is, or None.
    sources_of
        `tubelet.descriptors.extractor.Extractor.sources`, of the videos that are there; what it raises passes on.
    """
    plan = Plan()
    states: dict[str, dict[str, Any]] = {}
    lacking: set[str] = set()
    if table is not None:
        states, plan.present = table.states(), table.clip_counts()
        known = [layer for layer in making.layers if layer in table.layers]
        lacking = table.without(known) if len(known) == len(making.layers) else set(states)
    there: list[VideoRequest] = []
    for request in requests:
        try:
            file_stamp(request.path)
            there.append(request)
        except InputDataError as error:
            plan.missing.append((request, error))
    plan.sources = sources_of(there)
    for request in there:
        source = plan.sources[request.video_id]
        try:
            stamp = file_stamp(source)
            state = states.get(request.video_id)
            reason = "new" if state is None else _why_stale(request, making, state, source, stamp)
        except InputDataError as error:
            plan.missing.append((request, error))
            continue
        if reason is None and request.video_id in lacking:
            reason = "layers"
        if reason is None and state is not None and not _complete(request, state, plan.present[request.video_id]):
            reason = "incomplete"
        if reason is None:
            plan.skipped.append(request.video_id)
        else:
            plan.todo.append(request)
            plan.reasons[request.video_id] = reason
            plan.stamps[request.video_id] = stamp
    return plan


def _why_stale(
    request: VideoRequest, making: Making, state: Mapping[str, Any], source: Path, stamp: FileStamp
) -> str | None:
    for column, reason in _REASONS:
        if state[column] != getattr(making, column):
            return reason
    given = state["fps"] if state["fps_source"] == "given" else None
    if request.fps != given:
        return "fps"
    if stamp == FileStamp(state["file_size"], state["file_mtime_ns"]):
        return None
    # The time changes when a file is copied or touched; only the content says whether it is another video.
    same = stamp.size == state["file_size"] and content_hash(source) == state["content_sha256"]
    return None if same else "file" if source == request.path else "flow"


def _complete(request: VideoRequest, state: Mapping[str, Any], rows: int) -> bool:
    """Whether there is a row per clip: not so if a kill fell between the two commits of a replacement."""
    if request.is_span:
        return rows > 0  # the number of frames within the span is not recorded
    sampling = Sampling.from_dict(json.loads(state["sampling"]))
    return rows == len(sampling.of_video(request.video_id, state["frames_decoded"]))
