"""What linear SVMs make of descriptors in a comparison of streams.

A stream's descriptors are made for each fold by the network that was trained on it; those of a network that learns
nothing once for all videos. They lie in ``ROOT/<stream>/<fold>/descriptors`` and ``ROOT/<feature>/descriptors``; for
trajectories see `tubelet.protocols.stream_trajectories`. Every fold fits its SVM on the training videos alone, on one
descriptor or on several side by side, each of length one (C3D paper, sections 3.3 and 4.1). Decision values are kept as
score files, ``ROOT/<row>/scores.npz``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tubelet.artifacts import write_json
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.request import item_id
from tubelet.descriptors.runner import extract
from tubelet.descriptors.store import has_table
from tubelet.descriptors.video_vectors import VectorTable, open_vectors
from tubelet.errors import InputDataError
from tubelet.models.contract import VideoModel
from tubelet.models.folder import load_model
from tubelet.protocols.descriptor_svm import SvmSettings, described_in, fold_decisions
from tubelet.protocols.round_descriptors import DESCRIPTORS, describe_round, joined
from tubelet.protocols.score_file import SVM_HEAD, FloatArray, ScoreFile, concatenated
from tubelet.protocols.score_stream import SCORES
from tubelet.protocols.stream_experiment import SvmRow
from tubelet.protocols.stream_times import add_time
from tubelet.protocols.table_notes import table_notes
from tubelet.provenance import environment, hash_json
from tubelet.training.run_folder import safe_name

if TYPE_CHECKING:
    from tubelet.protocols.streams_open import Feature, Stream

DESCRIBED = "described.json"


def describe_fold(
    stream: Stream, fold: Fold, folder: Path, model: VideoModel, device: str = "cpu"
) -> list[tuple[str, str]]:
    """Describe a fold's videos by the network that was trained on it; ``(video_id, sentence)`` of those that fail."""
    assert stream.svm is not None
    failed = describe_round(joined(fold.train, fold.test), model, (stream.svm,), stream.settings, folder, device=device)
    write_json(folder / DESCRIBED, {"layer": stream.svm, "failed": [list(pair) for pair in failed]})
    return failed


def is_described(stream: Stream, fold: Fold, folder: Path) -> bool:
    """Whether `describe_fold` has ended with no test video missing; True where the stream has no SVM."""
    if stream.svm is None:
        return True
    try:
        record = json.loads((folder / DESCRIBED).read_text(encoding="utf-8"))
        lost = {str(video_id) for video_id, _ in record["failed"]}
        return bool(record["layer"] == stream.svm) and not lost & {item_id(item) for item in fold.test.items}
    except (OSError, ValueError, KeyError, TypeError):
        return False


def describe_features(
    features: Sequence[Feature], manifest: Manifest, root: Path, *, device: str = "cpu"
) -> list[tuple[str, str]]:
    """Describe all videos by networks that learn nothing; what is there is not done again.

    Returns
    -------
    list of tuple of str
        ``(video_id, sentence)`` of the videos that could not be read.
    """
    failed: dict[str, str] = {}
    for feature in features:
        folder = root / safe_name(feature.name)
        with Extractor(
            load_model(feature.folder),
            (feature.layer,),
            feature.clip_length,
            feature.stride_frames,
            feature.recipe,
            precision="float32",
            device=device,
            workers=feature.workers,
        ) as extractor:
            summary = extract(manifest, extractor, folder / DESCRIPTORS, model_source=os.path.abspath(feature.folder))
        if summary.done:
            add_time(folder, "describing_s", summary.seconds)
        failed |= {failure.video_id: failure.error for failure in summary.failures}
    return sorted(failed.items())


class Described:
    """The video vectors of a run, opened when they are asked for and kept.

    Parameters
    ----------
    streams, features
        What was described.
    root
        Where.
    others
        Tables that are there already, by name: of trajectories.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        features: Sequence[Feature],
        root: Path,
        others: Mapping[str, VectorTable] | None = None,
    ) -> None:
        self._layers = {one.name: one.svm for one in streams} | {one.name: one.layer for one in features}
        self._of_folds = {one.name for one in streams}
        self._root = root
        self._others = dict(others or {})
        self._open: dict[Path, VectorTable] = {}

    def of(self, name: str, fold: Fold) -> VectorTable | None:
        """The vectors of a stream, a feature or trajectories for a fold; None where nothing of it was described."""
        if name in self._others:
            return self._others[name]
        folder = self._root / safe_name(name)
        if name in self._of_folds:
            folder = folder / safe_name(fold.name)
        if folder not in self._open:
            if not has_table(folder / DESCRIPTORS):
                return None
            self._open[folder] = open_vectors(folder / DESCRIPTORS, self._layers[name], name)
        return self._open[folder]


def svm_scores(
    rows: Sequence[SvmRow],
    folds: Sequence[Fold],
    described: Described,
    settings: SvmSettings,
    manifest: Manifest,
    root: Path,
    *,
    allow_leak: bool = False,
) -> dict[str, ScoreFile]:
    """Fit and test the SVM of every row on every fold; what was fitted on the same vectors is not fitted again.

    Parameters
    ----------
    rows, folds, described
        Which descriptors are joined; the folds; the descriptors.
    settings
        How to fit.
    manifest, root
        The data set, for the record; where ``<row>/scores.npz`` is written.
    allow_leak
        Test also on groups that a network was trained on, with a note.

    Returns
    -------
    dict of str to ScoreFile
        By row. ``scores`` are decision values; ``probabilities`` are their softmax, which nobody calibrated, and are
        there because the file has to have some.

    Raises
    ------
    InputDataError
        A row has no test video with all its descriptors in any fold, or no training video in one.
    UsageError
        A network was trained on groups that are tested on, and ``allow_leak`` is False.
    """
    found = {}
    for row in rows:
        tables = {}
        for fold in folds:
            opened = [table for name in row.of if (table := described.of(name, fold)) is not None]
            if len(opened) == len(row.of) and described_in(fold.test, opened):
                tables[fold.name] = opened
        if not tables:
            raise InputDataError(
                f"not one video of {row.name} could be described", path=manifest.root, remedy="see failed.jsonl"
            )
        tested = [fold for fold in folds if fold.name in tables]
        made_from = hash_json(
            {
                "svm": settings.to_dict(),
                "allow_leak": allow_leak,
                "folds": [
                    [fold.train.hash, fold.test.hash, *(one.hash for one in tables[fold.name])] for fold in tested
                ],
            }
        )
        path = root / safe_name(row.name) / SCORES
        kept = _kept(path, made_from)
        if kept is None:
            files = {fold.name: _fold_file(fold, tables[fold.name], settings, allow_leak) for fold in tested}
            kept = concatenated(files)
            kept = replace(
                kept,
                settings={**kept.settings, "stream": row.name, "made_from": made_from},
                provenance=environment(dataset=manifest.to_dict()),
            )
            kept.save(path)
        found[row.name] = kept
    return found


def _kept(path: Path, made_from: str) -> ScoreFile | None:
    if not path.exists():
        return None
    file = ScoreFile.load(path)
    return file if file.settings.get("made_from") == made_from else None


def _fold_file(fold: Fold, tables: Sequence[VectorTable], settings: SvmSettings, allow_leak: bool) -> ScoreFile:
    notes = table_notes([fold], tables, allow=allow_leak)
    record = fold_decisions(fold, tables, settings)
    decisions = np.array(record["decisions"])
    items = {item_id(item): index for index, item in enumerate(fold.test.items)}
    rows = [items[video_id] for video_id in record["video_ids"]]

    def same(key: str) -> Any:
        values = [table.facts.get(key) for table in tables]
        return values[0] if len(values) == 1 else hash_json(values)

    return ScoreFile(
        tuple(record["video_ids"]),
        fold.test.classes,
        np.array([fold.test.classes.index(str(fold.test.items[row].label)) for row in rows], dtype=np.int64),
        tuple(fold.test.item_groups[row] for row in rows),
        decisions,
        _softmax(decisions),
        np.ones(len(rows), dtype=np.int64),
        settings={
            "part": "test",
            "head": SVM_HEAD,
            "svm": settings.to_dict(),
            "model": " + ".join(str(table.facts.get("model")) for table in tables),
            "layers": [table.layer for table in tables],
            "numbers": sum(table.length for table in tables),
            "weights_sha256": same("weights_sha256"),
            "recipe_hash": same("recipe_hash"),
            "sampling": [table.facts.get("sampling") for table in tables],
        },
        notes=(*notes, *record["notes"]),
    )


def _softmax(values: FloatArray) -> FloatArray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    shares: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return shares
