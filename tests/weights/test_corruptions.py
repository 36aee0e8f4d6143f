"""Hundreds of seeded corruptions of the structure of every format: each is one clear error, none changes the network.

The structure is what says what the numbers mean: lengths, field numbers, wire types, names, shapes, types, counts.
Each case runs the whole way: read the file, then fill a network by a map that accounts for every tensor.
"""

from __future__ import annotations

import copy
import hashlib
import json
import struct
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from safetensors.torch import save

from tubelet.errors import InputDataError
from tubelet.video.guard import GuardedPool
from tubelet.weights import apply_map, read_mean, read_weights
from tubelet.weights.caffe import read_caffemodel
from tubelet.weights.caffe_shapes import blob_shapes, check_shapes
from tubelet.weights.torch_file import torch_pool

sys.path.insert(0, str(Path(__file__).parent))
from made_files import (
    CAFFE_MAP,
    SAME_MAP,
    Node,
    blob,
    caffe_layers,
    caffemodel,
    encode,
    filled,
    numbered,
    safetensors_bytes,
    varint,
    write,
)

SOURCE = filled()
MEAN = np.random.default_rng(0).uniform(50, 100, (1, 3, 2, 4, 5)).astype("f4")


@pytest.fixture(scope="module")
def pool() -> Iterator[GuardedPool]:
    with torch_pool(1 << 20) as children:
        yield children


def caffe(layout: str, numbering: str) -> list[Node]:
    layers = caffe_layers(SOURCE, 5 if numbering == "c3d" else None)
    return caffemodel(numbered(layers) if layout == "V1" else layers, layout, numbering)


PROTOBUF: dict[str, list[Node]] = {
    "Caffe V1, C3D": caffe("V1", "c3d"),
    "Caffe V1, stock": caffe("V1", "shape"),
    "Caffe V2, stock": caffe("V2", "shape"),
    "mean, C3D": blob(MEAN, "c3d"),
    "mean, stock": blob(MEAN, "shape"),
}


def spots(nodes: list[Node]) -> list[tuple[list[Node], int]]:
    """Every field that means something: where it is in its message. Layers without blobs and free text do not."""
    found = []
    for index, node in enumerate(nodes):
        without_blobs = isinstance(node.payload, list) and node.role == "layer" and len(node.payload) == 3
        if node.role in ("net name", "plain", "type") or without_blobs:
            continue
        found.append((nodes, index))
        if isinstance(node.payload, list):
            found += spots(node.payload)
    return found


def damaged_protobuf(nodes: list[Node], random: Random) -> tuple[str, bytes]:
    """One corruption of a message: its kind and the bytes."""
    nodes = copy.deepcopy(nodes)
    message, index = random.choice(spots(nodes))
    node = message[index]
    kinds = ["truncated", "number", "wire type", "dropped", "twice", "garbage"]
    if not isinstance(node.payload, int):
        kinds += ["length", "length"]
    if node.role == "name":
        kinds += ["name", "name"]
    if node.role in ("side", "sides"):
        kinds += ["shape", "shape"]
    if node.role in ("data",):
        kinds += ["count", "count"]
    kind = random.choice(kinds)
    if kind == "truncated":
        data = encode(nodes)
        return kind, data[: random.randrange(len(data))]
    if kind == "number":
        # 3 and 4 in V2, 2 and 3 in V1 hold names of inputs, which nothing depends on, like any unknown number.
        node.number = random.choice([n for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 200) if n != node.number])
    elif kind == "wire type":
        node.wire = random.choice([w for w in range(8) if w != (0 if isinstance(node.payload, int) else 2)])
    elif kind == "dropped":
        del message[index]
    elif kind == "twice":
        message.insert(index, copy.deepcopy(node))
    elif kind == "garbage":
        message.insert(index, Node(0, random.randbytes(random.randrange(1, 9))))
    elif kind == "name":
        assert isinstance(node.payload, bytes)
        at = random.randrange(len(node.payload))
        node.payload = node.payload[:at] + random.choice([b"x", b"\x00", b"\xff", b""]) + node.payload[at + 1 :]
    elif kind == "shape" and node.role == "side":
        node.payload = random.choice([n for n in (0, 1, 2, 7, -1, 1 << 31, 1 << 62) if n != node.payload])
    elif kind == "shape":
        assert isinstance(node.payload, bytes)
        sides = list(node.payload)
        change = random.choice(["more", "fewer", "other"])
        if change == "other":
            sides[random.randrange(len(sides))] += random.randrange(1, 9)
        node.payload = b"".join(
            varint(n) for n in ([*sides, 2] if change == "more" else sides[:-1] if change == "fewer" else sides)
        )
    elif kind == "count":
        assert isinstance(node.payload, bytes)
        node.payload = random.choice([node.payload + bytes(4), node.payload[:-4], node.payload[:-1], b""])
    else:
        length = len(node.payload if isinstance(node.payload, bytes) else encode(node.payload))  # type: ignore[arg-type]
        node.length = random.choice(
            [length + random.randrange(1, 99), max(0, length - random.randrange(1, 9)), 1 << 40, (1 << 64) - 1]
        )
        if node.length == length:
            node.length += 1
    return kind, encode(nodes)


def tensors() -> dict[str, torch.Tensor]:
    return dict(SOURCE.state_dict())


def damaged_safetensors(random: Random) -> tuple[str, bytes]:
    data = save(tensors())
    (length,) = struct.unpack("<Q", data[:8])
    header, payload = json.loads(data[8 : 8 + length]), data[8 + length :]
    name = random.choice(list(header))
    entry = header[name]
    kind = random.choice(
        ["truncated", "length", "name", "shape", "type", "offsets", "dropped", "added", "garbage", "count"]
    )
    if kind == "truncated":
        return kind, data[: random.randrange(len(data))]
    if kind == "length":
        other = random.choice([0, 1, length - 1, length + 1, length + 8, 1 << 40, (1 << 64) - 1])
        return kind, struct.pack("<Q", other) + data[8:]
    if kind == "garbage":
        at = 8 + random.randrange(length)
        return kind, data[:at] + bytes([random.choice([0, 0xFF, 0x7F])]) + data[at + 1 :]
    if kind == "count":
        return kind, safetensors_bytes(json.dumps(header).encode(), random.choice([payload + bytes(4), payload[:-4]]))
    if kind == "name":
        header = {(key + "x" if key == name else key): value for key, value in header.items()}
    elif kind == "shape":
        entry["shape"] = random.choice(
            [[*entry["shape"], 2], [*entry["shape"][:-1], 0], [-1], ["3"], None, [*entry["shape"], 1]]
        )
    elif kind == "type":
        entry["dtype"] = random.choice(
            [t for t in ("F64", "I64", "I32", "F16", "I8", "BOOL", "F99") if t != entry["dtype"]]
        )
    elif kind == "offsets":
        entry["data_offsets"] = [
            entry["data_offsets"][0] + random.choice([4, -4, 1, 1 << 40]),
            entry["data_offsets"][1],
        ]
    elif kind == "dropped":
        del header[name]
    else:
        header["added"] = entry
    return kind, safetensors_bytes(json.dumps(header).encode(), payload)


def torch_bytes(value: object, old: bool) -> bytes:
    file = BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


def damaged_torch(random: Random, old: bool) -> tuple[str, bytes]:
    value = {"state_dict": tensors()}
    state = value["state_dict"]
    name = random.choice([name for name, tensor in state.items() if tensor.ndim])
    kind = random.choice(
        ["truncated", "name", "shape", "type", "dropped", "added", "storage type", "storage size", "record"]
    )
    if kind == "name":
        state[name[:-1]] = state.pop(name)
    elif kind == "shape":
        state[name] = random.choice([state[name][None], state[name].flatten()[:-1], state[name][..., None]])
    elif kind == "type":
        state[name] = state[name].to(random.choice([torch.int32, torch.bool, torch.complex64]))
    elif kind == "dropped":
        del state[name]
    elif kind == "added":
        state["more"] = torch.ones(1)
    data = torch_bytes(value, old)
    if kind == "truncated":
        data = data[: random.randrange(len(data))]
    elif kind == "storage type":
        data = in_pickle(
            data, old, b"FloatStorage", random.choice([b"HalfStorage", b"DoubleStorage", b"IntStorage", b"NoStorage"])
        )
    elif kind == "storage size":
        # The number of elements of fc6.weight, 30. With fewer an old file means the same: torch enlarges the storage
        # for its tensor and then reads the 30 that are there.
        data = in_pickle(data, old, b"K\x1e", random.choice([b"K\x1f", b"K\xff"] + [b"K\x1d"] * (not old)))
    elif kind == "record":
        data = data + b"\0" * 8 if old else rezipped(data, random)
    return kind, data


def in_pickle(data: bytes, old: bool, before: bytes, after: bytes) -> bytes:
    """Change the pickle alone; a zip archive is made again with right checksums."""
    if old:
        assert before in data
        return data.replace(before, after, 1)
    return archived({n: d.replace(before, after, 1) if n.endswith("data.pkl") else d for n, d in records(data).items()})


def records(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archived(found: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in found.items():
            archive.writestr(name, content)
    return file.getvalue()


def rezipped(data: bytes, random: Random) -> bytes:
    """A storage's record longer, shorter, gone or under another name."""
    found = records(data)
    name = random.choice([name for name in found if "/data/" in name])
    content = found.pop(name)
    change = random.choice(["longer", "shorter", "gone", "renamed"])
    if change != "gone":
        new = name + "9" if change == "renamed" else name
        found[new] = content + bytes(4) if change == "longer" else content[:-4] if change == "shorter" else content
    return archived(found)


def read_and_fill(path: Path, form: str, pool: GuardedPool) -> None:
    if form.startswith("mean"):
        read_mean(path, MEAN.shape[1:])
        return
    with read_weights(path, pool=pool) as foreign:
        apply_map(foreign, MODEL, CAFFE_MAP if form in PROTOBUF else SAME_MAP)


MODEL = filled(1)
BEFORE = {name: tensor.clone() for name, tensor in MODEL.state_dict().items()}

Damage = Callable[[Random], tuple[str, bytes]]
FORMATS: dict[str, tuple[Damage, int]] = {
    **{name: (lambda random, nodes=nodes: damaged_protobuf(nodes, random), 45) for name, nodes in PROTOBUF.items()},
    "safetensors": (damaged_safetensors, 45),
    "torch, zip": (lambda random: damaged_torch(random, old=False), 30),
    "torch, before 1.6": (lambda random: damaged_torch(random, old=True), 30),
}


@pytest.mark.parametrize("form", FORMATS)
def test_the_undamaged_file_is_read(tmp_path: Path, form: str, pool: GuardedPool) -> None:
    if form in PROTOBUF:
        path = write(tmp_path / "file", PROTOBUF[form])
    else:
        path = tmp_path / "file"
        path.write_bytes(
            save(tensors()) if form == "safetensors" else torch_bytes({"state_dict": tensors()}, "1.6" in form)
        )
    if form.startswith("mean"):
        assert (read_mean(path) == MEAN[0]).all()
        return
    model = filled(2)
    with read_weights(path, pool=pool) as foreign:
        apply_map(foreign, model, CAFFE_MAP if form in PROTOBUF else SAME_MAP)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, SOURCE.state_dict()[name])


@pytest.mark.parametrize("form", FORMATS)
def test_every_corruption_of_the_structure_is_one_clear_error(tmp_path: Path, form: str, pool: GuardedPool) -> None:
    damage, count = FORMATS[form]
    kinds: Counter[str] = Counter()
    path = tmp_path / "file"
    for seed in range(count):
        kind, data = damage(Random(f"{form} {seed}"))
        kinds[kind] += 1
        path.write_bytes(data)
        try:
            read_and_fill(path, form, pool)
        except InputDataError as error:
            said = str(error)
        else:
            pytest.fail(f"seed {seed}: {kind} was accepted")
        assert str(path) in said, f"seed {seed}: {kind}"
        assert "\n" not in said
        assert len(said) < 2000
    assert len(kinds) >= 5
    assert all(torch.equal(tensor, BEFORE[name]) for name, tensor in MODEL.state_dict().items())


def test_there_are_enough_of_them() -> None:
    assert sum(count for _, count in FORMATS.values()) >= 200


DEFINITION = """
input: "data" input_shape { dim: 1 dim: 3 dim: 3 dim: 1 dim: 2 }
layer { name: "conv1a" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: [3, 1, 2] } }
layer { name: "bn1" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "scale1" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "p" pooling_param { kernel_size: [3, 1, 1] stride: 1 } }
layer { name: "fc6-1" type: "InnerProduct" bottom: "p" top: "f" inner_product_param { num_output: 5 } }
"""


def test_corrupted_definitions_do_not_fit_the_weights(tmp_path: Path) -> None:
    net = read_caffemodel(write(tmp_path / "net", PROTOBUF["Caffe V2, stock"]))
    path = tmp_path / "net.prototxt"

    def check(text: str) -> None:
        path.write_text(text)
        check_shapes(net, blob_shapes(path), path)

    check(DEFINITION)
    changes = [("num_output: 5", "num_output: 6"), ("kernel_size: [3, 1, 2]", "kernel_size: [3, 1, 1]")]
    changes += [
        ("bias_term: true", "bias_term: false"),
        ('"bn1"', '"bn2"'),
        ("num_output: 4", ""),
        ("} }\n", "}\n"),
        ("kernel_size: [3, 1, 1]", "kernel_size: 1"),
    ]
    for before, after in changes:
        assert before in DEFINITION
        with pytest.raises(InputDataError):
            check(DEFINITION.replace(before, after, 1))


@pytest.mark.parametrize("form", ["Caffe V1, C3D", "Caffe V2, stock", "safetensors"])
def test_a_flipped_bit_is_an_error_or_changes_numbers_only(tmp_path: Path, form: str) -> None:
    """What passes is damage of the numbers, which a published hash catches; no name, shape or type ever changes."""
    path = tmp_path / "file"
    sound = encode(PROTOBUF[form]) if form in PROTOBUF else save(tensors())
    path.write_bytes(sound)
    weight_map = CAFFE_MAP if form in PROTOBUF else SAME_MAP
    expected = {name: (t.dtype, t.shape) for name, t in read_weights(path).tensors.items()}
    published = hashlib.sha256(sound).hexdigest()
    outcomes: Counter[str] = Counter()
    for seed in range(250):
        random = Random(f"{form} {seed}")
        data = bytearray(sound)
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        path.write_bytes(data)
        with pytest.raises(InputDataError, match=r"cannot be read|not the file that was published"):
            read_weights(path, sha256=published)
        try:
            foreign = read_weights(path)
            apply_map(foreign, filled(1), weight_map)
        except InputDataError:
            outcomes["refused"] += 1
        else:
            outcomes["numbers only"] += 1
            assert {name: (t.dtype, t.shape) for name, t in foreign.tensors.items()} == expected
    assert outcomes["refused"] > 20
    assert outcomes["numbers only"] > 20
