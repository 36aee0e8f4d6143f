"""Size, time and hash of files and of folders of frames."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tubelet.errors import InputDataError, VideoError
from tubelet.video.fingerprint import FileStamp, content_hash, content_size, file_stamp, frame_names


def frames(folder: Path, contents: list[bytes], name: str = "{:06d}.jpg") -> Path:
    folder.mkdir(parents=True)
    for number, content in enumerate(contents, 1):
        (folder / name.format(number)).write_bytes(content)
    return folder


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.avi"
    file.write_bytes(b"12345")
    os.utime(file, ns=(1, 1_700_000_000_000_000_123))
    assert file_stamp(file) == FileStamp(5, 1_700_000_000_000_000_123)


def test_a_folder_of_frames_is_as_new_as_its_newest_file(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number:05d}.jpg").write_bytes(b"x" * number)
        os.utime(tmp_path / f"{number:05d}.jpg", ns=(0, 4_000_000_000_000_000_000 + number))
    assert file_stamp(tmp_path) == FileStamp(3, 4_000_000_000_000_000_002)


def test_an_absent_file_is_a_video_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"cannot read the video: .*gone\.avi \(No such file"):
        file_stamp(tmp_path / "gone.avi")


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


def test_what_cannot_be_read_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="cannot be read"):
        content_hash(tmp_path / "gone.avi")


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.JPG", "1.jpeg", "cover.jpg", "2.png"):
        (tmp_path / name).touch()
    assert frame_names(tmp_path) == ["1.jpeg", "9.JPG", "10.jpg"]
