"""The protobuf wire format, read from a memory-mapped file without protobuf and without trusting a byte.

A message is a sequence of fields: a varint tag (field number and wire type) and a payload whose size the wire
type gives. That is all this file knows; which numbers mean what stands in `caffe_blob` and `caffe`.
Source: the encoding chapter of the Protocol Buffers documentation.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tubelet.errors import InputDataError

VARINT, FIXED64, LENGTH, GROUP, GROUP_END, FIXED32 = range(6)

_WIDTH = {FIXED32: 4, FIXED64: 8}
_MAX_NUMBER = (1 << 29) - 1
_MAX_DEPTH = 64
_MAX_FIELDS = 1_000_000  # real files have a few thousand: a run of unpacked numbers counts once
_MAX_TEXT_BYTES = 1000


class Field(NamedTuple):
    """One field, or a run of equal fixed-size ones.

    Attributes
    ----------
    number, wire
        Field number and wire type.
    start, end
        First byte of the payload, and one past the last one (of the whole run).
    value
        The number, where ``wire`` is VARINT.
    records, stride
        Records in the run, and bytes from one payload to the next: writers that do not pack put a tag before
        every single number.
    """

    number: int
    wire: int
    start: int
    end: int
    value: int = 0
    records: int = 1
    stride: int = 0


class WireFile:
    """A file of protobuf messages, memory-mapped, read-only.

    Nothing is allocated by what the file claims: every length is compared with the bytes that are there, arrays
    are views of the file, groups are skipped without recursion, and the number of fields is limited.

    Parameters
    ----------
    path
        The file. Arrays made by `numbers` keep it mapped.

    Raises
    ------
    InputDataError
        Missing, unreadable or empty; by the methods, also where the bytes are no protobuf message.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._fields_left = _MAX_FIELDS
        try:
            with self.path.open("rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                if self.size == 0:
                    raise self.error("it is empty")
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise self.error(getattr(error, "strerror", None) or str(error)) from error

    def error(self, why: str) -> InputDataError:
        """The error to raise when the file does not say what it should."""
        return InputDataError(
            "the Caffe file cannot be read", path=self.path, why=why, remedy="copy or download it again"
        )

    def fields(self, start: int = 0, end: int | None = None) -> Iterator[Field]:
        """The fields of the message in ``[start, end)``, in the file's order."""
        position, end = start, self.size if end is None else end
        while position < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise self.error(f"it has more than {_MAX_FIELDS} fields")
            tag_at = position
            number, wire, position = self._tag(position, end)
            if wire in _WIDTH:
                field = self._run(number, wire, tag_at, position, end)
            elif wire == VARINT:
                value, stop = self._varint(position, end)
                field = Field(number, wire, position, stop, value)
            elif wire == LENGTH:
                length, position = self._varint(position, end)
                field = Field(number, wire, position, self._advance(position, length, end))
            elif wire == GROUP:
                field = Field(number, wire, position, self._skip_group(number, position, end))
            else:
                raise self.error(f"a group ends at byte {position} that was not begun")
            yield field
            position = field.end

    def text(self, field: Field, what: str) -> str:
        """A name: UTF-8, printable, of reasonable length."""
        if field.wire != LENGTH or field.end - field.start > _MAX_TEXT_BYTES:
            raise self.error(f"{what} is no text")
        try:
            text = self._bytes[field.start : field.end].decode()
        except UnicodeDecodeError as error:
            raise self.error(f"{what} is no text") from error
        if not text.isprintable():
            raise self.error(f"{what} is no text")
        return text

    def integers(self, field: Field, what: str, most: int) -> list[int]:
        """The varints of one field, packed or single; at most ``most`` of them."""
        if field.wire == VARINT:
            return [field.value]
        if field.wire != LENGTH:
            raise self.error(f"{what} is no whole number")
        values: list[int] = []
        position = field.start
        while position < field.end:
            if len(values) == most:
                raise self.error(f"{what} holds more than {most} numbers")
            value, position = self._varint(position, field.end)
            values.append(value)
        return values

    def numbers(self, field: Field, dtype: npt.DTypeLike, what: str) -> npt.NDArray[Any]:
        """The float32 or float64 numbers of one field, packed or a run of single ones, as a view of the file."""
        kind = np.dtype(dtype).newbyteorder("<")
        if field.wire == LENGTH and (field.end - field.start) % kind.itemsize == 0:
            count, stride = (field.end - field.start) // kind.itemsize, kind.itemsize
        elif _WIDTH.get(field.wire) == kind.itemsize:
            count, stride = field.records, field.stride
        else:
            raise self.error(f"{what} is no list of {kind.itemsize}-byte numbers")
        if count == 0:
            return np.empty(0, kind)
        return np.ndarray((count,), kind, self._bytes, field.start, (stride,))

    def _tag(self, position: int, end: int) -> tuple[int, int, int]:
        tag, position = self._varint(position, end)
        number, wire = tag >> 3, tag & 7
        if not 1 <= number <= _MAX_NUMBER or wire > FIXED32:
            raise self.error(f"byte {position} belongs to no protobuf field")
        return number, wire, position

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if position >= end:
                raise self.error(f"it ends within a number, at byte {position}")
            byte = self._bytes[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 64:
                    break
                return value, position
        raise self.error(f"the number before byte {position} has more than 64 bits")

    def _advance(self, position: int, length: int, end: int) -> int:
        if length > end - position:
            raise self.error(f"a field at byte {position} announces {length} bytes where {end - position} are left")
        return position + length

    def _run(self, number: int, wire: int, tag_at: int, payload: int, end: int) -> Field:
        stop = self._advance(payload, _WIDTH[wire], end)
        stride = stop - tag_at
        count = 1 + self._repeats(self._bytes[tag_at:payload], stop, stride, end)
        return Field(number, wire, payload, tag_at + count * stride, 0, count, stride)

    def _repeats(self, tag: bytes, position: int, stride: int, end: int) -> int:
        """How many more records with this tag follow at once; compared in growing blocks, so in linear time."""
        count, block = 0, 64
        while self._bytes[position : position + len(tag)] == tag:
            rows = min(block, (end - position) // stride)
            if rows == 0:
                break
            table = np.frombuffer(self._bytes, np.uint8, rows * stride, position).reshape(rows, stride)
            same = (table[:, : len(tag)] == np.frombuffer(tag, np.uint8)).all(axis=1)
            run = rows if same.all() else int(same.argmin())
            count, position = count + run, position + run * stride
            if run < rows:
                break
            block = min(4 * block, 1 << 20)
        return count

    def _skip_group(self, number: int, position: int, end: int) -> int:
        open_groups = [number]
        while open_groups:
            self._fields_left -= 1
            if len(open_groups) > _MAX_DEPTH or self._fields_left < 0:
                raise self.error("its groups are nested too deeply")
            inner, wire, position = self._tag(position, end)
            if wire == GROUP:
                open_groups.append(inner)
            elif wire == GROUP_END:
                if open_groups.pop() != inner:
                    raise self.error("a group ends that was not begun")
            elif wire == VARINT:
                _, position = self._varint(position, end)
            elif wire == LENGTH:
                length, position = self._varint(position, end)
                position = self._advance(position, length, end)
            else:
                position = self._advance(position, _WIDTH[wire], end)
        return position
