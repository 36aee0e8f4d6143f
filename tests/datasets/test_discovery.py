"""What counts as a video."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tubelet.datasets.discovery import (
    is_frame_folder,
    is_video,
    is_video_name,
    list_folder,
    require_folder,
    walk,
    walk_videos,
)
from tubelet.errors import InputDataError


@pytest.mark.parametrize("name", ["a.avi", "A.AVI", "b.Mp4", "c d.webm", "é.mkv", "x.tar.mov", "clip.gif"])
def test_suffixes_count_whatever_their_case(name: str) -> None:
    assert is_video_name(name)


@pytest.mark.parametrize("name", ["a.txt", "a.jpg", "avi", "a.avi.part", "a.mp3", "", ".avi"])
def test_other_names_are_no_videos(name: str) -> None:
    assert not is_video_name(name)


def test_a_folder_is_sorted_into_videos_folders_and_others(tree) -> None:
    root = tree(
        "b.AVI",
        "a.mp4",
        "notes.txt",
        "frames/",
        "sub/x.avi",
        ".hidden.mp4",
        "._a.mp4",
        ".DS_Store",
        "Thumbs.db",
    )
    (root / "__MACOSX").mkdir()
    (root / "empty").mkdir()
    listing = list_folder(root)
    assert listing.videos == ("a.mp4", "b.AVI", "frames")
    assert listing.folders == ("empty", "sub")
    assert listing.others == ("notes.txt",)


def test_a_pipe_named_like_a_video_is_none_and_a_dangling_link_is_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.avi")
    (tmp_path / "gone.avi").symlink_to(tmp_path / "nowhere.avi")
    listing = list_folder(tmp_path)
    assert listing.videos == ("gone.avi",)
    assert listing.others == ("pipe.avi",)


def test_a_name_that_is_not_utf8_is_listed_as_other_in_printable_form(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.avi", "wb"):
        pass
    listing = list_folder(tmp_path)
    assert listing.videos == ()
    assert listing.others == ("caf\\xe9.avi",)


def test_frame_folders_are_told_from_class_folders(tree) -> None:
    root = tree(
        "v/",
        "img/img_00001.jpg",
        "photos/beach.jpg",
        "mixed/a.avi",
        "mixed/001.jpg",
        "class/v1/",
        "class/001.jpg",
    )
    assert is_frame_folder(root / "v")
    assert is_frame_folder(root / "img")
    assert not is_frame_folder(root / "photos")
    assert not is_frame_folder(root / "mixed"), "a video beside a thumbnail"
    assert not is_frame_folder(root / "class"), "a thumbnail beside frame folders"
    assert not is_frame_folder(root / "nowhere")
    assert is_video(root / "v")
    assert is_video(root / "mixed" / "a.avi")
    assert not is_video(root / "mixed")
    assert not is_video(root / "photos" / "beach.jpg")


def test_walking_finds_videos_at_any_depth_once(tree) -> None:
    root = tree("z.avi", "a/b/c/deep.mp4", "a/frames/", "a/readme.md")
    (root / "a" / "up").symlink_to(root, target_is_directory=True)
    assert sorted(walk_videos(root)) == ["a/b/c/deep.mp4", "a/frames", "z.avi"]
    assert sorted(path for path, is_video in walk(root) if not is_video) == ["a/readme.md"]


def test_a_missing_folder_and_a_file_are_told_apart(tree) -> None:
    root = tree("a.avi")
    with pytest.raises(InputDataError, match="no such folder"):
        require_folder(root / "nope")
    with pytest.raises(InputDataError, match="this is a file"):
        require_folder(root / "a.avi")
    with pytest.raises(InputDataError, match="cannot be listed"):
        list_folder(root / "nope")
