"""What is known about one kind of public file: which networks it fits, by which rules, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tubelet.models.contract import VideoModel
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.rules import WeightMap

UNSTATED = "not stated: none was found where the file is linked"


@dataclass(frozen=True)
class NameMap:
    """One layout of names, as one code base writes it.

    Attributes
    ----------
    name
        Short and unique, such as ``c3d-caffe`` or ``p3d-torch-qzhao``.
    title
        One line for people: which files these are.
    models
        Registry names that it can fill.
    recipe
        Name of the recipe these weights saw in training; weights are worth nothing with another one.
    recognizes
        Whether a file has this layout, by its tensors' names and shapes.
    build
        The rules for one network, already built with ``options`` and the file's number of classes.
    options
        Options that the network has to be built with.
    classes
        Number of classes that a file has, by its classifier; None where the file has no classifier.
    license
        What its publisher says about use, or that nothing is said.
    """

    name: str
    title: str
    models: tuple[str, ...]
    recipe: str
    recognizes: Callable[[ForeignFile], bool]
    build: Callable[[VideoModel], WeightMap]
    classes: Callable[[ForeignFile], int | None]
    options: Mapping[str, Any] = field(default_factory=dict)
    license: str = UNSTATED
