"""The blob shapes that a Caffe definition asks for, to be compared with those in a ``.caffemodel``.

Shapes flow from the input through the layers as in Caffe: convolutions round down, pools round up.
Sources: the definitions published with C3D, P3D, TSN and video-caffe, and ``caffe.proto`` of BVLC/caffe.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few
from tubelet.weights.caffe import CaffeNet
from tubelet.weights.caffe_blob import MAX_SIDE
from tubelet.weights.caffe_windows import Shape, one, only, window
from tubelet.weights.prototxt import Message, read_prototxt

_CONVOLUTIONS = {"CONVOLUTION", "CONVOLUTION3D", "NDCONVOLUTION"}
_POOLS = {"POOLING", "POOLING3D", "NDPOOLING"}
_SAME = {
    "RELU",
    "DROPOUT",
    "LRN",
    "SOFTMAX",
    "SIGMOID",
    "TANH",
    "POWER",
    "ELTWISE",
    "SPLIT",
    "BN",
    "BATCHNORM",
    "SCALE",
    "ABSVAL",
    "EXP",
    "LOG",
    "ELU",
    "BNLL",
}
_NO_SHAPE = {"ACCURACY", "SOFTMAXWITHLOSS", "SOFTMAXLOSS", "SILENCE", "HINGELOSS", "EUCLIDEANLOSS"}
_DATA = {"INPUT", "DATA", "IMAGEDATA", "VIDEODATA", "VOLUMEDATA", "HDF5DATA", "MEMORYDATA", "WINDOWDATA", "DUMMYDATA"}


@dataclass(frozen=True)
class DefinedLayer:
    """A layer of a definition.

    Attributes
    ----------
    name, type
        As written; ``kind`` is the type without underscores in capitals, equal for all spellings.
    bottoms, tops
        Names of what goes in and comes out.
    message
        Everything it says.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Message

    @property
    def kind(self) -> str:
        return self.type.replace("_", "").upper()


def defined_layers(definition: Message, phase: str = "TEST") -> list[DefinedLayer]:
    """The layers of a definition that take part in ``phase``, without stages, in order."""
    layers = []
    for message in definition.messages("layer", "layers"):
        include, exclude = message.messages("include"), message.messages("exclude")
        if include and not any(_meets(rule, phase) for rule in include):
            continue
        if any(_meets(rule, phase) for rule in exclude):
            continue
        bottoms, tops = tuple(message.texts("bottom")), tuple(message.texts("top"))
        layers.append(DefinedLayer(message.text("name"), message.text("type"), bottoms, tops, message))
    return layers


def _meets(rule: Message, phase: str) -> bool:
    return rule.text("phase") in ("", phase) and not rule.texts("stage")


def blob_shapes(
    path: str | os.PathLike[str], inputs: Mapping[str, Sequence[int]] | None = None
) -> dict[str, list[Shape]]:
    """The shapes of every layer's blobs, from a definition alone.

    Parameters
    ----------
    path
        A ``.prototxt``.
    inputs
        Shapes of the inputs by name, batch included, as ``{"data": (1, 3, 16, 112, 112)}``. Needed where the
        definition names a data layer; input shapes that it states are read.

    Returns
    -------
    dict
        Layer name to shapes: ``[(out, in/group, *kernel), (out,)]`` for a convolution, ``[(out, in), (out,)]``
        for an inner product, ``[(C,)] * 4`` for BN, ``[(C,), (C,), (1,)]`` for BatchNorm. Layers without blobs
        do not appear.

    Raises
    ------
    InputDataError
        Not readable, of a layer type that is not known, or not consistent; the sentence names the layer.
    """
    definition = read_prototxt(path)
    sizes: dict[str, Shape] = {name: tuple(shape) for name, shape in (inputs or {}).items()}
    shapes: dict[str, list[Shape]] = {}
    name = "the inputs"
    try:
        _read_inputs(definition, sizes)
        for layer in defined_layers(definition):
            name = f"layer {layer.name}"
            blobs = _pass(layer, sizes)
            if blobs:
                if layer.name in shapes:
                    raise ValueError("a layer of this name was defined before")
                shapes[layer.name] = blobs
    except ValueError as error:
        raise InputDataError(
            "the network definition makes no sense",
            path=path,
            why=f"{name}: {error}",
            remedy="give the definition that the weights were trained with",
        ) from error
    return shapes


def check_shapes(net: CaffeNet, expected: Mapping[str, Sequence[Shape]], path: str | os.PathLike[str]) -> None:
    """Compare a network's blobs with a definition's shapes; sides of 1 that old files put in front do not count.

    Raises
    ------
    InputDataError
        Another number of blobs, another shape, or layers with weights that only one of the two has.
    """
    found = {layer.name: [blob.values.shape for blob in layer.blobs] for layer in net.layers if layer.blobs}
    wrong = [f"{name} is not in the weights" for name in expected if name not in found]
    wrong += [f"{name} is not in the definition" for name in found if name not in expected]
    for name in found.keys() & expected.keys():
        if [_bare(shape) for shape in found[name]] != [_bare(shape) for shape in expected[name]]:
            wrong.append(f"{name} has blobs {found[name]} instead of {list(expected[name])}")
    if wrong:
        raise InputDataError(
            "the weights do not fit the network definition",
            path=path,
            why=first_few(sorted(wrong), "; ", 5),
            remedy="give the definition that the weights were trained with",
        )


def _bare(shape: Shape) -> Shape:
    """Without the sides of 1 in front; those around a vector (1×C×1×1) go on both sides."""
    if max(shape, default=1) == prod(shape):
        return (prod(shape),)
    first = next(axis for axis, side in enumerate(shape) if side != 1)
    return shape[first:]


def _read_inputs(definition: Message, sizes: dict[str, Shape]) -> None:
    names, dims = definition.texts("input"), definition.integers("input_dim")
    stated = [tuple(shape.integers("dim")) for shape in definition.messages("input_shape")]
    if names and dims:  # four a name in stock Caffe, five in C3D
        if len(dims) not in (4 * len(names), 5 * len(names)):
            raise ValueError(f"{len(dims)} input_dim for {len(names)} inputs")
        each = len(dims) // len(names)
        stated = [tuple(dims[i : i + each]) for i in range(0, len(dims), each)]
    for name, shape in zip(names, stated, strict=False):
        sizes.setdefault(name, shape)


def _pass(layer: DefinedLayer, sizes: dict[str, Shape]) -> list[Shape]:
    """Compute the tops' shapes into ``sizes``; the shapes of the layer's blobs."""
    if layer.kind in _DATA:
        stated = [tuple(s.integers("dim")) for m in layer.message.messages("input_param") for s in m.messages("shape")]
        for index, name in enumerate(layer.tops):
            if stated:
                sizes.setdefault(name, stated[min(index, len(stated) - 1)])
        if layer.tops and layer.tops[0] not in sizes:
            raise ValueError(f"the shape of the input {layer.tops[0]!r} is not known; give inputs=")
        return []
    if layer.kind in _NO_SHAPE:
        return []
    missing = [bottom for bottom in layer.bottoms if bottom not in sizes]
    if missing or not layer.bottoms:
        raise ValueError(f"its input {missing[0]!r} comes from nowhere" if missing else "it has no input")
    given = [sizes[bottom] for bottom in layer.bottoms]
    shape = given[0]
    if not 2 <= len(shape) <= 8 or not all(1 <= side <= MAX_SIDE for side in shape):
        raise ValueError(f"its input has the shape {shape}")
    top, blobs = _sizes(layer, shape, given)
    for name in layer.tops:
        sizes[name] = top
    return blobs


def _sizes(layer: DefinedLayer, shape: Shape, given: list[Shape]) -> tuple[Shape, list[Shape]]:
    channels = shape[1]
    if layer.kind in _CONVOLUTIONS:
        return _convolution(layer, shape)
    if layer.kind in _POOLS:
        return _pool(layer, shape), []
    if layer.kind == "INNERPRODUCT":
        param = only(layer.message, "inner_product_param")
        if param.flag("transpose", False) or param.integers("axis") not in ([], [1]):
            raise ValueError("an inner product with axis or transpose is not supported")
        outputs = one(param, "num_output")
        return (shape[0], outputs), [(outputs, prod(shape[1:])), *_bias(param, outputs)]
    if layer.kind == "CONCAT":
        axes = {len(size) for size in given}
        rest = {size[:1] + size[2:] for size in given}
        if len(axes) > 1 or len(rest) > 1 or any(_axis(layer)):
            raise ValueError("its inputs differ in more than channels")
        return (shape[0], sum(size[1] for size in given), *shape[2:]), []
    if layer.kind == "FLATTEN":
        return (shape[0], prod(shape[1:])), []
    if layer.kind == "RESHAPE":
        return _reshaped(layer, shape), []
    if layer.kind == "PRELU":
        return shape, [(channels,)]
    if layer.kind in _SAME:
        if any(size != shape for size in given):
            raise ValueError(f"its inputs have different shapes, {given}")
        norms: dict[str, list[Shape]] = {"BN": [(channels,)] * 4, "BATCHNORM": [(channels,), (channels,), (1,)]}
        blobs = norms.get(layer.kind, [])
        if layer.kind == "SCALE":
            biased = any(param.flag("bias_term", False) for param in layer.message.messages("scale_param"))
            blobs = [(channels,)] * (1 + biased)
        return shape, blobs
    raise ValueError(f"its type {layer.type!r} is not known")


def _convolution(layer: DefinedLayer, shape: Shape) -> tuple[Shape, list[Shape]]:
    param = only(layer.message, "convolution_param", "convolution3d_param")
    kernel, stride, pad = window(layer.kind, param, len(shape) - 2)
    outputs, groups = one(param, "num_output"), one(param, "group", 1)
    if shape[1] % groups or outputs % groups:
        raise ValueError(f"{shape[1]} and {outputs} channels do not divide into {groups} groups")
    sides = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(shape[2:], kernel, stride, pad, strict=True))
    return (shape[0], outputs, *sides), [(outputs, shape[1] // groups, *kernel), *_bias(param, outputs)]


def _pool(layer: DefinedLayer, shape: Shape) -> Shape:
    param = only(layer.message, "pooling_param", "pooling3d_param")
    if param.flag("global_pooling", False):
        return (*shape[:2], *(1 for _ in shape[2:]))
    sides = []
    for n, k, s, p in zip(shape[2:], *window(layer.kind, param, len(shape) - 2), strict=True):
        side = -(-(n + 2 * p - k) // s) + 1
        if p and (side - 1) * s >= n + p:  # Caffe drops a last window that lies wholly in the padding
            side -= 1
        sides.append(side)
    return (*shape[:2], *sides)


def _reshaped(layer: DefinedLayer, shape: Shape) -> Shape:
    wanted = [side for m in only(layer.message, "reshape_param").messages("shape") for side in m.integers("dim")]
    sides = [shape[i] if side == 0 and i < len(shape) else side for i, side in enumerate(wanted)]
    if sides.count(-1) == 1:
        sides[sides.index(-1)] = prod(shape) // max(1, -prod(sides))
    if prod(sides) != prod(shape):
        raise ValueError(f"{shape} cannot be reshaped to {wanted}")
    return tuple(sides)


def _bias(param: Message, outputs: int) -> list[Shape]:
    return [(outputs,)] if param.flag("bias_term", True) else []


def _axis(layer: DefinedLayer) -> list[bool]:
    return [
        axis != 1
        for param in layer.message.messages("concat_param")
        for name in ("axis", "concat_dim")
        for axis in param.integers(name)
    ]
