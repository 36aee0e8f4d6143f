"""An error's or a warning's way from a guarded child to its parent, as JSON."""

from __future__ import annotations

import builtins
import os
import traceback
import warnings
from typing import Any

from tubelet import errors
from tubelet.errors import DecodeWorkerError, TubeletError

MORE_MEMORY = "raise the memory limit if the file is meant to be this large"


def describe_error(error: BaseException) -> dict[str, Any]:
    """An error as JSON: a ``TubeletError`` by classes and parts, any other by type, message and place."""
    memory = is_out_of_memory(error)
    if isinstance(error, TubeletError):
        kinds = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, TubeletError)]
        parts = {"what": error.what, "path": error.path, "why": error.why, "remedy": error.remedy}
        return {"kinds": kinds, "memory": memory, **parts}
    text = " ".join(str(error).split())[:500]
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {os.path.basename(place[0].filename)}:{place[0].lineno}" if place else ""
    return {"kinds": [], "memory": memory, "what": f"{type(error).__name__}: {text}{where}"}


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, says that an allocation failed."""
    while error is not None:
        # torch reports a failed allocation as a RuntimeError.
        if isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def rebuild_error(described: dict[str, Any], path: str | None, memory_bytes: int) -> TubeletError:
    """The error that a child has described, for the parent to raise.

    Parameters
    ----------
    described
        What `describe_error` returned there; not trusted, since a hostile file may have taken the child over.
    path
        The file that the request was about, if any.
    memory_bytes
        The child's limit.

    Returns
    -------
    TubeletError
        For a ``TubeletError`` the most special of its classes that `tubelet.errors` has, with the same words;
        for a failed allocation and for any other exception a `DecodeWorkerError`.
    """
    if described.get("memory"):
        parts = [out_of_memory(memory_bytes), described.get("what"), described.get("why")]
        why = ": ".join(str(part) for part in parts if part)
        return DecodeWorkerError("the decoding process failed", path=path, why=why, remedy=MORE_MEMORY)
    for name in described.get("kinds") or ():
        kind = getattr(errors, str(name), None)
        if isinstance(kind, type) and issubclass(kind, TubeletError):
            words = {part: described.get(part) for part in ("path", "why", "remedy")}
            return kind(str(described.get("what")), **words)
    return DecodeWorkerError("decoding failed unexpectedly", path=path, why=str(described.get("what")))


def out_of_memory(memory_bytes: int) -> str:
    """The cause, in words."""
    return f"out of memory (limit {memory_bytes / (1 << 30):.2g} GiB)"


def warn_again(described: dict[str, Any], stacklevel: int) -> None:
    """Give a child's warning in the parent, whose filters decide what becomes of it.

    Parameters
    ----------
    described
        ``category`` (name of a built-in warning; any other becomes a ``UserWarning``) and ``text``.
    stacklevel
        As for `warnings.warn`, counted from here.
    """
    category = getattr(builtins, str(described.get("category")), UserWarning)
    if not (isinstance(category, type) and issubclass(category, Warning)):
        category = UserWarning
    warnings.warn(str(described.get("text")), category, stacklevel=stacklevel)
