"""Vectors of videos from stored trajectories: what is learned for them is learned from a fold's training videos alone.

Words and mixtures of a fold take minutes (docs/measured.md), so they and the vectors are kept beside the trajectories,
in ``encoded/<key>/``. The key is a hash of trajectories, encoding and training videos: another fold has another folder,
and what a run left there is read, with the same bits, and not learned again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tubelet.artifacts import write_bytes
from tubelet.baselines.idt.encoding import Encoding, Learned
from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.store import TrajectoryStore
from tubelet.baselines.idt.words import distinct_words
from tubelet.descriptors.pooling import l2_normalize
from tubelet.descriptors.video_vectors import ENCODING, NO_NETWORK, VideoVectors
from tubelet.errors import InputDataError, UsageError
from tubelet.provenance import environment, hash_json
from tubelet.reporting.terminal import progress

ENCODED = "encoded"
"""Folder beside the trajectories with what was learned from them, one folder for each set of training videos."""

_FORMAT = "tubelet-idt-encoded-1"
_VECTORS = "vectors"


class TrajectoryVectors:
    """A table of improved dense trajectories: a `tubelet.descriptors.video_vectors.VectorTable` that learns.

    Parameters
    ----------
    store
        The trajectories.
    layer
        How they become vectors, see `Encoding.of`; None: a bag of 5,000 words a channel.
    name
        What it is called in reports; None: the name of the folder.

    Attributes
    ----------
    path, video_ids, failed
        Those of the trajectories.
    facts
        Those of the trajectories, with `ENCODING` and `NO_NETWORK`.

    Raises
    ------
    UsageError
        There is no such encoding.
    """

    def __init__(self, store: TrajectoryStore, layer: str | None = None, name: str | None = None) -> None:
        self._store = store
        self.encoding = Encoding.of(layer)
        self.path = store.path
        self.name = name or store.path.stem or str(store.path)
        self.layer = self.encoding.layer
        self.video_ids: NDArray[np.str_] = store.video_ids
        self.failed = store.failed
        self.facts: dict[str, Any] = {**store.facts, ENCODING: self.encoding.to_dict(), NO_NETWORK: True}
        self._dims = IdtSettings.from_dict(store.facts["settings"]).dims()

    @property
    def length(self) -> int:
        """Numbers of a vector."""
        return self.encoding.length(self._dims)

    @cached_property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of trajectories and encoding."""
        return hash_json([_FORMAT, self._store.hash, self.encoding.to_dict()])

    def folder(self, video_ids: Sequence[str]) -> Path:
        """Where what is learned from these training videos is kept."""
        key = hash_json([self.hash, self._training(video_ids)])
        return self.path / ENCODED / f"{self.layer}-{key[:16]}"

    def is_learned(self, video_ids: Sequence[str]) -> bool:
        """Whether the vectors that these training videos make are kept."""
        return self._file(self.folder(video_ids), _VECTORS).is_file()

    def require(self, *trainings: Sequence[str]) -> None:
        """Make sure that each of these sets of training videos can be learned from; headers are all that is read.

        Raises
        ------
        InputDataError
            Not one video of a set has stored trajectories.
        UsageError
            The videos of a set have fewer trajectories than are needed; what can be learned from all sets is named.
        """
        counts = []
        for video_ids in trainings:
            ids = self._training(video_ids)
            kept = sum(self._store.record(video_id).kept for video_id in ids)
            counts.append((min(kept, self.encoding.sample), kept, len(ids)))
        if not counts:
            return
        count, kept, videos = min(counts)
        least = self.encoding.least(self._dims)
        if count >= least:
            return
        whose = "1 training video has" if videos == 1 else f"{videos} training videos have"
        why = f"{whose} {'no more' if count else 'none'}" if count == kept else f"no more than {count:,} are drawn"
        fewer = self.encoding.fewer(count, self._dims)
        instead = (
            f"take {fewer} in place of {self.layer} (--layer, or encoding in a file of streams), or " if fewer else ""
        )
        raise UsageError(
            f"{self.encoding.words} a channel cannot be learned from {count:,} trajectories",
            path=self.path,
            why=f"{why}, and {least:,} are needed at least",
            remedy=f"{instead}give more training videos",
        )

    def for_training(self, video_ids: Sequence[str]) -> VideoVectors:
        """The vectors of all videos as these training videos make them, each of length one (or zeros).

        A sample of their trajectories makes the words or the mixture of each channel; no other video is looked at for
        that. Progress goes to standard error.

        Parameters
        ----------
        video_ids
            The training videos; those without stored trajectories are passed over.

        Raises
        ------
        InputDataError
            Not one of them has stored trajectories, or a file of trajectories is damaged.
        UsageError
            There are fewer trajectories than words or Gaussians.
        """
        folder = self.folder(video_ids)
        kept = _read(self._file(folder, _VECTORS))
        if kept is None:
            encode = self.encoding.encoder(self._learned(video_ids, folder))
            rows = np.zeros((len(self.video_ids), self.length), np.float32)
            with progress(f"{self.name}: {self.layer} vectors", total=len(rows), unit="video") as bar:
                for row, video_id in zip(rows, self.video_ids.tolist(), strict=True):
                    row[:] = l2_normalize(encode(self._store.channels(video_id)))
                    bar.update()
            kept = {_VECTORS: rows}
            self._write(self._file(folder, _VECTORS), kept)
        return VideoVectors(
            self.name,
            self.path,
            self.layer,
            self.video_ids,
            kept[_VECTORS],
            dict(self.facts),
            dict(self.failed),
            self._notes(folder),
        )

    def _notes(self, folder: Path) -> tuple[str, ...]:
        """Which channels have words that say nothing, as far as the words are kept."""
        words = {name: (_read(self._file(folder, name)) or {}).get("words") for name in self._dims}
        counts = {name: (distinct_words(each), len(each)) for name, each in words.items() if each is not None}
        fewer = [f"{name} {differ:,} of {all_:,}" for name, (differ, all_) in counts.items() if differ < all_]
        if not fewer:
            return ()
        return (f"{self.name}: so few trajectories differ that fewer words do: {', '.join(fewer)}",)

    def _training(self, video_ids: Sequence[str]) -> list[str]:
        known = set(self.video_ids.tolist())
        found = sorted(known.intersection(video_ids))
        if not found:
            raise InputDataError(
                "not one training video has stored trajectories",
                path=self.path,
                why=f"the trajectories are of videos such as {str(self.video_ids[0])!r}",
                remedy="compute them with the same root folder, so that video_id is the path below it",
            )
        return found

    def _learned(self, video_ids: Sequence[str], folder: Path) -> dict[str, Learned]:
        """Words or mixtures by channel; those that are kept are read, so that a run goes on where it was stopped."""
        learned: dict[str, Learned] = {}
        for name in self._dims:
            kept = _read(self._file(folder, name))
            if kept is not None:
                learned[name] = kept
        missing = [name for name in self._dims if name not in learned]
        if not missing:
            return learned
        self.require(video_ids)
        ids = self._training(video_ids)
        sample = self._store.sample(ids, self.encoding.sample, self.encoding.settings.seed)
        count = len(sample[missing[0]])
        whose = "1 video" if len(ids) == 1 else f"{len(ids)} videos"
        title = f"{self.name}: {self.encoding.words} a channel from {count:,} trajectories of {whose}"
        with progress(title, total=len(self._dims), unit="channel", initial=len(learned)) as bar:
            for name in missing:
                bar.update(0, channel=name)
                learned[name] = self.encoding.learn(name, sample[name])
                self._write(self._file(folder, name), learned[name])
                bar.update(1)
        return {name: learned[name] for name in self._dims}

    def _write(self, path: Path, arrays: Learned) -> None:
        record = environment(trajectories=self._store.hash, encoding=self.encoding.to_dict())
        plain = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        write_bytes(path, save(plain, {"format": _FORMAT, "made": json.dumps(record)}))

    @staticmethod
    def _file(folder: Path, name: str) -> Path:
        return folder / f"{name}.safetensors"


def _read(path: Path) -> Learned | None:
    """The arrays of a file; None where there is none, or a damaged one, which is made again."""
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (OSError, SafetensorError):
        return None
