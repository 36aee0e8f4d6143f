"""Copies are found by their bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tubelet.datasets.content import content_hash, content_size, copies, copy_candidates, equal_contents
from tubelet.errors import InputDataError


def frames(folder: Path, contents: list[bytes], name: str = "{:06d}.jpg") -> Path:
    folder.mkdir(parents=True)
    for number, content in enumerate(contents, 1):
        (folder / name.format(number)).write_bytes(content)
    return folder


def test_a_file_is_hashed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"abc")
    assert content_hash(tmp_path / "a.avi") == hashlib.sha256(b"abc").hexdigest()
    assert content_size(tmp_path / "a.avi") == 3


def test_a_frame_folder_is_hashed_over_its_frames_in_order(tmp_path: Path) -> None:
    one = frames(tmp_path / "one", [b"a", b"bc"])
    other_names = frames(tmp_path / "two", [b"a", b"bc"], "img_{:05d}.jpg")
    (other_names / "notes.txt").write_text("does not count")
    moved_bytes = frames(tmp_path / "three", [b"ab", b"c"])
    swapped = frames(tmp_path / "four", [b"bc", b"a"])
    assert content_hash(one) == content_hash(other_names)
    assert len({content_hash(folder) for folder in (one, moved_bytes, swapped)}) == 3
    assert content_size(one) == content_size(moved_bytes) == 3


def test_only_videos_of_equal_size_are_read(tmp_path: Path) -> None:
    contents = {
        "a.avi": b"same",
        "b.avi": b"same",
        "c.avi": b"else",
        "d.avi": b"longer",
        "e.avi": b"",
        "f.avi": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    frames(tmp_path / "folder", [b"same"])
    files = {name: tmp_path / name for name in (*contents, "folder", "gone.avi")}
    assert copy_candidates(files) == {"a.avi", "b.avi", "c.avi"}, "empty and missing ones have no copies"
    hashes = copies(files)
    assert list(hashes) == ["a.avi", "b.avi", "c.avi"]
    assert equal_contents(hashes, files) == (("a.avi", "b.avi"),)


def test_what_cannot_be_read_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="cannot be read"):
        content_hash(tmp_path / "gone.avi")
