"""Caffe's ``BlobProto``, an array of numbers, in the two numberings that released files are written in.

================  =====================  ====================================================
field             C3D v1.0               stock Caffe (C3D v1.1, TSN, P3D, video-caffe, VGG)
================  =====================  ====================================================
1, 2              num, channels          num, channels
3                 length                 height
4                 height                 width
5                 **width**              **data** (float)
6                 data (float)           diff (float)
7                 diff (float)           shape {dim = 1}
8, 9              -                      double_data, double_diff
================  =====================  ====================================================

Sources: ``src/caffe/proto/caffe.proto`` of facebook/C3D (v1.0) and of BVLC/caffe.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tubelet.reporting.text import times
from tubelet.weights.wire import LENGTH, VARINT, Field, WireFile

_MAX_AXES = 32  # Caffe's own limit
MAX_SIDE = (1 << 31) - 1


@dataclass(frozen=True)
class Numbering:
    """Which field number of a ``BlobProto`` means what."""

    name: str
    sides: tuple[str, ...]
    data: int
    diff: int
    shape: int | None = None
    double_data: int | None = None
    double_diff: int | None = None

    @property
    def known(self) -> set[int | None]:
        """All numbers that are read; any other is counted and passed over."""
        return {
            *range(1, len(self.sides) + 1),
            self.data,
            self.diff,
            self.shape,
            self.double_data,
            self.double_diff,
        }


C3D = Numbering("C3D v1.0", ("num", "channels", "length", "height", "width"), data=6, diff=7)
STOCK = Numbering(
    "stock", ("num", "channels", "height", "width"), data=5, diff=6, shape=7, double_data=8, double_diff=9
)


@dataclass(frozen=True)
class Blob:
    """An array as the file has it.

    Attributes
    ----------
    values
        float32 (float64 from double_data), in the stored shape, read-only; a view of the file where that is
        possible.
    numbering
        `C3D` or `STOCK`.
    has_gradient
        Whether a diff of the same size, which no reader needs, came with it.
    """

    values: npt.NDArray[Any]
    numbering: Numbering
    has_gradient: bool


def read_blob(file: WireFile, start: int, end: int, what: str, passed_over: MutableMapping[str, int]) -> Blob:
    """Read the ``BlobProto`` in ``[start, end)``.

    The numbering follows from field 5: a whole number there is C3D's width, and numbers or nothing are stock
    Caffe's data. It is then proved by counting: the sides must multiply to the numbers that are there.
    A blob can therefore not be read by both, and one that fits neither is an error.

    Parameters
    ----------
    file, start, end
        Where it is.
    what
        Its name, for errors.
    passed_over
        Counts fields of unknown meaning; added to.

    Raises
    ------
    InputDataError
        Sides and numbers do not agree, or a field has the wrong type.
    """
    found: dict[int, list[Field]] = {}
    for field in file.fields(start, end):
        found.setdefault(field.number, []).append(field)
    numbering = C3D if any(field.wire == VARINT for field in found.get(5, ())) else STOCK
    for number in found.keys() - numbering.known:
        key = f"BlobProto field {number}"
        passed_over[key] = passed_over.get(key, 0) + len(found[number])
    values = _numbers(file, found, numbering.data, numbering.double_data, what)
    gradient = _numbers(file, found, numbering.diff, numbering.double_diff, f"the gradient of {what}")
    shape = _shape(file, found, numbering, what)
    if prod(shape) != values.size or values.size == 0:
        raise file.error(
            f"{what} holds {values.size} numbers where its shape {times(shape)} needs {prod(shape)} "
            f"in the {numbering.name} numbering"
        )
    if gradient.size not in (0, values.size):
        raise file.error(f"the gradient of {what} has {gradient.size} numbers instead of {values.size}")
    return Blob(values.reshape(shape), numbering, gradient.size > 0)


def _numbers(
    file: WireFile, found: dict[int, list[Field]], single: int, double: int | None, what: str
) -> npt.NDArray[Any]:
    floats = [file.numbers(field, np.float32, what) for field in found.get(single, ())]
    doubles = [file.numbers(field, np.float64, what) for field in found.get(double or 0, ())]
    if floats and doubles:
        raise file.error(f"{what} is given both in float and in double")
    parts = floats or doubles or [np.empty(0, np.float32)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _shape(file: WireFile, found: dict[int, list[Field]], numbering: Numbering, what: str) -> tuple[int, ...]:
    numbers = range(1, len(numbering.sides) + 1)
    legacy = tuple(
        _side(file, found[number], f"{side} of {what}")
        for number, side in zip(numbers, numbering.sides, strict=True)
        if number in found
    )
    if legacy and len(legacy) != len(numbering.sides):
        raise file.error(f"{what} has {len(legacy)} of the sides {', '.join(numbering.sides)}")
    messages = found.get(numbering.shape or 0, [])
    if not messages:
        if not legacy:
            raise file.error(f"{what} has no shape")
        return legacy
    if len(messages) > 1 or messages[0].wire != LENGTH:
        raise file.error(f"the shape of {what} makes no sense")
    sides: list[int] = []
    for field in file.fields(messages[0].start, messages[0].end):
        if field.number != 1 or len(sides) > _MAX_AXES:
            raise file.error(f"the shape of {what} makes no sense")
        sides += file.integers(field, f"the shape of {what}", _MAX_AXES)
    if len(sides) > _MAX_AXES or not all(1 <= side <= MAX_SIDE for side in sides):
        raise file.error(f"the shape of {what} makes no sense")
    # A blob has four old sides or a shape; one that has both must mean the same by them.
    if legacy and prod(legacy) != prod(sides):
        raise file.error(f"{what} has the two shapes {times(legacy)} and {times(tuple(sides))}")
    return tuple(sides)


def _side(file: WireFile, fields: list[Field], what: str) -> int:
    if len(fields) != 1 or fields[0].wire != VARINT or not 1 <= fields[0].value <= MAX_SIDE:
        raise file.error(f"the {what} is no size")
    return fields[0].value
