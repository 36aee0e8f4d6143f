"""Groups: what was filmed together and must stay on one side of a split."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from tubelet.datasets.item_table import Item
from tubelet.datasets.manifest import OWN_GROUPS, Manifest
from tubelet.errors import UsageError
from tubelet.reporting.text import first_few

_UCF_NAME = re.compile(r"v_(?P<class>.+)_(?P<group>g[0-9]+)_c[0-9]+", re.IGNORECASE)
_RANGE = re.compile(r"(?P<prefix>.*?)(?P<first>[0-9]+)-(?P<again>.*?)(?P<last>[0-9]+)", re.DOTALL)
_LONGEST_RANGE = 10_000


def stem(path: str) -> str:
    """File name without folder and suffix; a folder's name is kept whole unless it ends like a video file."""
    return PurePosixPath(path).stem


def ucf_group(path: str) -> str | None:
    """Group of a name like ``v_ApplyEyeMakeup_g08_c01``: "g08"; None for other names.

    The group is the number alone, without the class, as the official UCF101 lists split it.
    """
    match = _UCF_NAME.fullmatch(stem(path))
    return match["group"].lower() if match else None


def ucf_source(path: str) -> str | None:
    """What a name like ``v_ApplyEyeMakeup_g08_c01`` was cut from, in any data set: "applyeyemakeup_g08"; else None.

    The number alone means a group only beside other names of one data set; with the class it is one of UCF101's
    2,525 sources, also in a copy of it that was encoded again or is called otherwise.
    """
    match = _UCF_NAME.fullmatch(stem(path))
    return f"{match['class']}_{match['group']}".lower() if match else None


def assign_groups(items: Sequence[Item], column: bool = False) -> tuple[tuple[Item, ...], str]:
    """Give items their groups and say by which rule.

    Parameters
    ----------
    items
        The videos; groups that they have already are kept.
    column
        Whether those groups come from a table's ``group`` column.

    Returns
    -------
    items, rule
        A column wins; without one, names like UCF101's; else every video is its own group.
    """
    total = len(items)
    if column and any(item.group is not None for item in items):
        bare = sum(item.group is None for item in items)
        rest = f" ({bare} of {total} videos without one: each its own)" if bare else ""
        return tuple(items), f"column 'group' of the table{rest}"
    named = tuple(replace(item, group=ucf_group(item.path)) for item in items)
    found = sum(item.group is not None for item in named)
    if not found:
        return named, OWN_GROUPS
    rest = f" ({total - found} of {total} videos are named otherwise: each its own)" if found < total else ""
    return named, f"names like v_<class>_<group>_<clip>{rest}"


def join_copies(manifest: Manifest, hashes: Mapping[str, str]) -> Manifest:
    """Join the groups of videos that are copies of each other, so that no split can separate them.

    Parameters
    ----------
    manifest
        Any.
    hashes
        Content hash by item path, as far as known (`tubelet.datasets.content.copies`).

    Returns
    -------
    Manifest
        Joined groups take the first of their names; ``group_rule`` says how many were joined.
    """
    joined = {group: group for group in manifest.groups}

    def root(group: str) -> str:
        while joined[group] != group:
            joined[group] = group = joined[joined[group]]
        return group

    first: dict[str, str] = {}
    for path, group in sorted((item.path, item.own_group) for item in manifest.items):
        if path in hashes:
            low, high = sorted((root(first.setdefault(hashes[path], group)), root(group)))
            joined[high] = low
    lost = sum(root(group) != group for group in joined)
    if not lost:
        return manifest
    kept = {root(group) for group in joined if root(group) != group}
    items = tuple(
        replace(item, group=root(item.own_group)) if root(item.own_group) in kept else item for item in manifest.items
    )
    copies = f"{lost + len(kept)} groups with copies of the same video joined to {len(kept)}"
    rule = f"{manifest.group_rule}; {copies}"
    return replace(manifest, items=items, group_rule=rule)


def parse_groups(text: str, known: Collection[str] | None = None) -> tuple[str, ...]:
    """Groups from a list such as ``g21-g25,g03``: names and ranges, comma-separated.

    Parameters
    ----------
    text
        A range runs over the last number of a name: ``g08-g11``, or ``g08-11``; its numbers have as many
        digits as the first (``g8-g11`` is g8, g9, g10, g11).
    known
        The groups there are. A name that occurs there is taken as it is, even if it looks like a range.

    Returns
    -------
    tuple of str
        Without repetition, in the order given.

    Raises
    ------
    UsageError
        Nothing is named, a range runs backwards or between different names, or a group does not occur in
        ``known``.
    """
    names: list[str] = []
    for part in (piece.strip() for piece in text.split(",")):
        if part:
            names.extend([part] if known is not None and part in known else _expand(part))
    if not names:
        raise UsageError(f"no group is named in {text!r}", remedy="name them like g21-g25,g03")
    groups = tuple(dict.fromkeys(names))
    unknown = [] if known is None else [name for name in groups if name not in known]
    if unknown and known is not None:
        raise UsageError(
            f"there is no group {first_few(unknown)}",
            remedy=f"the groups are {first_few(sorted(known), shown=30)}",
        )
    return groups


def _expand(part: str) -> list[str]:
    match = _RANGE.fullmatch(part)
    if match is None:
        return [part]
    prefix, first, last = match["prefix"], match["first"], match["last"]
    if match["again"] not in ("", prefix):
        raise UsageError(f"the range {part!r} runs between different names", remedy="write it like g21-g25")
    if int(last) < int(first):
        raise UsageError(f"the range {part!r} runs backwards", remedy=f"write {prefix}{last}-{prefix}{first}")
    if int(last) - int(first) >= _LONGEST_RANGE:
        raise UsageError(f"the range {part!r} names more than {_LONGEST_RANGE:,} groups", remedy="check its ends")
    return [f"{prefix}{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
