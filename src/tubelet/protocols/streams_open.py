"""The streams and folds of an experiment, each checked before hours of training and not after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.content import copies
from tubelet.datasets.groups import join_copies
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold, group_folds, leave_one_group_out, official_fold, refuse_leaks
from tubelet.errors import InputDataError, UsageError
from tubelet.flow.library import FlowSurvey, flow_command
from tubelet.models.folder import network_of, read_config
from tubelet.models.huggingface.files import located
from tubelet.models.info import ModelInfo
from tubelet.models.registry import DEFAULT_CLASSES, build_meta, info_of, model_info
from tubelet.models.spec import usual_stride
from tubelet.protocols.leak import refuse_seen_groups
from tubelet.protocols.lookalikes import refuse_copies_between
from tubelet.protocols.presets import averages_flips, recipe_of, round_settings
from tubelet.protocols.round_flow import stored_flow
from tubelet.protocols.rounds import RoundSettings
from tubelet.protocols.stream_experiment import StreamExperiment, StreamPlan
from tubelet.protocols.table_notes import tested_videos
from tubelet.protocols.views import TestViews, default_views, views_by_name


@dataclass(frozen=True)
class Stream:
    """One stream, ready to run.

    Attributes
    ----------
    name
        In tables and folders.
    settings
        How its network is trained.
    views
        How it is tested.
    info
        Its network at the data set's number of classes.
    flow
        The stored flow that it reads, where it reads motion.
    svm
        The layer on whose descriptors SVMs are fitted too, if any.
    """

    name: str
    settings: RoundSettings
    views: TestViews
    info: ModelInfo
    flow: FlowSurvey | None = None
    svm: str | None = None


@dataclass(frozen=True)
class Feature:
    """A network that learns nothing, ready to describe videos.

    Attributes
    ----------
    name
        In tables and folders.
    folder
        Of the model.
    layer, clip_length, stride_frames
        What of it describes which clips; see `tubelet.descriptors.extractor.Extractor`.
    recipe
        What is done to the pixels: that of the weights, with mirror images as the streams have them.
    workers
        Decoding processes.
    info
        The network.
    """

    name: str
    folder: Path
    layer: str
    clip_length: int
    stride_frames: int
    recipe: Recipe
    workers: int
    info: ModelInfo


def open_folds(experiment: StreamExperiment, manifest: Manifest) -> tuple[Manifest, tuple[Fold, ...]]:
    """The folds of an experiment, each checked for leaks; and the manifest with copies of a video in one group.

    Raises
    ------
    InputDataError
        There are no such folds: too few groups, no official parts; or official parts leak into each other.
    UsageError
        More folds than groups.
    """
    hashes = copies(manifest.files())
    folds: tuple[Fold, ...]
    if experiment.folds == "official":
        official = official_fold(manifest, hashes)
        if official is None:
            raise InputDataError(
                f"{manifest.name} has no training and test part of its own",
                path=manifest.root,
                remedy="use folds = 'groups' or a number",
            )
        folds = (official,)
    else:
        # Copies of one file count as filmed together, or a fold would test on what it trained on.
        manifest = join_copies(manifest, hashes)
        folds = tuple(
            leave_one_group_out(manifest)
            if experiment.folds == "groups"
            else group_folds(manifest, experiment.folds, seed=experiment.fold_seed)
        )
    for fold in folds:
        sides = {item.span: "train" for item in fold.train.items} | {item.span: "test" for item in fold.test.items}
        items = tuple({item.span: item for item in (*fold.train.items, *fold.test.items)}.values())
        refuse_leaks(replace(manifest, items=items).with_splits([sides[item.span] for item in items]), hashes)
    return manifest, folds


def open_streams(
    experiment: StreamExperiment,
    manifest: Manifest,
    folds: Sequence[Fold],
    *,
    weights: Path | None = None,
    flow: Path | None = None,
    any_flow: bool = False,
    allow_leak: bool = False,
    seed: int | None = None,
    workers: int | None = None,
) -> tuple[Stream, ...]:
    """The streams of an experiment, after making sure that each can be trained and tested on every fold.

    Parameters
    ----------
    experiment, manifest, folds
        What is to be run, see `open_folds`.
    weights
        Model folder for streams that require one.
    flow, any_flow
        Stored flow for streams that require it, and whether of any kind.
    allow_leak
        Test also on groups that the weights were trained on, with a note.
    seed, workers
        In place of those of the file.

    Raises
    ------
    UsageError
        Weights or flow are missing; a network, an option, a recipe or views do not fit; the weights, or a fold's
        training part, saw test videos.
    InputDataError
        Stored flow is missing or damaged.
    """
    found = []
    for fold in folds:  # what is allowed is noted when a fold's network is tested: it remembers its videos' looks
        refuse_copies_between([fold.train], fold.test, allow=allow_leak, workers=workers or 1)
    if weights is not None and any(plan.weights == "required" for plan in experiment.streams):
        refuse_seen_groups(weights, tested_videos(folds), allow=allow_leak, workers=workers or 1)
    for plan in experiment.streams:
        settings = _settings(plan, experiment, manifest, weights, flow, any_flow)
        settings = replace(settings, allow_leak=allow_leak, train=settings.train.changed(seed=seed, workers=workers))
        network = build_meta(plan.model, len(manifest.classes), dict(plan.options))
        if plan.svm is not None:
            _check_layer(plan.name, plan.svm, network.layer_names)
        views = default_views(network) if plan.views is None else views_by_name(plan.views, settings.train.seed)
        info = model_info(plan.model, len(manifest.classes), **plan.options)
        found.append(Stream(plan.name, settings, views, info, stored_flow(settings, [manifest]), plan.svm))
    return tuple(found)


def open_features(
    experiment: StreamExperiment,
    manifest: Manifest,
    folds: Sequence[Fold],
    *,
    weights: Path | None = None,
    allow_leak: bool = False,
    workers: int | None = None,
) -> tuple[Feature, ...]:
    """The networks of an experiment that learn nothing; parameters as those of `open_streams`.

    Raises
    ------
    UsageError
        Weights are missing, of another network, or saw test groups; there is no such layer; the network reads motion.
    InputDataError
        There is no such model folder.
    """
    found = []
    for plan in experiment.features:
        if plan.weights == "required" and weights is None:
            raise UsageError(
                f"the features {plan.name} are those of a trained network, and none ship",
                remedy="give a model folder with --weights DIR",
            )
        folder = weights if plan.weights == "required" and weights is not None else Path(plan.weights)
        folder = located(folder)
        config = read_config(folder)
        if config.name != plan.model:
            raise UsageError(
                f"the features {plan.name} are those of {plan.model}, and the weights are of {config.name}",
                path=folder,
                remedy="give other weights, or name their network",
            )
        network = network_of(folder)
        if network.input.content.is_flow:
            raise UsageError(
                f"the features {plan.name} would read optical flow, and features are made of frames",
                remedy="train it as a stream, whose svm describes motion",
            )
        _check_layer(plan.name, plan.layer, network.layer_names)
        refuse_seen_groups(folder, tested_videos(folds), allow=allow_leak)
        recipe = network.recipe or get_recipe(network.input.recipe).with_side(network.input.side)
        recipe = recipe.with_flip(manifest.flip)
        found.append(
            Feature(
                plan.name,
                folder,
                plan.layer,
                plan.clip_length or network.input.clip_length,
                plan.stride_frames or usual_stride(network.input, plan.clip_length),
                recipe.with_average_flip() if averages_flips(experiment.dataset) else recipe,
                workers or plan.workers,
                info_of(network),
            )
        )
    return tuple(found)


def _check_layer(name: str, layer: str, known: Sequence[str]) -> None:
    if layer not in known:
        raise UsageError(f"{name} has no layer {layer!r}", remedy=f"its network has {', '.join(known)}")


def _settings(
    plan: StreamPlan,
    experiment: StreamExperiment,
    manifest: Manifest,
    weights: Path | None,
    flow: Path | None,
    any_flow: bool,
) -> RoundSettings:
    content = build_meta(plan.model, DEFAULT_CLASSES, dict(plan.options)).input.content
    if content.is_flow != (plan.flow == "required"):
        raise UsageError(
            f"the stream {plan.name} says flow = {plan.flow!r}, and its network takes {content.name.replace('_', ' ')}",
            remedy=f"write flow = {'required' if content.is_flow else 'none'!r}",
        )
    if content.is_flow and flow is None:
        raise UsageError(
            f"the stream {plan.name} reads stored optical flow, and none is given",
            remedy=f"run: {flow_command(manifest.root, 'DIR', None, content)}, then add --flow DIR",
        )
    if plan.weights == "required" and weights is None:
        raise UsageError(
            f"the stream {plan.name} starts from trained weights, and none ship",
            remedy="give a model folder with --weights DIR",
        )
    start = weights if plan.weights == "required" else None
    return round_settings(
        plan.model,
        recipe=(None if start is None else recipe_of(start, plan.start_from)) or plan.recipe,
        options=plan.options,
        train=plan.train,
        flip=manifest.flip,
        average_flip=averages_flips(experiment.dataset),
        weights=None if start is None else str(start),
        start_from=plan.start_from,
        with_svm=False,
        flow=(flow,) if content.is_flow and flow is not None else (),
        any_flow=any_flow,
    )
