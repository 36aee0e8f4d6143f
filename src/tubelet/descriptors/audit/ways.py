"""How two tables were made, ready to be computed again on a sample of their videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tubelet.clips.recipe import Recipe
from tubelet.descriptors.audit.differences import Difference
from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.audit.remaking import (
    Remaking,
    precision_here,
    recorded_recipe,
    recorded_sampling,
    request_of,
    require_making,
)
from tubelet.descriptors.audit.sample import spread_over_videos
from tubelet.descriptors.audit.switching import SAMPLING, Way
from tubelet.errors import InputDataError, TubeletError, UsageError
from tubelet.models.contract import VideoModel
from tubelet.provenance import derive_seed

_CLIPS_SWITCHED = 24


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two tables, and what it takes to compute its rows again.

    Attributes
    ----------
    table
        The table.
    model
        Its network; None where it is not at hand.
    data
        Where its videos lie; None: where they lay.
    mean
        Recipe with the mean volume that ``extract`` was given.
    flow
        Stored flow; None: where extract found it.
    """

    table: RecordedTable
    model: VideoModel | None = None
    data: Path | None = None
    mean: Recipe | None = None
    flow: Path | None = None


def ways_of(
    first: Side,
    second: Side,
    layers: tuple[str, str],
    differences: Sequence[Difference],
    common: Sequence[str],
    videos: int,
    seed: int,
    device: str,
) -> tuple[Way, Way, dict[str, str]]:
    """How both tables were made, with a sample of their videos, and what of B is not at hand."""
    for side in (first, second):
        require_making(side.table)
    if first.model is None:
        raise UsageError("the model that made A is not at hand", path=first.table.path, remedy="name it with --model")
    unavailable: dict[str, str] = {}
    own = _remaking(first, first.model, device)
    if own.recipe is None:
        raise InputDataError(
            "the recipe that made A is not at hand", path=first.table.path, remedy="give --model or --mean as then"
        )
    wanted = second.table.only("weights_sha256")
    model = next((m for m in (second.model, first.model) if m is not None and m.weights_id == wanted), None)
    if model is None:
        unavailable["weights"] = "B's model is not at hand; name it with --model-b"
    other = _remaking(second, model or first.model, device)
    if other.recipe is None:
        for name in ("recipe", "resize", "crop", "color", "mean", "scale", "mirror averaging", "flow mean"):
            unavailable[name] = "B's recipe is not at hand"
        other = replace(other, recipe=own.recipe)
    whole = any(each.setting in SAMPLING for each in differences) or first.table.whole_videos
    rows = first.table.rows_by_video()
    rng = np.random.default_rng(derive_seed(seed, "videos to switch settings on"))
    own_videos, other_videos = {}, {}
    problem: TubeletError | None = None
    chosen: list[str] = []
    for place in rng.permutation(len(common)).tolist():
        try:
            own_videos[common[place]] = request_of(first.table, common[place], first.data)
            other_videos[common[place]] = request_of(second.table, common[place], second.data or first.data)
        except TubeletError as error:
            problem = error
            own_videos.pop(common[place], None)
            continue
        chosen.append(common[place])
        if len(chosen) == videos:
            break
    if not chosen:
        raise problem or InputDataError("the tables have no video in common", path=second.table.path)
    if not whole:
        picked = spread_over_videos({name: rows[name] for name in chosen}, _CLIPS_SWITCHED, seed)
        for name, places in picked.items():
            clips = frozenset(first.table.places.clip_index[places].tolist())
            own_videos[name] = replace(own_videos[name], clips=clips)
            other_videos[name] = replace(other_videos[name], clips=clips)
        chosen = list(picked)
    return (
        Way(own, layers[0], {name: own_videos[name] for name in chosen}),
        Way(other, layers[1], {name: other_videos[name] for name in chosen}),
        unavailable,
    )


def _remaking(side: Side, model: VideoModel, device: str) -> Remaking:
    table = side.table
    stated = {name: table.only(name) for name in ("recipe_hash", "sampling", "precision")}
    several = [name for name, value in stated.items() if value is None]
    if several:
        raise InputDataError(
            "the table's rows were made in several ways", path=table.path, why=", ".join(several),
            remedy="extract it again in one run",
        )  # fmt: skip
    stored = table.record.get("flow")
    flow = side.flow or (Path(stored["root"]) if isinstance(stored, dict) and "root" in stored else None)
    return Remaking(
        model,
        recorded_recipe(table.record, stated["recipe_hash"], model, side.mean),
        recorded_sampling(table, stated["sampling"]),
        precision_here(stated["precision"], "cpu" if device == "auto" else device),
        flow if model.input.content.is_flow else None,
    )
