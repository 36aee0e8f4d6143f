"""Scores of one stream on one set of videos, kept as a file, so that fusion is a separate, cheap, repeatable step.

A file is a plain npz (``numpy.load`` reads it, nothing is pickled):

=================== =============== =================================================================
array               shape, type     what it is
=================== =============== =================================================================
``video_ids``       (n,) str        videos, as in every table of this package
``classes``         (K,) str        class names, in the order of the columns
``labels``          (n,) int64      true class, a position in ``classes``
``targets``         (n, L) int64    optional: all true classes where a video has several, the first as in
                                    ``labels``; behind the last of a video −1
``groups``          (n,) str        what was filmed together
``scores``          (n, K) float64  mean over views of the scores before softmax (TSN, section 3.3)
``probabilities``   (n, K) float64  mean over views of their softmax (Two-Stream, section 5)
``view_counts``     (n,) int64      views of each video
``view_scores``     (Σ, K) float32  optional: scores before softmax of every view, video after video
``record``          (bytes,) uint8  UTF-8 JSON: format, settings, provenance, notes
=================== =============== =================================================================
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.artifacts import write_atomically
from tubelet.errors import InputDataError
from tubelet.protocols.metrics import IntArray, stacked_targets
from tubelet.provenance import hash_json
from tubelet.reporting.text import first_few

_FORMAT, _VERSION = "tubelet-scores", 1
_TEXTS, _REALS = ("video_ids", "classes", "groups"), ("scores", "probabilities")
_OPTIONAL = ("view_scores", "targets")
_SUM_TOLERANCE = 1e-3  # of a softmax that went through float32
_MEAN_TOLERANCE = 1e-4  # relative, of the mean of float32 views

SVM_HEAD = "linear SVM"
"""``settings["head"]`` of a file whose scores are decision values; its probabilities are their softmax."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoreFile:
    """What a score file holds; the arrays are listed above.

    Attributes
    ----------
    video_ids, classes, groups
        As tuples of str.
    labels, scores, probabilities, view_counts, view_scores, targets
        As in the file; ``view_scores`` and ``targets`` may be None.
    settings
        What made the scores, JSON-ready: ``stream`` (its name in tables), ``part`` (``test``, ``train`` or ``all``),
        ``weights_sha256``, ``recipe_hash``, ``views``; ``head`` where it is not the network's own (`SVM_HEAD`).
    provenance
        Versions, command, dataset (JSON-ready).
    notes
        What a reader of figures made from these scores should know.

    Raises
    ------
    ValueError
        Parts that do not fit together, or values that are not finite.
    """

    video_ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: IntArray
    groups: tuple[str, ...]
    scores: FloatArray
    probabilities: FloatArray
    view_counts: IntArray
    view_scores: NDArray[np.float32] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    targets: IntArray | None = None

    def __post_init__(self) -> None:
        _check_names(self)
        _check_targets(self)
        _check_scores(self)

    def __len__(self) -> int:
        return len(self.video_ids)

    @property
    def label_names(self) -> list[str]:
        """``(n,)`` true class names."""
        return [self.classes[index] for index in self.labels]

    @property
    def every_target(self) -> IntArray:
        """``(n, L)`` int64: all true classes, −1 where a video has fewer; an answer is right if it is any of them."""
        return self.labels[:, None] if self.targets is None else self.targets

    @property
    def every_label(self) -> list[tuple[str, ...]]:
        """``(n,)`` names of all true classes of each video, sorted."""
        return [tuple(sorted(self.classes[index] for index in row if index >= 0)) for row in self.every_target]

    @property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of weights, recipe and views: equal for scores that were made alike."""
        return hash_json({key: self.settings.get(key) for key in ("weights_sha256", "recipe_hash", "views")})

    @property
    def stream(self) -> str:
        """Name of the stream in tables; empty where the file does not say."""
        return str(self.settings.get("stream") or "")

    def take(self, rows: Sequence[int], columns: Sequence[int] | None = None) -> ScoreFile:
        """The same scores with these videos only and the classes in this order (all of them, None: as they are)."""
        order = list(range(len(self.classes))) if columns is None else list(columns)
        place = np.argsort(order)  # new position of each class
        index = np.asarray(rows, dtype=np.int64)
        views = None
        if self.view_scores is not None:
            ends = np.cumsum(self.view_counts)
            parts = [self.view_scores[ends[row] - self.view_counts[row] : ends[row]] for row in index]
            views = np.concatenate(parts)[:, order]
        return replace(
            self,
            video_ids=tuple(self.video_ids[row] for row in index),
            classes=tuple(self.classes[column] for column in order),
            labels=place[self.labels[index]].astype(np.int64),
            groups=tuple(self.groups[row] for row in index),
            scores=self.scores[index][:, order],
            probabilities=self.probabilities[index][:, order],
            view_counts=self.view_counts[index],
            view_scores=views,
            targets=None if self.targets is None else np.append(place, -1)[self.targets[index]].astype(np.int64),
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the npz, whole or not at all; equal contents give equal bytes."""
        record = {
            "format": _FORMAT,
            "version": _VERSION,
            "hash": self.hash,
            "settings": dict(self.settings),
            "provenance": dict(self.provenance),
            "notes": list(self.notes),
        }
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        arrays: dict[str, NDArray[Any]] = {
            **{name: np.array(getattr(self, name), dtype=np.str_) for name in _TEXTS},
            "labels": self.labels,
            **{name: getattr(self, name) for name in _REALS},
            "view_counts": self.view_counts,
            "record": np.frombuffer(text.encode(), dtype=np.uint8),
        }
        arrays |= {name: array for name in _OPTIONAL if (array := getattr(self, name)) is not None}

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:  # given a name, NumPy would append its suffix
                np.savez(file, allow_pickle=False, **arrays)

        return write_atomically(path, write)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScoreFile:
        """Read a score file and check all of it.

        Raises
        ------
        InputDataError
            There is no such file, it is none of ours, or something in it is missing, of the wrong shape or not finite.
        """
        try:
            return cls(**_read(Path(path)))
        except FileNotFoundError as error:
            raise InputDataError(
                "there is no such score file",
                path=path,
                remedy="tubelet evaluate ... --model DIR -o OUT writes OUT/scores.npz",
            ) from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, *_BROKEN_ZIP) as error:
            raise InputDataError(
                "the score file cannot be used",
                path=path,
                why=str(error) or type(error).__name__,
                remedy="score the videos again",
            ) from error


_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError)


def aligned(files: Sequence[ScoreFile], names: Sequence[str], *, common: bool = False) -> list[ScoreFile]:
    """The same videos and classes in the same order in all files: those of the first.

    Parameters
    ----------
    files, names
        The files, at least one, and what errors call them.
    common
        Keep only the videos that all files have, instead of refusing.

    Raises
    ------
    InputDataError
        Classes, videos, labels or groups differ; the error names the file.
    """
    first = files[0]
    places = [{video_id: row for row, video_id in enumerate(file.video_ids)} for file in files]
    kept = [video_id for video_id in first.video_ids if all(video_id in place for place in places)]
    found: list[ScoreFile] = []
    for file, name, place in zip(files, names, places, strict=True):
        if set(file.classes) != set(first.classes):
            raise _differs(name, names[0], "classes", sorted(set(file.classes) ^ set(first.classes)))
        odd = sorted(set(file.video_ids) ^ set(first.video_ids))
        if odd and not common:
            raise _differs(name, names[0], "videos", odd, "score the same videos, or fuse those in common (--common)")
        if not kept:
            raise _differs(name, names[0], "videos", odd)
        column = {klass: index for index, klass in enumerate(file.classes)}
        taken = file.take([place[video_id] for video_id in kept], [column[klass] for klass in first.classes])
        reference = found[0] if found else taken
        for what, ours, theirs in (
            ("labels", taken.label_names, reference.label_names),
            ("further labels", taken.every_label, reference.every_label),
            ("groups", taken.groups, reference.groups),
        ):
            unlike = [video_id for video_id, a, b in zip(kept, ours, theirs, strict=True) if a != b]
            if unlike:
                raise _differs(name, names[0], what, unlike)
        found.append(taken)
    return found


def concatenated(files: Mapping[str, ScoreFile]) -> ScoreFile:
    """The scores of several folds, each by weights of its own, as one stream's.

    Parameters
    ----------
    files
        By the name of their fold; of different videos and the same classes in the same order.

    Returns
    -------
    ScoreFile
        The videos of one fold behind those of another. Settings that all share stay; what differs is in
        ``settings["folds"]`` by fold, the weights among it, and ``weights_sha256`` is the hash of all of these.
        Views' scores are kept where all files have them. Notes that not all files have are told with their fold.

    Raises
    ------
    InputDataError
        Classes differ, or a video is in two files.
    """
    parts = list(files.values())
    first = parts[0]
    seen: dict[str, str] = {}
    for name, file in files.items():
        if file.classes != first.classes:
            raise _differs(name, next(iter(files)), "classes", sorted(set(file.classes) ^ set(first.classes)))
        for video_id in file.video_ids:
            if seen.setdefault(video_id, name) != name:
                raise InputDataError(
                    f"{video_id} is scored in {seen[video_id]} and in {name}",
                    why="a video is tested on once",
                    remedy="score folds that share no video",
                )
    shared = {
        key: value
        for key, value in first.settings.items()
        if key != "weights_sha256" and all(file.settings.get(key) == value for file in parts)
    }
    own = {
        name: {key: value for key, value in file.settings.items() if key not in shared} for name, file in files.items()
    }
    weights = hash_json([file.settings.get("weights_sha256") for file in parts])
    views = [file.view_scores for file in parts if file.view_scores is not None]
    common = [note for note in first.notes if all(note in file.notes for file in parts)]
    return ScoreFile(
        tuple(video_id for file in parts for video_id in file.video_ids),
        first.classes,
        np.concatenate([file.labels for file in parts]),
        tuple(group for file in parts for group in file.groups),
        np.concatenate([file.scores for file in parts]),
        np.concatenate([file.probabilities for file in parts]),
        np.concatenate([file.view_counts for file in parts]),
        np.concatenate(views) if len(views) == len(parts) else None,
        {**shared, "weights_sha256": weights, "folds": own},
        {"folds": {name: dict(file.provenance) for name, file in files.items()}},
        (*common, *(f"{name}: {note}" for name, file in files.items() for note in file.notes if note not in common)),
        stacked_targets([file.every_target for file in parts])
        if any(file.targets is not None for file in parts)
        else None,
    )


def _differs(
    name: str, first: str, what: str, which: Sequence[str], remedy: str = "score both streams on the same split"
) -> InputDataError:
    why = f"{len(which)}: {first_few(which, shown=3)}"
    return InputDataError(f"the {what} are not those of {first}", path=name, why=why, remedy=remedy)


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is no npz archive")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    if missing := [name for name in ("record", "labels", "view_counts", *_TEXTS, *_REALS) if name not in arrays]:
        raise ValueError(f"it has no {first_few(missing)}")
    for name, kind, axes in (
        ("record", "u1", 1), ("labels", "i8", 1), ("view_counts", "i8", 1), ("view_scores", "f4", 2),
        ("targets", "i8", 2),
        *((text, "U", 1) for text in _TEXTS), *((real, "f8", 2) for real in _REALS),
    ):  # fmt: skip
        array = arrays.get(name)
        if array is not None and (array.ndim != axes or not (array.dtype.str[1:] == kind or array.dtype.kind == kind)):
            raise ValueError(f"{name} has the type {array.dtype} and the shape {array.shape}")
    record = json.loads(arrays.pop("record").tobytes())
    if record["format"] != _FORMAT or record["version"] != _VERSION:
        raise ValueError(f"its format is {record['format']!r}, version {record['version']!r}")
    parts: dict[str, Any] = {name: tuple(map(str, arrays[name])) for name in _TEXTS}
    parts |= {name: arrays.get(name) for name in ("labels", *_REALS, "view_counts", *_OPTIONAL)}
    settings, provenance = dict(record["settings"]), dict(record["provenance"])
    return {**parts, "settings": settings, "provenance": provenance, "notes": tuple(record["notes"])}


def _check_names(file: ScoreFile) -> None:
    n, k = len(file.video_ids), len(file.classes)
    if not n or k < 2:
        raise ValueError(f"it holds {n} videos and {k} classes")
    for what, names in (("video", file.video_ids), ("class", file.classes)):
        if len(set(names)) < len(names):
            raise ValueError(f"a {what} occurs twice: {next(name for name in names if names.count(name) > 1)}")
    if file.labels.shape != (n,) or len(file.groups) != n:
        raise ValueError(f"{n} videos, but labels of shape {file.labels.shape} and {len(file.groups)} groups")
    if file.labels.min() < 0 or file.labels.max() >= k:
        raise ValueError(f"a label lies outside the {k} classes")


def _check_targets(file: ScoreFile) -> None:
    targets = file.targets
    if targets is None:
        return
    if targets.ndim != 2 or not targets.shape[1] or len(targets) != len(file.labels):
        raise ValueError(f"{len(file.labels)} videos, but targets of shape {targets.shape}")
    if not np.array_equal(targets[:, 0], file.labels):
        raise ValueError("the first of the targets are not the labels")
    if targets.min() < -1 or targets.max() >= len(file.classes) or (np.diff((targets < 0).astype(int)) < 0).any():
        raise ValueError(f"a target lies outside the {len(file.classes)} classes, or behind the last of its video")


def _check_scores(file: ScoreFile) -> None:
    n, k = len(file.video_ids), len(file.classes)
    for name in _REALS:
        array = getattr(file, name)
        if array.shape != (n, k):
            raise ValueError(f"{name} have the shape {array.shape}, not ({n}, {k})")
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
            raise ValueError(f"{name} are not finite for {file.video_ids[row]}")
    if file.probabilities.min() < 0 or np.abs(file.probabilities.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        raise ValueError("probabilities are negative or do not sum to 1")
    if file.view_counts.shape != (n,) or file.view_counts.min() < 1:
        raise ValueError("view_counts are not one positive number per video")
    views = file.view_scores
    if views is None:
        return
    if views.shape != (int(file.view_counts.sum()), k) or not np.isfinite(views).all():
        raise ValueError(f"view_scores of shape {views.shape} are not finite or not those of view_counts")
    starts = np.cumsum(file.view_counts) - file.view_counts
    means = np.add.reduceat(views.astype(np.float64), starts) / file.view_counts[:, None]
    if not np.allclose(means, file.scores, rtol=_MEAN_TOLERANCE, atol=_MEAN_TOLERANCE * np.abs(file.scores).max()):
        raise ValueError("scores are not the means of view_scores")
