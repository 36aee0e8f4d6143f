"""Frames become motion: optical flow of a pair, of a stream and of a run of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tubelet.clips.resize import check_frames
from tubelet.errors import UsageError
from tubelet.flow.algorithms import DEFAULT, Algorithm, Gray, find_algorithm
from tubelet.flow.field import DEFAULT_BOUND, Direction, Flow
from tubelet.flow.opencv import opencv


def estimate(
    frames: NDArray[np.uint8],
    algorithm: str | Algorithm = DEFAULT,
    *,
    direction: Direction = "forward",
    bound: float = DEFAULT_BOUND,
) -> Flow:
    """Optical flow between each frame and the next.

    Flow depends on the size of the frames: resize them first (dense_flow: to 340×256).

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8 RGB, at least two.
    algorithm
        A name of ``algorithms.ALGORITHMS`` or a value such as ``Tvl1(warps=2)``.
    direction
        ``forward`` leads from frame t to frame t + 1, ``backward`` from frame t + 1 to frame t. Backward flow
        is estimated; it is not the forward flow negated.
    bound
        Pixels; what quantizing this flow will keep.

    Returns
    -------
    Flow
        T − 1 fields of ``(H, W, 2)``, the same bits in every process on one machine and OpenCV version.

    Raises
    ------
    UsageError
        Frames of another shape or type, fewer than two, sides below the algorithm's ``smallest_side`` (16 pixels;
        32 for the two faster presets of DIS), an unknown algorithm.
    NumericalError
        The algorithm returned vectors that are not finite.
    MissingExtraError
        OpenCV is not installed.
    """
    check_run(frames)
    chosen = find_algorithm(algorithm)
    vectors = np.empty((len(frames) - 1, *frames.shape[1:3], 2), np.float32)
    for index, field in enumerate(estimate_stream(frames, chosen, direction=direction)):
        vectors[index] = field
    return Flow(vectors, chosen.name, bound=bound, direction=direction, settings=chosen.settings())


def estimate_stream(
    frames: Iterable[NDArray[np.uint8]], algorithm: str | Algorithm = DEFAULT, *, direction: Direction = "forward"
) -> Iterator[NDArray[np.float32]]:
    """Fields as frames arrive, so that a long video needs the memory of one pair.

    Parameters
    ----------
    frames
        Frames ``(H, W, 3)`` uint8 RGB of one size, in order.
    algorithm, direction
        As for :func:`estimate`.

    Yields
    ------
    ndarray
        ``(H, W, 2)`` float32: one field fewer than there are frames.

    Raises
    ------
    UsageError, NumericalError, MissingExtraError
        As for :func:`estimate`.
    """
    solve = find_algorithm(algorithm).checked_solver()
    for earlier, later in pairwise(map(gray, frames)):
        yield solve(earlier, later) if direction == "forward" else solve(later, earlier)


def estimate_pair(first: Gray, second: Gray, algorithm: str | Algorithm = DEFAULT) -> NDArray[np.float32]:
    """Vectors ``(H, W, 2)`` float32 that lead from one gray frame ``(H, W)`` uint8 to another.

    Raises
    ------
    UsageError, NumericalError, MissingExtraError
        As for :func:`estimate`.
    """
    return find_algorithm(algorithm).checked_solver()(first, second)


def gray(frame: NDArray[np.uint8]) -> Gray:
    """A frame ``(H, W, 3)`` uint8 RGB as brightness ``(H, W)`` uint8: 0.299 R + 0.587 G + 0.114 B, rounded.

    Raises
    ------
    UsageError
        The frame has another shape or type.
    """
    check_frames(np.asarray(frame)[None])
    cv2 = opencv()
    brightness: Gray = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    return brightness


def check_run(frames: NDArray[np.uint8]) -> None:
    """Refuse anything but at least two frames ``(T, H, W, 3)`` uint8."""
    check_frames(frames)
    if len(frames) < 2:
        raise UsageError(
            f"flow needs at least two frames, there are {len(frames)}", remedy="give a longer video or leave it out"
        )
