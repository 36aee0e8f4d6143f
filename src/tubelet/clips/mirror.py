"""Mirroring of motion, for fields, stacks and network inputs alike: the one place that turns x around."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    Values = TypeVar("Values", Tensor, npt.NDArray[np.float32])

LEVELS_TOTAL = 255
"""What a level and the level of the opposite motion add up to; vectors and their opposites add up to 0."""


def mirror_motion(values: Values, *, across: int, components: int, total: float) -> Values:
    """The motion in the mirror image: mirrored from left to right, and every x turned around.

    Parameters
    ----------
    values
        Motion of any shape, x and y in turns (x1, y1, x2, y2, …) along one axis.
    across
        The axis that runs from left to right.
    components
        The axis of x and y.
    total
        What a value and that of the opposite motion add up to: 0 for vectors, `LEVELS_TOTAL` for levels.

    Returns
    -------
    Tensor or ndarray, as given
        Of the same shape and type, in memory of its own.
    """
    if isinstance(values, np.ndarray):
        mirrored = np.flip(values, across).copy()
    else:
        mirrored = values.flip(across)
    x = [slice(None)] * mirrored.ndim
    x[components] = slice(0, None, 2)
    mirrored[tuple(x)] = total - mirrored[tuple(x)] if total else -mirrored[tuple(x)]
    return mirrored
