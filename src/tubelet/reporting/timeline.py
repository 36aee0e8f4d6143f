"""What a classifier says along a video: class probabilities over seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, CRISP, PHOTO, Figure, place, render, resize
from tubelet.reporting.strips import chosen, resized
from tubelet.reporting.style import ACCENT, INK, MUTED, RULE, SERIES
from tubelet.reporting.text import percent, printable, seconds, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

Floats = NDArray[np.float64]

_FILM_GAP = 2.0
_LINES_UP_TO = 6  # more lines than this cannot be told apart; rows of a heat map can


@dataclass(frozen=True)
class _Table:
    start: Floats
    end: Floats
    shares: Floats  # (n, k), the shown classes only
    names: list[str]
    best: list[str]  # the most probable class of each clip, shown or not


def class_timeline(
    start_s: ArrayLike,
    end_s: ArrayLike,
    probabilities: ArrayLike,
    labels: Sequence[str],
    *,
    top: int = 5,
    kind: Literal["auto", "lines", "rows"] = "auto",
    frames: NDArray[np.uint8] | None = None,
    title: str = "Along time",
    caption: str = "",
) -> Figure:
    """Draw the ``top`` classes of a video over its seconds.

    Parameters
    ----------
    start_s, end_s
        (n,) seconds where each clip begins and ends; clips may overlap.
    probabilities
        (n, K) in [0, 1].
    labels
        K class names.
    top
        How many classes to show: those with the highest mean over the clips, most probable first.
    kind
        "lines", "rows" (a heat map, one row per class), or "auto": lines up to six classes.
    frames
        (m, H, W, 3) uint8 RGB, evenly spaced over the video, drawn above as a strip.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        Shapes do not fit together, there is no clip, or a value is not finite or out of range.
    """
    table = _table(start_s, end_s, probabilities, labels, top)
    lines = kind == "lines" or (kind == "auto" and len(table.names) <= _LINES_UP_TO)
    span = (float(table.start.min()), float(table.end.max()))

    def draw(sheet: Drawing, total: float) -> None:
        names = [shorten(name, 0.26 * total, 12) for name in table.names]
        margin = max(text_width(name, 12) for name in names)
        left, right = (50.0, margin + 24.0) if lines else (margin + 14.0, 62.0)
        width = total - left - right
        film = _film(frames, width)
        slot = (width + _FILM_GAP) / max(1, len(film))
        film_height = (slot - _FILM_GAP) * film.shape[1] / film.shape[2] if len(film) else 0.0
        top_px = 10.0 + (film_height + 16 if len(film) else 12.0 * (not lines))
        height = 190.0 if lines else 24.0 * len(names)
        resize(sheet, total, top_px + height + 50)
        for position, image in enumerate(film):
            box = place(sheet, left + position * slot, 8, slot - _FILM_GAP, film_height)
            above = sheet.add_axes(box)
            above.imshow(image, aspect="auto", interpolation="none", gid=f"{PHOTO}{position}")
            above.set_axis_off()
        axes = sheet.add_axes(place(sheet, left, top_px, width, height))
        axes.set_xlim(*span)
        if lines:
            _lines(axes, table, names)
        else:
            _rows(axes, table, names)
        axes.set_xlabel("seconds", labelpad=6)

    return render(draw, COLUMN_PX, title=title, caption=caption, alt=_alt(table))


def _table(start: ArrayLike, end: ArrayLike, shares: ArrayLike, labels: Sequence[str], top: int) -> _Table:
    starts, ends = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    values = np.asarray(shares, dtype=np.float64)
    if starts.ndim != 1 or not len(starts) or starts.shape != ends.shape or top < 1:
        raise UsageError("a timeline needs at least one clip with a start and an end, and one class")
    if values.shape != (len(starts), len(labels)):
        raise UsageError(
            "a timeline needs one probability per clip and label",
            why=f"shape {values.shape}, {len(starts)} clips, {len(labels)} labels",
        )
    if not (np.isfinite(starts).all() and np.isfinite(ends).all() and (ends > starts).all()):
        raise UsageError("a clip must end after it starts, in finite seconds")
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1 + 1e-6:
        raise UsageError("probabilities must lie between 0 and 1")
    ranked = np.argsort(-values.mean(0), kind="stable")[:top]
    in_time = np.argsort(starts, kind="stable")
    best = [printable(labels[index]) for index in values[in_time].argmax(1)]
    return _Table(
        starts[in_time],
        ends[in_time],
        values[in_time][:, ranked],
        [printable(labels[index]) for index in ranked],
        best,
    )


def _film(frames: NDArray[np.uint8] | None, width: float) -> NDArray[np.uint8]:
    if frames is None or not len(frames):
        return np.empty((0, 1, 1, 3), dtype=np.uint8)
    kept = frames[chosen(len(frames), max(1, int(width // 72)))]
    return resized(kept, max_width=120, max_height=120)


def _lines(axes: Axes, table: _Table, names: Sequence[str]) -> None:
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    middle = (table.start + table.end) / 2
    # A clip speaks for its whole span: the first and the last value reach to the video's ends.
    x = np.concatenate([[table.start[0]], middle, [table.end.max()]])
    ends = []
    for position in reversed(range(len(names))):
        y = table.shares[:, position]
        y = np.concatenate([[y[0]], y, [y[-1]]])
        color = SERIES[position].light
        axes.plot(x, y, color=color, linewidth=2.4 if position == 0 else 1.6, clip_on=False)
        ends.append((float(y[-1]), position))
    for (y_end, position), y_text in zip(sorted(ends), _spread(sorted(ends)), strict=True):
        color = SERIES[position].light
        axes.annotate(
            names[position],
            (1.0, y_end),
            xycoords=("axes fraction", "data"),
            xytext=(1.022, y_text),
            textcoords=("axes fraction", "data"),
            va="center",
            color=color,
            fontsize=12,
            annotation_clip=False,
            fontweight="bold" if position == 0 else "normal",
        )


def _spread(ends: Sequence[tuple[float, int]], gap: float = 0.088) -> list[float]:
    """Heights of the names beside the lines' ends: near them, in order, never on top of each other."""
    heights = [end for end, _ in ends]
    for _ in range(40):
        for lower in range(len(heights) - 1):
            overlap = gap - (heights[lower + 1] - heights[lower])
            if overlap > 1e-6:
                heights[lower] -= overlap / 2
                heights[lower + 1] += overlap / 2
        heights = [max(height, 0.0 + gap * index) for index, height in enumerate(heights)]
    return heights


def _rows(axes: Axes, table: _Table, names: Sequence[str]) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    # Overlapping clips share time: each holds the stretch nearer to its middle than to its neighbors'.
    middle = (table.start + table.end) / 2
    edges = np.concatenate([[table.start[0]], (middle[1:] + middle[:-1]) / 2, [table.end.max()]])
    patches, colors = [], []
    rgb = tuple(int(ACCENT.light[i : i + 2], 16) / 255 for i in (1, 3, 5))
    for clip in range(len(middle)):
        for row in range(len(names)):
            share = float(table.shares[clip, row])
            if share >= 0.005:
                patches.append(Rectangle((edges[clip], row - 0.43), edges[clip + 1] - edges[clip], 0.86))
                colors.append((*rgb, round(share**0.8, 3)))
    cells = PatchCollection(patches, facecolors=colors, edgecolors="none", linewidths=0, antialiaseds=False)
    cells.set_gid(CRISP)
    axes.add_collection(cells)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(np.arange(len(names)), names, color=INK.light, fontsize=12)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(RULE.light)
    axes.tick_params(axis="y", length=0, pad=8)
    for row, mean in enumerate(table.shares.mean(0)):
        axes.annotate(
            percent(float(mean), 0),
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(12, 0),
            textcoords="offset points",
            va="center",
            fontsize=11.5,
            color=MUTED.light,
        )
    axes.annotate(
        "mean",
        (1, 1),
        xycoords="axes fraction",
        xytext=(12, 5),
        textcoords="offset points",
        fontsize=10.5,
        color=MUTED.light,
        annotation_clip=False,
    )


def _alt(table: _Table) -> str:
    mean = table.shares.mean(0)
    listed = ", ".join(f"{name} {percent(float(m), 0)}" for name, m in zip(table.names, mean, strict=True))
    span = seconds(float(table.start.min()), float(table.end.max()))
    words = f"Class probabilities from {span}; mean: {listed}"
    changes = [i for i in range(1, len(table.best)) if table.best[i] != table.best[i - 1]]
    if changes:
        steps = ", ".join(f"{table.best[i]} from {seconds(float(table.start[i]))}" for i in changes[:6])
        words += f"; most probable: {table.best[0]} at first, then {steps}"
    return words + "."
