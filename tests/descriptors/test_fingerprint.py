"""Size and time of files and of folders of frames."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tubelet.descriptors.fingerprint import FileStamp, file_stamp
from tubelet.errors import VideoError


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
