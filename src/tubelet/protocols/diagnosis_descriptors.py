"""The diagnosis of a linear SVM on a descriptor table: its network describes the videos again, changed in one thing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.pooling import GroupedMeans, l2_normalize
from tubelet.descriptors.schema import vector_column, vectors_in
from tubelet.descriptors.store import DescriptorTable, has_table
from tubelet.descriptors.video_vectors import VideoVectors
from tubelet.errors import TubeletError, UsageError
from tubelet.protocols.answers import Answers, answers_in_result
from tubelet.protocols.descriptor_svm import SvmSettings, evaluate_descriptors
from tubelet.protocols.diagnosis import Diagnosis, Expected, Suspect, diagnose
from tubelet.protocols.diagnosis_again import DescribedAgain
from tubelet.protocols.diagnosis_splits import drawn_folds
from tubelet.protocols.result import Result
from tubelet.provenance import hash_json

MOST_VIDEOS = 1000
"""Videos, of training and test together, that are described again, unless more are asked for."""


@dataclass(frozen=True, eq=False)
class DescriptorTest:
    """A finished evaluation of one descriptor table.

    Attributes
    ----------
    table
        The table of ``tubelet extract`` that was evaluated.
    folds, settings, result
        Of the evaluation.
    others
        Other ways of parting the videos, see `tubelet.protocols.diagnosis_splits.other_folds`.
    device, workers
        For describing videos again.
    """

    table: VideoVectors
    folds: Sequence[Fold]
    settings: SvmSettings
    result: Result
    others: Sequence[tuple[str, Sequence[Fold]]] = ()
    device: str = "auto"
    workers: int = 1


def diagnose_descriptors(
    test: DescriptorTest,
    expected: Expected,
    folder: Path,
    *,
    mean: str | os.PathLike[str] | None = None,
    most: int = MOST_VIDEOS,
    tell: Callable[[str], None] = lambda text: None,
) -> Diagnosis:
    """Evaluate a table again with one thing changed at a time, and say what moves its figure.

    Splits and normalization need the table alone; for color order, mean and stride its network describes the videos
    again. Finished variants lie below ``folder`` and are not described again.

    Parameters
    ----------
    test
        What was done.
    expected
        The figure that it should have given.
    folder
        Where the variants' vectors and scores go.
    mean
        A mean volume to be tried, BGR.
    most
        Videos that are described again.
    tell
        Is told what is about to be done, and how long it takes.

    Raises
    ------
    UsageError
        The table is not one of ``tubelet extract``.
    """
    table = test.table
    if not has_table(table.path):
        raise UsageError(
            "this table's clips are not known, so they cannot be taken otherwise",
            path=table.path,
            remedy="diagnose a table of tubelet extract",
        )
    few = drawn_folds(test.folds, most)
    whole = len(_all(few)) == len(_all(test.folds))

    def answers(name: str, vectors: VideoVectors, folds: Sequence[Fold]) -> Answers:
        key = hash_json([name, vectors.hash, test.settings.to_dict(), [[f.train.hash, f.test.hash] for f in folds]])
        found = evaluate_descriptors(folds, [vectors], test.settings, folder / f"svm_{key[:12]}", allow_leak=True)
        return answers_in_result(found.result)

    def plain(vectors: VideoVectors) -> VideoVectors:
        return replace(vectors, facts={})  # leaks and published figures are the affair of the evaluation

    notes, untried = [], list[tuple[Suspect, str]]()
    base = answers_in_result(test.result) if whole else answers("as it is", plain(table), few)
    if not whole:
        notes.append(
            f"variants were fitted and tested on {len(_all(few))} of {len(_all(test.folds))} videos, drawn class by "
            "class; their figures are ours plus the difference there"
        )
    found: list[tuple[Suspect, str, Answers]] = []
    try:
        again = DescribedAgain(table, _all(few), folder, mean=mean, device=test.device, workers=test.workers)
    except TubeletError as error:
        untried += [(suspect, str(error)) for suspect in ("color order", "mean", "stride")]
    else:
        remark = again.run(tell)
        notes += [remark] if remark else []
        untried += again.untried
        found += [(one.suspect, one.name, answers(one.name, plain(one.vectors), few)) for one in again.described]
    for name, vectors in _other_poolings(table):
        found.append(("normalization", name, answers(name, plain(vectors), few)))
    for name, folds in test.others:
        try:
            found.append(("split", name, answers(name, plain(table), folds)))
        except TubeletError as error:
            untried.append(("split", f"{name}: {error}"))
    if not test.others:
        untried.append(("split", "there is no other way to part the videos"))
    return diagnose(test.result, base, found, expected, untried=untried, notes=notes)


def _all(folds: Sequence[Fold]) -> Manifest:
    return replace(folds[0].train, items=(*folds[0].train.items, *folds[0].test.items))


def _other_poolings(table: VideoVectors) -> list[tuple[str, VideoVectors]]:
    """The table's vectors with clips normalized before the mean over them, before and after it, and not at all."""
    source = DescriptorTable(table.path)
    layer = table.layer
    place = {video_id: row for row, video_id in enumerate(table.video_ids.tolist())}
    plain, each = (GroupedMeans(len(place), source.dimensions[layer]) for _ in range(2))
    for batch in source.batches(["video_id", vector_column(layer)], f"{vector_column(layer)} IS NOT NULL"):
        rows = [place[video_id] for video_id in batch.column("video_id").to_pylist()]
        vectors = vectors_in(batch, layer)
        plain.add(rows, vectors)
        each.add(rows, l2_normalize(vectors))
    return [
        ("each clip of length one, then the mean", replace(table, vectors=each.means().astype(np.float32))),
        ("each clip of length one, and the mean too", replace(table, vectors=l2_normalize(each.means()))),
        ("no vector of length one", replace(table, vectors=plain.means().astype(np.float32))),
    ]
