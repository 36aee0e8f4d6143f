"""A weights file of any of the known formats as one kind of value: named tensors that say what they are.

What a file is follows from its bytes, not from its name.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tubelet.errors import InputDataError
from tubelet.models.tensors import TYPE_CODES, read_header, read_tensor
from tubelet.provenance import sha256_file
from tubelet.reporting.text import clipped
from tubelet.weights.binaryproto import read_binaryproto
from tubelet.weights.caffe import read_caffemodel
from tubelet.weights.caffe_blob import Blob
from tubelet.weights.signatures import kind_of
from tubelet.weights.statistics import Statistics, describe
from tubelet.weights.torch_file import convert_torch

if TYPE_CHECKING:
    import os

    from tubelet.video.guard import GuardedPool

_NAME_CHARACTERS = 500
_HASH_DIGITS = 8  # as many as torch.hub and mmcv write into a file's name
_SHOWN = 200  # characters of a text from the file


@dataclass(frozen=True)
class Limits:
    """What a weights file may hold: more is refused before it is read."""

    tensors: int = 100_000
    bytes: int = 16 << 30


@dataclass(frozen=True)
class ForeignTensor:
    """One tensor of a foreign file.

    Attributes
    ----------
    name
        As in the file; a Caffe blob is ``layer[index]``, a nested checkpoint's keys are joined with dots.
    dtype
        As stored, spelled as safetensors does (``F32``, ``BF16``, ``I64``).
    shape
        As stored.
    statistics
        Of its values; None where it is empty or cannot be had.
    unreadable
        Why it cannot be had, if so.
    read
        Gives the values as a new tensor of that type and shape.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    statistics: Statistics | None
    unreadable: str | None = None
    read: Callable[[], Tensor] = field(default=lambda: torch.empty(0), repr=False, compare=False)


@dataclass
class ForeignFile:
    """A weights file: every tensor that is in it, and what else was found.

    Use it in a ``with`` block, or call `close`: a torch file has been rewritten into a temporary folder.

    Attributes
    ----------
    path, format, sha256
        Which file, what it is in words, and the hash of its bytes.
    tensors
        By name, in the file's order.
    notes
        What else is in the file and was not read, in sentences.
    """

    path: Path
    format: str
    sha256: str
    tensors: Mapping[str, ForeignTensor]
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    def __post_init__(self) -> None:
        self._cleaner = weakref.finalize(self, _remove, self.folder)

    def close(self) -> None:
        """Remove what was written temporarily; tensors of a torch file cannot be read any more."""
        self._cleaner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_weights(
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    limits: Limits | None = None,
    pool: GuardedPool | None = None,
) -> ForeignFile:
    """Read a weights file without running anything that is in it.

    Parameters
    ----------
    path
        A ``.caffemodel`` or ``.binaryproto``, a ``.pth``/``.pt``/``.pkl``/``.pth.tar`` of ``torch.save``, or a
        ``.safetensors``; told apart by content.
    sha256
        The hash that the file must have, where it is known, or what it begins with (8 digits or more).
    limits
        How much may be in it.
    pool
        Of `torch_file.torch_pool`; give one when many torch files are read, else each starts its own child.

    Returns
    -------
    ForeignFile
        All tensors. Nothing is judged here but whether the file can be read; values that are not finite are
        counted in the statistics.

    Raises
    ------
    InputDataError
        Missing, truncated, damaged, of another hash, of an unknown or a refused format, or over the limits.
    """
    path = Path(path)
    limits = limits or Limits()
    kind = kind_of(path)
    found = sha256_file(path)
    if sha256 is not None and not (len(sha256) >= _HASH_DIGITS and found.startswith(sha256.lower())):
        raise InputDataError(
            "this is not the file that was published",
            path=path,
            why=f"its SHA-256 is {found[:12]}… instead of {sha256[:12]}…",
            remedy="download it again; a file of your own needs another name",
        )
    if path.stat().st_size > limits.bytes:
        raise _too_much(path, f"{path.stat().st_size} bytes", limits)
    if kind == "torch":
        return _torch(path, found, limits, pool)
    readers = {"safetensors": _safetensors, "caffemodel": _caffemodel, "binaryproto": _binaryproto}
    form, tensors, notes = readers[kind](path, limits)
    return ForeignFile(path, form, found, _by_name(path, tensors), tuple(notes))


_Found = tuple[str, Iterable[ForeignTensor], list[str]]


def _caffemodel(path: Path, limits: Limits) -> _Found:
    net = read_caffemodel(path)
    blobs = dict(net.blobs())
    _check_amount(path, len(blobs), sum(blob.values.nbytes for blob in blobs.values()), limits)
    notes = _passed_over(net.passed_over)
    if net.gradients:
        notes.append(f"gradients of {net.gradients} blobs passed over")
    form = f"Caffe {net.layout}, {net.numbering.name} numbering"
    return form, [_from_blob(name, blob) for name, blob in blobs.items()], notes


def _binaryproto(path: Path, limits: Limits) -> _Found:
    blob, passed_over = read_binaryproto(path)
    _check_amount(path, 1, blob.values.nbytes, limits)
    form = f"Caffe blob, {blob.numbering.name} numbering"
    return form, [_from_blob("blob", blob)], _passed_over(passed_over)


def _passed_over(fields: Mapping[str, int]) -> list[str]:
    return [f"{count} × {what} passed over" for what, count in fields.items()]


def _from_blob(name: str, blob: Blob) -> ForeignTensor:
    def read() -> Tensor:
        return torch.from_numpy(np.array(blob.values, blob.values.dtype.newbyteorder("="), order="C"))

    tensor = read()
    return ForeignTensor(name, TYPE_CODES[tensor.dtype], tuple(tensor.shape), describe(tensor), read=read)


def _safetensors(path: Path, limits: Limits) -> _Found:
    header = read_header(path)
    _check_amount(path, len(header), path.stat().st_size, limits)
    tensors = []
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            notes = [f"metadata {key}: {clipped(value, _SHOWN)}" for key, value in (file.metadata() or {}).items()]
            for name, stored in header.items():
                read = partial(read_tensor, path, stored)
                tensors.append(
                    ForeignTensor(name, stored.dtype, stored.shape, describe(file.get_tensor(name)), read=read)
                )
    except (SafetensorError, RuntimeError, OSError, ValueError, KeyError) as error:
        raise InputDataError(
            "the weights file is damaged", path=path, why=clipped(error, _SHOWN), remedy="copy or save it again"
        ) from error
    return "safetensors", tensors, notes


def _torch(path: Path, found: str, limits: Limits, pool: GuardedPool | None) -> ForeignFile:
    folder = Path(tempfile.mkdtemp(prefix="tubelet-"))
    try:
        rewritten = folder / "tensors.safetensors"
        said = convert_torch(path, rewritten, max_tensors=limits.tensors, max_bytes=limits.bytes, pool=pool)
        _, tensors, _ = _safetensors(rewritten, limits)
        unreadable = [
            ForeignTensor(name, dtype, tuple(shape), None, unreadable=why)
            for name, dtype, shape, why in said.unreadable
        ]
        named = _by_name(path, sorted([*tensors, *unreadable], key=_place_in(said.names)))
        return ForeignFile(path, said.form, found, named, tuple(said.notes), folder)
    except BaseException:
        _remove(folder)
        raise


def _by_name(path: Path, tensors: Iterable[ForeignTensor]) -> dict[str, ForeignTensor]:
    named: dict[str, ForeignTensor] = {}
    for tensor in tensors:
        name = tensor.name
        if not name or len(name) > _NAME_CHARACTERS or not name.isprintable() or name in named:
            raise InputDataError(
                "the weights file is damaged",
                path=path,
                why=f"it has a tensor called {clipped(json.dumps(name), _SHOWN)}" + (" twice" if name in named else ""),
                remedy="copy or download it again",
            )
        named[name] = tensor
    if not named:
        raise InputDataError("the weights file holds no tensor", path=path, remedy="give a file of trained weights")
    return named


def _place_in(names: tuple[str, ...]) -> Callable[[ForeignTensor], int]:
    places = {name: place for place, name in enumerate(names)}
    return lambda tensor: places.get(tensor.name, len(places))


def _check_amount(path: Path, tensors: int, size: int, limits: Limits) -> None:
    if tensors > limits.tensors or size > limits.bytes:
        raise _too_much(path, f"{tensors} tensors of {size} bytes", limits)


def _too_much(path: Path, what: str, limits: Limits) -> InputDataError:
    return InputDataError(
        "the weights file is larger than allowed",
        path=path,
        why=f"{what}, and {limits.tensors} tensors of {limits.bytes} bytes are the limit",
        remedy="raise the limits if the file is meant to be this large",
    )


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
