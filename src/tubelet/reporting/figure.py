"""The Figure value, and the one place where matplotlib draws.

Figures use matplotlib's object interface only: no pyplot, no window, no state that outlives the drawing.
Drawing is serialized by a lock because matplotlib's settings belong to the process.
"""

from __future__ import annotations

import base64
import io
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tubelet.artifacts import write_bytes
from tubelet.errors import UsageError
from tubelet.reporting.style import FONT_STACK, in_dark, rc, with_variables
from tubelet.reporting.text import FONT

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure as Drawing

COLUMN_PX = 720
"""Width of the text column; a figure of this width is shown at its own size."""
WIDE_PX = 1120
"""Width of a figure that reaches beyond the text column."""
NARROW_PX = 400
"""Width of a figure's second drawing, for phones: lettering that is scaled to half cannot be read."""

PREFIX_MARK = "\x02"
"""Stands for the prefix of ids in a figure's markup; no printable text holds it."""

PHOTO = "photo-"
"""Begins the gid of an image that is a photograph: a browser may smooth it, unlike a heat map."""
CRISP = "crisp"
"""The gid of shapes that touch each other and shall not show a seam."""

_POINTS = 72.0  # matplotlib's inch; with it one unit of the drawing is one CSS pixel
_PNG_SCALE = 2.0
_MARGIN = 12.0 / _POINTS
_DRAWING = threading.Lock()
_TAG = re.compile(r"<[^>]*>")
_REFERENCE = re.compile(r'(?:url\(|href=")#([\w.-]+)')


@dataclass(frozen=True)
class Figure:
    """A finished figure: bytes and words.

    Attributes
    ----------
    title, caption
        What the figure shows, and how to read it; plain text (backticks mark code).
    alt
        What a reader who cannot see it should know.
    png
        PNG at two pixels per CSS pixel, on the light page color.
    svg
        The same drawing as SVG with real text, or None where the picture is made of photographs.
    narrow_svg
        The same data drawn for a narrow screen, or None.
    markup
        Trusted HTML to stand in a page instead of the SVG, with :data:`PREFIX_MARK` before every id; or "".
    width_px
        Natural width in CSS pixels; a page never shows the figure larger.
    """

    title: str
    caption: str
    alt: str
    png: bytes
    svg: bytes | None = None
    narrow_svg: bytes | None = None
    markup: str = ""
    width_px: int = COLUMN_PX

    @property
    def wide(self) -> bool:
        """Whether it needs more than the text column."""
        return self.width_px > COLUMN_PX

    def save(self, path: str | os.PathLike[str], *, dark: bool = False) -> Path:
        """Write it as ``.svg`` or ``.png``, by the suffix, atomically.

        Parameters
        ----------
        path
            Target file; missing parent folders are made.
        dark
            Use the colors for dark surroundings (SVG only).

        Raises
        ------
        UsageError
            The suffix is another one, or the figure has no such form.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".png" and not dark:
            return write_bytes(path, self.png)
        if suffix == ".svg" and self.svg is not None:
            text = self.svg.decode()
            return write_bytes(path, (_in_tags(text, in_dark) if dark else text).encode())
        have = ".png" if self.svg is None else ".svg or .png"
        raise UsageError(
            "a figure cannot be written in this form",
            path=path,
            why=f"{'dark ' if dark else ''}{suffix or 'no suffix'}",
            remedy=f"use {have}" + (", and .svg for dark colors" if dark and self.svg else ""),
        )

    def body(self, prefix: str) -> Markup:
        """The figure as HTML without outside references; ids start with ``prefix`` to be unique in a page."""
        from markupsafe import Markup, escape

        if self.markup:
            return Markup(self.markup.replace(PREFIX_MARK, prefix))
        if self.svg is not None:
            alt = str(escape(self.alt))
            body = _inline_svg(self.svg.decode(), prefix, alt)
            if self.narrow_svg is None:
                return Markup(body)
            narrow = _inline_svg(self.narrow_svg.decode(), prefix + "n-", alt)
            return Markup(f'<div class="on-broad">{body}</div>\n<div class="on-narrow">{narrow}</div>')
        data = base64.b64encode(self.png).decode()
        return Markup('<img class="chart" src="data:image/png;base64,{}" alt="{}" width="{}">').format(
            data, self.alt, self.width_px
        )


@contextmanager
def drawing(width_px: float = COLUMN_PX, height_px: float = COLUMN_PX) -> Iterator[Drawing]:
    """A matplotlib figure of this size, in which one unit of length is one CSS pixel.

    Everything from creating artists to rendering must happen inside the block: that is where the settings
    hold, whatever the user's matplotlibrc or other threads say.
    """
    import matplotlib as mpl
    import matplotlib.style
    from matplotlib.figure import Figure as Drawing

    with _DRAWING, mpl.rc_context(), warnings.catch_warnings():
        matplotlib.style.use(["default", rc()])
        # A label in a script that DejaVu lacks is still right in the SVG, which uses the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield Drawing(figsize=(width_px / _POINTS, height_px / _POINTS), dpi=_POINTS)


def resize(sheet: Drawing, width_px: float, height_px: float) -> None:
    """Give a drawing its size in CSS pixels."""
    sheet.set_size_inches(width_px / _POINTS, height_px / _POINTS)


def render(
    draw: Callable[[Drawing, float], None],
    width_px: float,
    *,
    title: str,
    caption: str,
    alt: str,
    narrow_px: float | None = NARROW_PX,
) -> Figure:
    """Draw a figure at its natural width and, for phones, at a narrow one; equal data give equal bytes.

    Parameters
    ----------
    draw
        Called with an empty drawing and the width to fill; it sets the size with :func:`resize`.
    width_px
        Natural width in CSS pixels.
    title, caption, alt
        Words for the page.
    narrow_px
        Width of the narrow drawing; None where the figure is small or dense enough to be scaled instead.
    """
    with drawing() as sheet:
        draw(sheet, width_px)
        svg, png = _vector(sheet), raster(sheet)
        width = round(float(sheet.get_figwidth()) * _POINTS)
    narrow = None
    if narrow_px is not None:
        with drawing() as sheet:
            draw(sheet, narrow_px)
            narrow = _vector(sheet)
    return Figure(title, caption, alt, png=png, svg=svg, narrow_svg=narrow, width_px=width)


def _vector(sheet: Drawing) -> bytes:
    buffer = io.BytesIO()
    metadata = dict.fromkeys(("Date", "Creator", "Type", "Format"))
    sheet.savefig(buffer, format="svg", metadata=metadata)
    return _in_tags(buffer.getvalue().decode(), _finish_tag).encode()


def raster(sheet: Drawing) -> bytes:
    """A drawing as PNG, two pixels to a CSS pixel, with a margin: it may stand alone on a colored ground."""
    from matplotlib.transforms import Bbox

    pixels = io.BytesIO()
    width, height = float(sheet.get_figwidth()), float(sheet.get_figheight())
    room = Bbox.from_extents(-_MARGIN, -_MARGIN, width + _MARGIN, height + _MARGIN)
    sheet.savefig(pixels, format="png", dpi=_POINTS * _PNG_SCALE, bbox_inches=room, metadata={"Software": None})
    return pixels.getvalue()


def place(
    sheet: Drawing, left_px: float, top_px: float, width_px: float, height_px: float
) -> tuple[float, float, float, float]:
    """The rectangle that ``add_axes`` wants, from CSS pixels counted from the top left."""
    width = float(sheet.get_figwidth()) * _POINTS
    height = float(sheet.get_figheight()) * _POINTS
    return (left_px / width, 1.0 - (top_px + height_px) / height, width_px / width, height_px / height)


def _finish_tag(tag: str) -> str:
    tag = tag.replace(f"'{FONT}'", FONT_STACK)
    if f'id="{PHOTO}' in tag:
        tag = tag.replace("image-rendering:crisp-edges;image-rendering:pixelated", "")
    return tag.replace(f'<g id="{CRISP}"', f'<g id="{CRISP}" shape-rendering="crispEdges"')


def _in_tags(svg: str, change: Callable[[str], str]) -> str:
    """Apply ``change`` to the tags only: a label that spells a color or a reference keeps its letters."""
    return _TAG.sub(lambda match: change(match.group()), svg)


def _inline_svg(svg: str, prefix: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="([\d. -]+)"', body)
    assert view is not None
    width, height = view.group(1).split()[2:]
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # Its rule would reach the whole page; the page's style sheet has it for figures.
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    used = set(_REFERENCE.findall(body))

    def adapt(tag: str) -> str:
        tag = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}{m.group(1)}"' if m.group(1) in used else "", tag)
        tag = re.sub(r"url\(#", f"url(#{prefix}", tag)
        tag = re.sub(r'(?:xlink:)?href="#', f'href="#{prefix}', tag)
        tag = tag.replace("xlink:href", "href").replace(f"font-family: {FONT_STACK}", "").replace('; "', '"')
        return with_variables(tag)

    body = re.sub(r">\s*\n\s*<", ">\n<", _in_tags(body, adapt))
    head = f'<svg class="chart" viewBox="{view.group(1)}" width="{width}" height="{height}" role="img"'
    return f'{head} aria-label="{alt}">{body.strip()}'
