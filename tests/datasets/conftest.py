"""Folders made on the spot, and the real data where they are to be had."""

from __future__ import annotations

import os
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


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared real data; skips where it is absent."""
    default = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("TUBELET_DATA", default))
    if not (folder / "weizmann").is_dir():
        pytest.skip(f"the real data are not at {folder} (set TUBELET_DATA)")
    return folder
