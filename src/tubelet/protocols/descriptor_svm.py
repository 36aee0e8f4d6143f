"""The papers' protocol on descriptors that are there already: a linear SVM on one table or on several side by side.

Each table's video vector has length one (mean over clips, then L2); several are put one behind the other, which is how
C3D's three nets become 3 x 4096 = 12,288 numbers (section 4.1) and how iDT joins them. What is fitted (z-scores,
principal components, planes) is fitted on a fold's training videos alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tubelet.artifacts import write_json
from tubelet.clips.sampling import Sampling
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.request import item_id
from tubelet.descriptors.video_vectors import VideoVectors
from tubelet.errors import InputDataError, UsageError
from tubelet.failures import FailedVideo
from tubelet.models.folder import read_config, read_provenance
from tubelet.protocols.comparable import Done, beside, official, seen_by
from tubelet.protocols.leak import refuse_seen_groups
from tubelet.protocols.metrics import IntArray, stacked_targets
from tubelet.protocols.result import Result
from tubelet.protocols.svm import DescriptorSVM, untaught
from tubelet.protocols.video_level import classification_result
from tubelet.protocols.views import name_of
from tubelet.provenance import environment
from tubelet.training.run_folder import safe_name

_log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]

UNTRAINED = "untrained:"
_OUT_OF_REACH = -1e9  # decision value of a class that no training video shows


@dataclass(frozen=True)
class SvmSettings:
    """How the SVM is fitted.

    Attributes
    ----------
    svm_c
        C; the papers do not state theirs.
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
    tables: Sequence[VideoVectors],
    settings: SvmSettings,
    folder: Path,
    *,
    allow_leak: bool = False,
) -> Evaluated:
    """Fit and test on every fold; finished folds lie in ``folder/scores`` and are not fitted again.

    Parameters
    ----------
    folds
        At least one; their test videos are judged together.
    tables
        At least one. A video that one of them lacks is left out and listed.
    settings
        How to fit.
    folder
        The run's; it belongs to these tables and settings, see `tubelet.training.run_folder.RunFolder`.
    allow_leak
        Test also on groups that a table's network was trained on, with a note.

    Raises
    ------
    UsageError
        Such groups are tested on and this is not allowed; more components are asked for than there can be.
    InputDataError
        Not one training or test video of a fold is in all tables.
    """
    notes = leak_notes(folds, tables, allow=allow_leak)
    classes = folds[0].test.classes
    parts = [_scores(fold, tables, settings, folder / "scores" / f"{safe_name(fold.name)}.json") for fold in folds]
    failed = _missing([item for fold in folds for item in (fold.train, fold.test)], tables)
    known = {item_id(item): (str(item.label), item.own_group) for fold in folds for item in fold.test.items}
    targets: dict[str, IntArray] = {
        item_id(item): row[None]
        for fold in folds
        for item, row in zip(fold.test.items, fold.test.every_target, strict=True)
    }
    ids = [video_id for part in parts for video_id in part["video_ids"]]
    n_test = sum(len(fold.test) for fold in folds)
    if len(ids) < n_test:
        notes.append(f"{n_test - len(ids)} of {n_test} test videos have no descriptor and are not counted")
    notes += [note for part in parts for note in part["notes"]]
    groups = [known[video_id][1] for video_id in ids]
    length = sum(table.vectors.shape[1] for table in tables)
    result = classification_result(
        np.concatenate([np.array(part["decisions"]) for part in parts]),
        [known[video_id][0] for video_id in ids],
        classes,
        protocol=f"linear SVM on {' + '.join(dict.fromkeys(_title(table) for table in tables))}, {length} numbers",
        video_ids=ids,
        groups=groups if len(set(groups)) < len(groups) else None,
        top_k=(5,) if min(part["classes"] for part in parts) > 5 else (),
        seed=settings.seed,
        settings={
            **settings.to_dict(),
            "tables": [{"name": table.name, "layer": table.layer, **table.facts} for table in tables],
            "folds": [fold.name for fold in folds],
        },
        provenance=environment(dataset=folds[0].test.to_dict()),
        notes=list(dict.fromkeys(notes)),
        targets=stacked_targets([targets[video_id] for video_id in ids]),
    )
    done = _done(folds[0].test, tables, settings, len(ids)) if len(folds) == 1 else None
    return Evaluated(beside(result, done), tuple(failed))


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
        train, test = scaler.transform(train), scaler.transform(test)
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
    decisions = np.full((len(test), len(classes)), _OUT_OF_REACH)
    decisions[:, [list(classes).index(name) for name in svm.classes_]] = svm.decision_function(test)
    return decisions, svm.notes_


def leak_notes(folds: Sequence[Fold], tables: Sequence[VideoVectors], *, allow: bool) -> list[str]:
    """Refuse to test on groups that a table's network was trained on; what is to be noted otherwise.

    Raises
    ------
    UsageError
        Such groups are tested on, and ``allow`` is False.
    """
    notes: list[str] = []
    for table in tables:
        if str(table.facts.get("weights_sha256") or "").startswith(UNTRAINED):
            continue
        source = model_of_table(table.path, table.facts.get("model_source"), table.facts.get("weights_sha256"))
        if source is None or not (read_provenance(source) or {}).get("trained_on"):
            why = "what its network was trained on is not known" if table.facts else "what made them is not known"
            notes.append(f"{table.name}: {why}, so a leak would not be seen")
            continue
        for fold in folds:
            notes += [f"{table.name}: {note}" for note in refuse_seen_groups(source, fold.test, allow=allow)]
    return list(dict.fromkeys(notes))


def model_of_table(table: Path, named: str | None, weights_sha256: str | None) -> Path | None:
    """The model folder that made a table, if it is still there, still holds those weights.

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


def _scores(fold: Fold, tables: Sequence[VideoVectors], settings: SvmSettings, file: Path) -> dict[str, Any]:
    if file.exists():
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return kept
    train, test = (_present(part, tables) for part in (fold.train, fold.test))
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
    decisions, notes = fitted_decisions(
        side_by_side(tables, [item_id(fold.train.items[index]) for index in train]),
        [str(fold.train.items[index].label) for index in train],
        side_by_side(tables, [item_id(fold.test.items[index]) for index in test]),
        fold.test.classes,
        settings,
    )
    unseen = untaught(
        [fold.test.items[index] for index in test], {str(fold.train.items[index].label) for index in train}
    )
    said = [*notes, *(f"no training video shows {name}: its test videos cannot be right" for name in unseen)]
    record = {
        "video_ids": [item_id(fold.test.items[index]) for index in test],
        "decisions": decisions.tolist(),
        "classes": int((decisions.max(axis=0) > _OUT_OF_REACH).sum()),
        "notes": said,
    }
    write_json(file, record)
    return record


def _present(videos: Manifest, tables: Sequence[VideoVectors]) -> list[int]:
    known = set.intersection(*(set(table.video_ids.tolist()) for table in tables))
    return [index for index, item in enumerate(videos.items) if item_id(item) in known]


def _missing(parts: Sequence[Manifest], tables: Sequence[VideoVectors]) -> list[FailedVideo]:
    items = {item_id(item): str(part.root / item.path) for part in parts for item in part.items}
    found: dict[str, FailedVideo] = {}
    for table in tables:
        known = set(table.video_ids.tolist())
        for video_id, path in items.items():
            if video_id not in known and video_id not in found:
                why = table.failed.get(video_id, "it is not in the table")
                found[video_id] = FailedVideo(video_id, path, f"no descriptor in {table.path}: {why}", "InputDataError")
    return [found[video_id] for video_id in sorted(found)]


def _done(test: Manifest, tables: Sequence[VideoVectors], settings: SvmSettings, videos: int) -> Done | None:
    where = official(test.name)
    names = [_network(table) for table in tables]
    if where is None or "" in names:
        return None

    def same(values: Sequence[str]) -> str:
        return values[0] if len(set(values)) == 1 else ""

    own = [table for table in tables if table.facts]
    return Done(
        *where,
        "svm",
        " + ".join(sorted(set(names))),
        options={"pca": settings.pca, "zscore": settings.zscore},
        weights=same([_seen(table) for table in own] or [""]),
        views=same([_views(table) for table in own] or [""]),
        recipe=same([str(table.facts.get("recipe") or "") for table in own] or [""]),
        tables=len(tables),
        videos=videos,
        classes=len({item.label for item in test.items}),
        fps=test.fps,
    )


def _network(table: VideoVectors) -> str:
    """The network, or what the user calls a table of another kind, such as ``idt``."""
    return str(table.facts.get("model") or "") if table.facts else table.name


def _seen(table: VideoVectors) -> str:
    if str(table.facts.get("weights_sha256") or "").startswith(UNTRAINED):
        return "nothing: random weights"
    source = model_of_table(table.path, table.facts.get("model_source"), table.facts.get("weights_sha256"))
    return "" if source is None else seen_by(read_provenance(source))


def _views(table: VideoVectors) -> str:
    sampling = table.facts.get("sampling")
    return "" if sampling is None else name_of(Sampling.from_dict(json.loads(str(sampling))))


def _title(table: VideoVectors) -> str:
    return f"{table.facts['model']} {table.layer}" if table.facts.get("model") else table.name
