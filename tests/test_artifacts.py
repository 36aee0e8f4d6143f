"""A file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tubelet.artifacts import (
    cache_folder,
    lock_folder,
    new_folder,
    remove_leftovers,
    sync_folder,
    write_atomically,
    write_bytes,
    write_json,
    write_text,
)
from tubelet.errors import UsageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_missing_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    assert write_bytes(tmp_path / "a" / "b" / "c.bin", b"\x00\xff") == tmp_path / "a" / "b" / "c.bin"
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"\x00\xff"
    assert names(tmp_path / "a" / "b") == ["c.bin"]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, kind: type[BaseException]) -> None:
    write_text(tmp_path / "kept.txt", "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the ne")
        raise kind

    with pytest.raises(kind):
        write_atomically(tmp_path / "kept.txt", fail)
    assert (tmp_path / "kept.txt").read_text() == "old"
    assert names(tmp_path) == ["kept.txt"]


def test_a_writer_that_removes_its_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "a", lambda temporary: temporary.unlink())
    assert names(tmp_path) == []


def test_readers_see_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    values = [{"value": letter * 200_000} for letter in "ab"]
    write_json(path, values[0])
    stop = threading.Event()
    seen: list[object] = []

    def read() -> None:
        while not stop.is_set():
            seen.append(json.loads(path.read_text()))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(50):
        write_atomically(path, lambda temporary, turn=turn: temporary.write_text(json.dumps(values[turn % 2])))
    stop.set()
    reader.join()
    assert seen
    assert all(value in values for value in seen)


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "kept.txt", "old")
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom tubelet.artifacts import write_atomically\n"
        "def half(temporary):\n    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(Path(sys.argv[1]), half)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "kept.txt")], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "kept.txt").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="permissions of Unix")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_permissions_are_those_of_any_other_file(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_text_is_utf8_with_plain_line_ends(tmp_path: Path) -> None:
    assert write_text(tmp_path / "a.txt", "ü\n").read_bytes() == b"\xc3\xbc\n"


def test_json_is_readable_and_strict(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"größe": [1, 2.5, None]})
    assert path.read_text(encoding="utf-8") == '{\n  "größe": [\n    1,\n    2.5,\n    null\n  ]\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"größe": [1, 2.5, None]}, "the old file stays"


def test_a_cache_need_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (flushed.append(handle), real(handle)))
    write_bytes(tmp_path / "artifact", b"1")
    assert len(flushed) >= 1
    flushed.clear()
    write_atomically(tmp_path / "cache", lambda temporary: temporary.write_bytes(b"1"), durable=False)
    assert flushed == []
    assert (tmp_path / "cache").read_bytes() == b"1"


def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[int] = []

    def refuse(handle: int) -> None:
        refused.append(handle)
        raise OSError("this file system flushes no folders")

    monkeypatch.setattr(os, "fsync", refuse)
    sync_folder(tmp_path)
    assert len(refused) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(refused[0])  # its handle is closed all the same
    sync_folder(tmp_path / "absent")
    assert len(refused) == 1


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUBELET_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("TUBELET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "tubelet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "tubelet"


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    for turn, content in enumerate(("old", "new")):
        with new_folder(tmp_path / "a" / "set") as folder:
            (folder / f"{content}.txt").write_text(content)
            assert (tmp_path / "a" / "set").exists() == bool(turn)
        assert names(tmp_path / "a" / "set") == [f"{content}.txt"]
    assert names(tmp_path / "a") == ["set"]
    assert stat.S_IMODE((tmp_path / "a" / "set").stat().st_mode) == stat.S_IMODE((tmp_path / "a").stat().st_mode)


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write_text(tmp_path / "set" / "old.txt", "old")

    def fail() -> None:
        with new_folder(tmp_path / "set") as folder:
            (folder / "half.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path / "set") == ["old.txt"]
    assert names(tmp_path) == ["set"]


def test_leftovers_of_one_target_are_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [".c.xyz.tmp", ".xyz.tmp", ".b.keep", ".a.keep", "a", "a.tmp", ".ab.xyz.tmp"]
    for name in (*kept, ".a.xyz.tmp", ".b.flow.zip.q.tmp"):
        (tmp_path / name).touch()
    (tmp_path / ".a.folder.tmp").mkdir()
    write_text(tmp_path / ".a.folder.tmp" / "x", "half")
    remove_leftovers([tmp_path / "a", tmp_path / "b.flow.zip"])
    assert names(tmp_path) == sorted(kept)
    remove_leftovers([tmp_path / "absent" / "a"])


def test_a_lock_is_held_until_it_is_given_back_or_its_process_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom tubelet.artifacts import lock_folder\nfrom tubelet.errors import UsageError\n"
        "lock_folder(sys.argv[1], UsageError('taken'))\nprint('held', flush=True)\ntime.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="taken by another"):
        lock_folder(tmp_path, UsageError("taken by another"))
    holder.kill()
    holder.communicate()
    descriptor = lock_folder(tmp_path, UsageError("taken"))
    assert descriptor is not None
    os.close(descriptor)
