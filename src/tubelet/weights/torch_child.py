"""The child's side of reading a torch file: unpickle with ``weights_only``, check, write safetensors.

Runs in a `GuardedPool` child with limits on memory and time, so that what a hostile file can do ends there. The
parent gets a safetensors file, which it checks, and words.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tubelet.errors import InputDataError
from tubelet.models.tensors import TYPE_CODES
from tubelet.reporting.text import clipped
from tubelet.weights.pickle_look import plain_pickle_error, remedy_for
from tubelet.weights.signatures import cannot_read

_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that begins a file of torch.save before 1.6
_COUNT_BYTES = 8
_MAX_DEPTH = 32
_MAX_ENTRIES = 200_000
_MAX_NOTES = 100
_SHOWN = 120  # characters of a text from the file
_KNOWN_RECORDS = {"data.pkl", "version", "byteorder", ".data/serialization_id", ".format_version", ".storage_alignment"}


def convert(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], None]]:
    """The pool's task: rewrite ``path`` as the safetensors file ``out``; yields what there is to say about it.

    Parameters
    ----------
    request
        ``path``, ``out``, ``max_tensors``, ``max_bytes``.

    Yields
    ------
    dict
        ``form``; ``names`` in the file's order; ``unreadable``, a list of (name, dtype, shape, why); ``notes``.
    """
    path = Path(request["path"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about its own old formats
        form, value, notes = _load(path)
    tensors, unreadable, names = _collect(path, value, notes)
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if len(tensors) + len(unreadable) > request["max_tensors"] or total > request["max_bytes"]:
        raise cannot_read(
            path,
            f"{len(tensors) + len(unreadable)} tensors of {total} bytes are over the limit",
            "raise the limits if the file is meant to be this large",
        )
    # Copies: tensors that share memory (tied weights, views) may not lie in one safetensors file.
    save_file({name: torch.empty(t.shape, dtype=t.dtype).copy_(t) for name, t in tensors.items()}, request["out"])
    if len(notes) > _MAX_NOTES:
        notes = [*notes[:_MAX_NOTES], f"and {len(notes) - _MAX_NOTES} more values that are no tensors"]
    yield {"form": form, "names": names, "unreadable": unreadable, "notes": notes}, None


def _load(path: Path) -> tuple[str, Any, list[str]]:
    notes: list[str] = []
    try:
        with path.open("rb") as file:
            head = file.read(64)
        if head.startswith(b"PK"):
            sizes = _check_archive(path, notes)
            value = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            _check_storages(path, value, sizes)
            return "torch.save (zip)", value, notes
        if _MAGIC not in head:
            raise plain_pickle_error(path)
        with path.open("rb") as file:
            value = torch.load(file, map_location="cpu", weights_only=True)
            if left := len(file.read()):
                raise cannot_read(path, f"{left} bytes follow its last tensor", "copy or download it again")
        _check_tail(path, value)
        return "torch.save (before 1.6)", value, notes
    except InputDataError:
        raise
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from None
    except MemoryError:
        raise
    except Exception as error:
        # What torch raises on a damaged file is of no fixed class: RuntimeError, EOFError, KeyError, struct.error…
        raise cannot_read(path, _first_line(error), "copy or download it again") from None


def _check_archive(path: Path, notes: list[str]) -> list[int]:
    """Look the zip archive over before torch maps it; the sizes of the records that hold storages."""
    sizes = []
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        root = entries[0].filename.partition("/")[0] if entries else ""
        names = [entry.filename for entry in entries]
        if f"{root}/constants.pkl" in names:
            raise cannot_read(
                path,
                "it is a TorchScript archive, which holds code",
                "load it with torch.jit.load where you trust it, and save its state_dict with torch.save",
            )
        if f"{root}/data.pkl" not in names:
            raise cannot_read(
                path, "it is a zip archive but not of torch.save", "unpack it and give the weights file in it"
            )
        if len(set(names)) != len(names) or any(not name.startswith(f"{root}/") for name in names):
            raise cannot_read(
                path, "its zip archive has a record twice or outside its folder", "copy or download it again"
            )
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            raise cannot_read(
                path, "its zip archive is compressed or encrypted, as torch.save never does", "save it again"
            )
        if (damaged := archive.testzip()) is not None:
            raise cannot_read(path, f"the checksum of its record {damaged} is wrong", "copy or download it again")
        for entry in entries:
            record = entry.filename.removeprefix(f"{root}/")
            if record.startswith("data/"):
                sizes.append(entry.file_size)
            elif record not in _KNOWN_RECORDS:
                notes.append(f"record {record} passed over")
    return sizes


def _check_storages(path: Path, value: Any, sizes: list[int]) -> None:
    """Every storage record must be exactly as long as the pickle says: torch does not look when it maps a file."""
    storages, _ = _storages(path, value)
    if sorted(storages) != sorted(size for size in sizes if size):
        raise cannot_read(
            path,
            f"its {len(sizes)} records do not have the sizes that its {len(storages)} tensors' storages need",
            "copy or download it again",
        )


def _check_tail(path: Path, value: Any) -> None:
    """Before 1.6 the storages, each after its count, fill the end of the file, behind a pickle of their names.

    torch fills those that are named there and leaves the memory of the others as it was.
    """
    storages, empty = _storages(path, value)
    tail = path.stat().st_size - sum(storages) - _COUNT_BYTES * len(storages)
    counts = {size // width for size in storages for width in (1, 2, 4, 8, 16)}
    with path.open("rb") as file:
        for none in range(empty + 1):  # an empty storage is a count alone, and many tensors may share it
            if (begin := tail - none * _COUNT_BYTES) < 1:
                break
            file.seek(begin - 1)
            end_of_pickle, count = file.read(1), int.from_bytes(file.read(_COUNT_BYTES), "little")
            if end_of_pickle == b"." and (count in counts or (none and not count) or not storages):
                return
    raise cannot_read(path, "it does not hold all the storages that its tensors need", "copy or download it again")


def _storages(path: Path, value: Any) -> tuple[list[int], int]:
    """The sizes in bytes of all storages with values, each once, and how many tensors have none."""
    sizes, empty = {}, 0
    for _, tensor in _walk(path, value):
        if isinstance(tensor, Tensor) and tensor.device.type == "cpu":
            for part in _dense_parts(tensor):
                storage = part.untyped_storage()
                if storage.nbytes():
                    sizes[storage.data_ptr()] = storage.nbytes()
                else:
                    empty += 1
    return list(sizes.values()), empty


def _dense_parts(tensor: Tensor) -> list[Tensor]:
    if tensor.layout == torch.strided:
        return [tensor]
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]


def _collect(
    path: Path, value: Any, notes: list[str]
) -> tuple[dict[str, Tensor], list[tuple[str, str, list[int], str]], list[str]]:
    """The tensors by name, those that have no safetensors form, and all names in the file's order."""
    tensors: dict[str, Tensor] = {}
    unreadable: list[tuple[str, str, list[int], str]] = []
    names: dict[str, None] = {}
    for name, leaf in _walk(path, value):
        if not isinstance(leaf, Tensor):
            shown = repr(leaf) if isinstance(leaf, str | int | float | None) else type(leaf).__name__
            notes.append(f"{name} = {clipped(shown, _SHOWN)}")
            continue
        if name in names or name == "__metadata__":
            raise cannot_read(
                path, f"two tensors are called {clipped(name, _SHOWN)}", "save its state_dict alone, with torch.save"
            )
        names[name] = None
        why = _why_not(leaf)
        if why is None:
            tensors[name] = leaf.detach()
        else:
            unreadable.append((name, TYPE_CODES.get(leaf.dtype, str(leaf.dtype)), list(leaf.shape), why))
    return tensors, unreadable, list(names)


def _why_not(tensor: Tensor) -> str | None:
    if tensor.layout != torch.strided:
        return f"it is sparse ({tensor.layout})"
    if tensor.is_quantized or tensor.dtype not in TYPE_CODES:
        return f"numbers of type {tensor.dtype} are not read"
    if tensor.device.type != "cpu":
        return f"it has no values (device {tensor.device})"
    return None


def _walk(path: Path, value: Any) -> Iterator[tuple[str, Any]]:
    """Every leaf of nested dictionaries, lists and tuples with its keys joined by dots."""
    count = 0
    stack: list[tuple[str, int, Any]] = [("", 0, value)]
    while stack:
        name, depth, inside = stack.pop()
        count += 1
        # Containers may hold themselves, or one another many times over: both are cut off here.
        if depth > _MAX_DEPTH or count > _MAX_ENTRIES:
            raise cannot_read(
                path, "its containers are nested too deeply or hold too much", "save its state_dict alone"
            )
        if isinstance(inside, dict):
            items = [(str(key), item) for key, item in inside.items()]
        elif isinstance(inside, list | tuple):
            items = [(str(index), item) for index, item in enumerate(inside)]
        else:
            yield name or "tensor", inside
            continue
        stack += [(f"{name}.{key}" if name else key, depth + 1, item) for key, item in reversed(items)]


def _refused(path: Path, message: str) -> InputDataError:
    found = re.search(r"GLOBAL (\S+)", message)
    if found is None:
        return cannot_read(path, f"its pickle is damaged: {_first_line(message)}", "copy or download it again")
    wanted = found.group(1).rstrip(".")
    trusted = "load it once with weights_only=False where that class is installed and torch.save only its state_dict"
    return cannot_read(
        path, f"it asks for {wanted}, which is no weights; nothing of it was run", remedy_for([wanted], trusted)
    )


def _first_line(message: object) -> str:
    text = str(message).strip() or type(message).__name__
    return clipped(text.splitlines()[0], _SHOWN)
