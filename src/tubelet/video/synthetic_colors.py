"""Colors of equal brightness: an appearance that gray pictures, and so optical flow, cannot see.

Every object has a light and a dark tone whose brightness (Y = 0.299 R + 0.587 G + 0.114 B, as gray pictures are made)
is drawn without looking at its color. The color is a direction in the plane of the two color differences, added
at constant brightness. So the gray video of a scene is the same in all colors but for the rounding of 8 bits, and
what is computed from gray alone can do no better than guess.
"""

from __future__ import annotations

import math

import numpy as np

Rgb = tuple[float, float, float]

# Angles in the plane of color differences, from Cb (blue) to Cr (red), in degrees: those of the screen's own colors.
_ANGLES = {"red": 109.0, "yellow": 171.0, "green": 232.0, "blue": 351.0, "magenta": 52.0}
_ANGLE_SPREAD = 8.0  # degrees to either side: no two objects have quite the same color

COLORS: tuple[str, ...] = tuple(_ANGLES)
"""The five colors of the moving object, independent of its motion and of its brightness."""

# A color difference of this share of the distance to black or white keeps red, green and blue inside [0, 1] in
# every direction: 1.772 times it, the largest coefficient below, is less than 1.
_STRENGTH = 0.55
_LIGHT, _DARK = (0.66, 0.74), (0.26, 0.34)


def draw_tones(color: str, rng: np.random.Generator) -> tuple[Rgb, Rgb]:
    """Ground and figure of an object's pattern, one light and one dark, RGB in [0, 1].

    Parameters
    ----------
    color
        One of `COLORS`. Whatever it is, the same numbers are taken from ``rng``, and the tones have the same
        brightness.
    rng
        Source of chance.
    """
    light, dark = float(rng.uniform(*_LIGHT)), float(rng.uniform(*_DARK))
    turn = math.radians(_ANGLES[color] + float(rng.uniform(-_ANGLE_SPREAD, _ANGLE_SPREAD)))
    tones = (tinted(light, turn), tinted(dark, turn))
    return tones if rng.random() < 0.5 else (tones[1], tones[0])


def tinted(brightness: float, angle: float) -> Rgb:
    """The color (R, G, B) in [0, 1] of this brightness in (0, 1) and this angle, in radians from Cb to Cr (BT.601)."""
    strength = _STRENGTH * min(brightness, 1 - brightness)
    cb, cr = strength * math.cos(angle), strength * math.sin(angle)
    red, blue = brightness + 1.402 * cr, brightness + 1.772 * cb
    return (red, (brightness - 0.299 * red - 0.114 * blue) / 0.587, blue)
