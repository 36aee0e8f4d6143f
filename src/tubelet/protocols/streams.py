"""Several streams on the same folds: each trained and tested on every fold, so that each video is scored once by each.

``ROOT/<stream>/<fold>/`` is the run folder of one training with its model, the scores of the fold's test videos and,
where an SVM is to learn from them, the descriptors of all its videos; ``ROOT/<stream>/scores.npz`` holds a stream's
scores of all folds. What is finished is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold
from tubelet.errors import InputDataError
from tubelet.models.folder import read_provenance
from tubelet.protocols.leak import refuse_seen_groups
from tubelet.protocols.round_model import MODEL, trained_model
from tubelet.protocols.rounds import resolved_settings
from tubelet.protocols.score_file import ScoreFile, concatenated
from tubelet.protocols.score_stream import SCORES, NothingScoredError, score_stream
from tubelet.protocols.shared_frames import SharedFrames, part_of
from tubelet.protocols.stream_svm import describe_fold, is_described
from tubelet.protocols.stream_times import timed, times_of
from tubelet.protocols.streams_open import Stream
from tubelet.protocols.view_scores import ViewScorer
from tubelet.provenance import environment
from tubelet.training.run_folder import RunFolder, safe_name


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
    training_s, scoring_s, describing_s
        Seconds that it took, over all runs that it needed; the part before a kill -9 is not known. The last is of the
        descriptors for its SVM.
    """

    stream: str
    fold: str
    scores: ScoreFile | None
    failed: tuple[tuple[str, str], ...]
    training_s: float
    scoring_s: float
    describing_s: float = 0.0

    @property
    def seconds(self) -> float:
        """All of them together."""
        return self.training_s + self.scoring_s + self.describing_s

    @property
    def right(self) -> int:
        """Test videos recognized, by the mean over views of the scores before softmax."""
        return 0 if self.scores is None else int((np.argmax(self.scores.scores, axis=1) == self.scores.labels).sum())


def run_streams(
    streams: Sequence[Stream],
    folds: Sequence[Fold],
    root: Path,
    *,
    device: str = "cpu",
    finished: Sequence[StreamRound] = (),
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
    finished
        From `finished_rounds`.
    on_round
        Called after each with all that are done, the newest last.

    Returns
    -------
    list of StreamRound
        Of every fold and stream, in this order.

    Raises
    ------
    UsageError
        A folder holds a round with other settings.
    InputDataError
        Not one training video of a fold can be read.
    """
    done = list(finished)
    if not streams:
        return done
    over = {(one.stream, one.fold) for one in done}
    every = {item.span: item for fold in folds for item in (*fold.train.items, *fold.test.items)}
    with SharedFrames(
        replace(folds[0].train, items=tuple(every.values())), [stream.settings for stream in streams]
    ) as frames:
        for fold in folds:
            for stream in streams:
                if (stream.name, fold.name) not in over:
                    done.append(_round(stream, fold, _folder(root, stream, fold), device, frames))
                    if on_round is not None:
                        on_round(done)
    place = {(stream.name, fold.name): (row, column) for row, fold in enumerate(folds)
             for column, stream in enumerate(streams)}  # fmt: skip
    return sorted(done, key=lambda one: place[one.stream, one.fold])


def finished_rounds(
    streams: Sequence[Stream], folds: Sequence[Fold], root: Path, *, device: str = "cpu"
) -> list[StreamRound]:
    """The rounds that earlier calls of `run_streams` ended with no test video missing; they need no network again.

    Raises
    ------
    UsageError
        A folder holds a round with other settings.
    """
    found = []
    for fold in folds:
        for stream in streams:
            folder = _folder(root, stream, fold)
            if not folder.exists():
                continue
            _run_folder(stream, fold, folder, device)
            if not (folder / SCORES).exists():
                continue
            scores = ScoreFile.load(folder / SCORES)
            if len(scores) == len(fold.test) and is_described(stream, fold, folder):
                lost = (read_provenance(folder / MODEL) or {}).get("failed", [])
                found.append(_ended(stream, fold, folder, scores, [(path, why) for path, why in lost]))
    return found


def _folder(root: Path, stream: Stream, fold: Fold) -> Path:
    return root / safe_name(stream.name) / safe_name(fold.name)


def _run_folder(stream: Stream, fold: Fold, folder: Path, device: str) -> RunFolder:
    resolved = resolved_settings(fold.train, fold.test, stream.settings, device, stream.flow)
    return RunFolder(folder, {"fold": fold.name, "views": stream.views.to_dict(), **resolved})


def _round(stream: Stream, fold: Fold, folder: Path, device: str, frames: SharedFrames) -> StreamRound:
    settings = stream.settings
    run = _run_folder(stream, fold, folder, device)
    scores: ScoreFile | None = None
    with run.logging():
        with timed(folder, "training_s", (folder / MODEL / "config.json").exists()):
            model, failed = trained_model(
                fold.train,
                settings,
                folder,
                device=device,
                flow=stream.flow,
                videos=lambda: part_of(frames.of(settings), fold.train),
            )
        # Of the finished network: what it was trained on, and what it started from.
        notes = refuse_seen_groups(folder / MODEL, fold.test, allow=settings.allow_leak, workers=settings.train.workers)
        if unseen := sorted({str(item.label) for item in fold.test.items} - {str(i.label) for i in fold.train.items}):
            notes.append(f"no training video shows {', '.join(unseen)}: their test videos cannot be right")
        try:
            with timed(folder, "scoring_s", (folder / SCORES).exists()):
                scored = score_stream(
                    ViewScorer(model, stream.views, precision=settings.train.precision, device=device),
                    fold.test,
                    folder,
                    notes=notes,
                    workers=settings.train.workers,
                    flow=settings.flow[0] if settings.flow else None,
                    any_flow=settings.any_flow,
                    decoded=lambda: frames.of(settings),
                )
            scores, failures = scored.file, scored.failures
            if stream.svm is not None:
                with timed(folder, "describing_s", is_described(stream, fold, folder)):
                    failed += describe_fold(stream, fold, folder, model, device)
        except NothingScoredError as error:
            failures = error.failures
    # Who fails does so in training or scoring and in being described; it is told once.
    every = [*failed, *((failure.video_id, failure.error) for failure in failures)]
    return _ended(stream, fold, folder, scores, list(dict(reversed(every)).items()))


def _ended(
    stream: Stream, fold: Fold, folder: Path, scores: ScoreFile | None, failed: Sequence[tuple[str, str]]
) -> StreamRound:
    took = times_of(folder)
    return StreamRound(
        stream.name,
        fold.name,
        scores,
        tuple(failed),
        took.get("training_s", 0.0),
        took.get("scoring_s", 0.0),
        took.get("describing_s", 0.0),
    )


def seconds_left(done: Sequence[StreamRound], streams: Sequence[Stream], folds: Sequence[Fold]) -> float:
    """What the rounds that are not done will take, if they take as long as those of their stream (else of any) did."""
    took: dict[str, list[float]] = {}
    for one in done:
        took.setdefault(one.stream, []).append(one.seconds)
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
