"""``model.safetensors``: written, checked against the network before anything is loaded, and hashed."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tubelet.errors import InputDataError
from tubelet.provenance import sha256_file
from tubelet.reporting.text import first_few, times

_HEADER_LIMIT = 100_000_000  # the format's own limit, in bytes
TYPE_CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""How safetensors spells the types that weights files here may have."""

_TYPES = {code: dtype for dtype, code in TYPE_CODES.items()}
_BYTES = {code: dtype.itemsize for code, dtype in _TYPES.items()}
_MAX_AXES = 64  # NumPy's limit; a product of millions of sides would take forever
_SHOWN = 5


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a safetensors header describes it: type code (``F32``, ``I64``), shape, and its place in the file.

    Two are equal if type and shape are; ``offset`` is the byte at which the values begin.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.dtype} {times(self.shape)}"


def write_tensors(model: nn.Module, path: Path) -> None:
    """Write a network's weights and buffers: floating point as float32, contiguous, under their names."""
    tensors = {name: _portable(tensor) for name, tensor in model.state_dict().items()}
    save_file(tensors, path)


def contents_sha256(model: nn.Module) -> str:
    """SHA-256 of the file that `write_tensors` makes of the weights as they are now."""
    with tempfile.TemporaryDirectory(prefix="tubelet-") as folder:
        path = Path(folder) / "model.safetensors"
        write_tensors(model, path)
        return sha256_file(path)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Names, types and shapes in a safetensors file, whose size is checked against them; no tensor is read.

    Raises
    ------
    InputDataError
        If the file is missing, truncated, too long, or no safetensors file.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise _damaged(path, "its header is no safetensors header")
            header = json.loads(file.read(length), object_pairs_hook=_distinct)
    except FileNotFoundError as error:
        raise InputDataError("the model folder has no weights", path=path, remedy="save the model again") from error
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no table of tensors")
    stored, spans = {}, []
    for name, entry in header.items():
        if name != "__metadata__":
            stored[name], span = _entry(path, name, entry, 8 + length)
            spans.append(span)
    # The tensors fill the rest of the file without gap or overlap.
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            raise _damaged(path, "its tensors leave a gap or overlap")
        position = end
    if size != 8 + length + position:
        raise _damaged(path, f"it has {size} bytes where its header announces {8 + length + position}")
    return stored


def read_tensor(path: Path, stored: StoredTensor) -> Tensor:
    """One tensor of a file whose header was read, without reading the header again: a new tensor of its own memory.

    Raises
    ------
    InputDataError
        The file is gone, or shorter than it was.
    """
    dtype = _TYPES[stored.dtype]
    values = bytearray(dtype.itemsize * prod(stored.shape))
    try:
        with path.open("rb") as file:
            file.seek(stored.offset)
            count = file.readinto(values)
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    if count != len(values):
        raise _damaged(path, "it is shorter than when it was opened")
    return (
        torch.frombuffer(values, dtype=dtype).reshape(stored.shape)
        if values
        else torch.empty(stored.shape, dtype=dtype)
    )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")  # JSON's readers would keep either tensor
    return table


def _entry(path: Path, name: str, entry: Any, values: int) -> tuple[StoredTensor, tuple[int, int]]:
    try:
        shape = tuple(entry["shape"])
        if len(shape) > _MAX_AXES:
            raise ValueError("too many axes")
        begin, end = entry["data_offsets"]
        wanted = _BYTES[entry["dtype"]] * prod(shape)
        sound = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"its header says nonsense about {name!r}") from error
    if not sound or end - begin != wanted:
        raise _damaged(path, f"its header says nonsense about {name!r}")
    return StoredTensor(entry["dtype"], shape, values + begin), (begin, end)


def check_tensors(model: nn.Module, stored: dict[str, StoredTensor], path: Path) -> None:
    """Compare a file's tensors with those of a network (its device may be ``meta``).

    Raises
    ------
    InputDataError
        If they differ; the sentence names the first five differences.
    """
    wanted = {
        name: StoredTensor("F32" if tensor.is_floating_point() else "I64", tuple(tensor.shape))
        for name, tensor in model.state_dict().items()
    }
    differences = [f"{name} is missing" for name in wanted if name not in stored]
    differences += [f"{name} is not in the network" for name in stored if name not in wanted]
    differences += [
        f"{name} is {stored[name]} instead of {tensor}"
        for name, tensor in wanted.items()
        if name in stored and stored[name] != tensor
    ]
    if differences:
        raise InputDataError(
            "the weights do not fit the network",
            path=path,
            why=first_few(differences, "; ", _SHOWN),
            remedy="use the options that the model was built with",
        )


@torch.no_grad()
def fill(model: nn.Module, path: Path) -> None:
    """Copy a checked file's tensors into a network of the same names and shapes."""
    with safe_open(path, framework="pt", device="cpu") as file:
        for name, tensor in model.state_dict().items():
            tensor.copy_(file.get_tensor(name))


def _portable(tensor: Tensor) -> Tensor:
    whole = tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else None)
    return whole.contiguous()


def _damaged(path: Path, why: str) -> InputDataError:
    return InputDataError("the weights file is damaged", path=path, why=why, remedy="copy or save it again")
