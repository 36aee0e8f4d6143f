"""The record that every output carries: versions, machine, command, hashes, seeds."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from tubelet.version import __version__

PROVENANCE_FILE = "provenance.json"
"""Where the record lies in a folder that a run over videos fills."""

_PACKAGES = ("torch", "numpy", "av", "scikit-learn", "safetensors", "lancedb", "pyarrow")


def tool_version() -> str:
    """Version of this package, as written into every output."""
    return __version__


def package_versions(names: tuple[str, ...] = _PACKAGES) -> dict[str, str | None]:
    """Installed version of each package (None where it is missing), read without importing them."""
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def environment(**more: Any) -> dict[str, Any]:
    """Describe the process that makes an output; ``more`` adds facts such as the seed.

    Returns
    -------
    dict
        JSON-ready: tool, Python, platform, processor count, package versions, command line.
    """
    return {
        "tool": "tubelet",
        "tool_version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "packages": package_versions(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        **more,
    }


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON value, equal for equal values whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all ``parts``, the same on every machine and in every process.

    Each clip's random state is ``derive_seed(seed, epoch, sample)``, so it depends neither on the number of
    workers nor on what was drawn before it.
    """
    digest = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
