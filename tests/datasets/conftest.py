"""Folders made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """``tree("walk/a.avi", ...)`` makes files below a new folder, each holding its own name, and returns it.

    A path that ends with "/" becomes a folder of three frames.
    """

    def make(*names: str, root: str = "data") -> Path:
        folder = tmp_path / root
        folder.mkdir(exist_ok=True)
        for name in names:
            if name.endswith("/"):
                for number in range(1, 4):
                    frame = folder / name / f"{number:06d}.jpg"
                    frame.parent.mkdir(parents=True, exist_ok=True)
                    frame.write_bytes(f"{name} {number}".encode())
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(name.encode())
        return folder

    return make
