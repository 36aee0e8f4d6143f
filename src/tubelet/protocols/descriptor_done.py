"""What an SVM's figure on descriptor tables was made with, in the words of the published lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tubelet.datasets.splits import Fold
from tubelet.descriptors.video_vectors import VideoVectors
from tubelet.models.folder import read_provenance
from tubelet.protocols.comparable import ONE_VIDEO_OUT, Done, official, seen_by

UNTRAINED = "untrained:"
"""What ``weights_sha256`` begins with where nobody trained the network."""

_DENSE = {"policy": "dense", "stride_frames": 8}
_SCENES = ("yupenn", "maryland")
_OBJECTS = "objects"


def done_by_descriptors(
    folds: Sequence[Fold], tables: Sequence[VideoVectors], n: int, options: Mapping[str, Any], *, clips: bool = False
) -> Done | None:
    """What is to be compared; None where no line in print can be.

    Parameters
    ----------
    folds
        One on an official split; or those of a scenes data set, each with one video left out.
    tables
        Side by side.
    n
        Test videos (clips) counted.
    options
        Of the protocol: ``pca``, ``zscore``, for clips ``window_frames`` and ``least_frames``.
    clips
        Whether clips are judged, of frame-labeled objects, and not videos.
    """
    where = _where(folds, clips)
    names = [_network(table) for table in tables]
    if where is None or "" in names:
        return None
    own = [table for table in tables if table.facts]
    done = Done(
        *where,
        "svm",
        " + ".join(sorted(set(names))),
        options=options,
        weights=_same([_seen(table) for table in own]),
        views=_same([_views(table) for table in own]),
        recipe=_same([str(table.facts.get("recipe") or "") for table in own]),
        tables=len(tables),
        videos=n,
        classes=len({item.label for fold in folds for item in fold.test.items}),
        fps=folds[0].test.fps,
    )
    return replace(done, metrics=("clip accuracy",)) if clips else done


def leaves_one_out(folds: Sequence[Fold]) -> bool:
    """Whether every fold tests on one video alone."""
    return len(folds) > 1 and all(len({item.path for item in fold.test.items}) == 1 for fold in folds)


def _where(folds: Sequence[Fold], clips: bool) -> tuple[str, str] | None:
    name = folds[0].test.name
    if clips:
        return ("egocentric", "") if name == _OBJECTS else None
    if name in _SCENES:
        return (name, ONE_VIDEO_OUT if leaves_one_out(folds) else "leave one group out") if len(folds) > 1 else None
    return official(name) if len(folds) == 1 else None


def _same(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ""


def _network(table: VideoVectors) -> str:
    """The network, or what the user calls a table of another kind, such as ``idt``."""
    return str(table.facts.get("model") or "") if table.facts else table.name


def _seen(table: VideoVectors) -> str:
    if str(table.facts.get("weights_sha256") or "").startswith(UNTRAINED):
        return "nothing: random weights"
    named = table.facts.get("model_source")
    return "" if named is None or not Path(named).is_dir() else seen_by(read_provenance(named))


def _views(table: VideoVectors) -> str:
    try:
        sampling = json.loads(str(table.facts.get("sampling")))
    except ValueError:
        return ""
    same = isinstance(sampling, dict) and all(sampling.get(key) == value for key, value in _DENSE.items())
    return "dense" if same else ""
