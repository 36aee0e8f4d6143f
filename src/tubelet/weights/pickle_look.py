"""What a plain pickle would do, read from its opcodes without doing it, to refuse it helpfully."""

from __future__ import annotations

import pickletools
from pathlib import Path

from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few
from tubelet.weights.signatures import cannot_read

_MAX_OPCODES = 200_000
# What hostile pickles ask for: modules whose functions run commands or code, or touch files.
_DANGEROUS = {
    *("os", "posix", "nt", "sys", "subprocess", "shutil", "pty", "socket", "runpy", "importlib", "ctypes", "code"),
    *("commands", "webbrowser", "asyncio", "multiprocessing", "pickle"),
    *(f"{b}.{f}" for b in ("builtins", "__builtin__") for f in ("eval", "exec", "compile", "open", "getattr")),
    *("builtins.__import__", "__builtin__.__import__", "__builtin__.execfile"),
}


def plain_pickle_error(path: Path) -> InputDataError:
    """The refusal of a pickle that ``torch.save`` has not written, naming what it asks for."""
    wanted, words = _look(path)
    why = "it is a plain pickle " + (f"that asks for {first_few(wanted, shown=5)}" if wanted else "without tensors")
    if "blobs" in words and any(name.startswith("numpy") for name in wanted):
        why = "it is a Caffe2 model pickled as NumPy arrays, as VMZ publishes them"
    trusted = "unpickle it yourself and save its arrays with safetensors.numpy.save_file"
    return cannot_read(path, f"{why}; nothing of it was run", remedy_for(wanted, trusted))


def remedy_for(wanted: list[str], trusted: str) -> str:
    """What to do about a pickle that asks for these globals; ``trusted`` unless one of them can run anything."""
    if any(name in _DANGEROUS or name.partition(".")[0] in _DANGEROUS for name in wanted):
        return "do not load this file anywhere: no weights need that"
    return f"if you trust it, {trusted}"


def _look(path: Path) -> tuple[list[str], set[str]]:
    """The globals in order, and the short texts, of the opcodes that can be read."""
    wanted: dict[str, None] = {}
    words: list[str] = []
    try:
        with path.open("rb") as file:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if opcode.name in ("GLOBAL", "INST"):
                    wanted[str(argument).replace(" ", ".")] = None
                elif opcode.name == "STACK_GLOBAL":  # takes the last two texts
                    wanted[".".join(words[-2:])] = None
                elif isinstance(argument, str) and len(argument) <= 100:
                    words.append(argument)
                if count >= _MAX_OPCODES:
                    break
    except Exception:  # pickletools promises no class of error for damaged pickles
        pass
    return list(wanted), set(words)
