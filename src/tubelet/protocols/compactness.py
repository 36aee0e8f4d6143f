"""How few and how small numbers a descriptor can do with (C3D paper, section 4, figure 6 left).

The paper projects its descriptor, ImageNet's and iDT's to 10, 50, 100 and 500 principal components and fits its linear
SVM on them. Here each is also stored in eight bits a number. What is learned (components, levels of the eight bits,
the tables' own words, planes) is learned in each fold, from its training videos alone.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tubelet.artifacts import write_bytes
from tubelet.datasets.manifest import Item
from tubelet.datasets.splits import Fold
from tubelet.descriptors.request import item_id
from tubelet.descriptors.video_vectors import VectorTable, VideoVectors
from tubelet.errors import UsageError
from tubelet.protocols.bootstrap import paired_interval
from tubelet.protocols.compact_codes import Int8Codes, Principal
from tubelet.protocols.compact_curve import Compactness, Curve, Point, Skipped, Variant
from tubelet.protocols.comparable import beside
from tubelet.protocols.coordinates import coordinates
from tubelet.protocols.descriptor_done import done_by_descriptors, leaves_one_out
from tubelet.protocols.descriptor_svm import (
    OUT_OF_REACH,
    SvmSettings,
    described_in,
    described_sides,
    fitted_decisions,
    missing_videos,
)
from tubelet.protocols.metrics import IntArray, stacked_targets
from tubelet.protocols.result import Result
from tubelet.protocols.svm import untaught
from tubelet.protocols.table_notes import empty_notes, shared_groups, table_notes
from tubelet.protocols.video_level import classification_result
from tubelet.provenance import environment
from tubelet.reporting.terminal import ProgressBar, progress
from tubelet.training.run_folder import safe_name

Bits = Literal["float32", "int8"]
BITS: tuple[Bits, ...] = ("float32", "int8")
DIMS = (10, 50, 100, 500)
"""The paper's numbers of principal components."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class CompactSettings:
    """What is tried.

    Attributes
    ----------
    dims
        Numbers of principal components.
    bits
        How numbers are stored.
    svm_c
        C of the SVM.
    seed
        Of its solver and of the bootstrap.
    """

    dims: tuple[int, ...] = DIMS
    bits: tuple[Bits, ...] = BITS
    svm_c: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if any(number < 1 for number in self.dims) or len(set(self.dims)) < len(self.dims):
            raise UsageError(
                f"numbers of components cannot be {', '.join(map(str, self.dims))}",
                remedy="give different numbers from 1 up",
            )
        if unknown := sorted(set(self.bits) - set(BITS)):
            raise UsageError(f"numbers are not stored as {', '.join(unknown)}", remedy=f"use {', '.join(BITS)}")
        if "float32" not in self.bits or len(set(self.bits)) < len(self.bits):
            raise UsageError(
                f"bits cannot be {','.join(self.bits)}",
                why="losses are measured against the descriptor in float32",
                remedy="give float32, or float32,int8",
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"dims": list(self.dims), "bits": list(self.bits), "svm_c": self.svm_c, "seed": self.seed}


@dataclass(frozen=True, eq=False)
class _FoldScores:
    """What one table gave in one fold: decision values ``(n, K)`` float32 of each variant, and what it could not do."""

    video_ids: tuple[str, ...]
    decisions: Mapping[str, NDArray[np.float32]]
    rank: int
    n_train: int
    length: int
    notes: tuple[str, ...]


def evaluate_compactness(
    folds: Sequence[Fold],
    tables: Sequence[VectorTable],
    settings: CompactSettings,
    folder: Path,
    *,
    title: str = "",
    allow_leak: bool = False,
) -> Compactness:
    """Fit and test every table in every fold, at every number of components and in every kind of number.

    Parameters
    ----------
    folds
        At least one; their test videos are judged together.
    tables
        At least one, of different names; each is judged by itself, on the videos that all of them hold.
    settings
        What is tried.
    folder
        The run's; a table's finished folds lie in ``folder/scores`` and are not fitted again. It belongs to these
        tables, folds and settings, see `tubelet.training.run_folder.RunFolder`.
    title
        Which part of a data set this is, such as ``split1``.
    allow_leak
        Test also on groups that a table's network was trained on, with a note.

    Raises
    ------
    UsageError
        Two tables have one name; such groups are tested on and this is not allowed.
    InputDataError
        Not one training or test video of a fold is in all tables.
    """
    names = [table.name for table in tables]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"several tables are called {', '.join(twice)}",
            remedy="name them, such as --table c3d=PATH --table imagenet=PATH",
        )
    notes = table_notes(folds, tables, allow=allow_leak)
    judged = [fold for fold in folds if described_in(fold.test, tables)] or list(folds[:1])
    tested = [item for fold in judged for item in described_in(fold.test, tables)]
    n_test = sum(len(fold.test) for fold in folds)
    if len(tested) < n_test:
        notes.append(f"{n_test - len(tested)} of {n_test} test videos have no descriptor and are not counted")
    notes += shared_groups(folds, "video")
    curves = []
    with progress("fitting", total=len(judged) * len(tables), unit="fit") as bar:
        for table in tables:
            parts = _Tested(table, judged, tables, settings, folder / "scores" / safe_name(table.name), bar).scores()
            curves.append(_curve(folds, table, parts, judged, tested, settings))
    said = [note for curve in curves for note in curve.notes]
    failed = missing_videos([part for fold in folds for part in (fold.train, fold.test)], tables)
    return Compactness(
        dataset=folds[0].test.name,
        title=title,
        curves=tuple(curves),
        notes=tuple(dict.fromkeys([*notes, *said])),
        settings={**settings.to_dict(), "folds": [fold.name for fold in judged]},
        failed=tuple(failed),
    )


class _Tested:
    """One table in every fold."""

    def __init__(
        self,
        table: VectorTable,
        folds: Sequence[Fold],
        tables: Sequence[VectorTable],
        settings: CompactSettings,
        folder: Path,
        bar: ProgressBar,
    ) -> None:
        self._table, self._folds, self._tables = table, folds, tables
        self._settings, self._folder, self._bar = settings, folder, bar
        self._turned: dict[str, FloatArray] | None = None

    def scores(self) -> list[_FoldScores]:
        """Of each fold; those that lie in the folder are read."""
        found = []
        for fold in self._folds:
            file = self._folder / f"{safe_name(fold.name)}.npz"
            kept = _read(file)
            if kept is None:
                kept = self._fold(fold)
                _write(file, kept)
            found.append(kept)
            self._bar.update(table=self._table.name)
        return found

    def _fold(self, fold: Fold) -> _FoldScores:
        train, test = described_sides(fold, self._tables)
        ids, test_ids = [item_id(item) for item in train], [item_id(item) for item in test]
        labels = [str(item.label) for item in train]
        # All that the table has of the training part, so that it learns the same beside others and alone.
        made = self._table.for_training([item_id(item) for item in fold.train.items])
        raw = made.take(ids), made.take(test_ids)
        plain = self._plain(made, ids, test_ids)
        svm = SvmSettings(self._settings.svm_c, seed=self._settings.seed)
        unseen = untaught(test, set(labels))
        notes = empty_notes([made], [*train, *test])
        title = self._table.name
        notes += [f"{title}: no training video shows {name}: its test videos cannot be right" for name in unseen]
        decisions: dict[str, NDArray[np.float32]] = {}

        def fit(variant: Variant, sides: tuple[NDArray[Any], NDArray[Any]]) -> None:
            values, said = fitted_decisions(
                sides[0].astype(np.float64), labels, sides[1].astype(np.float64), fold.test.classes, svm
            )
            decisions[variant.key] = values.astype(np.float32)
            notes.extend(f"{title}, {variant.words}: {note}" for note in said)

        fit(Variant(made.length, None, "float32"), plain)
        if "int8" in self._settings.bits:
            fit(Variant(made.length, None, "int8"), _turned(*_in_int8(*raw)))
        rank = min(len(ids), made.length)
        if self._settings.dims:
            principal = Principal.fit(plain[0], max(self._settings.dims))
            rank = principal.rank
            # Stored in float32, whatever they were computed in.
            projected = tuple(principal.transform(side).astype(np.float32) for side in plain)
            coded = _in_int8(*projected) if "int8" in self._settings.bits else projected
            for number in (number for number in self._settings.dims if number <= rank):
                for bits in self._settings.bits:
                    sides = projected if bits == "float32" else coded
                    fit(Variant(made.length, number, bits), (sides[0][:, :number], sides[1][:, :number]))
        return _FoldScores(tuple(test_ids), decisions, rank, len(ids), made.length, tuple(notes))

    def _plain(self, made: VideoVectors, ids: Sequence[str], test_ids: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Vectors of both sides in as few numbers as change nothing, see `tubelet.protocols.coordinates`.

        Where a table has nothing to learn, they are the same in all folds and are turned once.
        """
        if made is not self._table:
            return _turned(made.take(ids), made.take(test_ids))
        if self._turned is None:
            parts = [part for fold in self._folds for part in (fold.train, fold.test)]
            every = sorted({item_id(item) for part in parts for item in described_in(part, self._tables)})
            rows = coordinates(made.take(every).astype(np.float64))
            self._turned = dict(zip(every, rows, strict=True))
        place = self._turned
        return np.stack([place[one] for one in ids]), np.stack([place[one] for one in test_ids])


def _turned(train: NDArray[np.float32], test: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    rows = coordinates(np.concatenate([train, test]).astype(np.float64))
    return rows[: len(train)], rows[len(train) :]


def _in_int8(train: NDArray[np.float32], test: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What both sides are after having been stored in eight bits a number, levels learned from the first."""
    codes = Int8Codes.fit(train)
    return codes.decode(codes.encode(train)), codes.decode(codes.encode(test))


def _curve(
    folds: Sequence[Fold],
    table: VectorTable,
    parts: Sequence[_FoldScores],
    judged: Sequence[Fold],
    tested: Sequence[Item],
    settings: CompactSettings,
) -> Curve:
    """The figures of one table over all folds."""
    length = parts[0].length
    least = min(range(len(parts)), key=lambda place: parts[place].rank)
    skipped = tuple(
        Skipped(number, judged[least].name if len(judged) > 1 else "", parts[least].n_train, parts[least].rank)
        for number in settings.dims
        if number > parts[least].rank
    )
    wanted: list[int | None] = [number for number in sorted(settings.dims) if number <= parts[least].rank]
    variants = [Variant(length, number, bits) for number in [*wanted, None] for bits in settings.bits]
    results = {variant: _result(folds, table, parts, tested, variant, settings) for variant in variants}
    full = results[Variant(length, None, "float32")]
    # A solver that stopped early at one number of components says nothing of a table.
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    points = tuple(_point(variant, result, full, settings.seed) for variant, result in results.items())
    return Curve(table.name, table.layer, length, points, skipped, notes)


def _point(variant: Variant, result: Result, full: Result, seed: int) -> Point:
    """The variant with what it loses against the whole descriptor, on the same videos."""
    if result is full:
        return Point(variant, result, 0.0, None)
    before, after = ([one.predicted == one.label for one in each.predictions] for each in (full, result))
    groups = [str(one.group) for one in full.predictions] if full.predictions[0].group is not None else None
    # From whole numbers: a share minus a share is not always what it should be, and 1 % is a limit.
    loss = (sum(before) - sum(after)) / len(before)
    return Point(variant, result, loss, paired_interval(after, before, groups, seed=seed), unchanged=after == before)


def _result(
    folds: Sequence[Fold],
    table: VectorTable,
    parts: Sequence[_FoldScores],
    tested: Sequence[Item],
    variant: Variant,
    settings: CompactSettings,
) -> Result:
    each = [part.decisions[variant.key] for part in parts]
    scores, planes = np.concatenate(each), min(int((one.max(axis=0) > OUT_OF_REACH).sum()) for one in each)
    ids = [video_id for part in parts for video_id in part.video_ids]
    targets: dict[str, IntArray] = {
        item_id(item): row[None]
        for fold in folds
        for item, row in zip(fold.test.items, fold.test.every_target, strict=True)
    }
    groups = [item.own_group for item in tested]
    left_out = "video" if leaves_one_out(folds) else "group"
    result = classification_result(
        scores,
        [str(item.label) for item in tested],
        folds[0].test.classes,
        protocol=f"linear SVM on {table.name}, {variant.words}"
        + (f", leaving one {left_out} out" if len(folds) > 1 else ""),
        video_ids=ids,
        groups=groups if len(set(groups)) < len(groups) else None,
        top_k=(5,) if planes > 5 else (),
        seed=settings.seed,
        settings={
            **SvmSettings(settings.svm_c, pca=variant.components, seed=settings.seed).to_dict(),
            "bits": variant.bits,
            "tables": [{"name": table.name, "layer": table.layer, **table.facts}],
            "folds": [fold.name for fold in folds],
        },
        provenance=environment(dataset=folds[0].test.to_dict()),
        targets=stacked_targets([targets[video_id] for video_id in ids]),
    )
    options = {"pca": variant.components, "zscore": False, "bits": None if variant.bits == "float32" else variant.bits}
    return beside(result, done_by_descriptors(folds, [table], len(ids), options))


def _write(file: Path, scores: _FoldScores) -> None:
    facts = {
        "video_ids": scores.video_ids, "rank": scores.rank, "n_train": scores.n_train, "length": scores.length,
        "notes": scores.notes,
    }  # fmt: skip
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, facts=np.array(json.dumps(facts)), **dict(scores.decisions))
    write_bytes(file, buffer.getvalue())


def _read(file: Path) -> _FoldScores | None:
    """What was kept; None where nothing was, or where it cannot be read and has to be made again."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            facts = json.loads(str(archive["facts"]))
            decisions = {name: archive[name] for name in archive.files if name != "facts"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    ids, notes = tuple(facts.pop("video_ids")), tuple(facts.pop("notes"))
    return _FoldScores(ids, decisions, notes=notes, **facts)
