"""Bags of visual words: a video as the shares of its trajectories that fall to each word, channel by channel."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from tubelet.baselines.idt.tracks import Floats, drawn
from tubelet.errors import UsageError

_BLOCK = 1 << 24  # distances held at once, 64 MB


@dataclass(frozen=True)
class WordsSettings:
    """How codebooks are learned.

    Attributes
    ----------
    words
        Of each channel; C3D's and iDT's papers have 5,000.
    sample
        Trajectories of the training videos that each channel's words are learned from, drawn at random; the iDT paper
        takes 100,000.
    iterations
        Rounds of k-means at most.
    seed
        Of the draw and of the first words.
    """

    words: int = 5000
    sample: int = 100_000
    iterations: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("words", "sample", "iterations"):
            if getattr(self, name) < 1:
                raise UsageError(f"a codebook cannot have {name} = {getattr(self, name)}", remedy="give at least 1")


@dataclass(frozen=True, eq=False)
class Codebooks:
    """The words of each channel; `learn_words` makes them.

    Attributes
    ----------
    words
        ``(K, D)`` float32 by channel.
    """

    words: Mapping[str, Floats]

    @property
    def size(self) -> int:
        """Numbers of a video: 25,000 with five channels of 5,000 words."""
        return sum(len(words) for words in self.words.values())

    def histogram(self, channels: Mapping[str, NDArray[np.floating]]) -> Floats:
        """A video's vector: of every channel the shares of its trajectories, which add up to one, one behind the other.

        Parameters
        ----------
        channels
            ``(n, D)`` of a video's trajectories, by channel. A video without trajectories is zeros.

        Returns
        -------
        numpy.ndarray
            ``(size,)`` float32.
        """
        parts = []
        for name, words in self.words.items():
            counts = np.bincount(nearest_words(channels[name], words), minlength=len(words)).astype(np.float32)
            parts.append(counts / max(1.0, float(counts.sum())))
        return np.concatenate(parts)


def learn_words(samples: Mapping[str, NDArray[np.floating]], settings: WordsSettings) -> Codebooks:
    """K-means of every channel for itself.

    Where fewer trajectories differ than there shall be words, the words that are left over repeat one of the others,
    and nothing is ever counted for them: see `distinct_words`.

    Parameters
    ----------
    samples
        ``(n, D)`` trajectories of training videos, by channel; no more than ``sample`` of them are used.
    settings
        See `WordsSettings`.

    Raises
    ------
    UsageError
        There are fewer trajectories than words.
    """
    found: dict[str, Floats] = {}
    for name, values in samples.items():
        if len(values) < settings.words:
            raise UsageError(
                f"{settings.words} words cannot be learned from {len(values)} trajectories",
                remedy="learn fewer words, or give more training videos",
            )
        found[name] = _means(np.asarray(drawn(values, settings.sample, settings.seed), dtype=np.float32), settings)
    return Codebooks(found)


def _means(rows: Floats, settings: WordsSettings) -> Floats:
    """The words ``(K, D)`` of rows ``(n, D)``."""
    different: Floats = np.unique(rows, axis=0)
    if len(different) <= settings.words:
        return different[np.minimum(np.arange(settings.words), len(different) - 1)]
    clusters = KMeans(settings.words, init="random", n_init=1, max_iter=settings.iterations, random_state=settings.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of clusters without a row, seen to below
        clusters.fit(rows)
    words: Floats = clusters.cluster_centers_.astype(np.float32)
    used = np.unique(clusters.labels_)
    # A center without a row is a copy of another, to rounding; of true copies only the first is ever the nearest.
    words[np.setdiff1d(np.arange(len(words)), used)] = words[used[0]]
    return words


def distinct_words(words: Floats) -> int:
    """How many of a channel's words ``(K, D)`` differ: fewer than K where fewer trajectories did."""
    return len(np.unique(words, axis=0))


def nearest_words(values: NDArray[np.floating], words: Floats) -> NDArray[np.intp]:
    """The index of the nearest word ``(n,)`` of every row ``(n, D)`` by Euclidean distance; ties go to the first."""
    lengths = (words * words).sum(axis=1)
    found = np.empty(len(values), np.intp)
    step = max(1, math.ceil(_BLOCK / len(words)))
    for start in range(0, len(values), step):
        block = np.asarray(values[start : start + step], dtype=np.float32)
        found[start : start + step] = (lengths - 2.0 * (block @ words.T)).argmin(axis=1)
    return found
