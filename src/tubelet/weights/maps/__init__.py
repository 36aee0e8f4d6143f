"""All layouts of names by name: a literal table, whose modules are imported when a layout is asked for."""

from __future__ import annotations

from importlib import import_module

from tubelet.errors import UsageError
from tubelet.models.options import suggestion
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.name_map import NameMap

# name → the module whose MAPS has it
_MODULES = {
    "alexnet-caffe": "tubelet.weights.maps.imagenet",
    "alexnet-torchvision": "tubelet.weights.maps.imagenet",
    "bn-inception-torch": "tubelet.weights.maps.tsn",
    "c3d-caffe": "tubelet.weights.maps.c3d",
    "c3d-torch-davidea": "tubelet.weights.maps.c3d",
    "c3d-torch-mmaction": "tubelet.weights.maps.c3d",
    "c3d-torch-mmaction-trunk": "tubelet.weights.maps.c3d",
    "densenet121-torchvision": "tubelet.weights.maps.imagenet",
    "densenet169-torchvision": "tubelet.weights.maps.imagenet",
    "mc3-torchvision": "tubelet.weights.maps.res3d",
    "p3d-caffe-flow": "tubelet.weights.maps.p3d",
    "p3d-caffe-rgb": "tubelet.weights.maps.p3d",
    "p3d-torch-qiu": "tubelet.weights.maps.p3d",
    "p3d131-torch-qzhao-flow": "tubelet.weights.maps.p3d",
    "p3d131-torch-qzhao-rgb": "tubelet.weights.maps.p3d",
    "p3d199-torch-qzhao-flow": "tubelet.weights.maps.p3d",
    "p3d199-torch-qzhao-rgb": "tubelet.weights.maps.p3d",
    "p3d63-torch-qzhao-flow": "tubelet.weights.maps.p3d",
    "p3d63-torch-qzhao-rgb": "tubelet.weights.maps.p3d",
    "r2plus1d-torchvision": "tubelet.weights.maps.res3d",
    "r2plus1d34-vmz": "tubelet.weights.maps.res3d",
    "r3d-torchvision": "tubelet.weights.maps.res3d",
    "res3d-caffe": "tubelet.weights.maps.res3d",
    "resnet101-caffe": "tubelet.weights.maps.imagenet",
    "resnet101-torchvision": "tubelet.weights.maps.imagenet",
    "resnet152-caffe": "tubelet.weights.maps.imagenet",
    "resnet152-torchvision": "tubelet.weights.maps.imagenet",
    "resnet50-caffe": "tubelet.weights.maps.imagenet",
    "resnet50-torchvision": "tubelet.weights.maps.imagenet",
    "squeezenet-caffe": "tubelet.weights.maps.imagenet",
    "squeezenet-caffe-decoded": "tubelet.weights.maps.imagenet",
    "squeezenet-torchvision": "tubelet.weights.maps.imagenet",
    "squeezenet1_1-caffe": "tubelet.weights.maps.imagenet",
    "squeezenet1_1-torchvision": "tubelet.weights.maps.imagenet",
    "tsn-caffe-converted-flow": "tubelet.weights.maps.tsn",
    "tsn-caffe-converted-rgb": "tubelet.weights.maps.tsn",
    "tsn-caffe-flow": "tubelet.weights.maps.tsn",
    "tsn-caffe-rgb": "tubelet.weights.maps.tsn",
    "tsn-mmaction-resnet-flow": "tubelet.weights.maps.tsn",
    "tsn-mmaction-resnet101": "tubelet.weights.maps.tsn",
    "tsn-mmaction-resnet50": "tubelet.weights.maps.tsn",
    "tsn-torch-flow": "tubelet.weights.maps.tsn",
    "tsn-torch-resnet-flow": "tubelet.weights.maps.tsn",
    "tsn-torch-resnet101": "tubelet.weights.maps.tsn",
    "tsn-torch-resnet50": "tubelet.weights.maps.tsn",
    "tsn-torch-rgb": "tubelet.weights.maps.tsn",
    "tsn-torch-rgb-difference": "tubelet.weights.maps.tsn",
    "two-stream-vgg-m-caffe": "tubelet.weights.maps.two_stream",
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
    """The layouts that a file has: those that can fill ``model`` where one is named, and those that fit no network."""
    fitting = [each for each in map(get_map, list_maps()) if model is None or not each.models or model in each.models]
    return [each for each in fitting if each.recognizes(foreign)]


__all__ = ["NameMap", "get_map", "list_maps", "matching_maps"]
