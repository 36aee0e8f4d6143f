"""Several shares of the same systems side by side: one row per system, one panel of bars per share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tubelet.errors import UsageError
from tubelet.reporting.figure import COLUMN_PX, NARROW_PX, Figure, place, render, resize
from tubelet.reporting.intervals import share_axis, whisker
from tubelet.reporting.style import ACCENT, INK, MUTED, REST, RULE, SURFACE
from tubelet.reporting.text import percent, printable, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_NAMES = 176.0  # pixels for the names left of the bars
_FIGURES = 52.0  # pixels for the number behind a bar
_HEAD = 26.0  # pixels of a heading between rows


@dataclass(frozen=True)
class Share:
    """A fraction in [0, 1] and the ends of its interval, if known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PanelRow:
    """One system.

    Attributes
    ----------
    label, note
        Its name, and small print under it.
    shares
        One per panel, in their order.
    heading
        Words above the row, where a new group of rows begins.
    """

    label: str
    shares: Sequence[Share]
    note: str = ""
    heading: str = ""


def share_panels(
    rows: Sequence[PanelRow],
    panels: Sequence[str],
    chances: Sequence[float],
    *,
    title: str = "Accuracy",
    caption: str = "",
) -> Figure:
    """Horizontal bars from 0 to 100 % in one panel per share, with intervals and each panel's chance.

    A bar is colored where its interval (without one, its value) lies above chance, and gray where it does not: what
    is gray was guessed.

    Parameters
    ----------
    rows
        From top to bottom.
    panels
        Headings of the panels, left to right.
    chances
        Accuracy of guessing in each panel, a fraction.
    title, caption
        Words for the page.

    Raises
    ------
    UsageError
        There are no rows or panels, a row has another number of shares, or a share is not in [0, 1].
    """
    if not rows or not panels or len(chances) != len(panels):
        raise UsageError("panels of bars need rows, and one chance per panel")
    for row in rows:
        numbers = [x for one in row.shares for x in (one.value, one.low, one.high) if x is not None]
        if len(row.shares) != len(panels) or not all(0 <= number <= 1 for number in numbers):
            raise UsageError(
                "a row needs one share between 0 and 1 per panel",
                why=f"{row.label}: {numbers} for {len(panels)} panels",
            )

    def draw(sheet: Drawing, width: float) -> None:
        _draw(sheet, width, rows, panels, chances)

    return render(draw, COLUMN_PX, title=title, caption=caption, alt=_alt(rows, panels, chances))


def known(share: Share, chance: float) -> bool:
    """Whether a share is above chance, its interval and all."""
    return (share.value if share.low is None else share.low) > chance


def _draw(
    sheet: Drawing, width: float, rows: Sequence[PanelRow], panels: Sequence[str], chances: Sequence[float]
) -> None:
    above = width <= NARROW_PX  # names stand above their bars
    left, step, gap = (2.0, 50.0, 10.0) if above else (_NAMES, 40.0, 18.0)
    heads = [_HEAD if row.heading else 0.0 for row in rows]
    tops, top = [], 44.0
    for head in heads:
        top += head
        tops.append(top)
        top += step
    resize(sheet, width, top + 28)
    slot = (width - left - gap * (len(panels) - 1)) / len(panels)
    figures = 40.0 if above else _FIGURES
    for number, (name, chance) in enumerate(zip(panels, chances, strict=True)):
        # One axes over all rows, in pixels downward, so that headings may part the rows.
        axes = sheet.add_axes(place(sheet, left + number * (slot + gap), 44, slot - figures, top - 44))
        share_axis(axes, 1)
        axes.set_ylim(top, 44)
        axes.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])
        axes.axvline(chance, color=MUTED.light, linewidth=1.2, dashes=(3, 3), zorder=0.8)
        beside: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
        axes.annotate(name, (0, 44), xytext=(0, 24), fontsize=13.5, fontweight="bold", **beside)
        axes.annotate(
            f"chance {percent(chance, 0)}", (0, 44), xytext=(0, 9), fontsize=10.5, color=MUTED.light, **beside
        )
        for row, y in zip(rows, tops, strict=True):
            _bar(axes, row.shares[number], chance, y + (step * 0.68 if above else step * 0.5), above)
    for row, y, head in zip(rows, tops, heads, strict=True):
        _names(sheet, width, row, y, step, head, above)


def _bar(axes: Axes, share: Share, chance: float, y: float, above: bool) -> None:
    right = known(share, chance)
    axes.barh(y, share.value, height=14 if above else 19, color=(ACCENT if right else REST).light, linewidth=0)
    whisker(axes, y, share.low, share.high, 4)
    axes.annotate(
        percent(share.value, 0 if above else 1),
        (max(share.value, share.high or 0.0), y),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=11.5 if above else 12,
        color=INK.light if right else MUTED.light,
        annotation_clip=False,
    )


def _names(sheet: Drawing, width: float, row: PanelRow, y: float, step: float, head: float, above: bool) -> None:
    height = float(sheet.get_figheight()) * 72.0

    def write(x: float, top: float, text: str, **look: Any) -> None:
        sheet.text(x / width, 1 - top / height, text, va="center", **look)

    room = width - 4 if above else _NAMES - 20
    if head:
        sheet.add_artist(_line(sheet, width, y - head + 4))
        # On the page's own ground, so that the panels' lines do not run through the words.
        ground = {"facecolor": SURFACE.light, "edgecolor": "none", "boxstyle": "square,pad=0.25"}
        words = shorten(row.heading, width, 11.5)
        write(2, y - head / 2 + 5, words, fontsize=11.5, color=MUTED.light, bbox=ground)
    if above:
        name = shorten(row.label, room * 0.6, 13)
        write(2, y + step * 0.26, name, fontsize=13)
        across = text_width(name, 13) + 12
        write(across, y + step * 0.27, shorten(row.note, room - across, 11), fontsize=11, color=MUTED.light)
        return
    lift = 7.5 if row.note else 0.0
    write(2, y + step / 2 - lift, shorten(row.label, room, 13), fontsize=13)
    write(2, y + step / 2 + 8.5, shorten(row.note, room, 11), fontsize=11, color=MUTED.light)


def _line(sheet: Drawing, width: float, y: float) -> Any:
    from matplotlib.lines import Line2D

    at = 1 - y / (float(sheet.get_figheight()) * 72.0)
    return Line2D([0, 1], [at, at], transform=sheet.transFigure, color=RULE.light, linewidth=0.8)


def _alt(rows: Sequence[PanelRow], panels: Sequence[str], chances: Sequence[float]) -> str:
    parts = []
    for row in rows:
        figures = ", ".join(
            f"{printable(name)} {percent(share.value)}" for name, share in zip(panels, row.shares, strict=True)
        )
        parts.append(f"{printable(row.label)}: {figures}")
    guess = ", ".join(percent(chance) for chance in chances)
    return "Bars: " + "; ".join(parts) + f"; chance is {guess}."
