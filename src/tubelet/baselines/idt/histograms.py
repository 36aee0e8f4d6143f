"""Histograms of directions: how much of a cell points where (Dalal and Triggs 2005; Dalal, Triggs and Schmid 2006).

HOG counts gradients of brightness, HOF flow, MBHx and MBHy gradients of flow's two parts. Every pixel votes with its
length for the two directions next to its own, in proportion to how near they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tubelet.baselines.idt.settings import IdtSettings
from tubelet.flow.algorithms import Gray
from tubelet.flow.opencv import opencv

DIRECTIONS = 8
"""Of the full circle, the first to the right, then clockwise on the screen (y points down)."""

CHANNELS = ("hog", "hof", "mbhx", "mbhy")
"""In the order in which the votes lie behind one another."""

Floats = NDArray[np.float32]

_NO_VOTE = 1e-6  # gray levels, and pixels of flow: a thousandth of what flow is known to


def votes(frame: Gray, vectors: Floats, settings: IdtSettings) -> Floats:
    """What every pixel says for each channel and direction.

    Parameters
    ----------
    frame
        Gray ``(H, W)`` uint8.
    vectors
        ``(H, W, 2)`` float32 pixels per frame: the flow that starts there, without the camera's motion.
    settings
        ``zero_motion``.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 33)`` float32: 8 of HOG, 9 of HOF (the ninth: one vote of a pixel slower than ``zero_motion``, which
        then votes for no direction), 8 of MBHx, 8 of MBHy.
    """
    height, width = frame.shape
    found = np.zeros((height, width, DIRECTIONS * 4 + 1), np.float32)
    brightness = frame.astype(np.float32)
    across, down = np.ascontiguousarray(vectors[..., 0]), np.ascontiguousarray(vectors[..., 1])
    _vote(found[..., 0:8], *_gradient(brightness))
    _vote(found[..., 8:16], across, down, least=settings.zero_motion, slow=found[..., 16])
    _vote(found[..., 17:25], *_gradient(across))
    _vote(found[..., 25:33], *_gradient(down))
    return found


def box_sums(found: Floats, side: int) -> Floats:
    """Sums of the votes over squares of ``side`` pixels whose upper left pixel is the place of the result."""
    cv2 = opencv()
    sums: Floats = cv2.boxFilter(
        found, cv2.CV_32F, (side, side), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    # OpenCV slides its sums, adding and taking away: where no pixel votes, rounding leaves a little, or less than none.
    sums[sums < _NO_VOTE] = 0.0
    return sums


def root_normalized(sums: NDArray[np.floating]) -> Floats:
    """Rows ``(n, D)`` scaled to a sum of one, then the square root of each number (RootSIFT); rows of zeros stay."""
    total = sums.sum(axis=1, keepdims=True)
    shares = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
    roots: Floats = np.sqrt(shares).astype(np.float32)
    return roots


def _gradient(values: Floats) -> tuple[Floats, Floats]:
    """Central differences, (f(x+1) − f(x−1)) / 2; at the border the outermost pixel is repeated."""
    cv2 = opencv()
    kernel = np.array([[-0.5, 0.0, 0.5]], np.float32)
    across = cv2.filter2D(values, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
    down = cv2.filter2D(values, cv2.CV_32F, kernel.T.copy(), borderType=cv2.BORDER_REPLICATE)
    return across, down


def _vote(out: Floats, across: Floats, down: Floats, *, least: float = 0.0, slow: Floats | None = None) -> None:
    """Write the votes of vectors into ``out (H, W, 8)``; those shorter than ``least`` vote in ``slow`` instead."""
    length, angle = opencv().cartToPolar(across, down)
    if slow is not None:
        still = length < least
        slow[still] = 1.0
        length = np.where(still, np.float32(0.0), length)
    place = angle * np.float32(DIRECTIONS / (2 * np.pi))
    first = np.floor(place)
    share = length * (place - first)
    lower = first.astype(np.intp) % DIRECTIONS
    rows, columns = np.ogrid[: out.shape[0], : out.shape[1]]
    out[rows, columns, lower] = length - share
    out[rows, columns, (lower + 1) % DIRECTIONS] = share
