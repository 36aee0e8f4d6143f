"""The papers' protocol on descriptors that are there already: a linear SVM on one table or on several side by side.

Each table's video vector has length one (mean over clips, then L2); several are put one behind the other, which is how
C3D's three nets become 3 x 4096 = 12,288 numbers (section 4.1) and how iDT joins them. What is fitted (words and
mixtures of trajectories, z-scores, principal components, planes) is fitted on a fold's training videos alone. The items
of folds may also be clips of videos: then whole videos (or groups of them) are drawn for the intervals.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tubelet.artifacts import write_json
from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.request import item_id
from tubelet.descriptors.video_vectors import VectorTable, VideoVectors
from tubelet.errors import InputDataError, UsageError
from tubelet.failures import FailedVideo
from tubelet.protocols.comparable import beside
from tubelet.protocols.coordinates import coordinates
from tubelet.protocols.descriptor_done import done_by_descriptors, leaves_one_out
from tubelet.protocols.metrics import IntArray, stacked_targets
from tubelet.protocols.result import Result
from tubelet.protocols.svm import DescriptorSVM, untaught
from tubelet.protocols.table_notes import empty_notes, shared_groups, table_notes
from tubelet.protocols.video_level import classification_result
from tubelet.protocols.windows import Clips, result_of_clips, units_of_clips
from tubelet.provenance import environment, hash_json
from tubelet.training.run_folder import safe_name

_log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]

OUT_OF_REACH = -1e9
"""Decision value of a class that no training video shows."""


@dataclass(frozen=True)
class SvmSettings:
    """How the SVM is fitted.

    Attributes
    ----------
    svm_c
        C; what C3D's paper took is not known to us.
    zscore
        Bring every number to mean 0 and variance 1 first.
    pca
        Keep only so many principal components; None: all numbers as they are.
    seed
        Of the solvers and of the bootstrap.
    """

    svm_c: float = 1.0
    zscore: bool = False
    pca: int | None = None
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"svm_c": self.svm_c, "zscore": self.zscore, "pca": self.pca, "seed": self.seed}


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The outcome of one or several folds.

    Attributes
    ----------
    result
        Over the test videos of all folds.
    failed
        Videos of training and test without a descriptor in every table.
    """

    result: Result
    failed: tuple[FailedVideo, ...] = field(default=())


def evaluate_descriptors(
    folds: Sequence[Fold],
    tables: Sequence[VectorTable],
    settings: SvmSettings,
    folder: Path,
    *,
    allow_leak: bool = False,
    clips: Clips | None = None,
) -> Evaluated:
    """Fit and test on every fold; finished folds lie in ``folder/scores`` and are not fitted again.

    Where there are fewer videos than numbers, every fold is fitted on coordinates of the videos in the space that they
    span, see `tubelet.protocols.coordinates`: the planes are those of a plain fit, to rounding. Tables that have
    nothing to learn share them among all folds.

    Parameters
    ----------
    folds
        At least one; their test videos are judged together.
    tables
        At least one. A video that one of them lacks is left out and listed. Tables that learn do so in each fold.
    settings
        How to fit.
    folder
        The run's; it belongs to these tables and settings, see `tubelet.training.run_folder.RunFolder`.
    allow_leak
        Test also on groups that a table's network was trained on, with a note.
    clips
        Given where the folds' items are clips of videos.

    Raises
    ------
    UsageError
        Such groups are tested on and this is not allowed; more components are asked for than there can be.
    InputDataError
        Not one training or test video of a fold is in all tables.
    """
    notes = table_notes(folds, tables, allow=allow_leak)
    classes = folds[0].test.classes
    of = _shared(folds, tables, settings)
    hashes = hash_json([table.hash for table in tables])
    # A fold whose test videos all failed has no figures; where none is left, the first says why.
    judged = [fold for fold in folds if described_in(fold.test, tables)] or folds[:1]
    parts = [_scores(fold, tables, of, hashes, settings, folder) for fold in judged]
    failed = missing_videos([item for fold in folds for item in (fold.train, fold.test)], tables)
    known = {item_id(item): item for fold in folds for item in fold.test.items}
    targets: dict[str, IntArray] = {
        item_id(item): row[None]
        for fold in folds
        for item, row in zip(fold.test.items, fold.test.every_target, strict=True)
    }
    ids = [video_id for part in parts for video_id in part["video_ids"]]
    unit = "video" if clips is None else "clip"
    n_test = sum(len(fold.test) for fold in folds)
    if len(ids) < n_test:
        notes.append(f"{n_test - len(ids)} of {n_test} test {unit}s have no descriptor and are not counted")
    notes += [*shared_groups(folds, unit), *([] if clips is None else clips.notes)]
    notes += [note for part in parts for note in part["notes"]]
    found = [known[video_id] for video_id in ids]
    groups = [item.own_group for item in found] if clips is None else units_of_clips(found)
    result = classification_result(
        np.concatenate([np.array(part["decisions"]) for part in parts]),
        [str(item.label) for item in found],
        classes,
        protocol=_protocol(folds, tables),
        video_ids=ids,
        groups=groups if clips is not None or len(set(groups)) < len(groups) else None,
        top_k=(5,) if min(part["classes"] for part in parts) > 5 else (),
        seed=settings.seed,
        settings={
            **settings.to_dict(),
            "tables": [{"name": table.name, "layer": table.layer, **table.facts} for table in tables],
            "folds": [fold.name for fold in folds],
            **({} if clips is None else {"clips": dict(clips.settings)}),
        },
        provenance=environment(dataset=folds[0].test.to_dict()),
        notes=list(dict.fromkeys(notes)),
        targets=stacked_targets([targets[video_id] for video_id in ids]),
    )
    compared = {"pca": settings.pca, "zscore": settings.zscore, **({} if clips is None else clips.compared)}
    done = done_by_descriptors(folds, tables, len(ids), compared, clips=clips is not None)
    return Evaluated(beside(result if clips is None else result_of_clips(result, found), done), tuple(failed))


def side_by_side(tables: Sequence[VideoVectors], video_ids: Sequence[str]) -> FloatArray:
    """The tables' vectors one behind the other, each of length one, ``(len(video_ids), sum of lengths)`` float64."""
    return np.concatenate([table.take(video_ids) for table in tables], axis=1).astype(np.float64)


def fitted_decisions(
    train: FloatArray, labels: Sequence[str], test: FloatArray, classes: Sequence[str], settings: SvmSettings
) -> tuple[FloatArray, tuple[str, ...]]:
    """Decision values ``(n, K)`` of test vectors by an SVM fitted on training vectors, and remarks for the reader.

    A class that no training video shows has -1e9.
    """
    if settings.zscore:
        scaler = StandardScaler().fit(train)
        turned = coordinates(np.concatenate([scaler.transform(train), scaler.transform(test)]))
        train, test = turned[: len(train)], turned[len(train) :]
    if settings.pca is not None:
        most = min(train.shape)
        if settings.pca > most:
            raise UsageError(
                f"{settings.pca} principal components cannot be taken",
                why=f"{len(train)} training vectors of {train.shape[1]} numbers have {most}",
                remedy=f"give --pca {most} or less",
            )
        reduction = PCA(settings.pca, random_state=settings.seed).fit(train)
        train, test = reduction.transform(train), reduction.transform(test)
    svm = DescriptorSVM(settings.svm_c, layer="descriptors side by side", random_state=settings.seed)
    svm.fit(train, labels)
    decisions = np.full((len(test), len(classes)), OUT_OF_REACH)
    decisions[:, [list(classes).index(name) for name in svm.classes_]] = svm.decision_function(test)
    return decisions, svm.notes_


def _shared(
    folds: Sequence[Fold], tables: Sequence[VectorTable], settings: SvmSettings
) -> Callable[[Sequence[str]], FloatArray] | None:
    """What gives the vectors of named videos in all folds; None where a table learns others in each."""
    plain = [table for table in tables if isinstance(table, VideoVectors)]
    if len(plain) < len(tables):
        return None
    return _vectors([item for fold in folds for part in (fold.train, fold.test) for item in described_in(part, tables)],
                    plain, settings)  # fmt: skip


def _vectors(
    items: Sequence[Item], tables: Sequence[VideoVectors], settings: SvmSettings
) -> Callable[[Sequence[str]], FloatArray]:
    """What gives the vectors of named videos, in as few numbers as change nothing."""
    ids = sorted({item_id(item) for item in items})
    # Z-scores weigh the numbers one by one, differently in every fold.
    if settings.zscore or len(ids) >= sum(table.length for table in tables):
        return partial(side_by_side, tables)
    shared = coordinates(side_by_side(tables, ids))
    place = {video_id: row for row, video_id in enumerate(ids)}
    return lambda wanted: shared[[place[video_id] for video_id in wanted]]


def fold_decisions(
    fold: Fold,
    tables: Sequence[VectorTable],
    settings: SvmSettings,
    of: Callable[[Sequence[str]], FloatArray] | None = None,
) -> dict[str, Any]:
    """The SVM of one fold: ``video_ids`` and ``decisions`` (n, K) of its test videos, ``classes``, how many have a
    plane, and ``notes``; JSON-ready. ``of`` gives the vectors of named videos; by default the tables' side by side, as
    the fold's training videos make them.

    Raises
    ------
    InputDataError
        Not one training video, or not one test video, is in all tables.
    UsageError
        A table cannot learn from so few training videos, or more components are asked for than there can be.
    """
    train, test = described_sides(fold, tables)
    empty: list[str] = []
    if of is None:
        # All that a table has of the training part, so that it learns the same beside others and alone.
        made = [table.for_training([item_id(item) for item in fold.train.items]) for table in tables]
        of, empty = _vectors([*train, *test], made, settings), empty_notes(made, [*train, *test])
    decisions, notes = fitted_decisions(
        of([item_id(item) for item in train]),
        [str(item.label) for item in train],
        of([item_id(item) for item in test]),
        fold.test.classes,
        settings,
    )
    unseen = untaught(test, {str(item.label) for item in train})
    said = [*empty, *notes, *(f"no training video shows {name}: its test videos cannot be right" for name in unseen)]
    return {
        "video_ids": [item_id(item) for item in test],
        "decisions": decisions.tolist(),
        "classes": int((decisions.max(axis=0) > OUT_OF_REACH).sum()),
        "notes": said,
    }


def _scores(
    fold: Fold,
    tables: Sequence[VectorTable],
    of: Callable[[Sequence[str]], FloatArray] | None,
    hashes: str,
    settings: SvmSettings,
    folder: Path,
) -> dict[str, Any]:
    file = folder / "scores" / f"{safe_name(fold.name)}.json"
    if file.exists():
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if kept.get("tables") == hashes:  # a table that a run made itself may have grown since
            return kept
    record = {"tables": hashes, **fold_decisions(fold, tables, settings, of)}
    write_json(file, record)
    return record


def _protocol(folds: Sequence[Fold], tables: Sequence[VectorTable]) -> str:
    names = " + ".join(dict.fromkeys(_title(table) for table in tables))
    length = sum(table.length for table in tables)
    left_out = "video" if leaves_one_out(folds) else "group"
    how = f", leaving one {left_out} out" if len(folds) > 1 else ""
    return f"linear SVM on {names}, {length:,} numbers{how}"


def described_sides(fold: Fold, tables: Sequence[VectorTable]) -> tuple[list[Item], list[Item]]:
    """Training and test videos of a fold that all tables hold.

    Raises
    ------
    InputDataError
        There is not one on a side.
    """
    train, test = (described_in(part, tables) for part in (fold.train, fold.test))
    for what, part, found in (("training", fold.train, train), ("test", fold.test, test)):
        if not found:
            raise InputDataError(
                f"not one {what} video of {fold.name} has descriptors in all tables",
                path=tables[0].path,
                why=f"the data has {item_id(part.items[0])!r}, the table {str(tables[0].video_ids[0])!r}"
                if len(part) and len(tables[0].video_ids)
                else "there are none",
                remedy="extract them with the same root folder, so that video_id is the path below it",
            )
    return train, test


def described_in(videos: Manifest, tables: Sequence[VectorTable]) -> list[Item]:
    """The videos that all tables hold."""
    known = set.intersection(*(set(table.video_ids.tolist()) for table in tables))
    return [item for item in videos.items if item_id(item) in known]


def missing_videos(parts: Sequence[Manifest], tables: Sequence[VectorTable]) -> list[FailedVideo]:
    """The videos that a table lacks, sorted, with why."""
    items = {item_id(item): str(part.root / item.path) for part in parts for item in part.items}
    found: dict[str, FailedVideo] = {}
    for table in tables:
        known = set(table.video_ids.tolist())
        for video_id, path in items.items():
            if video_id not in known and video_id not in found:
                why = table.failed.get(video_id, "it is not in the table")
                found[video_id] = FailedVideo(video_id, path, f"no descriptor in {table.path}: {why}", "InputDataError")
    return [found[video_id] for video_id in sorted(found)]


def _title(table: VectorTable) -> str:
    """What a table is called: by its own name where it was given one, and by what made it."""
    model = table.facts.get("model")
    if not model:
        return table.name
    made = f"{model} {table.layer}"
    return made if table.name in (model, table.path.stem, str(table.path)) else f"{table.name} ({made})"
