"""Shared by the tests of ``tubelet.video``: encoded clips, real data, a cache folder of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the helper module `damage`


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's cache folder; each starts with an empty one."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TUBELET_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``clip(name, n_frames)``: a numbered video in one of the formats of ``damage``, encoded once a session."""
    from damage import FORMATS, encode

    folder = tmp_path_factory.mktemp("clips")

    def get(name: str, n_frames: int = 50) -> Path:
        form = FORMATS[name]
        path = folder / f"{name}-{n_frames}{form.suffix}"
        return path if path.exists() else encode(path, form, n_frames)

    return get


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real videos, see its README; tests that need it are skipped without it."""
    folder = Path(os.environ.get("TUBELET_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set TUBELET_DATA")
    return folder
