"""A safetensors file written row by row, and read by rows: trajectories of a long video do not fit into memory.

The file is an ordinary one: any reader of safetensors opens it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from tubelet.artifacts import write_atomically
from tubelet.errors import InputDataError

_CODES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
}
_NAMES = {dtype: code for code, dtype in _CODES.items()}
_HASHES = "sha256"
_ALIGNMENT = 8
_COPIED = 1 << 20  # bytes at a time


@dataclass(frozen=True)
class Rows:
    """What the rows of a tensor are: their type and their shape."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))


class TensorSpool:
    """Tensors that grow by rows, kept on disk beside their place until the file is written; for a ``with`` block.

    Parameters
    ----------
    target
        Where the file shall be. What is collected lies in nameless files in its folder, which the system removes
        however the process ends.
    tensors
        The rows of each tensor, by name.
    """

    def __init__(self, target: Path, tensors: Mapping[str, Rows]) -> None:
        self._target = target
        self._tensors = dict(tensors)
        self._hashes = {name: hashlib.sha256() for name in tensors}
        self._open = ExitStack()
        target.parent.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, IO[bytes]] = {}
        for name in tensors:
            self._files[name] = self._open.enter_context(tempfile.TemporaryFile(dir=target.parent))  # noqa: SIM115
        self.rows = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all rows so far."""
        return self.rows * sum(rows.nbytes for rows in self._tensors.values())

    def add(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Append the same number of rows to every tensor; they are cast to its type."""
        counts = {len(values[name]) for name in self._tensors}
        assert len(counts) == 1, "every tensor has the same rows"
        for name, rows in self._tensors.items():
            part = np.ascontiguousarray(values[name], dtype=rows.dtype)
            assert part.shape[1:] == rows.shape, name
            data = part.tobytes()
            self._hashes[name].update(data)
            self._files[name].write(data)
        self.rows += counts.pop()

    def write(self, metadata: Mapping[str, str]) -> None:
        """Put the file in its place, whole or not at all, with the SHA-256 of each tensor in its metadata."""
        hashes = {name: digest.hexdigest() for name, digest in self._hashes.items()}
        header: dict[str, Any] = {"__metadata__": {**metadata, _HASHES: json.dumps(hashes)}}
        # The widest numbers first, as the format's own writer does, so that all are aligned.
        order = sorted(self._tensors, key=lambda name: (-self._tensors[name].dtype.itemsize, name))
        position = 0
        for name in order:
            rows = self._tensors[name]
            end = position + self.rows * rows.nbytes
            header[name] = {
                "dtype": _NAMES[rows.dtype],
                "shape": [self.rows, *rows.shape],
                "data_offsets": [position, end],
            }
            position = end
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        text += b" " * (-len(text) % _ALIGNMENT)

        def fill(temporary: Path) -> None:
            with temporary.open("wb") as file:
                file.write(len(text).to_bytes(8, "little") + text)
                for name in order:
                    self._files[name].seek(0)
                    shutil.copyfileobj(self._files[name], file, _COPIED)

        write_atomically(self._target, fill)

    def __enter__(self) -> TensorSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


class TensorFile:
    """A file of `TensorSpool`, opened: its header is checked, nothing of its tensors is read yet.

    Attributes
    ----------
    path
        Where it lies.
    metadata
        What `TensorSpool.write` was given.
    hashes
        Hexadecimal SHA-256 of each tensor, as it was written.

    Raises
    ------
    InputDataError
        It cannot be read, is no such file, or has not the size that its header announces.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(path, framework="numpy") as checked:  # sizes, places, types and shapes
                metadata = dict(checked.metadata() or {})
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(length))
            self.hashes: dict[str, str] = {
                str(name): str(digest) for name, digest in json.loads(metadata.pop(_HASHES)).items()
            }
        except SafetensorError as error:
            raise self.damaged(f"it is no whole safetensors file: {error}") from error
        except OSError as error:
            raise self.damaged(error.strerror or str(error)) from error
        except (KeyError, ValueError, AttributeError, RecursionError) as error:
            raise self.damaged("its header is not one of trajectories") from error
        self.metadata: dict[str, str] = metadata
        self._start = 8 + length
        self._entries: dict[str, Any] = {name: entry for name, entry in header.items() if name != "__metadata__"}

    def require(self, tensors: Mapping[str, Rows], count: int) -> None:
        """Raise ``InputDataError`` unless the file has these tensors and no others, of ``count`` rows each."""
        found = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in self._entries.items()}
        wanted = {name: (_NAMES[rows.dtype], (count, *rows.shape)) for name, rows in tensors.items()}
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                raise self.damaged(f"{name} is {found.get(name)}, not {wanted.get(name)}")
        if self.hashes.keys() != wanted.keys():
            raise self.damaged("it does not say the hash of each tensor")

    def rows(self, name: str, chosen: NDArray[np.int64]) -> NDArray[Any]:
        """These rows of a tensor; only they are read."""
        shape, dtype, offset = self._place(name)
        if not len(chosen):
            return np.zeros((0, *shape[1:]), dtype)
        try:
            stored = np.memmap(self.path, dtype, mode="r", offset=offset, shape=shape)
        except (OSError, ValueError) as error:  # ValueError: the file ends before
            raise self.damaged(str(error)) from error
        return np.asarray(stored[chosen])

    def tensor(self, name: str) -> NDArray[Any]:
        """A whole tensor, writable; raises ``InputDataError`` if it is not what was written."""
        shape, dtype, offset = self._place(name)
        data = bytearray(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                read = file.readinto(data)
        except OSError as error:
            raise self.damaged(error.strerror or str(error)) from error
        if read != len(data) or hashlib.sha256(data).hexdigest() != self.hashes.get(name):
            raise self.damaged(f"{name} is not what was written")
        return np.frombuffer(data, dtype).reshape(shape)

    def damaged(self, why: str) -> InputDataError:
        """An error about this file."""
        return InputDataError(
            "stored trajectories are damaged",
            path=self.path,
            why=why,
            remedy="delete the file and run tubelet extract --model idt again, which computes it anew",
        )

    def _place(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
        entry = self._entries[name]
        return tuple(entry["shape"]), _CODES[entry["dtype"]], self._start + int(entry["data_offsets"][0])
