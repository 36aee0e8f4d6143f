"""What an SVM's figure on descriptor tables was made with, in the words of the published lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tubelet.clips.sampling import Sampling
from tubelet.datasets.splits import Fold
from tubelet.descriptors.video_vectors import ENCODING, NO_NETWORK, VectorTable
from tubelet.models.folder import read_config, read_provenance
from tubelet.protocols.comparable import ONE_VIDEO_OUT, Done, official, seen_by
from tubelet.protocols.views import name_of

_log = logging.getLogger(__name__)

UNTRAINED = "untrained:"
"""What ``weights_sha256`` begins with where nobody trained the network."""
UNTRAINED_WEIGHTS = "nothing: random weights"
"""What such weights were trained on."""

_SCENES = ("yupenn", "maryland")
_OBJECTS = "objects"


def done_by_descriptors(
    folds: Sequence[Fold], tables: Sequence[VectorTable], n: int, options: Mapping[str, Any], *, clips: bool = False
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
        Of the protocol: ``pca``, ``zscore``, for clips ``window_frames`` and ``least_frames``; ``encoding`` is added
        where trajectories are among the tables.
    clips
        Whether clips are judged, of frame-labeled objects, and not videos.
    """
    where = _where(folds, clips)
    names = [_network(table) for table in tables]
    if where is None or "" in names:
        return None
    own = [table for table in tables if table.facts and not table.facts.get(NO_NETWORK)]
    learned = sorted({str(table.facts[ENCODING]["kind"]) for table in tables if ENCODING in table.facts})
    done = Done(
        *where,
        "svm",
        " + ".join(sorted(set(names))),
        options={**options, **({"encoding": " + ".join(learned)} if learned else {})},
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


def model_of_table(table: Path, named: str | None, weights_sha256: str | None) -> Path | None:
    """The model folder that made a table, if it is still there and still holds those weights.

    Parameters
    ----------
    table
        Where the table lies, for a warning.
    named, weights_sha256
        What the table says of the network: `tubelet.descriptors.runner.model_source_of`, and its column.
    """
    places = [] if named is None else [Path(named), Path(named) / "model"]  # a run holds its model
    folder = next((place for place in places if (place / "config.json").is_file()), None)
    if folder is None:
        return None
    if read_config(folder).weights_sha256 != weights_sha256:
        _log.warning("%s was made by other weights than those that lie in %s now", table, folder)
        return None
    return folder


def _where(folds: Sequence[Fold], clips: bool) -> tuple[str, str] | None:
    name = folds[0].test.name
    if clips:
        return ("egocentric", "") if name == _OBJECTS else None
    if name in _SCENES:
        return (name, ONE_VIDEO_OUT if leaves_one_out(folds) else "leave one group out") if len(folds) > 1 else None
    return official(name) if len(folds) == 1 else None


def _same(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ""


def _network(table: VectorTable) -> str:
    """The network, or what the user calls a table of another kind, such as ``idt``."""
    return str(table.facts.get("model") or "") if table.facts else table.name


def _seen(table: VectorTable) -> str:
    if str(table.facts.get("weights_sha256") or "").startswith(UNTRAINED):
        return UNTRAINED_WEIGHTS
    source = model_of_table(table.path, table.facts.get("model_source"), table.facts.get("weights_sha256"))
    return "" if source is None else seen_by(read_provenance(source))


def _views(table: VectorTable) -> str:
    sampling = table.facts.get("sampling")
    return "" if sampling is None else name_of(Sampling.from_dict(json.loads(str(sampling))))
