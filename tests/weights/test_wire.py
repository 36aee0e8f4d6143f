"""The wire format: what is written by its rules is read back; anything else is one error and allocates little."""

from __future__ import annotations

import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tubelet.errors import InputDataError
from tubelet.weights.wire import FIXED32, FIXED64, GROUP, LENGTH, VARINT, WireFile

sys.path.insert(0, str(Path(__file__).parent))
from made_files import Node, Run, encode, varint

quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture
def wired(tmp_path: Path):
    def make(data: bytes) -> WireFile:
        path = tmp_path / "file"
        path.write_bytes(data)
        return WireFile(path)

    return make


@quick
@given(st.lists(st.tuples(st.integers(1, (1 << 29) - 1), st.integers(0, (1 << 64) - 1) | st.binary(max_size=300))))
def test_fields_come_back_in_order(wired, fields: list[tuple[int, int | bytes]]) -> None:
    data = encode([Node(number, payload) for number, payload in fields])
    if not data:
        return
    file = wired(data)
    read = list(file.fields())
    assert [field.number for field in read] == [number for number, _ in fields]
    for field, (_, payload) in zip(read, fields, strict=True):
        if isinstance(payload, int):
            assert (field.wire, field.value) == (VARINT, payload)
        else:
            assert field.wire == LENGTH
            assert data[field.start : field.end] == payload


@quick
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_read_or_refused(wired, data: bytes) -> None:
    try:
        fields = list(wired(data).fields())
    except InputDataError as error:
        assert str(error).startswith("the Caffe file cannot be read: ")  # noqa: PT017 - both outcomes are right
    else:
        assert fields[-1].end == len(data)


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 66, 400, 5000])
@pytest.mark.parametrize(("number", "kind"), [(5, "<f4"), (8, "<f8"), (200, "<f4"), (1 << 28, "<f8")])
def test_numbers_that_are_not_packed_come_as_one_run(wired, count: int, number: int, kind: str) -> None:
    values = np.random.default_rng(count).standard_normal(count).astype(kind)
    run = Run(number, values.tobytes(), size=values.itemsize)
    # A field of the same number but another type follows, and one of another number.
    file = wired(encode([Node(3, 7), run, Node(number, b"abcd"), Run(number + 1, bytes(8), size=8)]))
    first, found, other, *_ = file.fields()
    assert (first.value, other.wire) == (7, LENGTH)
    assert (found.wire, found.records) == (FIXED32 if kind == "<f4" else FIXED64, count)
    assert file.numbers(found, kind, "it").tobytes() == values.tobytes()


def test_packed_numbers_are_a_view_of_the_file(wired) -> None:
    values = np.arange(5, dtype="<f4")
    file = wired(encode([Node(5, values.tobytes()), Node(5, b"")]))
    some, none = file.fields()
    view = file.numbers(some, np.float32, "it")
    assert view.tolist() == values.tolist()
    assert not view.flags.owndata
    assert not view.flags.writeable
    assert file.numbers(none, np.float32, "it").size == 0


@pytest.mark.parametrize(
    ("field", "kind"),
    [(Node(5, b"abc"), "<f4"), (Node(5, 12), "<f4"), (Run(5, bytes(8), size=8), "<f4"), (Run(5, bytes(4)), "<f8")],
)
def test_what_is_no_list_of_such_numbers_is_refused(wired, field: Node, kind: str) -> None:
    file = wired(field.encoded())
    with pytest.raises(InputDataError, match=r"it is no list of [48]-byte numbers"):
        file.numbers(next(file.fields()), kind, "it")


def test_whole_numbers_packed_and_single(wired) -> None:
    file = wired(encode([Node(1, varint(3) + varint(1 << 40)), Node(1, 5), Run(1, bytes(4)), Node(1, b"\x80")]))
    packed, single, fixed, cut = file.fields()
    assert file.integers(packed, "it", 2) == [3, 1 << 40]
    assert file.integers(single, "it", 1) == [5]
    with pytest.raises(InputDataError, match="it holds more than 1 numbers"):
        file.integers(packed, "it", 1)
    with pytest.raises(InputDataError, match="it is no whole number"):
        file.integers(fixed, "it", 1)
    with pytest.raises(InputDataError, match="ends within a number"):
        file.integers(cut, "it", 1)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"a\x00b", b"a\nb", b"x" * 1001, "\u202e".encode()])
def test_names_are_printable_text(wired, text: bytes) -> None:
    file = wired(Node(4, text).encoded())
    with pytest.raises(InputDataError, match="the name is no text"):
        file.text(next(file.fields()), "the name")


def test_a_name_must_be_text_by_type(wired) -> None:
    file = wired(encode([Node(4, 9), Node(4, "größe/1x1".encode())]))
    number, name = file.fields()
    assert file.text(name, "the name") == "größe/1x1"
    with pytest.raises(InputDataError, match="the name is no text"):
        file.text(number, "the name")


def test_groups_are_passed_over(wired) -> None:
    inside = encode([Node(1, 300), Node(2, b"abc"), Run(3, bytes(8)), Run(4, bytes(8), size=8)])
    group = varint(9 << 3 | 3) + inside + varint(10 << 3 | 3) + varint(10 << 3 | 4) + varint(9 << 3 | 4)
    group_field, after = wired(group + Node(1, 5).encoded()).fields()
    assert (group_field.number, group_field.wire, group_field.end) == (9, GROUP, len(group))
    assert after.value == 5


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x0a", "ends within a number, at byte 1"),
        (b"\x0a\x05abcd", "announces 5 bytes where 4 are left"),
        (b"\x0a" + varint(1 << 62) + b"abcd", "where 4 are left"),
        (b"\x0d\x00\x00\x00", "announces 4 bytes where 3 are left"),
        (b"\x0d\x00\x00\x00\x00\x0d\x00", "announces 4 bytes where 1 are left"),
        (b"\x09\x00\x00\x00", "announces 8 bytes where 3 are left"),
        (b"\x00\x01", "belongs to no protobuf field"),
        (b"\x0f", "belongs to no protobuf field"),
        (b"\x08" + b"\xff" * 10, "more than 64 bits"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "more than 64 bits"),
        (varint(1 << 33 | 8), "belongs to no protobuf field"),
        (b"\x0c", "a group ends at byte 1 that was not begun"),
        (b"\x0b\x14", "a group ends that was not begun"),
        (b"\x0b\x08", "ends within a number"),
        (b"\x0b" * 100, "nested too deeply"),
        (b"\x0b\x0a\x09abc", "announces 9 bytes"),
        (b"\x0b\x0d\x00", "announces 4 bytes"),
        (b"", "it is empty"),
    ],
)
def test_what_is_no_message_is_refused(wired, data: bytes, why: str) -> None:
    with pytest.raises(InputDataError, match=why):
        list(wired(data).fields())


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="No such file"):
        WireFile(tmp_path / "none")
    with pytest.raises(InputDataError, match="Is a directory"):
        WireFile(tmp_path)


def test_the_number_of_fields_is_limited(wired, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tubelet.weights.wire._MAX_FIELDS", 10)
    assert len(list(wired(b"\x08\x01" * 10).fields())) == 10
    with pytest.raises(InputDataError, match="more than 10 fields"):
        list(wired(b"\x08\x01" * 11).fields())
    with pytest.raises(InputDataError, match="nested too deeply"):
        list(wired(b"\x0b" + b"\x08\x01" * 11 + b"\x0c").fields())


def test_a_huge_announced_length_allocates_nothing(wired) -> None:
    for length in (1 << 31, 1 << 40, (1 << 63) - 1):
        file = wired(b"\x2a" + varint(length) + struct.pack("<4f", 1, 2, 3, 4))
        tracemalloc.start()
        with pytest.raises(InputDataError, match="where 16 are left"):
            list(file.fields())
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
