"""What weights remember of their training videos, so that nobody tests on those unknowingly."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

from tubelet.datasets.content import content_keys, key_sizes
from tubelet.datasets.groups import ucf_source
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import UsageError
from tubelet.models.folder import read_provenance
from tubelet.protocols.leaked import of_test
from tubelet.protocols.lookalikes import refuse_copies
from tubelet.provenance import hash_json

_log = logging.getLogger(__name__)


def trained_on(
    manifest: Manifest, weights: str | os.PathLike[str] | None = None, further: Sequence[Manifest] = ()
) -> dict[str, Any]:
    """The training set in a model's provenance.

    Groups and sources are stored as hashes: they tell whether one was seen, not what the videos are called. The
    contents of the videos are hashed, too, so that they are known again under another name, in another data set, or
    where they were trained on without labels.

    Parameters
    ----------
    manifest
        The training videos.
    weights
        Model folder from which training started: what that one had seen is remembered too, under ``before``.
    further
        Training videos of further data sets, each learned by a head of its own; under ``with``.
    """
    before = None if weights is None else (read_provenance(weights) or {}).get("trained_on")
    sources = sorted({source for source in _sources(manifest) if source is not None})
    return {
        "dataset": manifest.name,
        "manifest_hash": manifest.hash,
        "videos": len(manifest),
        "classes": list(manifest.classes),
        "splits": list(manifest.splits),
        "group_hashes": list(manifest.group_hashes),
        **({"source_hashes": sources} if sources else {}),
        "content_keys": sorted(set(content_keys(_files(manifest)).values())),
        **({} if before is None else {"before": before}),
        **({"with": [trained_on(one) for one in further]} if further else {}),
    }


def refuse_seen_groups(
    weights: str | os.PathLike[str], test: Manifest, *, allow: bool = False, workers: int = 1
) -> list[str]:
    """Refuse to test on groups that weights were trained on, and on videos that look like those of training.

    Parameters
    ----------
    weights
        Model folder that is tested, or from which training will start.
    test
        The videos to be tested on.
    allow
        Do not refuse; return what is to be noted beside every figure.
    workers
        Processes that decode the test videos where weights remember what training looked like, see
        `tubelet.protocols.lookalikes`.

    Returns
    -------
    list of str
        Notes; empty where no group was seen. Weights without provenance are logged: nothing is known of them.

    Raises
    ------
    UsageError
        If groups or copies were seen and this is not allowed.
    """
    provenance = read_provenance(weights)
    if provenance is None or provenance.get("trained_on") is None:
        _log.warning("the weights do not say what they were trained on, so a leak would not be seen: %s", weights)
        return []
    seen = seen_items(provenance, test)
    others = replace(test, items=tuple(item for item, known in zip(test.items, seen, strict=True) if not known))
    shared = len(set(compress(test.item_groups, seen)))
    if not shared:
        return refuse_copies(weights, others, allow=allow, workers=workers)
    found = f"the weights were trained on {of_test(shared, len(test.groups), 'groups')}"
    if not allow:
        raise UsageError(
            found,
            path=weights,
            why="figures on videos that were seen in training say nothing",
            remedy="hold out other groups (--test-groups), or mark the result with --allow-leak",
        )
    return [found, *refuse_copies(weights, others, allow=True, workers=workers)]


def unknown_training(weights: str | os.PathLike[str]) -> list[str]:
    """What is to be noted beside figures of weights that do not say what they were trained on; empty where they do."""
    if (read_provenance(weights) or {}).get("trained_on") is not None:
        return []
    return ["what the weights were trained on is not known, so a leak would not be seen"]


def refuse_shared_groups(further: Sequence[Manifest], test: Manifest, *, allow: bool = False) -> list[str]:
    """Refuse to test on groups that a further training set holds; ``allow`` and the notes as `refuse_seen_groups`.

    Raises
    ------
    UsageError
        If groups are shared and this is not allowed.
    """
    notes = []
    for one in further:
        shared = _seen_groups({"trained_on": trained_on(one)}, test)
        if not shared:
            continue
        found = f"the further training set {one.name} holds {of_test(shared, len(test.groups), 'groups')}"
        if not allow:
            raise UsageError(
                found,
                path=one.root,
                why="figures on videos that were seen in training say nothing",
                remedy="take another data set, or mark the result with --allow-leak",
            )
        notes.append(found)
    return notes


def seen_items(provenance: Mapping[str, Any] | None, manifest: Manifest) -> list[bool]:
    """For each of the manifest's items, whether a model of this provenance was trained on its group.

    A group was seen if its name was, in a data set of this name; or if one of its videos was: by the content, which is
    read only where a training video had as many bytes, or as another cut from the same source, by a name like UCF101's.
    """
    history = (provenance or {}).get("trained_on")
    names = _remembered(history, "group_hashes") | _remembered(history, "source_hashes")
    contents = _remembered(history, "content_keys")
    keys = content_keys(_files(manifest), key_sizes(contents)) if contents else {}
    found = [
        group in names or source in names or keys.get(item.path) in contents
        for item, group, source in zip(manifest.items, manifest.item_group_hashes, _sources(manifest), strict=True)
    ]
    groups = set(compress(manifest.item_groups, found))
    return [group in groups for group in manifest.item_groups]


def seen_files(provenance: Mapping[str, Any] | None, paths: Sequence[Path]) -> list[bool]:
    """For each video, whichever data set it is of, whether what has this provenance was trained on it or its source."""
    return [seen_items(provenance, Manifest(".", path.parent, (Item(path.name, None),), ()))[0] for path in paths]


def _seen_groups(provenance: Mapping[str, Any], test: Manifest) -> int:
    return len(set(compress(test.item_groups, seen_items(provenance, test))))


def _remembered(history: Mapping[str, Any] | None, kind: str) -> set[str]:
    if history is None:
        return set()
    seen = set(history.get(kind, ())) | _remembered(history.get("before"), kind)
    return seen.union(*(_remembered(one, kind) for one in history.get("with", ())))


def _sources(manifest: Manifest) -> list[str | None]:
    """What each item was cut from, as a hash, where its name says it whatever the data set is called."""
    sources = map(ucf_source, (item.path for item in manifest.items))
    return [None if source is None else hash_json(["v_class_group", source])[:16] for source in sources]


def _files(manifest: Manifest) -> dict[str, Path]:
    return {item.path: manifest.root / item.path for item in manifest.items}
