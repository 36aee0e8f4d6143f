"""The diagnosis of a linear SVM on a descriptor table: its network describes the videos again, changed in one thing."""

from __future__ import annotations

import copy
import io
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from tubelet.datasets.splits import Fold
from tubelet.descriptors.network import ClipNetwork
from tubelet.descriptors.pooling import GroupedMeans, l2_normalize
from tubelet.descriptors.request import item_id
from tubelet.descriptors.schema import vector_column, vectors_in
from tubelet.descriptors.store import DescriptorTable, has_table
from tubelet.descriptors.video_vectors import VideoVectors, open_vectors
from tubelet.errors import TubeletError, UsageError
from tubelet.flow.inputs import finish
from tubelet.models.contract import VideoModel
from tubelet.models.folder import load_model, read_config
from tubelet.protocols.answers import Answers, answers_in_result
from tubelet.protocols.descriptor_svm import SvmSettings, evaluate_descriptors
from tubelet.protocols.diagnosis import Diagnosis, Expected, Suspect, diagnose
from tubelet.protocols.diagnosis_splits import drawn_folds
from tubelet.protocols.diagnosis_variants import pixel_variants, sampling_variants
from tubelet.protocols.result import Result
from tubelet.protocols.view_scores import clip_frames, even_batches
from tubelet.provenance import hash_json
from tubelet.reporting.terminal import duration, progress
from tubelet.training.run_folder import safe_name

MOST_VIDEOS = 1000
"""Videos, of training and test together, that are described again, unless more are asked for."""

_CACHE_BYTES = 2 << 30
_PILOT = 4
_AGREE = 0.999  # cosine of a descriptor that was made alike

Wide = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DescriptorTest:
    """A finished evaluation of one descriptor table.

    Attributes
    ----------
    table
        The table of ``tubelet extract`` that was evaluated.
    folds, settings, result
        Of the evaluation.
    others
        Other ways of parting the videos, see `tubelet.protocols.diagnosis_splits.other_folds`.
    device, workers
        For describing videos again.
    """

    table: VideoVectors
    folds: Sequence[Fold]
    settings: SvmSettings
    result: Result
    others: Sequence[tuple[str, Sequence[Fold]]] = ()
    device: str = "auto"
    workers: int = 1


def diagnose_descriptors(
    test: DescriptorTest,
    expected: Expected,
    folder: Path,
    *,
    mean: str | os.PathLike[str] | None = None,
    most: int = MOST_VIDEOS,
    tell: Callable[[str], None] = lambda text: None,
) -> Diagnosis:
    """Evaluate a table again with one thing changed at a time, and say what moves its figure.

    Splits and normalization need the table alone; for color order, mean and stride its network describes the videos
    again. Finished variants lie below ``folder`` and are not described again.

    Parameters
    ----------
    test
        What was done.
    expected
        The figure that it should have given.
    folder
        Where the variants' vectors and scores go.
    mean
        A mean volume to be tried, BGR.
    most
        Videos that are described again.
    tell
        Is told what is about to be done, and how long it takes.

    Raises
    ------
    UsageError
        The table is not one of ``tubelet extract``.
    """
    table = test.table
    if not has_table(table.path):
        raise UsageError(
            "this table's clips are not known, so they cannot be taken otherwise",
            path=table.path,
            remedy="diagnose a table of tubelet extract",
        )
    few = drawn_folds(test.folds, most)
    whole = len(_all(few)) == len(_all(test.folds))

    def answers(name: str, vectors: VideoVectors, folds: Sequence[Fold]) -> Answers:
        key = hash_json([name, vectors.hash, test.settings.to_dict(), [[f.train.hash, f.test.hash] for f in folds]])
        found = evaluate_descriptors(folds, [vectors], test.settings, folder / f"svm_{key[:12]}", allow_leak=True)
        return answers_in_result(found.result)

    def plain(vectors: VideoVectors) -> VideoVectors:
        return replace(vectors, facts={})  # leaks and published figures are the affair of the evaluation

    notes, untried = [], list[tuple[Suspect, str]]()
    base = answers_in_result(test.result) if whole else answers("as it is", plain(table), few)
    if not whole:
        notes.append(
            f"variants were fitted and tested on {len(_all(few))} of {len(_all(test.folds))} videos, drawn class by "
            "class; their figures are ours plus the difference there"
        )
    found: list[tuple[Suspect, str, Answers]] = []
    try:
        again = Again(test, _all(few), folder, mean)
    except TubeletError as error:
        untried += [(suspect, str(error)) for suspect in ("color order", "mean", "stride")]
    else:
        remark = again.run(tell)
        notes += [remark] if remark else []
        untried += again.untried
        found += [(one.suspect, one.name, answers(one.name, plain(one.vectors), few)) for one in again.described]
    for name, vectors in _other_poolings(table):
        found.append(("normalization", name, answers(name, plain(vectors), few)))
    for name, folds in test.others:
        try:
            found.append(("split", name, answers(name, plain(table), folds)))
        except TubeletError as error:
            untried.append(("split", f"{name}: {error}"))
    if not test.others:
        untried.append(("split", "there is no other way to part the videos"))
    return diagnose(test.result, base, found, expected, untried=untried, notes=notes)


@dataclass(frozen=True, eq=False)
class _Described:
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


class Again:
    """The videos described again by the network that made a table, with other pixels and other clips.

    Parameters
    ----------
    test
        The evaluation.
    videos
        Those to be described.
    folder
        Where a variant's vectors lie, one file each.
    mean
        A mean volume to be tried.

    Raises
    ------
    UsageError
        The network, its recipe or the clips that made the table are not known any more.
    """

    def __init__(
        self, test: DescriptorTest, videos: Manifest, folder: Path, mean: str | os.PathLike[str] | None
    ) -> None:
        self._test, self._videos = test, videos
        self._model = _model_of(test.table)
        self._layer = test.table.layer
        self._sampling = _sampling_of(test.table)
        assert self._model.recipe is not None
        self._recipe = self._model.recipe
        self.untried: list[tuple[Suspect, str]] = []
        self.described: list[_Described] = []
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
                self.described.append(_Described(one.suspect, one.name, open_vectors(one.file, name=one.name)))
        return remark

    def _decoded(self, stack: ExitStack) -> tuple[DecodedVideos, float]:
        decoder = stack.enter_context(ClipDecoder(workers=self._test.workers))
        began = time.perf_counter()
        with progress("reading videos", total=len(self._videos), unit="video") as bar:
            found = decode_videos(
                self._videos,
                self._recipe,
                decoder,
                modality=self._model.input.content,
                workers=self._test.workers,
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
        known = set(self._test.table.video_ids.tolist())
        both = [row for row, video_id in enumerate(ids) if video_id in known]
        before = self._test.table.take([ids[row] for row in both])
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
            device=self._test.device,
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


def _all(folds: Sequence[Fold]) -> Manifest:
    return replace(folds[0].train, items=(*folds[0].train.items, *folds[0].test.items))


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


def _other_poolings(table: VideoVectors) -> list[tuple[str, VideoVectors]]:
    """The table's vectors with clips normalized before the mean over them, before and after it, and not at all."""
    source = DescriptorTable(table.path)
    layer = table.layer
    place = {video_id: row for row, video_id in enumerate(table.video_ids.tolist())}
    plain, each = (GroupedMeans(len(place), source.dimensions[layer]) for _ in range(2))
    for batch in source.batches(["video_id", vector_column(layer)], f"{vector_column(layer)} IS NOT NULL"):
        rows = [place[video_id] for video_id in batch.column("video_id").to_pylist()]
        vectors = vectors_in(batch, layer)
        plain.add(rows, vectors)
        each.add(rows, l2_normalize(vectors))
    return [
        ("each clip of length one, then the mean", replace(table, vectors=each.means().astype(np.float32))),
        ("each clip of length one, and the mean too", replace(table, vectors=l2_normalize(each.means()))),
        ("no vector of length one", replace(table, vectors=plain.means().astype(np.float32))),
    ]
