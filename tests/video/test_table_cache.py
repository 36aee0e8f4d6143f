"""Kept frame tables: found again, never believed for other bytes, never in the way."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from damage import number_shown

import tubelet.video.file_source as file_source
import tubelet.video.table_cache as table_cache
from tubelet.video.limits import Limits
from tubelet.video.measure import measure_table
from tubelet.video.reader import Video
from tubelet.video.table_cache import load_table, store_table


@pytest.fixture
def measured(monkeypatch):
    """How often a table was measured."""
    calls = []

    def measure(path, limits):
        calls.append(path)
        return measure_table(path, limits)

    monkeypatch.setattr(file_source, "measure_table", measure)
    return calls


@pytest.fixture
def path(clip, tmp_path):
    copy = tmp_path / "clip.mp4"
    shutil.copyfile(clip("mp4-h264-b"), copy)
    return copy


def test_measured_once(path, measured):
    first, second = Video(path), Video(path)
    assert len(first) == len(second) == 50
    assert len(measured) == 1
    np.testing.assert_array_equal(first.times, second.times)
    assert number_shown(second.frames([44])[0]) == 44
    assert len(Video(path, cache=False)) == 50
    assert len(measured) == 2


def test_a_table_comes_back_as_it_went(path):
    table = measure_table(path, Limits())
    store_table(path, table, path.stat())
    again = load_table(path)
    assert again is not None
    for name in table.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name))


def test_a_complete_pass_keeps_the_table_it_saw(path, measured):
    Video(path).check()
    assert len(Video(path)) == 50
    assert measured == []


def test_other_bytes_of_the_same_size_and_age(path, clip, measured):
    assert len(Video(path)) == 50
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load_table(path) is None
    assert len(Video(path)) == 50
    assert len(measured) == 2


def test_large_files_are_sampled_and_hashed_in_full_when_in_doubt(path, monkeypatch):
    monkeypatch.setattr(table_cache, "_SAMPLE_BYTES", 64)
    table = measure_table(path, Limits())
    store_table(path, table, path.stat())
    assert load_table(path) is not None, "just written: the whole file is hashed"
    data = bytearray(path.read_bytes())
    middle = 64 + (len(data) - 64) // 15 // 2  # between the first two samples
    data[middle] ^= 1
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load_table(path) is None, "younger than two seconds when measured"
    data[middle] ^= 1
    path.write_bytes(data)
    old = status.st_mtime_ns - 10_000_000_000
    os.utime(path, ns=(old, old))
    assert load_table(path) is not None, "another time, the same bytes"
    store_table(path, table, path.stat())
    data[middle] ^= 1
    path.write_bytes(data)
    assert load_table(path) is None, "another time, other bytes"
    os.utime(path, ns=(old, old))
    assert load_table(path) is not None, "settled: size, time and samples are trusted"


def test_another_decoder_measures_anew(path, monkeypatch):
    store_table(path, measure_table(path, Limits()), path.stat())
    monkeypatch.setattr(table_cache, "_decoder", lambda: "libavcodec 99")
    assert load_table(path) is None


def test_a_file_that_changed_meanwhile_is_not_kept(path):
    before = path.stat()
    table = measure_table(path, Limits())
    with path.open("ab") as file:
        file.write(b"more")
    store_table(path, table, before)
    assert load_table(path) is None


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a table", None])
def test_damaged_entries_are_measured_over(path, own_cache, damage, measured):
    assert len(Video(path)) == 50
    (entry,) = own_cache.rglob("*.npz")
    if damage is None:
        np.savez(entry, other=np.arange(3))
    else:
        entry.write_bytes(damage)
    assert len(Video(path)) == 50
    assert len(measured) == 2
    assert len(Video(path)) == 50
    assert len(measured) == 2, "the entry was replaced"


def test_a_folder_that_cannot_be_written(path, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("TUBELET_CACHE", str(blocked / "below"))
    assert len(Video(path)) == 50
