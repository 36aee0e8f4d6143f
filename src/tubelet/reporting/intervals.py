"""Intervals of shares, and how bars from 0 to 100 % show them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tubelet.reporting.style import INK, RULE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def wilson_interval(right: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share (95 % by default): in [0, 1] also for 0 of n and n of n.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    if total <= 0:
        return 0.0, 1.0
    share = right / total
    middle = share + z * z / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def share_axis(axes: Axes, rows: int) -> None:
    """Make the axes of ``rows`` horizontal bars from 0 to 100 %, the first at the top."""
    axes.set_xlim(0, 1)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.tick_params(axis="x", length=0, pad=6)
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_color(RULE.light)


def whisker(axes: Axes, row: float, low: float | None, high: float | None, cap: float) -> None:
    """Draw an interval, if it is known, over the bar at ``row`` with end marks of half-height ``cap``."""
    if low is None or high is None:
        return
    axes.plot([low, high], [row, row], color=INK.light, linewidth=1.3, solid_capstyle="butt")
    for end in (low, high):
        axes.plot([end, end], [row - cap, row + cap], color=INK.light, linewidth=1.3, solid_capstyle="butt")
