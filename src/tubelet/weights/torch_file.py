"""A file of ``torch.save`` rewritten as safetensors by a child process; nothing is unpickled in this one."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tubelet.errors import DecodeWorkerError, InputDataError
from tubelet.video.guard import GuardedPool
from tubelet.weights.signatures import cannot_read

_TASK = "tubelet.weights.torch_child:convert"
_MEMORY_BYTES = 3 << 30  # torch itself and its libraries' private pages
_COPIES = 4  # the mapping, the tensors, their copies, and the bytes that safetensors writes
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class TorchFile:
    """What the child said.

    Attributes
    ----------
    form
        Which of torch's formats it is.
    names
        Of all tensors, in the file's order.
    unreadable
        Name, dtype, shape and reason of each tensor that has no safetensors form.
    notes
        What else is in the file, in sentences.
    """

    form: str
    names: tuple[str, ...]
    unreadable: tuple[tuple[str, str, list[int], str], ...]
    notes: tuple[str, ...]


def torch_pool(size_bytes: int, timeout_s: float = _TIMEOUT_S) -> GuardedPool:
    """Child processes that read torch files of up to ``size_bytes``, kept from one file to the next."""
    return GuardedPool(_TASK, memory_bytes=_MEMORY_BYTES + _COPIES * size_bytes, stall_timeout_s=timeout_s)


def convert_torch(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    max_tensors: int,
    max_bytes: int,
    pool: GuardedPool | None = None,
) -> TorchFile:
    """Rewrite a torch file as safetensors.

    Parameters
    ----------
    path
        What ``torch.save`` wrote, in its zip format or the one before 1.6.
    out
        The safetensors file to write: every tensor under its keys joined with dots.
    max_tensors, max_bytes
        Limits on what comes out.
    pool
        Of `torch_pool`; by default a child is started for this file.

    Raises
    ------
    InputDataError
        Damaged, over the limits, or asking for anything but tensors and plain containers; the sentence says for
        what. Also when the child died, hung or ran out of memory on it.
    """
    path = os.path.abspath(path)
    request = {"path": path, "out": os.path.abspath(out), "max_tensors": max_tensors, "max_bytes": max_bytes}
    try:
        with nullcontext(pool) if pool is not None else torch_pool(Path(path).stat().st_size) as children:
            (message,) = children.run(request)
        return _understood(message.header)
    except DecodeWorkerError as error:
        raise _failed(path, f"failed: {error.why}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise _failed(path, "answered nonsense") from error


def _failed(path: str, how: str) -> InputDataError:
    return cannot_read(path, f"the process that read it {how}", "copy or download it again")


def _understood(said: dict[str, Any]) -> TorchFile:
    # A child that a file has taken over may say anything, but only as JSON: what is used is made text and numbers.
    return TorchFile(
        str(said["form"]),
        tuple(str(name) for name in said["names"]),
        tuple(
            (str(name), str(dtype), [int(n) for n in shape], str(why)) for name, dtype, shape, why in said["unreadable"]
        ),
        tuple(str(note) for note in said["notes"]),
    )
