"""hit@k of clips and of videos: Sports-1M's metric (C3D and P3D, table 2; DeepVideo, section 4.1).

A video is hit at k if one of its labels is among the k best classes; some videos of Sports-1M have several. A clip's
scores are the mean softmax of its crops, and a clip counts with all labels of its video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import InputDataError
from tubelet.protocols.bootstrap import DRAWS, MIN_GROUPS, Interval, bootstrap_interval
from tubelet.protocols.metrics import IntArray, hits_at
from tubelet.protocols.result import Published


@dataclass(frozen=True)
class Hit:
    """One figure.

    Attributes
    ----------
    of
        ``"video"`` or ``"clip"``.
    k
        How many best classes count.
    value
        Share of videos (clips) that are hit.
    n
        How many there are.
    interval
        Over videos, or over groups of them where there are ten; the clips of a video are drawn together.
    published
        The figure in print, if there is a comparable one.
    """

    of: str
    k: int
    value: float
    n: int
    interval: Interval
    published: Published | None = None

    @property
    def name(self) -> str:
        """``video hit@1``, as `tubelet.protocols.published` calls it."""
        return f"{self.of} hit@{self.k}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, **asdict(self)}

    def __str__(self) -> str:
        ends = f"{self.interval.low:.1%} to {self.interval.high:.1%}"
        beside = "" if self.published is None else f"; published: {self.published}"
        return f"{self.name} {self.value:.1%} ({ends}) on {self.n} {self.of}s{beside}"


def hit_table(
    scores: NDArray[np.floating],
    targets: IntArray,
    *,
    views: NDArray[np.floating] | None = None,
    view_counts: Sequence[int] | NDArray[np.integer] = (),
    crops: int = 1,
    groups: Sequence[str] | None = None,
    ks: Sequence[int] = (1, 5),
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Hit, ...]:
    """hit@k of videos, and of clips where their scores are there.

    Parameters
    ----------
    scores
        ``(n, K)`` of the videos, higher is better.
    targets
        ``(n,)`` class indices, or ``(n, L)`` where videos have several classes (−1 for none), as in `hits_at`.
    views, view_counts, crops
        ``(views, K)`` scores before softmax of every view, video after video, clip after clip; how many views each
        video has; and how many of them in turn are crops of one clip.
    groups
        Of the videos.
    ks
        Those below K are reported: at K everything is hit.

    Raises
    ------
    InputDataError
        A video has no label, or one that is no class.
    ValueError
        Views do not fit the videos or the crops.
    """
    _check(np.asarray(targets), np.shape(scores))
    ks = [k for k in ks if k < np.shape(scores)[1]]
    found = []
    for k in ks:
        hit = hits_at(scores, targets, k)
        interval = bootstrap_interval(hit, groups, draws=draws, seed=seed)
        found.append(Hit("video", k, float(hit.mean()), len(hit), interval))
    if views is None:
        return tuple(found)
    clips = clip_scores(views, crops)
    counts = np.asarray(view_counts, dtype=np.int64) // crops
    if len(counts) != len(scores) or counts.sum() != len(clips) or (np.asarray(view_counts) % crops).any():
        raise ValueError(f"{len(views)} views of {len(scores)} videos do not fit {crops} crops a clip")
    video = np.repeat(np.arange(len(counts)), counts)
    of_clip = np.asarray(targets)[video]
    # A video's clips are hit together more often than not: whole videos are drawn, or whole groups of them.
    grouped = groups is not None and len(set(groups)) >= MIN_GROUPS
    units = [groups[index] if groups is not None and grouped else f"{index}" for index in video.tolist()]
    for k in ks:
        hit = hits_at(clips, of_clip, k)
        interval = bootstrap_interval(hit, units, draws=draws, seed=seed)
        if not grouped:
            interval = replace(interval, unit="video" if len(counts) >= MIN_GROUPS else "clip")
        found.append(Hit("clip", k, float(hit.mean()), len(hit), interval))
    return tuple(found)


def _check(targets: IntArray, shape: tuple[int, ...]) -> None:
    if len(targets) != shape[0]:
        raise ValueError(f"{shape[0]} rows of scores but labels of {len(targets)}")
    several = targets.reshape(len(targets), -1)
    odd = np.flatnonzero((several < 0).all(axis=1) | (several >= shape[1]).any(axis=1))
    if len(odd):
        raise InputDataError(
            "a video has no label, or one that the scores have no column for",
            why=f"row {odd[0]}: {several[odd[0]].tolist()} of {shape[1]} classes",
            remedy="score the videos with the classes that they are labeled with",
        )


def clip_scores(views: NDArray[np.floating], crops: int) -> NDArray[np.float64]:
    """The mean softmax over each clip's crops, ``(views / crops, K)`` float64; one crop: its softmax."""
    if len(views) % crops:
        raise ValueError(f"{len(views)} views do not fit {crops} crops a clip")
    return np.concatenate([*_softmax_means(np.asarray(views), crops)]) if len(views) else np.empty(views.shape)


def _softmax_means(views: NDArray[np.floating], crops: int, block: int = 4096) -> Iterator[NDArray[np.float64]]:
    step = block * crops  # a million views of 487 classes in float64 are gigabytes
    for start in range(0, len(views), step):
        part = views[start : start + step].astype(np.float64)
        powers = np.exp(part - part.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        yield shares.reshape(-1, crops, shares.shape[1]).mean(axis=1)
