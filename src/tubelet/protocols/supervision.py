"""A round of supervision transfer: a 3-D network learns from an image network which frames belong to which clip.

What it ends with is a model folder like any other, to be fine-tuned on labels (``tubelet train --weights``), and the
share of right answers on pairs of held-out videos, of which chance gets half.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tubelet.artifacts import write_json
from tubelet.clips.decode import ClipDecoder
from tubelet.clips.modality import RGB
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.fingerprints import Fingerprints
from tubelet.datasets.manifest import Manifest
from tubelet.errors import UsageError
from tubelet.models.folder import load_model, read_config
from tubelet.models.spec import descriptor_layer
from tubelet.models.supervision_transfer import SupervisionTransfer
from tubelet.protocols.bootstrap import Interval, bootstrap_interval
from tubelet.protocols.leak import refuse_seen_groups, trained_on
from tubelet.protocols.lookalikes import (
    FINGERPRINTS,
    fingerprints_record,
    looks_of_training,
    refuse_copies_between,
)
from tubelet.protocols.round_model import MODEL, decoded, origin, starting_model
from tubelet.protocols.rounds import RoundSettings, facts
from tubelet.reporting.terminal import progress
from tubelet.training.run_folder import RunFolder
from tubelet.training.transfer import PairScores, TaughtVideos, pair_scores, taught_videos, train_transfer

_log = logging.getLogger(__name__)

SCORES = "pairs.json"


@dataclass(frozen=True)
class TransferResult:
    """What a transfer ends with.

    Attributes
    ----------
    steps
        Optimizer steps taken.
    pairs
        Pairs of held-out videos, half of which match; 0 where none was held out.
    accuracy, interval
        Share of right answers, the mean over the videos, and its bootstrap interval over groups (videos where there
        are few groups).
    loss
        Mean cross-entropy; ln 2 = 0.693 is what guessing gets.
    failed
        Videos that could not be read.
    """

    steps: int
    pairs: int
    accuracy: float | None
    interval: Interval | None
    loss: float | None
    failed: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "steps": self.steps,
            "pairs": self.pairs,
            "accuracy": self.accuracy,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "loss": self.loss,
            "failed": [list(pair) for pair in self.failed],
        }

    def __str__(self) -> str:
        if self.accuracy is None or self.interval is None:
            return f"supervision transfer: {self.steps} steps; no video was held out, so no pair was tested"
        return (
            f"supervision transfer: {self.accuracy:.1%} of {self.pairs} held-out pairs right "
            f"({self.interval.level:.0%} interval {self.interval.low:.1%} to {self.interval.high:.1%}; chance 50 %)"
        )


def transfer_round(
    training: Manifest,
    test: Manifest | None,
    settings: RoundSettings,
    teacher: Path,
    folder: Path,
    *,
    device: str = "cpu",
    overwrite: bool = False,
) -> TransferResult:
    """Train a student and test it on pairs of held-out videos; go on where an earlier call was stopped.

    Parameters
    ----------
    training, test
        Videos; labels are not looked at.
    settings
        The student, its recipe, and how it is trained.
    teacher
        Model folder of an image network, such as a converted ``squeezenet`` or ``densenet_121``.
    folder
        The run folder, as for `tubelet.protocols.rounds.run_round`; ``model/`` is the student, whose classifier of
        one output says nothing and is replaced by fine-tuning. ``pairs.json`` has the result.
    device, overwrite
        As for `run_round`.

    Raises
    ------
    UsageError
        If the teacher takes several frames, the folder holds another run, or the starting weights or the training
        part saw test videos.
    """
    if settings.modality != RGB:
        raise UsageError(
            f"{settings.model} takes {settings.modality.name.replace('_', ' ')}, and the teacher looks at frames",
            remedy="choose a student that takes RGB",
        )
    resolved = {
        "training": facts(training),
        "test": None if test is None else facts(test),
        "device": device,
        "teacher": str(teacher),
        "teacher_sha256": read_config(teacher).weights_sha256,
        **settings.to_dict(),
    }
    if settings.weights is not None and test is not None:
        refuse_seen_groups(settings.weights, test, allow=settings.allow_leak, workers=settings.train.workers)
    if test is not None:
        refuse_copies_between([training], test, allow=settings.allow_leak, workers=settings.train.workers)
    run = RunFolder(folder, resolved, overwrite=overwrite)
    target = folder / MODEL
    if (folder / SCORES).exists():
        return _read(json.loads((folder / SCORES).read_text(encoding="utf-8")))
    config = settings.train
    with run.logging():
        image_net = load_model(teacher)
        # One output: no labels are learned, and every data set that is fine-tuned on has more.
        student = starting_model(settings, 1)
        begun = origin(student, settings)
        network = SupervisionTransfer(
            image_net,
            student,
            teacher_layer=descriptor_layer(image_net.layer_names),
            student_layer=settings.descriptor_layer,
            seed=config.seed,
        )
        seen: list[TaughtVideos | None] = [None, None]
        failed: dict[str, str] = {}
        with ClipDecoder(workers=config.workers) as decoder:
            for place, (manifest, title) in enumerate(((training, "videos"), (test, "test videos"))):
                if manifest is None:
                    continue
                plain = _unlabeled(manifest)
                videos = decoded(plain, settings.recipe, decoder, config, f"reading {title}")
                recipe = image_net.recipe or get_recipe(image_net.input.recipe)
                pictures = decoded(plain, recipe, decoder, config, f"reading {title} for the teacher")
                failed.update(videos.failed + pictures.failed)
                for path, why in videos.failed + videos.partial:
                    _log.warning("%s: %s", path, why)
                with progress("teacher looks", total=len(videos.lengths), unit="video") as bar:
                    scale = seen[0].scale if seen[0] is not None else None
                    seen[place] = taught_videos(
                        network, videos, pictures, scale=scale, device=device, progress=bar.update
                    )
            taught, held_out = seen
            assert taught is not None
            outcome = train_transfer(network, taught, config, folder, validation=held_out, device=device)
            scores = (
                None if held_out is None else pair_scores(network, held_out, outcome.precision, device, config.seed)
            )
        run.write_failures("failed.jsonl", sorted(failed.items()))
        result = _result(outcome.steps, scores, held_out, tuple(sorted(failed.items())))
        network.to("cpu")
        looks = looks_of_training([training], [settings.weights, teacher], workers=config.workers)
        _save(network, settings, training, begun, result, target, looks)
        write_json(folder / SCORES, result.to_dict())
    return result


def _unlabeled(manifest: Manifest) -> Manifest:
    # A stream of training clips hands labels on; these are nobody's.
    items = tuple(replace(item, label="video") for item in manifest.items)
    return replace(manifest, items=items, classes=("video",))


def _result(
    steps: int, scores: PairScores | None, held_out: TaughtVideos | None, failed: tuple[tuple[str, str], ...]
) -> TransferResult:
    if scores is None or held_out is None:
        return TransferResult(steps, 0, None, None, None, failed)
    right: dict[int, list[float]] = {}
    for video, value in zip(scores.videos, scores.right, strict=True):
        right.setdefault(video, []).append(value)
    groups: Sequence[str] = held_out.videos.manifest.item_groups
    shares = [float(np.mean(values)) for values in right.values()]
    interval = bootstrap_interval(shares, [groups[video] for video in right])
    return TransferResult(steps, 2 * len(scores.right), float(np.mean(shares)), interval, scores.loss, failed)


def _read(values: dict[str, Any]) -> TransferResult:
    interval = values["interval"]
    return TransferResult(
        values["steps"],
        values["pairs"],
        values["accuracy"],
        None if interval is None else Interval(**interval),
        values["loss"],
        tuple((path, why) for path, why in values["failed"]),
    )


def _save(
    network: SupervisionTransfer,
    settings: RoundSettings,
    training: Manifest,
    begun: dict[str, Any] | None,
    result: TransferResult,
    target: Path,
    looks: Fingerprints | None,
) -> None:
    taught_on = (network.teacher.provenance or {}).get("trained_on")
    network.student.save(
        target,
        recipe=settings.recipe,
        provenance={
            # What the teacher saw counts as seen.
            "trained_on": {**trained_on(training, settings.weights), **({"with": [taught_on]} if taught_on else {})},
            **fingerprints_record(looks),
            "train": settings.train.model_dump(mode="json"),
            "steps": result.steps,
            "taught_by": {
                "model": network.teacher.name,
                "weights_id": network.teacher.weights_id,
                "layer": network.teacher_layer,
            },
            "started_from": begun,
            "note": "trained without labels: the classifier has learned nothing and is replaced by fine-tuning",
            "failed": [list(pair) for pair in result.failed],
        },
    )
    if looks is not None:
        looks.save(target / FINGERPRINTS)
