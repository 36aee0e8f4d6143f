"""Labeled videos as commands that train and test want them: opened, limited, and parted into training and test."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tubelet.cli.options import say
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from tubelet.datasets.manifest import Manifest


def open_labeled(
    kind: str,
    data: Path,
    *,
    split: int | None,
    fps: float | None,
    label_column: str,
    annotations: Path | None = None,
    limit: int | None,
    labels: bool = True,
) -> Manifest:
    """The dataset as a labeled manifest; ``limit`` keeps the first videos of every class, and split, in turn.

    With ``labels`` False, videos may have none.
    """
    from tubelet.datasets.catalog import open_dataset
    from tubelet.datasets.splits import without_withheld
    from tubelet.datasets.weizmann import refuse_misplaced

    manifest = refuse_misplaced(
        open_dataset(kind, data, split=split, fps=fps, label_column=label_column, annotations=annotations)
    )
    if labels:
        known = without_withheld(manifest)
        if len(known) < len(manifest):
            say(f"{len(manifest) - len(known):,} videos of the test set have no published labels and are left out")
        manifest = known
        _ = manifest.targets  # raises the error that explains how to label videos
    if limit is not None and limit < len(manifest):
        seen: Counter[tuple[str | None, str | None]] = Counter()
        ranks = []
        for index, item in enumerate(manifest.items):
            ranks.append((seen[item.label, item.split], index))
            seen[item.label, item.split] += 1
        kept = sorted(index for _, index in sorted(ranks)[:limit])
        manifest = manifest.select(keep=kept).drop_empty_classes()
    return manifest


def hold_out(
    manifest: Manifest,
    kind: str,
    test_groups: str | None,
    test_fraction: float | None,
    seed: int,
    *,
    trains: bool = True,
) -> tuple[Manifest, Manifest | None]:
    """Training and test part: named groups, else the dataset's own splits, else random groups.

    Where the dataset has test (or validation) videos of its own and none to train on, nothing is parted at random: that
    is an error where the command ``trains``, else the training part is empty.
    """
    from tubelet.datasets.content import copies
    from tubelet.datasets.groups import join_copies, parse_groups
    from tubelet.datasets.splits import held_out_split, official_fold, random_group_split, refuse_leaks, split_by_groups

    if test_groups is not None and test_fraction is not None:
        raise UsageError("--test-groups and --test-fraction both say what to test on", remedy="give one of them")
    if test_groups is not None:
        parted = split_by_groups(manifest, parse_groups(test_groups, manifest.groups))
        refuse_leaks(parted, copies(manifest.files()))
    elif test_fraction is None and (own := held_out_split(manifest)) is not None and "train" not in manifest.splits:
        if trains:
            raise UsageError(
                f"{manifest.name} has videos to test on ({own}) and none to train on",
                path=manifest.root,
                remedy="add its training videos, or part these at random with --test-fraction 0.2",
            )
        return manifest.select(keep=[]), manifest.select(split=own)
    elif "train" in manifest.splits and test_fraction is None:
        fold = official_fold(manifest, copies(manifest.files()))
        return (manifest.select(split="train"), None) if fold is None else (fold.train, fold.test)
    elif test_fraction == 0 or (test_fraction is None and kind == "weizmann"):
        return manifest, None
    else:
        # Copies of one file count as filmed together, or the test would hold videos that were trained on.
        joined = join_copies(manifest, copies(manifest.files()))
        parted = random_group_split(joined, 0.2 if test_fraction is None else test_fraction, seed=seed)
    return parted.select(split="train"), parted.select(split="test")
