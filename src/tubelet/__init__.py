"""Tubelet: timm for video CNNs, and the pipeline around them.

The names below are loaded on first use, so that ``import tubelet`` costs nothing and changes nothing.

>>> from tubelet import Video, Extractor, create_model, list_models, load_model, model_info
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tubelet.version import __version__

if TYPE_CHECKING:
    from tubelet.descriptors.extractor import Extractor
    from tubelet.models.folder import load_model
    from tubelet.models.registry import create_model, list_models, model_info
    from tubelet.video.reader import Video

_WHERE = {
    "Video": "tubelet.video.reader",
    "Extractor": "tubelet.descriptors.extractor",
    "create_model": "tubelet.models.registry",
    "list_models": "tubelet.models.registry",
    "model_info": "tubelet.models.registry",
    "load_model": "tubelet.models.folder",
}

__all__ = ["Extractor", "Video", "__version__", "create_model", "list_models", "load_model", "model_info"]


def __getattr__(name: str) -> object:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'tubelet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
