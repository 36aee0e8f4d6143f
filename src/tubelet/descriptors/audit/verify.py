"""A random part of a descriptor table computed again, and everything that is not as recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tubelet.clips.recipe import Recipe
from tubelet.descriptors.audit.closeness import Allowance, allowance
from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.audit.remaking import (
    Remaking,
    by_rate,
    precision_here,
    recorded_recipe,
    recorded_sampling,
    request_of,
    require_making,
)
from tubelet.descriptors.audit.rows import compare_rows
from tubelet.descriptors.audit.sample import found_by, sample_size, spread_over_videos
from tubelet.descriptors.audit.standing import VideoCheck, incomplete_videos, look_at_video
from tubelet.descriptors.audit.verification import RowCheck, Verification, summarize
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.network import PrecisionName
from tubelet.descriptors.request import VideoRequest
from tubelet.errors import InputDataError, TubeletError, VideoError
from tubelet.models.contract import VideoModel
from tubelet.provenance import environment
from tubelet.reporting.terminal import progress


@dataclass
class _Findings:
    """What comes together while videos are looked at."""

    checks: list[RowCheck] = field(default_factory=list)
    videos: list[VideoCheck] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(
    table: RecordedTable,
    model: VideoModel,
    *,
    data: Path | None = None,
    mean: Recipe | None = None,
    share: float = 0.05,
    clips: int | None = None,
    seed: int = 0,
    flow: Path | None = None,
    any_flow: bool = False,
    precision: PrecisionName | None = None,
    device: str = "auto",
    workers: int = 1,
) -> Verification:
    """Compute a random part of a table again from its videos, as its rows say they were made.

    Parameters
    ----------
    table
        What to verify.
    model
        The network that made it, or should have.
    data
        Where its videos lie; None: where they lay.
    mean
        Recipe with the mean volume that ``extract`` was given.
    share, clips
        Which part: a fraction of the rows (16 at least), or a number of them; see
        `tubelet.descriptors.audit.sample.spread_over_videos`.
    seed
        Of the choice.
    flow, any_flow
        Stored flow, for a network that reads it; None: where extract found it.
    precision
        None: the table's own, or float32 where the machine has no bfloat16.
    device, workers
        As of `Extractor`.

    Raises
    ------
    InputDataError
        The table does not say how it was made, is empty, or none of the chosen videos is there.
    UsageError
        The network does not fit what the table says, such as its layers.
    """
    require_making(table)
    if not len(table):
        raise InputDataError("the table has no row", path=table.path, remedy="extract again")
    chosen = spread_over_videos(table.rows_by_video(), sample_size(len(table), share, clips), seed)
    found = _Findings()
    requests: dict[str, VideoRequest] = {}
    for video_id, places in chosen.items():
        index = None if table.whole_videos else table.places.clip_index[places].tolist()
        try:
            requests[video_id] = request_of(table, video_id, data, index)
        except VideoError as error:
            found.videos.append(VideoCheck(video_id, error.path or "", "missing", str(error)))
            missing = error
    if not requests:
        raise InputDataError(
            missing.what,
            path=missing.path,
            why=f"none of the {len(chosen)} videos chosen is there",
            remedy=missing.remedy or f"say with --data which folder its name is relative to: {next(iter(chosen))}",
        )
    here, allowances = "", []
    for columns, ids in _made_alike(table, requests).items():
        way = _way(table, dict(columns), model, mean, flow, any_flow, precision, device, found)
        layers = [layer for layer in table.layers if len(table.vectors(layer, ids)[0])]
        with way.extractor(layers, device=device, workers=workers) as extractor:
            here = extractor.precision
            place = environment(device=extractor.device)
            allowed = allowance(table.record, place, (str(dict(columns)["precision"]), here))
            allowances.append(allowed)
            _compute(table, extractor, [requests[video_id] for video_id in ids], chosen, allowed, found)
            found.notes += extractor.flow_notes
    found.videos += incomplete_videos(table)
    allowed = max(allowances, key=lambda each: each.relative)
    found.notes += allowed.elsewhere
    found.notes += [f"{check.video_id} {check.detail}" for check in found.videos if check.state == "touched"]
    return Verification(
        table=str(table.path),
        model=model.name,
        weights_sha256=model.weights_id,
        rows=len({(check.video_id, check.clip_index) for check in found.checks}),
        rows_total=len(table),
        videos=len(requests),
        videos_total=len(table.videos),
        seed=seed,
        precision=here,
        allowance=allowed,
        layers=tuple(summarize(layer, found.checks) for layer in table.layers),
        checks=tuple(found.checks),
        video_checks=tuple(found.videos),
        changed=tuple(dict.fromkeys(found.changed)),
        notes=tuple(dict.fromkeys(found.notes)),
        detectable=found_by(len(table.videos), len(requests)),
    )


def _made_alike(table: RecordedTable, ids: Mapping[str, object]) -> dict[tuple[tuple[str, Any], ...], list[str]]:
    """The videos by what their rows say of how they were made: a table may have grown in several ways."""
    groups: dict[tuple[tuple[str, Any], ...], list[str]] = {}
    for video_id in ids:
        facts = table.videos[video_id]
        key = tuple((name, facts[name]) for name in ("weights_sha256", "recipe_hash", "sampling", "precision"))
        groups.setdefault(key, []).append(video_id)
    return groups


def _way(
    table: RecordedTable,
    columns: Mapping[str, Any],
    model: VideoModel,
    mean: Recipe | None,
    flow: Path | None,
    any_flow: bool,
    precision: PrecisionName | None,
    device: str,
    found: _Findings,
) -> Remaking:
    if columns["weights_sha256"] != model.weights_id:
        was, now = _short(columns["weights_sha256"]), _short(model.weights_id)
        found.changed.append(f"the weights are others: {was} made the rows, {now} are at hand")
    recipe = recorded_recipe(table.record, columns["recipe_hash"], model, mean)
    if recipe is None:
        recorded = table.record.get("recipe")
        if isinstance(recorded, dict) and recorded.get("mean_volume") is not None:
            raise InputDataError(
                "the mean volume that the table was made with is not at hand",
                path=table.path,
                remedy="give the file with --mean, as extract was given it",
            )
        was = _short(columns["recipe_hash"])
        found.changed.append(f"the recipe is another: {was} made the rows, and no recipe of this hash is at hand")
    elif mean is None and model.recipe is not None and model.recipe != recipe:
        was, now = _short(recipe.hash), _short(model.recipe.hash)
        differing = ", ".join(recipe_differences(recipe, model.recipe))
        found.changed.append(f"the model's recipe is another: {was} made the rows, {now} is at hand ({differing})")
    if flow is None and model.input.content.is_flow:
        stored = table.record.get("flow")
        flow = Path(stored["root"]) if isinstance(stored, dict) and "root" in stored else None
    chosen = precision or precision_here(str(columns["precision"]), "cpu" if device == "auto" else device)
    if chosen != columns["precision"]:
        found.notes.append(f"made in {columns['precision']}, computed again in {chosen}")
    return Remaking(model, recipe, recorded_sampling(table, columns["sampling"]), chosen, flow, any_flow)


def recipe_differences(first: Recipe, second: Recipe) -> list[str]:
    """The fields in which two recipes differ, as ``"color rgb, not bgr"``."""
    one, other = first.to_dict(), second.to_dict()
    return [f"{name} {one[name]}, not {other[name]}" for name in one if name != "name" and one[name] != other[name]]


def _compute(
    table: RecordedTable,
    extractor: Extractor,
    requests: Sequence[VideoRequest],
    chosen: Mapping[str, Sequence[int]],
    allowed: Allowance,
    found: _Findings,
) -> None:
    there: list[VideoRequest] = []
    sources = extractor.sources(requests)
    for request in requests:
        source = sources[request.video_id]
        try:
            found.videos.append(look_at_video(request, source, table.videos[request.video_id]))
            there.append(request)
        except InputDataError as error:
            found.videos.append(VideoCheck(request.video_id, str(source), "unreadable", str(error)))
    with progress("computing again", total=len(there), unit="video") as bar:
        for group in by_rate(there):
            with closing(extractor.described(group)) as outcomes:
                for request, outcome in zip(group, outcomes, strict=True):
                    bar.update(1)
                    if isinstance(outcome, TubeletError):
                        path = str(sources[request.video_id])
                        found.videos.append(VideoCheck(request.video_id, path, "unreadable", str(outcome)))
                        continue
                    found.checks += compare_rows(table, request.video_id, outcome, chosen[request.video_id], allowed)


def _short(identity: str) -> str:
    return identity if identity.startswith("untrained:") else identity[:12]
