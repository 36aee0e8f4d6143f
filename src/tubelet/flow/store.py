"""Stored flow, read: one interface to folders of pictures and to ZIP files of them, ours and other tools'."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import InputDataError, UsageError
from tubelet.flow.field import DEFAULT_BOUND, Direction, Flow
from tubelet.flow.layout import FRAME_PREFIX, PREFIXES, pair_names
from tubelet.flow.record import RECORD_FILE, FlowRecord
from tubelet.flow.shelf import Shelf, open_shelf
from tubelet.video.jpeg import JpegDecoder, JpegError
from tubelet.video.limits import Limits


class StoredFlow:
    """The flow of one video on disk, read picture by picture.

    Not for several threads at once. What is open is closed by :meth:`close`, or at the end of a ``with`` block.

    Attributes
    ----------
    path
        The folder or file.
    record
        What is known of how it was made; None for flow of other tools.
    direction
        ``forward`` or ``backward``.
    bound
        Pixels that levels 0 and 255 stand for.
    """

    def __init__(self, shelf: Shelf, direction: Direction | None, bound: float | None) -> None:
        self._shelf = shelf
        self.path = shelf.path
        names = shelf.sizes()
        self.record = parse_record(shelf) if RECORD_FILE in names else None
        self.direction: Direction = _direction(self.record, direction, names, self.path)
        self.bound = _bound(self.record, bound, self.path)
        self._names = pair_names(names, self.direction, self.path)
        if self.record is not None and len(self._names) != self.record.pairs:
            raise InputDataError(
                f"{len(self._names)} pairs of pictures are there, {self.record.pairs} were stored",
                path=self.path,
                remedy="compute the flow again: tubelet flow",
            )
        self._frames = sorted(name for name in names if name.startswith(FRAME_PREFIX))
        self._decoder = JpegDecoder(Limits().max_pixels)
        self._size_hw: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Fields: one less than frames."""
        return len(self._names)

    @property
    def height(self) -> int:
        """Height of a field in pixels."""
        return self.size_hw[0]

    @property
    def width(self) -> int:
        """Width of a field in pixels."""
        return self.size_hw[1]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of a field in pixels; flow of other tools says so by its first picture."""
        if self._size_hw is None:
            if self.record is not None:
                self._size_hw = (self.record.height, self.record.width)
            else:
                height, width = self._picture(self._names[0][0]).shape
                self._size_hw = (height, width)
        return self._size_hw

    @property
    def algorithm(self) -> str:
        """What computed it; ``read`` where nothing says."""
        return "read" if self.record is None else self.record.settings.algorithm

    @property
    def warped(self) -> bool:
        """Whether the motion of the camera was taken out (False where nothing says)."""
        return self.record is not None and self.record.settings.warped

    def levels(self, indices: Sequence[int] | NDArray[np.integer[Any]] | range) -> NDArray[np.uint8]:
        """Quantized flow of pairs of frames.

        Parameters
        ----------
        indices
            Numbers of pairs, from 0, in any order; repeats are allowed.

        Returns
        -------
        ndarray
            ``(len(indices), H, W, 2)`` uint8, x then y.

        Raises
        ------
        UsageError
            A number below 0 or beyond the last pair.
        InputDataError
            A picture is missing, damaged or of another size.
        """
        wanted = [int(index) for index in indices]
        out = np.empty((len(wanted), *self.size_hw, 2), np.uint8)
        first: dict[int, int] = {}
        for place, index in enumerate(wanted):
            if not 0 <= index < len(self):
                raise UsageError(
                    f"flow {index} does not exist", path=self.path, why=f"there are fields 0 to {len(self) - 1}"
                )
            if first.setdefault(index, place) < place:
                out[place] = out[first[index]]
                continue
            for component, name in enumerate(self._names[index]):
                out[place, :, :, component] = self._sized(name)
        return out

    def flow(self, indices: Sequence[int] | NDArray[np.integer[Any]] | range) -> Flow:
        """The motion of pairs of frames, in pixels; parameters and errors as for :meth:`levels`."""
        return Flow.from_levels(
            self.levels(indices),
            algorithm=self.algorithm,
            bound=self.bound,
            direction=self.direction,
            warped=self.warped,
            settings={} if self.record is None else self.record.parameters,
        )

    def check(self) -> tuple[str, ...]:
        """Decode every picture (of one direction), and say what is wrong, one sentence each; empty if nothing is."""
        problems = []
        for names in self._names:
            for name in names:
                try:
                    self._sized(name)
                except InputDataError as error:
                    problems.append(str(error))
        return tuple(problems)

    def check_frames(self) -> tuple[str, ...]:
        """As :meth:`check`, for the frames that are stored beside the flow."""
        problems = []
        for name in self._frames:
            try:
                _, sound = self._decoder.decode_bytes(self._shelf.read(name))
                if not sound:
                    raise JpegError("it is damaged")
            except JpegError as error:
                problems.append(str(self._damaged(name, str(error))))
            except InputDataError as error:
                problems.append(str(error))
        return tuple(problems)

    def close(self) -> None:
        """Close the file; reading opens it again."""
        self._shelf.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"StoredFlow({os.fspath(self.path)!r}, {len(self)} fields, {self.direction})"

    def _sized(self, name: str) -> NDArray[np.uint8]:
        picture = self._picture(name)
        if picture.shape != self.size_hw:
            raise self._damaged(
                name, f"it has {picture.shape[1]}x{picture.shape[0]} pixels, not {self.width}x{self.height}"
            )
        return picture

    def _picture(self, name: str) -> NDArray[np.uint8]:
        try:
            return self._decoder.decode_gray(self._shelf.read(name))
        except JpegError as error:
            raise self._damaged(name, str(error)) from error

    def _damaged(self, name: str, why: str) -> InputDataError:
        return InputDataError(
            f"the stored flow {name} cannot be used", path=self.path, why=why, remedy="compute it again: tubelet flow"
        )


def open_flow(
    path: str | os.PathLike[str], *, direction: Direction | None = None, bound: float | None = None
) -> StoredFlow:
    """Open the stored flow of one video.

    Parameters
    ----------
    path
        A folder of pictures, or a ``.flow.zip`` file.
    direction
        Which of two; by default the only one there is, forward if both are there.
    bound
        For flow of other tools, which does not say it: pixels that levels 0 and 255 stand for. By default 20, with
        a warning. What ``flow.json`` says cannot be overridden.

    Raises
    ------
    InputDataError
        There is no flow, or pictures are missing.
    UsageError
        This direction was not stored; another bound than that of ``flow.json``.
    """
    where = Path(path)
    if not where.exists():
        raise InputDataError("there is no stored flow", path=where, remedy="compute it: tubelet flow VIDEOS -o DIR")
    return StoredFlow(open_shelf(where), direction, bound)


def parse_record(shelf: Shelf) -> FlowRecord:
    """The record on a shelf; raises ``InputDataError`` if there is none, or it is damaged."""
    text = shelf.read(RECORD_FILE)
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputDataError(
            f"{RECORD_FILE} is damaged", path=shelf.path, why=str(error), remedy="compute the flow again"
        ) from error
    return FlowRecord.from_dict(values, os.fspath(shelf.path))


def _direction(record: FlowRecord | None, wanted: Direction | None, names: dict[str, int], path: Path) -> Direction:
    there: tuple[Direction, ...] = ("forward",) if record is None else record.settings.directions
    if record is None and not any(name.startswith(PREFIXES["forward"]) for name in names):
        backward = any(name.startswith(PREFIXES["backward"]) for name in names)
        there = ("backward",) if backward else ("forward",)
    if wanted is None:
        return there[0]
    if wanted not in there:
        raise UsageError(
            f"no {wanted} flow is stored",
            path=path,
            why=f"only {there[0]} flow is",
            remedy="compute it: tubelet flow --direction both",
        )
    return wanted


def _bound(record: FlowRecord | None, given: float | None, path: Path) -> float:
    if record is not None:
        if given not in (None, record.settings.bound):
            raise UsageError(f"the bound of this flow is {record.settings.bound:g}, not {given:g}", path=path)
        return record.settings.bound
    if given is None:
        warnings.warn(
            f"nothing says what bound this flow was stored with, {DEFAULT_BOUND:g} pixels are assumed; give bound=: "
            f"{path}",
            UserWarning,
            stacklevel=5,
        )
        return DEFAULT_BOUND
    if not 0 < given < float("inf"):
        raise UsageError(f"the bound of flow is {given}", remedy="give a positive number of pixels, such as 20")
    return given
