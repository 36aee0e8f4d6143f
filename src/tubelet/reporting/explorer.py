"""A map that can be explored in a page: points named under the pointer, searched, and filtered by label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tubelet.errors import UsageError
from tubelet.reporting.figure import Figure
from tubelet.reporting.map_groups import MOST_RISE_PX, SHAPES, map_groups
from tubelet.reporting.scatter import UNLABELED
from tubelet.reporting.text import printable

_STEPS = 1 << 14  # places along the longer side: finer than any screen


@dataclass(frozen=True)
class Explorer:
    """A map for `Page.add_explorer`.

    Attributes
    ----------
    figure
        The same map as a figure: what stands there in print and where scripts do not run.
    data
        JSON for the page's script, in which no character begins a tag.
    """

    figure: Figure
    data: str


def map_explorer(
    figure: Figure,
    points: ArrayLike,
    labels: Sequence[str | None],
    names: Sequence[str],
    *,
    clip: Sequence[int] | None = None,
    start_s: Sequence[float] | None = None,
    end_s: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
) -> Explorer:
    """What a page needs to let a map be explored.

    Parameters
    ----------
    figure
        The map as `scatter_map` draws it of the same points, labels and order: colors are the same in both.
    points
        (n, 2) finite numbers.
    labels
        n names; None is gray.
    names
        n names of videos; points of one name belong together.
    clip, start_s, end_s
        n indices and seconds, shown with a point; None where there are none.
    order
        Order of the labels.

    Raises
    ------
    UsageError
        The lengths differ.
    """
    xy = np.asarray(points, dtype=np.float64)
    several = [labels, names, *(each for each in (clip, start_s, end_s) if each is not None)]
    if xy.ndim != 2 or xy.shape[1] != 2 or any(len(each) != len(xy) for each in several):
        raise UsageError("a map needs (n, 2) points and n of everything else", why=f"{xy.shape}")
    groups = map_groups(xy, labels, order or ())
    shown = {name: printable(name) for name in names}
    videos = sorted(set(shown.values()))
    place = {video: index for index, video in enumerate(videos)}
    code = {name: place[video] for name, video in shown.items()}
    low = xy.min(0)
    unit = max(float(np.ptp(xy, axis=0).max()), 1e-12) / _STEPS
    grid = np.rint((xy - low) / unit).astype(int)
    middles = [np.rint((np.array(group.middle) - low) / unit).astype(int).tolist() for group in groups]
    record: dict[str, Any] = {
        "unit": "video" if clip is None else "clip",
        "width": int(grid[:, 0].max()),
        "height": int(grid[:, 1].max()),
        "x": grid[:, 0].tolist(),
        "y": grid[:, 1].tolist(),
        "video": [code[name] for name in names],
        "videos": videos,
        "clip": None if clip is None else [int(index) for index in clip],
        "start": _seconds(start_s),
        "end": _seconds(end_s),
        "most_rise": MOST_RISE_PX,
        "groups": [
            {
                "name": group.name or UNLABELED,
                "color": f"--{group.variable}",
                "shape": SHAPES[group.shape],
                "middle": middle,
                "rise": round(group.rise / unit),
                "rows": group.rows.tolist(),
            }
            for group, middle in zip(groups, middles, strict=True)
        ],
    }
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Explorer(figure, text.replace("<", "\\u003c"))


@lru_cache(maxsize=1)
def explorer_script() -> str:
    """The script of all explorers in a page, as it stands between its tags."""
    return (files("tubelet.reporting") / "templates" / "explorer.js").read_text(encoding="utf-8").strip()


def _seconds(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [round(float(value), 2) for value in values]
