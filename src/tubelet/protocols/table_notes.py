"""What has to be known of tables and folds beside a figure: leaks, padded and empty videos, groups on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.request import item_id
from tubelet.descriptors.video_vectors import NO_NETWORK, PADDED, VectorTable, VideoVectors
from tubelet.models.folder import read_provenance
from tubelet.protocols.comparable import seen_by
from tubelet.protocols.descriptor_done import UNTRAINED, model_of_table
from tubelet.protocols.leak import refuse_seen_groups


def table_notes(folds: Sequence[Fold], tables: Sequence[VectorTable], *, allow: bool) -> list[str]:
    """What is to be noted of tables: padded videos, and leaks; refuses to test on groups that a network was trained on.

    Raises
    ------
    UsageError
        Such groups are tested on, and ``allow`` is False.
    """
    notes: list[str] = []
    for table in tables:
        if PADDED in table.facts:
            notes.append(f"{table.name}: {table.facts[PADDED]}")
        if table.facts.get(NO_NETWORK) or str(table.facts.get("weights_sha256") or "").startswith(UNTRAINED):
            continue
        source = model_of_table(table.path, table.facts.get("model_source"), table.facts.get("weights_sha256"))
        provenance = {} if source is None else read_provenance(source) or {}
        if source is None or not provenance.get("trained_on"):
            why = "what its network was trained on is not known" if table.facts else "what made them is not known"
            if what := seen_by(provenance):
                why = f"its network came trained ({what}), and which videos it saw is not recorded"
            notes.append(f"{table.name}: {why}, so a leak would not be seen")
            continue
        tested = tested_videos(folds)
        notes += [f"{table.name}: {note}" for note in refuse_seen_groups(source, tested, allow=allow)]
    return list(dict.fromkeys(notes))


def tested_videos(folds: Sequence[Fold]) -> Manifest:
    """What any of the folds tests on, each item once."""
    items = {item.span: item for fold in folds for item in fold.test.items}
    return replace(folds[0].test, items=tuple(items.values()))


def empty_notes(tables: Sequence[VideoVectors], items: Sequence[Item]) -> list[str]:
    """What tables say of themselves, and of how many videos nothing: where nothing moves there is no trajectory."""
    counts = [int((~table.take([item_id(item) for item in items]).any(axis=1)).sum()) for table in tables]
    return [note for table in tables for note in table.notes] + [
        f"{table.name}: {count} of {len(items)} videos have a vector of zeros, which says nothing of them"
        for table, count in zip(tables, counts, strict=True)
        if count
    ]


def shared_groups(folds: Sequence[Fold], unit: str) -> list[str]:
    """Whether what was tested on had others of its group in training, as where one video is left out."""
    known = {(fold.name, item.group) for fold in folds for item in fold.train.items if item.group is not None}
    tests = [(fold.name, item.group) for fold in folds for item in fold.test.items]
    shared = sum(pair in known for pair in tests)
    if not shared:
        return []
    return [
        f"{shared} of {len(tests)} test {unit}s have others of their group among the training {unit}s of their fold"
    ]
