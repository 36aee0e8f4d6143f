"""What weights remember of their training videos, so that nobody tests on those unknowingly."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tubelet.datasets.manifest import Manifest
from tubelet.errors import UsageError
from tubelet.models.folder import read_provenance

_log = logging.getLogger(__name__)


def trained_on(
    manifest: Manifest, weights: str | os.PathLike[str] | None = None, further: Sequence[Manifest] = ()
) -> dict[str, Any]:
    """The training set in a model's provenance.

    Groups are stored as hashes: they tell whether a group was seen, not what the videos are called.

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
    return {
        "dataset": manifest.name,
        "manifest_hash": manifest.hash,
        "videos": len(manifest),
        "classes": list(manifest.classes),
        "splits": list(manifest.splits),
        "group_hashes": list(manifest.group_hashes),
        **({} if before is None else {"before": before}),
        **({"with": [trained_on(one) for one in further]} if further else {}),
    }


def refuse_seen_groups(weights: str | os.PathLike[str], test: Manifest, *, allow: bool = False) -> list[str]:
    """Refuse to test on groups that weights were trained on.

    Parameters
    ----------
    weights
        Model folder that is tested, or from which training will start.
    test
        The videos to be tested on.
    allow
        Do not refuse; return what is to be noted beside every figure.

    Returns
    -------
    list of str
        Notes; empty where no group was seen. Weights without provenance are logged: nothing is known of them.

    Raises
    ------
    UsageError
        If groups were seen and this is not allowed.
    """
    provenance = read_provenance(weights)
    history = None if provenance is None else provenance.get("trained_on")
    if history is None:
        _log.warning("the weights do not say what they were trained on, so a leak would not be seen: %s", weights)
        return []
    shared = len(_groups(history) & set(test.group_hashes))
    if not shared:
        return []
    found = f"the weights were trained on {shared} of the {len(test.groups)} test groups"
    if not allow:
        raise UsageError(
            found,
            path=weights,
            why="figures on videos that were seen in training say nothing",
            remedy="hold out other groups (--test-groups), or mark the result with --allow-leak",
        )
    return [found]


def refuse_shared_groups(further: Sequence[Manifest], test: Manifest, *, allow: bool = False) -> list[str]:
    """Refuse to test on groups that a further training set holds; ``allow`` and the notes as `refuse_seen_groups`.

    Raises
    ------
    UsageError
        If groups are shared and this is not allowed.
    """
    notes = []
    for one in further:
        shared = len(set(one.group_hashes) & set(test.group_hashes))
        if not shared:
            continue
        found = f"the further training set {one.name} holds {shared} of the {len(test.groups)} test groups"
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

    Names decide, of data set and group: the same videos under other names are not known again.
    """
    seen = _groups((provenance or {}).get("trained_on"))
    return [group in seen for group in manifest.item_group_hashes]


def _groups(history: Mapping[str, Any] | None) -> set[str]:
    if history is None:
        return set()
    seen = set(history["group_hashes"]) | _groups(history.get("before"))
    return seen.union(*(_groups(one) for one in history.get("with", ())))
