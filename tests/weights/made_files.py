"""Weights files made byte by byte: a small protobuf encoder, Caffe's messages in every layout, a network to fill.

Independent of what is tested: fields are written by the rules of the wire format and the numbers of ``caffe.proto``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tubelet.weights import Keep, Rule, WeightMap
from tubelet.weights.transforms import BN_FACTOR, TO_MATRIX, TO_VECTOR

Floats = npt.NDArray[np.floating]


@dataclass
class Node:
    """A field: its number, wire type and payload: bytes, a whole number, or the fields of a message.

    ``role`` says what it is, for those who damage it; ``length`` replaces the length that is announced.
    """

    number: int
    payload: bytes | int | list[Node]
    role: str = ""
    wire: int | None = None
    length: int | None = None

    def encoded(self) -> bytes:
        if isinstance(self.payload, int):
            body, wire = varint(self.payload), 0
        else:
            body = self.payload if isinstance(self.payload, bytes) else encode(self.payload)
            body, wire = varint(len(body) if self.length is None else self.length) + body, 2
        return varint(self.number << 3 | (wire if self.wire is None else self.wire)) + body


@dataclass
class Run(Node):
    """Numbers that are not packed: a tag before each; ``payload`` holds them one after the other."""

    size: int = 4

    def encoded(self) -> bytes:
        assert isinstance(self.payload, bytes)
        tag = varint(self.number << 3 | (5 if self.size == 4 else 1))
        parts = [self.payload[i : i + self.size] for i in range(0, len(self.payload), self.size)]
        return b"".join(tag + part for part in parts)


def encode(nodes: Sequence[Node]) -> bytes:
    return b"".join(node.encoded() for node in nodes)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # as int32 and int64 write what is negative
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def blob(
    values: Floats, numbering: str, *, packed: bool = True, double: bool = False, diff: bool = False
) -> list[Node]:
    """A BlobProto: ``numbering`` is "c3d" (five sides), "legacy" (stock, four sides) or "shape" (stock, any)."""
    kind = "<f8" if double else "<f4"
    raw, gradient = values.astype(kind).tobytes(), np.zeros_like(values).astype(kind).tobytes()
    sides = [Node(i, side, "side") for i, side in enumerate(values.shape, start=1)]
    data, diffs = {"c3d": (6, 7)}.get(numbering, (8, 9) if double else (5, 6))
    if numbering == "shape":
        packed_sides = b"".join(varint(side) for side in values.shape)
        sides = [Node(7, [Node(1, packed_sides, "sides")], "shape")]
    nodes = [Node(data, raw, "data") if packed else Run(data, raw, "data", size=int(kind[2]))]
    if diff:
        nodes.append(Node(diffs, gradient, "diff"))
    return [*sides, *nodes]


def caffemodel(
    layers: Sequence[tuple[str, str | int, Sequence[Floats]]],
    layout: str,
    numbering: str,
    *,
    packed: bool = True,
    double: bool = False,
    diff: bool = False,
) -> list[Node]:
    """A NetParameter of ``(name, type, blobs)``; ``layout`` is "V1" or "V2"."""
    outer, name_at, type_at, blobs_at, bottom = (2, 4, 5, 6, 2) if layout == "V1" else (100, 1, 2, 7, 3)
    nodes = [Node(1, b"made", "net name")]
    for name, kind, blobs in layers:
        parts = [
            Node(bottom, b"data", "plain"),
            Node(name_at, name.encode(), "name"),
            Node(type_at, kind if isinstance(kind, int) else kind.encode(), "type"),
        ]
        parts += [
            Node(blobs_at, blob(values, numbering, packed=packed, double=double, diff=diff), "blob") for values in blobs
        ]
        nodes.append(Node(outer, parts, "layer"))
    return nodes


class Small(nn.Module):
    """A network with every kind of tensor: convolution, norm with statistics, fully connected."""

    name = "small"

    def __init__(self) -> None:
        super().__init__()
        self.conv1a = nn.Conv3d(3, 4, (3, 1, 2))
        self.bn = nn.BatchNorm3d(4)
        self.fc6 = nn.Linear(6, 5)


def filled(seed: int = 0) -> Small:
    """The network with random numbers everywhere."""
    model = Small()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return model


FACTOR = 4.0  # a power of two: dividing by it is exact


def caffe_layers(model: Small, axes: int | None) -> list[tuple[str, str, list[Floats]]]:
    """The network's tensors as Caffe stores them; ``axes`` sides with ones in front, or bare where it is None."""

    def stored(tensor: torch.Tensor) -> Floats:
        array = tensor.detach().numpy()
        return array if axes is None else array.reshape((1,) * (axes - array.ndim) + array.shape)

    bn = model.bn
    assert bn.running_mean is not None
    assert bn.running_var is not None
    return [
        ("data", "Input", []),
        ("conv1a", "Convolution", [stored(model.conv1a.weight), stored(model.conv1a.bias)]),
        (
            "bn1",
            "BatchNorm",
            [stored(bn.running_mean * FACTOR), stored(bn.running_var * FACTOR), stored(torch.tensor([FACTOR]))],
        ),
        ("scale1", "Scale", [stored(bn.weight), stored(bn.bias)]),
        ("fc6-1", "InnerProduct", [stored(model.fc6.weight), stored(model.fc6.bias)]),
    ]


def numbered(layers: Sequence[tuple[str, str, list[Floats]]]) -> list[tuple[str, int, list[Floats]]]:
    """Types by their numbers in V1."""
    numbers = {"Input": 5, "Convolution": 30, "InnerProduct": 14}
    return [(name, numbers.get(kind, 0), blobs) for name, kind, blobs in layers]


CAFFE_MAP = WeightMap(
    rules=(
        Rule(r"conv1a\[0\]", "conv1a.weight"),
        Rule(r"conv1a\[1\]", "conv1a.bias", (TO_VECTOR,)),
        Rule(r"bn1\[0\]", "bn.running_mean", (TO_VECTOR, BN_FACTOR), companions=("bn1[2]",)),
        Rule(r"bn1\[1\]", "bn.running_var", (TO_VECTOR, BN_FACTOR), companions=("bn1[2]",)),
        Rule(r"scale1\[0\]", "bn.weight", (TO_VECTOR,)),
        Rule(r"scale1\[1\]", "bn.bias", (TO_VECTOR,)),
        Rule(r"fc(\d)-1\[0\]", r"fc\1.weight", (TO_MATRIX,)),
        Rule(r"fc(\d)-1\[1\]", r"fc\1.bias", (TO_VECTOR,)),
    ),
    keep=(Keep(r".*\.num_batches_tracked", "Caffe does not count batches"),),
)
SAME_MAP = WeightMap(rules=(Rule(r"(.+)", r"\1"),), prefixes=("state_dict.", "module."))


def write(path: Path, nodes: Sequence[Node]) -> Path:
    path.write_bytes(encode(nodes))
    return path


def safetensors_bytes(header: bytes, payload: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + payload


def dies(_: object) -> None:
    """A task for a child process."""
    os.abort()
