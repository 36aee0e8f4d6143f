"""One value for all formats: told apart by content, counted, limited, hashed; safetensors in full."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tubelet.errors import InputDataError
from tubelet.models.tensors import read_header
from tubelet.weights import Limits, read_weights
from tubelet.weights.statistics import describe

sys.path.insert(0, str(Path(__file__).parent))
from made_files import Node, blob, caffe_layers, caffemodel, encode, filled, numbered, safetensors_bytes, write


@pytest.mark.parametrize("numbering", ["c3d", "shape"])
@pytest.mark.parametrize("diff", [False, True])
def test_a_caffe_network(tmp_path: Path, numbering: str, diff: bool) -> None:
    layers = caffe_layers(filled(), 5 if numbering == "c3d" else None)
    nodes = caffemodel(numbered(layers), "V1", numbering, diff=diff)
    path = write(tmp_path / "weights.bin", [*nodes, Node(6, b"")])
    foreign = read_weights(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest().upper())
    assert foreign.format == f"Caffe V1, {'C3D v1.0' if numbering == 'c3d' else 'stock'} numbering"
    assert foreign.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    expected = {f"{name}[{i}]": values for name, _, blobs in layers for i, values in enumerate(blobs)}
    assert list(foreign.tensors) == list(expected)
    for name, values in expected.items():
        tensor = foreign.tensors[name]
        assert (tensor.dtype, tensor.shape) == ("F32", values.shape)
        read = tensor.read()
        assert read.numpy().tobytes() == values.tobytes()
        read.zero_()  # a copy: the file and the next reading do not change
        assert tensor.read().numpy().tobytes() == values.tobytes()
        assert tensor.statistics is not None
        assert tensor.statistics.mean == pytest.approx(values.astype("f8").mean(), rel=1e-12)
    gradients = ["gradients of 9 blobs passed over"] if diff else []
    assert list(foreign.notes) == ["1 × NetParameter field 6 passed over", *gradients]


def test_doubles_keep_their_type(tmp_path: Path) -> None:
    values = np.array([1 / 3, 1e300])
    path = write(tmp_path / "net", caffemodel([("a", "Scale", [values])], "V2", "shape", double=True))
    tensor = read_weights(path).tensors["a[0]"]
    assert tensor.dtype == "F64"
    assert tensor.read().tolist() == values.tolist()


@pytest.mark.parametrize("numbering", ["c3d", "legacy", "shape"])
def test_a_blob_alone(tmp_path: Path, numbering: str) -> None:
    values = np.ones((1, 3, 2, 2, 2) if numbering == "c3d" else (1, 3, 2, 4), "f4")
    path = write(tmp_path / "mean", [*blob(values, numbering), Node(20, 1)])
    foreign = read_weights(path)
    assert foreign.format.startswith("Caffe blob")
    assert foreign.tensors["blob"].shape == values.shape
    assert foreign.notes == ("1 × BlobProto field 20 passed over",)


def test_safetensors(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.randn(2, 3),
        "half": torch.randn(4).bfloat16(),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 2),
        "flags": torch.tensor([True, False]),
    }
    path = tmp_path / "a.caffemodel"  # suffixes are not believed
    save_file(tensors, path, metadata={"origin": "here " * 100})
    foreign = read_weights(path)
    assert foreign.format == "safetensors"
    assert {name: t.dtype for name, t in foreign.tensors.items()} == {
        "a.weight": "F32",
        "half": "BF16",
        "count": "I64",
        "none": "F32",
        "flags": "BOOL",
    }
    assert all(torch.equal(foreign.tensors[name].read(), tensor) for name, tensor in tensors.items())
    assert foreign.tensors["none"].statistics is None
    assert foreign.notes[0].startswith("metadata origin: here here")
    assert len(foreign.notes[0]) < 230


def test_the_real_safetensors(shared_data: Path) -> None:
    path = shared_data / "weights" / "squeezenet1_0_imagenet.safetensors"
    if not path.is_file():
        pytest.skip(f"the real weights are not at {path}")
    foreign = read_weights(path)
    assert len(foreign.tensors) == 52
    assert foreign.tensors["conv1.weight"].shape == (96, 3, 7, 7)
    assert sum(math.prod(t.shape) for t in foreign.tensors.values()) == 1_248_424
    assert all(t.statistics is not None and t.statistics.not_finite == 0 for t in foreign.tensors.values())


def test_a_header_that_begins_like_a_pickle(tmp_path: Path) -> None:
    for length in (0x0280, 0x0380, 0x0480, 0x0580):  # little-endian: 80 02, 80 03, …
        path = tmp_path / "a.safetensors"
        path.write_bytes(safetensors_bytes(header(a=ONE).ljust(length), bytes(4)))
        assert read_weights(path).tensors["a"].read().tolist() == [0]


def header(**entries: object) -> bytes:
    return json.dumps(entries).encode()


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (safetensors_bytes(header(a={**ONE, "shape": [2]}), bytes(4)), "nonsense about 'a'"),
        (safetensors_bytes(header(a={**ONE, "dtype": "F33"}), bytes(4)), "nonsense about 'a'"),
        (safetensors_bytes(header(a={**ONE, "shape": [1] * 65}), bytes(4)), "nonsense about 'a'"),
        (safetensors_bytes(header(a={**ONE, "shape": [10**9] * 100_000}), bytes(4)), "nonsense about 'a'"),
        (safetensors_bytes(header(a=ONE), bytes(5)), "has .* bytes where its header announces"),
        (safetensors_bytes(b'{"a": ' + header(**ONE) + b', "a": ' + header(**ONE) + b"}", bytes(4)), "not JSON"),
        (safetensors_bytes(b'{"a": 1', b""), "not JSON"),
        (safetensors_bytes(b"{}", b""), "holds no tensor"),
        (safetensors_bytes(header(**{"": ONE}), bytes(4)), "a tensor called"),
        (safetensors_bytes(header(**{"a\nb": ONE}), bytes(4)), "a tensor called"),
        (safetensors_bytes(header(**{"a" * 501: ONE}), bytes(4)), "a tensor called"),
        (safetensors_bytes(header(__metadata__={"a": 1}, a=ONE), bytes(4)), "damaged"),
        (safetensors_bytes(header(a=ONE), bytes(4))[:-4], "has .* bytes where its header announces"),
        (safetensors_bytes(header(a=ONE), bytes(4))[:20], "no safetensors header"),
    ],
)
def test_damaged_safetensors_are_refused(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputDataError, match=why):
        read_weights(path)


def test_a_doubled_name_is_seen_where_both_are_empty(tmp_path: Path) -> None:
    empty = header(dtype="F32", shape=[0], data_offsets=[0, 0])
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes(b'{"a": ' + empty + b', "a": ' + empty + b"}", b""))
    with pytest.raises(InputDataError, match="not JSON"):
        read_header(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><html>", "it is a web page"),
        (b"<?xml version='1.0'?>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"BZh91AY", "compressed"),
        (b"\xfd7zXZ\x00", "compressed"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "MATLAB"),
        (b"\x93NUMPY\x01\x00", "NumPy array"),
        (b'# net\nname: "CaffeNet"\n', "a network definition"),
        (b'layer {\n  name: "a"', "a network definition"),
        (b'{"model": 1}', "JSON"),
        (b"\xff\xfe\xfd", "no known format"),
        (b"MZ\x90\x00", "no known format"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "weights"
    path.write_bytes(data)
    with pytest.raises(InputDataError, match=f"cannot be read.*{why}"):
        read_weights(path)


def test_tar_archives_are_refused(tmp_path: Path) -> None:
    member, path = tmp_path / "storages", tmp_path / "old.pth.tar"
    member.write_bytes(b"x")
    with tarfile.open(path, "w") as archive:
        archive.add(member, "storages")
    with pytest.raises(InputDataError, match=r"tar archive, which torch wrote before 2017.*state_dict"):
        read_weights(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="there is no such weights file"):
        read_weights(tmp_path / "none")
    with pytest.raises(InputDataError, match=r"a weights file is needed.*a folder or a device"):
        read_weights(tmp_path)
    with pytest.raises(InputDataError, match="a weights file is needed"):
        read_weights("/dev/zero")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "weights"
    path.write_bytes(b"x")
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputDataError, match="Permission denied"):
        read_weights(path)


def test_another_hash_and_too_much_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net", caffemodel(caffe_layers(filled(), None), "V2", "shape"))
    with pytest.raises(InputDataError, match=r"not the file that was published.*its SHA-256 is .* instead of 0000"):
        read_weights(path, sha256="0" * 64)
    with pytest.raises(InputDataError, match=r"larger than allowed.*9 tensors"):
        read_weights(path, limits=Limits(tensors=8))
    with pytest.raises(InputDataError, match="larger than allowed"):
        read_weights(path, limits=Limits(bytes=100))
    save_file({"a": torch.ones(2), "b": torch.ones(2)}, tmp_path / "s")
    with pytest.raises(InputDataError, match=r"larger than allowed.*2 tensors"):
        read_weights(tmp_path / "s", limits=Limits(tensors=1))
    mean = write(tmp_path / "mean", blob(np.ones((1, 3, 2, 2, 2), "f4"), "c3d"))
    with pytest.raises(InputDataError, match="larger than allowed"):
        read_weights(mean, limits=Limits(bytes=90 + len(encode([])), tensors=0))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    st.binary(min_size=1, max_size=120),
    st.sampled_from([b"", b"\x0a", b"\x12", b"\xa2\x06", b"\x08", b"\x3a", b"\x2a"]),
)
def test_any_bytes_are_one_error_or_a_blob(tmp_path: Path, data: bytes, start: bytes) -> None:
    path = tmp_path / "weights"
    path.write_bytes(start + data)
    if data[:1] == b"\x80" or (start + data).startswith((b"PK", b"\x80", b"(", b"c", b"]", b"}", b")")):
        return  # pickles: test_torch_file
    try:
        foreign = read_weights(path)
    except InputDataError as error:
        assert str(path) in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert all(tensor.read().numel() for tensor in foreign.tensors.values())


@settings(max_examples=60)
@given(
    st.lists(st.floats(width=32) | st.just(math.nan) | st.just(math.inf), min_size=1, max_size=40), st.integers(1, 7)
)
def test_statistics_are_those_of_numpy(values: list[float], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tubelet.weights.statistics._CHUNK", chunk)
        found = describe(torch.tensor(values, dtype=torch.float32))
    array = np.array(values, "f4").astype("f8")
    finite = array[np.isfinite(array)]
    assert found is not None
    assert (found.count, found.not_finite) == (array.size, array.size - finite.size)
    if finite.size:
        assert (found.minimum, found.maximum) == (finite.min(), finite.max())
        scale = max(np.abs(finite).max(), 1e-300)
        assert found.mean == pytest.approx(finite.mean(), abs=1e-12 * scale)
        assert found.std == pytest.approx(finite.std(), abs=1e-7 * scale)
    else:
        assert found.to_dict()["mean"] is None


def test_a_file_cut_off_after_it_was_opened_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_file({"a": torch.arange(6.0).reshape(2, 3), "empty": torch.zeros(0, 4), "one": torch.tensor(5)}, path)
    tensors = read_weights(path).tensors
    assert tensors["a"].read().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (tensors["empty"].read().shape, tensors["one"].read().item()) == ((0, 4), 5)
    mine = tensors["a"].read()
    mine.zero_()
    assert tensors["a"].read().sum() == 15, "every reading is a copy"
    path.write_bytes(path.read_bytes()[:-25])  # 24 bytes of a, 8 of one, in either order
    with pytest.raises(InputDataError, match=r"damaged.*shorter than when it was opened"):
        [tensors[name].read() for name in ("a", "one")]
    path.unlink()
    with pytest.raises(InputDataError, match=r"damaged.*file\.safetensors.*No such file"):
        tensors["a"].read()
