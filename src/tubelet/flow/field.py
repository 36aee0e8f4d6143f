"""The motion of a run of frames as one value, and its quantization to bytes.

Vectors know what they mean: mirroring negates x, resizing scales them, playing backward makes forward flow
backward flow. Whoever treats them as gray pictures loses exactly this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tubelet.clips.mirror import mirror_motion
from tubelet.clips.resize import resize_field
from tubelet.errors import NumericalError, UsageError

Direction = Literal["forward", "backward"]

_BLOCK = 1 << 16  # components

DEFAULT_BOUND = 20.0
"""Pixels: the bound of dense_flow, and so of the stored flow of TSN and P3D."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Motion of a run of frames.

    Attributes
    ----------
    vectors
        ``(T, H, W, 2)`` float32, pixels per frame step: x to the right, then y down. ``vectors[t]`` moves a
        point of a frame to where it is in the frame's partner. T is one less than the frames of the run.
    algorithm
        What computed it: ``dis_medium``, ``tvl1``, ``farneback``; ``read`` where a file does not say.
    bound
        Pixels. :meth:`quantize` keeps components from ``-bound`` to ``bound``. It belongs to the vectors as
        they are: resizing does not scale it.
    direction
        ``forward``: ``vectors[t]`` leads from frame t to frame t + 1. ``backward``: from frame t + 1 to frame t.
    order
        Of the components, and of the channels when stacked: x1, y1, x2, y2, …
    warped
        Whether the motion of the camera was taken out.
    settings
        The algorithm's parameters, JSON-ready.

    Raises
    ------
    UsageError
        Vectors of another shape or not of floats, a bound that is not positive, an unknown direction or order.
    """

    vectors: NDArray[np.float32]
    algorithm: str
    bound: float = DEFAULT_BOUND
    direction: Direction = "forward"
    order: Literal["xy"] = "xy"
    warped: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vectors = np.asarray(self.vectors)
        _check_shape(vectors)
        if not np.issubdtype(vectors.dtype, np.floating):
            raise UsageError(
                f"flow vectors have the type {vectors.dtype}",
                why="they are pixels as floats",
                remedy="use Flow.from_levels for quantized flow",
            )
        object.__setattr__(self, "vectors", vectors.astype(np.float32, copy=False))
        object.__setattr__(self, "bound", _checked_bound(self.bound))
        if self.direction not in get_args(Direction):
            raise UsageError(f"flow has the direction {self.direction!r}", remedy="choose forward or backward")
        if self.order != "xy":
            raise UsageError(f"flow has the order {self.order!r}", remedy="put x first and call it xy")

    def __len__(self) -> int:
        """How many fields: one less than frames."""
        return len(self.vectors)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.vectors.shape[1], self.vectors.shape[2]

    def flip(self) -> Flow:
        """The flow of the frames mirrored from left to right: the field mirrored, and x negated."""
        return replace(self, vectors=mirror_motion(self.vectors, across=2, components=3, total=0))

    def reverse(self) -> Flow:
        """The flow of the frames played backward.

        The same vectors in the opposite order; what led to the next frame now leads to the one before it, so
        forward becomes backward flow and backward forward. Nothing is estimated anew.
        """
        direction: Direction = "backward" if self.direction == "forward" else "forward"
        return replace(self, vectors=self.vectors[::-1], direction=direction)

    def resize(self, size_hw: tuple[int, int]) -> Flow:
        """The flow of the frames resized: fields bilinear as by ``clips.resize``, x times W'/W, y times H'/H.

        Raises
        ------
        UsageError
            A size below one pixel.
        """
        (height, width), (new_height, new_width) = self.size_hw, size_hw
        if (height, width) == (new_height, new_width):
            return self
        factors = np.array((new_width / width, new_height / height), np.float32)
        return replace(self, vectors=resize_field(self.vectors, size_hw) * factors)

    def crop(self, offset_yx: tuple[int, int], size_hw: tuple[int, int]) -> Flow:
        """The flow of the frames cropped; vectors may lead out of the crop.

        Parameters
        ----------
        offset_yx
            The crop's top left corner, in pixels.
        size_hw
            Its height and width.

        Raises
        ------
        UsageError
            The crop is empty or leaves the field.
        """
        (top, left), (height, width) = offset_yx, size_hw
        full_height, full_width = self.size_hw
        inside = 0 <= top <= full_height - height and 0 <= left <= full_width - width
        if height < 1 or width < 1 or not inside:
            raise UsageError(
                f"the crop of {height}x{width} pixels at {tuple(offset_yx)} leaves the flow",
                why=f"fields are {full_height}x{full_width} pixels (height x width)",
                remedy="give a corner (y, x) and a size (height, width) inside the field",
            )
        return replace(self, vectors=self.vectors[:, top : top + height, left : left + width])

    def quantize(self) -> tuple[NDArray[np.uint8], int]:
        """Levels 0 to 255, and how many components lay outside the bound; see :func:`quantize`."""
        return quantize(self.vectors, self.bound)

    @classmethod
    def from_levels(
        cls,
        levels: NDArray[np.uint8],
        *,
        algorithm: str,
        bound: float = DEFAULT_BOUND,
        direction: Direction = "forward",
        warped: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> Flow:
        """Flow from ``(T, H, W, 2)`` uint8 levels, by :func:`dequantize`; parameters are those of the class."""
        _check_shape(levels)
        vectors = dequantize(levels, bound)
        return cls(
            vectors,
            algorithm,
            bound=bound,
            direction=direction,
            warped=warped,
            settings={} if settings is None else settings,
        )


def quantize(vectors: NDArray[np.floating[Any]], bound: float = DEFAULT_BOUND) -> tuple[NDArray[np.uint8], int]:
    """Motion as bytes, by the rule of dense_flow (and so of TSN and P3D).

    ``level = round(255 (v + bound) / (2 bound))`` from ``-bound`` to ``bound``; 0 below, 255 above. Computed in
    float64, halves to the even level, as there. No motion is 127.5 and becomes 128. Inside the bound
    :func:`dequantize` is off by at most half a level, ``bound / 255`` pixels: 0.078 at 20.

    Parameters
    ----------
    vectors
        Of any shape and float type, in pixels.
    bound
        In pixels.

    Returns
    -------
    levels
        uint8 of the same shape.
    saturated
        How many components lay outside the bound, and so are lost.

    Raises
    ------
    NumericalError
        A component is not finite.
    UsageError
        The bound is not a positive number.
    """
    bound = _checked_bound(bound)
    levels = np.empty(vectors.shape, np.uint8)
    saturated = 0
    # In blocks that stay in a processor's cache: a float64 copy of a whole field does not, and takes 1.6 times as long.
    flat, out = np.ascontiguousarray(vectors).reshape(-1), levels.reshape(-1)
    scratch = np.empty(min(_BLOCK, flat.size), np.float64)
    for start in range(0, flat.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        lowest, highest = part.min(), part.max()
        if not np.isfinite((lowest, highest)).all():
            raise NumericalError(
                "the flow has components that are not finite", remedy="compute it again with another algorithm"
            )
        exact = scratch[: part.size]
        np.copyto(exact, part)
        exact *= 255.0 / (2.0 * bound)
        exact += 127.5  # 255 bound / (2 bound), so that no motion is this to the last bit, whatever the bound
        if lowest < -bound or highest > bound:
            saturated += int(np.count_nonzero(part < -bound) + np.count_nonzero(part > bound))
            np.clip(exact, 0.0, 255.0, out=exact)
        np.rint(exact, out=exact)
        np.copyto(out[start : start + _BLOCK], exact, casting="unsafe")
    return levels, saturated


def dequantize(levels: NDArray[np.uint8], bound: float = DEFAULT_BOUND) -> NDArray[np.float32]:
    """Levels back to pixels: ``v = level / 255 * 2 bound - bound``.

    The line through both ends, without an exception for 128: what was no motion comes back as half a level,
    ``bound / 255`` pixels to the right and down (0.078 at 20). Subtracting a field's mean, as Two-Stream does,
    removes it; and ``255 - level`` stays the exact opposite of ``level``.

    Parameters
    ----------
    levels
        uint8, of any shape.
    bound
        In pixels, the one used for :func:`quantize`.

    Returns
    -------
    ndarray
        float32 of the same shape.

    Raises
    ------
    UsageError
        Levels that are not uint8; a bound that is not a positive number.
    """
    if levels.dtype != np.uint8:
        raise UsageError(f"flow levels have the type {levels.dtype}", remedy="give them as uint8, 0 to 255")
    bound = _checked_bound(bound)
    # There are 256 answers; level and 255 - level are opposites to the last bit when computed from the middle.
    answers = (2.0 * np.arange(256) - 255.0) * (bound / 255.0)
    return answers.astype(np.float32).take(levels)


def _check_shape(fields: NDArray[Any]) -> None:
    if fields.ndim != 4 or fields.shape[3] != 2 or min(fields.shape[1:3]) < 1:
        raise UsageError(
            f"flow has the shape {tuple(fields.shape)}",
            why="it must be (T, H, W, 2)",
            remedy="put x and y, in this order, last",
        )


def _checked_bound(bound: float) -> float:
    if not 0 < bound < np.inf:
        raise UsageError(f"the flow's bound is {bound!r}", remedy="give a positive number of pixels, such as 20")
    return float(bound)
