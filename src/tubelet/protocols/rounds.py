"""One round of train and test: what every protocol that trains a network is made of.

Train a network, describe videos with it (clips of 16 frames, stride 8, fc6, mean, L2), fit a linear SVM on the
training descriptors, and score the test videos with the SVM and with the network itself. Each stage leaves its
result in the round's folder and is not done twice.
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

from tubelet.artifacts import write_json
from tubelet.clips.modality import Modality
from tubelet.clips.recipe import Recipe
from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.request import item_id
from tubelet.descriptors.store import DescriptorTable
from tubelet.errors import InputDataError
from tubelet.flow.library import FlowSurvey
from tubelet.models.contract import VideoModel
from tubelet.models.folder import read_config
from tubelet.models.registry import DEFAULT_CLASSES, build_meta
from tubelet.models.spec import descriptor_layer
from tubelet.protocols.leak import refuse_seen_groups, refuse_shared_groups
from tubelet.protocols.lookalikes import refuse_copies_between
from tubelet.protocols.metrics import IntArray
from tubelet.protocols.round_descriptors import DESCRIPTORS, describe_round, joined
from tubelet.protocols.round_flow import stored_flow
from tubelet.protocols.round_model import MODEL, trained_model
from tubelet.protocols.svm import CONFIG_FILE as SVM_CONFIG
from tubelet.protocols.svm import DescriptorSVM, untaught
from tubelet.protocols.video_level import video_probabilities
from tubelet.training.config import StartFrom, TrainConfig
from tubelet.training.run_folder import RunFolder

_log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]

SVM, SCORES = "svm", "scores.json"


@dataclass(frozen=True)
class RoundSettings:
    """What a round is made with; hashed into the run, so that a folder never mixes two.

    Attributes
    ----------
    model, options
        Registry name and keyword options.
    recipe
        Preprocessing; its ``flip`` says whether mirrored clips keep their label.
    train
        Training settings, the seed included.
    layer
        Layer of the descriptor; None: ``fc6`` where the network has it, else ``pool5``.
    stride_frames
        Frames between clip starts of the descriptor (C3D paper, section 3.3: 8).
    svm_c
        C of the SVM.
    with_svm
        False: only the network's own prediction (no training descriptors are needed).
    weights
        Model folder to start from, or None.
    start_from
        ``"same"``: the weights are of this network. ``"inflate"``: of its 2-D counterpart. ``"cross_modality"``: of
        the same network for RGB. See `tubelet.weights.inflate` and `tubelet.weights.first_layer`.
    allow_leak
        Test even on groups that ``weights`` was trained on, with a note beside the figures.
    flow
        For networks that read motion: folders of stored flow, of the data set and then of each further one.
    any_flow
        Accept flow of another kind than the starting weights saw, or of several, with a note beside the figures.
    """

    model: str
    recipe: Recipe
    train: TrainConfig
    options: dict[str, Any] = field(default_factory=dict)
    layer: str | None = None
    stride_frames: int = 8
    svm_c: float = 1.0
    with_svm: bool = True
    weights: str | None = None
    start_from: StartFrom = "same"
    allow_leak: bool = False
    flow: tuple[str, ...] = ()
    any_flow: bool = False

    @property
    def descriptor_layer(self) -> str:
        """The layer of the descriptor: ``layer``, or the papers' choice for this network."""
        return self.layer or descriptor_layer(build_meta(self.model, DEFAULT_CLASSES, self.options).layer_names)

    @property
    def modality(self) -> Modality:
        """What the network's input is made of."""
        return build_meta(self.model, DEFAULT_CLASSES, self.options).input.content

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for ``config.toml``. The number of workers changes no result and is left out."""
        values = self.train.model_dump(mode="json", exclude={"workers", "cache_mib"})
        return {
            "model": self.model,
            "options": self.options,
            "layer": self.layer,
            "stride_frames": self.stride_frames,
            "svm_c": self.svm_c,
            "with_svm": self.with_svm,
            "weights": self.weights,
            "start_from": self.start_from,
            "allow_leak": self.allow_leak,
            **({"flow": list(self.flow), "any_flow": self.any_flow} if self.flow else {}),
            "recipe": {**self.recipe.to_dict(), "hash": self.recipe.hash},
            "train": values,
        }


@dataclass(frozen=True)
class RoundScores:
    """Scores of the test videos of one round.

    Attributes
    ----------
    video_ids, labels, groups
        (n,) of the test videos that could be read.
    net
        (n, K) mean of clip probabilities.
    svm
        (n, K) decision values, or None; a class that was not trained on has -1e9.
    failed
        Videos, of training and test, that could not be read.
    notes
        What a reader of the figures should know.
    targets
        (n, L) int64 where videos have several classes: all of each, −1 where it has fewer; else None.
    """

    video_ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    net: FloatArray
    svm: FloatArray | None
    failed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    targets: IntArray | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "video_ids": list(self.video_ids),
            "labels": list(self.labels),
            "groups": list(self.groups),
            "net": self.net.tolist(),
            "svm": None if self.svm is None else self.svm.tolist(),
            "failed": [list(pair) for pair in self.failed],
            "notes": list(self.notes),
            **({} if self.targets is None else {"targets": self.targets.tolist()}),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RoundScores:
        """The inverse of :meth:`to_dict`."""
        return cls(
            tuple(values["video_ids"]),
            tuple(values["labels"]),
            tuple(values["groups"]),
            # JSON forgets the width of a table without rows.
            np.array(values["net"], dtype=np.float64) if values["labels"] else np.empty((0, 0)),
            None if values["svm"] is None else np.array(values["svm"], dtype=np.float64),
            tuple((path, why) for path, why in values["failed"]),
            tuple(values["notes"]),
            np.array(values["targets"], dtype=np.int64) if "targets" in values else None,
        )


def run_round(
    training: Manifest,
    test: Manifest | None,
    settings: RoundSettings,
    folder: Path,
    *,
    further: Sequence[Manifest] = (),
    device: str = "cpu",
    overwrite: bool = False,
) -> RoundScores:
    """Train on ``training``, score ``test``; go on where an earlier call with equal settings was stopped.

    Parameters
    ----------
    training
        Labeled videos.
    test
        Labeled videos to score, or None: then only the model and its SVM are made and the scores are empty.
    settings
        How.
    folder
        The run folder: ``config.toml``, ``env.json``, ``log.txt``, ``metrics.csv``, ``checkpoints/``,
        ``model/`` (with the SVM), ``descriptors/``, ``scores.json``, ``failed.jsonl``.
    further
        Labeled videos of further data sets, each learned by a head of its own, see `tubelet.training.loop.train`.
    device
        ``"cpu"`` or ``"cuda"``.
    overwrite
        Delete a run with other settings that lies there.

    Raises
    ------
    UsageError
        If the folder holds another run, or the starting weights or the training part saw videos to be tested on.
    InputDataError
        If the training videos are of fewer than two classes, or not one of them can be read.
    """
    labels = sorted({str(item.label) for item in training.items})
    if len(labels) < 2:
        raise InputDataError(
            "training needs videos of at least two classes",
            path=training.root,
            why=f"there is only {labels[0]!r}" if labels else "there are no videos",
            remedy="add videos of another class",
        )
    tested = [] if test is None else [test]
    flow = stored_flow(settings, [joined(training, *tested), *further])
    resolved = resolved_settings(training, test, settings, device, flow)
    if further:
        resolved["further"] = {f"task{number}": facts(one) for number, one in enumerate(further, 2)}
    notes = [] if flow is None else [*flow.notes]
    if settings.weights is not None and test is not None:
        notes += refuse_seen_groups(settings.weights, test, allow=settings.allow_leak, workers=settings.train.workers)
    if test is not None:
        notes += refuse_shared_groups(further, test, allow=settings.allow_leak)
        notes += refuse_copies_between(
            [training, *further], test, allow=settings.allow_leak, workers=settings.train.workers
        )
        if settings.train.schedule == "plateau":
            notes.append("the learning rate was lowered by the loss on these very test videos")
    run = RunFolder(folder, resolved, overwrite=overwrite)
    scores_file = folder / SCORES
    if scores_file.exists():
        return RoundScores.from_dict(json.loads(scores_file.read_text(encoding="utf-8")))
    with run.logging():
        model, failed = trained_model(training, settings, folder, device=device, test=test, further=further, flow=flow)
        layer = settings.descriptor_layer
        parts = [*([training] if settings.with_svm else []), *tested]
        table = None
        if parts:
            layers = (layer, "prob") if settings.with_svm else ("prob",)
            failed += describe_round(joined(*parts), model, layers, settings, folder, device=device)
            table = DescriptorTable(folder / DESCRIPTORS)
        svm = None
        if settings.with_svm and table is not None:
            svm = fitted_svm(table, training, layer, settings, model, folder)
            notes += svm.notes_
        # A training video that fails does so twice, in training and in extraction; it is told once.
        failed = sorted(dict(reversed(failed)).items())
        run.write_failures("failed.jsonl", failed)
        scores = _scores(test, table, svm, layer, failed, notes)
        write_json(scores_file, scores.to_dict())
    return scores


def resolved_settings(
    training: Manifest, test: Manifest | None, settings: RoundSettings, device: str, flow: FlowSurvey | None = None
) -> dict[str, Any]:
    """What tells one round from another, JSON-ready: for its `RunFolder`."""
    resolved = {
        "training": facts(training),
        "test": None if test is None else facts(test),
        "device": device,
        **settings.to_dict(),
    }
    if settings.weights is not None:  # the folder's name alone does not say what is in it
        resolved["weights_sha256"] = read_config(settings.weights).weights_sha256
    if flow is not None:
        resolved["stored_flow"] = flow.kind.to_dict()
    return resolved


def facts(manifest: Manifest) -> dict[str, Any]:
    """What a run's settings say about a set of videos."""
    return {"dataset": manifest.name, "videos": len(manifest), "hash": manifest.hash}


def fitted_svm(
    table: DescriptorTable,
    training: Manifest,
    layer: str,
    settings: RoundSettings,
    model: VideoModel,
    folder: Path,
) -> DescriptorSVM:
    """The SVM on the training descriptors, saved inside the model's folder."""
    target = folder / MODEL / SVM
    ids, kept = _present(table, training)
    if not ids:
        raise InputDataError("not one training video could be described", path=training.root, remedy="see log.txt")
    svm = DescriptorSVM(settings.svm_c, layer=layer, weights_id=model.weights_id, recipe_hash=settings.recipe.hash)
    svm.fit(table.videos(layer, ids).take(ids), [str(training.items[index].label) for index in kept])
    if not (target / SVM_CONFIG).exists():
        svm.save(
            target,
            {
                "trained_on": (model.provenance or {}).get("trained_on"),
                "stride_frames": settings.stride_frames,
            },
        )
    return svm


def _present(table: DescriptorTable, manifest: Manifest) -> tuple[list[str], list[int]]:
    """Ids and item indices of the manifest's videos that the table holds (the others failed to decode)."""
    known = set(table.clip_counts())
    kept = [index for index, item in enumerate(manifest.items) if item_id(item) in known]
    return [item_id(manifest.items[index]) for index in kept], kept


def _scores(
    test: Manifest | None,
    table: DescriptorTable | None,
    svm: DescriptorSVM | None,
    layer: str,
    failed: list[tuple[str, str]],
    notes: list[str],
) -> RoundScores:
    if test is None or table is None:
        return RoundScores((), (), (), np.empty((0, 0)), None, tuple(failed), tuple(notes))
    ids, kept = _present(table, test)
    if len(ids) < len(test):
        notes.append(f"{len(test) - len(ids)} of {len(test)} test videos could not be read and are not counted")
    if not ids:
        return RoundScores((), (), (), np.empty((0, 0)), None, tuple(failed), tuple(notes))
    clips = table.clips("prob", ids)
    names, starts = np.unique(clips.video_id, return_index=True)  # the clips are in the order of their videos
    of_video = dict(zip(names.tolist(), np.split(clips.vectors, starts[1:]), strict=True))
    net = np.stack([video_probabilities(of_video[video_id]) for video_id in ids])
    decisions = None
    if svm is not None:
        decisions = np.full((len(ids), len(test.classes)), -1e9)
        columns = [test.classes.index(name) for name in svm.classes_]
        unseen = untaught([test.items[index] for index in kept], svm.classes_)
        if unseen:
            notes.append(f"no training video shows {', '.join(unseen)}: their test videos cannot be right")
        decisions[:, columns] = svm.decision_function(table.videos(layer, ids).take(ids))
    return RoundScores(
        tuple(ids),
        tuple(str(test.items[index].label) for index in kept),
        tuple(test.item_groups[index] for index in kept),
        net,
        decisions,
        tuple(failed),
        tuple(notes),
        test.every_target[kept] if any(test.items[index].more_labels for index in kept) else None,
    )
