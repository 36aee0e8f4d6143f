"""Caffe networks in all layouts and numberings, written by the rules of ``caffe.proto``, come back bit for bit."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tubelet.errors import InputDataError
from tubelet.weights.caffe import read_caffemodel
from tubelet.weights.caffe_blob import C3D, STOCK, read_blob
from tubelet.weights.wire import WireFile

sys.path.insert(0, str(Path(__file__).parent))
from made_files import Floats, Node, Run, blob, caffe_layers, caffemodel, encode, filled, numbered, varint, write

WRITTEN = [
    (layout, numbering, packed, double, diff)
    for layout, numbering, packed, double, diff in itertools.product(
        ("V1", "V2"), ("c3d", "legacy", "shape"), (True, False), (False, True), (False, True)
    )
    if not (numbering == "c3d" and double)
]
"""C3D v1.0 has no doubles."""

AXES = {"c3d": 5, "legacy": 4, "shape": None}


def made_layers(numbering: str) -> list[tuple[str, str, list[Floats]]]:
    def four(values: Floats) -> Floats:  # four sides hold no 3-D kernel; its middle side is 1 here
        values = values.reshape(*values.shape[:3], *values.shape[4:])
        return values.reshape((1,) * (4 - values.ndim) + values.shape)

    layers = caffe_layers(filled(), 5 if numbering == "c3d" else None)
    if numbering == "legacy":
        return [(name, kind, [four(values) for values in blobs]) for name, kind, blobs in layers]
    return layers


@pytest.mark.parametrize(("layout", "numbering", "packed", "double", "diff"), WRITTEN)
def test_every_layout_is_read_bit_for_bit(
    tmp_path: Path, layout: str, numbering: str, packed: bool, double: bool, diff: bool
) -> None:
    layers = made_layers(numbering)
    written = numbered(layers) if layout == "V1" else layers
    nodes = caffemodel(written, layout, numbering, packed=packed, double=double, diff=diff)
    net = read_caffemodel(write(tmp_path / "net.caffemodel", nodes))
    assert (net.name, net.layout, net.numbering) == ("made", layout, C3D if numbering == "c3d" else STOCK)
    assert [layer.name for layer in net.layers] == [name for name, _, _ in layers]
    assert net.gradients == (sum(len(blobs) for _, _, blobs in layers) if diff else 0)
    found = dict(net.blobs())
    expected = {f"{name}[{i}]": b for name, _, blobs in layers for i, b in enumerate(blobs)}
    assert found.keys() == expected.keys()
    for name, stored in expected.items():
        values = found[name].values
        assert values.dtype == np.dtype("<f8" if double else "<f4")
        assert values.shape == stored.shape
        assert values.tobytes() == stored.astype(values.dtype).tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(
    st.sampled_from(["c3d", "legacy", "shape"]).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.integers(1, 5), min_size=AXES[n] or 0, max_size=AXES[n] or 6),
            st.booleans(),
            st.booleans() if n != "c3d" else st.just(False),
            st.booleans(),
            st.integers(0, 1 << 30),
        )
    )
)
def test_any_blob_comes_back(tmp_path: Path, case: tuple[str, list[int], bool, bool, bool, int]) -> None:
    numbering, sides, packed, double, diff, seed = case
    raw = np.random.default_rng(seed).bytes(int(np.prod(sides, dtype=int)) * 4)
    values = np.frombuffer(raw, "<f4").reshape(sides)  # any bits: also NaN, infinity and denormal numbers
    with np.errstate(invalid="ignore"):
        kind = np.dtype("<f8" if double else "<f4")
        nodes = blob(values, numbering, packed=packed, double=double, diff=diff)
        expected = values.astype(kind).tobytes()
    file = WireFile(write(tmp_path / "blob", [Node(1, b"xy"), *nodes]))
    start = file.size - len(encode(nodes))
    read = read_blob(file, start, file.size, "it", {})
    assert (read.values.shape, read.values.tobytes(), read.has_gradient) == (tuple(sides), expected, diff)
    assert read.numbering is (C3D if numbering == "c3d" else STOCK)


def test_packed_data_may_come_in_pieces(tmp_path: Path) -> None:
    values = np.arange(6, dtype="<f4")
    pieces = [Node(5, values[:2].tobytes()), Run(5, values[2:3].tobytes()), Node(5, values[3:].tobytes())]
    file = WireFile(write(tmp_path / "blob", [*pieces, Node(7, [Node(1, 2), Node(1, 3)])]))
    read = read_blob(file, 0, file.size, "it", {})
    assert read.values.tolist() == values.reshape(2, 3).tolist()


def test_a_scalar_has_an_empty_shape(tmp_path: Path) -> None:
    file = WireFile(write(tmp_path / "blob", blob(np.float32(4).reshape(()), "shape")))
    assert read_blob(file, 0, file.size, "it", {}).values.shape == ()


def test_types_are_spelled_by_numbering(tmp_path: Path) -> None:
    one5, one4 = np.ones((1,) * 5, "f4"), np.ones((1,) * 4, "f4")
    kinds = (4, 14, 25, 30, 31, 40, 77)
    c3d = caffemodel([(f"l{kind}", kind, [one5]) for kind in kinds], "V1", "c3d")
    stock = caffemodel([(f"l{kind}", kind, [one4]) for kind in kinds], "V1", "legacy")
    read = [
        [layer.type for layer in read_caffemodel(write(tmp_path / f"{i}", nodes)).layers]
        for i, nodes in enumerate((c3d, stock))
    ]
    common = ["CONVOLUTION", "INNER_PRODUCT"]
    assert read[0] == [*common, "ELTWISE_PRODUCT", "CONVOLUTION3D", "POOLING3D", "DOWN_SAMPLING", "V1 type 77"]
    assert read[1] == [*common, "ELTWISE", "ARGMAX", "THRESHOLD", "V1 type 40", "V1 type 77"]


def test_what_is_not_read_is_counted(tmp_path: Path) -> None:
    nodes = caffemodel([("fc", "InnerProduct", [np.ones((2, 3), "f4")])], "V2", "shape")
    layer = nodes[1]
    assert isinstance(layer.payload, list)
    layer.payload += [Node(117, b"\x08\x02"), Node(117, b"")]
    layer.payload[3].payload += [Node(12, b"half"), Node(10, 2)]  # type: ignore[operator]
    net = read_caffemodel(write(tmp_path / "net", [*nodes, Node(6, b""), Run(5, bytes(8))]))
    assert net.passed_over == {
        "V2 layer field 117": 2,
        "BlobProto field 12": 1,
        "BlobProto field 10": 1,
        "NetParameter field 6": 1,
        "NetParameter field 5": 2,
    }


def sides(*values: int) -> list[Node]:
    return [Node(i, value) for i, value in enumerate(values, start=1)]


FOUR = np.arange(4, dtype="<f4").tobytes()


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([*sides(1, 1, 1, 2, 3), Node(6, FOUR)], r"holds 4 numbers where its shape 1×1×1×2×3 needs 6 in the C3D v1\.0"),
        ([*sides(1, 1, 2, 3), Node(5, FOUR)], "holds 4 numbers where its shape 1×1×2×3 needs 6 in the stock"),
        ([*sides(1, 1, 2), Node(5, FOUR)], "has 3 of the sides num, channels, height, width"),
        ([*sides(1, 1, 1, 2)[1:], Node(5, 2), Node(6, FOUR)], "has 4 of the sides num, channels, length"),
        ([*sides(1, 1, 1, 2, 2), Node(7, FOUR)], "holds 0 numbers"),
        ([*sides(1, 1, 1, 2, 0), Node(6, b"")], "the width of it is no size"),
        ([*sides(1, 1, 1, -2, -2), Node(6, FOUR)], "the height of it is no size"),
        ([*sides(1, 1, 1, 4), Node(4, 4), Node(5, FOUR)], "the width of it is no size"),
        ([*sides(1, 1, 1, 1, 4), Node(5, FOUR), Node(6, FOUR)], "the width of it is no size"),
        ([Node(1, b"x"), *sides(1, 1, 1, 4)[1:], Node(5, FOUR)], "the num of it is no size"),
        ([*sides(1, 1, 1, 4, 1), Node(6, 3)], "it is no list of 4-byte numbers"),
        ([*sides(1, 1, 1, 4, 1), Node(6, FOUR + b"x")], "it is no list of 4-byte numbers"),
        ([*sides(1, 1, 1, 4, 1), Node(6, FOUR), Node(7, FOUR[:8])], "the gradient of it has 2 numbers instead of 4"),
        ([Node(5, FOUR)], "it has no shape"),
        ([Node(5, FOUR), Node(8, FOUR), Node(7, [Node(1, 4)])], "both in float and in double"),
        ([Node(5, FOUR), Node(7, [Node(1, 4)]), Node(7, [Node(1, 4)])], "the shape of it makes no sense"),
        ([Node(5, FOUR), Node(7, 4)], "the shape of it makes no sense"),
        ([Node(5, FOUR), Node(7, [Node(2, 4)])], "the shape of it makes no sense"),
        ([Node(5, FOUR), Node(7, [Node(1, -4)])], "the shape of it makes no sense"),
        ([Node(5, FOUR), Node(7, [Node(1, 4)] + [Node(1, 1)] * 32)], "the shape of it makes no sense"),
        ([Node(5, FOUR), Node(7, [Node(1, 4)] + [Node(1, 1)] * 40)], "the shape of it makes no sense"),
        ([Node(5, FOUR), Node(7, [Node(1, varint(1) * 40)])], "holds more than 32 numbers"),
        ([Node(5, FOUR), Node(7, [Node(1, 2)])], "holds 4 numbers where its shape 2 needs 2"),
        ([*sides(1, 1, 1, 4), Node(5, FOUR), Node(7, [Node(1, 2)])], "has the two shapes 1×1×1×4 and 2"),
        ([Node(5, FOUR), Node(7, [])], "holds 4 numbers where its shape scalar needs 1"),
    ],
)
def test_a_blob_that_does_not_add_up_is_refused(tmp_path: Path, nodes: list[Node], why: str) -> None:
    file = WireFile(write(tmp_path / "blob", nodes))
    with pytest.raises(InputDataError, match=why):
        read_blob(file, 0, file.size, "it", {})


def test_old_sides_and_a_shape_of_one_meaning_are_read(tmp_path: Path) -> None:
    file = WireFile(write(tmp_path / "blob", [*sides(1, 1, 1, 4), Node(5, FOUR), Node(7, [Node(1, 4)])]))
    assert read_blob(file, 0, file.size, "it", {}).values.shape == (4,)


FC = ("fc", "InnerProduct", [np.ones((2, 3), "f4")])
BLOB5, BLOB4 = blob(np.ones((1,) * 5, "f4"), "c3d"), blob(np.ones((1,) * 4, "f4"), "legacy")


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([Node(1, b"only a name")], "holds no weights.*0 layers"),
        (caffemodel([("data", "Input", [])], "V2", "shape"), "holds no weights.*1 layers"),
        (
            caffemodel([FC], "V2", "shape") + caffemodel([("f", 14, FC[2])], "V1", "shape"),
            "both of the old and of the new",
        ),
        (caffemodel([FC, FC], "V2", "shape"), "two layers with weights are called fc"),
        ([Node(2, [Node(4, b"a"), Node(5, 4), Node(6, BLOB5), Node(6, BLOB4)])], "numbered in two ways"),
        ([Node(100, [Node(1, b"a"), Node(7, BLOB4)])], "layer 0 has weights but lacks its name or its type"),
        ([Node(100, [Node(2, b"a"), Node(7, BLOB4)])], "layer 0 has weights but lacks its name or its type"),
        ([Node(100, [Node(1, b"a"), Node(1, b"b"), Node(7, BLOB4)])], "layer 0 has two names"),
        ([Node(100, 4)], "layer 0 is no message"),
        ([Node(2, [Node(4, b"a"), Node(6, 4)])], "blob 0 of a is no message"),
        ([Node(2, [Node(6, 4)])], "blob 0 of layer 0 is no message"),
        ([Node(2, [Node(4, b"a"), Node(5, b"CONV")])], "the type of a is no number"),
        ([Node(100, [Node(1, b"a"), Node(2, 4)])], "the type of a is no text"),
        ([Node(2, [Node(1, [Node(1, b"conv")])])], "of the layout before V1.*upgrade_net_proto_binary"),
        ([Node(1, 5)], "the network's name is no text"),
    ],
)
def test_a_network_that_is_none_is_refused(tmp_path: Path, nodes: list[Node], why: str) -> None:
    with pytest.raises(InputDataError, match=why):
        read_caffemodel(write(tmp_path / "net", nodes))


def test_a_c3d_file_is_not_mistaken_for_a_stock_one(tmp_path: Path) -> None:
    """What stock tools do: read field 4 (height) as width and field 6 (data) as gradients."""
    values = np.arange(2 * 3 * 3 * 5 * 7, dtype="<f4").reshape(2, 3, 3, 5, 7)
    net = read_caffemodel(write(tmp_path / "net", caffemodel([("conv1a", 30, [values])], "V1", "c3d")))
    (read,) = net.layers[0].blobs
    assert read.values.shape == (2, 3, 3, 5, 7)
    assert not read.has_gradient
    assert (read.values == values).all()
