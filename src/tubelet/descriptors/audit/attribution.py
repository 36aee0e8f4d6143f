"""Which of the settings that differ moves the vectors: each is switched alone, and a sample is described anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tubelet.clips.decode import ClipDecoder
from tubelet.descriptors.audit.closeness import row_distances
from tubelet.descriptors.audit.differences import Difference
from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.audit.remaking import by_rate
from tubelet.descriptors.audit.switching import SAMPLING, Way, switch_name, switched
from tubelet.descriptors.pooling import FloatArray, video_vector
from tubelet.errors import TubeletError
from tubelet.reporting.terminal import progress

AGAIN, TOGETHER = "A computed again", "all of these together"

Key = tuple[str, int]
"""A video and the index of its clip, -1 for the whole."""

_NOTICED = 0.02
_MUCH = 0.5


@dataclass(frozen=True)
class Effect:
    """What one setting does.

    Attributes
    ----------
    setting
        Its name; `AGAIN`: nothing was switched; `TOGETHER`: everything was.
    cosine_to_first, cosine_to_second
        Mean cosine of the vectors computed so and those that the tables hold; None where they have another length.
    moved
        Median distance from the vectors computed with A's settings, as a share of their length; None as before.
    accounts_for
        Share of the squared distance between the tables that is gone; negative where it grew. None where the
        tables' vectors have different lengths.
    why_not
        Why it could not be computed; empty where it was.
    moves
        ``moved`` of every clip or video, for the figure.
    """

    setting: str
    cosine_to_first: float | None = None
    cosine_to_second: float | None = None
    moved: float | None = None
    accounts_for: float | None = None
    why_not: str = ""
    moves: tuple[float, ...] = ()


@dataclass(frozen=True)
class Attribution:
    """The difference between two tables, setting by setting.

    Attributes
    ----------
    level
        Whether clips were compared or, since they are cut otherwise, whole videos.
    items, videos
        How many clips or videos, out of how many videos.
    effects
        First `AGAIN`, then each setting, the most telling first, last `TOGETHER`.
    chief
        The setting that accounts for most; None where none accounts for anything.
    sentence
        The finding.
    """

    level: Literal["clip", "video"]
    items: int
    videos: int
    effects: tuple[Effect, ...]
    chief: str | None
    sentence: str


def attribute(
    first: RecordedTable,
    second: RecordedTable,
    own: Way,
    other: Way,
    differences: Sequence[Difference],
    *,
    unavailable: Mapping[str, str],
    device: str = "auto",
    workers: int = 1,
) -> Attribution:
    """Describe a sample of A with each differing setting of B in turn.

    Parameters
    ----------
    first, second
        The tables A and B.
    own, other
        How they were made, with the videos of the sample. Where a setting of B is not at hand, ``other`` has A's.
    differences
        What differs.
    unavailable
        By switch, why it cannot be switched.
    device, workers
        As of `Extractor`.
    """
    found = dict.fromkeys(name for each in differences if (name := switch_name(each.setting)) is not None)
    cut_otherwise = any(each.setting in SAMPLING for each in differences)
    level: Literal["clip", "video"] = "video" if cut_otherwise or first.whole_videos else "clip"
    ids = list(own.videos)
    tables = _stored(first, own, ids, level), _stored(second, other, ids, level)
    keys = [key for key in tables[0] if key in tables[1]]
    ways: dict[str, Way | TubeletError | str] = {AGAIN: own}
    for name in found:
        if name in unavailable:
            ways[name] = unavailable[name]
            continue
        try:
            ways[name] = switched(own, other, name)
        except TubeletError as error:
            ways[name] = error
    able = [name for name, way in ways.items() if isinstance(way, Way) and name != AGAIN]
    if len(able) > 1:
        ways[TOGETHER] = other
    stored_first = np.stack([tables[0][key] for key in keys])
    stored_second = np.stack([tables[1][key] for key in keys])
    comparable = stored_first.shape == stored_second.shape
    whole = float(((stored_first - stored_second) ** 2).sum()) if comparable else 0.0
    effects: list[Effect] = []
    base: FloatArray | None = None
    left_at_start = whole
    with ClipDecoder(workers) as decoder, progress("switching settings", total=len(ways), unit="setting") as bar:
        for name, way in ways.items():
            bar.update(1, rate=name)
            if not isinstance(way, Way):
                why = way if isinstance(way, str) else (way.why or way.what)
                effects.append(Effect(name, why_not=why))
                continue
            try:
                computed = _computed(way, level, device, workers, decoder)
                vectors = np.stack([computed[key] for key in keys])
            except (TubeletError, KeyError) as error:
                why = str(error) if isinstance(error, TubeletError) else "other clips came out"
                effects.append(Effect(name, why_not=why))
                continue
            base = vectors if base is None else base
            share = None
            if comparable and whole and vectors.shape == stored_second.shape:
                left = float(((vectors - stored_second) ** 2).sum())
                share = (left_at_start - left) / whole
                if name == AGAIN:
                    left_at_start = left
            moves = row_distances(vectors, base).relative if vectors.shape == base.shape else None
            effects.append(
                Effect(
                    name,
                    _mean_cosine(vectors, stored_first),
                    _mean_cosine(vectors, stored_second),
                    None if moves is None else float(np.median(moves)),
                    share,
                    moves=() if moves is None else tuple(moves.tolist()),
                )
            )
    return _concluded(level, len(keys), len({key[0] for key in keys}), effects, whole > 0.0, comparable)


def _concluded(
    level: Literal["clip", "video"], items: int, videos: int, effects: list[Effect], differ: bool, comparable: bool
) -> Attribution:
    fixed = {AGAIN: 0, TOGETHER: 2}
    effects.sort(key=lambda e: (fixed.get(e.setting, 1), -(e.accounts_for if e.accounts_for is not None else -np.inf)))
    single = [e for e in effects if e.setting != TOGETHER and e.accounts_for is not None]
    together = next((e.accounts_for for e in effects if e.setting == TOGETHER), None)
    chief = max(single, key=lambda e: e.accounts_for or 0.0, default=None)
    if not comparable:
        return Attribution(level, items, videos, tuple(effects), None, "the vectors have different lengths, so no "
                           "setting brings A's nearer to B's; how far each moves A's own is measured")  # fmt: skip
    if not differ:
        return Attribution(level, items, videos, tuple(effects), None, "the vectors are equal: nothing to account for")
    if chief is None or (chief.accounts_for or 0.0) < _NOTICED:
        text = "no single setting brings A's vectors nearer to B's"
        if together is not None and together > _NOTICED:
            text += f"; all together account for {together:.0%} of the squared difference"
        return Attribution(level, items, videos, tuple(effects), None, text)
    share = f"{chief.accounts_for:.0%}"
    much = (chief.accounts_for or 0.0) >= _MUCH
    if chief.setting == AGAIN:
        more = "most" if much else "more than any setting"
        text = f"A does not come out again here, and that accounts for {more}: {share} of the squared difference; "
        text += "tubelet verify says more"
    elif much:
        text = f"{chief.setting} accounts for most: {share} of the squared difference"
    else:
        text = f"no single setting accounts for much of the squared difference ({chief.setting} most: {share})"
    if together is not None:
        text += f"; together they account for {together:.0%}"
    return Attribution(level, items, videos, tuple(effects), chief.setting, text)


def _stored(table: RecordedTable, way: Way, ids: Sequence[str], level: str) -> dict[Key, FloatArray]:
    """A table's vectors of the sample: of the clips asked for, or one for each video."""
    places, vectors = table.vectors(way.layer, ids)
    names, clips = table.places.video_id[places], table.places.clip_index[places]
    if level == "clip":
        rows = zip(names.tolist(), clips.tolist(), vectors, strict=True)
        return {(name, clip): row for name, clip, row in rows if (way.videos[name].clips or {clip}) >= {clip}}
    return {(name, -1): video_vector(vectors[names == name]) for name in ids if (names == name).any()}


def _computed(way: Way, level: str, device: str, workers: int, decoder: ClipDecoder) -> dict[Key, FloatArray]:
    found: dict[Key, FloatArray] = {}
    with way.remaking.extractor((way.layer,), device=device, workers=workers, decoder=decoder) as extractor:
        for group in by_rate(list(way.videos.values())):
            with closing(extractor.described(group)) as outcomes:
                for request, outcome in zip(group, outcomes, strict=True):
                    if isinstance(outcome, TubeletError):
                        raise outcome
                    if level == "video":
                        found[request.video_id, -1] = outcome.video_vector(way.layer)
                        continue
                    clips = range(len(outcome)) if request.clips is None else sorted(request.clips)
                    for clip, row in zip(clips, outcome.vectors[way.layer], strict=False):
                        found[request.video_id, clip] = row
    return found


def _mean_cosine(one: FloatArray, other: FloatArray) -> float | None:
    return float(row_distances(one, other).cosine.mean()) if one.shape == other.shape else None
