"""Folders of small networks of transformers, saved once for the session; skips where transformers is not installed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models.huggingface.made import Save, network, write_processor


@pytest.fixture(scope="session")
def transformers() -> Any:
    """The module; skips where the extra hf is not installed."""
    return pytest.importorskip("transformers", reason="the extra hf is not installed")


@pytest.fixture(scope="session")
def saved(transformers: Any, made_once: Any) -> Save:
    """``saved(name)``: the folder of one of `made.NETWORKS`."""

    def fill(name: str, folder: Path) -> None:
        network(transformers, name).save_pretrained(folder)
        video = name.startswith(("videomae", "vjepa2"))
        write_processor(folder, video=video, image_processor_type="CLIPImageProcessor")  # it does what its file says

    return lambda name: made_once(f"hf-{name}", partial(fill, name))
