"""Test videos that look like training videos, though neither names nor bytes say so: encoded again, scaled, trimmed.

What training videos look like lies beside the weights, 15 KB for a minute of video. To test on copies of them is
refused; to look for copies costs decoding every test video once, which the cache remembers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.duplicates import Duplicate, find_duplicates
from tubelet.datasets.fingerprints import Fingerprints, fingerprint_videos, joined
from tubelet.datasets.manifest import Manifest
from tubelet.errors import UsageError
from tubelet.models.folder import read_provenance
from tubelet.protocols.leaked import of_test
from tubelet.reporting.terminal import progress

_log = logging.getLogger(__name__)

FINGERPRINTS = "fingerprints.npz"
"""File in a model folder: what the training videos look like."""

SWITCH = "TUBELET_NO_FINGERPRINTS"
"""Environment variable that, set to 1, leaves all of this out."""

_MOST_VIDEOS = 50_000  # of more, weights remember none: decoding them once more takes a day
_NAMED = 3


def switched_on() -> bool:
    """Whether fingerprints are to be computed, remembered and compared."""
    return os.environ.get(SWITCH, "") in ("", "0")


def look_at(manifest: Manifest, *, workers: int = 1) -> Fingerprints:
    """Fingerprints of a manifest's videos, with a progress bar if some have to be decoded.

    Videos that cannot be read are left out: training and tests list them.
    """
    with ClipDecoder(workers=workers) as decoder, progress("fingerprinting", unit="video") as bar:
        return fingerprint_videos(manifest, decoder, bar.reach, workers=workers)[0]


def remembered(folder: str | os.PathLike[str] | None) -> Fingerprints:
    """What a model folder remembers of its training videos' looks; nothing where there is no folder or file.

    Raises
    ------
    InputDataError
        The file is damaged.
    """
    nothing = Fingerprints((), (), ())
    if folder is None:
        return nothing
    path = Path(folder) / FINGERPRINTS
    said = (read_provenance(folder) or {}).get("fingerprints")
    if not path.is_file():
        if said:
            _log.warning(
                "the weights' fingerprints of training videos were not copied with them, so copies that were encoded "
                "again would not be seen: %s",
                path,
            )
        return nothing
    found = Fingerprints.load(path)
    if said and said.get("sha256") != found.digest:
        _log.warning("these are not the fingerprints that the weights' provenance names: %s", path)
    return found


def looks_of_training(
    training: Sequence[Manifest], inherited: Sequence[str | os.PathLike[str] | None] = (), *, workers: int = 1
) -> Fingerprints | None:
    """What weights shall remember: the looks of all training videos, and of those that the starting weights saw.

    Returns
    -------
    Fingerprints or None
        None where this is switched off, or there are more videos than anybody wants to decode once more (which is
        logged).
    """
    if not switched_on():
        return None
    if sum(map(len, training)) > _MOST_VIDEOS:
        _log.warning(
            "more than %s training videos: the weights do not remember what they look like", f"{_MOST_VIDEOS:,}"
        )
        return None
    return joined([*(look_at(one, workers=workers) for one in training), *(remembered(one) for one in inherited)])


def fingerprints_record(looks: Fingerprints | None) -> dict[str, Any]:
    """For a model's provenance: how many videos `FINGERPRINTS` holds, and its digest."""
    return {} if looks is None else {"fingerprints": {"videos": len(looks), "sha256": looks.digest}}


def refuse_copies(
    weights: str | os.PathLike[str], test: Manifest, *, allow: bool = False, workers: int = 1
) -> list[str]:
    """Refuse to test weights on videos that look like what they were trained on.

    Parameters
    ----------
    weights
        Model folder.
    test
        The videos to be tested on, of which those are best left out that are known to be seen already.
    allow
        Do not refuse; return what is to be noted beside every figure.
    workers
        Decoding processes.

    Returns
    -------
    list of str
        Notes; empty where nothing was found, the weights remember no looks, or this is switched off.

    Raises
    ------
    UsageError
        Copies were found and this is not allowed; the first are named.
    """
    if not switched_on() or not len(test):
        return []
    seen = remembered(weights)
    if not len(seen):
        return []
    pairs = find_duplicates(seen, look_at(test, workers=workers))
    # Groups would not help: weights that are given have seen the copies already.
    return _refused(pairs, test, "the weights were trained on", os.fspath(weights), allow, "take them out of the test")


def refuse_copies_between(
    training: Sequence[Manifest], test: Manifest, *, allow: bool = False, workers: int = 1
) -> list[str]:
    """Refuse to test on videos that look like those which are about to be trained on; as `refuse_copies`.

    Files that are in both parts are not looked at: groups and contents tell about these.
    """
    if not switched_on() or sum(map(len, training)) > _MOST_VIDEOS:
        return []
    used = {os.path.realpath(one.root / item.path) for one in training for item in one.items}
    kept = [n for n, item in enumerate(test.items) if os.path.realpath(test.root / item.path) not in used]
    if not kept:
        return []
    looks = joined([look_at(one, workers=workers) for one in training])
    pairs = find_duplicates(looks, look_at(_part(test, kept), workers=workers))
    remedy = "take them out, give both the same group in metadata.csv,"
    return _refused(pairs, test, "training has", None, allow, remedy)


def _part(manifest: Manifest, kept: Sequence[int]) -> Manifest:
    return replace(manifest, items=tuple(manifest.items[index] for index in kept))


def _refused(
    pairs: Sequence[Duplicate], test: Manifest, what: str, path: str | None, allow: bool, remedy: str
) -> list[str]:
    if not pairs:
        return []
    copies = {pair.b for pair in pairs}
    best: dict[str, Duplicate] = {}
    for pair in pairs:  # the most alike first
        best.setdefault(pair.b, pair)
    found = f"{of_test(len(copies), len(test), 'videos')} show{'s' * (len(copies) == 1)} what {what} too"
    named = "; ".join(pair.sentence() for pair in list(best.values())[:_NAMED])
    more = f"; and {len(best) - _NAMED} more" if len(best) > _NAMED else ""
    if not allow:
        raise UsageError(
            found,
            path=path,
            why=f"{named}{more}",
            remedy=f"{remedy} or mark the result with --allow-leak (tubelet duplicates lists them all, {SWITCH}=1 does "
            "not look)",
        )
    return [f"{found}: {named}{more}"]
