"""The network of a round: begun as the settings say, trained, and saved as a model folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.modality import RGB, Modality
from tubelet.clips.recipe import Recipe
from tubelet.datasets.fingerprints import Fingerprints
from tubelet.datasets.loader import DecodedVideos, decode_videos
from tubelet.datasets.manifest import Manifest
from tubelet.flow.decode import FlowDecoder
from tubelet.flow.library import FlowSurvey
from tubelet.models.contract import VideoModel
from tubelet.models.folder import load_model, read_config
from tubelet.models.registry import create_model
from tubelet.protocols.leak import trained_on
from tubelet.protocols.lookalikes import FINGERPRINTS, fingerprints_record, looks_of_training
from tubelet.reporting.terminal import progress
from tubelet.training.config import TrainConfig
from tubelet.training.loop import train
from tubelet.weights.first_layer import across_modalities
from tubelet.weights.inflate import inflated
from tubelet.weights.start import Transform, start_from

if TYPE_CHECKING:
    from tubelet.protocols.rounds import RoundSettings

_log = logging.getLogger(__name__)

MODEL = "model"
"""Folder of the model in that of a run."""


def trained_model(
    training: Manifest,
    settings: RoundSettings,
    folder: Path,
    *,
    device: str,
    test: Manifest | None = None,
    further: Sequence[Manifest] = (),
    flow: FlowSurvey | None = None,
    videos: Callable[[], DecodedVideos] | None = None,
) -> tuple[VideoModel, list[tuple[str, str]]]:
    """The round's model: loaded if it is finished, else trained (from the last checkpoint on), and saved.

    A network that reads motion reads it below the folders of ``settings``, and remembers its kind, which is ``flow``'s.
    ``videos`` gives the training videos where somebody has decoded them; it is called if there is something to train.
    """
    target = folder / MODEL
    if (target / "config.json").exists():
        finished = load_model(target)
        if "fingerprints" in (finished.provenance or {}) and not (target / FINGERPRINTS).exists():
            # Stopped between the two files.
            _remember(
                target, looks_of_training([training, *further], [settings.weights], workers=settings.train.workers)
            )
        return finished, [(path, why) for path, why in (finished.provenance or {}).get("failed", [])]
    config = settings.train
    model = starting_model(settings, len(training.classes))
    begun = origin(model, settings)
    modality = model.input.content
    with ExitStack() as stack:
        decoders = [
            stack.enter_context(FlowDecoder(root, config.workers, backward=modality.both_directions))
            for root in settings.flow
        ] or [stack.enter_context(ClipDecoder(workers=config.workers))] * (1 + len(further))
        learned = (
            decoded(training, settings.recipe, decoders[0], config, "reading videos", modality)
            if videos is None
            else videos()
        )
        others = [
            decoded(one, settings.recipe, decoder, config, f"reading {one.name}", modality)
            for one, decoder in zip(further, decoders[1:], strict=True)
        ]
        validation: DecodedVideos | None = None
        if test is not None and config.validate_every:
            validation = decoded(test, settings.recipe, decoders[0], config, "reading test videos", modality)
        for one in (learned, *others):
            for path, why in one.failed + one.partial:
                _log.warning("%s: %s", path, why)
        outcome = train(model, learned, config, folder, further=others, validation=validation, device=device)
    failed = learned.failed + [(f"{one.manifest.name}: {path}", why) for one in others for path, why in one.failed]
    model.to("cpu")
    looks = looks_of_training([training, *further], [settings.weights], workers=config.workers)
    model.save(
        target,
        recipe=settings.recipe,
        labels=training.classes,
        provenance={
            "trained_on": trained_on(training, settings.weights, further),
            **fingerprints_record(looks),
            "train": config.model_dump(mode="json"),
            "steps": outcome.steps,
            "precision": {"name": outcome.precision.name, "why": outcome.precision.reason},
            "started_from": begun,
            **({} if flow is None else {"flow": flow.to_dict()}),
            "failed": [list(pair) for pair in failed],
        },
    )
    _remember(target, looks)
    return load_model(target), failed


def _remember(target: Path, looks: Fingerprints | None) -> None:
    if looks is not None:
        looks.save(target / FINGERPRINTS)


def origin(model: VideoModel, settings: RoundSettings) -> dict[str, Any] | None:
    """Which weights `starting_model` began with, as its provenance says it: by name and hash; None: fresh ones.

    Where they lay is in the run's ``config.toml``; a model is handed on, and then that says nothing.
    """
    if settings.weights is None:
        return None
    if settings.start_from != "same":
        return (model.provenance or {}).get("started_from")
    folder = Path(os.path.abspath(settings.weights))
    config = read_config(folder)
    name = folder.parent.name if folder.name == MODEL else folder.name
    return {"model": config.name, "folder": name, "weights_sha256": config.weights_sha256}


def starting_model(settings: RoundSettings, num_classes: int) -> VideoModel:
    """The network as training finds it: fresh, with its own weights, or with transformed ones of another network."""
    seed = settings.train.seed
    if settings.weights is None or settings.start_from == "same":
        return create_model(settings.model, num_classes, settings.weights, seed=seed, **settings.options)
    model = create_model(settings.model, num_classes, seed=seed, **settings.options)
    transforms: dict[str, Transform] = {"inflate": inflated, "cross_modality": across_modalities}
    report = start_from(model, load_model(settings.weights), transforms[settings.start_from])
    _log.info("%s", report)
    return model


def decoded(
    manifest: Manifest,
    recipe: Recipe,
    decoder: ClipDecoder,
    config: TrainConfig,
    title: str,
    modality: Modality = RGB,
) -> DecodedVideos:
    """Every video of a manifest, decoded once, with a progress bar; see `decode_videos`."""
    with progress(title, total=len(manifest), unit="video") as bar:
        return decode_videos(
            manifest,
            recipe,
            decoder,
            modality=modality,
            workers=config.workers,
            cache_bytes=config.cache_mib << 20,
            progress=lambda count: bar.update(count),
        )
