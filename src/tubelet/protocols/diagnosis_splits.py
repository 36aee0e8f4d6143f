"""Other videos to test on than ours: the suspect that no change of pixels or clips would find."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.request import item_id
from tubelet.protocols.leak import seen_items
from tubelet.provenance import derive_seed

_MOST_FOLDS = 10


def other_videos(
    videos: Manifest,
    parts: tuple[Manifest, Manifest | None] | None,
    part: str,
    provenance: Mapping[str, Any] | None,
    official: Sequence[tuple[str, Manifest]] = (),
) -> list[tuple[str, Manifest]]:
    """Sets of videos that a trained network could have been tested on instead, each with its name.

    Parameters
    ----------
    videos, part
        Those that our figure rests on: the ``test`` or ``train`` part, or ``all``.
    parts
        The training and the test part, where there are such.
    provenance
        The network's: where it remembers that it saw some of ``videos``, the others are a set, too.
    official
        The test parts of other official splits.
    """
    found = list(official)
    if parts is not None and parts[1] is not None and part in ("test", "train"):
        learned, test = parts[0], parts[1]
        found.append(("the training part", learned) if part == "test" else ("the test part", test))
        found.append(("training and test part together", replace(learned, items=(*learned.items, *test.items))))
    seen = seen_items(provenance, videos)
    if any(seen) and not all(seen):
        found.append(("the videos that its weights did not see", videos.select(keep=~np.array(seen))))
    return [(name, one) for name, one in found if {item.span for item in one.items} != _spans(videos)]


def other_folds(folds: Sequence[Fold], official: Sequence[tuple[str, Sequence[Fold]]] = ()) -> list[
    tuple[str, list[Fold]]
]:  # fmt: skip
    """Ways of parting the same videos otherwise, each with its name.

    Parameters
    ----------
    folds
        Those of our figure.
    official
        Other official splits.

    Returns
    -------
    list
        The official ones; training and test part exchanged, where there is one fold; and videos dealt at random, class
        by class, whatever group they belong to: then near copies of what is tested on were trained on.
    """
    found = [(name, list(others)) for name, others in official]
    if len(folds) == 1:
        found.append(("training and test part exchanged", [Fold("exchanged", folds[0].test, folds[0].train)]))
    whole = replace(folds[0].train, items=(*folds[0].train.items, *folds[0].test.items))
    if len(set(whole.groups)) < len(whole):
        found.append(("a random split that ignores groups", _random_folds(whole, folds)))
    return found


def drawn(videos: Manifest, most: int) -> Manifest:
    """At most so many videos, as many of each class as there are of the rarest that is not used up; always the same.

    Within a class they are drawn by a hash of their names, so that not all are of the first groups.
    """
    if len(videos) <= most:
        return videos
    ranked: list[tuple[int, int]] = []
    for members in _by_class(videos).values():
        order = sorted(members, key=lambda index: derive_seed("diagnosis", item_id(videos.items[index])))
        ranked += [(place, index) for place, index in enumerate(order)]
    return videos.select(keep=sorted(index for _, index in sorted(ranked)[:most]))


def drawn_folds(folds: Sequence[Fold], most: int) -> list[Fold]:
    """The folds with at most so many videos in all: of one fold as large a share of both parts, of several those that
    each holds."""
    whole = replace(folds[0].train, items=(*folds[0].train.items, *folds[0].test.items))
    if len(whole) <= most:
        return list(folds)
    if len(folds) == 1:
        tested = max(1, round(most * len(folds[0].test) / len(whole)))
        return [Fold(folds[0].name, drawn(folds[0].train, most - tested), drawn(folds[0].test, tested))]
    kept = _spans(drawn(whole, most))

    def part(manifest: Manifest) -> Manifest:
        return manifest.select(keep=lambda item: item.span in kept)

    return [Fold(fold.name, part(fold.train), part(fold.test)) for fold in folds]


def _random_folds(whole: Manifest, folds: Sequence[Fold]) -> list[Fold]:
    test_share = len(folds[0].test) / len(whole)
    many = min(len(folds), _MOST_FOLDS)
    held_out = np.zeros(len(whole), dtype=np.int64)  # number of the fold that tests on it, from 1; 0: none
    dealt = 0
    for members in _by_class(whole).values():
        order = sorted(members, key=lambda index: derive_seed("random split", item_id(whole.items[index])))
        if len(folds) == 1:
            held_out[order[: round(test_share * len(order))]] = 1
            continue
        for index in order:
            held_out[index] = 1 + dealt % many
            dealt += 1
    return [
        Fold(f"random{number}", whole.select(keep=held_out != number), whole.select(keep=held_out == number))
        for number in range(1, many + 1)
    ]


def _by_class(videos: Manifest) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(videos.items):
        found[str(item.label)].append(index)
    return found


def _spans(videos: Manifest) -> set[tuple[str, float | None, float | None]]:
    return {item.span for item in videos.items}
