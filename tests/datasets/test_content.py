"""Copies are found by their bytes."""

from __future__ import annotations

from pathlib import Path

from tubelet.datasets.content import copies, copy_candidates, equal_contents


def frames(folder: Path, contents: list[bytes], name: str = "{:06d}.jpg") -> Path:
    folder.mkdir(parents=True)
    for number, content in enumerate(contents, 1):
        (folder / name.format(number)).write_bytes(content)
    return folder


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
