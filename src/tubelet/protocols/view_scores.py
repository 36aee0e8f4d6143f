"""A trained network's scores of videos, over all test views of each.

One video at a time: its frames are decoded once, its views are cut in chunks that fit a batch, so that 250 views of
224 x 224 pixels never lie in memory together. Frames may be fields of stored flow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tubelet.allocator import set_allocator
from tubelet.clips.transforms import mirror_inputs
from tubelet.clips.views import view_inputs
from tubelet.datasets.loader import DecodedVideos
from tubelet.descriptors.network import ClipNetwork, PrecisionName
from tubelet.errors import NumericalError, UsageError
from tubelet.flow.inputs import finish
from tubelet.models.contract import VideoModel
from tubelet.protocols.views import TestViews

_log = logging.getLogger(__name__)

_SNIPPET_SCORES = "segment_scores"  # of temporal segment networks: a snippet's scores before any consensus
_FRAMES_AT_ONCE = 512  # resized frames of a video that is not kept in memory; 134 MB of 256 x 340

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VideoScores:
    """One video's scores.

    Attributes
    ----------
    scores
        ``(K,)`` float64: mean over views before softmax.
    probabilities
        ``(K,)`` float64: mean over views of the softmax.
    views
        How many views there are.
    view_scores
        ``(views, K)`` float32 before softmax, in the order clip by clip, crop by crop; None where not kept.
    problem
        What the decoder lost, empty where nothing.
    """

    scores: FloatArray
    probabilities: FloatArray
    views: int
    view_scores: NDArray[np.float32] | None = None
    problem: str = ""

    @classmethod
    def of_views(cls, view_scores: NDArray[np.float32], *, keep: bool = False, problem: str = "") -> VideoScores:
        """The means of ``(views, K)`` scores. Each clip has as many crops, so over crops, then clips, is the same."""
        wide = view_scores.astype(np.float64)
        powers = np.exp(wide - wide.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        kept = view_scores if keep else None
        return cls(wide.mean(axis=0), shares.mean(axis=0), len(wide), kept, problem)


class ViewScorer:
    """Scores of videos over test views.

    Parameters
    ----------
    model
        A network with its recipe. One of several snippets sees each by itself: TSN is tested on the average of 25,
        whatever the consensus it was trained with.
    views
        Positions and crops. Where the recipe averages clips with their mirror images and the crops hold none, every
        view's scores are averaged with those of its mirror image.
    precision, device
        As of `tubelet.descriptors.network.ClipNetwork`.
    batch_size
        Views per batch; None: as many as keep the largest activation near 0.2 GB.

    Raises
    ------
    UsageError
        The model has no recipe, or does not take what the recipe makes; mirrored crops under a recipe that forbids
        them.
    """

    def __init__(
        self,
        model: VideoModel,
        views: TestViews,
        *,
        precision: PrecisionName = "auto",
        device: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        set_allocator()
        if model.recipe is None:
            raise UsageError(
                f"{model.name} has no recipe, so its input cannot be made",
                remedy="save it with the recipe that it was trained with",
            )
        if views.mirrored and not model.recipe.flip:
            raise UsageError(
                f"the views {views.name} hold mirror images",
                why=f"recipe {model.recipe.name} says that a mirrored clip has another label",
                remedy="use NxM with M = 1, 3 or 5 crops, such as 25x5",
            )
        if views.crops_per_clip > 2 and model.recipe.size == model.recipe.crop_hw:
            _log.warning(
                "recipe %s cuts nothing off, so the crops of the views %s lie at the same place; NxM with M = 1 or 2 "
                "gives the same scores for less", model.recipe.name, views.name
            )  # fmt: skip
        self.model, self.views, self.recipe = model, views, model.recipe
        self._layer = _SNIPPET_SCORES if _SNIPPET_SCORES in model.layer_names else model.head_name
        self._network = ClipNetwork(
            model,
            (self._layer,),
            clip_length=model.input.clip_length,
            mirror=partial(mirror_inputs, recipe=model.recipe)
            if model.recipe.average_flip and not views.mirrored
            else None,
            precision=precision,
            device=device,
        )
        self.batch_size = max(2, batch_size or self._network.fitting_batch)

    @property
    def precision(self) -> str:
        """``"float32"`` or ``"bfloat16"``."""
        return self._network.precision

    def view_scores(self, videos: DecodedVideos, video: int, video_id: str) -> NDArray[np.float32]:
        """Scores before softmax of every view of one video.

        Parameters
        ----------
        videos, video
            Decoded by the model's recipe, and which of them.
        video_id
            Its name, on which random positions depend.

        Returns
        -------
        ndarray
            ``(clips * crops, K)`` float32, the crops of a clip one behind the other.

        Raises
        ------
        NumericalError
            A score is not finite.
        InputDataError
            The video is shorter than a clip, and the views refuse that.
        """
        spec = self.model.input
        length = spec.content.source_length(spec.clip_length)
        clips = self.views.indices(video_id, videos.lengths[video], length, spec.step_frames)
        inputs = (
            finish(view, spec.content, length)
            for frames in clip_frames(videos, video, clips.frames)
            for view in view_inputs(videos.stacks(video, frames), self.recipe, self.views.crops)
        )
        rows = [
            self._network(batch)[self._layer]
            for batch in even_batches(inputs, len(clips) * self.views.crops_per_clip, self.batch_size)
        ]
        scores = np.concatenate(rows)
        if not np.isfinite(scores).all():
            raise NumericalError(
                f"the scores of {video_id} are not finite",
                remedy="check the model's weights, or use the precision float32",
            )
        return scores


def clip_frames(videos: DecodedVideos, video: int, clips: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """The frames ``(T, H, W, C)`` of each clip ``(n, T)`` in turn.

    Where the video's frames are not kept, those of several clips are decoded together, each once.
    """
    if video in videos.kept:
        yield from (videos.frames(video, row) for row in clips)
        return
    start = 0
    while start < len(clips):
        stop = start + 1
        while stop < len(clips) and len(np.unique(clips[start : stop + 1])) <= _FRAMES_AT_ONCE:
            stop += 1
        wanted, place = np.unique(clips[start:stop], return_inverse=True)
        frames = videos.frames(video, wanted)
        yield from (frames[row] for row in place.reshape(stop - start, -1))
        start = stop


def even_batches(inputs: Iterator[Tensor], total: int, most: int) -> Iterator[list[Tensor]]:
    """``total`` inputs in batches of nearly equal size, at most ``most``: from 3 on none is left alone."""
    n_batches = -(-total // most)
    for index in range(n_batches):
        size = total // n_batches + (index < total % n_batches)
        yield [next(inputs) for _ in range(size)]
