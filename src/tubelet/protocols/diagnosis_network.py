"""The diagnosis of a network that is tested over views: each variant is a score file of its own, resumable by video."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.recipe import Recipe
from tubelet.datasets.loader import DecodedVideos, decode_videos
from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.request import item_id
from tubelet.errors import TubeletError
from tubelet.flow.decode import FlowDecoder
from tubelet.models.contract import VideoModel
from tubelet.protocols.answers import Answers, answers_in_file
from tubelet.protocols.diagnosis import Diagnosis, Expected, Suspect, diagnose
from tubelet.protocols.diagnosis_splits import drawn
from tubelet.protocols.diagnosis_variants import clip_variants, pixel_variants
from tubelet.protocols.result import Result
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.score_stream import SCORES, score_stream
from tubelet.protocols.view_scores import VideoScores, ViewScorer
from tubelet.protocols.views import Average, TestViews
from tubelet.provenance import hash_json
from tubelet.reporting.terminal import duration, progress
from tubelet.training.run_folder import safe_name

MOST_VIDEOS = 200
"""Videos that variants are scored on, unless more are asked for."""

_CACHE_BYTES = 2 << 30
_PILOT = 4  # videos that are scored again first: for the time they take, and to see that they come out the same
_AGREE = 0.02  # of the largest score; bfloat16 and other batches stay below
_AVERAGES: dict[Average, str] = {"scores": "the mean of scores before the softmax", "softmax": "the mean of softmaxes"}


@dataclass(frozen=True, eq=False)
class NetworkTest:
    """A finished test of a network, and what it was done with.

    Attributes
    ----------
    model, views, average
        The network with its recipe, and how its views were taken and averaged.
    videos
        Those that it was tested on.
    file, result
        Their scores and figures.
    others
        Other sets of videos that it could have been tested on, see `tubelet.protocols.diagnosis_splits.other_videos`.
    flow, any_flow, device, precision, workers
        As they were.
    """

    model: VideoModel
    views: TestViews
    average: Average
    videos: Manifest
    file: ScoreFile
    result: Result
    others: Sequence[tuple[str, Manifest]] = ()
    flow: str | os.PathLike[str] | None = None
    any_flow: bool = False
    device: str = "auto"
    precision: str = "auto"
    workers: int = 1

    def scorer(
        self, recipe: Recipe | None = None, views: TestViews | None = None, step: int | None = None
    ) -> ViewScorer:
        """A scorer like the test's, with other pixels or clips; weights are shared."""
        model = self.model
        shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        changed = copy.deepcopy(model, shared)
        changed.recipe = recipe or model.recipe
        changed.input = replace(model.input, step_frames=step or model.input.step_frames)
        return ViewScorer(changed, views or self.views, precision=self.precision, device=self.device)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class _Run:
    """A variant that has to be scored."""

    suspect: Suspect
    name: str
    videos: Manifest
    scorer: Callable[[], ViewScorer]
    views: TestViews
    step: int
    folder: Path

    @property
    def finished(self) -> bool:
        return (self.folder / SCORES).exists()


class _Frames:
    """The base videos, decoded once for all variants, when they are first asked for."""

    def __init__(self, test: NetworkTest, videos: Manifest, stack: ExitStack) -> None:
        self._test, self._videos, self._stack = test, videos, stack
        self.seconds = 0.0

    @cached_property
    def decoded(self) -> DecodedVideos:
        test, content = self._test, self._test.model.input.content
        assert test.model.recipe is not None
        decoder = self._stack.enter_context(
            ClipDecoder(workers=test.workers)
            if test.flow is None
            else FlowDecoder(test.flow, test.workers, backward=content.both_directions)
        )
        began = time.perf_counter()
        with progress("reading videos", total=len(self._videos), unit="video") as bar:
            found = decode_videos(
                self._videos,
                test.model.recipe,
                decoder,
                modality=content,
                workers=test.workers,
                cache_bytes=_CACHE_BYTES,
                progress=lambda count: bar.update(count),
            )
        self.seconds = time.perf_counter() - began
        return found

    def by(self, recipe: Recipe) -> DecodedVideos:
        """For a recipe of the same size."""
        return replace(self.decoded, recipe=recipe)


def diagnose_network(
    test: NetworkTest,
    expected: Expected,
    folder: Path,
    *,
    mean: str | os.PathLike[str] | None = None,
    most: int = MOST_VIDEOS,
    tell: Callable[[str], None] = lambda text: None,
) -> Diagnosis:
    """Score a network's test again with one thing changed at a time, and say what moves its figure.

    Finished variants lie below ``folder`` and are not scored again; one that was interrupted goes on.

    Parameters
    ----------
    test
        What was done.
    expected
        The figure that it should have given.
    folder
        Where the variants' score files go.
    mean
        A mean volume to be tried, BGR.
    most
        Videos of each set that variants are scored on.
    tell
        Is told what is about to be done, and how long it takes.

    Raises
    ------
    InputDataError
        The videos cannot be read any more.
    """
    known = set(test.file.video_ids)
    base_videos = drawn(test.videos.select(keep=lambda item: item_id(item) in known), most)
    base_ids = [item_id(item) for item in base_videos.items]
    base = answers_in_file(test.file, test.average).take(base_ids)
    runs, untried = _runs(test, base_videos, folder, mean, most)
    notes = []
    if len(base_ids) < len(known):
        notes.append(
            f"variants were scored on {len(base_ids)} of {len(known)} videos, drawn class by class; their figures are "
            "ours plus the difference there"
        )
    variants: list[tuple[Suspect, str, Answers]] = []
    with ExitStack() as stack:
        frames = _Frames(test, base_videos, stack)
        if any(not run.finished for run in runs):
            remark = _pilot(test, base_videos, frames, runs, tell)
            notes += [remark] if remark else []
        for number, run in enumerate(runs, 1):
            if run.finished:
                file = ScoreFile.load(run.folder / SCORES)
            else:
                tell(f"{number}/{len(runs)} {run.suspect}: {run.name}")
                scorer = run.scorer()
                try:
                    file = score_stream(
                        scorer,
                        run.videos,
                        run.folder,
                        workers=test.workers,
                        flow=test.flow,
                        any_flow=test.any_flow,
                        decoded=partial(frames.by, scorer.recipe) if run.videos is base_videos else None,
                    ).file
                except TubeletError as error:
                    untried.append((run.suspect, f"{run.name}: {error}"))
                    continue
            if len(file) < len(run.videos):
                notes.append(f"{run.name}: {len(run.videos) - len(file)} videos could not be scored")
            variants.append((run.suspect, run.name, answers_in_file(file, test.average)))
    other: Average = "softmax" if test.average == "scores" else "scores"
    variants.append(("normalization", _AVERAGES[other], answers_in_file(test.file, other).take(base_ids)))
    return diagnose(test.result, base, variants, expected, untried=untried, notes=notes)


def _runs(
    test: NetworkTest, base: Manifest, folder: Path, mean: str | os.PathLike[str] | None, most: int
) -> tuple[list[_Run], list[tuple[Suspect, str]]]:
    """Every variant that has to be scored, and what cannot be tried."""
    model, views, step = test.model, test.views, test.model.input.step_frames
    assert model.recipe is not None
    untried: list[tuple[Suspect, str]] = []
    runs: list[_Run] = []

    def add(
        suspect: Suspect, name: str, videos: Manifest, recipe: Recipe, views: TestViews = views, step: int = step
    ) -> None:
        parts = [model.weights_id, recipe.hash, views.hash, step, videos.hash, test.precision, str(test.flow)]
        runs.append(
            _Run(
                suspect,
                name,
                videos,
                lambda: test.scorer(recipe, views, step),
                views,
                step,
                folder / f"{safe_name(suspect)}_{hash_json(parts)[:12]}",
            )
        )

    if model.input.content.is_flow:
        untried += [("color order", "the network reads motion, which has no colors"),
                    ("mean", "the network reads motion, whose mean is its recipe's own")]  # fmt: skip
    else:
        differences = model.input.modality == "rgb_difference"
        for pixels in pixel_variants(model.recipe, differences=differences, mean=mean):
            add(pixels.suspect, pixels.name, base, pixels.recipe)
    for clips in clip_variants(model.input, views):
        add("stride", clips.name, base, model.recipe, clips.views, clips.step_frames)
    for name, videos in test.others:
        labeled = videos.select(keep=lambda item: item.label in (model.labels or ()))
        if len(labeled):
            add("split", name, drawn(labeled, most), model.recipe)
    if not test.others:
        untried.append(("split", "there are no other videos to test on"))
    return runs, untried


def _pilot(
    test: NetworkTest,
    videos: Manifest,
    frames: _Frames,
    runs: Iterable[_Run],
    tell: Callable[[str], None],
) -> str:
    """Score a few videos once more: to tell how long all will take, and whether they come out as before."""
    decoded = frames.decoded
    scorer = test.scorer()
    rows = {video_id: row for row, video_id in enumerate(test.file.video_ids)}
    views, worst = 0, 0.0
    began = time.perf_counter()
    for index in range(min(_PILOT, len(decoded.lengths))):
        video_id = item_id(decoded.manifest.items[index])
        found = VideoScores.of_views(scorer.view_scores(decoded, index, video_id))
        before = test.file.scores[rows[video_id]]
        worst = max(worst, float(np.abs(found.scores - before).max() / max(1e-6, float(np.abs(before).max()))))
        views += found.views
    per_view = (time.perf_counter() - began) / views
    spec = test.model.input
    length = spec.content.source_length(spec.clip_length)
    per_video = frames.seconds / len(videos)
    unread = len(decoded.lengths) - len(decoded.kept)  # these are decoded again for every variant
    todo = [run for run in runs if not run.finished]
    total = 0.0
    for run in todo:
        own = run.videos is videos
        n = len(decoded.lengths)
        clips = sum(
            len(run.views.indices(item_id(item), frames_, length, run.step))
            for item, frames_ in zip(decoded.manifest.items, decoded.lengths, strict=True)
        )
        total += per_view * clips * run.views.crops_per_clip * len(run.videos) / n
        total += per_video * (unread if own else len(run.videos))
    tell(
        f"diagnosis: {len(todo)} variants on {len(videos)} videos, about {duration(total)}; stopped and typed again, "
        "it goes on"
    )
    if worst > _AGREE:
        return (
            f"scored again unchanged, {min(_PILOT, len(decoded.lengths))} videos have other scores than the test's "
            f"(by up to {worst:.0%} of the largest): the videos or the code have changed since"
        )
    return ""
