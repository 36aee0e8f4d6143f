"""The videos of a descriptor table described again by its network, with other pixels and with other clips."""

from __future__ import annotations

import copy
import io
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tubelet.artifacts import write_bytes
from tubelet.clips.decode import ClipDecoder
from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.clips.transforms import mirror_inputs, to_input
from tubelet.datasets.loader import DecodedVideos, decode_videos
from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.network import ClipNetwork
from tubelet.descriptors.pooling import l2_normalize
from tubelet.descriptors.request import item_id
from tubelet.descriptors.video_vectors import VideoVectors, open_vectors
from tubelet.errors import TubeletError, UsageError
from tubelet.flow.inputs import finish
from tubelet.models.contract import VideoModel
from tubelet.models.folder import load_model, read_config
from tubelet.protocols.diagnosis import Suspect
from tubelet.protocols.diagnosis_variants import pixel_variants, sampling_variants
from tubelet.protocols.view_scores import clip_frames, even_batches
from tubelet.provenance import hash_json
from tubelet.reporting.terminal import duration, progress
from tubelet.training.run_folder import safe_name

_CACHE_BYTES = 2 << 30
_PILOT = 4
_AGREE = 0.999  # cosine of a descriptor that was made alike

Wide = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Described:
    """A variant's vectors, one per video."""

    suspect: Suspect
    name: str
    vectors: VideoVectors


@dataclass(frozen=True, eq=False)
class _Variant:
    suspect: Suspect
    name: str
    recipe: Recipe
    sampling: Sampling
    file: Path


class DescribedAgain:
    """The videos described again by the network that made a table, with other pixels and other clips.

    Parameters
    ----------
    table
        Of ``tubelet extract``, whose model folder is still there.
    videos
        Those to be described.
    folder
        Where a variant's vectors lie, one file each.
    mean
        A mean volume to be tried, BGR.
    device, workers
        Where the network runs, and how many processes decode.

    Attributes
    ----------
    described
        The finished variants, after `run`.
    untried
        Those that could not be described, and why.

    Raises
    ------
    UsageError
        The network, its recipe or the clips that made the table are not known any more.
    """

    def __init__(
        self,
        table: VideoVectors,
        videos: Manifest,
        folder: Path,
        *,
        mean: str | os.PathLike[str] | None = None,
        device: str = "auto",
        workers: int = 1,
    ) -> None:
        self._table, self._videos, self._device, self._workers = table, videos, device, workers
        self._model = _model_of(table)
        self._layer = table.layer
        self._sampling = _sampling_of(table)
        assert self._model.recipe is not None
        self._recipe = self._model.recipe
        self.untried: list[tuple[Suspect, str]] = []
        self.described: list[Described] = []
        self._variants: list[_Variant] = []
        content = self._model.input.content
        if content.is_flow:
            raise UsageError("the network reads motion: flow is not described again here")

        def add(suspect: Suspect, name: str, recipe: Recipe, sampling: Sampling) -> None:
            parts = [self._model.weights_id, self._layer, recipe.hash, sampling.hash, videos.hash]
            file = folder / f"{safe_name(suspect)}_{hash_json(parts)[:12]}.npz"
            self._variants.append(_Variant(suspect, name, recipe, sampling, file))

        differences = self._model.input.modality == "rgb_difference"
        for pixels in pixel_variants(self._recipe, differences=differences, mean=mean):
            add(pixels.suspect, pixels.name, pixels.recipe, self._sampling)
        for clips in sampling_variants(self._sampling):
            add("stride", clips.name, self._recipe, clips.sampling)

    def run(self, tell: Callable[[str], None]) -> str:
        """Describe all variants that are not finished; a remark where the unchanged network gives other descriptors."""
        todo = [one for one in self._variants if not one.file.exists()]
        remark = ""
        with ExitStack() as stack:
            if todo:
                frames, seconds = self._decoded(stack)
                remark = self._pilot(frames, seconds, todo, tell)
            for number, one in enumerate(self._variants, 1):
                if not one.file.exists():
                    tell(f"{number}/{len(self._variants)} {one.suspect}: {one.name}")
                    try:
                        self._describe(frames, one)
                    except TubeletError as error:
                        self.untried.append((one.suspect, f"{one.name}: {error}"))
                        continue
                self.described.append(Described(one.suspect, one.name, open_vectors(one.file, name=one.name)))
        return remark

    def _decoded(self, stack: ExitStack) -> tuple[DecodedVideos, float]:
        decoder = stack.enter_context(ClipDecoder(workers=self._workers))
        began = time.perf_counter()
        with progress("reading videos", total=len(self._videos), unit="video") as bar:
            found = decode_videos(
                self._videos,
                self._recipe,
                decoder,
                modality=self._model.input.content,
                workers=self._workers,
                cache_bytes=_CACHE_BYTES,
                progress=lambda count: bar.update(count),
            )
        return found, time.perf_counter() - began

    def _pilot(
        self, frames: DecodedVideos, seconds: float, todo: Sequence[_Variant], tell: Callable[[str], None]
    ) -> str:
        network = self._network(self._recipe)
        some = min(_PILOT, len(frames.lengths))
        ids = [item_id(item) for item in frames.manifest.items[:some]]
        began, clips, means = time.perf_counter(), 0, []
        for index in range(some):
            rows = self._rows(network, frames, index, self._recipe, self._sampling)
            clips += len(rows)
            means.append(rows.mean(axis=0))
        per_clip = (time.perf_counter() - began) / clips
        unread = (len(frames.lengths) - len(frames.kept)) / len(frames.lengths)
        total = sum(
            per_clip * sum(len(one.sampling.indices(length)) for length in frames.lengths) + seconds * unread
            for one in todo
        )
        tell(
            f"diagnosis: {len(todo)} variants on {len(frames.lengths)} videos, about {duration(total)}; stopped and "
            "typed again, it goes on"
        )
        known = set(self._table.video_ids.tolist())
        both = [row for row, video_id in enumerate(ids) if video_id in known]
        before = self._table.take([ids[row] for row in both])
        cosines = (l2_normalize(np.array(means)[both]) * before).sum(axis=1) if both else np.ones(1)
        if cosines.min() < _AGREE:
            return (
                f"described again unchanged, {len(both)} videos have other descriptors than the table's (cosine down "
                f"to {cosines.min():.3f}): the videos or the code have changed since"
            )
        return ""

    def _network(self, recipe: Recipe) -> ClipNetwork:
        return ClipNetwork(
            copy.deepcopy(self._model),
            (self._layer,),
            clip_length=self._model.input.content.clip_length(self._sampling.clip_length),
            mirror=partial(mirror_inputs, recipe=recipe) if recipe.average_flip else None,
            device=self._device,
        )

    def _rows(
        self, network: ClipNetwork, frames: DecodedVideos, index: int, recipe: Recipe, sampling: Sampling
    ) -> Wide:
        """``(clips, D)`` descriptors of one video."""
        content = self._model.input.content
        clips = sampling.indices(frames.lengths[index])
        inputs = (
            finish(to_input(frames.stacks(index, images), recipe), content, sampling.clip_length)
            for images in clip_frames(frames, index, clips.frames)
        )
        batches = even_batches(inputs, len(clips), network.fitting_batch)
        return np.concatenate([network(batch)[self._layer] for batch in batches]).astype(np.float64)

    def _describe(self, frames: DecodedVideos, one: _Variant) -> None:
        """Write the mean of each video's clips."""
        network = self._network(one.recipe)
        means = []
        with progress(one.name, total=len(frames.lengths), unit="video") as bar:
            for index in range(len(frames.lengths)):
                means.append(self._rows(network, frames, index, one.recipe, one.sampling).mean(axis=0))
                bar.update(1)
        buffer = io.BytesIO()
        np.savez(
            buffer,
            video_id=np.array([item_id(item) for item in frames.manifest.items]),
            vectors=np.array(means, dtype=np.float32),
        )
        write_bytes(one.file, buffer.getvalue())


def _model_of(table: VideoVectors) -> VideoModel:
    """The network that made a table, with the recipe that it was made with."""
    named = table.facts.get("model_source")
    if named is None or not (Path(named) / "config.json").is_file():
        raise UsageError("the model folder that made the table is not known or not there any more", path=named)
    if read_config(named).weights_sha256 != table.facts.get("weights_sha256"):
        raise UsageError("the table was made by other weights than those that lie there now", path=named)
    model = load_model(named)
    if model.recipe is None or model.recipe.hash != table.facts.get("recipe_hash"):
        raise UsageError("the table was made with another recipe than its model folder has", path=named)
    return model


def _sampling_of(table: VideoVectors) -> Sampling:
    try:
        return Sampling.from_dict(json.loads(str(table.facts.get("sampling"))))
    except (ValueError, TypeError) as error:
        raise UsageError("the table's rows were not all sampled alike", path=table.path) from error
