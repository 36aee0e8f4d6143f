"""Videos become descriptors: network, layers, recipe and sampling in one object."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tubelet.allocator import set_allocator
from tubelet.clips.decode import ClipDecoder, FrameBlock
from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.clips.sampling import Sampling, ShortVideo
from tubelet.clips.transforms import mirror_inputs
from tubelet.descriptors.batching import ClipBatcher, Ended, Part, Rows
from tubelet.descriptors.described import Described
from tubelet.descriptors.network import ClipNetwork, PrecisionName
from tubelet.descriptors.request import VideoRequest
from tubelet.errors import TubeletError, UsageError, VideoError
from tubelet.flow.decode import FlowDecoder
from tubelet.flow.library import FlowKind, survey_flow
from tubelet.models.contract import VideoModel
from tubelet.models.spec import require_source, usual_stride

# Blocks of 32 frames; 128x171 pixels make 2 MB each.
_BLOCKS_AHEAD = 6
_BLOCKS_PER_WORKER = 4

_NEEDS_MEAN_FILE, _WITHOUT_MEAN_FILE = "c3d_sports1m", "c3d_channel_mean"


class Extractor:
    """Describe videos by the activations of a network.

    Each frame is decoded once, in child processes that work ahead of the network; clips of several videos
    share batches. Results do not depend on the number of workers; on the size and company of a batch only
    within float32 rounding.

    Parameters
    ----------
    model
        From ``create_model`` or ``load_model``. It must not be trained while the extractor is in use.
    layers
        Names out of ``model.layer_names``; see :func:`tubelet.descriptors.pooling.clip_vectors` for what
        becomes of feature maps.
    clip_length
        Frames in a clip; by default the model's (C3D: 16).
    stride_frames
        Frames between the starts of clips; by default 8 (C3D paper, section 3.3), or 1 for networks of single frames.
    recipe
        What is done to the pixels; by default the one saved with the model, else the one published for it.
    batch_size
        Clips per batch; by default as many as keep the largest activation near 0.2 GB (C3D: 4, at most 32).
    precision
        ``"auto"`` and ``"float32"``: float32. ``"bfloat16"``: about twice as fast where the processor has it;
        another result (relative error near 3e-3), so it is never chosen unasked.
    device
        ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``; the model is moved there.
    workers
        Decoding processes.
    short
        What becomes of a video shorter than a clip: ``"loop"``, ``"repeat-last"`` or ``"refuse"``.
    step_frames
        Frames of the video from one frame of a clip to the next; by default the model's (C3D: 1, T3D: 2).
    flow
        For a network that reads motion: what ``tubelet flow`` wrote for these videos.
    any_flow
        Accept flow of another kind than the network was trained with; ``flow_notes`` then says what differs.
    sampling
        Which clips, in place of ``clip_length``, ``stride_frames``, ``step_frames`` and ``short``: a policy other than
        dense, such as P3D's 20 clips at random places. It counts what is read, as the attribute does.

    Attributes
    ----------
    sampling
        What is read for each clip: frames; for networks that read motion fields, for RGB differences one frame more
        than there are differences.
    flow_kind, flow_notes
        Of the flow that was read last, `tubelet.flow.library.FlowKind`; None where none is read.

    Raises
    ------
    UsageError
        For layers, clip lengths, devices or precisions that do not exist here, or a recipe that has to be
        given.

    Examples
    --------
    >>> extractor = Extractor(model, layers=("fc6",))          # doctest: +SKIP
    >>> extractor.describe("clip.mp4").video_vector("fc6")     # doctest: +SKIP
    """

    def __init__(
        self,
        model: VideoModel,
        layers: Sequence[str] = ("fc6",),
        clip_length: int | None = None,
        stride_frames: int | None = None,
        recipe: Recipe | None = None,
        batch_size: int | None = None,
        precision: PrecisionName = "auto",
        device: str = "auto",
        workers: int = 1,
        short: ShortVideo = "loop",
        step_frames: int | None = None,
        flow: str | os.PathLike[str] | None = None,
        any_flow: bool = False,
        sampling: Sampling | None = None,
    ) -> None:
        set_allocator()
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, not {batch_size}")
        require_source(model.name, model.input, flow)
        self.model = model
        self.modality = model.input.content
        if sampling is None:
            length = model.input.clip_length if clip_length is None else clip_length
            step = model.input.step_frames if step_frames is None else step_frames
            stride = usual_stride(model.input, length) if stride_frames is None else stride_frames
            sampling = Sampling("dense", self.modality.source_length(length), stride, step, short)
        elif (clip_length, stride_frames, step_frames, short) != (None, None, None, "loop"):
            raise UsageError(
                "sampling says by itself how clips are cut", remedy="leave clip_length, strides, steps and short away"
            )
        elif sampling.one_input:
            raise UsageError(
                f"{sampling.policy} makes one input of all snippets",
                why="a table has a row for each clip",
                remedy="use uniform, tsn_torch_test or tsn_caffe_test",
            )
        self.sampling = sampling
        self.recipe = _recipe_for(model) if recipe is None else recipe
        self.modality.check(self.recipe)
        height, width = model.input.height_width
        if self.recipe.crop_hw != (height, width):
            raise UsageError(
                f"recipe {self.recipe.name} gives clips of {self.recipe.crop_hw[1]}x{self.recipe.crop_hw[0]} pixels",
                why=f"{model.name} takes {width}x{height}",
                remedy="use recipe.with_side, or leave the recipe away for the model's own",
            )
        self.workers = workers
        self.flow = flow
        self.weights_id = model.weights_id
        if self.weights_id.startswith("untrained:"):
            warnings.warn(
                f"{model.name} is untrained: its descriptors say little about what is in a video",
                UserWarning,
                stacklevel=2,
            )
        self._network = ClipNetwork(
            model,
            layers,
            clip_length=self.modality.clip_length(sampling.clip_length),
            mirror=partial(mirror_inputs, recipe=self.recipe) if self.recipe.average_flip else None,
            precision=precision,
            device=device,
        )
        self.batch_size = self._network.fitting_batch if batch_size is None else batch_size
        self.any_flow = any_flow
        self.flow_kind: FlowKind | None = None
        self.flow_notes: tuple[str, ...] = ()
        self._shared = False
        self._decoder = (
            ClipDecoder(workers) if flow is None else FlowDecoder(flow, workers, backward=self.modality.both_directions)
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are extracted."""
        return self._network.layers

    @property
    def dimensions(self) -> dict[str, int]:
        """Length of a clip's vector, by layer."""
        return dict(self._network.dimensions)

    @property
    def precision(self) -> str:
        """``"float32"`` or ``"bfloat16"``."""
        return self._network.precision

    @property
    def device(self) -> str:
        """Where the network runs."""
        return str(self._network.device)

    @property
    def sampling_text(self) -> str:
        """The sampling as it stands in tables: compact JSON."""
        return json.dumps(self.sampling.to_dict(), separators=(",", ":"))

    def describe(self, path: str | os.PathLike[str], *, fps: float | None = None) -> Described:
        """Describe one video.

        Parameters
        ----------
        path
            A video file or a folder of numbered JPEG frames.
        fps
            Frame rate to use instead of the file's own (for folders of frames).

        Raises
        ------
        VideoError
            If the video cannot be opened or yields no frame.
        InputDataError
            If it is shorter than a clip and the policy is ``"refuse"``.
        """
        for _, outcome in self.describe_many([path], fps=fps):
            if isinstance(outcome, TubeletError):
                raise outcome
            return outcome
        raise AssertionError("one path gives one outcome")

    def describe_many(
        self, paths: Iterable[str | os.PathLike[str]], *, fps: float | None = None
    ) -> Iterator[tuple[str, Described | TubeletError]]:
        """Describe videos in order; a video that fails yields its error and the rest goes on.

        Yields
        ------
        tuple
            The path as it was given and its descriptors, or the error.
        """
        requests = [VideoRequest(Path(path), os.fspath(path), fps=fps) for path in paths]
        with closing(self.described(requests)) as outcomes:
            for request, outcome in zip(requests, outcomes, strict=True):
                yield request.video_id, outcome

    def described(self, requests: Sequence[VideoRequest]) -> Generator[Described | TubeletError, None, None]:
        """The descriptors, or the error, of each request in order; see :meth:`rows`."""
        collected: list[Rows] = []
        with closing(self.rows(requests)) as parts:
            for part in parts:
                if isinstance(part, Rows):
                    collected.append(part)
                    continue
                if isinstance(part.outcome, TubeletError):
                    yield part.outcome
                elif not collected:
                    yield VideoError("the video has none of the clips asked for", path=part.request.path)
                else:
                    yield _described(part, collected)
                collected = []

    def rows(self, requests: Sequence[VideoRequest]) -> Generator[Rows | Ended, None, None]:
        """Rows of many videos as they come out of the network, in memory that does not grow with their
        length.

        Parameters
        ----------
        requests
            Which videos; all with the same ``fps``, and none of them opened before its turn is near.

        Yields
        ------
        Rows or Ended
            For each request in order its rows, then its end.

        Raises
        ------
        UsageError
            If the model was changed after the extractor was made.
        """
        if self.model.weights_id != self.weights_id:
            raise UsageError("the model changed after this extractor was made", remedy="make a new Extractor for it")
        self.sources(requests)
        batcher = ClipBatcher(
            self._network, self.recipe, self.sampling, self.batch_size, self.modality, fetch=self._fetch
        )
        with closing(self._parts(requests)) as parts:
            yield from batcher.run(parts)

    def _fetch(self, request: VideoRequest, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Frames of a video that was too long to be kept."""
        where = self._decoder.locate(request.path, request.video)
        return self._decoder.clip(where, indices, self.recipe.size, fps=request.fps)

    def _parts(self, requests: Sequence[VideoRequest]) -> Generator[tuple[VideoRequest, Part], None, None]:
        rates = {request.fps for request in requests}
        if len(rates) > 1:
            raise UsageError("videos described together need the same fps", remedy="describe them in several calls")
        if not requests:
            return
        upcoming = iter(requests)
        current: VideoRequest | None = None
        stream = self._decoder.prefetch(
            [self._decoder.locate(request.path, request.video) for request in requests],
            self.recipe.size,
            max_ahead_blocks=_BLOCKS_AHEAD + _BLOCKS_PER_WORKER * (self.workers - 1),
            fps=rates.pop(),
        )
        with closing(stream):
            for _, part in stream:
                if current is None:
                    current = next(upcoming)
                yield current, part
                if not isinstance(part, FrameBlock):
                    current = None

    def sources(self, requests: Sequence[VideoRequest]) -> dict[str, Path]:
        """What is read for each video, by ``video_id``: the video itself or, for a network that reads motion, its flow.

        Raises
        ------
        InputDataError
            Flow is missing, damaged, or was computed from another version of its video; one error for all.
        UsageError
            The flow is of several kinds, or of another than the network was trained with.
        """
        if isinstance(self._decoder, FlowDecoder) and requests:
            survey = survey_flow(
                self._decoder.root,
                {self._decoder.name(request.path, request.video): request.path for request in requests},
                self.modality,
                source=requests[0].root,
                trained_with=(self.model.provenance or {}).get("flow"),
                any_flow=self.any_flow,
            )
            self.flow_kind, self.flow_notes = survey.kind, survey.notes
        return {request.video_id: self._decoder.locate(request.path, request.video) for request in requests}

    def share(self, decoder: ClipDecoder) -> None:
        """Take decoding processes that others use too, and that ``close`` leaves open; stored flow has its own."""
        if self.flow is None:
            self._decoder.close()
            self._decoder, self._shared = decoder, True

    def close(self) -> None:
        """End the decoding processes, unless they are shared; they also end with the program."""
        if not self._shared:
            self._decoder.close()

    def __enter__(self) -> Extractor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _recipe_for(model: VideoModel) -> Recipe:
    if model.recipe is not None:
        return model.recipe
    name = model.input.recipe
    if name == _NEEDS_MEAN_FILE and model.weights_id.startswith("untrained:"):
        # Weights that nobody trained are bound to no recipe; trained ones are, and for them get_recipe
        # refuses.
        warnings.warn(
            f"{model.name} has no weights that would need {name}, so {_WITHOUT_MEAN_FILE} is used; "
            "give recipe=, or --mean on the command line, to choose",
            UserWarning,
            stacklevel=3,
        )
        name = _WITHOUT_MEAN_FILE
    return get_recipe(name).with_side(model.input.side)


def _described(end: Ended, rows: Sequence[Rows]) -> Described:
    assert not isinstance(end.outcome, TubeletError)
    spans = [span for part in rows for span in part.spans]
    return Described(
        path=end.request.video_id,
        vectors={layer: np.concatenate([part.vectors[layer] for part in rows]) for layer in rows[0].vectors},
        start_frame=np.array([span.start_frame for span in spans], dtype=np.int64),
        end_frame=np.array([span.end_frame for span in spans], dtype=np.int64),
        start_s=np.array([span.start_s for span in spans], dtype=np.float64),
        end_s=np.array([span.end_s for span in spans], dtype=np.float64),
        padded=np.array([span.padded for span in spans], dtype=np.bool_),
        report=end.outcome,
    )
