"""Training curves: loss, accuracy and learning rate over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, Figure, place, render, resize
from tubelet.reporting.series import Floats, column, smooth, thin
from tubelet.reporting.style import MUTED, SERIES, SURFACE, Token
from tubelet.reporting.text import percent, printable, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_LEFT, _RIGHT, _GAP, _BOTTOM = 52.0, 14.0, 46.0, 48.0
_HEIGHTS = {"loss": 168.0, "accuracy": 168.0, "learning rate": 64.0}


@dataclass(frozen=True)
class _Curve:
    name: str
    x: Floats
    y: Floats
    color: Token

    @property
    def shown(self) -> str:
        """Its name for a reader, without the word that its panel's heading already says."""
        if self.name in {"loss", "accuracy"}:
            return "training"
        words = [{"val": "validation", "train": "training"}.get(word, word) for word in self.name.split("_")]
        return " ".join(words[:-1] if words[-1] in {"loss", "accuracy", "acc"} else words)


def training_curves(
    rows: Sequence[Mapping[str, object]],
    *,
    x: str = "step",
    title: str = "Training curves",
    caption: str = "",
    mark_best: bool = True,
) -> Figure:
    """Draw what a training run recorded: one panel each for loss, accuracy and learning rate.

    Parameters
    ----------
    rows
        Metric rows in order of ``x``, as from ``metrics.csv``. Columns are told apart by name: ``…loss``,
        ``…accuracy`` (fractions in [0, 1]; also ``top1``, ``top5``), ``lr`` or ``learning_rate``; others are
        left out. A bare ``loss`` or ``accuracy`` is the training one. A row may lack any of them; NaN is a gap.
    x
        Column for the horizontal axis.
    title, caption
        Words for the page.

    Returns
    -------
    Figure
        Thousands of points are thinned without losing a spike; a noisy curve is drawn pale under its running
        mean; the best point (highest validation accuracy, else lowest loss) is marked.

    Raises
    ------
    UsageError
        No row has a number in ``x`` and in any of the columns.
    """
    panels = _panels(rows, x)
    if not panels:
        raise UsageError(
            "there is nothing to draw a curve of",
            why=f"{len(rows)} rows, none with a number under {x!r} and under a loss, accuracy or lr column",
        )
    height = sum(_HEIGHTS[kind] for kind in panels) + _GAP * len(panels) + _BOTTOM - 10
    best = _best(panels) if mark_best else None

    def draw(sheet: Drawing, width: float) -> None:
        resize(sheet, width, height)
        top = _GAP - 10
        shared: Axes | None = None
        for kind, members in panels.items():
            box = place(sheet, _LEFT, top, width - _LEFT - _RIGHT, _HEIGHTS[kind])
            axes = sheet.add_axes(box, sharex=shared)
            shared = shared or axes
            _draw(axes, kind, members, best)
            top += _HEIGHTS[kind] + _GAP
            last = kind == list(panels)[-1]
            axes.tick_params(labelbottom=last, length=4 if last else 0)
            if last:
                axes.set_xlabel(x.replace("_", " "), labelpad=6)

    return render(draw, COLUMN_PX, title=title, caption=caption, alt=_alt(panels, best, x))


def _panels(rows: Sequence[Mapping[str, object]], x: str) -> dict[str, list[_Curve]]:
    names: dict[str, list[str]] = {"loss": [], "accuracy": [], "learning rate": []}
    for name in dict.fromkeys(key for row in rows for key in row):
        kind = _kind(name)
        if kind and name != x:
            names[kind].append(name)
    steps = column(rows, x)
    panels: dict[str, list[_Curve]] = {}
    for kind, members in names.items():
        found: list[_Curve] = []
        for name in members:
            y = column(rows, name)
            held = np.array([name in row and row[name] not in (None, "") for row in rows], dtype=bool)
            held &= np.isfinite(steps)
            if np.isfinite(y[held]).any():
                color = _color(name, len(found))
                found.append(_Curve(printable(name), steps[held], y[held], color))
        if found:
            panels[kind] = found
    return panels


def _kind(name: str) -> str | None:
    lowered = name.lower()
    if lowered in {"lr", "learning_rate"}:
        return "learning rate"
    if lowered.endswith("loss"):
        return "loss"
    if lowered.endswith(("accuracy", "acc", "top1", "top5")):
        return "accuracy"
    return None


def _color(name: str, position: int) -> Token:
    # Training is always blue and validation always orange, whichever comes first.
    if name.startswith(("val", "test")):
        return SERIES[1 + 2 * (position > 1)]
    return MUTED if _kind(name) == "learning rate" else SERIES[0 if position == 0 else 2 + position]


def _best(panels: Mapping[str, list[_Curve]]) -> tuple[str, _Curve, int] | None:
    for kind, pick in (("accuracy", np.nanargmax), ("loss", np.nanargmin)):
        members = panels.get(kind, [])
        held_out = [curve for curve in members if curve.name.startswith(("val", "test"))]
        for curve in held_out or (members if kind == "loss" else []):
            return kind, curve, int(pick(curve.y))
    return None


def _draw(axes: Axes, kind: str, members: list[_Curve], best: tuple[str, _Curve, int] | None) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    handles = []
    for curve in members:
        noisy = len(curve.x) >= 60 and kind != "learning rate"
        calm = smooth(curve.y, len(curve.y) // 25) if noisy else curve.y
        if noisy:
            axes.plot(*thin(curve.x, curve.y), color=curve.color.light, alpha=0.28, linewidth=0.9)
        marker = "o" if len(curve.x) <= 30 and kind != "learning rate" else ""
        (line,) = axes.plot(
            *thin(curve.x, calm), color=curve.color.light, label=curve.shown, marker=marker, markersize=4
        )
        handles.append(line)
    axes.annotate(
        kind.capitalize(),
        (0, 1),
        xytext=(1 - _LEFT, 12),
        xycoords="axes fraction",
        fontweight="bold",
        textcoords="offset points",
        annotation_clip=False,
    )
    if [curve.name for curve in members] != [kind] and kind != "learning rate":
        axes.legend(
            handles=handles,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=4,
            handlelength=1.2,
            handletextpad=0.5,
            columnspacing=1.6,
            borderaxespad=0.0,
            borderpad=0.5,
        )
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(3 if kind == "learning rate" else 5))
    if kind == "accuracy":
        axes.set_ylim(-0.02, 1.02)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0)))
    elif kind == "learning rate":
        axes.set_ylim(bottom=0, top=1.15 * max(float(np.nanmax(curve.y)) for curve in members) or 1.0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        top = max(float(np.nanmax(curve.y)) for curve in members)
        lowest = min(float(np.nanmin(curve.y)) for curve in members)
        axes.set_ylim(min(0.0, lowest * 1.05), top * 1.05 if top > 0 else 1.0)
    if best and best[0] == kind:
        _mark(axes, members, best[1], best[2], kind)


def _mark(axes: Axes, members: list[_Curve], curve: _Curve, index: int, kind: str) -> None:
    x, y = float(curve.x[index]), float(curve.y[index])
    axes.plot(
        [x],
        [y],
        marker="o",
        markersize=7.5,
        markerfacecolor=SURFACE.light,
        markeredgecolor=curve.color.light,
        markeredgewidth=2.0,
        linestyle="",
        zorder=5,
    )
    shown = f"best {percent(y) if kind == 'accuracy' else f'{y:.3g}'} at {x:g}"
    dx, dy = _free_place(axes, members, (x, y), text_width(shown, 11.5))
    axes.annotate(
        shown,
        (x, y),
        xytext=(dx, dy),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=11.5,
        zorder=6,
        bbox={"facecolor": SURFACE.light, "edgecolor": "none", "alpha": 0.8, "boxstyle": "square,pad=0.1"},
    )


def _free_place(axes: Axes, members: list[_Curve], point: tuple[float, float], width: float) -> tuple[float, float]:
    """Where beside a marked point a word of this width hides least of the curves, in CSS pixels."""
    center = axes.transData.transform(point)
    ink = np.concatenate([axes.transData.transform(np.c_[curve.x, curve.y]) for curve in members])
    ink = ink[np.isfinite(ink).all(1)] - center
    (left, bottom), (right, top) = axes.get_window_extent().get_points() - center
    best, least = (0.0, -22.0), np.inf
    for dy in (-22.0, 20.0, -44.0, -34.0, 34.0):
        for dx in (-width / 2, 6.0, -width - 6, -width + 4):
            inside = dx >= left and dx + width <= right and dy - 8 >= bottom and dy + 8 <= top
            hidden = (np.abs(ink[:, 0] - dx - width / 2) < width / 2 + 4) & (np.abs(ink[:, 1] - dy) < 11)
            cost = float(hidden.sum()) + (0 if inside else 1e6) + 0.01 * abs(dy)
            if cost < least:
                best, least = (dx, dy), cost
    return best


def _alt(panels: Mapping[str, list[_Curve]], best: tuple[str, _Curve, int] | None, x: str) -> str:
    parts = []
    for members in panels.values():
        for curve in members:
            known = curve.y[np.isfinite(curve.y)]
            parts.append(f"{curve.name.replace('_', ' ')} from {known[0]:.3g} to {known[-1]:.3g}")
    span = f"{panels[next(iter(panels))][0].x[0]:g} to {panels[next(iter(panels))][0].x[-1]:g}"
    words = f"Line charts over {x} {span}: " + ", ".join(parts)
    if best:
        words += f"; best {best[1].name.replace('_', ' ')} {best[1].y[best[2]]:.3g} at {best[1].x[best[2]]:g}"
    return words + "."
