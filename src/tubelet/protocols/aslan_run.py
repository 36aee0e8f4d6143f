"""From a descriptor table to the numbers of ASLAN's pairs, and the classifier of pairs to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.datasets.aslan import sample_id
from tubelet.datasets.aslan_pairs import PairView
from tubelet.datasets.manifest import Item, Manifest
from tubelet.descriptors.pooling import FloatArray
from tubelet.descriptors.runner import model_source_of, root_of
from tubelet.descriptors.store import DescriptorTable
from tubelet.errors import InputDataError
from tubelet.models.folder import read_provenance
from tubelet.models.spec import descriptor_layer
from tubelet.protocols.aslan import LAYERS, SimilarityResult
from tubelet.protocols.comparable import seen_by
from tubelet.protocols.descriptor_done import UNTRAINED, UNTRAINED_WEIGHTS, model_of_table
from tubelet.protocols.leak import refuse_seen_groups, unknown_training
from tubelet.protocols.pair_svm import PairSVM
from tubelet.protocols.similarity import pair_features
from tubelet.reporting.text import first_few

# The four curves of ASLAN's results page that a method's own is drawn beside, where their files are there.
CURVE_FILES = {
    "Survey.txt": "human (survey)",
    "STIP_12_sim.txt": "HOG, HOF, HNF, 12 similarities",
    "OSSML_best.txt": "one-shot similarity metric learning",
    "MIP_STIP.txt": "MIP, HOG, HOF, HNF",
}


@dataclass(frozen=True, eq=False)
class PairTable:
    """The numbers of those pairs whose two videos have descriptors.

    Attributes
    ----------
    view
        These pairs.
    features
        ``(n, 12 · layers)`` float64.
    layers
        Where the columns come from.
    notes
        What is missing.
    made_by
        ``weights_sha256``, ``recipe_hash``, ``sampling`` and ``model`` of the table.
    """

    view: PairView
    features: NDArray[np.float64]
    layers: tuple[str, ...]
    notes: tuple[str, ...]
    made_by: Mapping[str, str]


def paper_layers(names: Sequence[str], *, table: bool = False) -> tuple[str, ...]:
    """The paper's four layers as far as they are there; where prob is at most, what stands for them.

    Parameters
    ----------
    names
        Layers of a network, or of a table.
    table
        They are a table's: what somebody chose to extract, so that all of it is taken. Of a network, all of whose
        layers are known, the descriptor layer is.
    """
    found = [layer for layer in LAYERS if layer in names]
    if not set(found) - {"prob"}:
        found += [name for name in names if name not in found] if table else [descriptor_layer(names)]
    return tuple(found)


def pairs_of_table(table: DescriptorTable, view: PairView, layers: Sequence[str]) -> PairTable:
    """Compare the two videos of each pair.

    Raises
    ------
    InputDataError
        The table holds a sample twice, descriptors of several networks, or not one pair of the view.
    UsageError
        It lacks a layer.
    """
    made_by = {}
    for column in ("model", "weights_sha256", "recipe_hash", "sampling"):
        value = table.only(column)
        if value is None:
            raise InputDataError(
                "the table holds descriptors that were made in several ways",
                path=table.folder,
                why=f"{column} differs between its videos",
                remedy="extract all of them with one model into one table",
            )
        made_by[column] = value
    ids, vectors = _samples(table, layers)
    row = {sample: index for index, sample in enumerate(ids)}
    here = np.asarray(np.isin(view.samples, ids).all(axis=1), dtype=np.bool_)
    if not here.any():
        raise InputDataError(
            "the table has descriptors of not one pair of the view",
            path=table.folder,
            why=f"{len(ids)} of its videos are called by a four-digit id",
            remedy="extract the videos of ASLAN, called 0001 to 3697",
        )
    notes = []
    if not here.all():
        missing = [f"{sample:04d}" for sample in view.sample_ids if sample not in row]
        gone = len(view) - int(here.sum())
        are, their = ("is", "its") if gone == 1 else ("are", "their")
        have = "has" if len(missing) == 1 else "have"
        notes.append(
            f"{gone} of {len(view)} pairs {are} left out, because {len(missing)} of {their} samples {have} no "
            f"descriptors ({first_few(missing, shown=5)})"
        )
    chosen = view.select(here)
    pairs = np.array([[row[sample] for sample in pair] for pair in chosen.samples.tolist()], dtype=np.int64)
    return PairTable(chosen, pair_features(vectors, pairs, layers), tuple(layers), tuple(notes), made_by)


def final_svm(outcome: SimilarityResult, pairs: PairTable, svm_c: float, *, search_c: bool = False) -> PairSVM:
    """The classifier for new pairs: fitted on all of them, calibrated on the margins that the folds gave.

    With ``search_c`` its C is chosen as each fold's was, by leaving out folds: here of all pairs.
    """
    svm = PairSVM(
        svm_c,
        layers=pairs.layers,
        weights_id=pairs.made_by["weights_sha256"],
        recipe_hash=pairs.made_by["recipe_hash"],
        sampling=pairs.made_by["sampling"],
    )
    if search_c:
        svm.search_c(pairs.features, pairs.view.same, pairs.view.fold_names)
    svm.fit(pairs.features, pairs.view.same)
    tested = np.isfinite(outcome.cross.margins)
    return svm.calibrate(outcome.cross.margins[tested], pairs.view.same[tested])


def samples_of_table(table: DescriptorTable) -> Manifest:
    """The samples that a table describes, under ASLAN's name and where they lay when they were described."""
    ids = sorted(video for video in table.clip_counts() if sample_id(video) is not None)
    return Manifest("aslan", Path(root_of(table.folder) or table.folder), tuple(Item(video, None) for video in ids), ())


def leak_notes_of_table(table: DescriptorTable, samples: Manifest, *, allow: bool) -> list[str]:
    """What is to be noted where a table's network was trained on samples that are tested on, or may have been.

    Raises
    ------
    UsageError
        It was, and ``allow`` is False.
    """
    weights = table.only("weights_sha256")
    if str(weights).startswith(UNTRAINED):
        return []
    source = model_of_table(table.folder, model_source_of(table.folder), weights)
    if source is None:
        return ["what the table's network was trained on is not known, so a leak would not be seen"]
    return [*refuse_seen_groups(source, samples, allow=allow), *unknown_training(source)]


def trained_on_what(table: DescriptorTable) -> str:
    """What a table's network was trained on, oldest first; `UNTRAINED_WEIGHTS` for nothing, empty for not known."""
    weights = table.only("weights_sha256")
    if str(weights).startswith(UNTRAINED):
        return UNTRAINED_WEIGHTS
    source = model_of_table(table.folder, model_source_of(table.folder), weights)
    return "" if source is None else seen_by(read_provenance(source))


def curve_files(annotations: Path) -> dict[str, Path]:
    """Files of ROC curves from ASLAN's results page that lie with the annotations, by what they are."""
    places = (annotations, annotations / "Results")
    found = {name: [place / file for place in places if (place / file).is_file()] for file, name in CURVE_FILES.items()}
    return {name: paths[0] for name, paths in found.items() if paths}


def settings_of(pairs: PairTable) -> dict[str, Any]:
    """What the Result says of the descriptors."""
    return {**pairs.made_by, "pairs": len(pairs.view), "folds": len(pairs.view.folds)}


def _samples(table: DescriptorTable, layers: Sequence[str]) -> tuple[list[int], dict[str, FloatArray]]:
    """The samples that have all layers, sorted, and their video descriptors by layer."""
    tables = {layer: table.videos(layer) for layer in layers}
    common = set.intersection(*(set(one.video_id.tolist()) for one in tables.values()))
    named: dict[int, str] = {}
    for video in sorted(common):
        sample = sample_id(video)
        if sample is None:
            continue
        if sample in named:
            raise InputDataError(
                "the table holds a sample twice",
                path=table.folder,
                why=f"{named[sample]} and {video}",
                remedy="extract one copy of each video",
            )
        named[sample] = video
    ids = sorted(named)
    return ids, {layer: tables[layer].take([named[sample] for sample in ids]) for layer in layers}
