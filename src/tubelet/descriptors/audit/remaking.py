"""Rows of a table computed anew: its videos found, its recipe, sampling and precision taken up again."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import RECIPES, get_recipe
from tubelet.clips.sampling import Sampling
from tubelet.descriptors.audit.recorded import MAKING_COLUMNS, RecordedTable
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.network import PrecisionName
from tubelet.descriptors.request import VideoRequest, span_of
from tubelet.errors import InputDataError, TubeletError, UsageError, VideoError
from tubelet.models.contract import VideoModel


@dataclass(frozen=True, eq=False)
class Remaking:
    """Everything that decides the numbers of a descriptor, ready to be computed with.

    Attributes
    ----------
    model
        The network.
    recipe
        None: the model's own, else the one published for it.
    sampling
        How clips are cut, counted in items of the source.
    precision
        ``"float32"`` or ``"bfloat16"``.
    flow
        Stored flow, for a network that reads it.
    any_flow
        As of `Extractor`.
    """

    model: VideoModel
    recipe: Recipe | None
    sampling: Sampling
    precision: PrecisionName
    flow: Path | None = None
    any_flow: bool = False

    def extractor(
        self, layers: Sequence[str], *, device: str = "auto", workers: int = 1, decoder: ClipDecoder | None = None
    ) -> Extractor:
        """An extractor that works so, with decoding processes of its own or others'; see there for what it raises."""
        with warnings.catch_warnings():
            # Whoever made the table was told that its network is untrained.
            warnings.filterwarnings("ignore", message=".* is untrained: ", category=UserWarning)
            extractor = Extractor(
                self.model,
                layers,
                recipe=self.recipe,
                precision=self.precision,
                device=device,
                workers=workers,
                flow=self.flow,
                any_flow=self.any_flow,
                sampling=self.sampling,
            )
        if decoder is not None:
            extractor.share(decoder)
        return extractor


def recorded_sampling(table: RecordedTable, text: str) -> Sampling:
    """The sampling that a table's row states.

    Raises
    ------
    InputDataError
        It is none.
    """
    try:
        return Sampling.from_dict(json.loads(text))
    except (ValueError, TypeError, UsageError) as error:
        raise InputDataError(
            "the table's sampling cannot be read", path=table.path, why=str(error), remedy="extract again"
        ) from error


def recorded_recipe(
    record: Mapping[str, Any], recipe_hash: str | None, model: VideoModel | None, mean: Recipe | None = None
) -> Recipe | None:
    """The recipe of a hash: what was given, the model's own, the one that the table recorded, or a published one.

    Parameters
    ----------
    record
        The table's ``provenance.json``.
    recipe_hash
        Which one is wanted.
    model
        Its recipe may be it, and may have the mean volume that the recorded one needs.
    mean
        The recipe that ``--mean`` stands for.

    Returns
    -------
    Recipe or None
        None where none of these has the hash.
    """
    own = None if model is None else model.recipe
    found = [recipe for recipe in (mean, own) if recipe is not None]
    values = record.get("recipe")
    if isinstance(values, dict):
        for volume in (None, *(recipe.mean_volume for recipe in found)):
            try:
                found.append(Recipe.from_dict(values, volume))
                break
            except (TubeletError, TypeError, ValueError):
                continue
    for name in RECIPES:
        try:
            published = get_recipe(name)
            found += [published, *([] if model is None else [published.with_side(model.input.side)])]
        except UsageError:  # it needs a mean volume, or has no such size
            continue
    return next((recipe for recipe in found if recipe.hash == recipe_hash), None)


def require_making(table: RecordedTable) -> None:
    """Refuse a table that does not say how its rows were made.

    Raises
    ------
    InputDataError
        Weights, recipe, sampling or precision of a video are not known.
    """
    lacking = sorted({name for facts in table.videos.values() for name in MAKING_COLUMNS if facts.get(name) is None})
    if lacking:
        beside = table.path if table.path.is_dir() else table.path.parent
        raise InputDataError(
            "the table does not say how it was made, so it cannot be computed again",
            path=table.path,
            why=f"no {', '.join(lacking)}",
            remedy=f"give the folder of tubelet extract, or put its provenance.json into {beside}",
        )


def request_of(
    table: RecordedTable, video_id: str, data: Path | None = None, clips: Sequence[int] | None = None
) -> VideoRequest:
    """Where a video of a table lies now, and which of its clips are wanted.

    Parameters
    ----------
    table
        Knows the path of then.
    video_id
        Which one.
    data
        Folder that ids are relative to; None: the paths recorded, else the root of the table's extraction.
    clips
        Indices of clips; None for all.

    Raises
    ------
    VideoError
        It is not there; the error names ``--data``.
    """
    facts = table.videos[video_id]
    then = facts.get("path")
    # A file may really be called x#t=1: the path that was read says so.
    whole = then is not None and (then == video_id or str(then).endswith(f"/{video_id}"))
    video, start_s, end_s = (video_id, None, None) if whole else span_of(video_id)
    root = table.record.get("root")
    places = [Path(data, video)] if data is not None else [Path(then)] if then else []
    if data is None and isinstance(root, str):
        places.append(Path(root, video))
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise VideoError(
            "a video of the table is not where it was" if data is None else "there is no such video below --data",
            path=places[0] if places else video,
            remedy=f"say with --data which folder its name is relative to: {video}" if data is None else None,
        )
    fps = facts.get("fps") if facts.get("fps_source") == "given" else None
    wanted = None if clips is None else frozenset(clips)
    label = facts.get("label")
    return VideoRequest(Path(os.path.abspath(path)), video_id, label, fps, start_s, end_s, wanted)


def by_rate(requests: Sequence[VideoRequest]) -> list[list[VideoRequest]]:
    """Requests that can be described together: those of one frame rate."""
    groups: dict[float | None, list[VideoRequest]] = {}
    for request in requests:
        groups.setdefault(request.fps, []).append(request)
    return list(groups.values())


def precision_here(name: str, device: str) -> PrecisionName:
    """The precision of a table, or float32 where this machine has no bfloat16."""
    from tubelet.training.precision import has_fast_bfloat16

    return cast(PrecisionName, "float32" if name == "bfloat16" and not has_fast_bfloat16(device) else name)
