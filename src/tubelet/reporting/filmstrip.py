"""Film strips: clips as rows of frames, nearest neighbors beside their query, examples of each class.

In a page a strip is one JPEG in an inline SVG; pointing at a row (or reaching it by keyboard) plays its clips
in place, without a script. On paper and in the saved PNG the frames stand side by side.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, PREFIX_MARK, WIDE_PX, Figure, drawing, raster
from tubelet.reporting.strips import Sprite, Strip, chosen, sprite
from tubelet.reporting.style import BAD, GOOD, INK, MUTED, RULE
from tubelet.reporting.templating import environment
from tubelet.reporting.text import printable, seconds, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLAYED = 8  # frames of a clip that are kept: enough to see a motion, one second when played
_SIDE = 112  # pixels of a kept frame's longer side: sharp at half that size on a dense screen


@dataclass(frozen=True, eq=False)
class _Cell:
    id: str
    strip: Strip
    sprite: Sprite
    uri: str
    shown: tuple[int, ...]  # which of the kept frames stand side by side
    alt: str
    span: str
    score: str


@dataclass(frozen=True, eq=False)
class _Row:
    head: str
    cells: list[_Cell]


def clip_strips(
    strips: Sequence[Strip],
    *,
    frames_shown: int = 8,
    columns: int = 1,
    title: str = "Clips",
    caption: str = "",
) -> Figure:
    """One strip per clip in ``columns`` columns, frames in time order, with label, seconds, score and mark.

    Parameters
    ----------
    strips
        The clips, at least one.
    frames_shown
        How many frames stand side by side, at most 8.
    columns
        Clips per row.
    title, caption
        Words for the page.
    """
    rows = [("", strips[start : start + columns]) for start in range(0, len(strips), columns)]
    return _figure(rows, frames_shown, lead=False, title=title, caption=caption)


def example_strips(
    groups: Mapping[str, Sequence[Strip]],
    *,
    frames_shown: int = 4,
    title: str = "Examples",
    caption: str = "",
) -> Figure:
    """One row per group (class), named at its left, with that group's clips beside each other."""
    return _figure(list(groups.items()), frames_shown, lead=False, title=title, caption=caption)


def neighbor_strips(
    queries: Sequence[Strip],
    found: Sequence[Sequence[Strip]],
    *,
    frames_shown: int = 3,
    title: str = "Nearest neighbors",
    caption: str = "",
) -> Figure:
    """One row per query: the query at the left, what was found for it at the right, best first.

    Parameters
    ----------
    queries
        n clips.
    found
        n sequences of clips, with their scores and whether they belong to the query's class.
    frames_shown
        How many frames of each clip stand side by side.
    title, caption
        Words for the page.
    """
    if len(queries) != len(found):
        raise UsageError("each query needs its own list of neighbors", why=f"{len(queries)} and {len(found)}")
    rows = [("", [query, *others]) for query, others in zip(queries, found, strict=True)]
    return _figure(rows, frames_shown, lead=True, title=title, caption=caption)


def _figure(
    rows: Sequence[tuple[str, Sequence[Strip]]], frames_shown: int, *, lead: bool, title: str, caption: str
) -> Figure:
    if not any(strips for _, strips in rows) or not 1 <= frames_shown <= _PLAYED:
        raise UsageError(f"film strips need at least one clip and 1 to {_PLAYED} frames shown")
    built = [
        _Row(printable(head), [_cell(f"r{i}c{j}", strip, frames_shown) for j, strip in enumerate(strips)])
        for i, (head, strips) in enumerate(rows)
    ]
    columns = max(len(row.cells) for row in built)
    width = COLUMN_PX if columns * frames_shown <= 8 else WIDE_PX
    words = _alt(built, lead)
    template = environment().get_template("filmstrip.html.j2")
    headed = any(row.head for row in built)
    markup = template.render(rows=built, lead=lead, headed=headed, columns=columns, alt=words, prefix=PREFIX_MARK)
    png = _sheet(built, columns, width, lead)
    return Figure(title=title, caption=caption, alt=words, png=png, markup=markup, width_px=width)


def _cell(name: str, strip: Strip, frames_shown: int) -> _Cell:
    packed = sprite(strip.frames, count=_PLAYED, max_side=_SIDE)
    span = "" if strip.start_s is None else seconds(strip.start_s, strip.end_s)
    score = "" if strip.score is None else f"{strip.score:.2f}"
    mark = "" if strip.correct is None else ", right" if strip.correct else ", wrong"
    words = ", ".join(part for part in (printable(strip.label), printable(strip.detail), span) if part)
    shown = tuple(int(index) for index in chosen(len(packed.frames), frames_shown))
    alt = f"{len(shown)} frames of {words or 'a clip'}" + (f", score {score}" if score else "") + mark
    return _Cell(name, strip, packed, _data_uri(packed.jpeg), shown, alt, span, score)


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _alt(rows: Sequence[_Row], lead: bool) -> str:
    count = sum(len(row.cells) for row in rows)
    if not lead:
        return f"Film strips of {count} clips."
    parts = []
    for row in rows[:8]:
        found = ", ".join(
            printable(cell.strip.label) + (" (wrong)" if cell.strip.correct is False else "") for cell in row.cells[1:]
        )
        parts.append(f"{printable(row.cells[0].strip.label)}: {found}")
    return "Film strips of queries and their nearest neighbors. " + "; ".join(parts) + "."


def _sheet(rows: Sequence[_Row], columns: int, width: float, lead: bool) -> bytes:
    """The same picture for paper: what stands in the page, drawn by matplotlib on one sheet."""
    head = 120.0 if any(row.head for row in rows) else 0.0
    between, gap, words = 16.0, 2.0, 40.0
    cell_width = (width - 16 - head - between * (columns - 1)) / columns
    heights = []
    for row in rows:
        ratios = [_strip_ratio(cell, gap, cell_width) for cell in row.cells] or [0.0]
        heights.append(min(max(ratios) * cell_width, 110.0) + words)
    with drawing(width, sum(heights) + 12 * len(rows) + 8) as sheet:
        axes = sheet.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        total = sum(heights) + 12 * len(rows) + 8
        y = 10.0
        for row, height in zip(rows, heights, strict=True):
            if row.head:
                axes.text(8, y + 4, shorten(row.head, head - 14, 11), fontsize=11, va="top")
            for column, cell in enumerate(row.cells):
                x = 8 + head + column * (cell_width + between)
                _draw_cell(axes, cell, x, y, cell_width, height - words, gap)
            if lead and len(row.cells) > 1:
                rule = 8 + head + cell_width + between / 2
                axes.plot([rule, rule], [y, y + height - 8], color=RULE.light, linewidth=1)
            y += height + 12
        axes.set_xlim(0, width)  # after the images, which set limits of their own
        axes.set_ylim(total, 0)
        return raster(sheet)


def _strip_ratio(cell: _Cell, gap: float, cell_width: float) -> float:
    frame_width, frame_height = cell.sprite.size
    count = len(cell.shown)
    return (cell_width - gap * (count - 1)) / count * frame_height / frame_width / cell_width


def _draw_cell(axes: Axes, cell: _Cell, x: float, y: float, width: float, height: float, gap: float) -> None:
    frame_width, frame_height = cell.sprite.size
    count = len(cell.shown)
    scale = min((width - gap * (count - 1)) / count / frame_width, height / frame_height)
    for position, index in enumerate(cell.shown):
        left = x + position * (frame_width * scale + gap)
        axes.imshow(
            cell.sprite.frames[index],
            extent=(left, left + frame_width * scale, y + frame_height * scale, y),
            aspect="auto",
            interpolation="antialiased",
        )
    used = count * frame_width * scale + gap * (count - 1)
    below = y + frame_height * scale
    correct = cell.strip.correct
    if correct is not None:
        color = (GOOD if correct else BAD).light
        axes.plot([x, x + used], [below + 3, below + 3], color=color, linewidth=2.2, solid_capstyle="butt")
    mark = "" if correct is None else "✓ " if correct else "✗ "
    axes.text(
        x,
        below + 9,
        shorten(mark + cell.strip.label, used - 34, 10.5),
        fontsize=10.5,
        va="top",
        color=INK.light if correct is None else (GOOD if correct else BAD).light,
    )
    axes.text(x + used, below + 9, cell.score, fontsize=10.5, va="top", ha="right", color=MUTED.light)
    small = " · ".join(part for part in (cell.strip.detail, cell.span) if part)
    axes.text(x, below + 24, shorten(small, used, 9, keep_end=True), fontsize=9, va="top", color=MUTED.light)
