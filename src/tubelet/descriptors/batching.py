"""Clips of many videos go through the network in full batches; rows come back in the order of the videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from tubelet.clips.decode import FrameBlock
from tubelet.clips.modality import RGB, Modality
from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.descriptors.clips import ClipAssembler, Fetch, ReadyClip, assembler_for
from tubelet.descriptors.pooling import FloatArray
from tubelet.descriptors.request import VideoRequest
from tubelet.descriptors.schema import ClipSpan
from tubelet.errors import NumericalError, TubeletError
from tubelet.video.report import DecodeReport

Part = FrameBlock | DecodeReport | TubeletError


@dataclass(frozen=True, eq=False)
class Rows:
    """Some consecutive clips of one video, computed.

    Attributes
    ----------
    request
        Whose they are.
    spans
        Where each clip lies.
    vectors
        By layer: ``(len(spans), D)`` float32.
    """

    request: VideoRequest
    spans: tuple[ClipSpan, ...]
    vectors: dict[str, FloatArray]


@dataclass(frozen=True, eq=False)
class Ended:
    """All rows of a video have been given out; or it failed, and those given out do not count."""

    request: VideoRequest
    outcome: DecodeReport | TubeletError


@dataclass(eq=False)
class _Video:
    """A video whose rows are not all out yet."""

    request: VideoRequest
    assembler: ClipAssembler
    outcome: DecodeReport | TubeletError | None = None

    def take(self, part: Part) -> Iterator[ReadyClip]:
        """The clips that this part completes; the last part sets the outcome, if none is set yet."""
        if isinstance(self.outcome, TubeletError):
            return
        try:
            if isinstance(part, FrameBlock):
                yield from filter(self._is_wanted, self.assembler.push(part))
            elif isinstance(part, DecodeReport):
                yield from filter(self._is_wanted, self.assembler.finish())
                self.outcome = self.outcome or part
            else:
                self.outcome = part
        except TubeletError as error:
            self.outcome = error

    def _is_wanted(self, clip: ReadyClip) -> bool:
        return self.request.clips is None or clip.span.clip_index in self.request.clips


@dataclass(eq=False)
class _Pending:
    """One clip on its way through the network."""

    video: _Video
    clip: ReadyClip


def _belongs(part: _Pending | _Video, video: _Video) -> bool:
    return isinstance(part, _Pending) and part.video is video


class ClipBatcher:
    """Runs clips through the network, ``batch_size`` at a time, across the borders of videos.

    Parameters
    ----------
    network
        From N clips ``(C, T, H, W)`` float32 to ``{layer: (N, D) float32}``.
    recipe, sampling, modality
        How clips are made from decoded frames or fields.
    batch_size
        Clips per batch; only the very last one may be smaller.
    fetch
        Reads frames again, see `tubelet.descriptors.clips.assembler_for`.
    """

    def __init__(
        self,
        network: Callable[[Sequence[Tensor]], dict[str, FloatArray]],
        recipe: Recipe,
        sampling: Sampling,
        batch_size: int,
        modality: Modality = RGB,
        *,
        fetch: Fetch | None = None,
    ) -> None:
        self._network = network
        self._batch_size = batch_size
        self._assembler = partial(assembler_for, recipe=recipe, sampling=sampling, modality=modality, fetch=fetch)

    def run(self, parts: Iterable[tuple[VideoRequest, Part]]) -> Iterator[Rows | Ended]:
        """Describe videos.

        Parameters
        ----------
        parts
            For each video in turn its blocks of frames, and last its report or its error.

        Yields
        ------
        Rows or Ended
            For each video in order its rows, then its end. A video that fails leaves the waiting batch, and
            its end carries the error.
        """
        # Clips that wait for their batch to fill, and between them the ends of videos, in order.
        waiting: list[_Pending | _Video] = []
        n_clips = 0
        video: _Video | None = None
        for request, part in parts:
            if video is None:
                video = _Video(request, self._assembler(request))
            for clip in video.take(part):
                waiting.append(_Pending(video, clip))
                n_clips += 1
                if n_clips == self._batch_size:
                    yield from self._compute(waiting)
                    waiting, n_clips = [], 0
            if isinstance(part, FrameBlock):
                continue
            if isinstance(video.outcome, TubeletError):
                waiting = [other for other in waiting if not _belongs(other, video)]
                n_clips = sum(isinstance(other, _Pending) for other in waiting)
            waiting.append(video)
            video = None
            if n_clips == 0:
                yield from self._compute(waiting)
                waiting = []
        yield from self._compute(waiting)

    def _compute(self, waiting: list[_Pending | _Video]) -> Iterator[Rows | Ended]:
        clips = [part.clip for part in waiting if isinstance(part, _Pending)]
        vectors = self._network([clip.input for clip in clips]) if clips else {}
        done = 0
        run: list[_Pending] = []
        for part in [*waiting, None]:
            if run and not (part is not None and _belongs(part, run[0].video)):
                here = slice(done, done + len(run))
                yield from _rows(run, {layer: rows[here] for layer, rows in vectors.items()})
                done += len(run)
                run = []
            if isinstance(part, _Pending):
                run.append(part)
            elif part is not None:
                yield Ended(part.request, part.outcome or TubeletError("the decoder gave no verdict"))


def _rows(run: list[_Pending], vectors: dict[str, FloatArray]) -> Iterator[Rows]:
    video = run[0].video
    for layer, rows in vectors.items():
        if not np.isfinite(rows).all():
            # A NaN in a table would spread into every mean and every score.
            video.outcome = NumericalError(
                f"the activations of {layer} are not finite",
                path=video.request.path,
                remedy="check the model's weights, or use the precision float32",
            )
    if not isinstance(video.outcome, NumericalError):
        yield Rows(video.request, tuple(part.clip.span for part in run), vectors)
