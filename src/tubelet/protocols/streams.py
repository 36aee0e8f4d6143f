"""Several streams on the same folds: each trained and tested on every fold, so that each video is scored once by each.

``ROOT/<stream>/<fold>/`` is the run folder of one training with its model and the scores of the fold's test videos;
``ROOT/<stream>/scores.npz`` holds a stream's scores of all folds. What is finished is not done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tubelet.artifacts import write_json
from tubelet.datasets.content import copies
from tubelet.datasets.groups import join_copies
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold, group_folds, leave_one_group_out, official_fold, refuse_leaks
from tubelet.errors import InputDataError, UsageError
from tubelet.flow.library import FlowSurvey, flow_command
from tubelet.models.registry import DEFAULT_CLASSES, ModelInfo, build_meta, model_info
from tubelet.protocols.leak import refuse_seen_groups
from tubelet.protocols.presets import averages_flips, recipe_of, round_settings
from tubelet.protocols.round_flow import stored_flow
from tubelet.protocols.round_model import MODEL, trained_model
from tubelet.protocols.rounds import RoundSettings, resolved_settings
from tubelet.protocols.score_file import ScoreFile, concatenated
from tubelet.protocols.score_stream import SCORES, NothingScoredError, score_stream
from tubelet.protocols.stream_experiment import StreamExperiment, StreamPlan
from tubelet.protocols.view_scores import ViewScorer
from tubelet.protocols.views import TestViews, default_views, views_by_name
from tubelet.provenance import environment
from tubelet.training.run_folder import RunFolder, safe_name

TIMING = "timing.json"


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
    """

    name: str
    settings: RoundSettings
    views: TestViews
    info: ModelInfo
    flow: FlowSurvey | None = None


@dataclass(frozen=True)
class StreamRound:
    """One stream on one fold.

    Attributes
    ----------
    stream, fold
        Names.
    scores
        Of the fold's test videos; None where not one could be scored.
    failed
        ``(path, sentence)`` of training and test videos that could not be read.
    training_s, scoring_s
        Seconds that it took, over all runs that it needed; the part before a kill -9 is not known.
    """

    stream: str
    fold: str
    scores: ScoreFile | None
    failed: tuple[tuple[str, str], ...]
    training_s: float
    scoring_s: float

    @property
    def right(self) -> int:
        """Test videos recognized, by the mean over views of the scores before softmax."""
        return 0 if self.scores is None else int((np.argmax(self.scores.scores, axis=1) == self.scores.labels).sum())


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
        Weights or flow are missing; a network, an option, a recipe or views do not fit; the weights saw test groups.
    InputDataError
        Stored flow is missing or damaged.
    """
    found = []
    for plan in experiment.streams:
        settings = _settings(plan, experiment, manifest, weights, flow, any_flow)
        settings = replace(settings, allow_leak=allow_leak, train=settings.train.changed(seed=seed, workers=workers))
        network = build_meta(plan.model, len(manifest.classes), dict(plan.options))
        views = default_views(network) if plan.views is None else views_by_name(plan.views, settings.train.seed)
        if settings.weights is not None:
            for fold in folds:
                refuse_seen_groups(settings.weights, fold.test, allow=allow_leak)
        info = model_info(plan.model, len(manifest.classes), **plan.options)
        found.append(Stream(plan.name, settings, views, info, stored_flow(settings, [manifest])))
    return tuple(found)


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


def run_streams(
    streams: Sequence[Stream],
    folds: Sequence[Fold],
    root: Path,
    *,
    device: str = "cpu",
    on_round: Callable[[Sequence[StreamRound]], None] | None = None,
) -> list[StreamRound]:
    """Train and test every stream on every fold, all streams of a fold before the next fold.

    Parameters
    ----------
    streams, folds
        From `open_streams` and `open_folds`.
    root
        Where the streams' folders lie.
    device
        ``"cpu"`` or ``"cuda"``.
    on_round
        Called after each with all that are finished.

    Raises
    ------
    UsageError
        A folder holds a round with other settings.
    InputDataError
        Not one training video of a fold can be read.
    """
    done: list[StreamRound] = []
    for fold in folds:
        for stream in streams:
            folder = root / safe_name(stream.name) / safe_name(fold.name)
            done.append(_round(stream, fold, folder, device))
            if on_round is not None:
                on_round(done)
    return done


def _round(stream: Stream, fold: Fold, folder: Path, device: str) -> StreamRound:
    settings = stream.settings
    run = RunFolder(
        folder,
        {
            "fold": fold.name,
            "views": stream.views.to_dict(),
            **resolved_settings(fold.train, fold.test, settings, device, stream.flow),
        },
    )
    scores: ScoreFile | None = None
    with run.logging():
        with _timed(folder, "training_s", (folder / MODEL / "config.json").exists()):
            model, failed = trained_model(fold.train, settings, folder, device=device, flow=stream.flow)
        # Of the finished network: what it was trained on, and what it started from.
        notes = refuse_seen_groups(folder / MODEL, fold.test, allow=settings.allow_leak)
        if unseen := sorted({str(item.label) for item in fold.test.items} - {str(i.label) for i in fold.train.items}):
            notes.append(f"no training video shows {', '.join(unseen)}: their test videos cannot be right")
        try:
            with _timed(folder, "scoring_s", (folder / SCORES).exists()):
                scored = score_stream(
                    ViewScorer(model, stream.views, precision=settings.train.precision, device=device),
                    fold.test,
                    folder,
                    notes=notes,
                    workers=settings.train.workers,
                    flow=settings.flow[0] if settings.flow else None,
                    any_flow=settings.any_flow,
                )
            scores, failures = scored.file, scored.failures
        except NothingScoredError as error:
            failures = error.failures
    failed += [(failure.video_id, failure.error) for failure in failures]
    took = _times(folder)
    return StreamRound(
        stream.name, fold.name, scores, tuple(failed), took.get("training_s", 0.0), took.get("scoring_s", 0.0)
    )


@contextmanager
def _timed(folder: Path, name: str, finished: bool) -> Iterator[None]:
    """Add the block's seconds to the round's ``timing.json``, also where it fails; not what looking again takes."""
    start = time.monotonic()
    try:
        yield
    finally:
        if not finished:
            took = _times(folder)
            write_json(folder / TIMING, {**took, name: took.get(name, 0.0) + time.monotonic() - start})


def _times(folder: Path) -> dict[str, float]:
    try:
        found = json.loads((folder / TIMING).read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def seconds_left(done: Sequence[StreamRound], streams: Sequence[Stream], folds: Sequence[Fold]) -> float:
    """What the rounds that are not done will take, if they take as long as those of their stream (else of any) did."""
    took: dict[str, list[float]] = {}
    for one in done:
        took.setdefault(one.stream, []).append(one.training_s + one.scoring_s)
    every = [value for values in took.values() for value in values]
    means = {name: sum(values) / len(values) for name, values in took.items()}
    other = sum(every) / len(every) if every else 0.0
    return sum((len(folds) - len(took.get(one.name, ()))) * means.get(one.name, other) for one in streams)


def pooled_scores(
    streams: Sequence[Stream], rounds: Sequence[StreamRound], manifest: Manifest, root: Path
) -> dict[str, ScoreFile]:
    """Each stream's scores of all folds, written to ``ROOT/<stream>/scores.npz``.

    Raises
    ------
    InputDataError
        A stream has no scores.
    """
    pooled = {}
    for stream in streams:
        files = {one.fold: one.scores for one in rounds if one.stream == stream.name and one.scores is not None}
        if not files:
            raise InputDataError(
                f"no video could be scored by the stream {stream.name}", path=manifest.root, remedy="see failed.jsonl"
            )
        file = concatenated(files)
        file = replace(
            file,
            settings={**file.settings, "stream": stream.name},
            provenance={**file.provenance, **environment(dataset=manifest.to_dict())},
        )
        file.save(root / safe_name(stream.name) / SCORES)
        pooled[stream.name] = file
    return pooled
