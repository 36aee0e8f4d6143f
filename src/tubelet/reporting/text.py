"""Text from outside made fit to be drawn: printable, measured, shortened; numbers as readers expect them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup

FONT = "DejaVu Sans"
"""The one font that comes with matplotlib: measuring with it gives the same layout on every machine."""

_ELLIPSIS = "…"
_LINK = re.compile(r"\[([^\[\]]+)\]\((https?://[^\s()<>\"']+|#[\w-]+)\)")
_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*([^*]+)\*\*")


class Marked(str):
    """A table's cell in which the marks of :func:`prose` are meant; never of text from outside."""

    __slots__ = ()


def printable(text: object) -> str:
    """``text`` on one line without anything that could break a file or fool a reader.

    Control characters, lone surrogates (file names that are not UTF-8) and marks that turn the writing
    direction around become U+FFFD; line breaks and tabs become spaces.
    """
    line = " ".join(str(text).split())
    return "".join("\ufffd" if _is_unfit(character) else character for character in line)


def _is_unfit(character: str) -> bool:
    # Cc control, Cs surrogate, Cn unassigned; Cf holds the bidirectional overrides, but also the joiners
    # that some scripts need (U+200C, U+200D).
    category = unicodedata.category(character)
    return category in {"Cc", "Cs", "Cn"} or (category == "Cf" and character not in "\u200c\u200d\u00ad")


@lru_cache(maxsize=4096)
def text_width(text: str, size_px: float, *, bold: bool = False) -> float:
    """Width of ``text`` in CSS pixels, measured in DejaVu Sans, wider than the usual system fonts."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FONT, size=size_px, weight="bold" if bold else "normal")
    known = _known_characters()
    measured = "".join(c if ord(c) in known else _stand_in(c) for c in text)
    width, _, _ = text_to_path.get_text_width_height_descent(measured, font, False)
    return float(width)


@lru_cache(maxsize=1)
def _known_characters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())


def _stand_in(character: str) -> str:
    # What the font lacks, such as Chinese, is measured as a letter that is about as wide.
    return "W" if unicodedata.east_asian_width(character) in "WF" else "m"


def shorten(text: object, width_px: float, size_px: float, *, keep_end: bool = False) -> str:
    """``text`` made printable and cut with an ellipsis so that it fits ``width_px``.

    ``keep_end`` cuts in the middle, so that the end of a path (its file name) stays.
    """
    line = printable(text)
    if text_width(line, size_px) <= width_px:
        return line
    low, high = 0, len(line)
    while low < high:  # the longest cut that fits, by bisection
        middle = (low + high + 1) // 2
        if text_width(_cut(line, middle, keep_end), size_px) <= width_px:
            low = middle
        else:
            high = middle - 1
    return _cut(line, low, keep_end)


def wrapped(text: object, width_px: float, size_px: float) -> list[str]:
    """``text`` made printable, on two lines where one of ``width_px`` is too short; the second keeps its end."""
    line = printable(text)
    words = line.split(" ")
    count = len(words)
    while count > 1 and text_width(" ".join(words[:count]), size_px) > width_px:
        count -= 1
    lines = [" ".join(words[:count]), " ".join(words[count:])]
    return [shorten(each, width_px, size_px, keep_end=True) for each in lines if each]


def _cut(line: str, length: int, keep_end: bool) -> str:
    if not keep_end:
        return line[:length].rstrip() + _ELLIPSIS
    head = length // 3
    tail = length - head
    return line[:head] + _ELLIPSIS + (line[-tail:] if tail else "")


def clipped(text: object, most: int) -> str:
    """``text`` made printable and cut to ``most`` characters, the ellipsis included."""
    line = printable(
        " ".join(str(text).split())[: most + 1]
    )  # what a file says may be long: cut before it is looked at
    return line if len(line) <= most else line[: most - 1] + _ELLIPSIS


def first_few(names: Sequence[str], separator: str = ", ", shown: int = 10) -> str:
    """The first names joined, then how many more there are; keeps an error one sentence."""
    more = len(names) - shown
    return separator.join(names[:shown]) + (f"{separator}and {more} more" if more > 0 else "")


def counted(count: int, noun: str) -> str:
    """``1 video``, ``2 videos``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """The rows of a table as lines of text, columns two spaces apart.

    Parameters
    ----------
    rows
        Cells, equally many in each; they are made printable.
    right
        Columns that end together instead of beginning together.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def times(shape: Sequence[int]) -> str:
    """``3×16×112×112``; ``scalar`` where there are no axes."""
    return "×".join(map(str, shape)) or "scalar"


def engineering(value: int) -> str:
    """``1234567`` → ``1.23 M``: three significant digits."""
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            share = value / scale
            return f"{share:.0f} {letter}" if share >= 100 else f"{share:.3g} {letter}"
    return str(value)


def size_text(nbytes: float) -> str:
    """``812 kB``, ``3.4 MB``, ``1.2 GB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if nbytes >= scale:
            return f"{nbytes / scale:.1f} {unit}"
    return f"{nbytes / 1e3:.0f} kB"


def percent(share: float, digits: int = 1) -> str:
    """``0.8725`` → ``87.2 %`` with a no-break space; a dash where there is no number."""
    return f"{100 * share:.{digits}f}\u00a0%" if math.isfinite(share) else "–"


def seconds(start_s: float, end_s: float | None = None) -> str:
    """``1.3 s`` or ``1.3–2.5 s``."""
    span = f"{start_s:.1f}" if end_s is None else f"{start_s:.1f}–{end_s:.1f}"
    return f"{span}\u00a0s"


def cell(value: Any) -> str:
    """A table cell: text as it is, thin spaces between thousands, four significant digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u2009")
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "–"
    return value if isinstance(value, Marked) else printable(value)


def column_cells(values: Sequence[Any]) -> list[str]:
    """The cells of one table column: fractions share the number of decimals that the longest needs."""
    shown = [cell(value) for value in values]
    floats = [text for text, value in zip(shown, values, strict=True) if isinstance(value, float)]
    if any("e" in text for text in floats):
        return shown
    decimals = max((len(text.partition(".")[2]) for text in floats), default=0)
    return [
        f"{value:.{decimals}f}" if isinstance(value, float) and text != "–" else text
        for text, value in zip(shown, values, strict=True)
    ]


def is_numeric(text: str) -> bool:
    """Whether a table cell reads as a number, a percentage, an interval or nothing (a dash)."""
    return bool(re.fullmatch(r"[\s\d.,:+±×%()\[\]–−/e\u00a0\u2009-]*", text))


def prose(text: str) -> Markup:
    """Paragraphs of HTML from plain text, parted by blank lines, with `` `code` ``, ``**strong**``, links.

    Everything is escaped first; a link goes to http(s) or to a place in the page, nowhere else.
    """
    from markupsafe import Markup, escape

    paragraphs = [inline(block) for block in re.split(r"\n\s*\n", str(text)) if block.strip()]
    return Markup("\n").join(Markup("<p>{}</p>").format(escape(paragraph)) for paragraph in paragraphs)


def inline(text: str) -> Markup:
    """One run of HTML from plain text, with the same marks as :func:`prose`."""
    from markupsafe import Markup, escape

    html = str(escape(printable(text)))
    # What stands between backticks is taken out first, so that no other mark is read inside it.
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match.group(1))
        return f"\x00{len(kept) - 1}\x00"

    html = _CODE.sub(keep, html)
    html = _LINK.sub(r'<a href="\2">\1</a>', html)
    html = _STRONG.sub(r"<strong>\1</strong>", html)
    html = re.sub("\x00(\\d+)\x00", lambda match: f"<code>{kept[int(match.group(1))]}</code>", html)
    return Markup(html)  # escaped above; the marks add only the three elements
