"""Clips for training: decoded once where memory allows, drawn in an order that depends on the seed alone.

The sample at position p of the run is fixed by (seed, epoch, index): neither the number of decoding processes nor
what ran before changes it. So a resumed run sees exactly the clips that the unbroken run would have seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.jitter import Jitter
from tubelet.clips.modality import RGB, LevelScale, Modality
from tubelet.clips.recipe import Recipe
from tubelet.clips.resize import Fields
from tubelet.clips.sampling import ClipIndices, Policy, Sampling
from tubelet.clips.transforms import jittered_input
from tubelet.clips.views import Views, view_inputs
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.order import ClassUniform, Order, Shuffled
from tubelet.errors import InputDataError, TubeletError, UsageError, VideoError
from tubelet.flow.inputs import arrange, finish
from tubelet.provenance import derive_seed
from tubelet.video.report import DecodeReport


@dataclass(frozen=True)
class Batch:
    """Network input and its labels.

    Attributes
    ----------
    clips
        (N, C, T, H, W) float32, preprocessed by the recipe.
    targets
        (N,) int64 class indices.
    videos
        (N,) index of each clip's video in the manifest.
    frames
        For each clip the (T,) int64 indices of its frames in the video.
    """

    clips: Tensor
    targets: Tensor
    videos: tuple[int, ...]
    frames: tuple[NDArray[np.int64], ...] = ()


@dataclass
class DecodedVideos:
    """Resized frames of a manifest's videos: in memory up to a budget, beyond it decoded on demand.

    Of networks that read motion the frames are fields of stored flow: levels, and ``lengths`` and indices count fields.

    Attributes
    ----------
    manifest
        Only the videos that can be read.
    lengths
        Frames that each of them really yields.
    failed
        ``(path, sentence)`` of every video that cannot be read.
    partial
        ``(path, sentence)`` of every video that lost frames; it is used as far as it goes.
    decoder
        Decodes what is not kept.
    offsets
        First frame of each item in its video; not 0 only for an item that is a span of a video.
    kept
        Frames in memory, by index of the item.
    modality
        What inputs are made of.
    scales
        Of flow: what each video's levels stand for.
    """

    manifest: Manifest
    recipe: Recipe
    lengths: list[int]
    failed: list[tuple[str, str]]
    partial: list[tuple[str, str]]
    decoder: ClipDecoder
    offsets: list[int] = field(default_factory=list)
    kept: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    modality: Modality = RGB
    scales: list[LevelScale | None] = field(default_factory=list)

    @property
    def in_memory(self) -> bool:
        """Whether every video's frames are kept, so that nothing more is decoded."""
        return len(self.kept) == len(self.lengths)

    def frames(self, video: int, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Frames of one video after the recipe's resize: (n, H, W, 3) uint8 RGB; of flow (n, H, W, 2 or 4) levels."""
        whole = self.kept.get(video)
        if whole is not None:
            return whole[indices]
        item = self.manifest.items[video]
        path = self.decoder.locate(self.manifest.file(item), item.path)
        shifted = indices + self.offsets[video]
        return self.decoder.clip(path, shifted, self.recipe.size, fps=self.manifest.fps)

    def stacks(self, video: int, frames: NDArray[np.uint8]) -> Fields:
        """What the recipe is applied to, made of a video's `frames`, see `tubelet.flow.inputs.arrange`."""
        return arrange(frames, self.modality, self.recipe, self.scales[video] if self.scales else None)


def decode_videos(
    manifest: Manifest,
    recipe: Recipe,
    decoder: ClipDecoder,
    *,
    modality: Modality = RGB,
    workers: int = 1,
    cache_bytes: int = 2 << 30,
    progress: Callable[[int], None] | None = None,
) -> DecodedVideos:
    """Read every video once: measure it, keep its resized frames while they fit, and set unreadable ones aside.

    Parameters
    ----------
    manifest, recipe
        The videos, and the size of their frames.
    decoder
        Of videos; of their stored flow (`tubelet.flow.decode.FlowDecoder`) for networks that read motion.
    modality
        What inputs are made of.
    workers
        Videos that are read at a time.
    cache_bytes
        Memory for frames.
    progress
        Called with 1 after each video.

    Raises
    ------
    InputDataError
        If not one video of the manifest can be read.
    UsageError
        If the recipe does not fit the modality.
    """
    modality.check(recipe)
    room = cache_bytes
    found = DecodedVideos(manifest, recipe, [], [], [], decoder, modality=modality)
    readable: list[int] = []
    with ThreadPoolExecutor(workers) as threads:
        # A window of tasks, not all at once: frames wait in memory only until they are looked at here.
        waiting: deque[tuple[int, Future[_Read]]] = deque()
        upcoming = iter(range(len(manifest)))
        while True:
            while len(waiting) < 2 * workers and (following := next(upcoming, None)) is not None:
                waiting.append((following, threads.submit(_read, manifest, following, recipe, decoder, room)))
            if not waiting:
                break
            index, future = waiting.popleft()
            path = manifest.items[index].path
            try:
                read = future.result()
            except TubeletError as error:
                found.failed.append((path, str(error)))
            else:
                if read.problem:
                    found.partial.append((path, read.problem))
                if read.frames is not None and read.frames.nbytes <= room:
                    found.kept[len(readable)] = read.frames
                    room -= read.frames.nbytes
                else:
                    room = 0
                readable.append(index)
                found.lengths.append(read.length)
                found.offsets.append(read.offset)
                found.scales.append(read.scale)
            if progress is not None:
                progress(1)
    if not readable:
        why = found.failed[0][1] if found.failed else "the manifest is empty"
        raise InputDataError("no video can be read", path=manifest.root, why=why, remedy="run tubelet data check")
    found.manifest = manifest.select(keep=readable)
    return found


@dataclass(frozen=True)
class _Read:
    frames: NDArray[np.uint8] | None  # None: too many for the memory that is left
    length: int
    offset: int
    problem: str
    scale: LevelScale | None = None


def open_video(
    manifest: Manifest,
    index: int,
    recipe: Recipe,
    decoder: ClipDecoder,
    *,
    cache_bytes: int,
    modality: Modality = RGB,
) -> DecodedVideos:
    """One item of a manifest, read once and kept where it fits, as `decode_videos` does with all of them.

    Raises
    ------
    VideoError
        It cannot be read.
    """
    read = _read(manifest, index, recipe, decoder, cache_bytes)
    partial = [(manifest.items[index].path, read.problem)] if read.problem else []
    kept = {} if read.frames is None else {0: read.frames}
    one = manifest.select(keep=[index])
    return DecodedVideos(one, recipe, [read.length], [], partial, decoder, [read.offset], kept, modality, [read.scale])


def _read(manifest: Manifest, index: int, recipe: Recipe, decoder: ClipDecoder, room: int) -> _Read:
    """Decode a video; its frames are dropped as soon as they take more than ``room`` bytes."""
    item = manifest.items[index]
    start_s = 0.0 if item.start_s is None else item.start_s
    end_s = np.inf if item.end_s is None else item.end_s
    blocks: list[NDArray[np.uint8]] = []
    offset, length = 0, 0
    scale: LevelScale | None = None
    # Where the frames cannot be kept the video is decoded all the same, to the smallest size: a damaged file
    # must be known before hours of training, not after.
    keep, held = room > 0, 0
    size = recipe.size if keep else (1, 1)
    path = decoder.locate(manifest.file(item), item.path)
    for part in decoder.stream(path, size, fps=manifest.fps):
        if isinstance(part, DecodeReport):
            problem = "" if part.status == "ok" else "; ".join(part.problems)
            if not length:
                raise VideoError(
                    "no frame lies within the item's start and end",
                    path=manifest.file(item),
                    remedy="correct start_s and end_s, in seconds, in metadata.csv",
                )
            return _Read(np.concatenate(blocks) if keep else None, length, offset, problem, scale)
        scale = part.levels
        inside = (part.times_s >= start_s) & (part.times_s < end_s)
        if inside.any():
            if not length:
                offset = part.first_index + int(inside.argmax())
            length += int(inside.sum())
            if keep:
                blocks.append(part.images[inside])
                held += blocks[-1].nbytes
                if held > room:
                    keep = False
                    blocks.clear()
    raise AssertionError("a stream ends with its report")


class TrainingClips:
    """An endless, seeded stream of training batches over decoded videos.

    Parameters
    ----------
    videos
        From :func:`decode_videos`.
    jitter
        Random changes, one draw per clip.
    clip_length, step_frames
        Frames (stacks, where the network reads motion) per clip, and source frames from one to the next.
    batch_size
        Clips per batch; batches run across the borders of epochs, so all have this size.
    seed
        Fixes order, clip positions and jitter.
    every_clip
        False: an epoch holds one clip per video at a random position. True: it holds every non-overlapping
        clip of every video (C3D paper, section 3.1).
    segments
        Above 1: an input is one snippet of ``clip_length`` frames from each of so many equal parts of the video,
        one after the other (temporal segment networks), with one draw of jitter for all.
    class_uniform
        Whether every class comes equally often, however many videos it has, instead of every video.
    """

    def __init__(
        self,
        videos: DecodedVideos,
        jitter: Jitter,
        *,
        clip_length: int,
        step_frames: int = 1,
        batch_size: int,
        seed: int,
        every_clip: bool = False,
        segments: int = 1,
        class_uniform: bool = False,
    ) -> None:
        self.videos = videos
        self.jitter = jitter
        self.batch_size = batch_size
        self.seed = seed
        self._targets = videos.manifest.targets
        self._source_length = videos.modality.source_length(clip_length)
        self._random = input_sampling("random", self._source_length, step_frames=step_frames, segments=segments)
        if every_clip:
            if segments > 1:
                raise UsageError(
                    "a network of segments takes one input from each video",
                    remedy='train it with clips = "random"',
                )
            cut = Sampling("non_overlapping", self._source_length, step_frames=step_frames)
            self._samples = [
                (video, clip) for video, length in enumerate(videos.lengths) for clip in cut.indices(length).frames
            ]
        else:
            self._samples = [(video, None) for video in range(len(videos.lengths))]
        self._order: Order = (
            ClassUniform([int(self._targets[video]) for video, _ in self._samples], seed)
            if class_uniform
            else Shuffled(len(self._samples), seed)
        )

    def __len__(self) -> int:
        """Clips in one epoch."""
        return len(self._samples)

    def batch(self, step: int) -> Batch:
        """The batch of optimizer step ``step`` (0-based)."""
        drawn = [self._draw(step * self.batch_size + k) for k in range(self.batch_size)]
        videos = tuple(video for video, _, _ in drawn)
        return Batch(
            torch.stack([clip for _, clip, _ in drawn]),
            torch.from_numpy(self._targets[list(videos)].copy()),
            videos,
            tuple(frames for _, _, frames in drawn),
        )

    def batches(self, first: int, stop: int, ahead: int = 3, threads: int = 2) -> Iterator[Batch]:
        """Batches of steps ``first`` to ``stop - 1`` in order, prepared ``ahead`` of their use in threads.

        ``ahead=0`` prepares each when it is asked for, by the caller's thread and all its cores. Where frames come
        from memory and the same cores train, that is faster: threads of both would wait for each other.
        """
        if ahead == 0:
            for step in range(first, stop):
                yield self.batch(step)
            return
        with ThreadPoolExecutor(threads) as pool:
            queue: deque[Future[Batch]] = deque()
            for step in range(first, stop):
                while len(queue) < min(ahead, stop - step):
                    queue.append(pool.submit(self.batch, step + len(queue)))
                yield queue.popleft().result()

    def _draw(self, position: int) -> tuple[int, Tensor, NDArray[np.int64]]:
        epoch, sample = self._order(position)
        video, clip = self._samples[sample]
        rng = np.random.default_rng(derive_seed(self.seed, "clip", epoch, sample))
        if clip is None:
            clip = self._random.indices(self.videos.lengths[video], rng).frames.reshape(-1)
        stacks = self.videos.stacks(video, self.videos.frames(video, clip))
        planes = jittered_input(stacks, self.videos.recipe, self.jitter, rng)
        return video, finish(planes, self.videos.modality, self._source_length), clip


def input_sampling(policy: Policy, clip_length: int, *, step_frames: int, segments: int) -> Sampling:
    """Which frames make an input: by ``policy``, or one snippet per segment where the network takes several."""
    if segments > 1:
        return Sampling("segments", clip_length, step_frames=step_frames, n_clips=segments)
    return Sampling(policy, clip_length, step_frames=step_frames, n_clips=1 if policy == "random" else None)


def plain_clips(
    videos: DecodedVideos, video: int, sampling: Sampling, limit: int | None = None, views: Views = "center"
) -> tuple[Tensor, ClipIndices]:
    """Test-time inputs of one video: (n V, C, T, H, W) float32, and the indices of its n clips.

    ``sampling`` counts the network's own frames; where these are stacks or differences, the indices are those of the
    fields or frames that they are made of. The V views of a clip are neighbors, so that scores become
    ``scores.view(n, V, -1).mean(1)``. Where snippets are one input (``Sampling.one_input``), they come one after the
    other in time and n is 1.
    """
    length = videos.modality.source_length(sampling.clip_length)
    indices = replace(sampling, clip_length=length).indices(videos.lengths[video])
    frames = indices.frames.reshape(1, -1) if sampling.one_input else indices.frames
    rows: Sequence[NDArray[np.int64]] = list(frames[:limit])
    inputs = [view_inputs(videos.stacks(video, videos.frames(video, row)), videos.recipe, views) for row in rows]
    return torch.cat([finish(planes, videos.modality, length) for planes in inputs]), indices
