"""Motion as colors: the hue says where to, the saturation how fast.

The convention of the Middlebury benchmark, in which the papers print flow: no motion is white, right is red, down
yellow, left blue-green, up blue-violet; the full color is reached at a stated maximum, and what is faster is darker.
Hues are spread unevenly over the directions because the eye parts them unevenly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, PHOTO, Figure, place, render, resize
from tubelet.reporting.strips import Pixels, chosen, resized
from tubelet.reporting.style import INK, MUTED, RULE
from tubelet.reporting.text import seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

Vectors = NDArray[np.floating[Any]]

# Steps of the wheel from red to yellow, green, cyan, blue, magenta and red again, clockwise from the right: the
# convention's 55 hues (Baker 2011, "A Database and Evaluation Methodology for Optical Flow", figure 5 and its code).
_STEPS = (15, 6, 4, 11, 13, 6)
_FASTER = 0.75  # brightness of motion beyond the maximum
_RIM = 1.15  # the legend shows motion up to this many maxima, so that the darker colors are in it

_WHEEL_PX = 128.0
_GAP = 3.0


def flow_colors(vectors: Vectors, max_px: float) -> Pixels:
    """Motion as a picture by the color wheel.

    Parameters
    ----------
    vectors
        ``(..., 2)`` pixels: x to the right, y down.
    max_px
        Pixels at which a color is full. Faster motion has the full color at three quarters of its brightness.

    Returns
    -------
    ndarray
        ``(..., 3)`` uint8 RGB; black where a vector is not finite.

    Raises
    ------
    UsageError
        Vectors of another shape, or a maximum that is not a positive number.
    """
    if vectors.shape[-1:] != (2,):
        raise UsageError(f"flow has the shape {vectors.shape}", why="x and y must come last", remedy="give (..., 2)")
    if not 0 < max_px < math.inf:
        raise UsageError(f"the maximum of the colors is {max_px!r}", remedy="give a positive number of pixels")
    x, y = vectors[..., 0].astype(np.float64), vectors[..., 1].astype(np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    speed = np.hypot(x, y) / max_px
    turn = np.arctan2(y, x) / (2 * np.pi) % 1.0
    knots = np.cumsum((0, *_STEPS)) / sum(_STEPS)
    hue = np.interp(turn, knots, np.arange(7.0))  # sixths of the hues: red 0, yellow 1, green 2, …
    # How far each of red, green and blue is from full; between neighboring hues one of them rises or falls evenly.
    away = (hue[..., None] + np.array((5.0, 3.0, 1.0))) % 6.0
    missing = np.clip(np.minimum(away, 4.0 - away), 0.0, 1.0)
    light = 1.0 - np.minimum(speed, 1.0)[..., None] * missing
    light *= np.where(speed > 1.0, _FASTER, 1.0)[..., None] * known[..., None]
    picture: Pixels = np.rint(255.0 * light).astype(np.uint8)
    return picture


def flow_legend(max_px: float, *, title: str = "Motion", caption: str | None = None) -> Figure:
    """The color wheel with its axes in pixels per frame.

    Parameters
    ----------
    max_px
        Pixels at which a color is full.
    title, caption
        Words for the page; None explains the colors.
    """

    def draw(sheet: Drawing, _width: float) -> None:
        resize(sheet, _WHEEL_PX + 68, _WHEEL_PX + 56)
        _draw_wheel(sheet.add_axes(place(sheet, 56, 8, _WHEEL_PX, _WHEEL_PX)), max_px)

    alt = f"Color wheel of motion; colors are full at {max_px:g} pixels per frame."
    words = _explained(max_px) if caption is None else caption
    return render(draw, _WHEEL_PX + 68, title=title, caption=words, alt=alt, narrow_px=None)


def flow_film(
    frames: Pixels,
    vectors: Vectors,
    *,
    max_px: float | None = None,
    times_s: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    frames_shown: int = 5,
    title: str = "Optical flow",
    caption: str | None = None,
) -> Figure:
    """A film strip: frames, below each its motion, and the color wheel beside them.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8 RGB, or one frame more than fields, which is not shown.
    vectors
        ``(T, h, w, 2)`` pixels per frame; the size may differ from that of the frames.
    max_px
        Pixels at which a color is full; None takes :func:`wheel_maximum` of all vectors.
    times_s
        Time of each frame in seconds, written above it; None writes the frame's number, from 0.
    labels
        Words to stand above each frame instead.
    frames_shown
        How many frames stand side by side, evenly spread, at most 8; on narrow pages at most 3.
    title, caption
        Words for the page; None explains the colors.

    Raises
    ------
    UsageError
        Shapes or counts that do not fit together.
    """
    count = len(vectors)
    if vectors.ndim != 4 or vectors.shape[-1] != 2 or not count:
        raise UsageError("a film of flow needs (T, H, W, 2) vectors", why=f"shape {vectors.shape}")
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) not in (count, count + 1):
        raise UsageError(
            f"a film of {count} fields needs {count} or {count + 1} frames (T, H, W, 3) of uint8",
            why=f"shape {frames.shape}, {frames.dtype}",
        )
    if not 1 <= frames_shown <= 8 or any(
        given is not None and len(given) != len(frames) for given in (times_s, labels)
    ):
        raise UsageError("a film of flow shows 1 to 8 frames, and has a time or label for each frame or for none")
    maximum = wheel_maximum(vectors) if max_px is None else max_px
    most = chosen(count, frames_shown)
    # Scaled down once, to twice the width of the widest slot.
    side = round(2 * _slot(COLUMN_PX, len(most)))
    photos = resized(frames[most], max_width=side)
    motion = resized(flow_colors(vectors[most], maximum), max_width=side)
    words = [f"frame {index}" if times_s is None else seconds(times_s[index]) for index in most]
    if labels is not None:
        words = [labels[index] for index in most]

    def draw(sheet: Drawing, width: float) -> None:
        below = width <= NARROW_PX
        shown = chosen(len(most), min(3, len(most))) if below else np.arange(len(most))
        slot = _slot(width, len(shown))
        heights = [slot * stack.shape[1] / stack.shape[2] for stack in (photos, motion)]
        film = 22 + sum(heights) + _GAP
        resize(sheet, width, film + _WHEEL_PX + 64 if below else max(film + 8, _WHEEL_PX + 76))
        for position, index in enumerate(shown):
            left, top = position * (slot + _GAP), 22.0
            for row, (stack, height) in enumerate(zip((photos, motion), heights, strict=True)):
                axes = sheet.add_axes(place(sheet, left, top, slot, height))
                axes.imshow(stack[index], aspect="auto", interpolation="antialiased", gid=f"{PHOTO}{row}-{position}")
                axes.tick_params(length=0, labelleft=False, labelbottom=False)
                for spine in axes.spines.values():  # no motion is white, as the page is: without it, no edge
                    spine.set(visible=True, color=RULE.light, linewidth=0.8)
                if row == 0:
                    axes.set_title(words[index], fontsize=11, color=MUTED.light, loc="left", pad=5)
                top += height + _GAP
        place_left, place_top = (56.0, film + 12) if below else (width - _WHEEL_PX - 8, 22.0)
        _draw_wheel(sheet.add_axes(place(sheet, place_left, place_top, _WHEEL_PX, _WHEEL_PX)), maximum)

    alt = f"{len(most)} frames and their motion as colors, full at {maximum:g} pixels per frame."
    legend = _explained(maximum) if caption is None else caption
    return render(draw, COLUMN_PX, title=title, caption=legend, alt=alt)


def wheel_maximum(vectors: Vectors) -> float:
    """A round maximum for the colors: the 99th percentile of speeds, rounded up to one digit, at least 1 pixel."""
    speed = np.hypot(vectors[..., 0], vectors[..., 1])
    speed = speed[np.isfinite(speed)]
    fast = max(1.0, float(np.percentile(speed, 99))) if speed.size else 1.0
    unit = 10.0 ** math.floor(math.log10(fast))
    return math.ceil(round(fast / unit, 6)) * unit


def _explained(max_px: float) -> str:
    return (
        "The hue says where to, the saturation how fast: white is no motion, a full color "
        f"{max_px:g} pixels per frame; what is faster is darker."
    )


def _slot(width: float, count: int) -> float:
    """Width of one of ``count`` pictures side by side, the wheel beside them where there is room."""
    beside = 0.0 if width <= NARROW_PX else _WHEEL_PX + 72
    return (width - beside + _GAP) / count - _GAP


def _draw_wheel(axes: Axes, max_px: float) -> None:
    size = round(2 * _WHEEL_PX)
    along = (np.arange(size) + 0.5) / size * 2 * _RIM - _RIM
    vectors = np.stack(np.meshgrid(along, along, indexing="xy"), axis=-1)
    # Transparent outside, fading over one pixel, so that the disk stands on any ground.
    inside = np.clip((_RIM - np.hypot(vectors[..., 0], vectors[..., 1])) * size / (2 * _RIM), 0, 1)
    disk = np.concatenate([flow_colors(vectors, 1.0), np.rint(255 * inside[..., None]).astype(np.uint8)], axis=-1)
    reach = _RIM * max_px
    extent = (-reach, reach, reach, -reach)
    axes.imshow(disk, extent=extent, aspect="equal", interpolation="antialiased", gid=f"{PHOTO}wheel")
    axes.set_xlim(-reach, reach)
    axes.set_ylim(reach, -reach)
    circle = np.linspace(0, 2 * np.pi, 181)
    axes.plot(max_px * np.cos(circle), max_px * np.sin(circle), color=RULE.light, linewidth=0.8)
    axes.plot([-max_px, max_px], [0, 0], color=INK.light, linewidth=0.5)
    axes.plot([0, 0], [-max_px, max_px], color=INK.light, linewidth=0.5)
    ticks = (-max_px, 0.0, max_px)
    labels = [f"{tick:g}".replace("-", "−") for tick in ticks]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=4)
    axes.set_xlabel("right, px per frame", fontsize=11, labelpad=3)
    axes.set_ylabel("down, px", fontsize=11, labelpad=1)
