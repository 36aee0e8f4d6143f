"""Trajectories of videos on disk: one safetensors file per video, with the record of how it was made.

A trajectory takes 426 numbers of float16 (852 bytes) and its points. Numbers of channels lie between -1 and 1, where
float16 is at most 2⁻¹² = 0.00024 off; points are float32.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.baselines.idt.record import TrajectoryRecord, tensors_of
from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.tensor_file import TensorFile, TensorSpool
from tubelet.baselines.idt.tracks import Floats, Trajectories
from tubelet.errors import InputDataError, TubeletError, UsageError
from tubelet.failures import read_failures
from tubelet.provenance import hash_json

TRAJECTORIES_SUFFIX = ".idt.safetensors"
"""Behind a video's id: where its trajectories lie."""

_RECORD = "tubelet"


def stored_settings(settings: IdtSettings, most_trajectories: int | None = None, seed: int = 0) -> dict[str, Any]:
    """What a record says of the settings; OpenCV's version stands beside them, and another one makes nothing stale."""
    values = settings.to_dict()
    values["flow_settings"] = {name: value for name, value in values["flow_settings"].items() if name != "opencv"}
    drawn = {"most_trajectories": most_trajectories, "seed": None if most_trajectories is None else seed}
    plain: dict[str, Any] = json.loads(json.dumps({**values, **drawn}, allow_nan=False))
    return plain


def trajectories_path(folder: str | os.PathLike[str], video_id: str) -> Path:
    """Where the trajectories of a video lie: its id below the folder, with `TRAJECTORIES_SUFFIX`."""
    return Path(folder, f"{video_id}{TRAJECTORIES_SUFFIX}")


class TrajectoryWriter:
    """Stores one video's trajectories as they come, in the memory of a part; for a ``with`` block.

    Parameters
    ----------
    target
        Where the file shall be, see `trajectories_path`.
    settings
        What the trajectories are computed with: it says how many numbers they have.
    """

    def __init__(self, target: Path, settings: IdtSettings) -> None:
        self._spool = TensorSpool(target, tensors_of(settings))

    @property
    def kept(self) -> int:
        """Trajectories so far."""
        return self._spool.rows

    @property
    def nbytes(self) -> int:
        """Bytes so far."""
        return self._spool.nbytes

    def add(self, found: Trajectories) -> None:
        """Append trajectories."""
        own: dict[str, NDArray[Any]] = {"points": found.points, "first_frame": found.first_frame, "scale": found.scale}
        self._spool.add({**own, **found.channels})

    def finish(self, record: TrajectoryRecord) -> None:
        """Put the file in place, with its record in the header."""
        text = json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False)
        self._spool.write({_RECORD: text})

    def __enter__(self) -> TrajectoryWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self._spool.__exit__(*error)


def write_trajectories(target: Path, found: Trajectories, record: TrajectoryRecord) -> None:
    """Store one video's trajectories, whole or not at all.

    Parameters
    ----------
    target
        Where the file shall be, see `trajectories_path`.
    found
        The trajectories; their channels are stored as float16.
    record
        How they were made; ``kept`` is their number.
    """
    with TrajectoryWriter(target, IdtSettings.from_dict(record.settings)) as writer:
        writer.add(found)
        writer.finish(record)


class TrajectoryFile:
    """The stored trajectories of one video; opening reads and checks the header alone.

    Attributes
    ----------
    record
        How they were made.

    Raises
    ------
    InputDataError
        The file is damaged or says something else than its record.
    """

    def __init__(self, path: Path) -> None:
        self._file = TensorFile(path)
        try:
            self.record = TrajectoryRecord.from_dict(json.loads(self._file.metadata[_RECORD]))
            settings = IdtSettings.from_dict(self.record.settings)
        except (KeyError, TypeError, ValueError, RecursionError, UsageError) as error:
            raise self._file.damaged(f"its record is none of this version: {error}") from error
        self._names = tuple(settings.dims())
        self._file.require(tensors_of(settings), self.record.kept)

    @property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of the channels as they were written; nothing is read for it."""
        return hash_json({name: self._file.hashes[name] for name in self._names})

    def trajectories(self) -> Trajectories:
        """All of them; raises ``InputDataError`` if they are not what was written."""
        return Trajectories(
            self._file.tensor("points"),
            self._file.tensor("first_frame").astype(np.int64),
            self._file.tensor("scale").astype(np.int64),
            self.channels(),
        )

    def channels(self) -> dict[str, Floats]:
        """``(n, D)`` float32 by channel; raises ``InputDataError`` if they are not what was written."""
        return {name: self._finite(self._file.tensor(name)) for name in self._names}

    def rows(self, chosen: NDArray[np.int64]) -> dict[str, Floats]:
        """These rows of every channel, float32; only they are read."""
        return {name: self._finite(self._file.rows(name, chosen)) for name in self._names}

    def _finite(self, values: NDArray[Any]) -> Floats:
        if not np.isfinite(values).all():
            raise self._file.damaged("a number is not finite")
        return values.astype(np.float32)


class TrajectoryStore:
    """The trajectories of many videos, as ``tubelet extract --model idt`` stored them.

    Parameters
    ----------
    folder
        Where they lie. The headers of all files are read, their trajectories when they are asked for.

    Attributes
    ----------
    path
        The folder.
    video_ids
        ``(n,)`` str, sorted.
    facts
        JSON-ready: ``model`` (idt), ``settings`` (see `TrajectoryRecord`), ``opencv_version`` (several, separated by
        commas, where several made them), ``model_source`` (None: there is no model folder).
    failed
        Why a video is not there, by id, as far as ``failed.jsonl`` says.

    Raises
    ------
    InputDataError
        No trajectories are stored here, those of some videos have other settings, or a file is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder)
        paths = {_id_of(path, self.path): path for path in _files(self.path)}
        if not paths:
            raise InputDataError(
                "no trajectories are stored here",
                path=self.path,
                remedy="compute them: tubelet extract VIDEOS --model idt -o DIR",
            )
        self._stored = {video_id: TrajectoryFile(paths[video_id]) for video_id in sorted(paths)}
        self.video_ids: NDArray[np.str_] = np.array(list(self._stored))
        records = [stored.record for stored in self._stored.values()]
        for video_id, record in zip(self._stored, records, strict=True):
            if record.video_id != video_id:
                raise InputDataError(
                    f"the trajectories of {record.video_id} lie where those of {video_id} belong",
                    path=paths[video_id],
                    remedy="compute them anew: tubelet extract VIDEOS --model idt -o DIR",
                )
            if record.settings != records[0].settings:
                raise InputDataError(
                    f"the trajectories of {records[0].video_id} and {video_id} were computed with other settings",
                    path=self.path,
                    remedy="run tubelet extract --model idt again over all videos, or store them in two folders",
                )
        self.facts: dict[str, Any] = {
            "model": "idt",
            "settings": records[0].settings,
            "opencv_version": ", ".join(sorted({record.opencv_version for record in records})),
            "model_source": None,
        }
        self.failed = read_failures(self.path)

    @cached_property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of ids, settings and the content of all channels; no trajectory is read for it."""
        digest = hashlib.sha256(hash_json(self.facts["settings"]).encode())
        for video_id, stored in self._stored.items():
            digest.update(f"\n{video_id}\n{stored.hash}".encode())
        return digest.hexdigest()

    def record(self, video_id: str) -> TrajectoryRecord:
        """How a video's trajectories were made; raises ``UsageError`` if none are stored."""
        return self._of(video_id).record

    def channels(self, video_id: str) -> dict[str, Floats]:
        """A video's trajectories, ``(n, D)`` float32 by channel.

        Raises
        ------
        UsageError
            None are stored.
        InputDataError
            They are not what was written.
        """
        return self._of(video_id).channels()

    def sample(self, video_ids: Sequence[str], most: int, seed: int) -> dict[str, Floats]:
        """At most ``most`` of the trajectories of these videos, drawn at random: what codebooks are learned from.

        Every trajectory is as likely as any other, so long videos give more. Only what is drawn is read.

        Parameters
        ----------
        video_ids
            Which videos; neither their order nor repetitions change the draw.
        most
            Trajectories at most; all, where there are no more.
        seed
            Of the draw.

        Returns
        -------
        dict
            ``(n, D)`` float32 by channel, the same trajectories in all: by video, then as they ended.

        Raises
        ------
        UsageError
            Nothing is stored of one of these videos, or no video is given.
        InputDataError
            A file is damaged.
        """
        names = sorted(set(video_ids))
        if not names:
            raise UsageError("trajectories cannot be drawn from no video", remedy="give the training videos")
        stored = [self._of(name) for name in names]
        ends = np.cumsum([each.record.kept for each in stored])
        total = int(ends[-1])
        rng = np.random.default_rng(seed)
        chosen = np.arange(total) if total <= most else np.sort(rng.choice(total, most, replace=False, shuffle=False))
        parts = []
        for each, end in zip(stored, ends.tolist(), strict=True):
            start = end - each.record.kept
            low, high = np.searchsorted(chosen, [start, end])
            parts.append(each.rows(chosen[low:high] - start))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _of(self, video_id: str) -> TrajectoryFile:
        found = self._stored.get(video_id)
        if found is None:
            raise UsageError(f"no trajectories are stored of {video_id}", path=self.path, remedy="see video_ids")
        return found


def has_trajectories(folder: str | os.PathLike[str]) -> bool:
    """Whether trajectories of at least one video are stored in a folder."""
    return next(iter(_files(Path(folder))), None) is not None


def read_record(path: Path) -> TrajectoryRecord | None:
    """The record of stored trajectories; None where there are none, or none that can be trusted."""
    try:
        return TrajectoryFile(path).record
    except TubeletError:
        return None


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(f"*{TRAJECTORIES_SUFFIX}") if path.is_file()]


def _id_of(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix().removesuffix(TRAJECTORIES_SUFFIX)
