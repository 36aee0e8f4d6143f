"""Files of ``torch.save``: read by a child, bit for bit; whatever asks for code is refused and not run."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import sys
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from tubelet.errors import InputDataError
from tubelet.video.guard import GuardedPool, Message
from tubelet.weights import Limits, read_weights
from tubelet.weights.pickle_look import plain_pickle_error, remedy_for
from tubelet.weights.torch_child import convert
from tubelet.weights.torch_file import convert_torch, torch_pool

sys.path.insert(0, str(Path(__file__).parent))  # children find made_files there, too

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
DTYPES += [torch.int8, torch.uint8, torch.bool]


@pytest.fixture(scope="module")
def pool() -> Iterator[GuardedPool]:
    with torch_pool(1 << 20) as children:
        yield children


def saved(path: Path, value: Any, old: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not old)
    return path


def in_this_process(path: Path, out: Path, **limits: int) -> dict[str, Any]:
    """What the child does, where its lines can be counted."""
    request = {"path": str(path), "out": str(out), "max_tensors": 1000, "max_bytes": 1 << 30, **limits}
    ((header, array),) = convert(request)
    assert array is None
    return header


@pytest.mark.parametrize("old", [False, True])
def test_every_type_comes_back_bit_for_bit(tmp_path: Path, pool: GuardedPool, old: bool) -> None:
    tensors = {str(dtype): (torch.rand(3, 4) * 100).to(dtype) for dtype in DTYPES}
    tensors |= {"scalar": torch.tensor(5), "empty": torch.zeros(0, 3)}
    with read_weights(saved(tmp_path / "a.pth", tensors, old), pool=pool) as foreign:
        assert foreign.format == ("torch.save (before 1.6)" if old else "torch.save (zip)")
        assert list(foreign.tensors) == list(tensors)
        for name, tensor in tensors.items():
            read = foreign.tensors[name].read()
            assert (read.dtype, read.shape) == (tensor.dtype, tensor.shape)
            assert torch.equal(read, tensor)
        assert foreign.tensors["empty"].statistics is None
        folder = foreign.folder
        assert folder is not None
        assert folder.exists()
    assert not folder.exists()


@pytest.mark.parametrize("old", [False, True])
def test_a_checkpoint_is_listed_whole(tmp_path: Path, pool: GuardedPool, old: bool) -> None:
    weight = torch.randn(4, 6)
    value = {
        "epoch": 3,
        "arch": "BNInception",
        "best_prec1": 71.5,
        "state_dict": OrderedDict(
            {"module.conv.weight": weight[:, ::2], "module.tied": weight, "module.again": weight}
        ),
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "groups": [{"lr": 0.1, "on": None}]},
        "size": torch.Size([1, 2]),
        "odd": torch.complex64,
    }
    with read_weights(saved(tmp_path / "a.pth.tar", value, old), pool=pool) as foreign:
        assert list(foreign.tensors) == [
            *["state_dict.module.conv.weight", "state_dict.module.tied", "state_dict.module.again"],
            "optimizer.state.0.momentum_buffer",
        ]
        assert torch.equal(foreign.tensors["state_dict.module.conv.weight"].read(), weight[:, ::2])
        for note in ("epoch = 3", "arch = 'BNInception'", "best_prec1 = 71.5", "optimizer.groups.0.on = None"):
            assert note in foreign.notes
        assert "odd = dtype" in foreign.notes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=4), st.integers(0, 1 << 20)), max_size=4
    ),
    st.booleans(),
)
def test_any_tensors_come_back(tmp_path: Path, specs: list[tuple[torch.dtype, list[int], int]], old: bool) -> None:
    tensors = {}
    for i, (dtype, sides, seed) in enumerate(specs):
        raw = np.random.default_rng(seed).bytes(
            int(np.prod(sides, dtype=int)) * torch.empty(0, dtype=dtype).element_size()
        )
        data = torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else torch.empty(0, dtype=torch.uint8)
        tensors[f"t{i}"] = (data % 2).bool().reshape(sides) if dtype == torch.bool else data.view(dtype).reshape(sides)
    out = tmp_path / "out.safetensors"
    said = in_this_process(saved(tmp_path / "a.pth", tensors, old), out)
    assert said["names"] == list(tensors)
    for name, tensor in load_file(out).items():
        bits = torch.int16 if tensor.dtype == torch.bfloat16 else tensor.dtype  # NumPy has no bfloat16
        assert tensor.dtype == tensors[name].dtype
        assert tensor.view(bits).numpy().tobytes() == tensors[name].view(bits).numpy().tobytes()


def test_a_tensor_alone_has_a_name(tmp_path: Path) -> None:
    assert in_this_process(saved(tmp_path / "a.pth", torch.ones(2)), tmp_path / "out")["names"] == ["tensor"]


def test_tensors_without_a_plain_form_are_listed_with_the_reason(tmp_path: Path, pool: GuardedPool) -> None:
    value = {
        "fine": torch.ones(2),
        "complex": torch.ones(2, dtype=torch.complex64),
        "meta": torch.empty(2, device="meta"),
    }
    with read_weights(saved(tmp_path / "a.pth", value), pool=pool) as foreign:
        reasons = {name: tensor.unreadable for name, tensor in foreign.tensors.items()}
        assert reasons == {
            "fine": None,
            "complex": "numbers of type torch.complex64 are not read",
            "meta": "it has no values (device meta)",
        }
    said = in_this_process(tmp_path / "a.pth", tmp_path / "out")
    assert [name for name, *_ in said["unreadable"]] == ["complex", "meta"]


@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
@pytest.mark.parametrize("old", [False, True])
def test_sparse_tensors_are_listed_too(tmp_path: Path, old: bool) -> None:
    dense = torch.eye(3)
    value = {"coo": dense.to_sparse(), "csr": dense.to_sparse_csr(), "csc": dense.to_sparse_csc(), "w": dense}
    said = in_this_process(saved(tmp_path / "a.pth", value, old), tmp_path / "out")
    assert said["names"] == list(value)
    assert said["unreadable"] == [
        ("coo", "F32", [3, 3], "it is sparse (torch.sparse_coo)"),
        ("csr", "F32", [3, 3], "it is sparse (torch.sparse_csr)"),
        ("csc", "F32", [3, 3], "it is sparse (torch.sparse_csc)"),
    ]


def test_storages_that_an_old_file_does_not_hold_are_seen(tmp_path: Path) -> None:
    """torch would give the memory as it was before: whatever the process had there."""
    path = saved(tmp_path / "a.pth", {"a": torch.ones(500), "none": torch.zeros(0), "b": torch.ones(300)}, old=True)
    data = path.read_bytes()
    stream = BytesIO(data)
    for _ in range(4):  # a magic number, the version, the system, the tensors
        list(pickletools.genops(stream))
    begin = stream.tell()
    names = pickle.load(stream)
    storages = []
    for _ in names:
        (count,) = struct.unpack("<q", stream.read(8))
        storages.append(struct.pack("<q", count) + stream.read(4 * count))
    assert data == data[:begin] + pickle.dumps(names, 2) + b"".join(storages)
    for left_out in range(len(names)):
        fewer = names[:left_out] + names[left_out + 1 :]
        held = storages[:left_out] + storages[left_out + 1 :]
        path.write_bytes(data[:begin] + pickle.dumps(fewer, 2) + b"".join(held))
        assert torch.load(path, weights_only=True)["a"].shape == (500,)
        if len(storages[left_out]) > 8:
            with pytest.raises(InputDataError, match="does not hold all the storages"):
                in_this_process(path, tmp_path / "out")
        else:  # nothing is lost with an empty one
            assert in_this_process(path, tmp_path / "out")["names"] == ["a", "none", "b"]


class Command:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("form", ["zip", "old", "pickle", "pickle 0", "pickle 4"])
def test_a_command_in_a_pickle_is_refused_and_not_run(tmp_path: Path, pool: GuardedPool, form: str) -> None:
    proof, path = tmp_path / "ran", tmp_path / "weights.pth"
    evil = {"state_dict": Command(proof)}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(evil, int(form.partition(" ")[2] or 2)))
    else:
        saved(path, evil, form == "old")
    with pytest.raises(InputDataError) as caught:
        read_weights(path, pool=pool)
    assert "asks for posix.system" in str(caught.value) or "asks for nt.system" in str(caught.value)
    assert "nothing of it was run" in str(caught.value)
    assert "do not load this file anywhere" in str(caught.value)
    assert not proof.exists()
    pickle.loads(pickle.dumps(evil))  # the command does work
    assert proof.exists()


@pytest.mark.parametrize("old", [False, True])
def test_another_class_is_refused_with_what_to_do(tmp_path: Path, old: bool) -> None:
    path = saved(tmp_path / "a.pth", {"args": Namespace(lr=1), "w": torch.ones(1)}, old)
    with pytest.raises(InputDataError, match=r"asks for argparse\.Namespace.*if you trust the file|if you trust it"):
        in_this_process(path, tmp_path / "out")


def test_caffe2_pickles_are_refused_with_an_explanation(tmp_path: Path) -> None:
    path = tmp_path / "r2plus1d.pkl"
    path.write_bytes(pickle.dumps({"blobs": {"conv1_w": np.zeros(3, "f4")}}, 2))
    with pytest.raises(InputDataError, match=r"Caffe2 model pickled as NumPy arrays, as VMZ publishes.*safetensors"):
        in_this_process(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("wanted", "trusted"),
    [("os.system", False), ("builtins.eval", False), ("subprocess.Popen", False), ("pathlib.PosixPath", True)],
)
def test_what_can_run_anything_is_never_said_to_be_trusted(wanted: str, trusted: bool) -> None:
    said = remedy_for(["argparse.Namespace", wanted], "convert it")
    assert said == (
        "if you trust it, convert it" if trusted else "do not load this file anywhere: no weights need that"
    )


def test_a_plain_pickle_is_looked_at_without_being_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"a": [1, 2]}))
    assert "a plain pickle without tensors" in str(plain_pickle_error(path))
    path.write_bytes(pickle.dumps(np.ones(3), 4)[:-20])
    assert "asks for numpy" in str(plain_pickle_error(path))
    monkeypatch.setattr("tubelet.weights.pickle_look._MAX_OPCODES", 1)
    assert "without tensors" in str(plain_pickle_error(path))


def rezipped(path: Path, change: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> Path:
    """The archive again with records changed, dropped (None) or added, its checksums right."""
    with zipfile.ZipFile(path) as archive:
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        root = archive.namelist()[0].partition("/")[0]
    for name, data in change.items():
        if data is None:
            del records[name]
        else:
            records[name] = data
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name.removeprefix("^") if name.startswith("^") else f"{root}/{name}", data)
    return path


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"constants.pkl": b""}, "TorchScript archive, which holds code"),
        ({"data.pkl": None}, "a zip archive but not of torch.save"),
        ({"^elsewhere/x": b"x"}, "outside its folder"),
        ({"data/0": b"\0" * 4}, "do not have the sizes"),
        ({"data/0": b"\0" * 400}, "do not have the sizes"),
        ({"data/7": b"\0" * 4}, "do not have the sizes"),
        ({"data.pkl": b"\x80\x02}q\x00."}, "do not have the sizes"),
        ({"data.pkl": b"\x80\x02}q\x00"}, "damaged|Ran out|index out of range|EOF"),
        ({"data.pkl": b"\x80\x02\xff."}, "its pickle is damaged"),
    ],
)
def test_damaged_archives_are_refused(tmp_path: Path, change: dict[str, bytes | None], why: str) -> None:
    path = rezipped(saved(tmp_path / "a.pth", {"w": torch.ones(5)}), change)
    with pytest.raises(InputDataError, match=why):
        in_this_process(path, tmp_path / "out")


def test_compressed_archives_and_wrong_checksums_are_refused(tmp_path: Path) -> None:
    path = rezipped(saved(tmp_path / "a.pth", {"w": torch.ones(500)}), {}, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputDataError, match="compressed or encrypted"):
        in_this_process(path, tmp_path / "out")
    data = bytearray(saved(tmp_path / "b.pth", {"w": torch.arange(500)}).read_bytes())
    data[data.index(np.arange(100, 110).tobytes())] ^= 1
    (tmp_path / "b.pth").write_bytes(data)
    with pytest.raises(InputDataError, match=r"the checksum of its record .*data/0 is wrong"):
        in_this_process(tmp_path / "b.pth", tmp_path / "out")


def test_records_of_other_meaning_are_noted(tmp_path: Path) -> None:
    path = rezipped(saved(tmp_path / "a.pth", {"w": torch.ones(5)}), {"extra/notes.txt": b"hello"})
    assert in_this_process(path, tmp_path / "out")["notes"] == ["record extra/notes.txt passed over"]


def test_a_type_that_halves_a_storage_is_seen(tmp_path: Path) -> None:
    """torch, when it maps a file, reads half of the record without a word."""
    path = saved(tmp_path / "a.pth", {"w": torch.ones(6)})
    with zipfile.ZipFile(path) as archive:
        pkl = archive.read("a/data.pkl")
    assert b"FloatStorage" in pkl
    rezipped(path, {"data.pkl": pkl.replace(b"FloatStorage", b"HalfStorage")})
    assert torch.load(path, weights_only=True, mmap=True)["w"].shape == (6,)
    with pytest.raises(InputDataError, match="do not have the sizes"):
        in_this_process(path, tmp_path / "out")


def test_bytes_after_an_old_file_are_seen(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"w": torch.ones(5)}, old=True)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InputDataError, match="4 bytes follow its last tensor"):
        in_this_process(path, tmp_path / "out")


def test_containers_within_themselves_are_refused(tmp_path: Path) -> None:
    endless: list[Any] = [torch.ones(1)]
    endless.append(endless)
    many: Any = [1]
    for _ in range(20):
        many = [many] * 10
    for value in (endless, many):
        with pytest.raises(InputDataError, match="nested too deeply or hold too much"):
            in_this_process(saved(tmp_path / "a.pth", value), tmp_path / "out")


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"a.b": torch.ones(1), "a": {"b": torch.ones(1)}})
    with pytest.raises(InputDataError, match=r"two tensors are called a\.b"):
        in_this_process(path, tmp_path / "out")


def test_more_than_the_limits_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    vast = torch.ones(1).expand(1 << 20, 1 << 20)  # four bytes that claim to be four terabytes
    path = saved(tmp_path / "a.pth", {"w": vast})
    assert path.stat().st_size < 1 << 16
    with pytest.raises(InputDataError, match="1 tensors of 4398046511104 bytes are over the limit"):
        in_this_process(path, tmp_path / "out")
    path = saved(tmp_path / "b.pth", {str(i): torch.ones(1) for i in range(5)})
    with pytest.raises(InputDataError, match="5 tensors of 20 bytes are over the limit"):
        in_this_process(path, tmp_path / "out", max_tensors=4)


def test_many_notes_are_cut(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"w": torch.ones(1), "text": "x" * 500, **{f"n{i}": i for i in range(200)}})
    notes = in_this_process(path, tmp_path / "out")["notes"]
    assert len(notes) == 101
    assert notes[-1] == "and 101 more values that are no tensors"
    assert len(notes[0]) < 140


def test_memory_that_runs_out_is_no_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(MemoryError):  # the pool's child reports it as such
        in_this_process(saved(tmp_path / "a.pth", {"w": torch.ones(1)}), tmp_path / "out")


def test_a_child_that_dies_is_one_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"w": torch.ones(1)})
    with (
        GuardedPool("made_files:dies") as dying,
        pytest.raises(InputDataError, match=r"the process that read it failed: .*SIGABRT"),
    ):
        convert_torch(path, tmp_path / "out", max_tensors=9, max_bytes=99, pool=dying)


@pytest.mark.parametrize("header", [{}, {"form": 1, "names": 3, "unreadable": [], "notes": []}])
def test_a_child_that_talks_nonsense_is_one_error(tmp_path: Path, header: dict[str, Any]) -> None:
    class Taken:
        def run(self, _: object) -> Iterator[Message]:
            yield Message(header, None)

    path = saved(tmp_path / "a.pth", {"w": torch.ones(1)})
    with pytest.raises(InputDataError, match="the process that read it answered nonsense"):
        convert_torch(path, tmp_path / "out", max_tensors=9, max_bytes=99, pool=Taken())  # type: ignore[arg-type]


def test_a_child_of_its_own_is_started_where_none_is_given(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"w": torch.arange(3.0)})
    foreign = read_weights(path, limits=Limits(tensors=1, bytes=1 << 20))
    assert foreign.tensors["w"].read().tolist() == [0, 1, 2]
    foreign.close()
