"""One set of colors and one way of drawing for all figures and pages, in light and in dark.

A figure is drawn once, in the light colors. Each color is a *token*: where the figure stands in a page, the
token becomes a CSS variable, so the figure follows the page's color scheme without being drawn again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tubelet.reporting.text import FONT


@dataclass(frozen=True)
class Token:
    """A color with a name: ``#rrggbb`` in light and in dark surroundings."""

    name: str
    light: str
    dark: str


# Each light color occurs once, so that a color found in a drawing names its token.
SURFACE = Token("surface", "#ffffff", "#131418")
INK = Token("ink", "#1c1e23", "#ebecee")
MUTED = Token("muted", "#646973", "#9ba1ab")
RULE = Token("rule", "#c9ccd2", "#3d424c")
GRID = Token("grid", "#e9eaed", "#25282e")
ACCENT = Token("accent", "#1f5fc4", "#669df8")
ON_ACCENT = Token("on-accent", "#fefefe", "#0d1526")
GOOD = Token("good", "#1c8656", "#56c98e")
BAD = Token("bad", "#c8323c", "#ff7f83")
REST = Token("rest", "#b4b8bf", "#575c66")

SERIES = (
    Token("series-1", "#2c6bd2", "#6ea6ff"),
    Token("series-2", "#e0761b", "#ffac4d"),
    Token("series-3", "#219a62", "#55c88c"),
    Token("series-4", "#c63d7a", "#f583b3"),
    Token("series-5", "#7d55c3", "#b596f5"),
    Token("series-6", "#1797ab", "#4fcbdc"),
    Token("series-7", "#8d6a1d", "#c0a684"),
    Token("series-8", "#c93a2e", "#ff6a5e"),
    Token("series-9", "#6f8a12", "#b3cf4c"),
    Token("series-10", "#55606f", "#a9b4c4"),
)
"""Ten colors that stay apart, each at least 3:1 against the page in both schemes."""

TOKENS = (SURFACE, INK, MUTED, RULE, GRID, ACCENT, ON_ACCENT, GOOD, BAD, REST, *SERIES)

FONT_STACK = (
    "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', "
    "'Liberation Sans', Arial, 'DejaVu Sans', sans-serif"
)
"""Text in a figure stays text: it takes the reader's system font, can be searched and read aloud."""

SERIF_STACK = (
    "Charter, 'Bitstream Charter', 'Iowan Old Style', 'Source Serif 4', 'Noto Serif', Cambria, Georgia, "
    "'Liberation Serif', 'DejaVu Serif', serif"
)
"""Prose of a page that is set like a paper."""

_BY_LIGHT = {token.light: token for token in TOKENS}
_COLOR = re.compile("|".join(_BY_LIGHT))


def with_variables(css: str) -> str:
    """Replace each token's light color in ``css`` by its CSS variable (the light color as fallback)."""
    return _COLOR.sub(lambda match: f"var(--{_BY_LIGHT[match.group()].name})", css)


def in_dark(css: str) -> str:
    """Replace each token's light color in ``css`` by its dark color."""
    return _COLOR.sub(lambda match: _BY_LIGHT[match.group()].dark, css)


def variables(*, dark: bool) -> str:
    """The CSS declarations of all tokens."""
    return " ".join(f"--{token.name}: {token.dark if dark else token.light};" for token in TOKENS)


def rc() -> dict[str, Any]:
    """Matplotlib settings of all figures; the user's own settings never reach a figure."""
    return {
        "font.family": [FONT],
        "font.size": 12.0,
        "text.color": INK.light,
        "text.parse_math": False,  # a label with two dollar signs is a label
        "axes.facecolor": "none",
        "axes.edgecolor": RULE.light,
        "axes.labelcolor": MUTED.light,
        "axes.labelsize": 12.0,
        "axes.linewidth": 1.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.xmargin": 0.01,
        "axes.formatter.useoffset": False,
        "grid.color": GRID.light,
        "grid.linewidth": 1.0,
        "xtick.color": RULE.light,
        "ytick.color": RULE.light,
        "xtick.labelcolor": MUTED.light,
        "ytick.labelcolor": MUTED.light,
        "xtick.labelsize": 11.5,
        "ytick.labelsize": 11.5,
        "xtick.major.size": 4.0,
        "ytick.major.size": 0.0,
        "lines.linewidth": 1.8,
        "lines.solid_capstyle": "round",
        "legend.frameon": False,
        "legend.fontsize": 12.0,
        "legend.labelcolor": INK.light,
        "figure.facecolor": SURFACE.light,
        "savefig.facecolor": SURFACE.light,
        "svg.fonttype": "none",
        "svg.hashsalt": "tubelet",  # equal data, equal bytes
        "svg.image_inline": True,
    }
