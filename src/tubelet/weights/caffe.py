"""A ``.caffemodel``: the layers of a trained network with their blobs, read without Caffe and without protobuf.

Three layouts exist. C3D v1.0 and stock Caffe before 2014 write ``NetParameter.layers = 2`` with ``name = 4,
type = 5 (a number), blobs = 6`` (called V1); stock Caffe since then, C3D v1.1, TSN and P3D write ``layer = 100``
with ``name = 1, type = 2 (text), blobs = 7`` (V2). The blobs have a numbering of their own, see `caffe_blob`.
Sources: ``caffe.proto`` of facebook/C3D (v1.0, v1.1) and of BVLC/caffe.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from tubelet.errors import InputDataError
from tubelet.weights.caffe_blob import C3D, Blob, Numbering, read_blob
from tubelet.weights.wire import LENGTH, VARINT, Field, WireFile

# The numbers of layer types in V1. Both enumerations agree below 30, apart from 25.
_COMMON = IntEnum(
    "_COMMON",
    "NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA HDF5_OUTPUT IM2COL "
    "IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS POOLING RELU SIGMOID SOFTMAX "
    "SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE POWER SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS MEMORY_DATA",
    start=0,
)
_ONLY_STOCK = IntEnum(
    "_ONLY_STOCK",
    "ARGMAX THRESHOLD DUMMY_DATA SLICE MVN ABSVAL SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION",
    start=30,
)
_ONLY_C3D = IntEnum(
    "_ONLY_C3D",
    "CONVOLUTION3D POOLING3D VOLUME_DATA VIDEO_DATA DECONVOLUTION3D VIDEO_SEGMENTATION_DATA VOXEL_SOFTMAX "
    "VOXEL_SOFTMAX_LOSS VIDEO_WITH_VOXEL_TRUTH_DATA VOXEL_CUSTOM_LOSS DOWN_SAMPLING",
    start=30,
)
_STOCK_TYPES = {kind.value: kind.name for kinds in (_COMMON, _ONLY_STOCK) for kind in kinds}
_C3D_TYPES = {kind.value: kind.name for kinds in (_COMMON, _ONLY_C3D) for kind in kinds} | {25: "ELTWISE_PRODUCT"}


@dataclass(frozen=True)
class _Layout:
    """Which field number of a layer means what; ``None``: there is no such field."""

    version: str
    name: int
    type: int
    blobs: int
    plain: frozenset[int]
    old_layer: int | None = None


_V1 = _Layout("V1", name=4, type=5, blobs=6, plain=frozenset({2, 3}), old_layer=1)
_V2 = _Layout("V2", name=1, type=2, blobs=7, plain=frozenset({3, 4}))
_LAYOUTS = {2: _V1, 100: _V2}


@dataclass(frozen=True)
class CaffeLayer:
    """A layer: its name, its type as the file spells it (a number's name in V1), its blobs in order."""

    name: str
    type: str
    blobs: tuple[Blob, ...]


@dataclass(frozen=True)
class CaffeNet:
    """What a ``.caffemodel`` holds.

    Attributes
    ----------
    name
        The network's, often empty.
    layout
        "V1" or "V2".
    numbering
        Of all its blobs.
    layers
        In the file's order, those without blobs included.
    gradients
        Blobs that came with a gradient, which is not read.
    passed_over
        Fields of other meaning by message and number, counted.
    """

    name: str
    layout: str
    numbering: Numbering
    layers: tuple[CaffeLayer, ...]
    gradients: int
    passed_over: dict[str, int]

    def blobs(self) -> Iterator[tuple[str, Blob]]:
        """Every blob as ``("conv1a[0]", blob)``: layer name and position."""
        for layer in self.layers:
            for index, blob in enumerate(layer.blobs):
                yield f"{layer.name}[{index}]", blob


@dataclass
class _Layer:
    name: str | None = None
    kind: str | int | None = None
    blobs: list[Blob] = field(default_factory=list)


def read_caffemodel(path: str | os.PathLike[str]) -> CaffeNet:
    """Read a trained Caffe network.

    Parameters
    ----------
    path
        A ``.caffemodel``, of any of the layouts above. It stays memory-mapped as long as its arrays live.

    Returns
    -------
    CaffeNet
        Blobs in the stored shapes, float32 (float64 where the file has doubles).

    Raises
    ------
    InputDataError
        Truncated, damaged, of a layout older than V1, no such file at all, or without weights.
    """
    file = WireFile(path)
    passed_over: Counter[str] = Counter()
    name, version = "", None
    layers: list[_Layer] = []
    for entry in file.fields():
        if entry.number in _LAYOUTS:
            layout = _LAYOUTS[entry.number]
            if version not in (None, layout.version):
                raise file.error("it has layers both of the old and of the new layout")
            version = layout.version
            layers.append(_read_layer(file, entry, layout, len(layers), passed_over))
        elif entry.number == 1:
            name = file.text(entry, "the network's name")
        else:
            passed_over[f"NetParameter field {entry.number}"] += entry.records
    blobs = [blob for layer in layers for blob in layer.blobs]
    if version is None or not blobs:
        raise InputDataError(
            "the Caffe file holds no weights",
            path=path,
            why=f"{len(layers)} layers and not one blob",
            remedy="give the .caffemodel of a trained network, not its definition or a solver state",
        )
    numbering = blobs[0].numbering
    if any(blob.numbering is not numbering for blob in blobs):
        raise file.error("its blobs are numbered in two ways")
    counted = Counter(layer.name for layer in layers if layer.blobs)
    twice = [str(found) for found, count in counted.items() if count > 1]
    if twice:
        raise file.error(f"two layers with weights are called {twice[0]}")
    return CaffeNet(
        name,
        version,
        numbering,
        tuple(CaffeLayer(layer.name or "", _spelled(layer, numbering), tuple(layer.blobs)) for layer in layers),
        sum(blob.has_gradient for blob in blobs),
        dict(passed_over),
    )


def _read_layer(file: WireFile, entry: Field, layout: _Layout, index: int, passed_over: Counter[str]) -> _Layer:
    if entry.wire != LENGTH:
        raise file.error(f"layer {index} is no message")
    layer = _Layer()
    for part in file.fields(entry.start, entry.end):
        called = f"of {layer.name}" if layer.name else f"of layer {index}"
        if part.number == layout.name:
            if layer.name is not None:
                raise file.error(f"layer {index} has two names")
            layer.name = file.text(part, f"the name of layer {index}")
        elif part.number == layout.type:
            if layout.version == "V1" and part.wire != VARINT:
                raise file.error(f"the type {called} is no number")
            layer.kind = part.value if layout.version == "V1" else file.text(part, f"the type {called}")
        elif part.number == layout.blobs:
            what = f"blob {len(layer.blobs)} {called}"
            if part.wire != LENGTH:
                raise file.error(f"{what} is no message")
            layer.blobs.append(read_blob(file, part.start, part.end, what, passed_over))
        elif part.number == layout.old_layer:
            raise InputDataError(
                "the Caffe file is of the layout before V1",
                path=file.path,
                remedy="convert it with Caffe's own tool upgrade_net_proto_binary",
            )
        elif part.number not in layout.plain:
            passed_over[f"{layout.version} layer field {part.number}"] += part.records
    if layer.blobs and not (layer.name and layer.kind is not None):
        raise file.error(f"layer {index} has weights but lacks its name or its type")
    return layer


def _spelled(layer: _Layer, numbering: Numbering) -> str:
    if isinstance(layer.kind, int):
        types = _C3D_TYPES if numbering is C3D else _STOCK_TYPES
        return types.get(layer.kind, f"V1 type {layer.kind}")
    return layer.kind or ""
