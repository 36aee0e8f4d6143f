"""Training settings that were fixed before they were measured, each with what was tried on the way."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tubelet.clips.jitter import Jitter
from tubelet.clips.recipe import RECIPE_FILE, Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.errors import UsageError
from tubelet.models.huggingface.files import is_huggingface
from tubelet.models.registry import DEFAULT_CLASSES, build_meta
from tubelet.models.spec import require_source
from tubelet.protocols.rounds import RoundSettings
from tubelet.training.config import StartFrom, TrainConfig

_log = logging.getLogger(__name__)

SMALL = TrainConfig(
    iterations=900,
    batch_size=24,
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=0.02,
    schedule="one-cycle",
    label_smoothing=0.1,
    # Colors vary widely, down to gray: clothes and white balance must not stand for the action.
    jitter=Jitter(
        crop="none", scale=(0.85, 1.15), shift=0.05, brightness=0.4, contrast=0.5, saturation=1.0, white_balance=0.3
    ),
)
"""Small data: a c3d_small from scratch on one's own folder of videos."""

WEIZMANN = SMALL.changed(iterations=600)
"""Weizmann, leave one actor out. There is no validation set, so every setting tried is listed in docs/measured.md."""

_AVERAGE_FLIP = frozenset({"weizmann"})


def protocol_settings(
    protocol: str,
    model: str | None = None,
    *,
    flip: bool,
    flow: Sequence[str | os.PathLike[str]] = (),
    any_flow: bool = False,
) -> RoundSettings:
    """The fixed settings of ``tubelet evaluate PROTOCOL``."""
    return round_settings(
        model or "c3d_small",
        train=train_settings(protocol),
        flip=flip,
        average_flip=averages_flips(protocol),
        flow=flow,
        any_flow=any_flow,
    )


def train_settings(dataset: str) -> TrainConfig:
    """How a kind of dataset is trained on, by ``tubelet train`` and ``tubelet evaluate`` alike."""
    return WEIZMANN if dataset == "weizmann" else SMALL


def averages_flips(dataset: str) -> bool:
    """Whether ``train`` and ``evaluate`` alike describe a kind of dataset's clips with their mirror images."""
    return dataset in _AVERAGE_FLIP


def recipe_of(weights: Path, start_from: StartFrom) -> Recipe | None:
    """The recipe that a model folder's weights bring to the network that starts from them, where they bring one.

    Weights are worth nothing with another preprocessing, so theirs goes before an experiment's. Those of another
    network have another size of crop, and a note says what else differs.

    Raises
    ------
    UsageError
        The folder is one of Hugging Face, whose networks are not trained here.
    """
    if is_huggingface(weights):
        raise UsageError(
            "training does not start from a network of Hugging Face",
            path=weights,
            remedy="describe videos with it (tubelet extract --model, tubelet evaluate descriptors --model)",
        )
    return Recipe.load(weights) if start_from == "same" and (weights / RECIPE_FILE).is_file() else None


def round_settings(
    model: str = "c3d_small",
    *,
    recipe: str | Recipe | None = None,
    mean: str | os.PathLike[str] | None = None,
    options: dict[str, Any] | None = None,
    train: TrainConfig | None = None,
    flip: bool = True,
    average_flip: bool = False,
    weights: str | None = None,
    start_from: StartFrom = "same",
    with_svm: bool = True,
    svm_c: float = 1.0,
    flow: Sequence[str | os.PathLike[str]] = (),
    any_flow: bool = False,
) -> RoundSettings:
    """Settings of a round: a network with its recipe, by default trained as small data needs it.

    Parameters
    ----------
    model, options
        Network and its options.
    recipe
        A recipe or the name of one; None: the one that the network's input names, ``c3d_channel_mean`` where that
        would need a mean file that was not given.
    mean
        Mean volume for ``c3d_sports1m``.
    train
        Training settings; None: `SMALL`.
    flip
        Whether mirrored clips keep their label.
    average_flip
        Whether, where they do, every clip is described by the mean of itself and its mirror image.
    weights, start_from
        Model folder to start from, and how its weights become this network's, see `RoundSettings`.
    with_svm, svm_c
        Whether to describe the training videos and fit the SVM, and its C.
    flow, any_flow
        Folders of stored flow, for networks that read motion, see `RoundSettings`.
    """
    spec = build_meta(model, DEFAULT_CLASSES, dict(options or {})).input  # counting its work would take a second
    require_source(model, spec, flow)
    if isinstance(recipe, Recipe):
        chosen = recipe
    else:
        name = recipe or spec.recipe
        if recipe is None and name == "c3d_sports1m" and mean is None:
            _log.warning("%s is trained with c3d_channel_mean, since no mean volume was given (--mean)", model)
            name = "c3d_channel_mean"
        chosen = get_recipe(name, mean)
        chosen = chosen.with_side(spec.side)
    spec.content.check(chosen)
    chosen = chosen.with_flip(flip)
    return RoundSettings(
        model,
        chosen.with_average_flip() if average_flip else chosen,
        train or SMALL,
        options=dict(options or {}),
        weights=weights,
        start_from=start_from,
        svm_c=svm_c,
        with_svm=with_svm,
        flow=tuple(os.fspath(folder) for folder in flow),
        any_flow=any_flow,
    )
