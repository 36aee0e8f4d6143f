"""One stream on one set of videos: every video scored over its test views, kept as a score file, resumable by video."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.loader import DecodedVideos, open_video
from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.request import item_id
from tubelet.errors import InputDataError, TubeletError
from tubelet.failures import FAILED_FILE, FailedVideo, list_failures
from tubelet.flow.decode import FlowDecoder
from tubelet.flow.library import FlowSurvey, survey_flow
from tubelet.models.contract import VideoModel
from tubelet.models.spec import require_source
from tubelet.protocols.class_names import class_names
from tubelet.protocols.comparable import seen_before
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.score_journal import JOURNAL, ScoreJournal
from tubelet.protocols.shared_frames import part_of
from tubelet.protocols.view_scores import VideoScores, ViewScorer
from tubelet.provenance import environment
from tubelet.reporting.terminal import progress
from tubelet.reporting.text import first_few

SCORES = "scores.npz"

Part = Literal["test", "train", "all"]

_MADE_BY = ("weights_sha256", "recipe_hash", "sampling", "precision", "flow")
_VIDEO_BYTES = 192 << 20  # resized frames of one video that are kept while it is scored; 735 of 256 x 340


class NothingScoredError(InputDataError):
    """Not one of the videos could be scored; ``failures`` says why."""

    failures: tuple[FailedVideo, ...] = ()

    def because_of(self, failures: Sequence[FailedVideo]) -> NothingScoredError:
        """The error, with the failure of each video."""
        self.failures = tuple(failures)
        return self


@dataclass(frozen=True, eq=False)
class StreamScores:
    """How scoring ended.

    Attributes
    ----------
    file
        What lies in ``scores.npz``.
    path
        Where that is.
    failures
        Videos that could not be scored; they are in ``failed.jsonl`` and not in the file.
    """

    file: ScoreFile
    path: Path
    failures: tuple[FailedVideo, ...]


def score_stream(
    scorer: ViewScorer,
    videos: Manifest,
    folder: Path,
    *,
    part: Part = "test",
    notes: Sequence[str] = (),
    keep_views: bool = False,
    workers: int = 1,
    flow: str | os.PathLike[str] | None = None,
    any_flow: bool = False,
    decoded: Callable[[], DecodedVideos] | None = None,
) -> StreamScores:
    """Score videos with a trained network, and write ``scores.npz`` into a folder.

    Videos that the folder's ``scores.npz``, or the journal of an interrupted run, holds are not scored again; those
    that failed are tried again.

    Parameters
    ----------
    scorer
        A trained network and the views of each video.
    videos
        Labeled videos, see `check_stream`.
    folder
        Where ``scores.npz``, ``failed.jsonl`` and, until all is done, the journal lie.
    part
        Which part of a dataset these videos are; kept in the file, so that training scores are not taken for test ones.
    notes
        What is to stand beside every figure made of these scores.
    keep_views
        Whether the file also holds the scores of every view.
    workers
        Decoding processes.
    flow, any_flow
        For a network that reads motion: its stored flow, and whether another kind than it was trained with will do.
    decoded
        Gives videos that somebody has decoded by the model's recipe, where there is one to score; those that are not
        among them are read.

    Raises
    ------
    UsageError, InputDataError
        As `check_stream`; the folder holds other scores.
    NothingScoredError
        No video can be scored.
    """
    model, views = scorer.model, scorer.views
    modality = model.input.content
    classes = check_stream(model, videos, flow)
    survey = None if flow is None else _survey(model, videos, flow, any_flow)
    settings: dict[str, Any] = {
        "stream": model.input.modality.replace("_", " "),
        "part": part,
        "model": model.name,
        "options": dict(model.options),
        "seen_before": seen_before(model.provenance),
        "weights_sha256": model.weights_id,
        "recipe": scorer.recipe.to_dict(),
        "recipe_hash": scorer.recipe.hash,
        "views": {**views.to_dict(), "hash": views.hash},
        "sampling": views.sampling(modality.source_length(model.input.clip_length), model.input.step_frames).to_dict(),
        "precision": scorer.precision,
    }
    if survey is not None:
        settings["flow"] = survey.kind.to_dict()
        notes = [*notes, *survey.notes]
    made_by = {**{key: settings[key] for key in _MADE_BY if key in settings},
               "views": views.hash, "classes": list(classes), "keep_views": keep_views}  # fmt: skip
    path = folder / SCORES
    folder.mkdir(parents=True, exist_ok=True)
    ids = [item_id(item) for item in videos.items]
    failures: list[FailedVideo] = []
    finished = _finished(path, settings, classes, keep_views) if path.exists() else {}
    with ScoreJournal(folder / JOURNAL, made_by) as journal:
        for video_id, scores in finished.items():
            journal.done.setdefault(video_id, scores)
        todo = [index for index, video_id in enumerate(ids) if video_id not in journal.done]
        with (
            (
                ClipDecoder(workers=workers)
                if flow is None
                else FlowDecoder(flow, workers, backward=modality.both_directions)
            ) as decoder,
            closing(_ahead(videos, todo, scorer, decoder, workers, decoded() if decoded and todo else None)) as stream,
            progress(f"scoring {views.name}", total=len(ids), unit="video", initial=len(ids) - len(todo)) as bar,
        ):
            for index, opened in stream:
                try:
                    if isinstance(opened, TubeletError):
                        raise opened
                    found = scorer.view_scores(opened, 0, ids[index])
                except TubeletError as error:
                    where = str(videos.root / videos.items[index].path)
                    failures.append(FailedVideo(ids[index], where, str(error), type(error).__name__))
                else:
                    problem = "; ".join(why for _, why in opened.partial)
                    journal.append(ids[index], VideoScores.of_views(found, keep=keep_views, problem=problem))
                bar.update(1, failed=len(failures) or None)
        list_failures(folder / FAILED_FILE, failures)
        kept = [index for index, video_id in enumerate(ids) if video_id in journal.done]
        if not kept:
            raise NothingScoredError(
                "no video could be scored", path=videos.root, remedy=f"see {folder / FAILED_FILE}"
            ).because_of(failures)
        file = _file(videos, kept, classes, journal.done, settings, notes)
        if todo or not path.exists():
            file.save(path)
        journal.remove()
    return StreamScores(file, path, tuple(failures))


def check_stream(model: VideoModel, videos: Manifest, flow: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """The model's class names, after making sure that it can be tested on these videos.

    Raises
    ------
    UsageError
        The network takes motion and no stored flow is given, or the other way round.
    InputDataError
        The model has no classifier or no class names, or a video has another label.
    """
    require_source(model.name, model.input, flow)
    classes = class_names(model)
    unknown = sorted({name for item in videos.items for name in (str(item.label), *item.more_labels)} - set(classes))
    if unknown:
        raise InputDataError(
            f"labels unknown to the model: {first_few(unknown)}",
            path=videos.root,
            remedy="test it on the classes that it was trained on",
        )
    return classes


def _survey(model: VideoModel, videos: Manifest, flow: str | os.PathLike[str], any_flow: bool) -> FlowSurvey:
    return survey_flow(
        flow,
        {item.path: videos.file(item) for item in videos.items},
        model.input.content,
        source=videos.root,
        trained_with=(model.provenance or {}).get("flow"),
        any_flow=any_flow,
    )


def _ahead(
    videos: Manifest,
    todo: Sequence[int],
    scorer: ViewScorer,
    decoder: ClipDecoder,
    workers: int,
    decoded: DecodedVideos | None,
) -> Generator[tuple[int, DecodedVideos | TubeletError], None, None]:
    """Each video's frames, or its error, in order; as many as there are workers are decoded ahead."""

    def opened(index: int) -> DecodedVideos | TubeletError:
        if decoded is not None:
            known = part_of(decoded, videos.select(keep=[index]))
            if known.lengths:
                return known
        try:
            return open_video(
                videos,
                index,
                scorer.recipe,
                decoder,
                cache_bytes=_VIDEO_BYTES,
                modality=scorer.model.input.content,
            )
        except TubeletError as error:
            return error

    threads = ThreadPoolExecutor(workers)
    try:
        waiting: deque[tuple[int, Future[DecodedVideos | TubeletError]]] = deque()
        upcoming = iter(todo)
        while True:
            while len(waiting) < workers and (index := next(upcoming, None)) is not None:
                waiting.append((index, threads.submit(opened, index)))
            if not waiting:
                return
            index, future = waiting.popleft()
            frames = future.result()
            if (following := next(upcoming, None)) is not None:  # which is decoded while this one is scored
                waiting.append((following, threads.submit(opened, following)))
            yield index, frames
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _finished(
    path: Path, settings: dict[str, Any], classes: tuple[str, ...], keep_views: bool
) -> dict[str, VideoScores]:
    """The videos of a score file that was made with these settings."""
    file = ScoreFile.load(path)
    keys = (*_MADE_BY, "views")
    if file.classes != classes or any(file.settings.get(key) != settings.get(key) for key in keys):
        raise InputDataError(
            "the scores here were made by another model or with other settings",
            path=path,
            remedy="choose another folder with -o, or add --overwrite",
        )
    if keep_views and file.view_scores is None:
        return {}
    problems = dict(file.provenance.get("partial", {}))
    ends = np.cumsum(file.view_counts)
    return {
        video_id: VideoScores(
            file.scores[row],
            file.probabilities[row],
            int(file.view_counts[row]),
            file.view_scores[ends[row] - file.view_counts[row] : ends[row]]
            if keep_views and file.view_scores is not None
            else None,
            problems.get(video_id, ""),
        )
        for row, video_id in enumerate(file.video_ids)
    }


def _file(
    videos: Manifest,
    kept: Sequence[int],
    classes: tuple[str, ...],
    done: dict[str, VideoScores],
    settings: dict[str, Any],
    notes: Sequence[str],
) -> ScoreFile:
    ids = [item_id(videos.items[index]) for index in kept]
    targets = replace(videos, classes=classes).every_target[list(kept)]
    rows = [done[video_id] for video_id in ids]
    views = [row.view_scores for row in rows if row.view_scores is not None]
    partial = {video_id: row.problem for video_id, row in zip(ids, rows, strict=True) if row.problem}
    said = list(notes)
    if len(kept) < len(videos):
        said.append(f"{len(videos) - len(kept)} of {len(videos)} videos could not be scored and are not counted")
    if partial:
        said.append(f"{len(partial)} of {len(videos)} videos lost frames when they were decoded")
    return ScoreFile(
        tuple(ids),
        classes,
        targets[:, 0].copy(),
        tuple(videos.item_groups[index] for index in kept),
        np.stack([row.scores for row in rows]),
        np.stack([row.probabilities for row in rows]),
        np.array([row.views for row in rows], dtype=np.int64),
        np.concatenate(views) if len(views) == len(rows) else None,
        settings,
        environment(dataset=videos.to_dict(), partial=partial),
        tuple(said),
        targets if (targets[:, 1:] >= 0).any() else None,
    )
