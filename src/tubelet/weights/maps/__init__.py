"""All layouts of names by name: a literal table, whose modules are imported when a layout is asked for."""

from __future__ import annotations

from importlib import import_module

from tubelet.errors import UsageError
from tubelet.models.options import suggestion
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.name_map import NameMap

# name → the module whose MAPS has it
_MODULES = {
    "c3d-caffe": "tubelet.weights.maps.c3d",
    "c3d-torch-davidea": "tubelet.weights.maps.c3d",
    "c3d-torch-mmaction": "tubelet.weights.maps.c3d",
    "c3d-torch-mmaction-trunk": "tubelet.weights.maps.c3d",
    "mc3-torchvision": "tubelet.weights.maps.res3d",
    "r2plus1d-torchvision": "tubelet.weights.maps.res3d",
    "r3d-torchvision": "tubelet.weights.maps.res3d",
    "res3d-caffe": "tubelet.weights.maps.res3d",
}


def list_maps() -> list[str]:
    """Names of all layouts, sorted."""
    return sorted(_MODULES)


def get_map(name: str) -> NameMap:
    """A layout by its name.

    Raises
    ------
    UsageError
        If there is no such layout.
    """
    if name not in _MODULES:
        raise UsageError(f"there is no layout {name!r}", remedy=suggestion(name, list_maps(), "the layouts are"))
    maps: tuple[NameMap, ...] = import_module(_MODULES[name]).MAPS
    return next(each for each in maps if each.name == name)


def matching_maps(foreign: ForeignFile, model: str | None = None) -> list[NameMap]:
    """The layouts that a file has, of those that can fill a network where one is named."""
    maps = map(get_map, list_maps())
    return [each for each in maps if (model is None or model in each.models) and each.recognizes(foreign)]


__all__ = ["NameMap", "get_map", "list_maps", "matching_maps"]
