"""Networks: one file per paper, one contract, one registry.

Nothing here imports torch until a network is built, so that ``tubelet models`` and ``--help`` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tubelet.models.contract import VideoModel
    from tubelet.models.counts import LayerUse, layer_uses
    from tubelet.models.folder import load_model
    from tubelet.models.info import ModelInfo
    from tubelet.models.precision import PrecisionReport, check_gradients
    from tubelet.models.registry import create_model, list_models, model_info
    from tubelet.models.spec import InputSpec, Paper

_HOMES = {
    "InputSpec": "spec",
    "LayerUse": "counts",
    "ModelInfo": "info",
    "Paper": "spec",
    "PrecisionReport": "precision",
    "VideoModel": "contract",
    "check_gradients": "precision",
    "create_model": "registry",
    "layer_uses": "counts",
    "list_models": "registry",
    "load_model": "folder",
    "model_info": "registry",
}

__all__ = [
    "InputSpec",
    "LayerUse",
    "ModelInfo",
    "Paper",
    "PrecisionReport",
    "VideoModel",
    "check_gradients",
    "create_model",
    "layer_uses",
    "list_models",
    "load_model",
    "model_info",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
