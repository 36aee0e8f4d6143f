"""Where boxes lie: sizes after a resize, and the places and sizes of crops. Arithmetic only, no pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tubelet.errors import UsageError

Size = int | tuple[int, int]
"""What frames are resized to: ``(height, width)`` in pixels, or the length of the shorter side, which keeps the
aspect ratio."""

HW = tuple[int, int]

Positions = Literal[5, 13]

# In quarters of the room between box and frame, (down, across): four corners and the center; then, with 13, the
# middles of the sides and the middles of the quarters.
_FIVE = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
_EIGHT_MORE = ((2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3))

_SAME_SIDE = 3  # pixels; a side nearer than this to the network's is set to it


def size_after(size: Size, frame_hw: HW) -> HW:
    """Height and width of frames after a resize.

    Where the shorter side is given, the longer one is in proportion, rounded half up: 240 x 320 becomes 256 x 341.

    Parameters
    ----------
    size
        Height and width, or the shorter side, in pixels.
    frame_hw
        Height and width before it, in pixels.

    Raises
    ------
    UsageError
        A size below one pixel.
    """
    sides = (size, size) if isinstance(size, int) else size
    if min(sides) < 1:
        raise UsageError(
            f"cannot resize to {sides[0]}x{sides[1]} pixels (height x width)",
            remedy="give a height and a width of at least 1",
        )
    if not isinstance(size, int):
        return size
    height, width = frame_hw
    longer = (2 * size * max(frame_hw) + min(frame_hw)) // (2 * min(frame_hw))
    return (size, longer) if height <= width else (longer, size)


def center_offset(frame_hw: HW, box_hw: HW) -> HW:
    """Top-left corner ``(y, x)`` of the central crop, rounded down: (8, 29) for 112 out of 128 x 171."""
    return (frame_hw[0] - box_hw[0]) // 2, (frame_hw[1] - box_hw[1]) // 2


def corner_offsets(frame_hw: HW, box_hw: HW) -> tuple[HW, ...]:
    """Five corners ``(y, x)`` of crops for testing: in the frame's four corners, row by row, and in its center.

    Two-Stream, section 5; the corners touch the frame's edges, as in TSN's Caffe release (``utils/io.py``).
    """
    down, across = frame_hw[0] - box_hw[0], frame_hw[1] - box_hw[1]
    return (0, 0), (0, across), (down, 0), (down, across), center_offset(frame_hw, box_hw)


def side_offsets(frame_hw: HW, box_hw: HW) -> tuple[HW, ...]:
    """Three corners ``(y, x)``: at both ends and in the middle of the frame's longer side, centered on the other."""
    y, x = center_offset(frame_hw, box_hw)
    down, across = frame_hw[0] - box_hw[0], frame_hw[1] - box_hw[1]
    if frame_hw[0] > frame_hw[1]:
        return (0, x), (y, x), (down, x)
    return (y, 0), (y, x), (y, across)


def grid_offsets(frame_hw: HW, box_hw: HW, positions: Positions) -> tuple[HW, ...]:
    """The 5 or 13 places ``(y, x)`` from which TSN draws a training crop.

    They lie on a grid of a quarter of the room between box and frame, in whole pixels:
    ``w_step = (W - w) // 4``. Where that room is not a multiple of 4 the last ones stay up to 3 pixels short of the
    edge, as in the released code (``fill_fix_offset`` of both code bases; 13 is its ``more_fix_crop``).
    """
    step_y, step_x = (frame_hw[0] - box_hw[0]) // 4, (frame_hw[1] - box_hw[1]) // 4
    grid = _FIVE if positions == 5 else _FIVE + _EIGHT_MORE
    return tuple((down * step_y, across * step_x) for down, across in grid)


def box_sizes(frame_hw: HW, crop_hw: HW, sizes: Sequence[float], max_distort: int) -> tuple[HW, ...]:
    """Heights and widths from which TSN draws a training crop.

    Each of ``sizes`` times the frame's shorter side, rounded down, or the network's side where that is less than 3
    pixels away. Heights and widths are paired whose places in ``sizes`` differ by at most ``max_distort``: 10 pairs
    of four sizes, 7 of three (TSN, section 3.2; ``_sample_crop_size`` of the released code).

    Parameters
    ----------
    frame_hw, crop_hw
        Of the frame, and of the network's input, in pixels.
    sizes
        Above 0, up to 1.
    max_distort
        At 0 every box is square.
    """
    plain = [max(int(min(frame_hw) * size), 1) for size in sizes]
    heights, widths = ([side if abs(one - side) < _SAME_SIDE else one for one in plain] for side in crop_hw)
    return tuple(
        (height, width)
        for i, height in enumerate(heights)
        for j, width in enumerate(widths)
        if abs(i - j) <= max_distort
    )
