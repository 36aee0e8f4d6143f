"""Fingerprints of a manifest: one decode a file, spans, failures, the cache, and the file that carries them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from in_process import InProcess
from tubelet.clips.decode import ClipDecoder
from tubelet.clips.frame_hash import CERTAIN, CHANGE, STEP_S
from tubelet.datasets.fingerprints import Fingerprints, fingerprint_videos, joined, name_of
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import InputDataError


@pytest.fixture
def folder(copies_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, of videos that nobody has just changed; with a cache of its own."""
    monkeypatch.setenv("TUBELET_CACHE", str(tmp_path / "cache"))
    root = Path(shutil.copytree(copies_folder / "train/walk", tmp_path / "videos"))
    for path in root.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    return root


def manifest(root: Path, *items: Item) -> Manifest:
    return Manifest("some", root, items, ())


def test_a_child_gives_what_the_task_gives(folder: Path) -> None:
    with ClipDecoder() as decoder:
        hashes, report = decoder.fingerprint(folder / "one.avi")
    wanted, _ = InProcess().fingerprint(folder / "one.avi")
    np.testing.assert_array_equal(hashes, wanted)
    assert hashes.shape == (round(80 / 25 / STEP_S), 4)
    assert (report.status, report.frames_decoded) == ("ok", 80)


def test_a_file_is_decoded_once_and_then_remembered(folder: Path) -> None:
    videos = manifest(folder, Item("one.avi"), Item("two.avi"), Item("missing.avi"), Item("one.avi", start_s=1.0))
    decoder = InProcess()
    told: list[tuple[int, int]] = []
    first, failed = fingerprint_videos(videos, decoder, lambda done, total: told.append((done, total)), workers=2)
    assert sorted(decoder.decoded) == ["one.avi", "two.avi"]
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert first.names == ("one.avi", "two.avi", "one.avi from 1 s to the end")
    assert [(failure.video_id, failure.kind) for failure in failed] == [("missing.avi", "VideoError")]
    again, _ = fingerprint_videos(videos, decoder, lambda done, total: pytest.fail("all is known"))
    assert len(decoder.decoded) == 2
    assert again.digest == first.digest
    os.utime(folder / "two.avi", ns=(11 * 10**17, 11 * 10**17))
    fingerprint_videos(videos, decoder)
    assert decoder.decoded[2:] == ["two.avi"], "it changed"
    for kept in (folder.parent / "cache/fingerprints").rglob("*.npz"):
        kept.write_bytes(b"damaged")
    assert fingerprint_videos(videos, decoder)[0].digest == first.digest


def test_a_file_that_has_just_changed_is_not_remembered(folder: Path) -> None:
    now = time.time_ns() + 3600 * 10**9
    os.utime(folder / "one.avi", ns=(now, now))
    decoder = InProcess()
    for _ in range(2):
        fingerprint_videos(manifest(folder, Item("one.avi")), decoder)
    assert len(decoder.decoded) == 2


def test_spans_are_parts_and_know_where_they_begin(folder: Path) -> None:
    items = (Item("one.avi"), Item("one.avi", start_s=0.5, end_s=2.0), Item("one.avi", start_s=9.0))
    found, _ = fingerprint_videos(manifest(folder, *items), InProcess())
    whole, part, nothing = found.hashes
    assert len(part) == 24
    assert found.starts_s == (0.0, 0.5, 9.0)
    assert len(nothing) == 0
    np.testing.assert_array_equal(part[:, 0], whole[8:32, 0])
    np.testing.assert_array_equal(part[1:-2], whole[9:30])
    assert not part[np.ix_([0, -2, -1], [CHANGE, CERTAIN])].any(), "their change would be of frames outside"
    assert name_of(items[1]) == "one.avi from 0.5 s to 2 s"
    assert found.seconds == pytest.approx(3.2 + 1.5, abs=STEP_S)


def test_unreadable_videos_are_listed(folder: Path) -> None:
    (folder / "text.mp4").write_text("no video" * 99)
    found, failed = fingerprint_videos(manifest(folder, Item("text.mp4"), Item("one.avi")), InProcess())
    assert found.names == ("one.avi",)
    assert failed[0].video_id == "text.mp4"
    assert "cannot open as a video" in failed[0].error


def some() -> Fingerprints:
    rng = np.random.default_rng(0)
    hashes = tuple(rng.integers(0, 1 << 62, (n, 4), np.uint64) for n in (5, 0, 8))
    return Fingerprints(("a.avi", "b/ü \udce4.avi", "c"), hashes, (0.0, 0.0, 2.5))


def test_the_file_keeps_every_second_row(tmp_path: Path) -> None:
    kept = Fingerprints.load(some().save(tmp_path / "f.npz"))
    assert kept.names == some().names
    assert kept.starts_s == some().starts_s
    assert kept.digest == some().digest
    for one, other in zip(some().hashes, kept.hashes, strict=True):
        np.testing.assert_array_equal(one[::2], other[::2])
        assert not other[1::2].any()
        assert len(one) == len(other)
    nothing = Fingerprints((), (), ())
    assert len(Fingerprints.load(nothing.save(tmp_path / "none.npz"))) == 0
    assert joined([some(), kept]).names == some().names * 2
    assert joined([]).seconds == 0


@pytest.mark.parametrize("damage", ["cut", "other format", "lengths"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = some().save(tmp_path / "f.npz")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    else:
        with np.load(path) as file:
            parts = dict(file)
        parts["format" if damage == "other format" else "lengths"] = np.array([9])
        np.savez(path, **parts)
    with pytest.raises(InputDataError, match=r"fingerprints cannot be read.*f\.npz"):
        Fingerprints.load(path)
