"""The descriptors of a round's videos: a table in the round's folder, made by the round's network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.runner import extract
from tubelet.models.contract import VideoModel
from tubelet.protocols.round_model import MODEL

if TYPE_CHECKING:
    from tubelet.protocols.rounds import RoundSettings

DESCRIPTORS = "descriptors"
"""Folder of the table in that of a round."""


def describe_round(
    videos: Manifest,
    model: VideoModel,
    layers: Sequence[str],
    settings: RoundSettings,
    folder: Path,
    *,
    device: str = "cpu",
) -> list[tuple[str, str]]:
    """Describe videos by a round's network, in float32, into the table of its folder; what is there is not done again.

    Returns
    -------
    list of tuple of str
        ``(video_id, sentence)`` of the videos that could not be read.
    """
    with Extractor(
        model,
        layers,
        stride_frames=settings.stride_frames,
        precision="float32",
        device=device,
        workers=settings.train.workers,
        flow=settings.flow[0] if settings.flow else None,
        any_flow=settings.any_flow,
    ) as extractor:
        summary = extract(videos, extractor, folder / DESCRIPTORS, model_source=os.path.abspath(folder / MODEL))
    return [(failure.video_id, failure.error) for failure in summary.failures]


def joined(*parts: Manifest) -> Manifest:
    """The videos of parts of one data set, each of them once; the rest is the first part's."""
    first = parts[0]
    every = {item.span: item for part in parts for item in part.items}
    return first if len(parts) == 1 else replace(first, items=tuple(every.values()))
